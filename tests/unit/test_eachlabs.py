"""Eachlabs: one prediction per picture, polled, priced by its own word, fetched without the key from trusted hosts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Reply, Seen, Server, serving

from providers.base import ImageProvider
from providers.catalogue import ImageCapabilities, ModelInfo
from providers.eachlabs.adapter import EachlabsProvider
from providers.eachlabs.translate import (
    Result,
    cancel_url,
    error_from,
    prediction_id,
    size_fields,
    state_of,
    to_prediction,
    warnings_of,
)
from providers.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ModelNotFoundError,
    ProviderError,
    RateLimitedError,
    UnavailableError,
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from providers.fetch import Fetcher
from providers.jobs import Done, JobTimings, Pending
from providers.types import ImageInput, ImageRequest, ImageSize
from providers.upstream import Upstream

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
INFO = ModelInfo(name="m", kind="image")
WIDE = ImageSize(width=1792, height=1024, tier="1K")
FAST = JobTimings(first_s=0.005, step_s=0.0, max_s=0.005, deadline_s=5.0)


def request(**more: Any) -> ImageRequest:
    return ImageRequest(model="public", prompt="a cat", **more)


def test_a_prediction_holds_the_models_own_inputs() -> None:
    asked = request(n=3, size=WIDE, seed=7, negative_prompt="blur", user="u", quality="high", extra={"x": 1})
    assert orjson.loads(to_prediction(asked, "flux", INFO)) == {
        "model": "flux",
        "version": "0.0.1",
        "input": {"prompt": "a cat", "negative_prompt": "blur", "seed": 7, "width": 1792, "height": 1024},
    }
    assert warnings_of(asked, INFO) == ("quality=ignored", "x=dropped")
    assert warnings_of(request(quality="auto"), INFO) == ()


def test_a_reference_picture_travels_as_a_data_url() -> None:
    body = orjson.loads(to_prediction(request(images=(ImageInput(b"\xff\xd8\xff", "image/jpeg"),)), "m", INFO))
    assert body["input"]["image_url"] == "data:image/jpeg;base64,/9j/"


@pytest.mark.parametrize(
    ("can", "fields"),
    [
        (None, {"width": 1792, "height": 1024}),
        (ImageCapabilities(), {"width": 1792, "height": 1024}),
        (ImageCapabilities(ratios=("1:1", "16:9", "3:2", "match_input")), {"aspect_ratio": "16:9"}),
    ],
)
def test_sizes_are_pixels_or_ratios_as_the_models_row_says(can: ImageCapabilities | None, fields: Any) -> None:
    assert size_fields(WIDE, can) == fields
    assert size_fields(None, can) == {}


PICTURE = ImageInput(PNG, "image/png")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (request(mask=PICTURE, images=(PICTURE,)), "mask"),
        (request(images=(PICTURE, PICTURE)), "image"),
        (request(background="transparent"), "background"),
        (request(quality="high", strict=True), "quality"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(asked: ImageRequest, param: str) -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        to_prediction(asked, "m", INFO)
    assert caught.value.param == param


def state(status: Any, output: Any = None, **more: Any) -> bytes:
    return orjson.dumps({"id": "p1", "status": status, "output": output, **more})


URL = "https://cdn.example/a.png"


@pytest.mark.parametrize("status", ["starting", "processing", "created", "something_new", None, 7])
def test_states_that_are_not_terminal_are_pending(status: Any) -> None:
    assert state_of(state(status)) == Pending()


@pytest.mark.parametrize(
    "output",
    [URL, [URL], {"url": URL}, {"images": [{"url": URL}]}, {"image": {"url": URL}}, ["", None, URL], {"output": [URL]}],
)
def test_the_output_may_be_an_address_a_list_or_an_object(output: Any) -> None:
    done = state_of(state("success", output, metrics={"predict_time": 2.1, "cost": 0.0031}))
    assert done == Done(Result(url=URL, cost_usd=Decimal("0.0031")))


@pytest.mark.parametrize("output", [None, "", [], {}, "ftp://x/y", 7, {"text": "no"}])
def test_success_without_a_picture_is_an_empty_answer(output: Any) -> None:
    with pytest.raises(BadResponseError) as caught:
        state_of(state("success", output))
    assert (caught.value.outcome, caught.value.billed) == ("empty", True)


@pytest.mark.parametrize("status", ["error", "failed", "cancelled", "canceled", "FAILED"])
def test_terminal_failures_are_final(status: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        state_of(state(status, metrics={"cost": 0}))
    assert (caught.value.outcome, caught.value.billed) == ("job_failed", False)
    with pytest.raises(UnavailableError) as caught:
        state_of(state(status, metrics={"cost": 0.01}))
    assert caught.value.billed


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"predictionID":""}', b'{"predictionID":"../../x"}', b'{"predictionID":7}']
)
def test_a_creation_without_a_usable_id_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadResponseError):
        prediction_id(body)


def test_ids_and_cancel_addresses_are_read() -> None:
    assert prediction_id(b'{"status":"success","message":"ok","predictionID":"a-1_B"}') == "a-1_B"
    assert cancel_url(b'{"urls":{"get":"g","cancel":"c"}}') == "c"
    assert [cancel_url(body) for body in (b"", b"{}", b'{"urls":7}', b'{"urls":{"cancel":null}}')] == [None] * 4


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (404, ModelNotFoundError),
        (429, RateLimitedError),
        (500, UnavailableError),
        (504, UpstreamTimeoutError),
    ],
)
def test_statuses(status: int, kind: type[ProviderError]) -> None:
    error = error_from(status, {"retry-after": "3"}, b'{"error":"bad prompt at https://x.example/ sk-12345678"}')
    assert type(error) is kind
    if status == 400:
        assert error.message == "bad prompt at [url] [key]"
    if status == 429:
        assert error.retry_after_s == 3.0


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=6) | st.just(URL),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["url", "output", "images"]), inner),
    max_leaves=8,
)


@given(st.sampled_from(["success", "failed", "processing"]), JSON, JSON)
def test_no_state_raises_anything_but_a_provider_error(status: str, output: Any, metrics: Any) -> None:
    try:
        assert isinstance(state_of(state(status, output, metrics=metrics)), Pending | Done)
    except ProviderError:
        return


@asynccontextmanager
async def provider(
    script: Callable[[Seen, Reply], Awaitable[None]], timings: JobTimings = FAST, hosts: tuple[str, ...] = ()
) -> AsyncIterator[tuple[EachlabsProvider, Server]]:
    async with serving(script) as server:
        api = Upstream(provider="e", base_url=server.url + "/v1", headers={"x-api-key": "secret"})
        fetcher = Fetcher()
        await api.open()
        await fetcher.open()
        try:
            yield EachlabsProvider("e", api, fetcher, {}, timings, hosts), server
        finally:
            await api.aclose()
            await fetcher.aclose()


class Api:
    """A fake Eachlabs: polls answer `states` in order, the last one for ever; `{url}` in them is the server's."""

    def __init__(self, *states: bytes | int) -> None:
        self.states = list(states)
        self.url = ""

    async def __call__(self, seen: Seen, reply: Reply) -> None:
        if seen.path == "/v1/prediction":
            await reply.whole(b'{"status":"success","message":"created","predictionID":"p1"}')
        elif seen.path == "/v1/prediction/p1":
            now = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            if isinstance(now, int):
                await reply.whole(b'{"error":"later"}', now)
            else:
                await reply.whole(now.replace(b"{url}", self.url.encode()))
        elif seen.path == "/out.png":
            await reply.whole(PNG, content_type="image/jpeg")
        elif seen.path == "/cancel":
            await reply.whole(b"{}")
        else:
            await reply.whole(b"", 404)


def paths(server: Server) -> list[str]:
    return [seen.path for seen in server.seen]


async def test_a_picture_is_made_polled_and_fetched_without_the_key() -> None:
    api = Api(state("starting"), 500, 429, state("success", ["{url}/out.png"], metrics={"cost": 0.002}))
    async with provider(api) as (eachlabs, server):
        api.url = server.url
        assert isinstance(eachlabs, ImageProvider)
        answer = await eachlabs.images(request(size=WIDE, quality="high"), "flux")
    assert [(picture.data, picture.mime) for picture in answer.images] == [(PNG, "image/png")]
    assert (answer.reported_cost_usd, answer.warnings) == (Decimal("0.002"), ("quality=ignored",))
    assert paths(server) == ["/v1/prediction", *["/v1/prediction/p1"] * 4, "/out.png"]
    assert ["x-api-key" in seen.headers for seen in server.seen] == [True] * 5 + [False]


@pytest.mark.parametrize(
    "address",
    [
        "https://169.254.169.254/x.png",
        "http://cdn.example/x.png",
        "https://evil-cdn.example/x.png",
        "https://cdn.example:8443/x.png",
        "https://u:p@cdn.example/x.png",
    ],
)
async def test_a_result_elsewhere_is_not_fetched(address: str) -> None:
    async with provider(Api(state("success", address)), hosts=("cdn.example",)) as (eachlabs, _):
        with pytest.raises(BadResponseError) as caught:
            await eachlabs.images(request(), "flux")
    assert (caught.value.outcome, caught.value.billed, caught.value.provider) == ("ssrf_block", True, "e")


@pytest.mark.parametrize("hosts", [(), ("cdn.invalid",)])
async def test_a_public_host_is_asked_and_with_configured_hosts_those_and_their_subdomains(
    hosts: tuple[str, ...],
) -> None:
    for address in ("https://cdn.invalid/x", "https://a.cdn.invalid/x"):
        async with provider(Api(state("success", address)), hosts=hosts) as (eachlabs, _):
            with pytest.raises(BadResponseError) as caught:  # asked for, but there is no such name
                await eachlabs.images(request(), "flux")
        assert (caught.value.outcome, caught.value.billed) == ("bad_image", True)


@pytest.mark.parametrize(
    "output", ["{url}/missing.png", "data:image/png;base64,aGVsbG8gd29ybGQ=", "data:image/png;base64,é"]
)
async def test_a_result_that_is_no_picture_is_a_bad_image(output: str) -> None:
    api = Api(state("success", output))
    async with provider(api) as (eachlabs, server):
        api.url = server.url
        with pytest.raises(BadResponseError) as caught:
            await eachlabs.images(request(), "flux")
    assert (caught.value.outcome, caught.value.billed) == ("bad_image", True)


async def test_a_failed_job_is_not_submitted_again() -> None:
    async with provider(Api(state("failed"))) as (eachlabs, server):
        with pytest.raises(UnavailableError) as caught:
            await eachlabs.images(request(), "flux")
    assert (caught.value.outcome, caught.value.provider) == ("job_failed", "e")
    assert paths(server).count("/v1/prediction") == 1


async def test_a_caller_who_leaves_cancels_the_job_at_its_own_address() -> None:
    api = Api(state("processing", urls={"cancel": "{url}/cancel"}))
    async with provider(api) as (eachlabs, server):
        api.url = server.url
        task = asyncio.create_task(eachlabs.images(request(), "flux"))
        while len(server.seen) < 4:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert paths(server)[-1] == "/cancel"
        assert server.seen[-1].headers["x-api-key"] == "secret"


async def test_a_cancel_address_elsewhere_never_gets_the_key() -> None:
    slow = JobTimings(first_s=0.005, deadline_s=0.05)
    async with serving(Api(1)) as other:
        async with provider(Api(state("processing", urls={"cancel": other.url + "/cancel"})), slow) as (eachlabs, _):
            with pytest.raises(UpstreamTimeoutError) as caught:
                await eachlabs.images(request(), "flux")
        assert caught.value.outcome == "job_timeout"
        assert other.seen == []
