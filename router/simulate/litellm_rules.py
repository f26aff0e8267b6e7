"""LiteLLM's routing strategies (version 1.106), with its cool-downs and two retries.

simple-shuffle: uniform while no weights are set. latency-based-routing: the mean of the last ten samples, seconds per
output token or, for streams, to the first token; unseen first; with the default buffer of 0 the lowest alone.
least-busy: fewest in flight, the first of equals. cost-based-routing: input + output price.
Cool-down: 5 s after a 429 or when more than half of at least five requests of the calendar minute failed.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence

from providers.errors import ProviderError, RateLimitedError
from router.simulate.upstreams import Target

_COOLDOWN_S = 5.0
_MIN_REQUESTS = 5
_SAMPLES = 10
_RETRY_S = 0.5

Pick = Callable[["LiteLLM", Sequence[int], bool], int]


class LiteLLM:
    """One router object; `pick` is its strategy."""

    attempts = 3

    def __init__(self, pick: Pick, targets: tuple[Target, ...], chance: random.Random) -> None:
        self.targets = targets
        self.chance = chance
        self.in_flight = [0] * len(targets)
        self.per_token: list[deque[float]] = [deque(maxlen=_SAMPLES) for _ in targets]
        self.first: list[deque[float]] = [deque(maxlen=_SAMPLES) for _ in targets]
        self._pick = pick
        self._cooling = [0.0] * len(targets)
        self._minute = [(0, 0, 0)] * len(targets)  # which minute, requests, failures

    def choose(self, stream: bool, tried: Sequence[int], now: float) -> int | None:
        able = [place for place, until in enumerate(self._cooling) if until <= now]
        return self._pick(self, able, stream) if able else None

    def pause_s(self, error: ProviderError, tried: Sequence[int], now: float) -> float:
        if any(until <= now for until in self._cooling):
            return 0.0
        return min(8.0, _RETRY_S * 2.0 ** len(tried)) if isinstance(error, RateLimitedError) else 0.0

    def began(self, place: int) -> None:
        self.in_flight[place] += 1

    def answered(self, place: int, seconds: float, now: float) -> None: ...

    def finished(self, place: int, stream: bool, first_s: float, seconds: float, tokens: int, now: float) -> None:
        self.in_flight[place] -= 1
        self._count(place, now, failed=False)
        self.per_token[place].append(seconds / tokens)
        if stream:
            self.first[place].append(first_s)

    def failed(self, place: int, error: ProviderError, now: float) -> None:
        self.in_flight[place] -= 1
        requests, failures = self._count(place, now, failed=True)
        if isinstance(error, RateLimitedError) or (requests >= _MIN_REQUESTS and failures / requests > 0.5):
            self._cooling[place] = now + _COOLDOWN_S

    def _count(self, place: int, now: float, *, failed: bool) -> tuple[int, int]:
        minute, requests, failures = self._minute[place]
        if minute != int(now / 60):
            requests = failures = 0
        self._minute[place] = (int(now / 60), requests + 1, failures + failed)
        return requests + 1, failures + failed


def shuffle(router: LiteLLM, able: Sequence[int], stream: bool) -> int:
    return router.chance.choice(able)


def latency(router: LiteLLM, able: Sequence[int], stream: bool) -> int:
    def value(place: int) -> float:
        samples = (stream and router.first[place]) or router.per_token[place]
        return sum(samples) / len(samples) if samples else 0.0

    values = {place: value(place) for place in able}
    least = min(values.values())
    return router.chance.choice([place for place in able if values[place] <= least])


def least_busy(router: LiteLLM, able: Sequence[int], stream: bool) -> int:
    return min(able, key=lambda place: router.in_flight[place])


def cost(router: LiteLLM, able: Sequence[int], stream: bool) -> int:
    return min(able, key=lambda place: router.targets[place].price)
