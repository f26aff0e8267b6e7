"""How much of the gap between two models a way of choosing recovers, over every share of calls to the stronger one.

APGR, the average performance gap recovered (RouteLLM, https://arxiv.org/abs/2406.18665): the mean over all shares of
(quality - quality of always weak) / (quality of always strong - quality of always weak). Choosing at random has 0.5.
Pure; intervals come from resampling whole prompts, since one prompt may have been given to several pairs.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import mul

from msgspec import Struct

from router.evaluate.data import Sample


class Interval(Struct, frozen=True):
    """A figure with the bounds between which it lies for 95 of 100 resamples."""

    value: float
    low: float
    high: float


class Ranking:
    """The samples in the order in which a way of choosing would give them to the stronger model; ties fall by lot."""

    def __init__(self, samples: Sequence[Sample], values: Sequence[float], seed: int) -> None:
        lots = random.Random(seed)  # noqa: S311  no secret
        lot = [lots.random() for _ in samples]
        self.order = sorted(range(len(samples)), key=lambda place: (-values[place], lot[place]))
        self._gains = [samples[place].strong - samples[place].weak for place in self.order]

    def apgr(self, weights: Sequence[float]) -> float | None:
        """The figure with every sample counted as often as `weights` say; None where there is no gap to recover."""
        counts = [weights[place] for place in self.order]
        gains = list(map(mul, counts, self._gains))
        total: float = sum(counts)
        gap: float = sum(gains)
        if gap <= 0:
            return None
        area: float = sum(map(mul, accumulate(gains), counts)) - sum(map(mul, gains, counts)) / 2
        return area / (total * gap)


def oracle(samples: Sequence[Sample]) -> list[float]:
    """Values that rank as one who knows both answers would."""
    return [sample.strong - sample.weak for sample in samples]


def resamples(samples: Sequence[Sample], times: int, seed: int) -> Iterable[list[float]]:
    """Weights for the samples, `times` over: whole prompts drawn with replacement."""
    lots = random.Random(seed)  # noqa: S311  no secret
    places: dict[tuple[str, str], list[int]] = {}
    for place, sample in enumerate(samples):
        places.setdefault((sample.source, sample.pid), []).append(place)
    prompts = list(places.values())
    for _ in range(times):
        weights = [0.0] * len(samples)
        for drawn in lots.choices(prompts, k=len(prompts)):
            for place in drawn:
                weights[place] += 1.0
        yield weights


def intervals(
    samples: Sequence[Sample], rankings: Mapping[str, Ranking], times: int, seed: int
) -> tuple[dict[str, Interval | None], Interval]:
    """The APGR of each ranking and the gap itself. None where the gap's interval holds 0: nothing can be said then."""
    ones = [1.0] * len(samples)
    found: dict[str, list[float]] = {name: [] for name in rankings}
    gaps = []
    for weights in resamples(samples, times, seed):
        gaps.append(_gap(samples, weights))
        for name, ranking in rankings.items():
            value = ranking.apgr(weights)
            if value is not None:
                found[name].append(value)
    gap = _interval(_gap(samples, ones), gaps)
    shown: dict[str, Interval | None] = {}
    for name, ranking in rankings.items():
        value = ranking.apgr(ones)
        shown[name] = _interval(value, found[name]) if value is not None and gap.low > 0 else None
    return shown, gap


def _gap(samples: Sequence[Sample], weights: Sequence[float]) -> float:
    total = sum(weights)
    return sum(weight * (one.strong - one.weak) for weight, one in zip(weights, samples, strict=True)) / total


def _interval(value: float, drawn: list[float]) -> Interval:
    if not drawn:
        return Interval(value, value, value)
    drawn = sorted(drawn)
    last = len(drawn) - 1
    return Interval(value, drawn[round(0.025 * last)], drawn[round(0.975 * last)])
