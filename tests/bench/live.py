"""Routing over real sockets in real time: two cases in which LiteLLM never returns to a target that is well again.

    python tests/bench/live.py [--json FILE] [--only drift|timeout]

The router runs as `turnout serve`, LiteLLM as its own `Router` with latency-based-routing, both as installed here. Both
meet the same simulated upstreams at the same time, each with two targets of its own: `steady` answers in 200 ms,
`moody` in 10 ms unless it is in trouble. The upstreams count who was asked. Two minutes.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import httpx
from processes import HOST, OTHER_CORES, ROOT, TARGET_CORE, Process, free_port
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

MODEL = "gemini-3.8-flash"
PER_S = 10.0
STEADY_MS, MOODY_MS = 200.0, 10.0
TIMEOUT_S = 1.0
ROUTERS = ("turnout", "litellm")
_WIDTH = 110  # where no terminal says one

Ask = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Case:
    """What befalls `moody` after `calm_s`: a fault of the simulated upstream, `times` at most, for `trouble_s`."""

    name: str
    title: str
    fault: str
    args: dict[str, float]
    times: int | None
    calm_s: float
    trouble_s: float
    after_s: float

    @property
    def seconds(self) -> float:
        return self.calm_s + self.trouble_s + self.after_s

    def rules(self) -> list[dict[str, Any]]:
        """One fault for each router, so that none meets the other's."""
        return [
            {"fault": self.fault, "label": label(router, self.name, "moody"), "args": self.args, "times": self.times}
            for router in ROUTERS
        ]


CASES = (
    Case("drift", "takes 600 ms for 10 s, then 10 ms again", "brown-out", {"factor": 60}, None, 10.0, 10.0, 50.0),
    Case("timeout", "does not answer one request", "stall", {"seconds": 30}, 1, 10.0, 3.0, 37.0),
)


@dataclass(frozen=True)
class Found:
    """What one router did once `moody` was well again; shares are of the requests that it sent upstream."""

    case: str
    router: str
    requests: int
    failed: int
    share: float
    share_of_first_100: float
    share_of_last_100: float


def label(router: str, case: str, target: str) -> str:
    """By this name the simulated upstreams tell apart who is asked, and by whom."""
    return f"{router}-{case}-{target}"


async def play(case: Case, asks: dict[str, Ask], sandbox: httpx.AsyncClient) -> list[Found]:
    """Ask both routers from calm through trouble to long after it."""
    await sandbox.delete("/__sandbox/requests")
    await sandbox.delete("/__sandbox/faults")
    until = time.monotonic() + case.seconds
    asking = [asyncio.create_task(_keep_asking(ask, until)) for ask in asks.values()]
    await asyncio.sleep(case.calm_s)
    await sandbox.put("/__sandbox/faults", json=case.rules())
    await asyncio.sleep(case.trouble_s)
    await sandbox.delete("/__sandbox/faults")
    recovered = time.time()
    failures = await asyncio.gather(*asking)
    entries = (await sandbox.get("/__sandbox/requests")).json()
    return [
        _found(case, router, failed, [entry["label"] for entry in entries if entry["time"] >= recovered])
        for router, failed in zip(asks, failures, strict=True)
    ]


def _found(case: Case, router: str, failed: int, labels: Sequence[str]) -> Found:
    moody, steady = label(router, case.name, "moody"), label(router, case.name, "steady")
    asked = [each == moody for each in labels if each in (moody, steady)]
    return Found(case.name, router, len(asked), failed, *(_share(part) for part in (asked, asked[:100], asked[-100:])))


def _share(asked: Sequence[bool]) -> float:
    return sum(asked) / len(asked) if asked else 0.0


async def _keep_asking(ask: Ask, until: float) -> int:
    """Ask at a steady rate, whatever becomes of it; gives how many requests failed."""
    asked = []
    while time.monotonic() < until:
        asked.append(asyncio.ensure_future(ask()))
        await asyncio.sleep(1 / PER_S)
    return sum(isinstance(each, Exception) for each in await asyncio.gather(*asked, return_exceptions=True))


# --- who is asked


@contextlib.contextmanager
def upstreams(folder: Path, log: IO[bytes]) -> Iterator[str]:
    """The simulated upstreams; gives their base URL."""
    port, file = free_port(), folder / "sandbox.json"
    latency = {
        f"{label(router, case.name, target)}/*": {"ttft_ms": ms, "tokens_per_s": 0}
        for router in ROUTERS
        for case in CASES
        for target, ms in (("moody", MOODY_MS), ("steady", STEADY_MS))
    }
    file.write_text(json.dumps({"latency": latency, "log_size": 10_000}))
    command = [sys.executable, "-m", "providers.sandbox", "--host", HOST, "--port", str(port), "--config", file]
    with Process(command, OTHER_CORES, log) as process:
        process.wait_until_listening(port)
        yield f"http://{HOST}:{port}"


@contextlib.asynccontextmanager
async def turnout(sandbox: str, folder: Path, log: IO[bytes]) -> AsyncIterator[Callable[[Case], Ask]]:
    """The router in a process of its own, asked over HTTP."""
    port, file = free_port(), folder / "turnout.yaml"
    providers = {
        f"{case.name}-{target}": {
            "type": "openai",
            "api_key": "k",
            "base_url": f"{sandbox}/p/{label('turnout', case.name, target)}/openai/v1",
        }
        for case in CASES
        for target in ("moody", "steady")
    }
    models = {
        case.name: {
            "targets": [
                {"target": f"{case.name}-{target}/{MODEL}", "timeout_s": TIMEOUT_S} for target in ("steady", "moody")
            ],
            "sort": "latency",
        }
        for case in CASES
    }
    file.write_text(json.dumps({"providers": providers, "models": models}))  # JSON is YAML
    shutil.copy(ROOT / "config" / "models.yaml", folder)
    command = [sys.executable, "-m", "router", "serve", "--config", file, "--host", HOST, "--port", str(port)]
    with Process(command, TARGET_CORE, log) as process:
        process.wait_until_listening(port)
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=30, trust_env=False) as client:

            def asking(case: Case) -> Ask:
                async def ask() -> None:
                    answer = await client.post("/v1/chat/completions", json={"model": case.name, **_QUESTION})
                    answer.raise_for_status()

                return ask

            yield asking


def litellm(sandbox: str) -> Callable[[Case], Ask]:
    """LiteLLM's own router with the same targets and otherwise its defaults.

    One for all cases: a second one in the same process would not be told of its answers.
    """
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # its import goes to the network otherwise
    os.environ["LITELLM_LOG"] = "ERROR"  # it warns of every request without a price
    from litellm import Router  # here: two seconds

    deployments = [
        {
            "model_name": case.name,
            "litellm_params": {
                "model": f"openai/{MODEL}",
                "api_base": f"{sandbox}/p/{label('litellm', case.name, target)}/openai/v1",
                "api_key": "k",
                "timeout": TIMEOUT_S,
            },
        }
        for case in CASES
        for target in ("steady", "moody")
    ]
    router = Router(model_list=deployments, routing_strategy="latency-based-routing")

    def asking(case: Case) -> Ask:
        def ask() -> Awaitable[object]:
            return router.acompletion(model=case.name, **_QUESTION)

        return ask

    return asking


_QUESTION: dict[str, Any] = {"messages": [{"role": "user", "content": "say: well"}]}


async def run(cases: Sequence[Case], log: IO[bytes], console: Console) -> list[Found]:
    """Every case, one after the other, behind a progress bar."""
    found: list[Found] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = stack.enter_context(upstreams(folder, log))
        async with turnout(base, folder, log) as ours, httpx.AsyncClient(base_url=base, trust_env=False) as sandbox:
            theirs = litellm(base)
            for case in cases:
                asks = {"turnout": ours(case), "litellm": theirs(case)}
                playing = asyncio.create_task(play(case, asks, sandbox))
                await _watch(case, playing, console)
                found += await playing
    return found


async def _watch(case: Case, playing: asyncio.Task[list[Found]], console: Console) -> None:
    columns = TextColumn(f"{case.name}: moody {case.title}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=case.seconds)
        while not playing.done():
            await asyncio.sleep(0.5)
            progress.advance(task, 0.5)


def table(found: Sequence[Found]) -> Table:
    titles = {case.name: case.title for case in CASES}
    shown = Table(
        title="share of requests to the target that is well again, and 20 times faster than the other",
        title_justify="left",
    )
    shown.add_column("`moody` ...")
    shown.add_column("router")
    for name in ("requests", "failed", "first 100", "all", "last 100"):
        shown.add_column(name, justify="right")
    for each in found:
        shares = (f"{100 * share:.0f} %" for share in (each.share_of_first_100, each.share, each.share_of_last_100))
        shown.add_row(titles[each.case], each.router, str(each.requests), str(each.failed), *shares)
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--only", choices=[case.name for case in CASES])
    args = parser.parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    with tempfile.TemporaryFile() as log:
        try:
            found = asyncio.run(run([case for case in CASES if args.only in (None, case.name)], log, console))
        except RuntimeError as exc:
            log.seek(0)
            console.print(f"{exc}\n{log.read()[-2000:].decode(errors='replace')}", markup=False)
            return 1
    console.print(table(found))
    if args.json:
        args.json.write_text(json.dumps([asdict(each) for each in found], indent=2) + "\n")
    ours = [each for each in found if each.router == "turnout"]
    returned = all(each.share_of_last_100 >= 0.9 and not each.failed for each in ours)
    console.print("turnout returned to it" if returned else "turnout did NOT return to it")
    return 0 if returned else 1


if __name__ == "__main__":
    raise SystemExit(main())
