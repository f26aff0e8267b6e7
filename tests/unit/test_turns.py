"""Upstreams that admit so much at a time: the calls of all requests together wait their turn."""

import asyncio

import pytest
from builders import Clock

from providers.base import PreviewingProvider
from providers.errors import RateLimitedError
from providers.turns import Crowd, Door, InTurn, Pace
from providers.types import ImageRequest, ImageResponse


class Painter:
    """Counts how many are at work, in all and by model, until it is let go."""

    name = "painter"

    def __init__(self) -> None:
        self.busy: dict[str, int] = {}
        self.go = asyncio.Event()

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        self.busy[model] = self.busy.get(model, 0) + 1
        try:
            await self.go.wait()
        finally:
            self.busy[model] -= 1
        return ImageResponse(model=model, images=())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_so_many_are_made_at_a_time_whoever_asked() -> None:
    painter = Painter()
    gated = InTurn(painter, Door(Crowd(3, {"max": 2})))
    request = ImageRequest(model="m", prompt="x")
    tasks = [asyncio.create_task(gated.images(request, model)) for model in ("max", "max", "max", "pro", "pro", "pro")]
    await settle()
    assert painter.busy == {"max": 2, "pro": 1}
    painter.go.set()
    assert [answer.model for answer in await asyncio.gather(*tasks)] == ["max", "max", "max", "pro", "pro", "pro"]


async def test_who_leaves_the_queue_or_the_room_gives_the_place_up() -> None:
    painter = Painter()
    gated = InTurn(painter, Door(Crowd(1)))
    request = ImageRequest(model="m", prompt="x")
    inside, waiting, last = (asyncio.create_task(gated.images(request, "m")) for _ in range(3))
    await settle()
    waiting.cancel()
    inside.cancel()
    await settle()
    assert painter.busy == {"m": 1}
    painter.go.set()
    assert (await last).model == "m"


async def test_a_queue_that_is_too_long_sends_callers_elsewhere() -> None:
    painter = Painter()
    gated = InTurn(painter, Door(Crowd(1)))
    request = ImageRequest(model="m", prompt="x")
    tasks = [asyncio.create_task(gated.images(request, "m")) for _ in range(5)]
    await settle()
    with pytest.raises(RateLimitedError) as caught:
        await gated.images(request, "m")
    assert (caught.value.outcome, caught.value.billed, caught.value.failover) == ("queue_full", False, True)
    painter.go.set()
    await asyncio.gather(*tasks)


async def test_previews_pass_the_same_door() -> None:
    gated = InTurn(Painter(), Door(Crowd(1)))
    assert isinstance(gated, PreviewingProvider)


async def test_no_minute_has_more_requests_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    sent: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    waits: list[float] = []
    monkeypatch.setattr(asyncio, "sleep", sleep)
    pace = Pace(60, clock)
    for _ in range(300):
        waits.clear()
        await pace.turn()
        sent.append(clock.now + (waits[0] if waits else 0.0))
        clock.advance(0.2)  # polls of several jobs: five a second
    assert sent == sorted(sent)
    assert all(sum(start <= at < start + 60 for at in sent) <= 60 for start in sent)
    assert sent[14] - sent[0] < 4, "a few go at once"
