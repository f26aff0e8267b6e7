"""Output items by their ids, for clients that refer to an item where they could send it, as AI SDK does with texts."""

import time
from collections.abc import Callable, Iterable

import orjson

from providers.memory import Memory
from providers.types import JsonObject, JsonValue

_MAX_BYTES = 64 * 1024 * 1024
_LARGEST_SHARE = 8  # a picture of 4K is larger


class ItemMemory:
    """Items by caller and id, bounded as `Memory` says. `clock` gives monotonic seconds."""

    def __init__(self, *, max_bytes: int = _MAX_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: Memory[bytes] = Memory(share=_LARGEST_SHARE, max_bytes=max_bytes, clock=clock)

    @property
    def bytes_held(self) -> int:
        return self._kept.bytes_held

    def keep(self, caller: str, items: Iterable[JsonValue]) -> None:
        """Remember the items of one answer; one that is larger than its share is not kept."""
        for item in items:
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                data = orjson.dumps(item)
                self._kept.keep(caller, str(item["id"]), data, len(data))

    def find(self, caller: str, item_id: str) -> JsonObject | None:
        """The item this caller was given under that id, if it is not forgotten."""
        data = self._kept.find(caller, item_id)
        if data is None:
            return None
        item: JsonObject = orjson.loads(data)
        return item
