"""One deadline holds over whatever upstreams do: two hundred ways to fail, in every place, plain and streamed."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from itertools import product

import httpx
from harness import Turnout, chat
from msgspec import Struct

from providers.sandbox.config import FaultRule
from providers.sandbox.faults import FAULTS

MODEL = "gemini-3.8-flash"
GRACE_S = 0.05
AT_ONCE = 16
TRIES = 3  # a machine that is busy elsewhere is late now and then; a router that overruns does so each time
SIZES: dict[str, dict[str, float]] = {  # enough to be refused, not enough to keep the simulated upstream busy
    "huge-headers": {"bytes": 200_000},
    "gzip-bomb": {"bytes": 5_000_000},
    "long-line": {"bytes": 2_000_000},
    "brown-out": {"factor": 2000},
}
STATUSES = [f"status-{status}" for status in (400, 401, 404, 408, 413, 500, 502, 503, 504, 529)]
STRIKING = [*STATUSES, *(name for name, (kind, _) in FAULTS.items() if kind in ("refusal", "line", "delivery"))]
PLACES = ("sole", "first", "last", "both")


class Cell(Struct, frozen=True):
    """One request: what goes wrong, with which targets, and how long it may take."""

    fault: str
    place: str
    deadline_ms: int
    stream: bool


def grid(count: int) -> list[Cell]:
    """So many different cells; every fault is among them, and every place, deadline and form."""
    cells = [Cell(*each) for each in product(STRIKING, PLACES, (150, 300, 600), (False, True))]
    random.Random(1).shuffle(cells)
    first = {cell.fault: cell for cell in cells}
    return [*first.values(), *[cell for cell in cells if first[cell.fault] is not cell]][:count]


def config(cells: Sequence[Cell]) -> str:
    """A model for each cell, with providers of its own: what one fault teaches must not spare the next cell its own."""
    providers = ['  good: {type: openai, api_key: "k"}', '  down: {type: openai, api_key: "k"}']
    models = []
    for number, cell in enumerate(cells):
        for name, dialect in ((f"one{number}", "openai"), (f"two{number}", "gemini")):
            providers.append(f'  {name}: {{type: {dialect}, api_key: "k"}}')
        one, two = f"one{number}/{MODEL}", f"two{number}/{MODEL}"
        targets = {"sole": [two], "first": [one, f"good/{MODEL}"], "last": [f"down/{MODEL}", two], "both": [one, two]}
        models.append(f"  cell{number}: {{targets: [{', '.join(targets[cell.place])}], sort: order}}")
    return "\n".join(["providers:", *providers, "models:", *models, ""])


def rules(cells: Sequence[Cell]) -> list[FaultRule]:
    broken = [
        FaultRule(fault=cell.fault, label=f"{name}{number}", args=SIZES.get(cell.fault, {}))
        for number, cell in enumerate(cells)
        for name in ("one", "two")
    ]
    return [FaultRule(fault="status-503", label="down"), *broken]


async def seconds(client: httpx.AsyncClient, number: int, cell: Cell) -> float:
    """Until the whole answer, or a stream's first content, or the failure."""
    body = chat("words: 8", f"cell{number}", stream=cell.stream, router={"deadline_ms": cell.deadline_ms})
    started = time.monotonic()
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        if not cell.stream:
            await answer.aread()
        assert answer.status_code in (200, 400, 413, 429, 500, 502, 503, 504), (cell, answer.status_code)
        return time.monotonic() - started


def late(turnout: Callable[..., Turnout], cells: Sequence[Cell], at_once: int) -> list[tuple[Cell, float]]:
    """Those that took longer than they may, and how long."""
    router = turnout(config(cells))
    router.faults(*rules(cells))
    gate = asyncio.Semaphore(at_once)

    async def one(client: httpx.AsyncClient, number: int, cell: Cell) -> float:
        async with gate:
            return await seconds(client, number, cell)

    async def every() -> list[float]:
        async with httpx.AsyncClient(base_url=router.url, trust_env=False, timeout=10) as client:
            await client.get("/healthz")
            return await asyncio.gather(*(one(client, number, cell) for number, cell in enumerate(cells)))

    took = asyncio.run(every())
    return [(cell, each) for cell, each in zip(cells, took, strict=True) if each > cell.deadline_ms / 1000 + GRACE_S]


def test_no_answer_takes_longer_than_its_deadline_whatever_goes_wrong(turnout: Callable[..., Turnout]) -> None:
    cells = grid(200)
    assert {cell.fault for cell in cells} == set(STRIKING)
    found = late(turnout, cells, AT_ONCE)
    for _ in range(TRIES - 1):
        if found:
            found = late(turnout, [cell for cell, _ in found], 1)
    assert found == []
