"""A report as tables on a terminal."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router.evaluate.gain import Interval
from router.evaluate.report import Group, Report


def print_report(report: Report, console: Console) -> None:
    """The knob's table, the curve at a few shares, APGR by group, and what all of it does not say."""
    console.print(_knob_table(report))
    console.print(_curve_table(report))
    console.print(_group_table(report))
    for caveat in report.caveats:
        console.print(f"- {escape(caveat)}", highlight=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left")
    return table


def _knob_table(report: Report) -> Table:
    title = f"what cost_quality does over {report.tiers} tiers; the last is the stronger model"
    table = _table(title, "cost_quality", "above the first tier", "in the last tier", "quality", "cost")
    for each in report.settings:
        point = each.point
        cells = _percent(each.raised), _percent(point.share), _percent(point.quality), f"{point.cost:.2f}"
        table.add_row(f"{each.cost_quality:.1f}", *cells)
    return table


def _curve_table(report: Report) -> Table:
    table = _table("quality by share of calls to the stronger model", "share", *report.curves, "random", "cost (score)")
    curve = report.curves["score"]
    first, last = curve[0].quality, curve[-1].quality
    for place in range(0, len(curve), 4):
        share = curve[place].share
        cells = [_percent(points[place].quality) for points in report.curves.values()]
        at_random = _percent(first + share * (last - first))
        table.add_row(_percent(share), *cells, at_random, f"{curve[place].cost:.2f}")
    table.caption = "share 0 is always the weak model, 100 % always the strong one; cost: always weak = 1"
    return table


def _group_table(report: Report) -> Table:
    title = f"APGR, with 95 % intervals of {report.resamples} resamples; random is 0.5"
    table = _table(title, "", "prompts", "weak", "strong", *report.groups[0].apgr)
    table.columns[0].overflow = "fold"
    for group in report.groups:
        style = "bold" if group.kind == "all" else None
        table.add_row(escape(group.name), *_cells(group), style=style)
    return table


def _cells(group: Group) -> list[str]:
    shown = [_interval(value) for value in group.apgr.values()]
    return [str(group.samples), _percent(group.weak), _percent(group.strong), *shown]


def _interval(found: Interval | None) -> str:
    return "-" if found is None else escape(f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]")


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"
