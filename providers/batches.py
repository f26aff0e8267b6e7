"""Several upstream answers to one request: in order, all of them or none."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 4  # enough to hide the way there and back; more would spend a minute's quota in a second


async def all_or_none(calls: Sequence[Awaitable[T]]) -> list[T]:
    """The results in order. The first failure ends the others before it is raised, and so does cancellation."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def in_batches(items: Sequence[T], size: int, ask: Callable[[Sequence[T]], Awaitable[R]]) -> list[R]:
    """What `ask` gives for each run of at most `size` items, a few at once: in order, all of them or none."""
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    if len(batches) == 1:
        return [await ask(batches[0])]
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(batch: Sequence[T]) -> R:
        async with gate:
            return await ask(batch)

    return await all_or_none([one(batch) for batch in batches])
