"""Rules of Portkey, OpenRouter, Helicone and Kong, agentgateway, and round robin."""

import math
import random
from collections.abc import Sequence

from providers.errors import ProviderError
from router.simulate.upstreams import Target

_PEAK_TAU_S = 10.0
_PEAK_START_S = 1.0
_HEALTH_ALPHA = 0.3
_OUTAGE_S = 30.0
_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0


class Ledger:
    """What the rules below count: attempts out, when each target last failed, moving averages."""

    def __init__(self, targets: tuple[Target, ...], chance: random.Random) -> None:
        self.targets = targets
        self.chance = chance
        self.pending = [0] * len(targets)
        self.failed_at = [-math.inf] * len(targets)

    def others(self, tried: Sequence[int]) -> list[int]:
        return [place for place in range(len(self.targets)) if place not in tried]


class RoundRobin:
    """Each in turn; the next one after a failure."""

    attempts = 3

    def __init__(self, targets: tuple[Target, ...], chance: random.Random) -> None:
        self._count = len(targets)
        self._turn = 0

    def choose(self, stream: bool, tried: Sequence[int], now: float) -> int | None:
        self._turn += 1
        return self._turn % self._count

    def pause_s(self, error: ProviderError, tried: Sequence[int], now: float) -> float:
        return 0.0

    def began(self, place: int) -> None: ...

    def answered(self, place: int, seconds: float, now: float) -> None: ...

    def finished(self, place: int, stream: bool, first_s: float, seconds: float, tokens: int, now: float) -> None: ...

    def failed(self, place: int, error: ProviderError, now: float) -> None: ...


class PortkeyWeighted:
    """Portkey's load balancer with equal weights: one draw a request, then up to five retries at the same target.

    A retry waits as long as retry-after says if all waits stay within 60 s, else 1, 2, 4 ... s.
    """

    attempts = 6

    def __init__(self, targets: tuple[Target, ...], chance: random.Random) -> None:
        self._count = len(targets)
        self._chance = chance

    def choose(self, stream: bool, tried: Sequence[int], now: float) -> int | None:
        return tried[-1] if tried else self._chance.randrange(self._count)

    def pause_s(self, error: ProviderError, tried: Sequence[int], now: float) -> float:
        told = error.retry_after_s
        if told is not None and told * len(tried) <= _LONGEST_RETRY_S:
            return told
        return float(_RETRY_S * 2 ** (len(tried) - 1))

    def began(self, place: int) -> None: ...

    def answered(self, place: int, seconds: float, now: float) -> None: ...

    def finished(self, place: int, stream: bool, first_s: float, seconds: float, tokens: int, now: float) -> None: ...

    def failed(self, place: int, error: ProviderError, now: float) -> None: ...


class OpenRouterPrice:
    """OpenRouter's default: without those that failed within 30 s, by chance with weight 1/price^2, then the others."""

    attempts = 3

    def __init__(self, targets: tuple[Target, ...], chance: random.Random) -> None:
        self._ledger = Ledger(targets, chance)
        self._weights = [1 / target.price**2 for target in targets]

    def choose(self, stream: bool, tried: Sequence[int], now: float) -> int | None:
        others = self._ledger.others(tried)
        well = [place for place in others if now - self._ledger.failed_at[place] > _OUTAGE_S] or others
        return self._ledger.chance.choices(well, [self._weights[place] for place in well])[0] if well else None

    def pause_s(self, error: ProviderError, tried: Sequence[int], now: float) -> float:
        return 0.0

    def began(self, place: int) -> None: ...

    def answered(self, place: int, seconds: float, now: float) -> None: ...

    def finished(self, place: int, stream: bool, first_s: float, seconds: float, tokens: int, now: float) -> None: ...

    def failed(self, place: int, error: ProviderError, now: float) -> None:
        self._ledger.failed_at[place] = now


class PeakEwma:
    """Power of two choices by peak-EWMA times (pending + 1), as Helicone has it from tower and Kong from Finagle.

    A slower sample is taken at once, quicker ones fade in over 10 s; an unseen target counts one second.
    """

    attempts = 3

    def __init__(self, targets: tuple[Target, ...], chance: random.Random) -> None:
        self._ledger = Ledger(targets, chance)
        self._ewma = [_PEAK_START_S] * len(targets)
        self._at = [0.0] * len(targets)

    def choose(self, stream: bool, tried: Sequence[int], now: float) -> int | None:
        others = self._ledger.others(tried)
        if not others:
            return None
        two = self._ledger.chance.sample(others, min(2, len(others)))
        return min(two, key=lambda place: self._load(place, now))

    def _load(self, place: int, now: float) -> float:
        fade = math.exp(-(now - self._at[place]) / _PEAK_TAU_S)
        return self._ewma[place] * fade * (self._ledger.pending[place] + 1)

    def pause_s(self, error: ProviderError, tried: Sequence[int], now: float) -> float:
        return 0.0

    def began(self, place: int) -> None:
        self._ledger.pending[place] += 1

    def answered(self, place: int, seconds: float, now: float) -> None:
        self._ledger.pending[place] -= 1
        fade = math.exp(-(now - self._at[place]) / _PEAK_TAU_S)
        faded = self._ewma[place] * fade + seconds * (1 - fade)
        self._ewma[place] = max(seconds, faded)
        self._at[place] = now

    def finished(self, place: int, stream: bool, first_s: float, seconds: float, tokens: int, now: float) -> None: ...

    def failed(self, place: int, error: ProviderError, now: float) -> None:
        self._ledger.pending[place] -= 1


class AgentGateway:
    """agentgateway: two draws with replacement, the better of health / (1 + latency * (1 + pending / 10)).

    Both averages move by 0.3 a sample; latency starts at 0.
    """

    attempts = 3

    def __init__(self, targets: tuple[Target, ...], chance: random.Random) -> None:
        self._ledger = Ledger(targets, chance)
        self._health = [1.0] * len(targets)
        self._latency = [0.0] * len(targets)

    def choose(self, stream: bool, tried: Sequence[int], now: float) -> int | None:
        others = self._ledger.others(tried)
        if not others:
            return None
        return max(self._ledger.chance.choice(others), self._ledger.chance.choice(others), key=self._score)

    def _score(self, place: int) -> float:
        return self._health[place] / (1 + self._latency[place] * (1 + 0.1 * self._ledger.pending[place]))

    def pause_s(self, error: ProviderError, tried: Sequence[int], now: float) -> float:
        return 0.0

    def began(self, place: int) -> None:
        self._ledger.pending[place] += 1

    def answered(self, place: int, seconds: float, now: float) -> None:
        self._ledger.pending[place] -= 1
        self._health[place] += _HEALTH_ALPHA * (1 - self._health[place])
        self._latency[place] += _HEALTH_ALPHA * (seconds - self._latency[place])

    def finished(self, place: int, stream: bool, first_s: float, seconds: float, tokens: int, now: float) -> None: ...

    def failed(self, place: int, error: ProviderError, now: float) -> None:
        self._ledger.pending[place] -= 1
        self._health[place] *= 1 - _HEALTH_ALPHA
