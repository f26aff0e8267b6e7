"""Every image backend's adapter over real sockets, against the sandbox's dialect: pictures and failures."""

import asyncio
import io
from pathlib import Path

import pytest
from image_backends import BACKENDS, FAST, Backend, running
from msgspec.structs import replace
from pictures import picture
from PIL import Image

from providers.base import ImageProvider
from providers.catalogue import Catalogue
from providers.errors import (
    AuthenticationError,
    BadResponseError,
    ContentBlockedError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.types import ImageInput, ImageRequest, ImageSize
from router.settings import load_settings

ALL = list(BACKENDS.values())
JOBS = [each for each in ALL if each.poll]
FETCHING = [each for each in ALL if each.fetches]
SQUARE = ImageSize(width=1024, height=1024, tier="1K")


@pytest.fixture(scope="module")
def models() -> Catalogue:
    return load_settings(Path(__file__).parents[2] / "config" / "turnout.yaml", {}).catalogue


def every(backends: list[Backend]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("backend", backends, ids=lambda each: each.type)


def request(**more: object) -> ImageRequest:
    return ImageRequest(model="public", prompt="a cat", **more)  # type: ignore[arg-type]


def size_of(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as opened:
        return opened.size


@every(ALL)
async def test_a_picture_is_made_and_the_key_goes_to_the_api_alone(backend: Backend, models: Catalogue) -> None:
    async with running(backend, models) as up:
        assert isinstance(up.provider, ImageProvider)
        answer = await up.provider.images(request(size=SQUARE, seed=7), backend.model)
        (made,) = answer.images
        assert size_of(made.data) == (1024, 1024)
        (header,) = backend.key
        for operation in filter(None, (backend.submit, backend.poll)):
            assert up.seen(operation)
            assert all(header in entry["headers"] for entry in up.seen(operation))
        assert bool(up.seen("file")) == backend.fetches
        assert not any({header, "authorization"} & entry["headers"].keys() for entry in up.seen("file"))


@every(ALL)
@pytest.mark.parametrize(
    ("fault", "kind", "outcome", "billed"),
    [
        ("429-retry-after", RateLimitedError, "rate_limited", False),
        ("status-402", QuotaExhaustedError, "quota", False),
        ("bad-key", AuthenticationError, "auth", False),
        ("status-500", UnavailableError, "server_error", None),
        ("status-503", UnavailableError, "server_error", False),
        ("status-504", UpstreamTimeoutError, "timeout", None),
        ("status-524", UpstreamTimeoutError, "timeout", None),
        ("html-200", BadResponseError, None, True),
        ("empty-body", BadResponseError, None, True),
        ("error-in-200", ProviderError, None, True),
        ("image-safety", ContentBlockedError, "filtered", None),
        ("no-image", BadResponseError, "empty", True),
        ("bad-image", BadResponseError, "bad_image", True),
        ("reset", UnavailableError, "reset", None),
    ],
)
async def test_what_goes_wrong_with_a_request_has_its_class(
    backend: Backend, models: Catalogue, fault: str, kind: type[ProviderError], outcome: str | None, billed: bool | None
) -> None:
    async with running(backend, models) as up:
        up.fault(fault, on=backend.submit)
        with pytest.raises(kind) as caught:
            await up.provider.images(request(), backend.model)
        assert caught.value.provider == backend.type
        assert outcome in (None, caught.value.outcome)
        assert billed in (None, caught.value.billed)
        if fault == "429-retry-after":
            assert caught.value.retry_after_s == 7.0
        if fault == "image-safety":
            assert (caught.value.code, caught.value.failover) == ("moderation_blocked", False)
        assert len(up.seen(backend.submit)) == 1, "what may have been billed is not asked for again"


@every([each for each in ALL if each.type in ("fal", "stable-diffusion", "comfyui")])
async def test_a_black_picture_is_a_refusal_where_filters_say_no_more(backend: Backend, models: Catalogue) -> None:
    async with running(backend, models) as up:
        up.fault("black-image", on=backend.submit)
        with pytest.raises(ContentBlockedError) as caught:
            await up.provider.images(request(), backend.model)
    assert (caught.value.code, caught.value.billed) == ("moderation_blocked", True)


@every([BACKENDS["stable-diffusion"]])
async def test_one_broken_picture_does_not_spoil_the_others(backend: Backend, models: Catalogue) -> None:
    async with running(backend, models) as up:
        up.fault("one-bad-image", on=backend.submit)
        answer = await up.provider.images(request(n=3), backend.model)
    assert (len(answer.images), answer.lost, answer.warnings) == (2, 1, ("data[0]=not delivered",))


@every([BACKENDS["stable-diffusion"]])
async def test_an_edit_keeps_the_size_of_its_picture(backend: Backend, models: Catalogue) -> None:
    async with running(backend, models) as up:
        answer = await up.provider.images(request(images=(ImageInput(picture(640, 384), "image/png"),)), "default")
    assert size_of(answer.images[0].data) == (640, 384)


@every(FETCHING)
async def test_an_expired_result_is_a_bad_image_that_was_paid_for(backend: Backend, models: Catalogue) -> None:
    async with running(backend, models) as up:
        up.fault("status-403", on="file")
        with pytest.raises(BadResponseError) as caught:
            await up.provider.images(request(), backend.model)
    assert (caught.value.outcome, caught.value.billed) == ("bad_image", True)


@every(FETCHING)
async def test_a_result_inside_the_network_is_not_fetched(backend: Backend, models: Catalogue) -> None:
    async with running(backend, models) as up:
        up.fault("job-internal-url", on=backend.submit)
        with pytest.raises(BadResponseError) as caught:
            await up.provider.images(request(), backend.model)
    assert (caught.value.outcome, caught.value.billed) == ("ssrf_block", True)


@every(JOBS)
@pytest.mark.parametrize(
    "fault", ["poll-404", "poll-500", "status-429", "status-524", "html-200", "backwards", "reset"]
)
async def test_a_lost_poll_is_asked_again(backend: Backend, models: Catalogue, fault: str) -> None:
    async with running(backend, models) as up:
        up.fault(fault, on=backend.poll, times=1)
        answer = await up.provider.images(request(), backend.model)
        assert len(answer.images) == 1
        assert len(up.seen(backend.submit)) == 1


@every(JOBS)
async def test_a_job_that_fails_is_not_submitted_again(backend: Backend, models: Catalogue) -> None:
    async with running(backend, models) as up:
        up.fault("job-fails", on=backend.submit)
        with pytest.raises(UnavailableError) as caught:
            await up.provider.images(request(), backend.model)
        assert caught.value.outcome == "job_failed"
        assert len(up.seen(backend.submit)) == 1


@every(JOBS)
async def test_a_job_that_is_gone_is_given_up(backend: Backend, models: Catalogue) -> None:
    async with running(backend, models) as up:
        up.fault("poll-404", on=backend.poll)
        with pytest.raises(UnavailableError) as caught:
            await up.provider.images(request(), backend.model)
    assert (caught.value.outcome, caught.value.billed) == ("job_failed", True)


@every(JOBS)
async def test_a_job_that_never_ends_meets_its_deadline(backend: Backend, models: Catalogue) -> None:
    async with running(backend, models, timings=replace(FAST, deadline_s=0.3)) as up:
        up.fault("job-never-ends", on=backend.submit)
        with pytest.raises(UpstreamTimeoutError) as caught:
            await up.provider.images(request(), backend.model)
        assert (caught.value.outcome, caught.value.billed) == ("job_timeout", True)
        assert bool(up.seen("cancel")) == backend.cancels


@every(JOBS)
async def test_a_caller_who_leaves_takes_the_job_along_where_it_can_be_taken_back(
    backend: Backend, models: Catalogue
) -> None:
    async with running(backend, models) as up:
        up.fault("job-never-ends", on=backend.submit)
        task = asyncio.create_task(up.provider.images(request(), backend.model))
        while len(up.seen(backend.poll)) < 3:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bool(up.seen("cancel")) == backend.cancels
