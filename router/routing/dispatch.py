"""The attempt loop: one deadline, failover, bookkeeping. The only loop over candidates."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec.structs import replace

from providers.errors import ProviderError, UnavailableError, UpstreamTimeoutError
from providers.timer import Limit
from router.errors import RouterError
from router.routing.health import Health
from router.routing.plan import Attempt, Candidate, Outcome, Plan

T = TypeVar("T")

_RETRY_BACKOFF_S = 0.25


class AllAttemptsFailedError(RouterError):
    """No candidate answered. The status, type and code are those of the last attempt; `attempts` holds all.

    With no attempt at all it is `unasked`, or 504 when there was no time for one. `retry_after_s` is the shortest wait
    any upstream asked for.
    """

    def __init__(self, attempts: Sequence[Attempt], unasked: ProviderError | None = None) -> None:
        self.attempts = tuple(attempts)
        last = attempts[-1].error if attempts else None
        self.last = last or unasked or UpstreamTimeoutError("no time was left to ask an upstream")
        errors = [a.error for a in attempts if a.error is not None] or [self.last]
        waits = [error.retry_after_s for error in errors if error.retry_after_s is not None]
        self.retry_after_s = min(waits) if waits else None
        self.billed = any(a.error is not None and a.error.billed for a in attempts)
        super().__init__(self.last.message, param=self.last.param, code=self.last.code)


async def dispatch(
    plan: Plan, call: Callable[[Candidate], Awaitable[T]], health: Health, attempts: list[Attempt]
) -> Outcome[T]:
    """Ask the plan's candidates in order until one answers.

    One whose error says how to ask it once more (`ProviderError.resend`) is asked at once, as an attempt like any
    other; that happens once in a request.
    Every other further attempt is paid from the model's retry budget: an outage must not be met with twice the load.
    `attempts` collects every call made, also when this raises or is cancelled, so that accounting sees them all.
    Raises the ProviderError of an attempt that must not fail over (a client error, a refusal), else
    AllAttemptsFailedError. Cancellation passes through and is not held against the upstream.
    """
    deadline = health.now() + plan.deadline_s
    unasked: ProviderError | None = None
    waiting = deque(plan.candidates)
    budget = health.request(plan.model)
    while waiting:
        candidate = waiting.popleft()
        if attempts and candidate.resend is None:
            if candidate.retry and not _worth_a_retry(attempts):
                break
            if not budget.take(health.now()):
                break
        if candidate.retry and candidate.resend is None:
            await asyncio.sleep(_pause_s(deadline - health.now()))
        more = bool(waiting) and not waiting[0].retry  # a retry comes last
        started = health.now()
        budget_s = _budget_s(plan.timeout_s(candidate), deadline - started, more=more)
        if budget_s <= 0:
            break
        if not health.admit(candidate, streamed=plan.patience.first_s is not None):
            unasked = UnavailableError("every upstream is blocked or being probed; ask again", retry_after_s=1.0)
            continue
        error: ProviderError | None = None
        try:
            with Limit(budget_s):
                value = await call(candidate)
        except TimeoutError:
            error = UpstreamTimeoutError(f"no answer in {budget_s:.1f} s", provider=candidate.provider)
        except ProviderError as exc:
            error = exc
        except BaseException as exc:
            # our own fault is not the upstream's: counted under a name of its own, held against nobody
            bug = ProviderError("the router failed", outcome="internal_error") if isinstance(exc, Exception) else None
            ended = Attempt(candidate=candidate, duration_s=health.now() - started, error=bug, abandoned=bug is None)
            _note(attempts, ended, health)
            raise
        _note(attempts, Attempt(candidate=candidate, duration_s=health.now() - started, error=error), health)
        if error is None:
            return Outcome(value, tuple(attempts))
        if error.resend is not None and all(attempt.candidate.resend is None for attempt in attempts):
            waiting.appendleft(replace(candidate, retry=True, resend=error.resend))
            continue
        if not error.failover:
            raise error
        if error.billed and plan.kind == "image":
            break  # a second try could be charged twice
    raise AllAttemptsFailedError(attempts, unasked)


def _note(attempts: list[Attempt], attempt: Attempt, health: Health) -> None:
    attempts.append(attempt)
    health.record(attempt)


def _worth_a_retry(attempts: Sequence[Attempt]) -> bool:
    """Whether the same target may answer the same request after all: not one it refused, nor one it told to wait."""
    last = attempts[-1] if attempts else None
    return last is not None and last.error is not None and last.error.effect == "failure" and not last.candidate.resend


def _pause_s(left_s: float) -> float:
    """A short wait of random length before a retry, inside the deadline."""
    return random.uniform(0, min(_RETRY_BACKOFF_S, max(0.0, left_s) / 4))  # noqa: S311  jitter


def _budget_s(timeout_s: float, left_s: float, *, more: bool) -> float:
    """One attempt's share of the time left: never all of it while somebody else could still be asked."""
    return min(timeout_s, left_s / 2 if more else left_s)
