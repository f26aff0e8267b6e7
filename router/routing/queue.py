"""Where requests wait while every upstream that may serve them has as many as it takes.

First come, first served, and bounded: who cannot be served in time is told so at once. A place at an upstream is
handed to the one who waits, so nobody who comes later takes it, and nobody who leaves keeps it.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Literal, Protocol

from providers.errors import RateLimitedError
from router.routing.plan import Candidate, Plan
from router.settings.values import QueueSettings

Shed = Literal["queue_full", "too_long", "timed_out"]
"""Why a request was turned away: too many wait, it would wait too long, or it has."""

_LOOK_S = 0.05  # time alone makes room as well: blocks end, breakers half-open, limits are forgotten


class SaturatedError(RateLimitedError):
    """No upstream had room for the request in time: a limit of the router's own, and no upstream's fault."""

    client_code = "router_overloaded"
    default_outcome = "local_saturation"

    def __init__(self, why: Shed, retry_after_s: float, queued_s: float = 0.0) -> None:
        message = "every upstream for this model has as many requests as it takes; ask again"
        super().__init__(message, retry_after_s=max(1.0, retry_after_s))
        self.why = why
        self.queued_s = queued_s


class Places(Protocol):
    """The places at upstreams that are waited for."""

    def now(self) -> float: ...

    def admit(self, candidate: Candidate, *, streamed: bool = False) -> bool:
        """Take a place, if there is one."""

    def give_back(self, candidate: Candidate) -> None:
        """A place that was taken is not used."""

    def rate(self, candidate: Candidate, now: float) -> float:
        """How many requests a second the upstream is expected to be done with; 0 while it is blocked."""

    def blocked(self, candidate: Candidate, now: float) -> float:
        """Seconds until it may be asked again."""


class Waiter:
    """One request in the queue. `place` becomes the candidate that it may ask now; None: its time is up."""

    __slots__ = ("candidates", "model", "place", "streamed", "until")

    def __init__(
        self, plan: Plan, candidates: Sequence[Candidate], until: float, place: asyncio.Future[Candidate | None]
    ) -> None:
        self.model = plan.model
        self.candidates = candidates
        self.streamed = plan.ends_with_first_content
        self.until = until
        self.place = place

    def give_up(self) -> None:
        if not self.place.done():
            self.place.set_result(None)


class Queue:
    """All that wait, oldest first; at most `size` of one model."""

    def __init__(self, settings: QueueSettings, places: Places) -> None:
        self._settings = settings
        self._places = places
        self._line: dict[Waiter, None] = {}  # in the order they came
        self._looking = False
        self.lengths: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._line)

    async def wait(self, plan: Plan, candidates: Sequence[Candidate], left_s: float) -> Candidate:
        """Wait for one of `candidates` to have room, `left_s` at most; the place there is then taken.

        Raises SaturatedError, at once where waiting is of no use.
        """
        settings, now = self._settings, self._places.now()
        most_s = min(left_s, settings.image_max_wait_s if plan.kind == "image" else settings.max_wait_s)
        expected_s = self._expected_s(plan.model, candidates, now)
        if self.lengths[plan.model] >= settings.size:
            raise SaturatedError("queue_full", expected_s)
        if expected_s > most_s:
            raise SaturatedError("too_long", expected_s - most_s)
        loop = asyncio.get_running_loop()
        waiter = Waiter(plan, candidates, now + most_s, loop.create_future())
        self._enter(waiter)
        timer = loop.call_later(most_s, waiter.give_up)
        self.serve()
        try:
            found = await waiter.place
        except asyncio.CancelledError:
            self._leave(waiter)
            if not waiter.place.cancelled() and (unused := waiter.place.result()) is not None:
                self._places.give_back(unused)  # it was handed over just before the client left
            raise
        finally:
            timer.cancel()
            self._leave(waiter)
        if found is None:
            late = self._places.now()
            raise SaturatedError("timed_out", self._expected_s(plan.model, candidates, late), late - now)
        return found

    def serve(self) -> None:
        """Hand out the places there are. Called whenever there may be one more."""
        refused: set[tuple[str, str]] = set()
        for waiter in tuple(self._line):
            if waiter.place.done():
                continue
            for candidate in waiter.candidates:
                target = (candidate.provider, candidate.model)
                if target in refused:
                    continue
                if self._places.admit(candidate, streamed=waiter.streamed):
                    self._leave(waiter)
                    waiter.place.set_result(candidate)
                    break
                refused.add(target)

    def _expected_s(self, model: str, candidates: Sequence[Candidate], now: float) -> float:
        """How long one more would wait: until all before it are done, or until the first block ends."""
        rate = sum(self._places.rate(candidate, now) for candidate in candidates)
        if rate > 0:
            return (self.lengths[model] + 1) / rate
        return min(self._places.blocked(candidate, now) for candidate in candidates)

    def _enter(self, waiter: Waiter) -> None:
        self._line[waiter] = None
        self.lengths[waiter.model] += 1
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _leave(self, waiter: Waiter) -> None:
        if waiter in self._line:
            del self._line[waiter]
            self.lengths[waiter.model] -= 1
            if not self.lengths[waiter.model]:
                del self.lengths[waiter.model]  # clients name models: what is kept of them must not grow

    def _look(self) -> None:
        self.serve()
        now = self._places.now()
        for waiter in self._line:
            if all(now + self._places.blocked(candidate, now) > waiter.until for candidate in waiter.candidates):
                waiter.give_up()
        self._looking = bool(self._line)
        if self._looking:
            asyncio.get_running_loop().call_later(_LOOK_S, self._look)
