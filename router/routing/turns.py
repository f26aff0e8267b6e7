"""Whose turn it is: the order in which a plan's candidates are asked, what further attempts may cost, and who waits."""

import asyncio
import random
from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from providers.errors import REFUSED, ProviderError, RateLimitedError, UnavailableError
from router.routing.failover import roomier
from router.routing.health import Health
from router.routing.hedging import Run
from router.routing.plan import Attempt, Candidate, Plan
from router.routing.queue import SaturatedError

_RETRY_BACKOFF_S = 0.25


class Turns:
    """The candidates of one request that are still to be asked. `attempts` are those that were.

    `unasked` says why the last of them was not asked.
    """

    __slots__ = (
        "_attempts",
        "_crowded",
        "_health",
        "_plan",
        "budget",
        "deadline",
        "pictures",
        "streamed",
        "unasked",
        "waiting",
    )

    def __init__(self, plan: Plan, health: Health, attempts: Sequence[Attempt]) -> None:
        self._plan = plan
        self._health = health
        self._attempts = attempts
        self._crowded: list[Candidate] = []
        self.waiting = deque(plan.candidates)
        self.budget = health.request(plan.model)
        self.deadline = health.now() + plan.deadline_s
        self.streamed = plan.ends_with_first_content
        self.pictures = plan.kind == "image"
        self.unasked: ProviderError | None = None

    async def take(self) -> Run | None:
        """The attempt to make now, its place at the upstream taken. None: nobody is left, paid for, or in time.

        Who has no room is passed over; when nobody else is left, the request waits for it.
        """
        health, waiting = self._health, self.waiting
        if not waiting and self._attempts:
            self._knock_again()
        while waiting:
            candidate = waiting.popleft()
            if self._attempts and not self._may_be_asked(candidate):
                return None
            if health.limited and health.is_full(candidate):
                self._crowded.append(candidate)
                continue
            if self._attempts and candidate.resend is None:
                if not self._is_paid():
                    return None
                if candidate.retry:
                    await asyncio.sleep(_pause_s(self.deadline - health.now()))
            run = self.next_run(candidate)
            if run.budget_s <= 0:
                return None
            if health.admit(candidate, streamed=self.streamed):
                return run
            self.unasked = UnavailableError("every upstream is blocked or being probed; ask again", retry_after_s=1.0)
        return await self._wait() if self._crowded else None

    def _knock_again(self) -> None:
        """Nobody is left: ask the last one again if it refused the connection, for nothing was done there."""
        last = self._attempts[-1]
        refused = last.error is not None and last.error.outcome == REFUSED and not last.candidate.retry
        if refused and not self.pictures and not self._crowded and len(self._attempts) < self._plan.attempts:
            self.waiting.append(replace(last.candidate, retry=True))

    def keep_roomier(self, failed: Candidate) -> None:
        """A prompt was too long for one: ask only larger windows from now on."""
        self.waiting = deque(roomier(self.waiting, failed))
        self._crowded = roomier(self._crowded, failed)

    def instead(self, stronger: Sequence[Candidate]) -> None:
        """Ask these, and no others of those that are left."""
        self.waiting = deque(stronger)
        self._crowded.clear()

    def next_run(self, candidate: Candidate) -> Run:
        """An attempt at this candidate, begun now. No time is left when its `budget_s` is not positive."""
        started = self._health.now()
        left_s = self.deadline - started
        timeout_s = self._plan.timeout_s(candidate)
        # one attempt's share of the time left: never all of it while somebody else could still be asked
        # (a retry comes last, and after a picture's time is up nobody else is asked)
        if not self.pictures and (self._crowded or (self.waiting and not self.waiting[0].retry)):
            left_s /= 2
        return Run(candidate, started, timeout_s if timeout_s < left_s else left_s)

    async def _wait(self) -> Run | None:
        """The attempt at the first of the crowded that has room."""
        health = self._health
        crowded = [each for each in self._crowded if self._may_be_asked(each)]
        if not crowded or not self._is_paid():
            return None
        started = health.now()
        try:
            found = await health.queue.wait(self._plan, crowded, self.deadline - started)
        except SaturatedError as exc:
            self.unasked = exc
            return None
        self._crowded.remove(found)
        run = self.next_run(found)
        run.queued_s = run.started - started
        if run.budget_s <= 0:
            health.give_back(found)
            return None
        return run

    def _is_paid(self) -> bool:
        """Whether one more attempt may be made; the first costs nothing."""
        return not self._attempts or self.budget.take(self._health.now())

    def _may_be_asked(self, candidate: Candidate) -> bool:
        """Whether a target that was asked before may answer the same request after all.

        Not one it refused, nor while it is told to wait; one it had no room for, once there is some.
        """
        if not self._attempts or not candidate.retry or candidate.resend is not None:
            return True
        last = self._attempts[-1]
        if isinstance(last.error, RateLimitedError):
            return not self._health.blocked(candidate, self._health.now())
        return last.error is not None and last.error.effect == "failure" and not last.candidate.resend


def _pause_s(left_s: float) -> float:
    """A short wait of random length before a retry, inside the deadline."""
    return random.uniform(0, min(_RETRY_BACKOFF_S, max(0.0, left_s) / 4))  # noqa: S311  jitter
