"""POST /v1/embeddings: parse, plan, dispatch, render."""

import asyncio
import base64
from collections.abc import Sequence

import orjson

from providers.errors import BadResponseError
from providers.types import EmbeddingResponse, JsonObject, Vector
from providers.vectors import length_of
from router.api.body import require_json
from router.api.embedding_request import ParsedEmbedding, parse_embedding
from router.api.envelope import Headers
from router.api.gateway import Exchange, common_headers, watched
from router.routing.dispatch import dispatch
from router.routing.plan import Candidate, Plan

_RENDERED_AT_ONCE = 64  # of 2,048 vectors of 3,072 numbers: to write them all takes half a second


async def embeddings(exchange: Exchange) -> int:
    """Answer one embeddings request; gives the status sent."""
    gateway = exchange.gateway
    require_json(exchange.scope)
    body = await exchange.body(gateway.settings.server.json_limit_bytes)
    parsed = parse_embedding(body, exchange.scope, exchange.key)
    record = exchange.record
    record.model, record.features = parsed.request.model, parsed.features
    record.plan = gateway.plan(parsed.features, parsed.directives)
    return await watched(exchange, _answer(exchange, parsed))


async def _answer(exchange: Exchange, parsed: ParsedEmbedding) -> int:
    gateway, record, plan = exchange.gateway, exchange.record, exchange.record.plan
    assert plan is not None

    expected = parsed.request.dimensions or _whole_length(plan)

    async def call(candidate: Candidate) -> EmbeddingResponse:
        provider = gateway.embedding_providers[candidate.provider]
        response = await provider.embeddings(parsed.request, candidate.model)
        if expected and (found := length_of(response.vectors[0])) != expected:
            message = f"the upstream made vectors of {found} dimensions where others make {expected}"
            raise BadResponseError(message, provider=candidate.provider, billed=True)
        return response

    outcome = await dispatch(plan, call, gateway.health, record.attempts)
    response, served = outcome.value, outcome.served_by
    now = gateway.health.now()
    latency = gateway.health.target(served.provider, served.model, served.info).latency
    latency.observe_whole(parsed.features, outcome.attempts[-1].duration_s, 0, now)
    record.settle(response.usage)
    record.served_model = response.model
    record.warnings = (*plan.warnings, *response.warnings)
    data = await _rendered(response.vectors)
    record.measure_overhead(gateway.health.now())
    headers: Headers = [(b"content-type", b"application/json"), *common_headers(gateway, record)]
    headers.append((b"openai-processing-ms", str(round((now - record.started) * 1000)).encode()))
    await exchange.answer(200, headers, _body(exchange, response, data))
    return 200


def _whole_length(plan: Plan) -> int:
    """How long vectors of the plan's one vector space are, as far as the catalogue knows; 0: it does not."""
    able = [candidate.info.embedding for candidate in plan.candidates]
    return next((each.dimensions for each in able if each is not None and each.dimensions), 0)


def _body(exchange: Exchange, response: EmbeddingResponse, data: bytes) -> bytes:
    tokens, cost = response.usage.prompt_tokens, exchange.record.cost_usd
    usage: JsonObject = {"prompt_tokens": tokens, "total_tokens": tokens}
    if cost is not None:
        usage["cost"] = float(cost)
    rest = orjson.dumps({"model": response.model, "usage": usage})
    return b'{"object":"list","data":[' + data + b"]," + rest[1:]


async def _rendered(vectors: Sequence[Vector]) -> bytes:
    """The entries of `data`, in pieces between which other requests get their turn."""
    pieces: list[bytes] = []
    for start in range(0, len(vectors), _RENDERED_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        some = vectors[start : start + _RENDERED_AT_ONCE]
        entries = [_entry(index, vector) for index, vector in enumerate(some, start)]
        pieces.append(orjson.dumps(entries)[1:-1])
    return b",".join(pieces)


def _entry(index: int, vector: Vector) -> JsonObject:
    shown = base64.b64encode(vector).decode("ascii") if isinstance(vector, bytes) else list(vector)
    return {"object": "embedding", "index": index, "embedding": shown}  # type: ignore[dict-item]  # a list of floats is JSON
