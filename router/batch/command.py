"""`turnout images batch`: read the prompts, run behind a progress bar, say what came of it."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from providers.types import JsonValue
from router.batch.journal import Journal
from router.batch.prompts import Item, read_items
from router.batch.run import Batch, Tally
from router.batch.sheet import draw_sheets
from router.errors import Problem, SettingsError

INTERRUPTED = 130
_BY_HAND = "interrupted"
_STDIN = "-"
_TIMEOUT_S = 600.0


class Order(Struct, frozen=True, kw_only=True):
    """What the command line asked for. `fields` are those of every request; `prompts` may be `-`."""

    prompts: Path
    folder: Path
    base_url: str
    api_key: str
    fields: Mapping[str, JsonValue]
    concurrency: int
    max_cost_usd: Decimal | None
    retry_failed: bool
    repeat_lost: bool
    sheet: bool


def run(order: Order) -> int:
    """Gives the exit code: 0 all done, 1 some not, 130 interrupted. Raises SettingsError, OSError."""
    console = Console(stderr=True)
    order.folder.mkdir(parents=True, exist_ok=True)
    name = "standard input" if str(order.prompts) == _STDIN else str(order.prompts)
    text = sys.stdin.read() if str(order.prompts) == _STDIN else order.prompts.read_text("utf-8")
    with Journal(order.folder) as journal:
        items = read_items(text, name, order.fields, journal.batch)
        if not items:
            raise SettingsError([Problem(name, 0, "", "holds no prompt")])
        due = _due(items, journal, order, console)
        tally = asyncio.run(_play(order, journal, due, console))
        known = {item.key for item in items}
        done = sorted((entry for key, entry in journal.done.items() if key in known), key=lambda entry: entry.number)
        for path in draw_sheets(done, order.folder) if order.sheet and done else ():
            console.print(f"contact sheet: {path}")
        _summarise(items, journal, tally, console)
        if tally.stopped == _BY_HAND:
            return INTERRUPTED
        return 0 if len(done) == len(items) else 1


def _due(items: list[Item], journal: Journal, order: Order, console: Console) -> list[Item]:
    """Those to be asked for in this run: not what is done, nor what would be paid for twice."""
    due: list[Item] = []
    lost = 0
    for item in items:
        failed = journal.failed.get(item.key)
        if item.key in journal.done or (failed is not None and not (failed.again or order.retry_failed)):
            continue
        if item.key in journal.lost and not (journal.replayable(item.key) or order.repeat_lost):
            lost += 1
            continue
        due.append(item)
    if lost:
        console.print(
            f"[yellow]{lost} prompts were under way when an earlier run ended, too long ago to collect their pictures. "
            "They may have been paid for: --repeat-lost asks for them again."
        )
    return due


async def _play(order: Order, journal: Journal, due: list[Item], console: Console) -> Tally:
    from openai import AsyncOpenAI  # it takes half a second to import

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    client = AsyncOpenAI(base_url=order.base_url, api_key=order.api_key, timeout=_TIMEOUT_S, max_retries=4)
    async with client:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("making pictures", total=len(due), note="")

            def changed(tally: Tally) -> None:
                note = f"${tally.spent_usd:.4f}" + (f", {tally.failed} failed" if tally.failed else "")
                if tally.stopped:
                    note += f", {tally.stopped}: waiting for {tally.under_way} under way"
                progress.update(task, completed=tally.done + tally.failed, note=note)

            batch = Batch(client, order.folder, journal, max_cost_usd=order.max_cost_usd, changed=changed)
            playing = asyncio.ensure_future(batch.run(due, order.concurrency))
            _on_interrupt(batch, playing, console)
            try:
                return await playing
            except asyncio.CancelledError:
                return batch.tally


def _on_interrupt(batch: Batch, playing: asyncio.Future[Tally], console: Console) -> None:
    """The first Ctrl-C lets what is under way end, the second leaves at once."""

    def interrupted() -> None:
        if batch.tally.stopped:
            playing.cancel()
            return
        batch.stop(_BY_HAND)
        console.print("finishing what is under way; Ctrl-C again leaves at once, run again to go on")

    with contextlib.suppress(NotImplementedError):  # on Windows Ctrl-C leaves at once
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted)


def _summarise(items: list[Item], journal: Journal, tally: Tally, console: Console) -> None:
    open_items = [item for item in items if item.key not in journal.done]
    failures = [journal.failed[item.key] for item in open_items if item.key in journal.failed]
    if failures:
        table = Table("line", "prompt", "why", "what", title="not made", title_justify="left")
        for failed in failures:
            table.add_row(str(failed.number), failed.prompt[:40], failed.code, failed.message[:120])
        console.print(table)
    unpriced = sum(entry.cost_usd is None for entry in journal.done.values())
    console.print(
        f"{len(items) - len(open_items)} of {len(items)} prompts done, {tally.done} in this run; "
        f"${journal.spent_usd:f} in all" + (f", {unpriced} of unknown cost" if unpriced else "")
    )
    if tally.stopped and tally.stopped != _BY_HAND:
        console.print(f"stopped: {tally.stopped}")
