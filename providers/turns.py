"""Upstreams that admit so many calls at a time, or so many requests a minute: the router's own calls wait their turn.

Across all requests, not in one: a fan-out of ten and ten clients are the same to the upstream.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct

from providers.base import ImageProvider, PreviewingProvider, Show
from providers.errors import RateLimitedError
from providers.types import ImageRequest, ImageResponse

_QUEUE = 4  # times as many as may be under way: who would wait longer had better ask elsewhere
_BURST = 0.25  # of a minute's requests may come at once; the others are spread, so that no minute has more than allowed


class Crowd(Struct, frozen=True):
    """How many calls an upstream admits at a time, and of a model of its own."""

    most: int
    models: Mapping[str, int] = {}


class Door:
    """Lets in as many calls as the upstream admits, in the order they came."""

    def __init__(self, crowd: Crowd) -> None:
        self._all = _Room(crowd.most)
        self._models = {model: _Room(most) for model, most in crowd.models.items()}

    @asynccontextmanager
    async def place(self, model: str) -> AsyncIterator[None]:
        """A place while it is held. Raises RateLimitedError when too many wait for one already."""
        own = self._models.get(model)
        if own is None:
            async with self._all.place():
                yield
            return
        async with own.place(), self._all.place():
            yield


class _Room:
    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)
        self._longest = most * _QUEUE
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        if self._waiting >= self._longest:
            raise RateLimitedError("too many pictures wait for this upstream", retry_after_s=1.0, outcome="queue_full")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()


class InTurn:
    """An image provider behind a door."""

    def __init__(self, inner: ImageProvider, door: Door) -> None:
        self.name = inner.name
        self._inner = inner
        self._door = door

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        async with self._door.place(model):
            return await self._inner.images(request, model)

    async def preview_images(self, request: ImageRequest, model: str, show: Show) -> ImageResponse:
        async with self._door.place(model):
            if isinstance(self._inner, PreviewingProvider):
                return await self._inner.preview_images(request, model, show)
            return await self._inner.images(request, model)


class Pace:
    """At most so many requests in any minute; `turn` returns when one may be sent."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = max(1.0, per_minute * _BURST)
        self._per_s = per_minute * (1 - _BURST) / 60
        self._clock = clock
        self._saved = self._most
        self._at = clock()

    async def turn(self) -> None:
        now = self._clock()
        self._saved = min(self._most, self._saved + (now - self._at) * self._per_s) - 1
        self._at = now
        if self._saved < 0:  # taken in advance: who comes next waits longer
            await asyncio.sleep(-self._saved / self._per_s)
