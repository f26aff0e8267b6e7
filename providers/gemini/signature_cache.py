"""Thought signatures by what carried them, for clients that lose them on the way back."""

import time
from collections.abc import Callable
from hashlib import blake2b

from msgspec import Struct

from providers.memory import Memory

_MAX_BYTES = 64 * 1024 * 1024
_MAX_ENTRIES = 100_000
_LARGEST_SHARE = 16
_SAMPLE = 8192


class Kept(Struct, frozen=True, gc=False):
    """One signature and where it was made: family, transport and project (see `origin_of`)."""

    signature: str
    origin: str


class SignatureCache:
    """Signatures by caller and part, bounded as `Memory` says. `clock` gives monotonic seconds."""

    def __init__(
        self,
        *,
        max_bytes: int = _MAX_BYTES,
        max_entries: int = _MAX_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept: Memory[Kept] = Memory(
            share=_LARGEST_SHARE, max_bytes=max_bytes, max_entries=max_entries, clock=clock
        )

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes_held(self) -> int:
        return self._kept.bytes_held

    def keep(self, caller: str, part: str, signature: str, origin: str) -> None:
        """Remember `signature` for one part of an answer; one that is larger than its share is not kept."""
        self._kept.keep(caller, part, Kept(signature, origin), len(signature))

    def find(self, caller: str, part: str) -> Kept | None:
        """What was kept for this caller's part, if it is not too old."""
        return self._kept.find(caller, part)

    def knows_call(self, caller: str, call_id: str) -> bool:
        """Whether this caller was given a call with this id and its signature."""
        return self.find(caller, call_key(call_id)) is not None


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
