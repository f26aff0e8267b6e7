"""The attempt loop: one deadline, failover, bookkeeping. The only loop over candidates."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from msgspec.structs import replace

from providers.errors import ContentBlockedError, ContextTooLongError, Effect, ProviderError, UpstreamTimeoutError
from providers.timer import Limit
from router.errors import RouterError
from router.routing.failover import fails_over
from router.routing.health import Health
from router.routing.hedging import Race, Run
from router.routing.plan import Attempt, Candidate, Outcome, Plan
from router.routing.queue import SaturatedError
from router.routing.turns import Turns

T = TypeVar("T")

Discard = Callable[[int, T | None], Awaitable[None]]
"""Lets go of an answer that came second, if there was one, and books it. The place is that of its attempt."""


class AllAttemptsFailedError(RouterError):
    """No candidate answered. The status, type and code are those of the last attempt; `attempts` holds all.

    A refusal goes before failures: the caller can do something about it. With no attempt at all it is `unasked`, or 504
    when there was no time for one; and it is `unasked` when in the end no upstream had room. `retry_after_s` is the
    shortest wait anyone asked for.
    """

    def __init__(self, attempts: Sequence[Attempt], unasked: ProviderError | None = None) -> None:
        self.attempts = tuple(attempts)
        refusals = [a.error for a in attempts if isinstance(a.error, ContentBlockedError)]
        last = refusals[0] if refusals else attempts[-1].error if attempts else None
        if isinstance(unasked, SaturatedError) and not refusals:
            last = unasked
        self.last = last or unasked or UpstreamTimeoutError("no time was left to ask an upstream")
        errors = [self.last, *(a.error for a in attempts if a.error is not None)]
        waits = [error.retry_after_s for error in errors if error.retry_after_s is not None]
        self.retry_after_s = min(waits) if waits else None
        self.billed = any(a.error is not None and a.error.billed for a in attempts)
        super().__init__(self.last.message, param=self.last.param, code=self.last.code)


class WeakAnswerError(ProviderError):
    """An answer came that is plainly unusable: `stronger` are to be asked in place of whoever was to be next.

    The upstream is not broken, and the caller of `dispatch` has kept the answer.
    """

    failover = True
    effect: ClassVar[Effect] = "none"
    client_status = 502
    client_code = "upstream_bad_response"

    def __init__(self, reason: str, stronger: Sequence[Candidate], *, provider: str) -> None:
        super().__init__(
            f"the model's answer is unusable: {reason}",
            provider=provider,
            outcome=f"escalated_{reason}",
            billed=True,
        )
        self.reason = reason
        self.stronger = tuple(stronger)


async def dispatch(
    plan: Plan,
    call: Callable[[Candidate], Awaitable[T]],
    health: Health,
    attempts: list[Attempt],
    discard: Discard[T] | None = None,
) -> Outcome[T]:
    """Ask the plan's candidates in order until one answers.

    One whose error says how to ask it once more (`ProviderError.resend`) is asked at once, as an attempt like any
    other; that happens once in a request. After a `WeakAnswerError` those that it names are asked instead of the rest.
    Every other further attempt is paid from the model's retry budget: an outage must not be met with twice the load.
    Of a `hedged` plan the next candidate is started beside one that is late, when budgets allow it and `discard` can
    take the answer that comes second.
    Who has as many requests as it takes is passed over; when nobody else is left, the request waits for it in line.
    `attempts` collects every call made, also when this raises or is cancelled, so that accounting sees them all; the
    one that answered is the last. Raises the ProviderError of an attempt that must not fail over (a client error, a
    refusal), else AllAttemptsFailedError. Cancellation passes through and is not held against the upstream.
    After a prompt that was too long only larger windows are asked.

    Where `plan.ends_with_first_content`, the caller tells `health.written` when the stream that answered has ended.
    """
    turns = Turns(plan, health, attempts)
    loop = _Loop(turns, call, health, attempts)
    hedging = None
    if plan.hedged and discard is not None:
        hedging = _Hedging(loop, turns, plan, health, discard)
    while (run := await turns.take()) is not None:
        if hedging is None or run.candidate.resend is not None:
            answer = await loop.ask(run)
        else:
            run, answer = await hedging.ask(run)
        if not isinstance(answer, ProviderError):
            loop.note(run)
            return Outcome(answer, tuple(attempts))
        if answer.resend is not None and all(attempt.candidate.resend is None for attempt in attempts):
            turns.waiting.appendleft(replace(run.candidate, retry=True, resend=answer.resend))
            continue
        if isinstance(answer, WeakAnswerError):
            turns.instead(answer.stronger)
        if not fails_over(answer, plan.failover):
            raise answer
        if isinstance(answer, ContextTooLongError):
            turns.keep_roomier(run.candidate)
        if plan.kind == "image" and answer.billed and answer.failover and not answer.dead:
            break  # a second try could be charged twice
    raise AllAttemptsFailedError(attempts, turns.unasked)


class _Loop(Generic[T]):
    """How the attempts of one request are made and noted."""

    __slots__ = ("_attempts", "_call", "_health", "_turns")

    def __init__(
        self, turns: Turns, call: Callable[[Candidate], Awaitable[T]], health: Health, attempts: list[Attempt]
    ) -> None:
        self._turns = turns
        self._call = call
        self._health = health
        self._attempts = attempts

    async def ask(self, run: Run) -> T | ProviderError:
        """The answer, which is still to be noted, or the failure, which is noted."""
        try:
            with Limit(run.budget_s):
                return await self._call(run.candidate)
        except TimeoutError:
            error: ProviderError = UpstreamTimeoutError(
                f"no answer in {run.budget_s:.1f} s",
                provider=run.candidate.provider,
                billed=self._turns.pictures,  # a picture may be made, and charged, behind our back
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
        attempt = Attempt(
            candidate=run.candidate,
            duration_s=now - run.started,
            queued_s=run.queued_s,
            error=error,
            abandoned=abandoned,
        )
        if run.beside is not None or run.outrun:
            attempt = replace(attempt, hedge=run.beside is not None, beside_s=run.beside_s(now), outrun=run.outrun)
        self._attempts.append(attempt)
        self._health.record(attempt, streamed=self._turns.streamed)

    def place_of(self, run: Run) -> int:
        """Where its attempt is noted, -1 when it is not."""
        places = range(len(self._attempts) - 1, -1, -1)
        return next((place for place in places if self._attempts[place].candidate is run.candidate), -1)


class _Hedging(Generic[T]):
    """The attempts of a request of which the second may be started early; that happens once."""

    __slots__ = ("_budget", "_discard", "_health", "_loop", "_plan", "_tried", "_turns")

    def __init__(self, loop: _Loop[T], turns: Turns, plan: Plan, health: Health, discard: Discard[T]) -> None:
        self._loop = loop
        self._turns = turns
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
        race = Race(self._loop.ask, self._rival, self._outrun, lambda error: fails_over(error, self._plan.failover))
        return await race.run(run, after_s)

    def _rival(self, lead: Run) -> Run | None:
        """The next candidate of another provider, if the budgets and its health let it be asked now."""
        turns, health = self._turns, self._health
        found = next((each for each in turns.waiting if _may_race(each, lead.candidate)), None)
        if found is None or (health.limited and health.is_full(found)):
            return None
        if not self._budget.take(found.expected_cost_usd) or not turns.budget.take(health.now()):
            return None
        if not health.admit(found, streamed=turns.streamed):
            return None
        turns.waiting.remove(found)
        self._tried = True
        run = turns.next_run(found)
        run.beside = lead
        return run

    async def _outrun(self, run: Run, answer: T | None) -> None:
        if answer is not None:  # it came in the same moment
            self._loop.note(run, abandoned=True)
        if run.outrun or answer is not None:
            await self._discard(self._loop.place_of(run), answer)


def _may_race(candidate: Candidate, lead: Candidate) -> bool:
    return candidate.provider != lead.provider and not (candidate.retry or candidate.last_resort)
