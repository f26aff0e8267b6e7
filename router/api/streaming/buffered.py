"""Nothing is sent before the answer is whole: then any break is a plain failover, which the client never sees.

The status waits as well, for as long as a line may be silent. After that it is 200, comments keep the line alive, and
a failure is an error event.
"""

import asyncio

from msgspec import Struct

from providers.errors import ProviderError, StreamInterruptedError, UpstreamTimeoutError
from providers.streams import PrimedStream, prime
from providers.timer import Limit
from providers.types import ChatChunk, Usage
from router.api.chat_request import ParsedChat
from router.api.escalation import Escalation, escalation_of
from router.api.gateway import Exchange
from router.api.sse import KEEP_ALIVE
from router.api.streaming.gathering import Tally, joined, unseen
from router.api.streaming.live import answer_headers, asked_of, settle, shutting_down
from router.api.streaming.outrun import discard_answers
from router.api.streaming.wire import Wire
from router.api.streaming.writer import KEEP_ALIVE_S
from router.api.withheld import unless_withheld_stream
from router.routing.dispatch import AllAttemptsFailedError, dispatch
from router.routing.plan import Candidate, Outcome


class _Whole(Struct, frozen=True):
    """A stream that has come to its end. `first_s`, `rest_s`: how long its first content took, and what followed."""

    stream: PrimedStream
    chunks: list[ChatChunk]
    usage: Usage | None
    first_s: float
    rest_s: float


async def answer_buffered(exchange: Exchange, parsed: ParsedChat, wire: Wire) -> int:
    """Dispatch and answer; gives the status sent."""
    record, gateway = exchange.record, exchange.gateway
    plan = record.plan
    assert plan is not None
    line = _Line(exchange)
    escalation: Escalation[_Whole] | None = escalation_of(exchange, parsed, plan)
    gather = _Gatherer(exchange, parsed, escalation)
    try:
        if escalation is None:
            outcome = await dispatch(plan, gather, gateway.health, record.attempts, discard_answers(record))
        else:
            outcome = await escalation.dispatch(gather, discard_answers(record))
        await line.release()
    except (AllAttemptsFailedError, ProviderError) as exc:
        await line.release()
        if not exchange.started_response:
            raise
        return await _fail(exchange, parsed, wire, exc.last if isinstance(exc, AllAttemptsFailedError) else exc)
    except asyncio.CancelledError:
        if not gateway.cutting or not exchange.started_response:
            raise
        line.drop()
        return await _fail(exchange, parsed, wire, shutting_down())
    finally:
        line.drop()
    return await _send(exchange, parsed, wire, outcome)


async def _send(exchange: Exchange, parsed: ParsedChat, wire: Wire, outcome: Outcome[_Whole]) -> int:
    record, health = exchange.record, exchange.gateway.health
    whole, served, now = outcome.value, outcome.served_by, health.now()
    latency = health.target(served.provider, served.model, served.info).latency
    load = latency.observe_first_token(served.asked(parsed.features), whole.first_s, now - whole.rest_s)
    if whole.usage is not None:
        latency.observe_rate(whole.rest_s, whole.usage.completion_tokens, load, now)
    record.first_content_s = now - whole.rest_s - record.started
    record.served_model = whole.stream.model
    record.warnings = wire.told((*record.plan.warnings, *whole.stream.warnings) if record.plan else ())
    record.measure_overhead(now)
    settle(exchange, parsed, whole.usage or Usage(estimated=True))
    renderer = wire.renderer(record.id, whole.stream.model, whole.stream.extra)
    body = renderer.opening() + renderer.render(whole.chunks)
    body += renderer.closing(record.total_usage or Usage(estimated=True), record.total_cost[0])
    if not exchange.started_response:
        await exchange.start(200, answer_headers(exchange, served))
    await exchange.send({"type": "http.response.body", "body": body})
    return 200


async def _fail(exchange: Exchange, parsed: ParsedChat, wire: Wire, exc: ProviderError) -> int:
    """The end of an answer that was promised with its headers and did not come."""
    record = exchange.record
    record.interrupted = True
    record.error_code = exc.code or exc.outcome
    renderer = wire.renderer(record.id, parsed.request.model, {})
    await exchange.send({"type": "http.response.body", "body": renderer.opening() + renderer.failure(exc)})
    return 200


class _Gatherer:
    """Calls one candidate and waits for the end of its answer. Called, as dispatch calls."""

    def __init__(self, exchange: Exchange, parsed: ParsedChat, escalation: Escalation[_Whole] | None) -> None:
        self._exchange = exchange
        self._parsed = parsed
        self._escalation = escalation

    async def __call__(self, candidate: Candidate) -> _Whole:
        record, features = self._exchange.record, self._parsed.features
        tally = Tally()
        try:
            whole = await self._gather(candidate, tally)
            if self._escalation is not None:
                self._escalation.judge(candidate, whole, joined(whole.chunks))
            return whole
        except BaseException as exc:
            bill = tally.bill(features)
            if bill is not None:
                record.spend(len(record.attempts), candidate, bill)
            if isinstance(exc, StreamInterruptedError):
                raise unseen(exc) from exc
            raise

    async def _gather(self, candidate: Candidate, tally: Tally) -> _Whole:
        gateway, plan = self._exchange.gateway, self._exchange.record.plan
        assert plan is not None
        now, idle_s = gateway.health.now, gateway.settings.routing.idle_timeout_s
        provider, started = gateway.chat_providers[candidate.provider], now()
        try:
            with Limit(plan.first_timeout_s(candidate)):
                stream = await prime(await provider.stream(asked_of(candidate, self._parsed.request), candidate.model))
        except TimeoutError as exc:
            raise UpstreamTimeoutError(
                "no content in time", provider=candidate.provider, outcome="ttft_timeout"
            ) from exc
        if plan.failover.content_policy:
            stream = await unless_withheld_stream(self._exchange.record, candidate, stream)
        begun = now()
        chunks = list(stream.first)
        tally.take(stream.first)
        try:
            reads = aiter(stream)
            while True:
                with Limit(idle_s):
                    batch = await anext(reads, None)
                if batch is None:
                    break
                tally.take(batch)
                chunks += batch
        except TimeoutError as exc:
            message = "the upstream stopped sending"
            raise StreamInterruptedError(message, provider=candidate.provider, outcome="stream_stall") from exc
        finally:
            await stream.aclose()
        if not any(chunk.finish_reason for chunk in chunks):
            raise StreamInterruptedError("the stream ended without a finish reason", outcome="stream_truncated")
        return _Whole(stream, chunks, tally.usage, begun - started, now() - begun)


class _Line:
    """The client's line while there is nothing to say: silent at first, then an open answer with comments."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._loop = asyncio.get_running_loop()
        self._saying: asyncio.Task[None] | None = None
        self._released = False
        self._timer = self._loop.call_later(KEEP_ALIVE_S, self._due)

    async def release(self) -> None:
        """Say no more; a comment on its way is waited for."""
        self._released = True
        self._timer.cancel()
        if self._saying is not None:
            await self._saying

    def drop(self) -> None:
        """Say no more, without waiting."""
        self._released = True
        self._timer.cancel()
        if self._saying is not None:
            self._saying.cancel()

    def _due(self) -> None:
        self._saying = self._loop.create_task(self._say())

    async def _say(self) -> None:
        exchange = self._exchange
        if not exchange.started_response:
            await exchange.start(200, answer_headers(exchange, None))
        await exchange.send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
        if not self._released:
            self._timer = self._loop.call_later(KEEP_ALIVE_S, self._due)
