"""Which of several usable options comes first. Equals keep the order of the configuration."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import filterfalse, takewhile
from operator import attrgetter

from router.routing.options import Option
from router.routing.warm_cache import Last
from router.settings.values import Sort

_NEAR_BEST_PERCENT = 105  # within 5 % of the best all count as equal: what served before, then weights decide

_keeps = attrgetter("keeps")
_price = attrgetter("pico_usd")
_burden = attrgetter("burden_ms")


def ordered(options: list[Option], sort: Sort, affinity: float, last: Last | None = None) -> list[Option]:
    """Best first by `sort`. A conversation stays where it was served `last` unless it gains more than 5 % elsewhere.

    `affinity` is that of the request.
    """
    match sort:
        case "order":
            return options
        case "quality":
            return sorted(options, key=lambda option: (-option.info.quality, option.pico_usd))
        case "latency":
            return _fastest_first(options, last)
        case "weighted":
            return list(_weighted(options, affinity))
        case "cost":
            return _cheapest_first(options, affinity, last)


def by_caller(options: list[Option], order: Sequence[str]) -> list[Option]:
    """As the caller's `order` lists providers, targets or models; what it does not name follows."""

    def rank(option: Option) -> int:
        provider, model = option.row.key
        names = (f"{provider}/{model}", model, provider)
        return min((order.index(name) for name in names if name in order), default=len(order))

    return sorted(options, key=rank)


def _fastest_first(options: list[Option], last: Last | None) -> list[Option]:
    found = sorted(options, key=_burden)
    if last is None or len(found) < 2:
        return found
    most = found[0].burden_ms * (_NEAR_BEST_PERCENT / 100)
    return _staying(found, takewhile(lambda option: option.burden_ms <= most, found), last) or found


def _cheapest_first(options: list[Option], affinity: float, last: Last | None) -> list[Option]:
    """Those predicted to keep the SLO by cost, then the others by latency; those of unknown price come last."""
    keeping = list(filter(_keeps, options))
    missing = list(filterfalse(_keeps, options)) if len(keeping) < len(options) else []
    if len(missing) > 1:
        missing.sort(key=_burden if max(map(_price, missing)) < math.inf else _burden_if_priced)
    if len(keeping) > 1:
        keeping.sort(key=_price)
        most = _NEAR_BEST_PERCENT * keeping[0].pico_usd
        if 100 * keeping[1].pico_usd <= most < math.inf:
            near = list(takewhile(lambda option: 100 * option.pico_usd <= most, keeping))
            stayed = None if last is None else _staying(keeping, near, last)
            if stayed is not None:
                keeping = stayed
            elif any(option.row.target.weight != 1.0 for option in near):
                keeping = [*_weighted(near, affinity), *keeping[len(near) :]]
    if missing and keeping and keeping[-1].pico_usd == math.inf:  # sooner too late than at any price
        return sorted(keeping + missing, key=lambda option: option.pico_usd == math.inf)
    return keeping + missing


def _burden_if_priced(option: Option) -> float:
    return option.burden_ms if option.pico_usd < math.inf else math.inf


def _staying(options: list[Option], near: Iterable[Option], last: Last) -> list[Option] | None:
    """The options with the one in front that served `last`, if it is among those `near` the best one."""
    for option in near:
        if option.row.key == last.key and option.row.target.weight > 0:
            return [option, *(other for other in options if other is not option)]
    return None


def _weighted(options: Sequence[Option], u: float) -> Iterator[Option]:
    """A draw without replacement by weight; `u` in [0, 1) decides all of it, so equal requests draw equally.

    Weight 0 comes last: no share of the traffic, but still somebody to fail over to.
    """
    left = [(option, option.row.target.weight) for option in options if option.row.target.weight > 0]
    while left:
        total = sum(weight for _, weight in left)
        mark = u * total
        for position, (option, weight) in enumerate(left):
            if mark < weight or position == len(left) - 1:
                yield option
                u = min(max(mark / weight, 0.0), 1 - 1e-9)  # what is left of u within this share is uniform again
                del left[position]
                break
            mark -= weight
    yield from (option for option in options if option.row.target.weight <= 0)
