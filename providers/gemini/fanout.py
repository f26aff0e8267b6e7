"""Several upstream answers to one request: all of them or none."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def all_or_none(calls: Sequence[Awaitable[T]]) -> list[T]:
    """The results in order. The first failure ends the others before it is raised, and so does cancellation."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
