"""Streams of chunks: the open one an adapter returns, and `prime()`, which waits until it has proved itself."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from providers.errors import BadResponseError
from providers.types import ChatChunk, JsonValue

Batch = Sequence[ChatChunk]

_MAY_BE_EMPTY = frozenset({"length", "content_filter"})


class ChatStream:
    """Chunks of one answer in batches: all that one network read brought travels together.

    `model` is what the upstream says serves (it may learn it with the first chunk), `warnings` the lossy mappings of
    the request, `extra` further top-level fields of the answer as far as they are known by now. Iterate once.
    `aclose()` lets go of the connection and may be called at any time, more than once.
    """

    def __init__(
        self,
        batches: AsyncIterator[Batch],
        aclose: Callable[[], Awaitable[None]],
        *,
        model: str,
        warnings: tuple[str, ...] = (),
        extra: Mapping[str, JsonValue] = MappingProxyType({}),
    ) -> None:
        self.model = model
        self.warnings = warnings
        self.extra = extra
        self._batches = batches
        self._aclose = aclose

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self._batches

    async def aclose(self) -> None:
        await self._aclose()


class PrimedStream:
    """A stream whose first content has arrived. `first` is everything read until then; iterate for the rest."""

    def __init__(self, stream: ChatStream, first: Batch) -> None:
        self.first = first
        self.warnings = stream.warnings
        self._stream = stream

    @property
    def model(self) -> str:
        return self._stream.model

    @property
    def extra(self) -> Mapping[str, JsonValue]:
        return self._stream.extra

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self._stream.__aiter__()

    def following(self, first: Batch) -> "PrimedStream":
        """The same stream with another beginning: what was read of it meanwhile, changed or not."""
        return PrimedStream(self._stream, first)

    async def aclose(self) -> None:
        await self._stream.aclose()


async def prime(stream: ChatStream) -> PrimedStream:
    """Read until the first content, so that a dead or empty stream is still a failed attempt.

    An answer that was cut by length or filtered may be empty; one that merely stopped may not. Raises whatever the
    stream raises before that; BadResponseError when it ends with nothing to show. Closes the stream on every
    failure, cancellation included.
    """
    first: list[ChatChunk] = []
    try:
        async for batch in stream:
            first.extend(batch)
            if any(chunk.has_content or chunk.finish_reason in _MAY_BE_EMPTY for chunk in batch):
                return PrimedStream(stream, first)
        raise BadResponseError("the upstream's stream held no content", outcome="empty")
    except BaseException:
        await stream.aclose()
        raise
