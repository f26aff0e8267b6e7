"""The Gemini adapter over a real socket: what goes out, what comes back, what is let go of."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from loopback import Reply, Script, Seen, Server, serving, until_gone

from providers.base import ChatProvider, ImageProvider
from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import (
    BadRequestError,
    BadResponseError,
    ContentBlockedError,
    ProviderError,
    RateLimitedError,
    StreamInterruptedError,
    UnavailableError,
    UnsupportedFieldError,
)
from providers.fetch import Fetcher
from providers.gemini.adapter import GeminiProvider
from providers.streams import ChatStream, prime
from providers.types import ChatChunk, ChatRequest, ImageRequest
from providers.upstream import Upstream

MODELS = {
    "gemini-3.8-flash": ModelInfo(name="gemini-3.8-flash", family=3.8, sampling=False),
    "draw": ModelInfo(name="draw", kind="image", image=ImageCapabilities(ratios=("1:1",), references=1)),
}


def event(text: str | None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"content": {"parts": [] if text is None else [{"text": text}]}}
    if reason:
        found["finishReason"] = reason
    counts = {"promptTokenCount": 2, "candidatesTokenCount": 3, "totalTokenCount": 5}
    return {"candidates": [found], "usageMetadata": counts, "modelVersion": "gemini-3.8-flash-001", **more}


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(item).encode() + b"\r\n\r\n" for item in events)


def request(**fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages_json=b'[{"role":"user","content":"hi"}]', fields=fields)


@asynccontextmanager
async def provider(script: Script) -> AsyncIterator[tuple[GeminiProvider, Server]]:
    async with serving(script) as server:
        upstream = Upstream(
            provider="google", base_url=f"{server.url}/v1beta", headers={"x-goog-api-key": "k"}, idle_timeout_s=5.0
        )
        fetcher = Fetcher(trusted_origins=[server.url])
        await upstream.open()
        await fetcher.open()
        try:
            yield GeminiProvider("google", upstream, MODELS, fetcher), server
        finally:
            await upstream.aclose()
            await fetcher.aclose()


async def collect(stream: ChatStream) -> list[ChatChunk]:
    return [chunk async for batch in stream for chunk in batch]


def text_of(chunks: list[ChatChunk], index: int = 0) -> str:
    return "".join(str(chunk.delta.get("content") or "") for chunk in chunks if chunk.index == index)


async def test_a_request_goes_to_the_model_with_the_key_in_a_header_only() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(json.dumps(event("Hello", "STOP", responseId="r1")).encode())

    async with provider(script) as (google, server):
        assert isinstance(google, ChatProvider)
        assert isinstance(google, ImageProvider)
        response = await google.complete(request(temperature=0.3), "models/gemini-3.8-flash")
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1beta/models/gemini-3.8-flash:generateContent")
    assert seen.headers["x-goog-api-key"] == "k"
    assert seen.json == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert response.id == "chatcmpl-r1"
    assert response.model == "gemini-3.8-flash-001"
    assert response.warnings == ("temperature=dropped",)
    assert response.choices[0]["message"] == {"role": "assistant", "content": "Hello", "refusal": None}
    assert response.usage.total_tokens == 5


async def test_a_stream_gives_what_each_read_brings_and_learns_the_model() -> None:
    gate = asyncio.Event()

    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(sse(event("a"), event("b")))
        await gate.wait()
        await reply.chunk(sse(event("c", "STOP")))
        await reply.end()

    async with provider(script) as (google, server):
        stream = await google.stream(request(), "gemini-3.8-flash")
        assert stream.model == "gemini-3.8-flash"
        primed = await prime(stream)
        assert text_of(list(primed.first)) == "ab", "one read, one batch, and nothing waited for"
        assert primed.model == "gemini-3.8-flash-001"
        assert primed.first[-1].usage is not None, "a stream given up here must still be accounted"
        gate.set()
        rest = [chunk async for batch in primed for chunk in batch]
        await primed.aclose()
    assert server.seen[0].path == "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    assert text_of(rest) == "c"
    assert rest[-1].finish_reason == "stop"
    assert rest[-1].usage is not None
    assert rest[-1].usage.completion_tokens == 3


async def test_closing_a_stream_half_way_lets_go_of_the_upstream() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(sse(event("a")))
        await until_gone(reply)

    async with provider(script) as (google, server):
        stream = await google.stream(request(), "gemini-3.8-flash")
        await prime(stream)
        await stream.aclose()
        await stream.aclose()
        await asyncio.wait_for(server.seen[0].gone.wait(), 2)


async def test_n_choices_are_n_calls_with_their_usage_summed() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(json.dumps(event("x", "STOP")).encode())

    async with provider(script) as (google, server):
        response = await google.complete(request(n=3), "gemini-3.8-flash")
    assert len(server.seen) == 3
    assert all("generationConfig" not in seen.json for seen in server.seen), "candidateCount is never sent"
    assert [choice["index"] for choice in response.choices] == [0, 1, 2]
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (6, 9)


async def test_n_streamed_choices_are_interleaved_by_index() -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(sse(event("a")))
        await reply.chunk(sse(event("b", "STOP")))
        await reply.end()

    async with provider(script) as (google, server):
        stream = await google.stream(request(n=2), "gemini-3.8-flash")
        chunks = await collect(stream)
        await stream.aclose()
    assert len(server.seen) == 2
    assert [text_of(chunks, index) for index in (0, 1)] == ["ab", "ab"]
    assert sorted(chunk.index for chunk in chunks if chunk.finish_reason) == [0, 1]
    last = [chunk.usage for chunk in chunks if chunk.usage][-1]
    assert (last.prompt_tokens, last.completion_tokens) == (4, 6)


async def test_one_failed_choice_ends_the_others() -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        if not failed:
            failed.append(seen)
            await reply.whole(b'{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}', 503)
        else:
            await until_gone(reply)

    failed: list[Seen] = []
    async with provider(script) as (google, server):
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(google.complete(request(n=2), "gemini-3.8-flash"), 2)
        for seen in server.seen:
            await asyncio.wait_for(seen.gone.wait(), 2)


@pytest.mark.parametrize("n", [0, 9, 1.5, "2"])
async def test_a_number_of_choices_we_do_not_make_is_refused(n: Any) -> None:
    async with provider(_never) as (google, server):
        with pytest.raises(BadRequestError) as caught:
            await google.complete(request(n=n), "gemini-3.8-flash")
        assert isinstance(caught.value, UnsupportedFieldError) == (n == 9)
    assert caught.value.param == "n"
    assert server.seen == []


@pytest.mark.parametrize("model", ["a/b", "a?key=x", "a#b", "../a", "a..b", "", "a:countTokens", "a b", "a%2fb", "ü"])
async def test_a_model_name_that_could_leave_its_place_in_the_path_is_refused(model: str) -> None:
    async with provider(_never) as (google, server):
        for call in (google.complete(request(), model), google.stream(request(), model)):
            with pytest.raises(BadRequestError) as caught:
                await call
            assert caught.value.param == "model"
            assert caught.value.provider == "google"
    assert server.seen == []


async def test_a_rate_limit_before_the_stream_is_a_failed_attempt() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
        body = {"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED", "details": [info]}}
        await reply.whole(json.dumps([body]).encode(), 429)

    async with provider(script) as (google, _):
        with pytest.raises(RateLimitedError) as caught:
            await google.stream(request(), "gemini-3.8-flash")
    assert caught.value.retry_after_s == 7.0
    assert caught.value.provider == "google"


ERROR = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}


async def test_an_error_event_before_content_is_a_failed_attempt_and_after_it_an_interruption() -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(sse(*([ERROR] if len(seen_paths) == 0 else [event("a"), ERROR])))
        seen_paths.append(seen.path)
        await reply.end()

    seen_paths: list[str] = []
    async with provider(script) as (google, _):
        with pytest.raises(UnavailableError) as first:
            await prime(await google.stream(request(), "gemini-3.8-flash"))
        assert first.value.failover
        assert first.value.provider == "google"
        stream = await google.stream(request(), "gemini-3.8-flash")
        primed = await prime(stream)
        assert text_of(list(primed.first)) == "a", "what came before the error in the same read is given out"
        with pytest.raises(StreamInterruptedError) as second:
            await anext(aiter(primed))
        assert second.value.billed
        await primed.aclose()


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("content", [True, False])
async def test_a_broken_stream_fails_over_only_while_nothing_was_given_out(reset: bool, content: bool) -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(sse(event("a" if content else None)))
        await asyncio.sleep(0.05)
        if reset:
            reply.reset()
        else:
            await reply.end()

    async with provider(script) as (google, _):
        stream = await google.stream(request(), "gemini-3.8-flash")
        with pytest.raises(ProviderError) as caught:
            await collect(stream)
        await stream.aclose()
    assert caught.value.failover is not content
    assert isinstance(caught.value, StreamInterruptedError) is content
    assert caught.value.provider == "google"


async def test_a_connection_lost_after_the_reason_to_stop_has_cost_nothing() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(sse(event("whole", "STOP")))
        await asyncio.sleep(0.05)
        reply.reset()

    async with provider(script) as (google, _):
        stream = await google.stream(request(), "gemini-3.8-flash")
        chunks = await collect(stream)
        await stream.aclose()
    assert text_of(chunks) == "whole"
    assert chunks[-1].finish_reason == "stop"


async def test_an_empty_streamed_stop_is_a_failed_attempt() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(sse(event(None, "STOP")))
        await reply.end()

    async with provider(script) as (google, _):
        with pytest.raises(BadResponseError) as caught:
            await prime(await google.stream(request(), "gemini-3.8-flash"))
    assert caught.value.outcome == "empty"


async def test_pictures_come_as_bytes_and_a_filter_is_named() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(json.dumps(bodies.pop(0)).encode())

    part = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    bodies: list[Any] = [
        {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]},
        {"candidates": [{"finishReason": "IMAGE_SAFETY"}]},
    ]
    async with provider(script) as (google, server):
        answer = await google.images(ImageRequest(model="m", prompt="a cat"), "draw")
        with pytest.raises(ContentBlockedError) as caught:
            await google.images(ImageRequest(model="m", prompt="a cat"), "draw")
    assert [(image.data, image.mime) for image in answer.images] == [(b"\x89PNG\r\n\x1a\n", "image/png")]
    assert server.seen[0].path == "/v1beta/models/draw:generateContent"
    assert caught.value.code == "moderation_blocked"
    assert caught.value.provider == "google"


async def test_a_request_nested_past_what_can_be_written_is_the_callers_fault() -> None:
    arguments = '{"a":' * 300 + "1" + "}" * 300
    messages = [
        {"role": "assistant", "tool_calls": [{"id": "call_a", "function": {"name": "f", "arguments": arguments}}]},
        {"role": "tool", "tool_call_id": "call_a", "content": "x"},
    ]
    deep = ChatRequest(model="m", messages_json=json.dumps(messages).encode(), fields={})
    async with provider(_never) as (google, _):
        with pytest.raises(BadRequestError):
            await google.complete(deep, "gemini-3.8-flash")


async def _never(_: Seen, reply: Reply) -> None:
    raise AssertionError("no request was to be sent")
