"""Upstreams with a true state: speeds that drift, brown-outs, quotas, congestion. Only the oracle sees that state."""

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from providers.errors import REFUSED, RateLimitedError, UnavailableError
from router.routing.latency import prompt_factor
from router.simulate.workload import Arrival, Luck, luck

REFUSAL_S = 0.05  # how soon a 429 or a refused connection is known
STALL_FACTOR = 8.0
TPOT_SIGMA = 0.25

_PROMPT_EXPONENT = 4 / 3  # the truth bends more with the prompt than the router supposes
_DRIFT_SIGMA = 0.15
_DRIFT_TAU_S = 600.0
_DRIFT_STEP_S = 5.0
_QUOTA_WINDOW_S = 60.0
_MOST_CONGESTED = 20.0


class Phase(Struct, frozen=True, kw_only=True):
    """From `since` to `until` a target is `slowdown` times slower and answers at most `rpm` requests a minute."""

    since: float
    until: float
    slowdown: float = 1.0
    rpm: int | None = None
    retry_after_s: float = 20.0


class Target(Struct, frozen=True, kw_only=True):
    """One upstream. Seconds are medians, `sigma` the spread of ln(first token); `prior_*` is what the catalogue says.

    `price` is USD per million tokens, in and out. With `capacity`, n answers under way make it 1 + (n/capacity)^3
    times slower, at most 20.
    """

    name: str
    ttft_s: float
    sigma: float
    tpot_s: float
    prior_ttft_ms: float
    prior_tpot_ms: float
    price: float = 1.0
    capacity: float | None = None
    phases: tuple[Phase, ...] = ()


class Answer(Struct, frozen=True, gc=False):
    """What a call brought: of a stream the first content, with the seconds that the rest takes; else all."""

    writing_s: float


class Upstreams:
    """All targets of one run. `clock` gives virtual seconds."""

    def __init__(self, targets: tuple[Target, ...], seconds: float, seed: int, clock: Callable[[], float]) -> None:
        self.targets = targets
        self.in_flight = [0] * len(targets)
        self._clock = clock
        self._seed = seed
        self._drift = [_drift(f"drift/{seed}/{number}", seconds) for number in range(len(targets))]
        self._admitted: list[deque[float]] = [deque() for _ in targets]

    def slowdown(self, place: int) -> float:
        """By how much the target is slower now than its medians say."""
        now, target = self._clock(), self.targets[place]
        drift = self._drift[place]
        factor = drift[min(int(now / _DRIFT_STEP_S), len(drift) - 1)]
        for phase in target.phases:
            if phase.since <= now < phase.until:
                factor *= phase.slowdown
        if target.capacity is not None:
            factor *= min(_MOST_CONGESTED, 1 + (self.in_flight[place] / target.capacity) ** 3)
        return factor

    def exhausted(self, place: int) -> float | None:
        """The wait that a 429 would ask for now; None while quota is left."""
        now = self._clock()
        for phase in self.targets[place].phases:
            if phase.rpm is not None and phase.since <= now < phase.until:
                admitted = self._admitted[place]
                while admitted and admitted[0] <= now - _QUOTA_WINDOW_S:
                    admitted.popleft()
                return phase.retry_after_s if len(admitted) >= phase.rpm else None
        return None

    async def ask(self, place: int, arrival: Arrival, earlier: int) -> Answer:
        """One call, `earlier` times asked before by the same request. A stream's `finish` is the caller's to call.

        Raises RateLimitedError and UnavailableError, as an adapter would.
        """
        fate = arrival.luck[place] if not earlier else self._again(place, arrival, earlier)
        wait = self.exhausted(place)
        if wait is not None:
            await asyncio.sleep(REFUSAL_S)
            raise RateLimitedError("quota", provider=self.targets[place].name, retry_after_s=wait)
        self._admitted[place].append(self._clock())
        if fate.broken:
            await asyncio.sleep(REFUSAL_S)
            raise UnavailableError("connection refused", provider=self.targets[place].name, outcome=REFUSED)
        first_s, writing_s = self._times(place, arrival, fate)
        self.in_flight[place] += 1
        try:
            await asyncio.sleep(first_s if arrival.features.stream else first_s + writing_s)
        except BaseException:
            self.in_flight[place] -= 1
            raise
        if not arrival.features.stream:
            self.in_flight[place] -= 1
        return Answer(writing_s)

    async def finish(self, place: int, answer: Answer) -> None:
        """Read a stream to its end."""
        try:
            await asyncio.sleep(answer.writing_s)
        finally:
            self.let_go(place)

    def let_go(self, place: int) -> None:
        """A stream is over, read to its end or not."""
        self.in_flight[place] -= 1

    def cost_usd(self, place: int, arrival: Arrival) -> float:
        tokens = arrival.features.prompt_tokens + arrival.output_tokens
        return self.targets[place].price * tokens / 1e6

    def _times(self, place: int, arrival: Arrival, fate: Luck) -> tuple[float, float]:
        target, slowdown = self.targets[place], self.slowdown(place)
        first_s = target.ttft_s * slowdown * longer(arrival) * math.exp(target.sigma * fate.ttft_z)
        if fate.stalls:
            first_s *= STALL_FACTOR
        return first_s, target.tpot_s * slowdown * math.exp(TPOT_SIGMA * fate.tpot_z) * (arrival.output_tokens - 1)

    def _again(self, place: int, arrival: Arrival, earlier: int) -> Luck:
        return luck(random.Random(f"again/{self._seed}/{arrival.number}/{place}/{earlier}"))  # noqa: S311  a simulation


def longer(arrival: Arrival) -> float:
    """By how much the prompt's length puts off the first token."""
    factor: float = prompt_factor(arrival.features) ** _PROMPT_EXPONENT
    return factor


def _drift(seed: str, seconds: float) -> list[float]:
    """A speed that wanders: ln of it is an Ornstein-Uhlenbeck process in steps."""
    chance = random.Random(seed)  # noqa: S311  a simulation
    keep = math.exp(-_DRIFT_STEP_S / _DRIFT_TAU_S)
    level = chance.gauss(0.0, _DRIFT_SIGMA)
    found = []
    for _ in range(int(seconds / _DRIFT_STEP_S) + 1):
        found.append(math.exp(level))
        level = keep * level + chance.gauss(0.0, _DRIFT_SIGMA * math.sqrt(1 - keep * keep))
    return found
