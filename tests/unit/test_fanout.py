"""Several pictures of one request: parallel calls, partial success, one answer."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from builders import info

from providers.catalogue import ImageCapabilities
from providers.errors import (
    BadRequestError,
    BadResponseError,
    ContentBlockedError,
    ProviderError,
    RateLimitedError,
    UnavailableError,
)
from providers.types import GeneratedImage, ImageRequest, ImageResponse, Usage
from router.pictures.fanout import make_pictures

CAT = GeneratedImage(data=b"cat", mime="image/png")


class Painter:
    """A backend that answers from a script, then with one cat for each picture asked for."""

    name = "painter"

    def __init__(self, *script: ProviderError | ImageResponse | Exception) -> None:
        self.script = list(script)
        self.seen: list[ImageRequest] = []
        self.busy = 0
        self.busiest = 0
        self.cancelled = 0

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        self.seen.append(request)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        step = self.script.pop(0) if self.script else response(request.n)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.busy -= 1
        if isinstance(step, Exception):
            raise step
        return step


def response(n: int = 1, **more: Any) -> ImageResponse:
    return ImageResponse(model="m-001", images=(CAT,) * n, **more)


async def make(painter: Painter, n: int, per_call: int = 1, **more: Any) -> ImageResponse:
    request = ImageRequest(model="image", prompt="a cat", n=n, **more)
    model = info("m", kind="image", image=ImageCapabilities(per_call=per_call))
    return await make_pictures(painter, request, "m", model)


@pytest.mark.parametrize(
    ("n", "per_call", "counts"),
    [(1, 1, [1]), (3, 1, [1, 1, 1]), (3, 4, [3]), (4, 4, [4]), (10, 4, [4, 4, 2])],
)
async def test_n_is_split_into_calls_the_backend_can_make(n: int, per_call: int, counts: list[int]) -> None:
    painter = Painter()
    found = await make(painter, n, per_call)
    assert [request.n for request in painter.seen] == counts
    assert len(found.images) == n
    assert found.warnings == ()
    assert found.model == "m-001"


async def test_calls_run_together_but_not_too_many() -> None:
    painter = Painter()
    await make(painter, 10)
    assert painter.busiest == 6


async def test_every_call_draws_from_its_own_seed() -> None:
    painter = Painter()
    await make(painter, 3, seed=7)
    assert [request.seed for request in painter.seen] == [7, 8, 9]
    painter = Painter()
    await make(painter, 2)
    assert [request.seed for request in painter.seen] == [None, None]
    painter = Painter()
    await make(painter, 2, seed=2**32 - 1)
    assert [request.seed for request in painter.seen] == [2**32 - 1, 0]


async def test_some_of_n_is_a_success_with_a_warning() -> None:
    found = await make(Painter(UnavailableError("down"), response(), RateLimitedError("slow")), 3)
    assert len(found.images) == 1
    assert found.warnings == ("n=1 of 3",)


async def test_what_did_not_come_is_told_by_its_place_and_counted_where_it_was_charged() -> None:
    free, charged = RateLimitedError("slow"), BadResponseError("expired", billed=True)
    found = await make(Painter(response(2), free, charged), 5, per_call=2)
    assert [(each.index, each.count, each.error) for each in found.failures] == [(2, 2, free), (4, 1, charged)]
    assert found.lost == 1


async def test_none_of_n_is_billed_if_any_call_was_and_dead_if_all_of_those_are() -> None:
    dead = UnavailableError("failed", billed=True, dead=True)
    dead.cost_usd = Decimal("0.04")
    with pytest.raises(ProviderError) as caught:
        await make(Painter(RateLimitedError("slow"), dead), 2)
    assert isinstance(caught.value, RateLimitedError)
    assert (caught.value.billed, caught.value.dead, caught.value.cost_usd) == (True, True, Decimal("0.04"))
    with pytest.raises(ProviderError) as caught:
        await make(Painter(BadResponseError("expired", billed=True), dead), 2)
    assert (caught.value.billed, caught.value.dead, caught.value.cost_usd) == (True, False, None)


async def test_a_backend_that_makes_fewer_than_asked_in_one_call_is_noticed_too() -> None:
    found = await make(Painter(response(2, warnings=("size=ignored",))), 4, per_call=4)
    assert found.warnings == ("size=ignored", "n=2 of 4")


async def test_equal_warnings_are_said_once() -> None:
    found = await make(Painter(*[response(warnings=("size=ignored",))] * 2), 2)
    assert found.warnings == ("size=ignored",)


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ([UnavailableError("x"), ContentBlockedError("x")], ContentBlockedError),
        ([RateLimitedError("x"), BadRequestError("x")], BadRequestError),
        ([UnavailableError("x"), RateLimitedError("x")], RateLimitedError),
        ([UnavailableError("x"), BadResponseError("x")], BadResponseError),
        ([UnavailableError("x"), UnavailableError("y")], UnavailableError),
    ],
)
async def test_none_of_n_raises_what_the_caller_can_do_most_about(
    errors: list[ProviderError], raised: type[ProviderError]
) -> None:
    with pytest.raises(raised):
        await make(Painter(*errors), 2)


async def test_a_defect_of_ours_is_not_swallowed() -> None:
    with pytest.raises(KeyError):
        await make(Painter(KeyError("ours")), 3)


async def test_tokens_and_costs_add_up() -> None:
    one = response(
        usage=Usage(prompt_tokens=10, completion_tokens=1120, image_completion_tokens=1120, searches=1),
        reported_cost_usd=Decimal("0.04"),
    )
    found = await make(Painter(one, one, one), 3)
    assert found.usage == Usage(prompt_tokens=30, completion_tokens=3360, image_completion_tokens=3360, searches=3)
    assert found.reported_cost_usd == Decimal("0.12")


async def test_a_sum_with_a_gap_is_no_sum() -> None:
    counted = response(usage=Usage(prompt_tokens=10, completion_tokens=1120), reported_cost_usd=Decimal("0.04"))
    found = await make(Painter(counted, response()), 2)
    assert found.reported_cost_usd is None
    assert found.usage is not None
    assert found.usage.estimated
    found = await make(Painter(response(usage=Usage(estimated=True)), counted), 2)
    assert found.usage is not None
    assert found.usage.estimated
    assert (await make(Painter(), 2)).usage is None


async def test_a_client_that_leaves_ends_every_call() -> None:
    painter = Painter()
    task = asyncio.create_task(make(painter, 4))
    while len(painter.seen) < 4:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert painter.busy == 0
    assert painter.cancelled == 4
