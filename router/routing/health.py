"""The only mutable routing state: blocks, breaker, in-flight counts and learned latency of every target.

No locks and no awaits: one event loop owns it. The clock is an argument, so that virtual time drives it as well.
"""

import math
import random
from collections import deque
from collections.abc import Callable, Mapping

from providers.catalogue import ModelInfo
from providers.errors import (
    AuthenticationError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UpstreamTimeoutError,
)
from providers.types import Usage
from router.routing.budget import HedgeBudget, RetryBudget
from router.routing.latency import prompt_factor
from router.routing.limits import Aimd, Gate, Gradient
from router.routing.output_length import OutputLengths
from router.routing.plan import Attempt, Candidate, Features, Prediction
from router.routing.queue import Queue
from router.routing.state import BreakerState, TargetState
from router.routing.tiers import TierMemory
from router.routing.warm_cache import Conversations
from router.settings.values import QueueSettings

_CONSECUTIVE_TO_OPEN = 5
_RATE_TO_OPEN = 0.5
_RATE_MIN_SAMPLES = 8.0
_RATE_TAU_S = 30.0
_OPEN_BASE_S = 5.0
_OPEN_MAX_S = 120.0
_PROBES_TO_CLOSE = 3
_RATE_LIMIT_DEFAULT_S = 1.0
_RATE_LIMIT_MAX_S = 3600.0
_UNAVAILABLE_MAX_S = 60.0
_AUTH_BLOCK_S = 120.0
_CREDIT_BLOCK_S = 300.0  # nobody pays in sooner, and every request would ask in vain
_CONFIG_BLOCK_S = 60.0
_NO_CREDIT = 402
_PROBE_SHARE = 0.02  # of requests
_PROBES_SAVED = 5.0
_LOOK_S = 0.1
_MAX_UNKNOWN = 1000  # targets and routes that only clients named: they must not fill the memory


class Health:
    """Everything learned about targets. `make_plan` reads it; `dispatch` and accounting write it.

    `clock` gives monotonic seconds; `uniform(a, b)` draws the jitter of open times. `retry_share` is the share of a
    model's requests that may cost a further attempt, `hedge_share` of those that may have a second one beside a late
    first. `gates` limit what is under way at a provider, see `limits.py`; `queue` says how many may wait for them.
    `tiers` is what it knows of conversations.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        uniform: Callable[[float, float], float] = random.uniform,
        retry_share: float = 0.1,
        hedge_share: float = 0.0,
        gates: Mapping[str, Gate] | None = None,
        queue: QueueSettings | None = None,
    ) -> None:
        self._gates = gates or {}
        self.queue = Queue(queue or QueueSettings(), self)
        self.limited = bool(gates)  # whether any target may be full
        self._retry_share = retry_share
        self._hedge_share = hedge_share
        self.tiers = TierMemory()
        self._budgets: dict[str, RetryBudget] = {}
        self._hedges: dict[str, HedgeBudget] = {}
        self._clock = clock
        self._uniform = uniform
        self._targets: dict[tuple[str, str], TargetState] = {}
        self.forgotten = 0  # states of targets, so far
        self._unknown: deque[tuple[str, str]] = deque()  # those of `_targets` that no catalogue describes, oldest first
        self._provider_blocks: dict[str, tuple[float, str]] = {}  # until when, and why
        self._probes = 0.0  # how many may be made now
        self._no_probe_before: dict[str, float] = {}  # by route; only those of the configuration have several targets
        self.lengths = OutputLengths()
        self.conversations = Conversations()
        self.now = clock  # monotonic seconds; not a method around it, as a request asks ten times

    def target(self, provider: str, model: str, info: ModelInfo) -> TargetState:
        key = (provider, model)
        state = self._targets.get(key)
        if state is None:
            if not info.known:
                self._forget_unknown()
                self._unknown.append(key)
            state = self._targets[key] = TargetState(info, self._clock(), self._gates.get(provider))
            if provider in self._provider_blocks:
                state.note()
        return state

    def _state(self, candidate: Candidate) -> TargetState:
        return self.target(candidate.provider, candidate.model, candidate.info)

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
        """How long a target takes to begin its answer, or to make a picture."""
        state = self.target(provider, model, info)
        return state.latency.predict(features, (0.0, 0.0), prompt_factor(features), now)

    def prompt_tokens(self, provider: str, model: str, features: Features) -> int:
        """How many tokens a target will count for a prompt."""
        state = self._targets.get((provider, model))
        return features.prompt_tokens if state is None else state.tokens.prompt_tokens(features)

    def may_probe(self, route: str, now: float) -> bool:
        """Whether a request may be spent on learning of a target of `route` that does not look best."""
        return self._probes >= 1.0 and now >= self._no_probe_before.get(route, 0.0)

    def no_probe_due(self, route: str, now: float) -> None:
        """Nobody of `route` is due: it need not be looked for again at once."""
        self._no_probe_before[route] = now + _LOOK_S

    def rate(self, candidate: Candidate, now: float) -> float:
        """How many requests a second a limited target is expected to be done with; 0 while it is blocked."""
        limit = self.target(candidate.provider, candidate.model, candidate.info).limit(now)
        if limit is None or self.blocked(candidate, now):
            return 0.0
        return limit / max(candidate.prediction.total_ms / 1000, 1e-3)

    def blocked(self, candidate: Candidate, now: float) -> float:
        """Seconds until the target may be asked again."""
        return self.blocked_s(candidate.provider, candidate.model, candidate.info, now)[0]

    def is_full(self, candidate: Candidate) -> bool:
        """Whether the target has as many requests as it takes. Who waits for it comes first."""
        if len(self.queue):
            self.queue.serve()
        return self.target(candidate.provider, candidate.model, candidate.info).is_full(self._clock())

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
        state = self._targets.get((candidate.provider, candidate.model)) or self._state(candidate)
        if state.noted and not self._passes(state, candidate, now):
            return False
        for gate in state.gates:
            gate.held += 1
        state.in_flight += 1
        state.asked_at = now
        probes = self._probes + (_PROBE_SHARE - 1.0 if candidate.probe else _PROBE_SHARE)
        self._probes = probes if probes < _PROBES_SAVED else _PROBES_SAVED
        state.latency.began(id(candidate), candidate.prediction, streamed, now)
        return True

    def _passes(self, state: TargetState, candidate: Candidate, now: float) -> bool:
        """Whether blocks, limits and the breaker of a target let an attempt pass; see `admit`."""
        blocked, reason = self.block(state, candidate.provider, now)
        if blocked and (reason == "rate limited" or not candidate.last_resort):
            return False
        if state.gates and state.is_full(now):
            return False
        if state.tripped:
            if state.may_pass(now):
                state.probe_started, state.probe = now, id(candidate)
            elif not candidate.last_resort and not candidate.retry:
                return False
        return True

    def record(self, attempt: Attempt, *, streamed: bool = False) -> None:
        """The end of an admitted attempt: success, failure, block, or given up.

        With `streamed` a success is only a stream's first content: its end has to be told as well (`written`).
        """
        now = self._clock()
        candidate, error = attempt.candidate, attempt.error
        state = self._targets.get((candidate.provider, candidate.model)) or self._state(candidate)
        if state.in_flight:
            state.in_flight -= 1
        if attempt.outrun:
            state.latency.outrun(id(candidate), now)
        state.latency.over(id(candidate))
        # sent before the breaker opened, or just then: its end says nothing about a probe
        late = state.tripped and now - attempt.duration_s <= state.opened_at
        if state.probe and not late and state.probe == id(candidate):  # another's end leaves the probe that is out
            state.probe_started = -math.inf
        if error is None and not attempt.abandoned:
            self._succeeded(state, now, late=late)
            for gate in state.gates:
                gate.rule.answered(gate.held, now)
            if streamed:
                state.latency.load.writing += 1
                if len(self.queue):
                    self.queue.serve()
                return
        elif error is not None and not attempt.abandoned:
            self._failed(state, attempt, error, now, late=late)
        if self.limited:
            self._free(state, now)

    def written(self, candidate: Candidate) -> None:
        """A stream that was recorded as a success has ended, in whatever way."""
        state = self.target(candidate.provider, candidate.model, candidate.info)
        load = state.latency.load
        if load.writing:
            load.writing -= 1
            if self.limited:
                self._free(state, self._clock())

    def give_back(self, candidate: Candidate) -> None:
        """An admitted attempt is not made after all."""
        self.record(Attempt(candidate=candidate, duration_s=0.0, abandoned=True))

    def interrupted(self, candidate: Candidate, error: ProviderError) -> None:
        """An answer that had begun (and was recorded as a success) broke off."""
        if error.effect == "failure":
            state = self.target(candidate.provider, candidate.model, candidate.info)
            self._count_failure(state, self._clock())

    def observe_usage(self, candidate: Candidate, features: Features, usage: Usage) -> None:
        """A whole answer of this candidate used so many tokens."""
        state, now = self.target(candidate.provider, candidate.model, candidate.info), self._clock()
        state.tokens.observe(features, usage.prompt_tokens)
        if features.conversation:
            key = (candidate.provider, candidate.model)
            self.conversations.served(features.conversation, key, state.cache_hits, usage, now)
        if candidate.info.known or candidate.route != candidate.name:  # of names that clients make up nothing is kept
            self.lengths.observe(candidate.route, candidate.model, features, usage.completion_tokens, now)

    def _forget_unknown(self) -> None:
        """Make room for one more target that nobody configured: the oldest that is not being asked goes."""
        for _ in range(max(0, len(self._unknown) - _MAX_UNKNOWN + 1)):
            key = self._unknown.popleft()
            if self._targets[key].under_way:
                self._unknown.append(key)
            else:
                del self._targets[key]
                self.forgotten += 1

    def _succeeded(self, state: TargetState, now: float, *, late: bool) -> None:
        state.consecutive = 0
        state.rate_limit_streak = 0
        _decay(state, now)
        state.successes += 1.0
        if state.tripped and not late:
            state.probe_successes += 1
            if state.probe_successes >= _PROBES_TO_CLOSE:
                state.tripped = False
                state.closed_at = now
                state.opened = 0
                state.failures = 0.0

    def _free(self, state: TargetState, now: float) -> None:
        """What was under way is no more: who waits may have its place."""
        for gate in state.gates:
            gate.held -= 1
            if isinstance(gate.rule, Aimd) and gate.rule.is_lifted(now):
                state.gates = tuple(each for each in state.gates if each is not gate)
        if len(self.queue):
            self.queue.serve()

    def take_as_too_much(self, state: TargetState, attempt: Attempt, now: float, *, told: bool) -> None:
        """An attempt was more than the target takes. It still holds its places."""
        if not any(isinstance(gate.rule, Aimd | Gradient) for gate in state.gates):
            state.gates = (*state.gates, Gate(Aimd(now), state.under_way + 1))
            state.note()
            self.limited = True
        for gate in state.gates:
            gate.rule.refused(gate.held, now - attempt.duration_s, now, told=told)

    def _failed(self, state: TargetState, attempt: Attempt, error: ProviderError, now: float, *, late: bool) -> None:
        state.note()
        if error.effect == "failure":
            if isinstance(error, UpstreamTimeoutError) and state.slows_down:
                self.take_as_too_much(state, attempt, now, told=True)
            self._count_failure(state, now, late=late)
            if error.retry_after_s is not None:  # a 503 that says when to come back
                state.blocked_until = max(state.blocked_until, now + min(error.retry_after_s, _UNAVAILABLE_MAX_S))
                state.blocked_reason = "asked to wait"
        elif error.effect == "block":
            if isinstance(error, RateLimitedError) and not isinstance(error, QuotaExhaustedError):
                self.take_as_too_much(state, attempt, now, told=error.retry_after_s is not None)
            self._block(state, attempt.candidate, error, now)

    def _block(self, state: TargetState, candidate: Candidate, error: ProviderError, now: float) -> None:
        match error:
            case QuotaExhaustedError() if error.status == _NO_CREDIT and error.retry_after_s is None:
                self._block_provider(candidate.provider, now + _CREDIT_BLOCK_S, "out of credit")
            case RateLimitedError():
                wait = error.retry_after_s
                if wait is None and state.under_way and not isinstance(error, QuotaExhaustedError):
                    return  # too many at once, as it seems: the limit sees to that, and others are being answered
                state.rate_limit_streak += 1
                if wait is None:  # no word from the upstream: exponential, jittered
                    wait = self._uniform(0.5, 1.0) * _RATE_LIMIT_DEFAULT_S * 2 ** min(state.rate_limit_streak, 6)
                state.blocked_until = max(state.blocked_until, now + min(max(wait, 0.0), _RATE_LIMIT_MAX_S))
                state.blocked_reason = "rate limited"
            case AuthenticationError():
                self._block_provider(candidate.provider, now + _AUTH_BLOCK_S, "our key was refused")
            case ModelNotFoundError():
                state.blocked_until = now + _CONFIG_BLOCK_S
                state.blocked_reason = "the upstream does not know this model"
            case _:
                state.blocked_until = max(state.blocked_until, now + (error.retry_after_s or _RATE_LIMIT_DEFAULT_S))
                state.blocked_reason = error.outcome

    def _block_provider(self, provider: str, until: float, reason: str) -> None:
        """Nobody there is to be asked before then."""
        self._provider_blocks[provider] = (until, reason)
        for (each, _), state in self._targets.items():
            if each == provider:
                state.note()

    def _count_failure(self, state: TargetState, now: float, *, late: bool = False) -> None:
        state.consecutive += 1
        _decay(state, now)
        state.failures += 1.0
        samples = state.successes + state.failures
        often = samples >= _RATE_MIN_SAMPLES and state.failures / samples > _RATE_TO_OPEN
        if state.tripped or often or state.consecutive >= _CONSECUTIVE_TO_OPEN:
            self._open(state, now, late=late)

    def _open(self, state: TargetState, now: float, *, late: bool) -> None:
        if state.tripped and (late or now < state.open_until):
            return  # failures of requests sent before it opened tell nothing new
        span = min(_OPEN_MAX_S, _OPEN_BASE_S * 2**state.opened)
        state.note()
        state.tripped = True
        state.opened = min(state.opened + 1, 8)
        state.opened_at = now
        state.open_until = now + span * self._uniform(0.5, 1.0)
        state.probe_started = -math.inf
        state.probe_successes = 0


def _decay(state: TargetState, now: float) -> None:
    age = now - state.rate_at
    if age > 0:
        factor = math.exp(-age / _RATE_TAU_S)
        state.successes *= factor
        state.failures *= factor
        state.rate_at = now
