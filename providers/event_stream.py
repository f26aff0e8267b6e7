"""An open server-sent stream, read and translated: the same for every adapter, whatever its events say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from msgspec import structs

from providers.errors import (
    BadResponseError,
    ProviderError,
    StreamInterruptedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.sse import EventDecoder
from providers.streams import Batch
from providers.types import ChatChunk, Usage

_DRAIN_S = 0.1  # between the last event and the end of the body lies one packet; longer is not worth a connection


class Source(Protocol):
    """Where the events come from: bytes in any slices, b"" at the end. Raises ProviderError."""

    async def read(self) -> bytes: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class Translator(Protocol):
    """What an adapter's translator of one answer offers.

    `model` is what the upstream says serves, empty until it has; `produced`: something to show has been given out;
    `finished`: every choice has its reason for stopping; `done`: nothing that may still come matters; `usage`: the
    running count where it does not travel in the chunks.
    """

    produced: bool

    @property
    def model(self) -> str | None: ...

    @property
    def finished(self) -> bool: ...

    @property
    def done(self) -> bool: ...

    @property
    def usage(self) -> Usage | None: ...

    def feed(self, event: bytes) -> list[ChatChunk]: ...

    def finish(self) -> list[ChatChunk]: ...


class EventStream:
    """The batches of one answer: what one read brought, translated. Reads nothing ahead.

    An object with state, not a generator: one that is dropped half-way leaves nothing behind to finalise. `learn` is
    told once which model serves. Raises ProviderError: before the first content one that lets another candidate be
    asked, afterwards StreamInterruptedError. A break after the last reason for stopping has cost nothing and is none.
    """

    def __init__(
        self, source: Source, translator: Translator, provider: str, learn: Callable[[str], None], index: int = 0
    ) -> None:
        self._source = source
        self._translator = translator
        self._provider = provider
        self._learn: Callable[[str], None] | None = learn
        self._index = index
        self._decoder = EventDecoder()
        self._counted: Usage | None = None
        self._ended = False
        self._failure: ProviderError | None = None

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> Batch:
        while not self._ended:
            if self._failure is not None:
                self._ended = True
                raise self._failure
            batch = await self._read()
            if batch:
                return batch
        raise StopAsyncIteration

    async def _read(self) -> list[ChatChunk]:
        """One read. Chunks that came before a failure in it are given out first."""
        translator = self._translator
        chunks: list[ChatChunk] = []
        try:
            data = await self._source.read()
            for event in self._decoder.feed(data) if data else self._last():
                chunks += translator.feed(event)
            if not data:
                chunks += translator.finish()
                self._ended = True
        except ProviderError as error:
            chunks += self._failed(error)
        self._count(chunks)
        if self._learn is not None and translator.model:
            self._learn(translator.model)
            self._learn = None  # no reference cycle with the stream
        if translator.done and not self._ended:
            self._ended = True
            await _drain(self._source)
        return chunks

    def _last(self) -> list[bytes]:
        """What a missing last blank line held back, unless it is the beginning of an event that never came whole."""
        return [event for event in self._decoder.finish() if event.endswith((b"}", b"]"))]

    def _count(self, chunks: list[ChatChunk]) -> None:
        """The running usage on the last chunk of a read, so that a stream given up half-way is still accounted."""
        usage = self._translator.usage
        if usage is None or (chunks and chunks[-1].usage is not None):
            return
        if chunks:
            chunks[-1] = structs.replace(chunks[-1], usage=usage)
        elif usage != self._counted:
            chunks.append(ChatChunk(index=self._index, usage=usage))
        self._counted = usage

    def _failed(self, error: ProviderError) -> list[ChatChunk]:
        """Keeps the failure for the next step."""
        translator = self._translator
        if isinstance(error, StreamInterruptedError) and translator.finished:
            self._ended = True
            try:
                return translator.finish()
            except ProviderError as unusable:
                self._ended, error = False, unusable
        if translator.produced and not isinstance(error, StreamInterruptedError):
            error = _after_content(error)
        elif not translator.produced and isinstance(error, StreamInterruptedError):
            error = before_content(error)
        error.provider = error.provider or self._provider
        error.billed = error.billed or translator.produced
        self._failure = error
        return []


async def one_batch(batch: Batch) -> AsyncIterator[Batch]:
    """A whole answer as the stream it was asked for as."""
    yield batch


def before_content(error: ProviderError) -> ProviderError:
    """A break of a stream that had brought nothing, as the failed attempt it is."""
    match error.outcome:
        case "stream_stall":
            message = "no content from the upstream in time"
            return UpstreamTimeoutError(message, provider=error.provider, outcome="ttft_timeout")
        case "stream_reset":
            return UnavailableError(error.message, provider=error.provider, outcome="reset")
    return BadResponseError(error.message, provider=error.provider, outcome=error.outcome)


def _after_content(error: ProviderError) -> ProviderError:
    """Any failure once the client has seen something: no other candidate can take over unseen."""
    return StreamInterruptedError(
        error.message, status=error.status, retry_after_s=error.retry_after_s, outcome=error.outcome
    )


async def _drain(source: Source) -> None:
    """Read the rest of a body, so that the connection can serve again; give up on an upstream that dawdles."""
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in source:
                pass
    except (TimeoutError, ProviderError):
        await source.aclose()
