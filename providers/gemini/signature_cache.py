"""Thought signatures by what carried them, for clients that lose them on the way back.

A signature is worth its memory for as long as its conversation lasts: an hour without use, a day at most. The cache is
bounded in bytes and entries, and what was used longest ago goes first. One event loop owns it, so it needs no locks;
nothing survives a restart, and other processes have caches of their own.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

from msgspec import Struct

_IDLE_S = 3600.0
_MAX_AGE_S = 24 * 3600.0
_MAX_BYTES = 64 * 1024 * 1024
_MAX_ENTRIES = 100_000
_ENTRY_BYTES = 400  # a key, an entry and its place in the dictionary, beside the signature itself
_LARGEST_SHARE = 16  # one signature may take at most this fraction of the whole
_SAMPLE = 8192


class Kept(Struct, gc=False):
    """One signature and where it was made: family, transport and project (see `origin_of`). Times are monotonic."""

    signature: str
    origin: str
    created_s: float
    used_s: float


class SignatureCache:
    """Signatures by caller and part; every operation is O(1). `clock` gives monotonic seconds."""

    def __init__(
        self,
        *,
        max_bytes: int = _MAX_BYTES,
        max_entries: int = _MAX_ENTRIES,
        idle_s: float = _IDLE_S,
        max_age_s: float = _MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bytes_held = 0
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._idle_s = idle_s
        self._max_age_s = max_age_s
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()  # the one used longest ago first

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, caller: str, part: str, signature: str, origin: str) -> None:
        """Remember `signature` for one part of an answer; one that is larger than its share is not kept."""
        now = self._clock()
        self._drop((caller, part))
        size = _size(part, signature)
        if size * _LARGEST_SHARE > self._max_bytes:
            return
        self._kept[caller, part] = Kept(signature, origin, now, now)
        self.bytes_held += size
        self._shrink(now)

    def find(self, caller: str, part: str) -> Kept | None:
        """What was kept for this caller's part, if it is not too old."""
        key = (caller, part)
        entry = self._kept.get(key)
        if entry is None:
            return None
        now = self._clock()
        if now - entry.used_s > self._idle_s or now - entry.created_s > self._max_age_s:
            self._drop(key)
            return None
        entry.used_s = now
        self._kept.move_to_end(key)
        return entry

    def knows_call(self, caller: str, call_id: str) -> bool:
        """Whether this caller was given a call with this id and its signature."""
        return self.find(caller, call_key(call_id)) is not None

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
            self.bytes_held -= _size(key[1], entry.signature)


def _size(part: str, signature: str) -> int:
    return _ENTRY_BYTES + len(part) + len(signature)


class Recall:
    """The signatures of one caller's conversation with one target: kept from answers, settled for histories.

    Without a cache whatever the client sends back stands. With `unsigned` nothing does: the upstream has refused a
    signature of this conversation, and which of them it does not say.
    """

    __slots__ = ("_cache", "_caller", "_origin", "unsigned")

    def __init__(
        self, cache: SignatureCache | None = None, caller: str = "", origin: str = "", *, unsigned: bool = False
    ) -> None:
        self._cache = cache
        self._caller = caller
        self._origin = origin
        self.unsigned = unsigned

    def keep(self, part: str, signature: str) -> None:
        """Remember the signature that came with `part` (a key made by the functions below)."""
        if self._cache is not None:
            self._cache.keep(self._caller, part, signature, self._origin)

    def settled(self, echoed: str | None, part: str) -> str | None:
        """The signature to send with `part`: the client's, else the kept one.

        One that is known to come from another family, transport or project is not sent: Google answers 400.
        """
        if self.unsigned:
            return None
        entry = self._cache.find(self._caller, part) if self._cache is not None and part else None
        if entry is None:
            return echoed
        if entry.origin == self._origin:
            return echoed or entry.signature
        return None if echoed == entry.signature else echoed


NO_RECALL = Recall()


def origin_of(family: float, transport: str, project: str) -> str:
    """Where signatures are valid: within one major generation of models, one API, and one project."""
    return f"{int(family)}/{transport}/{project}"


def call_key(call_id: str) -> str:
    """The part key of a tool call; empty (never kept) for a call without an id."""
    return f"call:{call_id}" if call_id else ""


def picture_key(data: str) -> str:
    """The part key of a picture given as base64.

    Of a long text its length and three samples are hashed: compressed pictures of equal length differ in all of them,
    and reading every byte of 20 MB would hold up the event loop. A caller can only deceive itself.
    """
    middle = len(data) // 2
    samples = data if len(data) <= 3 * _SAMPLE else data[:_SAMPLE] + data[middle : middle + _SAMPLE] + data[-_SAMPLE:]
    return f"image:{len(data)}:{blake2b(samples.encode(errors='replace'), digest_size=16).hexdigest()}"


def beside(part: str) -> str:
    """The part key of the message-level signature that came together with `part`."""
    return f"beside:{part}" if part else ""
