"""The response body of a stream: what is written, when a comment is, and when silence has lasted too long."""

import asyncio
import math
from collections.abc import Sequence
from types import TracebackType

from providers.errors import StreamInterruptedError
from providers.types import ChatChunk, Usage
from router.api.gateway import Exchange
from router.api.sse import KEEP_ALIVE

KEEP_ALIVE_S = 15.0  # proxies give a silent line up after 30 s and more
_BUSY = math.inf  # in place of a time: being written right now


class Writer:
    """`with Writer(exchange, idle_s) as writer:` what comes in the block may pause for `idle_s` at most.

    Then the block's await is cancelled and StreamInterruptedError raised. What the upstream brings counts, by `write`,
    and not comments, be they its own or those that keep the client's line alive; nor the time that a slow client takes.
    """

    __slots__ = (
        "_cancelling",
        "_exchange",
        "_idle_s",
        "_last",
        "_loop",
        "_pinged",
        "_pings",
        "_stalled",
        "_task",
        "_timer",
        "usage",
    )

    def __init__(self, exchange: Exchange, idle_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None, "a writer needs a task to cancel"
        self.usage: Usage | None = None
        self._exchange = exchange
        self._idle_s = idle_s
        self._task = task
        self._cancelling = task.cancelling()
        self._loop = task.get_loop()
        self._last = self._pinged = self._loop.time()
        self._pings: set[asyncio.Task[None]] = set()
        self._stalled = False
        self._timer = self._loop.call_later(min(KEEP_ALIVE_S, idle_s), self._look)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        for ping in self._pings:
            ping.cancel()
        # our cancellation is taken back in any case; another one that came meanwhile is not ours to swallow
        if self._stalled and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise StreamInterruptedError("the upstream stopped sending", outcome="stream_stall", billed=True) from exc

    def note(self, batch: Sequence[ChatChunk]) -> None:
        """Remember the running token count, so that a cut stream is still accounted."""
        for chunk in batch:
            if chunk.usage is not None:
                self.usage = chunk.usage

    async def write(self, data: bytes) -> None:
        self._last = _BUSY
        await self._exchange.send({"type": "http.response.body", "body": data, "more_body": True})
        self._last = self._loop.time()

    async def end(self, data: bytes) -> None:
        await self._exchange.send({"type": "http.response.body", "body": data})

    async def _comment(self) -> None:
        await self._exchange.send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})

    def _look(self) -> None:
        now = self._loop.time()
        heard = now if self._last == _BUSY else self._last
        if now - heard >= self._idle_s:
            self._stalled = True
            self._task.cancel()
            return
        if now - max(heard, self._pinged) >= KEEP_ALIVE_S:
            self._pinged = now
            ping = self._loop.create_task(self._comment())
            self._pings.add(ping)
            ping.add_done_callback(self._pings.discard)
        due = min(heard + self._idle_s, max(heard, self._pinged) + KEEP_ALIVE_S)
        self._timer = self._loop.call_later(due - now, self._look)
