"""Asks for every item that is not done yet, several at a time; each answer is on the disk before it is noted.

A request is journalled before it is sent and carries an `Idempotency-Key`: a run that was cut off is gone on with, and
the router gives the answers that it made meanwhile without making them again.
"""

import asyncio
import base64
import time
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from router.batch.journal import Done, Failed, Journal, Sent
from router.batch.prompts import Item

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import ImagesResponse

_ENDINGS = {b"\x89PN": "png", b"\xff\xd8\xff": "jpg", b"RIF": "webp", b"GIF": "gif", b"<sv": "svg", b"<?x": "svg"}
_PASSING = frozenset({408, 409, 425, 429})
_UNKNOWN = "router_unreachable"


class Tally(Struct):
    """What is left to do and what was done, for whoever watches. `spent_usd` is of all runs of the batch."""

    total: int
    done: int = 0
    failed: int = 0
    under_way: int = 0
    spent_usd: Decimal = Decimal(0)
    stopped: str = ""


class Batch:
    """One run. `changed` is called after everything that happens; `stop()` lets what is under way end, and no more."""

    def __init__(
        self,
        client: "AsyncOpenAI",
        folder: Path,
        journal: Journal,
        *,
        max_cost_usd: Decimal | None,
        changed: Callable[[Tally], None],
    ) -> None:
        self._client = client
        self._folder = folder
        self._journal = journal
        self._max_cost_usd = max_cost_usd
        self._changed = changed
        self._waiting: deque[Item] = deque()
        self.tally = Tally(0)

    async def run(self, items: Sequence[Item], concurrency: int) -> Tally:
        """Ask for `items`, at most `concurrency` at once."""
        self._waiting = deque(items)
        self.tally = Tally(len(items), spent_usd=self._journal.spent_usd)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(items))):
                group.create_task(self._work())
        return self.tally

    def stop(self, why: str) -> None:
        """Begin nothing more."""
        if not self.tally.stopped:
            self.tally.stopped = why
            self._waiting.clear()
            self._changed(self.tally)

    async def _work(self) -> None:
        tally = self.tally
        while self._waiting:
            if self._max_cost_usd is not None and tally.spent_usd >= self._max_cost_usd:
                self.stop("the limit on cost is reached")
                return
            item = self._waiting.popleft()
            self._journal.note(Sent(item.key, time.time()))
            tally.under_way += 1
            self._changed(tally)
            try:
                entry = await self._made(item)
            finally:
                tally.under_way -= 1
            self._journal.note(entry)
            if isinstance(entry, Done):
                tally.done += 1
                tally.spent_usd += entry.cost_usd or 0
            else:
                tally.failed += 1
            self._changed(tally)

    async def _made(self, item: Item) -> Done | Failed:
        from openai import APIConnectionError, APIStatusError  # the SDK takes half a second to import

        started = time.monotonic()
        try:
            raw = await self._client.images.with_raw_response.generate(
                prompt=item.prompt,
                extra_headers={"Idempotency-Key": self._journal.idempotency_key(item.key)},
                extra_body={name: value for name, value in item.fields.items() if name != "prompt"},
            )
        except APIStatusError as exc:
            settled = exc.response.headers.get("x-should-retry") == "false"
            again = exc.status_code in _PASSING or (exc.status_code >= 500 and not settled)
            code = exc.code or f"status_{exc.status_code}"
            return Failed(item.key, item.number, item.prompt, code, _message_of(exc), again=again, answered=True)
        except APIConnectionError as exc:
            message = str(exc.__cause__ or exc)
            return Failed(item.key, item.number, item.prompt, _UNKNOWN, message, again=True, answered=False)
        cost = raw.headers.get("x-router-cost-usd")
        answer = raw.parse()
        files = await asyncio.to_thread(self._write, item, answer)
        return Done(
            key=item.key,
            number=item.number,
            prompt=item.prompt,
            files=files,
            model=raw.headers.get("x-router-model", ""),
            seconds=round(time.monotonic() - started, 3),
            cost_usd=None if cost is None else Decimal(cost),
            revised_prompt=next((each.revised_prompt or "" for each in answer.data or ()), ""),
            warnings=raw.headers.get("x-router-warnings", ""),
        )

    def _write(self, item: Item, answer: "ImagesResponse") -> tuple[str, ...]:
        """Each picture under its name, whole or not at all."""
        files = []
        for place, picture in enumerate(answer.data or (), 1):
            data = base64.b64decode(picture.b64_json or "")
            suffix = "" if place == 1 else f"-{place}"
            name = f"{item.stem}{suffix}.{_ENDINGS.get(data[:3], 'bin')}"
            part = self._folder / f".{name}.part"
            part.write_bytes(data)
            part.replace(self._folder / name)
            files.append(name)
        return tuple(files)


def _message_of(exc: Exception) -> str:
    body = getattr(exc, "body", None)
    message = body.get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) else str(exc)
