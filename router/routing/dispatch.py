"""The attempt loop: one deadline, failover, bookkeeping. The only loop over candidates."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from msgspec.structs import replace

from providers.errors import ContentBlockedError, ProviderError, UnavailableError, UpstreamTimeoutError
from providers.timer import Limit
from router.errors import RouterError
from router.routing.health import Health
from router.routing.hedging import Race, Run
from router.routing.plan import Attempt, Candidate, Outcome, Plan

T = TypeVar("T")

Discard = Callable[[int, T | None], Awaitable[None]]
"""Lets go of an answer that came second, if there was one, and books it. The place is that of its attempt."""

_RETRY_BACKOFF_S = 0.25


class AllAttemptsFailedError(RouterError):
    """No candidate answered. The status, type and code are those of the last attempt; `attempts` holds all.

    A refusal goes before failures: the caller can do something about it. With no attempt at all it is `unasked`, or 504
    when there was no time for one. `retry_after_s` is the shortest wait any upstream asked for.
    """

    def __init__(self, attempts: Sequence[Attempt], unasked: ProviderError | None = None) -> None:
        self.attempts = tuple(attempts)
        refusals = [a.error for a in attempts if isinstance(a.error, ContentBlockedError)]
        last = refusals[0] if refusals else attempts[-1].error if attempts else None
        self.last = last or unasked or UpstreamTimeoutError("no time was left to ask an upstream")
        errors = [a.error for a in attempts if a.error is not None] or [self.last]
        waits = [error.retry_after_s for error in errors if error.retry_after_s is not None]
        self.retry_after_s = min(waits) if waits else None
        self.billed = any(a.error is not None and a.error.billed for a in attempts)
        super().__init__(self.last.message, param=self.last.param, code=self.last.code)


async def dispatch(
    plan: Plan,
    call: Callable[[Candidate], Awaitable[T]],
    health: Health,
    attempts: list[Attempt],
    discard: Discard[T] | None = None,
) -> Outcome[T]:
    """Ask the plan's candidates in order until one answers.

    One whose error says how to ask it once more (`ProviderError.resend`) is asked at once, as an attempt like any
    other; that happens once in a request.
    Every other further attempt is paid from the model's retry budget: an outage must not be met with twice the load.
    Of a `hedged` plan the next candidate is started beside one that is late, when budgets allow it and `discard` can
    take the answer that comes second.
    `attempts` collects every call made, also when this raises or is cancelled, so that accounting sees them all; the
    one that answered is the last. Raises the ProviderError of an attempt that must not fail over (a client error, a
    refusal), else AllAttemptsFailedError. Cancellation passes through and is not held against the upstream.
    """
    loop = _Loop(plan, call, health, attempts)
    unasked: ProviderError | None = None
    waiting, budget = loop.waiting, loop.budget
    hedging = None
    if plan.hedged and discard is not None:
        hedging = _Hedging(loop, plan, health, discard)
    while waiting:
        candidate = waiting.popleft()
        if attempts and candidate.resend is None:
            if candidate.retry and not _worth_a_retry(attempts):
                break
            if not budget.take(health.now()):
                break
        if candidate.retry and candidate.resend is None:
            await asyncio.sleep(_pause_s(loop.deadline - health.now()))
        run = loop.next_run(candidate)
        if run.budget_s <= 0:
            break
        if not health.admit(candidate, streamed=loop.streamed):
            unasked = UnavailableError("every upstream is blocked or being probed; ask again", retry_after_s=1.0)
            continue
        if hedging is None or candidate.resend is not None:
            answer = await loop.ask(run)
        else:
            run, answer = await hedging.ask(run)
        if not isinstance(answer, ProviderError):
            loop.note(run)
            return Outcome(answer, tuple(attempts))
        if answer.resend is not None and all(attempt.candidate.resend is None for attempt in attempts):
            waiting.appendleft(replace(run.candidate, retry=True, resend=answer.resend))
            continue
        if not answer.failover and not (plan.policy_failover and isinstance(answer, ContentBlockedError)):
            raise answer
        if plan.kind == "image" and answer.billed and answer.failover and not answer.dead:
            break  # a second try could be charged twice
    raise AllAttemptsFailedError(attempts, unasked)


class _Loop(Generic[T]):
    """What the attempts of one request share."""

    __slots__ = ("_attempts", "_call", "_health", "_plan", "budget", "deadline", "streamed", "waiting")

    def __init__(
        self, plan: Plan, call: Callable[[Candidate], Awaitable[T]], health: Health, attempts: list[Attempt]
    ) -> None:
        self._plan = plan
        self._call = call
        self._health = health
        self._attempts = attempts
        self.deadline = health.now() + plan.deadline_s
        self.waiting = deque(plan.candidates)
        self.budget = health.request(plan.model)
        self.streamed = plan.patience.first_s is not None

    def next_run(self, candidate: Candidate) -> Run:
        """An attempt at this candidate, begun now. No time is left when its `budget_s` is not positive."""
        # a retry comes last, and after a picture's time is up nobody else is asked
        more = bool(self.waiting) and not self.waiting[0].retry and self._plan.kind != "image"
        started = self._health.now()
        left_s = self.deadline - started
        timeout_s = self._plan.timeout_s(candidate)
        # one attempt's share of the time left: never all of it while somebody else could still be asked
        return Run(candidate, started, min(timeout_s, left_s / 2 if more else left_s))

    async def ask(self, run: Run) -> T | ProviderError:
        """The answer, which is still to be noted, or the failure, which is noted."""
        try:
            with Limit(run.budget_s):
                return await self._call(run.candidate)
        except TimeoutError:
            error: ProviderError = UpstreamTimeoutError(
                f"no answer in {run.budget_s:.1f} s",
                provider=run.candidate.provider,
                billed=self._plan.kind == "image",  # a picture may be made, and charged, behind our back
            )
        except ProviderError as exc:
            error = exc
        except BaseException as exc:
            # our own fault is not the upstream's: counted under a name of its own, held against nobody
            bug = ProviderError("the router failed", outcome="internal_error") if isinstance(exc, Exception) else None
            self.note(run, bug, abandoned=bug is None)
            raise
        self.note(run, error)
        return error

    def note(self, run: Run, error: ProviderError | None = None, *, abandoned: bool = False) -> None:
        """The end of an attempt, for accounting and for health."""
        run.ended = now = self._health.now()
        attempt = Attempt(candidate=run.candidate, duration_s=now - run.started, error=error, abandoned=abandoned)
        if run.beside is not None or run.outrun:
            attempt = replace(attempt, hedge=run.beside is not None, beside_s=run.beside_s(now), outrun=run.outrun)
        self._attempts.append(attempt)
        self._health.record(attempt)

    def place_of(self, run: Run) -> int:
        """Where its attempt is noted, -1 when it is not."""
        places = range(len(self._attempts) - 1, -1, -1)
        return next((place for place in places if self._attempts[place].candidate is run.candidate), -1)


class _Hedging(Generic[T]):
    """The attempts of a request of which the second may be started early; that happens once."""

    __slots__ = ("_budget", "_discard", "_health", "_loop", "_plan", "_tried")

    def __init__(self, loop: _Loop[T], plan: Plan, health: Health, discard: Discard[T]) -> None:
        self._loop = loop
        self._plan = plan
        self._health = health
        self._discard = discard
        self._tried = False
        self._budget = health.hedges(plan.model)
        self._budget.request(plan.candidates[0].expected_cost_usd)

    async def ask(self, run: Run) -> tuple[Run, T | ProviderError]:
        if self._tried:
            return run, await self._loop.ask(run)
        after_s = self._plan.hedge_after_s(run.candidate) * self._budget.patience
        return await Race(self._loop.ask, self._rival, self._outrun).run(run, after_s)

    def _rival(self, lead: Run) -> Run | None:
        """The next candidate of another provider, if the budgets and its health let it be asked now."""
        loop, now = self._loop, self._health.now()
        found = next((each for each in loop.waiting if _may_race(each, lead.candidate)), None)
        if found is None or not self._budget.take(found.expected_cost_usd) or not loop.budget.take(now):
            return None
        if not self._health.admit(found, streamed=loop.streamed):
            return None
        loop.waiting.remove(found)
        self._tried = True
        run = loop.next_run(found)
        run.beside = lead
        return run

    async def _outrun(self, run: Run, answer: T | None) -> None:
        if answer is not None:  # it came in the same moment
            self._loop.note(run, abandoned=True)
        if run.outrun or answer is not None:
            await self._discard(self._loop.place_of(run), answer)


def _may_race(candidate: Candidate, lead: Candidate) -> bool:
    return candidate.provider != lead.provider and not (candidate.retry or candidate.last_resort)


def _worth_a_retry(attempts: Sequence[Attempt]) -> bool:
    """Whether the same target may answer the same request after all: not one it refused, nor one it told to wait."""
    last = attempts[-1] if attempts else None
    return last is not None and last.error is not None and last.error.effect == "failure" and not last.candidate.resend


def _pause_s(left_s: float) -> float:
    """A short wait of random length before a retry, inside the deadline."""
    return random.uniform(0, min(_RETRY_BACKOFF_S, max(0.0, left_s) / 4))  # noqa: S311  jitter
