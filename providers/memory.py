"""A bounded memory of values by caller and name: what an answer held that its conversation may need again.

A value is worth its place for as long as the conversation lasts: an hour without use, a day at most. The memory is
bounded in bytes and entries, and what was used longest ago goes first. One event loop owns it, so it needs no locks;
nothing survives a restart, and other processes have memories of their own.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

_IDLE_S = 3600.0
_MAX_AGE_S = 24 * 3600.0
_MAX_BYTES = 64 * 1024 * 1024
_MAX_ENTRIES = 100_000
_ENTRY_BYTES = 400  # a key, an entry and its place in the dictionary, beside the value itself

V = TypeVar("V")


class _Kept(Struct, Generic[V]):
    """A value, its size in bytes with all that holds it, and when it came and was last used."""

    value: V
    size: int
    created_s: float
    used_s: float


class Memory(Generic[V]):
    """Values by caller and name; every operation is O(1). `clock` gives monotonic seconds.

    One value may take at most a `share`th of the whole.
    """

    def __init__(
        self,
        *,
        share: int,
        max_bytes: int = _MAX_BYTES,
        max_entries: int = _MAX_ENTRIES,
        idle_s: float = _IDLE_S,
        max_age_s: float = _MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bytes_held = 0
        self._share = share
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._idle_s = idle_s
        self._max_age_s = max_age_s
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept[V]] = OrderedDict()  # the one used longest ago first

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, caller: str, name: str, value: V, size: int) -> None:
        """Remember `value` of `size` bytes in place of what had this name; one larger than its share is not kept."""
        now = self._clock()
        self._drop((caller, name))
        size += _ENTRY_BYTES + len(name)
        if size * self._share > self._max_bytes:
            return
        self._kept[caller, name] = _Kept(value, size, now, now)
        self.bytes_held += size
        self._shrink(now)

    def find(self, caller: str, name: str) -> V | None:
        """What this caller has under that name, if it is not forgotten."""
        key = (caller, name)
        entry = self._kept.get(key)
        if entry is None:
            return None
        now = self._clock()
        if now - entry.used_s > self._idle_s or now - entry.created_s > self._max_age_s:
            self._drop(key)
            return None
        entry.used_s = now
        self._kept.move_to_end(key)
        return entry.value

    def _shrink(self, now: float) -> None:
        """Let go of the idle ones, and of more while there is too much."""
        while self._kept:
            key, entry = next(iter(self._kept.items()))
            full = self.bytes_held > self._max_bytes or len(self._kept) > self._max_entries
            if not full and now - entry.used_s <= self._idle_s:
                return
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        entry = self._kept.pop(key, None)
        if entry is not None:
            self.bytes_held -= entry.size
