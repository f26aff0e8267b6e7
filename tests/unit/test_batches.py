"""One list in several calls: order, how many at once, and what a failure or a departure leaves behind."""

import asyncio
from collections.abc import Sequence

import pytest

from providers.batches import in_batches


class Upstream:
    """Answers a batch when told to; counts."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.asked: list[Sequence[int]] = []
        self.gates: dict[int, asyncio.Event] = {}

    async def ask(self, batch: Sequence[int]) -> int:
        self.asked.append(batch)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            gate = self.gates.get(batch[0])
            await (gate.wait() if gate else asyncio.sleep(0))
            return batch[0]
        finally:
            self.running -= 1


async def test_results_come_in_order_whoever_is_ready_first() -> None:
    upstream = Upstream()
    upstream.gates[0] = asyncio.Event()
    call = asyncio.ensure_future(in_batches(range(25), 10, upstream.ask))
    await asyncio.sleep(0.01)
    assert upstream.running == 1
    upstream.gates[0].set()
    assert await call == [0, 10, 20]
    assert [list(batch) for batch in upstream.asked] == [list(range(10)), list(range(10, 20)), list(range(20, 25))]


async def test_only_a_few_calls_run_at_once() -> None:
    upstream = Upstream()
    assert len(await in_batches(range(100), 5, upstream.ask)) == 20
    assert 1 < upstream.most <= 4


async def test_the_first_failure_ends_the_others() -> None:
    upstream = Upstream()
    upstream.gates = {0: asyncio.Event(), 1: asyncio.Event()}

    async def ask(batch: Sequence[int]) -> int:
        if batch[0] == 2:
            raise ValueError("broken")
        return await upstream.ask(batch)

    with pytest.raises(ValueError, match="broken"):
        await in_batches(range(3), 1, ask)
    assert upstream.running == 0


async def test_a_cancelled_call_ends_all_of_them() -> None:
    upstream = Upstream()
    upstream.gates = {place: asyncio.Event() for place in range(9)}
    call = asyncio.ensure_future(in_batches(range(9), 1, upstream.ask))
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert upstream.running == 0
