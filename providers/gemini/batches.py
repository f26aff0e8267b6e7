"""The batches of open streams: one read, one batch; several streams side by side.

Objects with state, not generators: one that is dropped half-way leaves nothing behind for the loop to finalise.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from providers.errors import (
    BadResponseError,
    ProviderError,
    StreamInterruptedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.gemini.fanout import summed
from providers.gemini.stream import ChunkTranslator
from providers.sse import EventDecoder
from providers.streams import Batch
from providers.types import ChatChunk, Usage
from providers.upstream import ByteStream


class Batches:
    """What each read of one answer brought, translated. Reads nothing ahead.

    `learn` is told once which model serves. Raises ProviderError: before the first content one that lets another
    candidate be asked, afterwards StreamInterruptedError.
    """

    def __init__(
        self, source: ByteStream, translator: ChunkTranslator, provider: str, learn: Callable[[str], None]
    ) -> None:
        self._source = source
        self._translator = translator
        self._provider = provider
        self._learn: Callable[[str], None] | None = learn
        self._decoder = EventDecoder()
        self._index = translator.index
        self._counted: Usage | None = None
        self._ended = False
        self._failure: ProviderError | None = None

    def __aiter__(self) -> "Batches":
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
        chunks: list[ChatChunk] = []
        try:
            data = await self._source.read()
            for event in self._decoder.feed(data) if data else self._decoder.finish():
                chunks += self._translator.feed(event)
            if not data:
                chunks += self._translator.finish()
                self._ended = True
        except ProviderError as error:
            chunks += self._failed(error)
        self._count(chunks)
        if self._learn is not None and self._translator.model is not None:
            self._learn(self._translator.model)
            self._learn = None  # no reference cycle with the stream
        return chunks

    def _count(self, chunks: list[ChatChunk]) -> None:
        """The running usage on the last chunk of a read, so that a stream given up half-way is still accounted."""
        usage = self._translator.usage
        if usage is None or (chunks and chunks[-1].usage is not None):
            return
        if chunks:
            chunks[-1] = msgspec.structs.replace(chunks[-1], usage=usage)
        elif usage != self._counted:
            chunks.append(ChatChunk(index=self._index, usage=usage))
        self._counted = usage

    def _failed(self, error: ProviderError) -> list[ChatChunk]:
        """Keeps the failure for the next step. A break after the last reason to stop has cost nothing."""
        if isinstance(error, StreamInterruptedError) and self._translator.finished:
            self._ended = True
            try:
                return self._translator.finish()
            except ProviderError as unusable:
                self._ended, error = False, unusable
        if self._translator.produced and not isinstance(error, StreamInterruptedError):
            error = _after_content(error)
        elif not self._translator.produced and isinstance(error, StreamInterruptedError):
            error = _before_content(error)
        error.provider = error.provider or self._provider
        error.billed = error.billed or self._translator.produced
        self._failure = error
        return []


class Interleaved:
    """Batches of several streams as they come, with the usage of all of them. The first failure ends it.

    Iterate once; `aclose()` stops the readers and closes the sources.
    """

    def __init__(self, streams: Sequence[Batches], aclose: Callable[[], Awaitable[None]]) -> None:
        self._streams = streams
        self._close_sources = aclose
        self._tasks: list[asyncio.Task[None]] = []
        self._running = len(streams)
        self._usages: dict[int, Usage] = {}
        # room for one batch per stream: a client that reads slowly must slow the upstreams down
        self._queue: asyncio.Queue[Batch | ProviderError | None] = asyncio.Queue(maxsize=len(streams))

    def __aiter__(self) -> "Interleaved":
        return self

    async def __anext__(self) -> Batch:
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._pump(stream)) for stream in self._streams]
        while self._running:
            item = await self._queue.get()
            if item is None:
                self._running -= 1
            elif isinstance(item, ProviderError):
                self._running = 0
                raise item
            else:
                return [self._with_total(chunk) for chunk in item]
        raise StopAsyncIteration

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close_sources()

    async def _pump(self, stream: Batches) -> None:
        last: ProviderError | None = None
        try:
            async for batch in stream:
                await self._queue.put(batch)
        except ProviderError as exc:  # handed to the one who iterates, who raises it
            last = exc
        await self._queue.put(last)

    def _with_total(self, chunk: ChatChunk) -> ChatChunk:
        if chunk.usage is None:
            return chunk
        self._usages[chunk.index] = chunk.usage
        return msgspec.structs.replace(chunk, usage=summed(list(self._usages.values())))


def _before_content(error: ProviderError) -> ProviderError:
    """A break of a stream that had brought nothing, as the failed attempt it is."""
    match error.outcome:
        case "stream_stall":
            return UpstreamTimeoutError("no content from the upstream in time", outcome="ttft_timeout")
        case "stream_reset":
            return UnavailableError(error.message, outcome="reset")
        case _:
            return BadResponseError(error.message, outcome=error.outcome)


def _after_content(error: ProviderError) -> ProviderError:
    """Any failure once the client has seen something: no other candidate can take over unseen."""
    return StreamInterruptedError(
        error.message, status=error.status, retry_after_s=error.retry_after_s, outcome=error.outcome
    )
