"""The OpenAI adapter over a real socket: what goes out, what comes back, and what a broken upstream turns into."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from loopback import Reply, Seen, Server, serving, until_gone

from providers.base import ChatProvider, ImageProvider
from providers.errors import (
    BadRequestError,
    BadResponseError,
    ContentBlockedError,
    ProviderError,
    RateLimitedError,
    StreamInterruptedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.fetch import Fetcher
from providers.openai.adapter import OpenAIProvider
from providers.streams import ChatStream, prime
from providers.types import ChatChunk, ChatRequest, ImageInput, ImagePreview, ImageRequest, ImageResponse
from providers.upstream import Upstream

ASK = ChatRequest(model="public", messages_json=b'[{"role":"user","content":"hi"}]', fields={"seed": 1})
ANSWER = b'{"id":"c1","model":"served","choices":[{"message":{"content":"Bonjour"},"finish_reason":"stop"}]}'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
B64 = base64.b64encode(PNG).decode()


def event(delta: Any, finish: str | None = None) -> bytes:
    body = {"model": "served", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + orjson.dumps(body) + b"\n\n"


ROLE, HELLO, STOP, DONE = (
    event({"role": "assistant", "content": ""}),
    event({"content": "Hello"}),
    event({}, "stop"),
    b"data: [DONE]\n\n",
)


@asynccontextmanager
async def provider(
    script: Callable[[Seen, Reply], Awaitable[None]], **options: Any
) -> AsyncIterator[tuple[OpenAIProvider, Server]]:
    async with serving(script) as server:
        upstream = Upstream(provider="x", base_url=server.url + "/v1", headers={"authorization": "Bearer k"}, **options)
        fetcher = Fetcher()
        await upstream.open()
        await fetcher.open()
        try:
            yield OpenAIProvider("x", upstream, {}, fetcher), server
        finally:
            await upstream.aclose()
            await fetcher.aclose()


def replying(body: bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> Any:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(body, status, content_type, **headers)

    return script


def streaming(*parts: bytes, end: str = "end", pause_s: float = 0.0) -> Any:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        for part in parts:
            await reply.chunk(part)
            await asyncio.sleep(pause_s)
        match end:
            case "end":
                await reply.end()
            case "reset":
                reply.reset()
            case "silence":
                await until_gone(reply)

    return script


async def collected(stream: ChatStream) -> list[ChatChunk]:
    try:
        return [chunk async for batch in stream for chunk in batch]
    finally:
        await stream.aclose()


async def test_it_is_a_chat_and_an_image_provider() -> None:
    async with provider(replying(b"{}")) as (openai, _):
        assert isinstance(openai, ChatProvider)
        assert isinstance(openai, ImageProvider)


async def test_a_plain_answer() -> None:
    async with provider(replying(ANSWER)) as (openai, server):
        answer = await openai.complete(ASK, "up/model")
    assert (answer.id, answer.model, answer.usage.estimated) == ("c1", "served", True)
    assert answer.choices[0]["message"] == {"role": "assistant", "content": "Bonjour", "refusal": None}
    seen = server.seen[0]
    assert seen.path == "/v1/chat/completions"
    assert seen.json == {"model": "up/model", "messages": [{"role": "user", "content": "hi"}], "seed": 1}


async def test_a_plain_call_with_a_streaming_request_asks_for_a_plain_answer() -> None:
    asked = ChatRequest(model="m", messages_json=b"[]", fields={}, stream=True)
    async with provider(replying(ANSWER)) as (openai, server):
        await openai.complete(asked, "m")
    assert "stream" not in server.seen[0].json


async def test_errors_carry_the_providers_name() -> None:
    limited = b'{"error":{"code":"rate_limit_exceeded","message":"x"}}'
    async with provider(replying(limited, 429, retry_after="7")) as (openai, _):
        for call in (openai.complete(ASK, "m"), openai.stream(ASK, "m")):
            with pytest.raises(RateLimitedError) as caught:
                await call
            assert (caught.value.provider, caught.value.retry_after_s) == ("x", 7.0)
    async with provider(replying(limited)) as (openai, _):
        for call in (openai.complete(ASK, "m"), openai.stream(ASK, "m")):
            with pytest.raises(RateLimitedError) as caught:
                await call
            assert caught.value.provider == "x"


async def test_a_stream_and_the_connection_serves_again() -> None:
    async with provider(streaming(ROLE, HELLO, STOP, DONE)) as (openai, server):
        for _ in range(3):
            stream = await prime(await openai.stream(ASK, "m"))
            chunks = [*stream.first, *[chunk async for batch in stream for chunk in batch]]
            assert "".join(str(chunk.delta.get("content", "")) for chunk in chunks) == "Hello"
            assert chunks[-1].finish_reason == "stop"
            assert stream.model == "served"
            await stream.aclose()
    assert server.connections == 1
    assert server.seen[0].json["stream_options"] == {"include_usage": True}


async def test_one_byte_at_a_time() -> None:
    parts = [bytes([byte]) for byte in HELLO + STOP + DONE]
    async with provider(streaming(*parts)) as (openai, _):
        chunks = await collected(await openai.stream(ASK, "m"))
    assert [chunk.delta for chunk in chunks] == [{"content": "Hello"}, {}]


async def test_a_plain_json_answer_to_a_stream_request_becomes_one_batch() -> None:
    async with provider(replying(ANSWER)) as (openai, _):
        stream = await openai.stream(ASK, "m")
        assert stream.model == "served"
        batches = [batch async for batch in stream]
        await stream.aclose()
    assert len(batches) == 1
    assert batches[0][0].delta == {"role": "assistant", "content": "Bonjour"}
    assert batches[0][1].finish_reason == "stop"


async def test_a_page_instead_of_a_stream_may_be_asked_elsewhere() -> None:
    async with provider(replying(b"<html>hello</html>", content_type="text/html")) as (openai, _):
        with pytest.raises(BadResponseError):
            await prime(await openai.stream(ASK, "m"))


@pytest.mark.parametrize(
    ("script", "kind", "outcome"),
    [
        (streaming(ROLE, b'data: {"error":{"code":429}}\n\n'), RateLimitedError, "rate_limited"),
        (streaming(b'[{"error":{"code":503}}]'), UnavailableError, "server_error"),
        (streaming(ROLE, b"data: {oops\n\n"), BadResponseError, "parse"),
        (streaming(ROLE, STOP, DONE), BadResponseError, "empty"),
        (streaming(), BadResponseError, "empty"),
        (streaming(ROLE), BadResponseError, "empty"),
        (streaming(ROLE, end="reset", pause_s=0.02), UnavailableError, "reset"),
        (streaming(ROLE, end="silence"), UpstreamTimeoutError, "ttft_timeout"),
    ],
)
async def test_a_stream_that_fails_before_content_may_be_asked_elsewhere(
    script: Any, kind: type[ProviderError], outcome: str
) -> None:
    async with provider(script, idle_timeout_s=0.2) as (openai, _):
        with pytest.raises(ProviderError) as caught:
            await prime(await openai.stream(ASK, "m"))
    assert (type(caught.value), caught.value.outcome, caught.value.failover) == (kind, outcome, True)


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (streaming(HELLO, b'data: {"error":{"code":429}}\n\n'), "rate_limited"),
        (streaming(HELLO + b'data: {"error":{"code":429}}\n\n'), "rate_limited"),
        (streaming(HELLO, b"data: {oops\n\n"), "parse"),
        (streaming(HELLO), "stream_truncated"),
        (streaming(HELLO, b'data: {"choices":[{"del'), "stream_truncated"),
        (streaming(HELLO, end="reset", pause_s=0.02), "stream_reset"),
        (streaming(HELLO, end="silence"), "stream_stall"),
    ],
)
async def test_a_stream_that_fails_after_content_gives_it_first_and_is_interrupted(script: Any, outcome: str) -> None:
    async with provider(script, idle_timeout_s=0.2) as (openai, _):
        stream = await prime(await openai.stream(ASK, "m"))
        assert stream.first[-1].delta == {"content": "Hello"}
        with pytest.raises(StreamInterruptedError) as caught:
            [batch async for batch in stream]
        await stream.aclose()
    assert (caught.value.outcome, caught.value.provider, caught.value.billed) == (outcome, "x", True)


@pytest.mark.parametrize("end", ["end", "reset", "silence"])
async def test_once_the_finish_was_seen_a_missing_done_is_no_harm(end: str) -> None:
    async with provider(streaming(HELLO, STOP, end=end, pause_s=0.02), idle_timeout_s=0.2) as (openai, _):
        chunks = await collected(await openai.stream(ASK, "m"))
    assert chunks[-1].finish_reason == "stop"


async def test_after_done_nothing_is_waited_for_long() -> None:
    async with provider(streaming(HELLO, STOP, DONE, HELLO, end="silence")) as (openai, server):
        async with asyncio.timeout(1.0):
            chunks = await collected(await openai.stream(ASK, "m"))
            await server.seen[0].gone.wait()
    assert [chunk.delta for chunk in chunks] == [{"content": "Hello"}, {}]


async def test_giving_up_a_stream_closes_it_upstream_within_a_second() -> None:
    async with provider(streaming(HELLO, end="silence")) as (openai, server):
        stream = await prime(await openai.stream(ASK, "m"))
        await stream.aclose()
        await stream.aclose()
        async with asyncio.timeout(1.0):
            await server.seen[0].gone.wait()


async def test_cancelling_a_reader_closes_the_stream_upstream() -> None:
    async with provider(streaming(ROLE, end="silence")) as (openai, server):
        task = asyncio.create_task(prime(await openai.stream(ASK, "m")))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1.0):
            await server.seen[0].gone.wait()


PAINT = ImageRequest(model="public", prompt="a cat")


async def test_a_generation() -> None:
    body = orjson.dumps({"data": [{"b64_json": B64}], "usage": {"input_tokens": 3, "output_tokens": 9}})
    async with provider(replying(body)) as (openai, server):
        answer = await openai.images(PAINT, "gpt-image-2")
    assert [(picture.data, picture.mime) for picture in answer.images] == [(PNG, "image/png")]
    assert answer.usage is not None
    assert answer.usage.image_completion_tokens == 9
    assert server.seen[0].path == "/v1/images/generations"
    assert server.seen[0].json == {"model": "gpt-image-2", "prompt": "a cat", "n": 1}


async def test_an_edit_goes_out_as_a_form() -> None:
    image = ImageInput(PNG, "image/png")
    asked = ImageRequest(model="m", prompt="dusk", images=(image, image), mask=image)
    async with provider(replying(orjson.dumps({"data": [{"b64_json": B64}]}))) as (openai, server):
        await openai.images(asked, "gpt-image-2")
    seen = server.seen[0]
    assert seen.path == "/v1/images/edits"
    assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert seen.headers["authorization"] == "Bearer k"
    assert seen.body.count(PNG) == 3
    assert seen.body.count(b'name="image[]"; filename="image-') == 2
    assert b'name="mask"; filename="mask.png"' in seen.body
    assert b'name="prompt"\r\n\r\ndusk\r\n' in seen.body.replace(b"Content-Type: text/plain; charset=utf-8\r\n", b"")


async def test_a_url_is_fetched_without_the_key_and_never_from_another_private_origin() -> None:
    base = [""]

    async def script(seen: Seen, reply: Reply) -> None:
        if seen.method == "GET":
            await reply.whole(PNG, content_type="image/jpeg")
        else:
            await reply.whole(orjson.dumps({"data": [{"url": f"{base[0]}/files/1.png"}]}))

    async with provider(script) as (openai, server):
        base[0] = server.url
        assert (await openai.images(PAINT, "m")).images[0].mime == "image/png"
        count = len(server.seen)
        assert ["authorization" in seen.headers for seen in server.seen] == [True, False]
        for base[0] in ("https://169.254.169.254", "http://localhost:1", "file:///etc", "http://u:p@127.0.0.1", "//x"):
            with pytest.raises(BadResponseError) as caught:
                await openai.images(PAINT, "m")
            assert (caught.value.outcome, caught.value.billed) == ("ssrf_block", True)
        assert len(server.seen) == count + 5


async def test_broken_pictures_among_good_ones_become_warnings() -> None:
    items = [{"b64_json": B64}, {"b64_json": "aGVsbG8gd29ybGQ="}, {"url": "https://10.0.0.1/x.png"}]
    async with provider(replying(orjson.dumps({"data": items}))) as (openai, _):
        answer = await openai.images(PAINT, "m")
    assert len(answer.images) == 1
    assert answer.warnings == ("data[1]=not delivered", "data[2]=not delivered")


BLOCKED = b'{"error":{"type":"image_generation_user_error","code":"moderation_blocked","param":null,"message":"no"}}'


@pytest.mark.parametrize(
    ("script", "kind", "billed"),
    [
        (replying(BLOCKED, 400), ContentBlockedError, False),
        (replying(b'{"error":{"code":"invalid_value","message":"x"}}', 400), BadRequestError, False),
        (replying(b"", 429), RateLimitedError, False),
        (replying(b"", 500), UnavailableError, True),
        (replying(b"", 503), UnavailableError, False),
        (replying(b"", 524), UpstreamTimeoutError, True),
        (replying(b'{"data":[]}'), BadResponseError, True),
        (replying(b"<html>"), BadResponseError, True),
        (replying(b'{"data":[{"b64_json":"aGVsbG8gd29ybGQ="}]}'), BadResponseError, True),
        (streaming(b"{", end="reset", pause_s=0.02), BadResponseError, True),
    ],
)
async def test_a_failed_picture_says_whether_it_may_have_been_billed(
    script: Any, kind: type[ProviderError], billed: bool
) -> None:
    async with provider(script) as (openai, _):
        with pytest.raises(ProviderError) as caught:
            await openai.images(PAINT, "gpt-image-2")
    assert (type(caught.value), caught.value.billed, caught.value.provider) == (kind, billed, "x")


# --- pictures with previews

PREVIEWED = ImageRequest(model="m", prompt="a cat", partial_images=2)


def image_event(kind: str, **more: Any) -> bytes:
    said = {"type": f"image_generation.{kind}", "b64_json": B64, **more}
    return b"event: x\ndata: " + orjson.dumps(said) + b"\n\n"


PREVIEW, PICTURE = image_event("partial_image", partial_image_index=0), image_event("completed")


async def previewed(openai: OpenAIProvider, model: str = "gpt-image-2") -> tuple[list[int], ImageResponse]:
    shown: list[int] = []

    async def show(preview: ImagePreview) -> None:
        shown.append(preview.index)

    return shown, await openai.preview_images(PREVIEWED, model, show)


@pytest.mark.parametrize("end", ["end", "reset", "silence"])
async def test_a_picture_has_come_whatever_the_upstream_does_with_the_line(end: str) -> None:
    async with provider(streaming(PREVIEW, PICTURE, end=end, pause_s=0.05)) as (openai, server), asyncio.timeout(5):
        shown, answer = await previewed(openai)
    assert (shown, [picture.data for picture in answer.images]) == ([0], [PNG])
    assert server.seen[0].json == {
        "model": "gpt-image-2", "prompt": "a cat", "n": 1, "stream": True, "partial_images": 2,
    }  # fmt: skip


async def test_an_upstream_that_answers_whole_shows_nothing_on_the_way() -> None:
    async with provider(replying(orjson.dumps({"data": [{"b64_json": B64}]}))) as (openai, _):
        shown, answer = await previewed(openai)
    assert (shown, len(answer.images)) == ([], 1)


async def test_only_gpt_image_models_are_asked_for_previews() -> None:
    async with provider(replying(orjson.dumps({"data": [{"b64_json": B64}]}))) as (openai, server):
        await previewed(openai, "flux")
    assert "stream" not in server.seen[0].json


@pytest.mark.parametrize(
    ("parts", "end", "kind", "outcome"),
    [
        ([PREVIEW], "reset", StreamInterruptedError, "stream_reset"),
        ([PREVIEW], "end", BadResponseError, "stream_truncated"),
        ([PREVIEW, b'data: {"error":{"message":"busy","code":"server_error"}}\n\n'], "end", UnavailableError, None),
        ([], "reset", UnavailableError, "reset"),
        ([], "end", BadResponseError, "stream_truncated"),
        ([b"data: {\n\n"], "end", BadResponseError, None),
    ],
)
async def test_a_picture_that_never_comes_may_have_been_paid_for(
    parts: list[bytes], end: str, kind: type[ProviderError], outcome: str | None
) -> None:
    async with provider(streaming(*parts, end=end, pause_s=0.05)) as (openai, _):
        with pytest.raises(ProviderError) as caught:
            await previewed(openai)
    assert type(caught.value) is kind
    assert (caught.value.billed, caught.value.provider) == (True, "x")
    assert outcome in (None, caught.value.outcome)
