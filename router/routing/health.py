"""The only mutable routing state: blocks, breaker, in-flight counts and learned latency of every target.

No locks and no awaits: one event loop owns it. The clock is an argument, so that virtual time drives it as well.
"""

import math
import random
from collections import deque
from collections.abc import Callable
from typing import Literal

from providers.catalogue import ModelInfo
from providers.errors import (
    AuthenticationError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
)
from router.routing.budget import HedgeBudget, RetryBudget
from router.routing.latency import LatencyModel, prompt_factor
from router.routing.plan import Attempt, Candidate, Features, Prediction

BreakerState = Literal["closed", "half_open", "open"]

_CONSECUTIVE_TO_OPEN = 5
_RATE_TO_OPEN = 0.5
_RATE_MIN_SAMPLES = 8.0
_RATE_TAU_S = 30.0
_OPEN_BASE_S = 5.0
_OPEN_MAX_S = 120.0
_PROBES_TO_CLOSE = 3
SLOW_START_S = 20.0
_PROBE_TIMEOUT_S = 60.0  # a probe that never came back must not wedge the breaker
_RATE_LIMIT_DEFAULT_S = 1.0
_RATE_LIMIT_MAX_S = 3600.0
_UNAVAILABLE_MAX_S = 60.0
_AUTH_BLOCK_S = 120.0
_CREDIT_BLOCK_S = 300.0  # nobody pays in sooner, and every request would ask in vain
_CONFIG_BLOCK_S = 60.0
_NO_CREDIT = 402
_OUTPUT_PRIOR_TOKENS = 250.0
_OUTPUT_PRIOR_WEIGHT = 5.0
_OUTPUT_TAU_S = 3600.0
_PROBE_SHARE = 0.02  # of requests
_PROBES_SAVED = 5.0
_LOOK_S = 0.1
_MAX_UNKNOWN = 1000  # targets and routes that only clients named: they must not fill the memory


class TargetState:
    """What is remembered of one (provider, model)."""

    __slots__ = (
        "asked_at",
        "blocked_reason",
        "blocked_until",
        "closed_at",
        "consecutive",
        "failures",
        "in_flight",
        "latency",
        "open_until",
        "opened",
        "opened_at",
        "probe_started",
        "probe_successes",
        "rate_at",
        "rate_limit_streak",
        "successes",
        "tripped",
    )

    def __init__(self, info: ModelInfo, now: float) -> None:
        self.asked_at = now
        self.latency = LatencyModel(info)
        self.blocked_until = -math.inf
        self.blocked_reason = ""
        self.rate_limit_streak = 0
        self.consecutive = 0
        self.successes = 0.0
        self.failures = 0.0
        self.rate_at = 0.0
        self.tripped = False  # open or half-open
        self.opened = 0  # how often in a row, for the back-off
        self.closed_at = -math.inf
        self.opened_at = -math.inf
        self.open_until = -math.inf
        self.probe_started = -math.inf
        self.probe_successes = 0
        self.in_flight = 0

    def breaker(self, now: float) -> BreakerState:
        if not self.tripped:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def may_pass(self, now: float) -> bool:
        """Whether a request may pass the breaker now: closed, or half-open with no probe out."""
        return not self.tripped or (now >= self.open_until and not self.probing(now))

    def share(self, now: float) -> float:
        """The part of its traffic that it may have: all, or less in the first seconds after its breaker closed."""
        return min(1.0, (now - self.closed_at) / SLOW_START_S)

    def probing(self, now: float) -> bool:
        return now - self.probe_started < _PROBE_TIMEOUT_S


class Health:
    """Everything learned about targets. `make_plan` reads it; `dispatch` and accounting write it.

    `clock` gives monotonic seconds; `uniform(a, b)` draws the jitter of open times. `retry_share` is the share of a
    model's requests that may cost a further attempt, `hedge_share` of those that may have a second one beside a late
    first.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        uniform: Callable[[float, float], float] = random.uniform,
        retry_share: float = 0.1,
        hedge_share: float = 0.0,
    ) -> None:
        self._retry_share = retry_share
        self._hedge_share = hedge_share
        self._budgets: dict[str, RetryBudget] = {}
        self._hedges: dict[str, HedgeBudget] = {}
        self._clock = clock
        self._uniform = uniform
        self._targets: dict[tuple[str, str], TargetState] = {}
        self._unknown: deque[tuple[str, str]] = deque()  # those of `_targets` that no catalogue describes, oldest first
        self._provider_blocks: dict[str, tuple[float, str]] = {}
        self._probes = 0.0  # how many may be made now
        self._no_probe_before: dict[str, float] = {}  # by route; only those of the configuration have several targets
        self._output: dict[str, tuple[float, float, float]] = {}  # route -> (weight, mean tokens, when)

    def now(self) -> float:
        return self._clock()

    def target(self, provider: str, model: str, info: ModelInfo) -> TargetState:
        key = (provider, model)
        state = self._targets.get(key)
        if state is None:
            if not info.known:
                self._forget_unknown()
                self._unknown.append(key)
            state = self._targets[key] = TargetState(info, self._clock())
        return state

    def targets(self) -> dict[tuple[str, str], TargetState]:
        return self._targets

    # --- what the planner reads

    def blocked_s(self, provider: str, model: str, info: ModelInfo, now: float) -> tuple[float, str]:
        """Seconds until this target may be asked again, and why; (0, "") when it may be now."""
        return self.block(self.target(provider, model, info), provider, now)

    def block(self, state: TargetState, provider: str, now: float) -> tuple[float, str]:
        """The same for a target at hand."""
        until, reason = state.blocked_until, state.blocked_reason
        block = self._provider_blocks.get(provider)
        if block is not None and block[0] > until:
            until, reason = block
        return (until - now, reason) if until > now else (0.0, "")

    def breaker(self, provider: str, model: str, info: ModelInfo, now: float) -> tuple[BreakerState, bool]:
        """The breaker's state, and whether a request may pass it now (closed, or half-open with no probe out)."""
        state = self.target(provider, model, info)
        return state.breaker(now), state.may_pass(now)

    def predict(self, provider: str, model: str, info: ModelInfo, features: Features, now: float) -> Prediction:
        state = self.target(provider, model, info)
        tokens = min(self.expected_output(features, now), info.max_output_tokens)
        return state.latency.predict(features, tokens, prompt_factor(features), now)

    def may_probe(self, route: str, now: float) -> bool:
        """Whether a request may be spent on learning of a target of `route` that does not look best."""
        return self._probes >= 1.0 and now >= self._no_probe_before.get(route, 0.0)

    def no_probe_due(self, route: str, now: float) -> None:
        """Nobody of `route` is due: it need not be looked for again at once."""
        self._no_probe_before[route] = now + _LOOK_S

    def expected_output(self, features: Features, now: float) -> float:
        """How many tokens one answer of this route has, but no more than were asked for; vectors have none."""
        if features.kind == "embedding":
            return 0.0
        weight, mean, at = self._output.get(features.model, (0.0, 0.0, now))
        weight *= math.exp(-max(0.0, now - at) / _OUTPUT_TAU_S)
        usual = (weight * mean + _OUTPUT_PRIOR_WEIGHT * _OUTPUT_PRIOR_TOKENS) / (weight + _OUTPUT_PRIOR_WEIGHT)
        return usual if not features.max_tokens else min(usual, features.max_tokens)

    # --- what the loop writes

    def request(self, model: str) -> RetryBudget:
        """A request for a public model begins; gives what its further attempts are paid from."""
        now = self._clock()
        budget = self._budgets.get(model)
        if budget is None:
            if len(self._budgets) >= 2 * _MAX_UNKNOWN:
                del self._budgets[next(iter(self._budgets))]
            budget = self._budgets[model] = RetryBudget(self._retry_share, now)
        budget.request(now)
        return budget

    def hedges(self, model: str) -> HedgeBudget:
        """What a public model's attempts beside late ones are paid from."""
        found = self._hedges.get(model)
        if found is None:
            if len(self._hedges) >= 2 * _MAX_UNKNOWN:
                del self._hedges[next(iter(self._hedges))]
            found = self._hedges[model] = HedgeBudget(self._hedge_share)
        return found

    def admit(self, candidate: Candidate, *, streamed: bool = False) -> bool:
        """Ask for permission to call; claims the probe of a half-open breaker. Last resorts always pass the breaker.

        `streamed`: the attempt ends with the first content, not with the whole answer.
        """
        now = self._clock()
        state = self.target(candidate.provider, candidate.model, candidate.info)
        blocked, reason = self.block(state, candidate.provider, now)
        if blocked and (reason == "rate limited" or not candidate.last_resort):
            return False
        if state.tripped:
            if state.may_pass(now):
                state.probe_started = now
            elif not candidate.last_resort and not candidate.retry:
                return False
        state.in_flight += 1
        state.asked_at = now
        self._probes = min(_PROBES_SAVED, self._probes + (_PROBE_SHARE - 1.0 if candidate.probe else _PROBE_SHARE))
        state.latency.began(id(candidate), candidate.prediction, streamed, now)
        return True

    def record(self, attempt: Attempt) -> None:
        """The end of an admitted attempt: success, failure, block, or given up."""
        now = self._clock()
        candidate, error = attempt.candidate, attempt.error
        state = self.target(candidate.provider, candidate.model, candidate.info)
        if state.in_flight:
            state.in_flight -= 1
        if attempt.outrun:
            state.latency.outrun(id(candidate), now)
        state.latency.over(id(candidate))
        # sent before the breaker opened: its end says nothing about a probe
        late = state.tripped and now - attempt.duration_s < state.opened_at
        if not late:
            state.probe_started = -math.inf
        if attempt.abandoned:
            return
        if error is None:
            self._succeeded(state, now, late=late)
        else:
            self._failed(state, candidate, error, now, late=late)

    def interrupted(self, candidate: Candidate, error: ProviderError) -> None:
        """An answer that had begun (and was recorded as a success) broke off."""
        if error.effect == "failure":
            state = self.target(candidate.provider, candidate.model, candidate.info)
            self._count_failure(state, self._clock())

    def observe_output(self, route: str, tokens: int) -> None:
        """An answer of this route had `tokens` output tokens."""
        now = self._clock()
        weight, mean, at = self._output.get(route, (0.0, 0.0, now))
        weight = weight * math.exp(-max(0.0, now - at) / _OUTPUT_TAU_S) + 1.0
        self._output[route] = (weight, mean + (tokens - mean) / weight, now)
        if len(self._output) > 2 * _MAX_UNKNOWN:
            del self._output[min(self._output, key=lambda name: self._output[name][2])]

    def _forget_unknown(self) -> None:
        """Make room for one more target that nobody configured: the oldest that is not being asked goes."""
        for _ in range(max(0, len(self._unknown) - _MAX_UNKNOWN + 1)):
            key = self._unknown.popleft()
            if self._targets[key].in_flight:
                self._unknown.append(key)
            else:
                del self._targets[key]

    def _succeeded(self, state: TargetState, now: float, *, late: bool) -> None:
        state.consecutive = 0
        state.rate_limit_streak = 0
        self._decay(state, now)
        state.successes += 1.0
        if state.tripped and not late:
            state.probe_successes += 1
            if state.probe_successes >= _PROBES_TO_CLOSE:
                state.tripped = False
                state.closed_at = now
                state.opened = 0
                state.failures = 0.0

    def _failed(
        self, state: TargetState, candidate: Candidate, error: ProviderError, now: float, *, late: bool
    ) -> None:
        if error.effect == "failure":
            self._count_failure(state, now, late=late)
            if error.retry_after_s is not None:  # a 503 that says when to come back
                state.blocked_until = max(state.blocked_until, now + min(error.retry_after_s, _UNAVAILABLE_MAX_S))
                state.blocked_reason = "asked to wait"
        elif error.effect == "block":
            self._block(state, candidate, error, now)

    def _block(self, state: TargetState, candidate: Candidate, error: ProviderError, now: float) -> None:
        match error:
            case QuotaExhaustedError() if error.status == _NO_CREDIT and error.retry_after_s is None:
                self._provider_blocks[candidate.provider] = (now + _CREDIT_BLOCK_S, "out of credit")
            case RateLimitedError():
                state.rate_limit_streak += 1
                wait = error.retry_after_s
                if wait is None:  # no word from the upstream: exponential, jittered
                    wait = self._uniform(0.5, 1.0) * _RATE_LIMIT_DEFAULT_S * 2 ** min(state.rate_limit_streak, 6)
                state.blocked_until = max(state.blocked_until, now + min(max(wait, 0.0), _RATE_LIMIT_MAX_S))
                state.blocked_reason = "rate limited"
            case AuthenticationError():
                self._provider_blocks[candidate.provider] = (now + _AUTH_BLOCK_S, "our key was refused")
            case ModelNotFoundError():
                state.blocked_until = now + _CONFIG_BLOCK_S
                state.blocked_reason = "the upstream does not know this model"
            case _:
                state.blocked_until = max(state.blocked_until, now + (error.retry_after_s or _RATE_LIMIT_DEFAULT_S))
                state.blocked_reason = error.outcome

    def _count_failure(self, state: TargetState, now: float, *, late: bool = False) -> None:
        state.consecutive += 1
        self._decay(state, now)
        state.failures += 1.0
        samples = state.successes + state.failures
        often = samples >= _RATE_MIN_SAMPLES and state.failures / samples > _RATE_TO_OPEN
        if state.tripped or often or state.consecutive >= _CONSECUTIVE_TO_OPEN:
            self._open(state, now, late=late)

    def _open(self, state: TargetState, now: float, *, late: bool) -> None:
        if state.tripped and (late or now < state.open_until):
            return  # failures of requests sent before it opened tell nothing new
        span = min(_OPEN_MAX_S, _OPEN_BASE_S * 2**state.opened)
        state.tripped = True
        state.opened = min(state.opened + 1, 8)
        state.opened_at = now
        state.open_until = now + span * self._uniform(0.5, 1.0)
        state.probe_started = -math.inf
        state.probe_successes = 0

    @staticmethod
    def _decay(state: TargetState, now: float) -> None:
        age = now - state.rate_at
        if age > 0:
            factor = math.exp(-age / _RATE_TAU_S)
            state.successes *= factor
            state.failures *= factor
            state.rate_at = now
