"""`turnout eval`: read the file behind a progress bar, and show, write or draw what was found."""

import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from router.evaluate.data import DataError, Sample, read_samples
from router.evaluate.plots import draw_curve
from router.evaluate.report import Plan, Report, evaluate, groups_of
from router.evaluate.show import print_report


def run(data: Path, pair: str, plan: Plan, json_file: Path | None, plots: Path | None) -> Report:
    """Raises DataError for a file that cannot be used, or a picture that cannot be drawn; OSError."""
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        samples: list[Sample] = []
        task = progress.add_task("reading", total=None)
        for sample in read_samples(data, pair):
            samples.append(sample)
            if len(samples) % 500 == 0:
                progress.update(task, completed=len(samples))
        if not samples:
            raise DataError(f"{data}: no rows")
        progress.remove_task(task)
        task = progress.add_task("resampling", total=len(groups_of(samples, plan.least)))
        report = evaluate(samples, data.name, plan, done=lambda: progress.advance(task))
    if json_file is None or str(json_file) != "-":
        print_report(report, Console())
    if json_file is not None:
        written = msgspec.json.format(msgspec.json.encode(report)) + b"\n"
        if str(json_file) == "-":
            sys.stdout.buffer.write(written)
        else:
            json_file.write_bytes(written)
    if plots is not None:
        try:
            files = draw_curve(report, plots)
        except ImportError as exc:
            raise DataError("plots need matplotlib: pip install 'turnout[plots]'") from exc
        console.print(f"{len(files)} pictures in {plots}")
    return report
