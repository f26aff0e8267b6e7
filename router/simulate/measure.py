"""Runs of many seeds against the oracle's, and what they say: means with 95 % intervals, and one figure over all."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import NormalDist, fmean, stdev

from msgspec import Struct

from router.simulate.figures import Figures, Swing
from router.simulate.players import LITELLM, ORACLE, PUBLISHED
from router.simulate.scenarios import Scenario
from router.simulate.sweep import Point

Runs = Mapping[str, Mapping[str, Sequence[Figures]]]
"""By scenario and player: one entry for each seed, in the same order."""

_PROMISED = 0.95  # the share of answers that an SLO at the 95th percentile promises


class Estimate(Struct, frozen=True):
    """A mean over seeds and half the width of its 95 % interval (Student's t)."""

    mean: float
    half: float


class SwingRow(Struct, frozen=True):
    """`Swing`, averaged over seeds; `left_worst` is the largest of `left_s`."""

    left_s: Estimate
    left_requests: Estimate
    returned_s: Estimate
    flaps: Estimate
    left_worst: float


class Row(Struct, frozen=True, kw_only=True):
    """One way of routing in one scenario. Regrets are (figure - oracle's) / oracle's, seed by seed.

    `excess` is what counts towards the overall figure: the mean of the three regrets; under an SLO the cost regret and
    the missing share of the promised attainment. None of them counts below 0.
    """

    scenario: str
    player: str
    regret_p50: Estimate
    regret_p95: Estimate
    regret_p99: Estimate
    cost_regret: Estimate
    attainment: Estimate
    failed: Estimate
    attempts: Estimate
    probes: Estimate
    focus_share: Estimate
    early_regret_p95: Estimate
    excess: float
    swing: SwingRow | None
    shares: tuple[float, ...]


class Report(Struct, frozen=True, kw_only=True):
    """All rows, and per player the geometric mean of (1 + excess) over the scenarios, minus 1, best first.

    `front` is what the sweep over SLOs came to, where that was played.
    """

    seeds: int
    requests: Mapping[str, int]
    rows: tuple[Row, ...]
    overall: Mapping[str, float]
    front: tuple[Point, ...] = ()

    @property
    def best_litellm(self) -> float | None:
        """The least overall figure of LiteLLM's strategies, where one was played."""
        return min((self.overall[name] for name in LITELLM if name in self.overall), default=None)

    @property
    def best_published(self) -> float | None:
        return min((self.overall[name] for name in PUBLISHED if name in self.overall), default=None)


def measure(scenarios: Iterable[Scenario], runs: Runs, front: tuple[Point, ...] = ()) -> Report:
    """Everything the runs say. The oracle must be among the players, and the first seed of all comes first."""
    rows: list[Row] = []
    requests: dict[str, int] = {}
    for scenario in scenarios:
        played = runs[scenario.name]
        oracle = played[ORACLE]
        requests[scenario.name] = sum(run.requests for run in oracle)
        rows += [_row(scenario, name, found, oracle) for name, found in played.items()]
    names = dict.fromkeys(row.player for row in rows if row.player != ORACLE)
    overall = {name: _geometric([row.excess for row in rows if row.player == name]) for name in names}
    ranked = dict(sorted(overall.items(), key=lambda pair: pair[1]))
    seeds = len(next(iter(next(iter(runs.values())).values())))
    return Report(seeds=seeds, requests=requests, rows=tuple(rows), overall=ranked, front=front)


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and half width; the latter is infinite for a single value."""
    if len(values) < 2:
        return Estimate(fmean(values), math.inf)
    return Estimate(fmean(values), _student(len(values) - 1) * stdev(values) / math.sqrt(len(values)))


def _row(scenario: Scenario, name: str, runs: Sequence[Figures], oracle: Sequence[Figures]) -> Row:
    def regret(figure: Callable[[Figures], float]) -> Estimate:
        return estimate([figure(run) / figure(best) - 1 for run, best in zip(runs, oracle, strict=True)])

    def plain(figure: Callable[[Figures], float]) -> Estimate:
        return estimate([figure(run) for run in runs])

    regrets = regret(lambda run: run.p50), regret(lambda run: run.p95), regret(lambda run: run.p99)
    cost, attainment = regret(lambda run: run.cost_usd), plain(lambda run: run.attainment)
    excess = fmean(max(0.0, each.mean) for each in regrets)
    if scenario.sort == "cost":
        excess = max(0.0, cost.mean) + max(0.0, _PROMISED - attainment.mean) / (1 - _PROMISED)
    bins = range(len(runs[0].shares))
    return Row(
        scenario=scenario.name,
        player=name,
        regret_p50=regrets[0],
        regret_p95=regrets[1],
        regret_p99=regrets[2],
        cost_regret=cost,
        attainment=attainment,
        failed=plain(lambda run: run.failed),
        attempts=plain(lambda run: run.attempts),
        probes=plain(lambda run: run.probes),
        focus_share=plain(lambda run: run.focus_share),
        early_regret_p95=regret(lambda run: run.early_p95),
        excess=excess,
        swing=_swing([run.swing for run in runs if run.swing is not None]),
        shares=tuple(fmean(run.shares[place] for run in runs) for place in bins),
    )


def _swing(swings: Sequence[Swing]) -> SwingRow | None:
    if not swings:
        return None
    return SwingRow(
        estimate([each.left_s for each in swings]),
        estimate([each.left_requests for each in swings]),
        estimate([each.returned_s for each in swings]),
        estimate([each.flaps for each in swings]),
        max(each.left_s for each in swings),
    )


def _geometric(excesses: Sequence[float]) -> float:
    return math.exp(fmean(math.log1p(each) for each in excesses)) - 1


def _student(freedom: int) -> float:
    """The 97.5th percentile of Student's t, by its expansion in 1/freedom: within 1 % from 4 degrees on."""
    z = NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
