"""What waiting less costs: the router under ten SLOs, beside what every other way of routing costs and takes."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from msgspec import Struct
from msgspec.structs import replace

from router.settings.values import Slo
from router.simulate.figures import Figures
from router.simulate.scenarios import SCENARIOS, Scenario

SWEPT = "s5"
ON_FRONT = 8  # of the ten settings, at least

_SLOS_S = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)


class Point(Struct, frozen=True, kw_only=True):
    """Cost of a run and the 95th percentile of its waits, averaged over seeds.

    Of the router, `slo_s` is what its first tokens had to keep and `attainment` how many did; `beaten_by` are the
    others that cost no more and take no longer: with none it is on the Pareto front.
    """

    player: str
    cost_usd: float
    p95_s: float
    slo_s: float | None = None
    attainment: float = 1.0
    beaten_by: tuple[str, ...] = ()


def settings() -> dict[float, Scenario]:
    """The scenario under each SLO, by the SLO in seconds."""
    base = SCENARIOS[SWEPT]
    return {slo_s: replace(base, name=f"{SWEPT} {slo_s} s", slo=Slo(ttft_p95_ms=1000 * slo_s)) for slo_s in _SLOS_S}


def front(
    player: str, own: Mapping[float, Sequence[Figures]], others: Mapping[str, Sequence[Figures]]
) -> tuple[Point, ...]:
    """The points of `player` by SLO, then those of the others, which know of no SLO."""
    fixed = [_point(name, runs) for name, runs in others.items()]
    swept = [_point(player, runs, slo_s) for slo_s, runs in own.items()]
    return (*(replace(point, beaten_by=_beaten_by(point, fixed)) for point in swept), *fixed)


def on_front(points: Sequence[Point]) -> int:
    """How many settings nobody beats."""
    return sum(point.slo_s is not None and not point.beaten_by for point in points)


def _point(player: str, runs: Sequence[Figures], slo_s: float | None = None) -> Point:
    return Point(
        player=player,
        cost_usd=fmean(run.cost_usd for run in runs),
        p95_s=fmean(run.p95 for run in runs),
        slo_s=slo_s,
        attainment=fmean(run.attainment for run in runs),
    )


def _beaten_by(point: Point, others: Sequence[Point]) -> tuple[str, ...]:
    return tuple(
        other.player
        for other in others
        if other.cost_usd <= point.cost_usd
        and other.p95_s <= point.p95_s
        and (other.cost_usd, other.p95_s) != (point.cost_usd, point.p95_s)
    )
