"""A report as tables on a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table

from router.simulate.measure import Estimate, Report, Row
from router.simulate.players import OURS
from router.simulate.scenarios import SCENARIOS
from router.simulate.sweep import Point
from router.simulate.targets import verdicts

_WIDE = 110  # columns of a terminal that have room for intervals


def print_report(report: Report, console: Console) -> None:
    """One table a scenario, what was to be reached, and the overall figure."""
    for scenario, requests in report.requests.items():
        rows = [row for row in report.rows if row.scenario == scenario]
        title = f"{scenario}: {SCENARIOS[scenario].title}, {report.seeds} seeds, {requests} requests; regrets in %"
        console.print(_scenario_table(title, rows, wide=console.width >= _WIDE), "")
    if report.front:
        console.print(_front_table(report.front))
    _print_goals(report, console)
    table = Table(title="over all scenarios", box=box.SIMPLE, title_justify="left")
    table.add_column("")
    table.add_column("geometric mean of excess", justify="right")
    for name, excess in report.overall.items():
        table.add_row(name, _percent(excess), style="bold" if name == OURS else None)
    console.print(table)


def _scenario_table(title: str, rows: list[Row], *, wide: bool) -> Table:
    """One row for each way of routing; intervals only where there is room for them."""
    regrets = _interval if wide else _mean
    under_slo = any(row.attainment.mean < 1 for row in rows)
    swing = any(row.swing for row in rows)
    table = Table(title=title, box=box.SIMPLE, title_justify="left", padding=0, show_edge=False)
    table.add_column("", no_wrap=True)
    for name in (
        *("p50", "p95", "p99", "cost"),
        *(["SLO %"] if under_slo else []),
        *("fail %", "tries", "probe %", "focus %"),
        *(["left s", "back s", "flaps"] if swing else []),
    ):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [regrets(each) for each in (row.regret_p50, row.regret_p95, row.regret_p99, row.cost_regret)]
        cells += [f"{row.attainment.mean * 100:.1f}"] if under_slo else []
        cells += [
            f"{row.failed.mean * 100:.2f}",
            f"{row.attempts.mean:.3f}",
            f"{row.probes.mean * 100:.2f}",
            f"{row.focus_share.mean * 100:.1f}",
        ]
        if row.swing:
            cells += [f"{each.mean:.1f}" for each in (row.swing.left_s, row.swing.returned_s, row.swing.flaps)]
        table.add_row(row.player, *cells, style="bold" if row.player == OURS else None)
    return table


def _front_table(front: tuple[Point, ...]) -> Table:
    table = Table(title="s5 under ten SLOs: cost and wait", box=box.SIMPLE, title_justify="left")
    for name in ("", "SLO s", "cost $", "p95 s", "within SLO", "beaten by"):
        table.add_column(name, justify="left" if name in ("", "beaten by") else "right", no_wrap=not name)
    for point in front:
        ours = point.slo_s is not None
        cells = [f"{point.slo_s:g}", _percent(point.attainment)] if ours else ["", ""]
        table.add_row(
            point.player,
            cells[0],
            f"{point.cost_usd:.2f}",
            f"{point.p95_s:.2f}",
            cells[1],
            ", ".join(point.beaten_by),
            style="bold" if ours else None,
        )
    return table


def _print_goals(report: Report, console: Console) -> None:
    table = Table(title=f"what {OURS} must reach", box=box.SIMPLE, title_justify="left")
    for name in ("", "figure", "found", "bound", ""):
        table.add_column(name, justify="right" if name in ("found", "bound") else "left")
    for each in verdicts(report):
        verdict = "[green]PASS[/]" if each.kept else "[red]FAIL[/]"
        table.add_row(each.scenario, each.words, f"{each.found:.4f}", f"{each.bound:.4f}", verdict)
    if table.row_count:
        console.print(table)


def _interval(found: Estimate) -> str:
    return f"{_mean(found)} ±{found.half * 100:.{_digits(found)}f}"


def _mean(found: Estimate) -> str:
    """In percent."""
    return f"{found.mean * 100:+.{_digits(found)}f}"


def _digits(found: Estimate) -> int:
    return 1 if abs(found.mean) < 0.2 else 0  # a decimal of a hundred percent says nothing


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"
