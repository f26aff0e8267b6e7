"""POST /v1/chat/completions: parse, plan, dispatch, render."""

import asyncio
import time
from collections.abc import Sequence

import orjson
from msgspec.structs import replace

from providers.errors import ProviderError, StreamInterruptedError
from providers.streams import PrimedStream, prime
from providers.types import ChatChunk, ChatRequest, ChatResponse, JsonObject, Usage
from router.api.body import require_json
from router.api.chat_request import ParsedChat, parse_chat
from router.api.envelope import Headers, stream_error_event
from router.api.gateway import Exchange, common_headers, watched
from router.api.media import load_media
from router.api.sse import DONE, HEADERS, KEEP_ALIVE, ChunkRenderer
from router.routing.dispatch import dispatch
from router.routing.plan import Candidate, Outcome

_KEEP_ALIVE_S = 15.0


async def chat_completions(exchange: Exchange) -> int:
    """Answer one chat request, plain or streamed; gives the status sent."""
    gateway = exchange.gateway
    require_json(exchange.scope)
    body = await exchange.body(gateway.settings.server.json_limit_bytes)
    parsed = parse_chat(body, exchange.scope, exchange.key)
    record = exchange.record
    record.model, record.stream, record.features = parsed.request.model, parsed.request.stream, parsed.features
    record.plan = gateway.plan(parsed.features, parsed.directives)
    answer = _stream(exchange, parsed) if parsed.request.stream else _whole(exchange, parsed)
    return await watched(exchange, answer)


async def _whole(exchange: Exchange, parsed: ParsedChat) -> int:
    await load_media(exchange, parsed.request)
    gateway, record, plan = exchange.gateway, exchange.record, exchange.record.plan
    assert plan is not None

    async def call(candidate: Candidate) -> ChatResponse:
        provider = gateway.chat_providers[candidate.provider]
        return await provider.complete(_for(candidate, parsed.request), candidate.model)

    outcome = await dispatch(plan, call, gateway.health, record.attempts)
    response = outcome.value
    now = gateway.health.now()
    served = outcome.served_by
    state = gateway.health.target(served.provider, served.model, served.info)
    state.latency.observe_whole(parsed.features, outcome.attempts[-1].duration_s, response.usage.completion_tokens, now)
    _settle(exchange, parsed, response.usage)
    record.served_model = response.model
    record.warnings = (*plan.warnings, *response.warnings)
    record.measure_overhead(gateway.health.now())
    headers: Headers = [(b"content-type", b"application/json"), *common_headers(gateway, record)]
    headers.append((b"openai-processing-ms", str(round((now - record.started) * 1000)).encode()))
    await exchange.answer(200, headers, orjson.dumps(_completion(exchange, response)))
    return 200


def _for(candidate: Candidate, request: ChatRequest) -> ChatRequest:
    """The request as this candidate gets it: after a refused thought signature, without any."""
    return replace(request, unsigned=True) if candidate.resend == "unsigned" else request


def _completion(exchange: Exchange, response: ChatResponse) -> JsonObject:
    return {
        "id": response.id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": response.model,
        "choices": list(response.choices),
        "usage": response.usage.to_openai(exchange.record.cost_usd),
        "system_fingerprint": None,
        **response.extra,
    }


async def _stream(exchange: Exchange, parsed: ParsedChat) -> int:
    await load_media(exchange, parsed.request)
    gateway, record, plan = exchange.gateway, exchange.record, exchange.record.plan
    assert plan is not None
    request = parsed.request

    async def call(candidate: Candidate) -> PrimedStream:
        provider = gateway.chat_providers[candidate.provider]
        return await prime(await provider.stream(_for(candidate, request), candidate.model))

    outcome = await dispatch(plan, call, gateway.health, record.attempts)
    stream = outcome.value
    try:
        return await _relay(exchange, parsed, outcome)
    finally:
        await stream.aclose()


async def _relay(exchange: Exchange, parsed: ParsedChat, outcome: Outcome[PrimedStream]) -> int:
    """Commit, then pass on what comes. A break from here on is an error event, never a clean end."""
    gateway, record, stream = exchange.gateway, exchange.record, outcome.value
    health = gateway.health
    request = parsed.request
    served = outcome.served_by
    committed = health.now()
    record.first_content_s = committed - record.started
    latency = health.target(served.provider, served.model, served.info).latency
    latency.observe_first_token(parsed.features, outcome.attempts[-1].duration_s, committed)
    record.served_model = stream.model
    record.warnings = (*record.plan.warnings, *stream.warnings) if record.plan else stream.warnings
    record.measure_overhead(committed)
    await exchange.start(200, [*HEADERS, *common_headers(gateway, record), *_expected_cost(served)])
    renderer = ChunkRenderer(
        f"chatcmpl-{record.id.removeprefix('req_')}",
        int(time.time()),
        stream.model,
        include_usage=request.include_usage,
        extra=stream.extra,
    )
    writer = _Writer(exchange)
    usage: Usage | None = None
    try:
        usage = await _pump(stream, renderer, writer)
    except ProviderError as exc:
        record.interrupted = True
        record.error_code = exc.code or exc.outcome
        health.interrupted(served, exc)
        _settle(exchange, parsed, writer.usage)
        await writer.end(stream_error_event(exc))
        return 200
    except asyncio.CancelledError:
        _settle(exchange, parsed, writer.usage)
        if not gateway.cutting:
            raise
        record.interrupted, record.error_code = True, "router_shutting_down"
        cut = StreamInterruptedError("the router is shutting down", code="router_shutting_down")
        await writer.end(stream_error_event(cut))
        return 200
    finally:
        writer.stop()
    now = health.now()
    if usage is not None:
        latency.observe_rate(now - committed, usage.completion_tokens, now)
    usage = usage or Usage(estimated=True)
    _settle(exchange, parsed, usage)
    tail = renderer.usage(usage, record.cost_usd) if request.include_usage else b""
    await writer.end(tail + DONE)
    return 200


async def _pump(stream: PrimedStream, renderer: ChunkRenderer, writer: "_Writer") -> Usage | None:
    """Send batch after batch; the last usage seen. Raises StreamInterruptedError when the answer never finished."""
    writer.note(stream.first)
    await writer.write(renderer.render(stream.first))
    async for batch in stream:
        writer.note(batch)
        data = renderer.render(batch)
        if data:
            await writer.write(data)
    if not renderer.finished:
        raise StreamInterruptedError("the upstream's stream ended without a finish reason", outcome="stream_truncated")
    return writer.usage


class _Writer:
    """The response body: writes, and keeps the line alive with a comment when nothing else is sent for a while."""

    __slots__ = ("_exchange", "_last", "_loop", "_pings", "_timer", "usage")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._pings: set[asyncio.Task[None]] = set()
        self._timer = self._loop.call_later(_KEEP_ALIVE_S, self._ping)
        self.usage: Usage | None = None

    def note(self, batch: Sequence[ChatChunk]) -> None:
        """Remember the running token count, so that a cut stream is still accounted."""
        for chunk in batch:
            if chunk.usage is not None:
                self.usage = chunk.usage

    async def write(self, data: bytes) -> None:
        self._last = self._loop.time()
        await self._exchange.send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        await self._exchange.send({"type": "http.response.body", "body": data})

    def stop(self) -> None:
        self._timer.cancel()
        for ping in self._pings:
            ping.cancel()

    def _ping(self) -> None:
        idle = self._loop.time() - self._last
        if idle >= _KEEP_ALIVE_S:
            ping = self._loop.create_task(self.write(KEEP_ALIVE))
            self._pings.add(ping)
            ping.add_done_callback(self._pings.discard)
            idle = 0.0
        self._timer = self._loop.call_later(_KEEP_ALIVE_S - idle, self._ping)


def _settle(exchange: Exchange, parsed: ParsedChat, usage: Usage | None) -> None:
    exchange.record.settle(usage)
    if usage is not None and not usage.estimated:
        exchange.gateway.health.observe_output(parsed.features.model, usage.completion_tokens)


def _expected_cost(candidate: Candidate) -> Headers:
    """A stream's cost is not known when its headers go out; what was expected is."""
    expected = candidate.expected_cost_usd
    return [] if expected is None else [(b"x-router-expected-cost-usd", f"{expected:f}".encode())]
