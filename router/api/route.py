"""POST /v1/route: the plan of a request without making it; GET /v1/requests/{id}: the decision of one that was made."""

import math
from collections.abc import Sequence
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from providers.types import JsonObject, JsonValue
from router.accounting.calibration import prediction_json
from router.accounting.record import tier_json
from router.api.body import read_body, require_json
from router.api.chat_request import decode_object, parse_chat
from router.api.embedding_request import parse_embedding
from router.api.enhancing.preview import preview
from router.api.gateway import Gateway
from router.api.image_request import ParsedImage, build_image_request, decode_json
from router.api.responses.memory import ItemMemory
from router.api.responses.request import is_for_a_response, parse_responses
from router.errors import NotFoundError
from router.routing.health import Health
from router.routing.plan import Candidate, Directives, Excluded, Features, Plan, Prediction
from router.routing.planner import AllBlockedError, NoCandidateError


class RouteHandler:
    """Shows decisions. Costs nothing and calls nobody."""

    def __init__(self, gateway: Gateway, memory: ItemMemory) -> None:
        self._gateway = gateway
        self._memory = memory

    async def plan(self, request: Request) -> Response:
        """The body is that of the request in question: `messages` make it a chat request, `prompt` an image request,
        `input` one for a response where it holds items or stands beside what only responses know, else one for
        embeddings."""
        gateway, scope = self._gateway, request.scope
        key = gateway.auth.identify(scope)
        require_json(scope)
        server = gateway.settings.server
        body = await read_body(
            scope, request.receive, limit_bytes=server.json_limit_bytes, timeout_s=server.body_timeout_s
        )
        features: Features
        directives: Directives
        image: ParsedImage | None = None
        top = decode_object(body)
        if is_for_a_response(top):
            asked = parse_responses(body, scope, key, self._memory).chat
            features, directives = asked.features, asked.directives
        elif "input" in top and not top.keys() & {"messages", "prompt"}:
            embedding = parse_embedding(body, scope, key)
            features, directives = embedding.features, embedding.directives
        elif "messages" in top or "prompt" not in top:
            chat = parse_chat(body, scope, key)
            features, directives = chat.features, chat.directives
        else:
            fields = decode_json(body)
            image = build_image_request(fields, scope, key)
            features, directives = image.features, image.directives
        try:
            plan = gateway.plan(features, directives, full=True)
        except (NoCandidateError, AllBlockedError) as exc:
            return JSONResponse(_refused(features, exc))
        enhance = None if image is None else preview(gateway, key, image, plan)
        return JSONResponse(_shown(features, plan, gateway.health) | ({"enhance": enhance} if enhance else {}))

    async def request(self, request: Request) -> Response:
        """One closed request of this caller, by its `x-request-id`, and how far off its prediction was."""
        key = self._gateway.auth.identify(request.scope)
        record = self._gateway.books.recent(request.path_params["id"], key.name)
        if record is None:
            raise NotFoundError("no such request, or it is no longer remembered")
        return JSONResponse({**record.as_json(), "prediction": prediction_json(record)})


def _shown(features: Features, plan: Plan, health: Health) -> JsonObject:
    first = plan.candidates[0]
    return {
        "object": "router.plan",
        "model": plan.model,
        "kind": plan.kind,
        "target": first.name,
        "provider": first.provider,
        "upstream_model": first.model,
        "reason": plan.reason,
        "tier": tier_json(plan.tiering),
        "prompt_tokens": features.prompt_tokens,
        "deadline_ms": round(plan.deadline_s * 1000),
        "stream_mode": plan.stream_mode,
        "hedge_after_ms": round(plan.hedge_after_s(first) * 1000) if plan.hedged else None,
        "warnings": list(plan.warnings),
        "candidates": [
            {
                "target": candidate.name,
                "route": candidate.route,
                "kept": True,
                "retry": candidate.retry,
                "reason": candidate.reason or "kept",
                "reasoning_effort": candidate.effort or None,
                "expected_cost_usd": _usd(candidate.expected_cost_usd),
                "timeout_s": round(plan.timeout_s(candidate), 3),
                **_predicted(candidate.prediction),
                **_under_way(candidate, health),
            }
            for candidate in plan.candidates
        ],
        "excluded": _excluded(plan.excluded),
    }


def _refused(features: Features, exc: NoCandidateError | AllBlockedError) -> JsonObject:
    return {
        "object": "router.plan",
        "model": features.model,
        "kind": features.kind,
        "target": None,
        "reason": exc.message,
        "prompt_tokens": features.prompt_tokens,
        "candidates": [],
        "excluded": _excluded(exc.excluded),
    }


def _excluded(entries: Sequence[Excluded]) -> list[JsonValue]:
    return [
        {
            "target": entry.name,
            "kept": False,
            "reason": entry.reason,
            "expected_cost_usd": _usd(entry.expected_cost_usd),
            **(_predicted(entry.prediction) if entry.prediction else {}),
        }
        for entry in entries
    ]


def _predicted(prediction: Prediction) -> JsonObject:
    return {
        "predicted_ttft_ms": round(prediction.ttft_ms, 1),
        "predicted_total_ms": round(prediction.total_ms, 1),
        "predicted_total_p95_ms": round(prediction.total_p95_ms, 1),
        "predicted_output_tokens": round(prediction.output_tokens),
    }


def _under_way(candidate: Candidate, health: Health) -> JsonObject:
    state = health.target(candidate.provider, candidate.model, candidate.info)
    limit = state.limit(health.now())
    return {"in_flight": state.under_way, "concurrency_limit": None if limit is None else math.floor(limit)}


def _usd(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
