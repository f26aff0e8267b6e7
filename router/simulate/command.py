"""`turnout simulate`: play what was asked for behind a progress bar, and show, write or draw the report."""

import sys
from collections.abc import Collection
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from router.settings.validate import nearest
from router.simulate.campaign import planned, simulate
from router.simulate.measure import Report
from router.simulate.players import DEFAULT, NAMES
from router.simulate.plots import draw_plots
from router.simulate.report import print_report
from router.simulate.scenarios import SCENARIOS, SECONDS
from router.simulate.workload import read_trace

_PIPED_WIDTH = 150


class UnknownNameError(ValueError):
    """No scenario, or no way of routing, has that name; or what it takes is not installed."""


class Request(Struct, frozen=True):
    """What the command line asked for; no names: all."""

    scenarios: tuple[str, ...]
    players: tuple[str, ...]
    seeds: int
    first_seed: int
    jobs: int
    trace: Path | None
    json_file: Path | None
    plots: Path | None


def run(request: Request) -> Report:
    """Raises UnknownNameError, SettingsError for a trace that cannot be read, OSError."""
    for name in request.scenarios:
        _known("scenario", name, SCENARIOS)
    for name in request.players:
        _known("way of routing", name, NAMES)
    scenarios = [SCENARIOS[name] for name in request.scenarios or SCENARIOS]
    trace = read_trace(request.trace, SECONDS) if request.trace else ()
    console = Console(stderr=True)
    columns = TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        names = request.players or DEFAULT
        task = progress.add_task("", total=len(planned(scenarios, names, request.seeds)))
        report = simulate(
            scenarios,
            names,
            request.seeds,
            first_seed=request.first_seed,
            jobs=request.jobs,
            trace=trace,
            done=lambda: progress.advance(task),
        )
    if request.json_file is None or str(request.json_file) != "-":
        print_report(report, _wide_enough(Console()))
    if request.json_file is not None:
        _write(msgspec.json.format(msgspec.json.encode(report)), request.json_file)
    if request.plots is not None:
        try:
            files = draw_plots(report, request.plots)
        except ImportError as exc:
            raise UnknownNameError("plots need matplotlib: pip install 'turnout[plots]'") from exc
        console.print(f"{len(files)} pictures in {request.plots}")
    return report


def _wide_enough(console: Console) -> Console:
    """The console, as wide as the tables are where no terminal says how wide it is."""
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    return console


def _known(what: str, name: str, among: Collection[str]) -> None:
    if name not in among:
        raise UnknownNameError(f"no {what} is called {name!r}{nearest(name, among)}")


def _write(data: bytes, file: Path) -> None:
    if str(file) == "-":
        sys.stdout.buffer.write(data + b"\n")
    else:
        file.write_bytes(data + b"\n")
