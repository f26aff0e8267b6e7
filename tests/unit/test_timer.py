"""The time limit of the hot path behaves as `asyncio.timeout` does."""

import asyncio
import time

import pytest

from providers.timer import Limit


async def test_what_ends_in_time_is_left_alone() -> None:
    with Limit(5):
        await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_takes_too_long_ends_with_a_timeout() -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError), Limit(0.02):
        await asyncio.sleep(5)
    assert time.monotonic() - started < 1
    await asyncio.sleep(0)  # and the task lives on


async def test_a_cancellation_from_outside_passes_through() -> None:
    async def work() -> None:
        with Limit(5):
            await asyncio.sleep(5)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_wins_over_a_limit_that_strikes_with_it() -> None:
    async def work() -> None:
        with Limit(0.01):
            await asyncio.sleep(5)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.01, task.cancel)
    time.sleep(0.02)  # both timers are due in the same turn of the loop
    with pytest.raises((asyncio.CancelledError, TimeoutError)) as caught:
        await task
    assert caught.type is asyncio.CancelledError or task.cancelling() == 0


async def test_a_failure_inside_is_not_hidden() -> None:
    with pytest.raises(KeyError), Limit(5):
        raise KeyError("x")


async def test_limits_nest() -> None:
    with pytest.raises(TimeoutError), Limit(5), Limit(0.01):
        await asyncio.sleep(5)
    with pytest.raises(TimeoutError), Limit(0.01), Limit(5):
        await asyncio.sleep(5)
