"""Content as it comes: commit with the first of it, pass on the rest."""

import asyncio
from collections.abc import Mapping

from msgspec.structs import replace

from providers.errors import ProviderError, StreamInterruptedError
from providers.types import ChatRequest, Usage
from router.api.chat_request import ParsedChat
from router.api.envelope import Headers
from router.api.gateway import Exchange, common_headers
from router.api.sse import HEADERS
from router.api.streaming.wire import Begun, Renderer, Wire
from router.api.streaming.writer import Writer
from router.routing.plan import Candidate, Outcome

SHUTTING_DOWN = "router_shutting_down"
_MODE_HEADERS: Mapping[str, Headers] = {
    mode: [(b"x-router-stream-mode", mode.encode())] for mode in ("repair", "buffered")
} | {"live": []}


async def relay(exchange: Exchange, parsed: ParsedChat, wire: Wire, outcome: Outcome[Begun], idle_s: float) -> int:
    """Commit, then pass on what comes. A break from here on is an error event, never a clean end."""
    gateway, record, stream = exchange.gateway, exchange.record, outcome.value
    health = gateway.health
    served = outcome.served_by
    committed = health.now()
    record.first_content_s = committed - record.started
    latency = health.target(served.provider, served.model, served.info).latency
    load = latency.observe_first_token(served.asked(parsed.features), outcome.attempts[-1].duration_s, committed)
    record.served_model = stream.model
    record.warnings = wire.told((*record.plan.warnings, *stream.warnings) if record.plan else stream.warnings)
    record.measure_overhead(committed)
    await exchange.start(200, answer_headers(exchange, served))
    renderer = wire.renderer(record.id, stream.model, stream.extra)
    writer = Writer(exchange, idle_s)
    try:
        with writer:
            await _pump(stream, renderer, writer)
    except ProviderError as exc:
        failed = record.served_by
        if failed is not None:
            health.interrupted(failed, exc)
            settle(exchange, parsed, writer.usage, whole=False)
        record.interrupted = True
        record.error_code = exc.code or exc.outcome
        await writer.end(renderer.failure(exc))
        return 200
    except asyncio.CancelledError:
        if record.served_by is not None:
            settle(exchange, parsed, writer.usage, whole=False)
        if not gateway.cutting:
            raise
        record.interrupted, record.error_code = True, SHUTTING_DOWN
        await writer.end(renderer.failure(shutting_down()))
        return 200
    if writer.usage is not None and record.mend is None:
        now = health.now()
        latency.observe_rate(now - committed, writer.usage.completion_tokens, load, now)
    settle(exchange, parsed, writer.usage or Usage(estimated=True))
    await writer.end(renderer.closing(record.total_usage or Usage(estimated=True), record.total_cost[0]))
    return 200


async def _pump(stream: Begun, renderer: Renderer, writer: Writer) -> None:
    """Send batch after batch. Raises StreamInterruptedError when the answer never finished."""
    first = stream.first
    writer.note(first)
    data = renderer.opening() + renderer.render(first)
    if data:
        await writer.write(data)
    async for batch in stream:
        writer.note(batch)
        data = renderer.render(batch)
        if data:
            await writer.write(data)
    if not renderer.finished:
        raise StreamInterruptedError("the upstream's stream ended without a finish reason", outcome="stream_truncated")


def asked_of(candidate: Candidate, request: ChatRequest) -> ChatRequest:
    """The request as this candidate gets it: with its tier's effort, and after a refused thought signature without any.

    A tier has an effort for a caller who named none, and for nobody else.
    """
    if candidate.effort:
        request = replace(request, fields={**request.fields, "reasoning_effort": candidate.effort})
    return replace(request, unsigned=True) if candidate.resend == "unsigned" else request


def settle(exchange: Exchange, parsed: ParsedChat, usage: Usage | None, *, whole: bool = True) -> None:
    """Book the answer and, if it is a `whole` one, learn from what it used."""
    record = exchange.record
    served = record.settle(usage)
    if whole and served is not None and record.mend is None and usage is not None and not usage.estimated:
        exchange.gateway.health.observe_usage(served, served.asked(parsed.features), usage)


def answer_headers(exchange: Exchange, served: Candidate | None) -> Headers:
    """The head of a stream. Its cost is not known yet; what was expected is."""
    record = exchange.record
    headers = [*HEADERS, *common_headers(exchange.gateway, record), *_MODE_HEADERS[record.stream_mode]]
    expected = None if served is None else served.expected_cost_usd
    if expected is not None:
        headers.append((b"x-router-expected-cost-usd", f"{expected:f}".encode()))
    return headers


def shutting_down() -> StreamInterruptedError:
    """What ends a stream that is still running when the drain is over."""
    return StreamInterruptedError("the router is shutting down", code=SHUTTING_DOWN)
