"""The sandbox over real sockets: every dialect answers, and every fault does to the wire what its name says."""

import asyncio
import base64
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import httpx
import pytest
from image_backends import TEXT_TO_IMAGE

from providers.sandbox import pictures
from providers.sandbox.config import FaultRule, Latency, SandboxConfig
from providers.sandbox.faults import FAULTS
from providers.sandbox.server import SandboxServer, running_sandbox

GEMINI = "/gemini/v1beta/models/gemini-3.8-flash:generateContent"
GEMINI_STREAM = "/gemini/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
CHAT = "/openai/v1/chat/completions"
KEYS = {"x-goog-api-key": "k", "authorization": "Bearer k", "x-api-key": "k", "api-key": "k", "mj-api-secret": "k"}
NINE = "words: 9"


def gemini_body(text: str = NINE) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def chat_body(text: str = NINE, **fields: object) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


REQUESTS = {
    "gemini": (GEMINI, gemini_body()),
    "gemini-stream": (GEMINI_STREAM, gemini_body()),
    "openai": (CHAT, chat_body()),
    "openai-stream": (CHAT, chat_body(stream=True)),
    "openai-images": ("/openai/v1/images/generations", {"model": "gpt-image-2", "prompt": "x"}),
    "eachlabs": ("/eachlabs/v1/prediction", {"model": "flux", "version": "0.0.1", "input": {"prompt": "x"}}),
}
# Dialects with error bodies of their own.
FURTHER = {
    "azure": ("/azure/openai/deployments/talk/chat/completions?api-version=2025-04-01-preview", chat_body(stream=True)),
    "comfyui": ("/comfyui/prompt", {"prompt": json.loads(TEXT_TO_IMAGE.read_text())}),
    "midjourney": ("/midjourney/mj/submit/imagine", {"prompt": "x --ar 1:1"}),
    "legnext": ("/legnext/api/v1/diffusion", {"text": "x --ar 1:1"}),
}
EVERY = REQUESTS | FURTHER
STREAMS = ["gemini-stream", "openai-stream"]


@pytest.fixture
async def server() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(SandboxConfig(job_s=0.03)) as running:
        yield running


@pytest.fixture
async def client(server: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.base_url, headers=KEYS, timeout=5) as opened:
        yield opened


Post = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def post(client: httpx.AsyncClient) -> Post:
    async def send(request: str, fault: str = "") -> httpx.Response:
        path, body = EVERY[request]
        return await client.post(path, json=body, headers={"x-sandbox-fault": fault} if fault else {})

    return send


def events(response: httpx.Response) -> list[Any]:
    frames = [line[5:].strip() for line in response.text.replace("\r", "\n").split("\n") if line.startswith("data:")]
    return [json.loads(frame) for frame in frames if frame != "[DONE]"]


def text_of(chunks: list[Any]) -> str:
    made = ""
    for chunk in chunks:
        for candidate in chunk.get("candidates", ()):
            made += "".join(part.get("text", "") for part in candidate["content"].get("parts", ()))
        for choice in chunk.get("choices", ()):
            made += choice["delta"].get("content") or ""
    return made


WORDS = " ".join(f"word{number}" for number in range(1, 10))


async def until(condition: Callable[[], bool], seconds: float = 1.0) -> None:
    """Wait until `condition` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("request_name", EVERY)
async def test_every_dialect_answers(post: Post, request_name: str) -> None:
    response = await post(request_name)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("request_name", STREAMS)
async def test_streams_carry_the_text(post: Post, request_name: str) -> None:
    response = await post(request_name)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert text_of(events(response)) == WORDS


async def test_a_stream_arrives_at_the_models_speed() -> None:
    config = SandboxConfig(latency={"gemini-3.8-flash": Latency(ttft_ms=30, tokens_per_s=100)})
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.base_url, headers=KEYS) as client:
        begun = time.monotonic()
        async with client.stream("POST", GEMINI_STREAM, json=gemini_body("words: 20")) as response:
            arrivals = [time.monotonic() - begun async for _ in response.aiter_bytes()]
    assert arrivals[0] >= 0.03
    assert len(arrivals) > 10
    assert arrivals[-1] >= 0.2


async def test_a_chat_picture_has_the_asked_size(client: httpx.AsyncClient) -> None:
    body = gemini_body("a lighthouse") | {
        "generationConfig": {"imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"}, "responseModalities": ["IMAGE"]}
    }
    response = await client.post("/gemini/v1beta/models/gemini-nano-banana-2.1:generateContent", json=body)
    (part,) = response.json()["candidates"][0]["content"]["parts"]
    assert part["thoughtSignature"]
    assert part["inlineData"]["mimeType"] == "image/png"
    assert pictures.size_of(base64.b64decode(part["inlineData"]["data"])) == (2752, 1536)
    usage = response.json()["usageMetadata"]
    assert usage["candidatesTokensDetails"] == [{"modality": "IMAGE", "tokenCount": 1680}]


async def test_an_eachlabs_job_runs_to_its_picture(client: httpx.AsyncClient) -> None:
    body = {"model": "flux", "input": {"prompt": "x", "width": 640, "height": 384}}
    submitted = (await client.post("/p/each/eachlabs/v1/prediction", json=body)).json()
    assert submitted["status"] == "success"
    statuses: list[str] = []
    while not statuses or statuses[-1] in ("starting", "processing"):
        poll = (await client.get(f"/p/each/eachlabs/v1/prediction/{submitted['predictionID']}")).json()
        statuses.append(poll["status"])
        await asyncio.sleep(0.005)
    order = ["starting", "processing", "success"]
    passed = list(dict.fromkeys(statuses))
    assert passed == [status for status in order if status in passed], "a busy machine may miss one, never mix them"
    assert passed[-1] == "success"
    assert poll["metrics"]["cost"] > 0
    assert "/p/each/files/" in poll["output"]
    picture = await client.get(poll["output"])
    assert picture.headers["content-type"] == "image/png"
    assert pictures.size_of(picture.content) == (640, 384)


async def test_a_cancelled_job_stays_cancelled(client: httpx.AsyncClient) -> None:
    submitted = (await client.post("/eachlabs/v1/prediction", json=REQUESTS["eachlabs"][1])).json()
    poll = (await client.get(f"/eachlabs/v1/prediction/{submitted['predictionID']}")).json()
    await client.post(poll["urls"]["cancel"])
    assert (await client.get(poll["urls"]["get"])).json()["status"] == "cancelled"


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ("job-never-ends", {"starting", "processing"}),
        ("job-fails", {"starting", "processing", "error"}),
        ("backwards", {"starting", "processing", "success"}),
    ],
)
async def test_jobs_can_end_badly(client: httpx.AsyncClient, fault: str, statuses: set[str]) -> None:
    answer = await client.post(
        "/eachlabs/v1/prediction", json=REQUESTS["eachlabs"][1], headers={"x-sandbox-fault": fault}
    )
    seen = []
    for _ in range(20):
        seen.append((await client.get(f"/eachlabs/v1/prediction/{answer.json()['predictionID']}")).json()["status"])
        await asyncio.sleep(0.005)
    assert set(seen) <= statuses
    assert seen[-1] in statuses - {"starting"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 422, 429, 500, 501, 502, 503, 504, 529])
@pytest.mark.parametrize("request_name", REQUESTS)
async def test_a_status_comes_with_the_dialects_body(post: Post, request_name: str, status: int) -> None:
    response = await post(request_name, f"status-{status}")
    assert response.status_code == status
    if status in (502, 504):
        assert response.headers["content-type"].startswith("text/html")
        return
    error = response.json()["error"]
    if request_name.startswith("gemini"):
        assert error["code"] == status
        assert error["status"].isupper()
    elif request_name.startswith("openai"):
        assert set(error) == {"message", "type", "param", "code"}
    else:
        assert isinstance(error, str)


async def test_rate_limits_hint_in_every_known_way(post: Post) -> None:
    info = (await post("gemini", "429-retry-info;delay=45.837906927s")).json()["error"]["details"]
    assert info[-1]["retryDelay"] == "45.837906927s"
    assert (await post("openai", "429-retry-after;seconds=9")).headers["retry-after"] == "9"
    assert (await post("openai", "429-retry-after-date")).headers["retry-after"].endswith("GMT")
    assert (await post("openai", "429-retry-after-ms;ms=250")).headers["retry-after-ms"] == "250"
    text = await post("gemini", "429-text-only")
    assert "retry in 26.66s" in text.json()["error"]["message"]
    assert "retry-after" not in text.headers
    assert "PerDay" in (await post("gemini", "429-per-day")).text
    assert (await post("openai", "429-per-day")).json()["error"]["code"] == "insufficient_quota"


async def test_a_quota_is_answered_with_429_and_a_delay() -> None:
    config = SandboxConfig(quota_rpm={"google/gemini-3.8-flash": 2, "m": 1})
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.base_url, headers=KEYS) as client:
        statuses = [(await client.post("/p/google" + GEMINI, json=gemini_body())).status_code for _ in range(3)]
        last = await client.post("/p/google" + GEMINI, json=gemini_body())
        other = await client.post("/p/other" + GEMINI, json=gemini_body())
        chats = [await client.post(CHAT, json=chat_body()) for _ in range(2)]
    assert statuses == [200, 200, 429]
    delay = last.json()["error"]["details"][-1]["retryDelay"]
    assert 0 < float(delay.removesuffix("s")) <= 60
    assert other.status_code == 200
    assert 1 <= int(chats[1].headers["retry-after"]) <= 60


@pytest.mark.parametrize("request_name", REQUESTS)
async def test_reset_is_a_tcp_reset(server: SandboxServer, request_name: str) -> None:
    path, body = REQUESTS[request_name]
    payload = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.base_url.rpartition(":")[2]))
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(payload)}\r\nx-sandbox-fault: reset\r\n\r\n"
    writer.write(head.encode() + payload)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_empty_reply_is_an_orderly_close(server: SandboxServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.base_url.rpartition(":")[2]))
    writer.write(b"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-sandbox-fault: empty-reply\r\n")
    writer.write(b"content-length: 2\r\n\r\n{}")
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("request_name", STREAMS)
async def test_reset_mid_stream_comes_after_some_text(client: httpx.AsyncClient, request_name: str) -> None:
    path, body = REQUESTS[request_name]
    received = bytearray()

    async def read() -> None:
        async with client.stream("POST", path, json=body, headers={"x-sandbox-fault": "reset-mid-stream"}) as response:
            async for data in response.aiter_bytes():
                received.extend(data)

    with pytest.raises(httpx.ReadError):
        await read()
    assert b"word" in received
    assert b"word9" not in received


@pytest.mark.parametrize("fault", ["stall", "stall-first-byte", "slow-headers"])
@pytest.mark.parametrize("request_name", ["gemini-stream", "openai"])
async def test_a_stall_outlasts_the_client_and_is_logged(
    server: SandboxServer, client: httpx.AsyncClient, request_name: str, fault: str
) -> None:
    path, body = REQUESTS[request_name]
    headers = {"x-sandbox-fault": fault + (";seconds=0.01" if fault == "slow-headers" else "")}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.15):
            await client.post(path, json=body, headers=headers)
    await until(lambda: server.sandbox.log.entries()[-1]["client_disconnected"])


async def test_a_short_stall_only_delays(post: Post) -> None:
    begun = time.monotonic()
    response = await post("openai", "stall;seconds=0.2")
    assert time.monotonic() - begun >= 0.2
    assert response.json()["choices"][0]["message"]["content"] == WORDS
    assert text_of(events(await post("gemini-stream", "stall-first-byte;seconds=0.05"))) == WORDS


@pytest.mark.parametrize("request_name", STREAMS)
async def test_a_client_that_leaves_mid_stream_is_logged(server: SandboxServer, request_name: str) -> None:
    path, body = REQUESTS[request_name]
    headers = {**KEYS, "x-sandbox-fault": "stall-mid-stream;after=2"}
    async with aiohttp.ClientSession(headers=headers) as session:
        response = await session.post(server.base_url + path, json=body)
        await response.content.readany()
        assert not server.sandbox.log.entries()[-1]["client_disconnected"]
        left = time.monotonic()
        response.close()
        await until(lambda: server.sandbox.log.entries()[-1]["client_disconnected"])
    assert time.monotonic() - left < 1
    assert server.sandbox.log.entries()[-1]["duration_s"] is not None


async def test_a_client_that_leaves_a_slow_answer_is_logged() -> None:
    config = SandboxConfig(latency={"*": Latency(tokens_per_s=5)})
    async with SandboxServer(config) as server:
        async with aiohttp.ClientSession(headers=KEYS) as session:
            response = await session.post(server.base_url + GEMINI_STREAM, json=gemini_body("words: 500"))
            await response.content.readany()
            response.close()
        await until(lambda: server.sandbox.log.entries()[-1]["client_disconnected"])


@pytest.mark.parametrize("request_name", STREAMS)
async def test_truncate_ends_cleanly_without_a_finish(post: Post, request_name: str) -> None:
    response = await post(request_name, "truncate")
    assert response.status_code == 200
    assert "[DONE]" not in response.text
    assert "STOP" not in response.text
    assert WORDS.startswith(text_of(events(response)))


async def test_no_done_keeps_the_finish(post: Post) -> None:
    response = await post("openai-stream", "no-done")
    assert "[DONE]" not in response.text
    assert events(response)[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("request_name", STREAMS)
async def test_errors_arrive_inside_a_good_status(post: Post, request_name: str) -> None:
    assert "error" in (await post(request_name, "error-in-200")).json()
    first = events(await post(request_name, "error-first-event;status=429"))
    assert list(first[0]) == ["error"]
    middle = events(await post(request_name, "error-mid-stream"))
    assert "error" in middle[-1]
    assert text_of(middle[:-1])
    unframed = (await post(request_name, "error-unframed")).text
    assert '\n  "error": {' in unframed
    whole = await post(request_name.removesuffix("-stream"), "error-mid-stream")
    assert whole.status_code == 200


@pytest.mark.parametrize("fault", ["crlf", "lf", "cr", "odd-framing", "one-byte-chunks", "slow-chunks;seconds=0.001"])
@pytest.mark.parametrize("request_name", STREAMS)
async def test_framing_does_not_change_the_text(post: Post, request_name: str, fault: str) -> None:
    response = await post(request_name, fault)
    assert text_of(events(response)) == WORDS
    assert (b"\r\n" in response.content) == (fault == "crlf" or ("gemini" in request_name and "chunks" in fault))


@pytest.mark.parametrize("request_name", ["gemini", "openai"])
async def test_bodies_can_be_wrong(post: Post, request_name: str) -> None:
    for fault in ("bad-json", "truncated-json", "html-200", "empty-body"):
        response = await post(request_name, fault)
        assert response.status_code == 200
        with pytest.raises(ValueError, match=r"."):
            response.json()
    assert (await post(request_name, "no-content")).status_code == 204
    assert (await post(request_name, "wrong-content-type")).headers["content-type"] == "text/plain"
    spoiled = (await post(request_name, "invalid-utf8")).content
    with pytest.raises(UnicodeDecodeError):
        spoiled.decode()
    assert (await post(request_name, "redirect")).status_code == 307
    assert (await post(request_name, "early-hints")).status_code == 200


async def test_lengths_can_lie(post: Post, server: SandboxServer) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await post("openai", "short-body")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.base_url.rpartition(":")[2]))
    payload = json.dumps(chat_body()).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\ncontent-length: {len(payload)}\r\n"
    writer.write(head.encode() + b"connection: close\r\nx-sandbox-fault: extra-bytes\r\n\r\n" + payload)
    assert (await reader.read()).endswith(b'{"smuggled": true}')
    writer.close()


async def test_headers_can_be_huge(post: Post) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await post("gemini", "huge-headers")


async def test_a_bomb_is_small_on_the_wire(server: SandboxServer) -> None:
    async with aiohttp.ClientSession(
        headers={**KEYS, "x-sandbox-fault": "gzip-bomb"}, auto_decompress=False
    ) as session:
        response = await session.post(server.base_url + GEMINI, json=gemini_body())
        packed = await response.read()
    assert response.headers["content-encoding"] == "gzip"
    assert len(packed) < 3_000_000


@pytest.mark.parametrize("fault", ["endless-stream", "comments-only"])
async def test_endless_answers_end_with_the_client(server: SandboxServer, fault: str) -> None:
    headers = {**KEYS, "x-sandbox-fault": fault + ";seconds=0.001"}
    async with aiohttp.ClientSession(headers=headers) as session:
        response = await session.post(server.base_url + GEMINI_STREAM, json=gemini_body())
        received = 0
        async for data in response.content.iter_any():
            received += len(data)
            if received > 500:
                break
        response.close()
        await until(lambda: server.sandbox.log.entries()[-1]["client_disconnected"])


async def test_a_long_line_is_long(post: Post) -> None:
    response = await post("gemini-stream", "long-line;bytes=2000000")
    assert len(response.content) > 1_900_000
    assert b"\n" not in response.content


async def test_content_faults_of_gemini(post: Post) -> None:
    async def candidate(fault: str) -> dict[str, Any]:
        made: dict[str, Any] = (await post("gemini", fault)).json()["candidates"][0]
        assert events(await post("gemini-stream", fault))[-1]["candidates"][0]["finishReason"] == made["finishReason"]
        return made

    assert await candidate("empty-candidate") == {"content": {"role": "model"}, "finishReason": "STOP", "index": 0}
    assert (await candidate("safety"))["finishReason"] == "SAFETY"
    assert (await candidate("malformed-function-call"))["finishMessage"]
    assert (await candidate("no-image"))["finishReason"] == "NO_IMAGE"
    assert (await candidate("image-safety"))["finishReason"] == "IMAGE_SAFETY"
    spent = (await post("gemini", "max-tokens-no-text")).json()
    assert spent["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert "candidatesTokenCount" not in spent["usageMetadata"]
    assert "candidates" not in (await post("gemini", "no-candidates")).json()
    blocked = (await post("gemini", "blocked-prompt;reason=SAFETY")).json()
    assert blocked["promptFeedback"]["blockReason"] == "SAFETY"
    assert "candidates" not in blocked
    early = events(await post("gemini-stream", "finish-before-text"))
    assert early[0]["candidates"][0]["finishReason"] == "STOP"
    assert text_of(early) == WORDS
    assert "usageMetadata" not in (await post("gemini", "usage-missing")).json()
    assert (await post("gemini", "usage-odd")).json()["usageMetadata"]["promptTokenCount"] < 0
    assert "brandNewField" in (await post("gemini", "unknown-fields")).json()


async def test_content_faults_of_openai(post: Post) -> None:
    async def choice(fault: str) -> dict[str, Any]:
        made: dict[str, Any] = (await post("openai", fault)).json()["choices"][0]
        chunks = events(await post("openai-stream", fault))
        assert chunks[-1]["choices"][0]["finish_reason"] == made["finish_reason"]
        return made

    empty = await choice("empty-candidate")
    assert (empty["message"]["content"], empty["finish_reason"]) == ("", "stop")
    assert (await choice("safety"))["finish_reason"] == "content_filter"
    assert (await choice("max-tokens-no-text"))["finish_reason"] == "length"
    call = (await choice("malformed-function-call"))["message"]["tool_calls"][0]
    with pytest.raises(ValueError, match=r"."):
        json.loads(call["function"]["arguments"])
    assert (await post("openai", "no-candidates")).json()["choices"] == []
    assert (await post("openai", "blocked-prompt")).json()["error"]["code"] == "content_policy_violation"
    assert "usage" not in (await post("openai", "usage-missing")).json()
    moderated = (await post("openai-images", "image-safety")).json()["error"]
    assert moderated["code"] == "moderation_blocked"
    assert (await post("openai-images", "no-image")).json()["data"] == []
    broken = base64.b64decode((await post("openai-images", "bad-image")).json()["data"][0]["b64_json"])
    assert pictures.size_of(broken) is None


async def test_every_fault_is_survived_by_every_dialect(
    client: httpx.AsyncClient, server: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    slow = {"seconds": "0.001", "bytes": "100000", "factor": "2", "after": "1"}
    args = "".join(f";{key}={value}" for key, value in slow.items())
    for fault, (kind, _) in FAULTS.items():
        # what is done to the line is the same in every dialect
        for path, body in (REQUESTS if kind in ("line", "delivery") else EVERY).values():
            with contextlib.suppress(httpx.HTTPError, TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.post(path, json=body, headers={"x-sandbox-fault": fault + args})
    assert (await client.get("/__sandbox/health")).json()["status"] == "ok"
    assert all(entry["fault"] for entry in server.sandbox.log.entries())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_faults_are_set_per_label_over_the_wire(client: httpx.AsyncClient) -> None:
    rule = {"label": "google", "model": "gemini-3.8-flash", "fault": "status-500", "times": 1, "args": {}}
    assert (await client.put("/__sandbox/faults", json=[rule])).json()[0]["left"] == 1
    assert (await client.post("/p/xroute" + GEMINI, json=gemini_body())).status_code == 200
    struck = [(await client.post("/p/google" + GEMINI, json=gemini_body())).status_code for _ in range(2)]
    assert struck == [500, 200]
    refused = await client.put("/__sandbox/faults", json=[{"fault": "nonsense"}])
    assert refused.status_code == 400
    assert "brown-out" in refused.json()["error"]
    assert (await client.delete("/__sandbox/faults")).json() == []
    assert (await client.get("/__sandbox/faults")).json() == []


async def test_a_prompt_can_rehearse_an_outage_of_one_provider(client: httpx.AsyncClient) -> None:
    body = gemini_body("hello sandbox-fault: status-503;label=google")
    assert (await client.post("/p/google" + GEMINI, json=body)).status_code == 503
    assert (await client.post("/p/other" + GEMINI, json=body)).status_code == 200


async def test_the_log_tells_what_was_received(client: httpx.AsyncClient) -> None:
    await client.post("/p/google" + GEMINI, json=gemini_body("hi"), headers={"X-Trace": "7"})
    (entry,) = (await client.get("/__sandbox/requests")).json()
    assert (entry["label"], entry["dialect"], entry["operation"]) == ("google", "gemini", "generate")
    assert entry["model"] == "gemini-3.8-flash"
    assert entry["headers"]["x-trace"] == "7"
    assert entry["body"] == gemini_body("hi")
    assert (entry["status"], entry["client_disconnected"], entry["open_connections"]) == (200, False, 1)
    await client.delete("/__sandbox/requests")
    assert (await client.get("/__sandbox/requests")).json() == []


async def test_models_are_listed_and_unknown_urls_refused(client: httpx.AsyncClient) -> None:
    names = [one["name"] for one in (await client.get("/gemini/v1beta/models")).json()["models"]]
    assert "models/gemini-3.8-flash" in names
    assert (await client.get("/gemini/v1beta/models/gemini-3.8-flash")).json()["inputTokenLimit"] == 1_048_576
    assert (await client.get("/openai/v1/models")).json()["object"] == "list"
    assert (await client.get("/openai/v1/nothing")).status_code == 404
    assert (await client.get("/nothing")).status_code == 404


async def test_keys_are_checked_in_every_dialect(server: SandboxServer) -> None:
    async with httpx.AsyncClient(base_url=server.base_url) as client:
        assert (await client.post(GEMINI, json=gemini_body())).status_code == 403
        assert (await client.post(CHAT, json=chat_body())).status_code == 401
        for name in ("eachlabs", "azure", "midjourney", "legnext"):
            path, body = EVERY[name]
            assert (await client.post(path, json=body)).status_code == 401


async def test_a_body_beyond_the_limit_is_refused() -> None:
    config = SandboxConfig(max_body_bytes=100)
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.base_url, headers=KEYS) as client:
        assert (await client.post(GEMINI, json=gemini_body("x" * 200))).status_code == 413


def test_a_thread_serves_synchronous_callers() -> None:
    config = SandboxConfig(faults=(FaultRule(fault="status-503", times=1),))
    with running_sandbox(config) as server, httpx.Client(base_url=server.base_url, headers=KEYS) as client:
        assert client.post(CHAT, json=chat_body()).status_code == 503
        assert client.post(CHAT, json=chat_body()).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.base_url + "/__sandbox/health")


async def test_closing_drops_requests_in_flight() -> None:
    server = SandboxServer()
    await server.start()
    async with httpx.AsyncClient(base_url=server.base_url, headers=KEYS) as client:
        hanging = asyncio.create_task(client.post(CHAT, json=chat_body(), headers={"x-sandbox-fault": "stall"}))
        await until(lambda: server.sandbox.log.total == 1)
        begun = time.monotonic()
        await server.aclose()
        with pytest.raises(httpx.HTTPError):
            await hanging
    assert time.monotonic() - begun < 1


async def test_importing_the_app_does_not_import_pillow() -> None:
    code = "import sys, providers.sandbox.server; sys.exit('PIL' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


@pytest.mark.parametrize("body", [{"model": "m", "input": {"prompt": "x", "num_images": [1]}}])
async def test_a_malformed_body_is_the_callers_fault(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    submitted = (await client.post("/eachlabs/v1/prediction", json=body)).json()
    await asyncio.sleep(0.05)
    poll = await client.get(f"/eachlabs/v1/prediction/{submitted['predictionID']}")
    assert poll.status_code == 400
    assert "malformed" in poll.json()["error"]
