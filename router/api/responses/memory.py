"""Output items by their ids, for clients that refer to an item where they could send it (AI SDK does for every text).

As with thought signatures, an item is worth its memory for as long as its conversation lasts: an hour without use. The
memory is bounded in bytes, and what was used longest ago goes first. One event loop owns it, so it needs no locks;
nothing survives a restart, and other processes have memories of their own.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

import orjson
from msgspec import Struct

from providers.types import JsonObject, JsonValue

_IDLE_S = 3600.0
_MAX_BYTES = 64 * 1024 * 1024
_ENTRY_BYTES = 400  # a key, an entry and its place in the dictionary, beside the item itself
_LARGEST_SHARE = 8  # one item may take at most this fraction of the whole: a picture of 4K is larger


class _Kept(Struct, gc=False):
    item: bytes
    used_s: float


class ItemMemory:
    """Items by caller and id. `clock` gives monotonic seconds."""

    def __init__(
        self,
        *,
        max_bytes: int = _MAX_BYTES,
        idle_s: float = _IDLE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bytes_held = 0
        self._max_bytes = max_bytes
        self._idle_s = idle_s
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()  # the one used longest ago first

    def keep(self, caller: str, items: Iterable[JsonValue]) -> None:
        """Remember the items of one answer; one that is larger than its share is not kept."""
        now = self._clock()
        for item in items:
            if not isinstance(item, dict) or not isinstance(item.get("id"), str):
                continue
            data, key = orjson.dumps(item), (caller, str(item["id"]))
            if key in self._kept:
                self._drop(key)
            if len(data) * _LARGEST_SHARE <= self._max_bytes:
                self._kept[key] = _Kept(data, now)
                self.bytes_held += len(data) + _ENTRY_BYTES
        while self._kept:
            key, oldest = next(iter(self._kept.items()))
            if self.bytes_held <= self._max_bytes and now - oldest.used_s <= self._idle_s:
                break
            self._drop(key)

    def find(self, caller: str, item_id: str) -> JsonObject | None:
        """The item this caller was given under that id, if it is not forgotten."""
        key = (caller, item_id)
        entry = self._kept.get(key)
        if entry is None:
            return None
        now = self._clock()
        if now - entry.used_s > self._idle_s:
            self._drop(key)
            return None
        entry.used_s = now
        self._kept.move_to_end(key)
        item: JsonObject = orjson.loads(entry.item)
        return item

    def _drop(self, key: tuple[str, str]) -> None:
        self.bytes_held -= len(self._kept.pop(key).item) + _ENTRY_BYTES
