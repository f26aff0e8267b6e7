"""Several open streams side by side: the choices of one request that an upstream makes one at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from providers.errors import ProviderError
from providers.event_stream import EventStream
from providers.streams import Batch
from providers.types import ChatChunk, Usage


class Interleaved:
    """Batches of several streams as they come, with the usage of all of them. The first failure ends it.

    Iterate once; `aclose()` stops the readers and closes the sources.
    """

    def __init__(self, streams: Sequence[EventStream], aclose: Callable[[], Awaitable[None]]) -> None:
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

    async def _pump(self, stream: EventStream) -> None:
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
        return msgspec.structs.replace(chunk, usage=Usage.total(list(self._usages.values())))
