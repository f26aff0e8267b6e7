"""Work that outlives the request that asked for it: an answer others wait for too, or one that is fetched later."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec import Struct

from router.accounting.record import CLIENT_CLOSED
from router.api.envelope import HeaderPair
from router.api.gateway import Exchange, Gateway, ShuttingDownError, failure


class Answer(Struct, frozen=True):
    """A whole answer, good or bad, that may be sent more than once."""

    status: int
    headers: tuple[HeaderPair, ...]
    body: bytes


def detach(exchange: Exchange, make: Callable[[], Awaitable[Answer]]) -> asyncio.Task[Answer]:
    """Run `make` in a task of its own and hand it the request's record and its place among those under way.

    Failures become answers, so that everyone who waits gets the same. Cancelled, the task leaves a record that says
    so. The caller keeps the task.
    """
    exchange.detached = True
    task = asyncio.create_task(_answered(exchange, make))
    exchange.gateway.live.add(task)
    task.add_done_callback(partial(_close, exchange))
    return task


async def send(exchange: Exchange, answer: Answer, *more: HeaderPair) -> int:
    """Send a kept answer, with further headers; gives its status."""
    await exchange.answer(answer.status, [*answer.headers, *more], answer.body)
    return answer.status


async def end_detached(gateway: Gateway) -> None:
    """The process is about to end: cut what nobody waits for on a connection, and let it close its records."""
    gateway.cut()
    if gateway.live:
        await asyncio.wait(set(gateway.live), timeout=1.0)


async def _answered(exchange: Exchange, make: Callable[[], Awaitable[Answer]]) -> Answer:
    gateway, record = exchange.gateway, exchange.record
    try:
        return await make()
    except asyncio.CancelledError:
        if not gateway.cutting:
            raise
        reason: Exception = ShuttingDownError("the router is shutting down; ask again")
    except Exception as exc:  # nobody stands above this task: whatever it is, those who wait get an answer
        reason = exc
    failed = failure(gateway, record, reason)
    record.error_code = failed.code
    return Answer(failed.status, tuple(failed.headers), failed.body)


def _close(exchange: Exchange, task: asyncio.Task[Answer]) -> None:
    gateway, record = exchange.gateway, exchange.record
    gateway.live.discard(task)
    gateway.in_flight -= 1
    if task.cancelled():
        record.close(CLIENT_CLOSED, gateway.health.now(), "cancelled")
    else:
        record.close(task.result().status, gateway.health.now(), record.error_code)
