"""Which of several usable candidates comes first. Equals keep the order of the configuration."""

import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import takewhile

from router.routing.plan import Candidate, Features, Prediction
from router.routing.warm_cache import Last
from router.settings.values import Slo, Sort

_NEAR_BEST = Decimal("1.05")  # within 5 % of the best all count as equal: what served before, then weights decide
_UNKNOWN = Decimal("inf")
_FULL = 1.0  # of `Prediction.crowd`


def ordered(
    candidates: list[Candidate], sort: Sort, slo: Slo, features: Features, last: Last | None = None
) -> list[Candidate]:
    """Best first by `sort`. A conversation stays where it was served `last` unless it gains more than 5 % elsewhere."""
    match sort:
        case "order":
            return candidates
        case "quality":
            return sorted(candidates, key=lambda c: (-c.info.quality, _money(c)))
        case "latency":
            return _fastest_first(candidates, features, last)
        case "weighted":
            return list(_weighted(candidates, [c.weight for c in candidates], features.affinity))
        case "cost":
            return _cheapest_first(candidates, slo, features, last)


def by_caller(candidates: list[Candidate], order: Sequence[str]) -> list[Candidate]:
    """As the caller's `order` lists providers, targets or models; what it does not name follows."""

    def rank(candidate: Candidate) -> int:
        names = (candidate.name, candidate.model, candidate.provider)
        return min((order.index(name) for name in names if name in order), default=len(order))

    return sorted(candidates, key=rank)


def wait_ms(prediction: Prediction, features: Features) -> float:
    """What the caller waits for: a stream's first content, or the whole answer."""
    return prediction.ttft_ms if features.stream else prediction.total_ms


def _burden_ms(prediction: Prediction, features: Features) -> float:
    """What everybody waits for this request: the caller, and those whom it slows down.

    Who looks at his own wait alone fills the best target until it is no better than the next.
    """
    return wait_ms(prediction, features) * (1.0 + prediction.crowd)


def _fastest_first(candidates: list[Candidate], features: Features, last: Last | None) -> list[Candidate]:
    found = sorted(candidates, key=lambda c: _burden_ms(c.prediction, features))
    if last is None or len(found) < 2:
        return found
    most = _burden_ms(found[0].prediction, features) * float(_NEAR_BEST)
    return _staying(found, takewhile(lambda c: _burden_ms(c.prediction, features) <= most, found), last) or found


def _cheapest_first(candidates: list[Candidate], slo: Slo, features: Features, last: Last | None) -> list[Candidate]:
    """Those predicted to keep the SLO by cost, then the others by latency; those of unknown price come last."""
    first_ms = slo.ttft_p95_ms if features.stream else None
    total_ms = slo.total_p95_ms
    keeping, missing = candidates, list[Candidate]()
    if first_ms is not None or total_ms is not None:
        keeping = [c for c in candidates if _keeps(c.prediction, first_ms, total_ms)]
        if len(keeping) < len(candidates):
            missing = [c for c in candidates if not _keeps(c.prediction, first_ms, total_ms)]
            missing.sort(key=lambda c: math.inf if c.expected_cost_usd is None else _burden_ms(c.prediction, features))
    if len(keeping) > 1:
        keeping = sorted(keeping, key=_money)
        most = _money(keeping[0]) * _NEAR_BEST
        if _money(keeping[1]) <= most < _UNKNOWN:
            near = list(takewhile(lambda c: _money(c) <= most, keeping))
            stayed = None if last is None else _staying(keeping, near, last)
            if stayed is not None:
                keeping = stayed
            elif any(c.weight != 1.0 for c in near):
                keeping = [*_weighted(near, [c.weight for c in near], features.affinity), *keeping[len(near) :]]
    if missing and keeping and keeping[-1].expected_cost_usd is None:  # sooner too late than at any price
        return sorted(keeping + missing, key=lambda c: c.expected_cost_usd is None)
    return keeping + missing


def _staying(candidates: list[Candidate], near: Iterable[Candidate], last: Last) -> list[Candidate] | None:
    """The candidates with the one in front that served `last`, if it is among those `near` the best one."""
    for candidate in near:
        if (candidate.provider, candidate.model) == last.key and candidate.weight > 0:
            return [candidate, *(other for other in candidates if other is not candidate)]
    return None


def _keeps(prediction: Prediction, first_ms: float | None, total_ms: float | None) -> bool:
    """Whether the target keeps the SLO, and one more request does not keep it from serving as many as it could.

    An SLO is a promise about all requests: a long prompt is not held against a target. Judged one by one, the long
    ones, which cost the most, would be sent where they cost even more.
    """
    return (
        (first_ms is None or prediction.usual_ttft_p95_ms <= first_ms)
        and (total_ms is None or prediction.usual_total_p95_ms <= total_ms)
        and prediction.crowd <= _FULL
    )


def _money(candidate: Candidate) -> Decimal:
    cost = candidate.expected_cost_usd
    return _UNKNOWN if cost is None else cost


def _weighted(candidates: Sequence[Candidate], weights: Sequence[float], u: float) -> Iterator[Candidate]:
    """A draw without replacement by weight; `u` in [0, 1) decides all of it, so equal requests draw equally.

    Weight 0 comes last: no share of the traffic, but still somebody to fail over to.
    """
    left = [pair for pair in zip(candidates, weights, strict=True) if pair[1] > 0]
    while left:
        total = sum(weight for _, weight in left)
        mark = u * total
        for position, (candidate, weight) in enumerate(left):
            if mark < weight or position == len(left) - 1:
                yield candidate
                u = min(max(mark / weight, 0.0), 1 - 1e-9)  # what is left of u within this share is uniform again
                del left[position]
                break
            mark -= weight
    yield from (candidate for candidate, weight in zip(candidates, weights, strict=True) if weight <= 0)
