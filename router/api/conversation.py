"""Which conversation a request belongs to: named by what does not change while it grows, without decoding any of it."""

import zlib
from collections.abc import Sequence

from msgspec import Raw

_MAX_MESSAGES = 8
_END_BYTES = 512  # of a message, at either end; with its length enough to tell one from another


def conversation_key(caller: str, opening: Sequence[Raw | bytes], cache_key: object = None) -> int:
    """A number that every request of one conversation has, and hardly another: never 0, at most 63 bits.

    `opening` is the content, as it stands in the body, of the messages up to the first that a user wrote: clients send
    it again with every turn. `cache_key` is the caller's `prompt_cache_key`. It tells conversations apart that begin
    alike, and joins none: many clients send one for all that they ask. The number is the same in every process.
    """
    name = f"{caller}\0{cache_key}" if isinstance(cache_key, str) else caller
    checksum = zlib.crc32(name.encode("utf-8", "surrogatepass"))
    named = opening[:_MAX_MESSAGES]
    size = sum(map(len, named))
    if size <= 2 * _END_BYTES:
        checksum = zlib.crc32(b"".join(named), checksum)  # the same as one after the other
    else:
        for content in named:
            checksum = _with_ends(content, checksum)
    return (checksum << 31 | size & 0x7FFFFFFF) or 1


def thread_key(conversation: int, reply: Raw | bytes | None) -> int:
    """The same for a conversation that has had its first `reply`; 0 before it has.

    Conversations that begin alike ("Hello") part there: models hardly say the same twice.
    """
    if reply is None:
        return 0
    return (_with_ends(reply, conversation >> 31) << 31 | (conversation + len(reply)) & 0x7FFFFFFF) or 1


def _with_ends(content: Raw | bytes, checksum: int) -> int:
    if len(content) <= 2 * _END_BYTES:
        return zlib.crc32(content, checksum)
    view = memoryview(content)
    return zlib.crc32(view[-_END_BYTES:], zlib.crc32(view[:_END_BYTES], checksum))
