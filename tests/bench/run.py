"""CPU per request of the router against a floor, in one run on one box: ratios travel, microseconds do not.

    python tests/bench/run.py [--json FILE] [--peers] [--rounds N] [--seconds S]

The target runs alone on one core, the simulated upstream and the load on the others. Targets take turns, so that a
noisy neighbour meets all of them; every figure is the median of the rounds.
"""

import argparse
import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from peers import peers
from processes import HOST, OTHER_CORES, TARGET_CORE, environment, python
from rich.console import Console
from rich.table import Table
from targets import CHUNKS, SCENARIOS, Scenario, Target, floor, mock, relay, turnout

_WARM_UP_S = 0.5
_PIPED_WIDTH = 150
_PLANNING_BUDGET_US = 25.0
_START_BUDGET_S, _IMPORT_BUDGET_S, _MEMORY_BUDGET_MIB = 2.0, 0.6, 120.0

Figures = dict[str, float]
Results = dict[str, dict[str, list[Figures]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--peers", action="store_true", help="measure other gateways as well")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.2, help="of load per figure and round")
    parser.add_argument("--only", default="", help="scenarios whose name holds this text")
    args = parser.parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    scenarios = [scenario for scenario in SCENARIOS if args.only in scenario.name]
    with tempfile.TemporaryFile() as log:
        try:
            results, single = _measure(args, scenarios, console, log)
        except RuntimeError as exc:
            log.seek(0)
            console.print(f"[red]{exc}[/red]\n{log.read()[-2000:].decode(errors='replace')}", markup=True)
            return 1
    console.print(_table(results, scenarios))
    console.print(_single_table(single))
    console.print(
        "p50 and p99 are those of a saturated core (plain) or of the upstream's own pace (chunks).", style="dim"
    )
    if args.json:
        args.json.write_text(json.dumps({"load": results, "single": single}, indent=2))
    return 0


def _measure(
    args: argparse.Namespace, scenarios: list[Scenario], console: Console, log: IO[bytes]
) -> tuple[Results, Figures]:
    single = {} if args.only else _single_figures(console)
    results: Results = {}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(mock(log))
        targets = [stack.enter_context(floor(upstream, log)), stack.enter_context(turnout(upstream, log))]
        targets.append(relay(targets[0]))
        first = _ask(targets[1], scenarios[0])
        single["start to first answer, s"] = first - targets[1].process.started
        single["idle memory, MiB"] = targets[1].process.memory_mib()
        if args.peers:
            targets += peers(stack, upstream, log, lambda text: console.print(text, markup=False))
        with tempfile.TemporaryDirectory() as bodies:
            load = _Load(Path(bodies))
            for scenario in scenarios:
                for number in range(args.rounds + 1):
                    console.print(f"{scenario.name}: {'warm-up' if not number else f'round {number}'}", style="dim")
                    for target in targets:
                        if scenario.wire not in target.endpoints:
                            continue
                        try:
                            figures = load.run(target, scenario, args.seconds if number else _WARM_UP_S)
                        except RuntimeError as exc:
                            if target in targets[:3]:
                                raise
                            console.print(f"left out here: {exc}", markup=False)
                            continue
                        if number:
                            results.setdefault(scenario.name, {}).setdefault(target.name, []).append(figures)
    return results, single


class _Load:
    """Runs the load generator against a target and reads the target's CPU clock around it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def run(self, target: Target, scenario: Scenario, seconds: float) -> Figures:
        endpoint = target.endpoints[scenario.wire]
        body = self._directory / "body.json"
        body.write_bytes(scenario.encoded(endpoint.model))
        headers = [item for line in endpoint.headers for item in ("--header", line)]
        events = ["--events", CHUNKS] if scenario.stream else []
        command = python("load.py", HOST, target.port, endpoint.path, body, "--seconds", seconds, *events, *headers)
        before = target.process.cpu_s()
        done = json.loads(_output(command, OTHER_CORES))
        cpu_s = target.process.cpu_s() - before
        if done["failures"] or not done["answers"]:
            raise RuntimeError(f"{target.name}, {scenario.name}: {done['failures']}")
        return {
            "cpu_us": cpu_s / done["answers"] / scenario.per * 1e6,
            "per_s": done["answers"] / done["seconds"],
            "p50_ms": done["p50_ms"],
            "p99_ms": done["p99_ms"],
            "memory_mib": target.process.memory_mib(),
        }


def _single_figures(console: Console) -> Figures:
    """Figures that need no load."""
    console.print("planner, import time", style="dim")
    imported = "import time; t = time.perf_counter(); import router.app; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", imported]
    _output(command, TARGET_CORE)  # fills the byte code cache
    return {
        "planner and health, 10 candidates, us": _median(python("planning.py")),
        "import router.app, s": _median(command),
    }


def _median(command: list[str]) -> float:
    return statistics.median(float(_output(command, TARGET_CORE)) for _ in range(3))


def _output(command: list[str], cores: set[int]) -> str:
    pinned = ["taskset", "-c", ",".join(map(str, sorted(cores))), *command]
    done = subprocess.run(pinned, capture_output=True, text=True, env=environment(), timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


def _ask(target: Target, scenario: Scenario) -> float:
    """One request; the time of its answer."""
    endpoint = target.endpoints[scenario.wire]
    headers = dict(line.split(": ", 1) for line in endpoint.headers) | {"content-type": "application/json"}
    connection = http.client.HTTPConnection(HOST, target.port, timeout=20)
    connection.request("POST", endpoint.path, scenario.encoded(endpoint.model), headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{target.name} answered {answer.status}: {body[:300]!r}")
    return time.perf_counter()


def _table(results: Results, scenarios: Iterable[Scenario]) -> Table:
    table = Table(title="CPU of the target under load (median of the rounds)")
    table.add_column("scenario")
    table.add_column("target")
    for title in ("CPU", "to the floor", "budget", "requests/s per core", "p50 ms", "p99 ms", "MiB"):
        table.add_column(title, justify="right")
    for scenario in scenarios:
        rounds = results[scenario.name]
        for name, figures in rounds.items():
            cpu = _of(figures, "cpu_us")
            ratio = statistics.median(
                mine["cpu_us"] / theirs["cpu_us"] for mine, theirs in zip(figures, rounds["floor"], strict=True)
            )
            budget = scenario.budget if name == "turnout" else None
            table.add_row(
                scenario.name,
                name,
                f"{cpu:,.1f} {scenario.unit}",
                f"{ratio:.2f}x",
                _judged(f"<= {budget}x", ratio <= budget) if budget else "",
                f"{1e6 / cpu / scenario.per:,.0f}",
                f"{_of(figures, 'p50_ms'):,.1f}",
                f"{_of(figures, 'p99_ms'):,.1f}",
                f"{_of(figures, 'memory_mib'):,.0f}",
            )
        table.add_section()
    return table


def _single_table(single: Figures) -> Table:
    budgets = {
        "planner and health, 10 candidates, us": _PLANNING_BUDGET_US,
        "import router.app, s": _IMPORT_BUDGET_S,
        "start to first answer, s": _START_BUDGET_S,
        "idle memory, MiB": _MEMORY_BUDGET_MIB,
    }
    table = Table(title="Without load")
    table.add_column("figure")
    table.add_column("turnout", justify="right")
    table.add_column("budget", justify="right")
    for name, value in single.items():
        table.add_row(name, f"{value:.2f}", _judged(f"<= {budgets[name]:g}", value <= budgets[name]))
    return table


def _of(figures: list[Figures], name: str) -> float:
    return statistics.median(one[name] for one in figures)


def _judged(text: str, kept: bool) -> str:
    return f"[green]{text}[/green]" if kept else f"[red]{text} missed[/red]"


if __name__ == "__main__":
    sys.exit(main())
