"""A parsed chat request -> its answer, plain or streamed, in whatever shape the client speaks: the hot path.

The shape is a `Wire`: it renders what one answer says. Dispatch, commitment, accounting, keep-alives and what happens
when a stream breaks off are the same for all of them.
"""

import asyncio
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Protocol

from msgspec.structs import replace

from providers.errors import ProviderError, StreamInterruptedError
from providers.streams import PrimedStream, prime
from providers.types import ChatChunk, ChatRequest, ChatResponse, Usage
from router.api.chat_request import ParsedChat
from router.api.envelope import Headers
from router.api.gateway import Exchange, common_headers, watched
from router.api.media import load_media
from router.api.sse import HEADERS, KEEP_ALIVE
from router.routing.dispatch import dispatch
from router.routing.plan import Candidate, Outcome

_KEEP_ALIVE_S = 15.0


class Renderer(Protocol):
    """Renders one streamed answer as server-sent events. `finished` is empty until a reason for stopping was seen."""

    @property
    def finished(self) -> Collection[int]: ...

    def opening(self) -> bytes:
        """What comes before the first chunk."""

    def render(self, batch: Sequence[ChatChunk]) -> bytes:
        """The events of one batch; empty when it holds nothing a client should see."""

    def closing(self, usage: Usage, cost_usd: Decimal | None) -> bytes:
        """What ends a whole answer."""

    def failure(self, exc: ProviderError) -> bytes:
        """What ends an answer that broke off, so that SDKs raise."""


class Wire(Protocol):
    """One client's shape."""

    def whole(self, response: ChatResponse, cost_usd: Decimal | None) -> bytes:
        """The JSON of a plain answer."""

    def renderer(self, request_id: str, stream: PrimedStream) -> Renderer:
        """For a stream whose first content has arrived."""

    def told(self, warnings: tuple[str, ...]) -> tuple[str, ...]:
        """The warnings of plan and provider, with the fields named as this client names them, beside its own."""


async def answer_chat(exchange: Exchange, parsed: ParsedChat, wire: Wire) -> int:
    """Plan, dispatch and answer; gives the status sent."""
    record = exchange.record
    record.model, record.stream, record.features = parsed.request.model, parsed.request.stream, parsed.features
    record.plan = exchange.gateway.plan(parsed.features, parsed.directives)
    answer = _stream(exchange, parsed, wire) if parsed.request.stream else _whole(exchange, parsed, wire)
    return await watched(exchange, answer)


async def _whole(exchange: Exchange, parsed: ParsedChat, wire: Wire) -> int:
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
    record.warnings = wire.told((*plan.warnings, *response.warnings))
    record.measure_overhead(gateway.health.now())
    headers: Headers = [(b"content-type", b"application/json"), *common_headers(gateway, record)]
    headers.append((b"openai-processing-ms", str(round((now - record.started) * 1000)).encode()))
    await exchange.answer(200, headers, wire.whole(response, record.cost_usd))
    return 200


def _for(candidate: Candidate, request: ChatRequest) -> ChatRequest:
    """The request as this candidate gets it: after a refused thought signature, without any."""
    return replace(request, unsigned=True) if candidate.resend == "unsigned" else request


async def _stream(exchange: Exchange, parsed: ParsedChat, wire: Wire) -> int:
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
        return await _relay(exchange, parsed, wire, outcome)
    finally:
        await stream.aclose()


async def _relay(exchange: Exchange, parsed: ParsedChat, wire: Wire, outcome: Outcome[PrimedStream]) -> int:
    """Commit, then pass on what comes. A break from here on is an error event, never a clean end."""
    gateway, record, stream = exchange.gateway, exchange.record, outcome.value
    health = gateway.health
    served = outcome.served_by
    committed = health.now()
    record.first_content_s = committed - record.started
    latency = health.target(served.provider, served.model, served.info).latency
    latency.observe_first_token(parsed.features, outcome.attempts[-1].duration_s, committed)
    record.served_model = stream.model
    record.warnings = wire.told((*record.plan.warnings, *stream.warnings) if record.plan else stream.warnings)
    record.measure_overhead(committed)
    await exchange.start(200, [*HEADERS, *common_headers(gateway, record), *_expected_cost(served)])
    renderer = wire.renderer(record.id, stream)
    writer = _Writer(exchange)
    usage: Usage | None = None
    try:
        usage = await _pump(stream, renderer, writer)
    except ProviderError as exc:
        record.interrupted = True
        record.error_code = exc.code or exc.outcome
        health.interrupted(served, exc)
        _settle(exchange, parsed, writer.usage)
        await writer.end(renderer.failure(exc))
        return 200
    except asyncio.CancelledError:
        _settle(exchange, parsed, writer.usage)
        if not gateway.cutting:
            raise
        record.interrupted, record.error_code = True, "router_shutting_down"
        cut = StreamInterruptedError("the router is shutting down", code="router_shutting_down")
        await writer.end(renderer.failure(cut))
        return 200
    finally:
        writer.stop()
    now = health.now()
    if usage is not None:
        latency.observe_rate(now - committed, usage.completion_tokens, now)
    usage = usage or Usage(estimated=True)
    _settle(exchange, parsed, usage)
    await writer.end(renderer.closing(usage, record.cost_usd))
    return 200


async def _pump(stream: PrimedStream, renderer: Renderer, writer: "_Writer") -> Usage | None:
    """Send batch after batch; the last usage seen. Raises StreamInterruptedError when the answer never finished."""
    writer.note(stream.first)
    await writer.write(renderer.opening() + renderer.render(stream.first))
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
