"""What one run comes to: waits, cost, failures, and how traffic left a troubled target and came back."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from router.simulate.played import Played
from router.simulate.scenarios import SECONDS, Scenario

BIN_S = 5.0

_WINDOW = 20  # requests over which a share is taken where its changes are looked for
_SETTLED_S = 60.0


class Swing(Struct, frozen=True):
    """How traffic left the focus and came back.

    `left_s` is how long after the trouble began nine in ten requests went elsewhere, `left_requests` how many had been
    sent there meanwhile; `returned_s` how long after its end nine in ten were back; `flaps` how often traffic swung
    beyond leaving and coming back.
    """

    left_s: float
    left_requests: float
    returned_s: float
    flaps: float


class Figures(Struct, frozen=True, kw_only=True):
    """One run. Waits in seconds; `attempts` a request; all else but cost are shares of requests in [0, 1].

    `focus_share` is who was asked first while the focus was in trouble and the first minute over; `shares` the same in
    each bin of `BIN_S` seconds.
    """

    requests: int
    p50: float
    p95: float
    p99: float
    cost_usd: float
    attainment: float
    failed: float
    attempts: float
    probes: float
    focus_share: float
    early_p95: float
    swing: Swing | None
    shares: tuple[float, ...]


def figures(scenario: Scenario, played: Sequence[Played]) -> Figures:
    """What a run comes to; of requests before `warm_s` only the shares and `early_p95` speak."""
    judged = [each for each in played if each.at >= scenario.warm_s]
    waits = sorted(each.wait_s for each in judged)
    early = sorted(each.wait_s for each in played if each.at < _SETTLED_S)
    limit_s = (scenario.slo.ttft_p95_ms or 0.0) / 1000
    count = len(judged)
    since = max(scenario.since, _SETTLED_S)
    troubled = [each.asked == scenario.focus for each in played if since <= each.at < scenario.until]
    passing = scenario.since > 0 and any(each.slowdown > 1 for each in scenario.targets[scenario.focus].phases)
    return Figures(
        requests=count,
        p50=quantile(waits, 0.5),
        p95=quantile(waits, 0.95),
        p99=quantile(waits, 0.99),
        cost_usd=sum(each.cost_usd for each in judged),
        attainment=sum(each.wait_s <= limit_s for each in judged) / count if limit_s else 1.0,
        failed=sum(each.failed for each in judged) / count,
        attempts=sum(each.attempts for each in judged) / count,
        probes=sum(each.probe for each in judged) / count,
        focus_share=sum(troubled) / max(1, len(troubled)),
        early_p95=quantile(early, 0.95) if early else 0.0,
        swing=_swing(scenario, played) if passing else None,
        shares=_shares(scenario, played),
    )


def quantile(ordered: Sequence[float], q: float) -> float:
    """By linear interpolation between order statistics. `ordered` ascends and is not empty."""
    position = q * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def _shares(scenario: Scenario, played: Sequence[Played]) -> tuple[float, ...]:
    bins = int(SECONDS / BIN_S)
    there, total = [0] * bins, [0] * bins
    for each in played:
        place = min(int(each.at / BIN_S), bins - 1)
        total[place] += 1
        there[place] += each.asked == scenario.focus
    return tuple(one / most if most else 0.0 for one, most in zip(there, total, strict=True))


def _swing(scenario: Scenario, played: Sequence[Played]) -> Swing:
    since, until = scenario.since, scenario.until
    left = _first(scenario, played, since, until, lambda share: share <= 0.1)
    returned = _first(scenario, played, until, SECONDS, lambda share: share >= 0.9)
    sent = sum(each.asked == scenario.focus and since <= each.at < left for each in played)
    return Swing(left - since, sent, returned - until, max(0, _changes(scenario, played) - 2))


def _first(
    scenario: Scenario, played: Sequence[Played], since: float, until: float, holds: Callable[[float], bool]
) -> float:
    """When a window of requests first begins whose share at the focus is as wanted; `until` when none does."""
    start = next((place for place, each in enumerate(played) if each.at >= since), len(played))
    for place in range(start, len(played) - _WINDOW):
        if played[place].at >= until:
            break
        if holds(sum(each.asked == scenario.focus for each in played[place : place + _WINDOW]) / _WINDOW):
            return played[place].at
    return until


def _changes(scenario: Scenario, played: Sequence[Played]) -> int:
    """How often the windowed share went from above 0.7 to below 0.3 or back since the trouble began."""
    there = [each.asked == scenario.focus for each in played if each.at >= scenario.since]
    high, changes = True, 0
    count = sum(there[:_WINDOW])
    for place in range(_WINDOW, len(there)):
        count += there[place] - there[place - _WINDOW]
        share = count / _WINDOW
        if (share < 0.3) if high else (share > 0.7):
            high, changes = not high, changes + 1
    return changes
