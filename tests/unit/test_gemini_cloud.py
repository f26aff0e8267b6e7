"""The Gemini adapter as Google Cloud's: the same translation, other paths, other credentials."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from loopback import Reply, Script, Seen, Server, serving

from providers.catalogue import ModelInfo
from providers.errors import AuthenticationError, ModelNotFoundError, UnavailableError, UnsupportedFieldError
from providers.gemini.adapter import GeminiProvider
from providers.gemini.credentials import KeptToken, Token
from providers.gemini.terms import terms_of
from providers.options import Cloud, GeminiOptions
from providers.streams import prime
from providers.types import ChatRequest, ImageRequest
from providers.upstream import Upstream

MODELS = {
    "gemini-3.8-flash": ModelInfo(name="gemini-3.8-flash", family=3.8, call_ids=True, signatures=True),
    "draw": ModelInfo(name="draw", kind="image", family=3.1),
}
PROJECT = Cloud(project="p1", location="europe-west4")
GOOD = {
    "candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 2, "trafficType": "ON_DEMAND"},
}
PICTURE = {
    "candidates": [
        {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}]}, "finishReason": "STOP"}
    ]
}


def request(**fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages_json=b'[{"role":"user","content":"hi"}]', fields=fields)


class Tokens:
    """Tokens t1, t2, ... that never end."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> Token:
        self.count += 1
        return Token(f"t{self.count}", 4e9)


@asynccontextmanager
async def provider(
    script: Script, cloud: Cloud = PROJECT, headers: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[GeminiProvider, Server]]:
    async with serving(script) as server:
        upstream = Upstream(provider="vertex", base_url=f"{server.url}/v1", headers=headers or {}, idle_timeout_s=5.0)
        await upstream.open()
        try:
            tokens = None if cloud.express else KeptToken(Tokens())
            terms = terms_of(GeminiOptions(), cloud)
            yield GeminiProvider("vertex", upstream, MODELS, terms=terms, tokens=tokens), server
        finally:
            await upstream.aclose()


async def good(_: Seen, reply: Reply) -> None:
    await reply.whole(json.dumps(GOOD).encode())


async def test_a_project_is_asked_below_its_own_path_with_a_token() -> None:
    async with provider(good) as (vertex, server):
        first = await vertex.complete(request(service_tier="priority", metadata={"a": "b"}), "gemini-3.8-flash")
        await vertex.complete(request(), "gemini-3.8-flash")
    path = "/v1/projects/p1/locations/europe-west4/publishers/google/models/gemini-3.8-flash:generateContent"
    assert [seen.path for seen in server.seen] == [path, path]
    assert [seen.headers["authorization"] for seen in server.seen] == ["Bearer t1", "Bearer t1"]
    assert "x-goog-api-key" not in server.seen[0].headers
    assert server.seen[0].headers["x-vertex-ai-llm-shared-request-type"] == "priority"
    assert "x-vertex-ai-llm-shared-request-type" not in server.seen[1].headers
    assert server.seen[0].json["labels"] == {"a": "b"}
    assert first.extra == {"service_tier": "default"}


async def test_a_stream_is_opened_the_same_way_and_names_its_tier() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(b"data: " + json.dumps(GOOD).encode() + b"\r\n\r\n")
        await reply.end()

    async with provider(script) as (vertex, server):
        stream = await prime(await vertex.stream(request(), "gemini-3.8-flash"))
        assert stream.extra == {"service_tier": "default"}
        await stream.aclose()
    assert server.seen[0].path.endswith("/models/gemini-3.8-flash:streamGenerateContent?alt=sse")
    assert server.seen[0].headers["authorization"] == "Bearer t1"


async def test_pictures_come_from_the_same_place() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(json.dumps(PICTURE).encode())

    async with provider(script) as (vertex, server):
        await vertex.images(ImageRequest(model="m", prompt="a fjord"), "draw")
    assert server.seen[0].path.endswith("/publishers/google/models/draw:generateContent")
    assert server.seen[0].headers["authorization"] == "Bearer t1"


async def test_express_mode_is_asked_with_a_key_and_without_a_project() -> None:
    async with provider(good, Cloud(express=True), {"x-goog-api-key": "AQ.k"}) as (vertex, server):
        await vertex.complete(request(), "gemini-3.8-flash")
    (seen,) = server.seen
    assert seen.path == "/v1/publishers/google/models/gemini-3.8-flash:generateContent"
    assert seen.headers["x-goog-api-key"] == "AQ.k"
    assert "authorization" not in seen.headers


@pytest.mark.parametrize("streamed", [False, True])
async def test_after_a_refused_token_the_next_request_has_a_new_one(streamed: bool) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        if seen.headers["authorization"] == "Bearer t1":
            await reply.whole(b'{"error":{"code":401,"status":"UNAUTHENTICATED"}}', 401)
        else:
            await good(seen, reply)

    async with provider(script) as (vertex, server):
        refused = vertex.stream if streamed else vertex.complete
        with pytest.raises(AuthenticationError):
            await refused(request(), "gemini-3.8-flash")
        await vertex.complete(request(), "gemini-3.8-flash")
    assert [seen.headers["authorization"] for seen in server.seen] == ["Bearer t1", "Bearer t2"]


async def test_without_a_token_nothing_is_sent_and_the_error_names_the_provider() -> None:
    def unavailable() -> Token:
        raise UnavailableError("away")

    async with serving(good) as server:
        upstream = Upstream(provider="vertex", base_url=server.url, headers={})
        await upstream.open()
        vertex = GeminiProvider(
            "vertex", upstream, MODELS, terms=terms_of(GeminiOptions(), PROJECT), tokens=KeptToken(unavailable)
        )
        with pytest.raises(UnavailableError) as caught:
            await vertex.complete(request(), "gemini-3.8-flash")
        await upstream.aclose()
    assert caught.value.provider == "vertex"
    assert server.seen == []


async def test_a_model_that_the_location_lacks_may_be_served_elsewhere() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        message = "Publisher Model `projects/p1/locations/x/publishers/google/models/m` was not found"
        await reply.whole(json.dumps({"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}).encode(), 404)

    async with provider(script) as (vertex, _):
        with pytest.raises(ModelNotFoundError) as caught:
            await vertex.complete(request(), "gemini-3.8-flash")
    assert "p1" not in caught.value.message


async def test_a_signature_that_is_missing_there_is_told_as_here() -> None:
    message = (
        "Unable to submit request because function call `default_api:f` in the 2. content block is missing a "
        "`thought_signature`."
    )

    async def script(_: Seen, reply: Reply) -> None:
        body = {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
        await reply.whole(json.dumps(body).encode(), 400)

    async with provider(script) as (vertex, _):
        with pytest.raises(UnsupportedFieldError) as caught:
            await vertex.complete(request(), "gemini-3.8-flash")
    assert (caught.value.outcome, caught.value.resend) == ("signature", "unsigned")
