"""Several upstream answers to one request: all of them or none, and their usage together."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from providers.types import Usage

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


def summed(usages: Sequence[Usage]) -> Usage:
    """The counts of several answers together; estimated when any part is."""
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
        audio_prompt_tokens=sum(usage.audio_prompt_tokens for usage in usages),
        image_prompt_tokens=sum(usage.image_prompt_tokens for usage in usages),
        audio_completion_tokens=sum(usage.audio_completion_tokens for usage in usages),
        image_completion_tokens=sum(usage.image_completion_tokens for usage in usages),
        searches=sum(usage.searches for usage in usages),
        estimated=any(usage.estimated for usage in usages),
    )
