"""What a batch has sent and got, in a file that only grows: whatever ends a run, the next one knows where it stood."""

import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TextIO

import msgspec
from msgspec import Struct

from router.errors import Problem, SettingsError

REPLAYED_S = 600.0
"""For so long the router gives a repeated request the same answer, and nobody pays again."""


class Begun(Struct, frozen=True, tag="begun"):
    """The first line: the batch's own name."""

    batch: str


class Sent(Struct, frozen=True, tag="sent"):
    """A request is about to be sent. `at` is Unix time."""

    key: str
    at: float


class Done(Struct, frozen=True, tag="done"):
    """Its pictures are in these files of the folder. `cost_usd` None is unknown."""

    key: str
    number: int
    prompt: str
    files: tuple[str, ...]
    model: str
    seconds: float
    cost_usd: Decimal | None = None
    revised_prompt: str = ""
    warnings: str = ""


class Failed(Struct, frozen=True, tag="failed"):
    """It was refused or broke off. `again`: another try may succeed and costs nothing that was paid already.

    `answered`: by the router, which would give the same answer again to the same `Idempotency-Key`.
    """

    key: str
    number: int
    prompt: str
    code: str
    message: str
    again: bool
    answered: bool


Entry = Begun | Sent | Done | Failed
_decode = msgspec.json.Decoder(Entry).decode


class Journal:
    """`with Journal(folder) as journal:` reads what is there and opens the file for more. One run at a time.

    `done` and `failed` hold the last word on each key, `lost` those that were sent and of which nothing is known, with
    the time they were last sent.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "batch.jsonl"
        self._file: TextIO | None = None
        self.batch = ""
        self.done: dict[str, Done] = {}
        self.failed: dict[str, Failed] = {}
        self.lost: dict[str, float] = {}
        self._refusals: Counter[str] = Counter()

    def __enter__(self) -> "Journal":
        torn = False
        if self._path.exists():
            text = self._path.read_text("utf-8")
            torn = bool(text) and not text.endswith("\n")  # the run before was killed inside a line
            for entry in self._entries(text):
                self._take(entry)
        self._file = self._path.open("a", encoding="utf-8")
        if torn:
            self._file.write("\n")
        if not self.batch:
            self.note(Begun(secrets.token_hex(8)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def note(self, entry: Entry) -> None:
        """Write it, and have it on the disk before going on: what is sent after it must not be forgotten."""
        assert self._file is not None
        self._take(entry)
        self._file.write(msgspec.json.encode(entry).decode() + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    @property
    def spent_usd(self) -> Decimal:
        """What all runs together have paid, as far as it is known."""
        return sum((entry.cost_usd for entry in self.done.values() if entry.cost_usd is not None), Decimal(0))

    def idempotency_key(self, key: str) -> str:
        """What the next request for it is sent with: another one once the router has refused it."""
        return f"{key}-{self._refusals[key]}"

    def replayable(self, key: str) -> bool:
        """Whether the router still has the answer to a request that was lost, if it has one."""
        return time.time() - self.lost[key] < REPLAYED_S

    def _take(self, entry: Entry) -> None:
        match entry:
            case Begun():
                self.batch = entry.batch
            case Sent():
                self.lost[entry.key] = entry.at
            case Done():
                self.done[entry.key] = entry
                self._settled(entry.key)
            case Failed():
                self.failed[entry.key] = entry
                self._refusals[entry.key] += entry.answered
                self.lost.pop(entry.key, None)

    def _settled(self, key: str) -> None:
        self.failed.pop(key, None)
        self.lost.pop(key, None)

    def _entries(self, text: str) -> Iterator[Entry]:
        lines = text.split("\n")
        for place, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                yield _decode(line)
            except msgspec.DecodeError as exc:
                if _torn(lines, place):
                    continue
                raise SettingsError([Problem(str(self._path), place, "", f"is not a line of a batch: {exc}")]) from exc


def _torn(lines: list[str], place: int) -> bool:
    """Whether a line that cannot be read is what a killed run left: it does not end as an entry does."""
    return not lines[place - 1].endswith("}")
