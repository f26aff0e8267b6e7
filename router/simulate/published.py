"""Other routers' rules, written anew from their documentation and source, and the loop that follows one of them.

A rule chooses and learns; attempts, pauses and failover are driven here, alike for all.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Protocol

from providers.errors import ProviderError
from router.simulate.played import FAILED_WAIT_S, Played, lost
from router.simulate.upstreams import Target, Upstreams
from router.simulate.workload import Arrival


class Rule(Protocol):
    """`attempts` is how many calls one request may make. Places are indexes of the targets."""

    attempts: int

    def choose(self, stream: bool, tried: Sequence[int], now: float) -> int | None:
        """Who is asked next, after those `tried` failed; None: the request fails."""

    def pause_s(self, error: ProviderError, tried: Sequence[int], now: float) -> float:
        """The wait before the next attempt."""

    def began(self, place: int) -> None: ...

    def answered(self, place: int, seconds: float, now: float) -> None:
        """A stream's first content, or a whole answer, came after `seconds`."""

    def finished(self, place: int, stream: bool, first_s: float, seconds: float, tokens: int, now: float) -> None:
        """The whole answer is there."""

    def failed(self, place: int, error: ProviderError, now: float) -> None: ...


RuleMaker = Callable[[tuple[Target, ...], random.Random], Rule]


class Follower:
    """Serves requests by a published rule; each replica has its own."""

    def __init__(
        self, make: RuleMaker, replicas: int, upstreams: Upstreams, clock: Callable[[], float], seed: int
    ) -> None:
        self._rules = [
            make(upstreams.targets, random.Random(f"rule/{seed}/{replica}"))  # noqa: S311  a simulation
            for replica in range(replicas)
        ]
        self._upstreams = upstreams
        self._clock = clock

    async def play(self, arrival: Arrival) -> Played:
        rule = self._rules[int(arrival.replica * len(self._rules))]
        upstreams, clock, stream = self._upstreams, self._clock, arrival.features.stream
        tried: list[int] = []
        while len(tried) < rule.attempts:
            place = rule.choose(stream, tried, clock())
            if place is None:
                break
            started = clock()
            rule.began(place)
            try:
                answer = await upstreams.ask(place, arrival, tried.count(place))
            except ProviderError as error:
                tried.append(place)
                rule.failed(place, error, clock())
                pause_s = rule.pause_s(error, tried, clock())
                if pause_s and len(tried) < rule.attempts:
                    await asyncio.sleep(pause_s)
                continue
            tried.append(place)
            answered = clock()
            rule.answered(place, answered - started, answered)
            if answered - arrival.at > FAILED_WAIT_S:
                return lost(arrival, tried[0], len(tried))
            if stream:
                await upstreams.finish(place, answer)
            now = clock()
            rule.finished(place, stream, answered - started, now - started, arrival.output_tokens, now)
            return Played(arrival.at, tried[0], answered - arrival.at, len(tried), upstreams.cost_usd(place, arrival))
        return lost(arrival, tried[0] if tried else -1, len(tried))
