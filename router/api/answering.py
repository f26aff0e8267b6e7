"""A parsed chat request -> its answer, plain or streamed, in whatever shape the client speaks: the hot path.

The shape is a `Wire`: it renders what one answer says. Dispatch, accounting and what happens when a stream breaks off
are the same for all of them.
"""

import math
from collections.abc import Awaitable

from msgspec.structs import replace

from providers.streams import PrimedStream, prime
from providers.types import ChatResponse
from router.accounting.record import RequestRecord
from router.api.chat_request import ParsedChat
from router.api.escalation import Escalation, escalation_of
from router.api.gateway import Exchange, Gateway, common_headers, watched
from router.api.media import load_media
from router.api.streaming.buffered import answer_buffered
from router.api.streaming.continuation import obstacle
from router.api.streaming.live import asked_of, relay, settle
from router.api.streaming.outrun import discard_answers, discard_streams
from router.api.streaming.repair import MendingStream
from router.api.streaming.wire import Begun, Wire
from router.api.withheld import unless_withheld, unless_withheld_stream
from router.routing.dispatch import Discard, dispatch
from router.routing.plan import Attempt, Candidate, Outcome, Plan

_JSON = (b"content-type", b"application/json")


def answer_chat(exchange: Exchange, parsed: ParsedChat, wire: Wire) -> Awaitable[int]:
    """Plan at once, dispatch and answer when awaited; gives the status sent."""
    record = exchange.record
    record.model, record.stream, record.features = parsed.request.model, parsed.request.stream, parsed.features
    plan = record.plan = exchange.gateway.plan(parsed.features, parsed.directives)
    tiering, health = plan.tiering, exchange.gateway.health
    if tiering is not None:
        health.tiers.keep(tiering.model, parsed.features, tiering.tier, health.now())
    answer = _stream(exchange, parsed, wire) if parsed.request.stream else _whole(exchange, parsed, wire)
    return watched(exchange, answer)


async def _whole(exchange: Exchange, parsed: ParsedChat, wire: Wire) -> int:
    if parsed.features.images or parsed.features.files:
        await load_media(exchange, parsed.request)
    gateway, record, plan = exchange.gateway, exchange.record, exchange.record.plan
    assert plan is not None
    escalation: Escalation[ChatResponse] | None = escalation_of(exchange, parsed, plan)
    discard = discard_answers(record) if plan.hedged else None
    response = (await complete(gateway, parsed, plan, record.attempts, discard, record, escalation)).value
    settle(exchange, parsed, response.usage)
    record.served_model = response.model
    told = record.plan.warnings if record.plan else ()
    record.warnings = wire.told((*told, *response.warnings) if told or response.warnings else ())
    now = gateway.health.now()
    record.measure_overhead(now)
    headers = common_headers(gateway, record)
    headers.append(_JSON)
    headers.append((b"openai-processing-ms", b"%d" % round((now - record.started) * 1000)))
    await exchange.answer(200, headers, wire.whole(response, record.total_cost[0]))
    return 200


async def complete(
    gateway: Gateway,
    parsed: ParsedChat,
    plan: Plan,
    attempts: list[Attempt],
    discard: Discard[ChatResponse] | None = None,
    record: RequestRecord | None = None,
    escalation: Escalation[ChatResponse] | None = None,
) -> Outcome[ChatResponse]:
    """A whole answer from one of the plan's candidates; what it tells of their latency is learned.

    Without `discard` nobody is asked beside a late one, without `escalation` nobody for a weak answer's sake. `record`
    books what a filter withheld, where that fails over.
    """

    def ask(candidate: Candidate) -> Awaitable[ChatResponse]:
        provider = gateway.chat_providers[candidate.provider]
        return provider.complete(asked_of(candidate, parsed.request), candidate.model)

    async def examined(candidate: Candidate) -> ChatResponse:
        response = await ask(candidate)
        if withholding is not None:
            response = unless_withheld(withholding, candidate, response)
        if escalation is None:
            return response
        return escalation.judge(candidate, response, response.choices, response.usage)

    withholding = record if plan.failover.content_policy else None
    if escalation is not None:
        outcome = await escalation.dispatch(examined, discard)
    else:
        call = ask if withholding is None else examined
        outcome = await dispatch(plan, call, gateway.health, attempts, discard)
    served, tokens = outcome.served_by, outcome.value.usage.completion_tokens
    latency = gateway.health.target(served.provider, served.model, served.info).latency
    latency.observe_whole(served.asked(parsed.features), outcome.attempts[-1].duration_s, tokens, gateway.health.now())
    return outcome


async def _stream(exchange: Exchange, parsed: ParsedChat, wire: Wire) -> int:
    if parsed.features.images or parsed.features.files:
        await load_media(exchange, parsed.request)
    gateway, record, plan = exchange.gateway, exchange.record, exchange.record.plan
    assert plan is not None
    if plan.stream_mode == "repair":
        plan = record.plan = _mendable(plan, parsed)
    record.stream_mode = plan.stream_mode
    if plan.stream_mode == "buffered":
        return await answer_buffered(exchange, parsed, wire)
    request, deadline = parsed.request, gateway.health.now() + plan.deadline_s

    async def call(candidate: Candidate) -> PrimedStream:
        provider = gateway.chat_providers[candidate.provider]
        stream = await prime(await provider.stream(asked_of(candidate, request), candidate.model))
        return await unless_withheld_stream(record, candidate, stream) if plan.failover.content_policy else stream

    outcome = await dispatch(plan, call, gateway.health, record.attempts, discard_streams(record))
    stream: Begun = outcome.value
    idle_s = gateway.settings.routing.idle_timeout_s
    if plan.stream_mode == "repair":
        stream, idle_s = MendingStream(exchange, parsed, outcome, deadline), math.inf  # it watches the time itself
    try:
        return await relay(exchange, parsed, wire, Outcome(stream, outcome.attempts), idle_s)
    finally:
        served = record.served_by  # not who broke off: that one's end was told when it did
        if served is not None:
            gateway.health.written(served)
        await stream.aclose()


def _mendable(plan: Plan, parsed: ParsedChat) -> Plan:
    """The plan; with live streaming where no other model could go on with the answer. A caller who asked is told."""
    field = obstacle(parsed.features, parsed.request.fields)
    if not field:
        return plan
    told = (f"router.stream_mode=live, because of {field}",) if parsed.directives.stream_mode else ()
    return replace(plan, stream_mode="live", warnings=(*plan.warnings, *told))
