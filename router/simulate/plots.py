"""A report as pictures. Needs matplotlib, which only this file imports, and only when pictures are asked for."""

from pathlib import Path

from router.simulate.figures import BIN_S
from router.simulate.measure import Report, Row
from router.simulate.players import ORACLE, OURS
from router.simulate.scenarios import SCENARIOS
from router.simulate.sweep import SWEPT, Point

_COLOURS = [f"tab:{name}" for name in ("red", "orange", "brown", "pink", "blue", "cyan", "green", "olive", "gray")] * 2
_WAITS_S = (0.5, 1, 2, 5, 10, 20, 50, 100)


def draw_plots(report: Report, folder: Path) -> list[Path]:
    """Write `<scenario>-regret.svg`, `<scenario>-share.svg`, `s5-front.svg`; gives the files. Raises ImportError."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for scenario in report.requests:
        rows = [row for row in report.rows if row.scenario == scenario]
        files.append(_regrets(scenario, rows, folder / f"{scenario}-regret.svg"))
        files.append(_shares(scenario, rows, folder / f"{scenario}-share.svg"))
    if report.front:
        files.append(_front(report.front, folder / f"{SWEPT}-front.svg"))
    return files


def _regrets(scenario: str, rows: list[Row], file: Path) -> Path:
    from matplotlib.figure import Figure  # here: an optional extra, 0.5 s to import

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    shown = [row for row in rows if row.player != ORACLE]
    series = {
        "p50": [row.regret_p50 for row in shown],
        "p95": [row.regret_p95 for row in shown],
        "p99": [row.regret_p99 for row in shown],
        "cost": [row.cost_regret for row in shown],
    }
    for number, (label, found) in enumerate(series.items()):
        places = [place + 0.2 * (number - 1.5) for place in range(len(shown))]
        axes.bar(
            places,
            [100 * each.mean for each in found],
            width=0.2,
            yerr=[100 * each.half for each in found],
            label=label,
            error_kw={"elinewidth": 0.7},
        )
    axes.set_xticks(range(len(shown)), [row.player for row in shown], rotation=30, ha="right")
    axes.set_yscale("symlog", linthresh=10)
    axes.set_ylabel("regret against the oracle, %")
    axes.set_title(f"{scenario}: {SCENARIOS[scenario].title}")
    axes.axhline(0, color="black", linewidth=0.7)
    axes.yaxis.set_major_formatter("{x:+.0f}")
    figure.legend(loc="outside right upper")
    figure.savefig(file)
    return file


def _shares(scenario: str, rows: list[Row], file: Path) -> Path:
    from matplotlib.figure import Figure  # here: an optional extra, 0.5 s to import

    world = SCENARIOS[scenario]
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    others = iter(_COLOURS)
    for row in rows:
        times = [place * BIN_S for place in range(len(row.shares))]
        match row.player:
            case name if name == OURS:
                axes.plot(times, row.shares, label=name, color="black", linewidth=3, zorder=3)
            case name if name == ORACLE:
                axes.plot(times, row.shares, "--", label=name, color="black", linewidth=1, zorder=2)
            case name:
                axes.plot(times, row.shares, label=name, color=next(others), linewidth=1, alpha=0.7)
    if world.since:
        axes.axvspan(world.since, world.until, color="red", alpha=0.08)
    axes.set_xlabel("seconds")
    axes.set_ylabel(f"share of requests that ask {world.targets[world.focus].name} first")
    axes.set_title(f"{scenario}: {world.title}")
    axes.set_ylim(0, 1.02)
    figure.legend(loc="outside right upper")
    figure.savefig(file)
    return file


def _front(points: tuple[Point, ...], file: Path) -> Path:
    """Cost over wait: the router's line of SLOs, and a mark for everybody else. Left and below is better."""
    from matplotlib.figure import Figure  # here: an optional extra, 0.5 s to import

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    ours = [point for point in points if point.slo_s is not None]
    axes.plot([point.p95_s for point in ours], [point.cost_usd for point in ours], "o-", color="black", zorder=3)
    alike: dict[tuple[float, float], list[float]] = {}
    for point in ours:
        alike.setdefault((round(point.p95_s, 1), round(point.cost_usd)), []).append(point.slo_s or 0.0)
    for (p95_s, cost_usd), slos in alike.items():
        name = f"{slos[0]:g} s" if len(slos) == 1 else f"{slos[0]:g} to {slos[-1]:g} s"
        axes.annotate(name, (p95_s, cost_usd), (8, 4), textcoords="offset points", weight="bold")
    for point in points:
        if point.slo_s is None:
            axes.plot([point.p95_s], [point.cost_usd], "x", color="tab:red")
            spot = point.p95_s, point.cost_usd
            axes.annotate(point.player, spot, (-8, -3), textcoords="offset points", ha="right", color="tab:red")
    axes.set_xscale("log")
    axes.set_xticks(_WAITS_S, [f"{wait_s:g}" for wait_s in _WAITS_S], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlim(0.5, 100)
    axes.set_xlabel("95th percentile of the wait, s")
    axes.set_ylabel("cost of a run, $")
    axes.set_title(f"{SWEPT}: {OURS} under SLOs from {ours[0].slo_s:g} s to {ours[-1].slo_s:g} s, and the others")
    figure.savefig(file)
    return file
