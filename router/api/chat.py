"""POST /v1/chat/completions: parse, then answer in OpenAI's chat shape."""

import time
from collections.abc import Mapping
from decimal import Decimal

import orjson

from providers.types import ChatRequest, ChatResponse, JsonValue
from router.api.answering import answer_chat
from router.api.body import require_json
from router.api.chat_request import parse_chat
from router.api.gateway import Exchange
from router.api.sse import ChunkRenderer


async def chat_completions(exchange: Exchange) -> int:
    """Answer one chat request, plain or streamed; gives the status sent."""
    require_json(exchange.scope)
    body = await exchange.body(exchange.gateway.settings.server.json_limit_bytes)
    parsed = parse_chat(body, exchange.scope, exchange.key)
    return await answer_chat(exchange, parsed, _ChatWire(parsed.request))


class _ChatWire:
    """`chat.completion` and its chunks."""

    __slots__ = ("_request",)

    def __init__(self, request: ChatRequest) -> None:
        self._request = request

    def whole(self, response: ChatResponse, cost_usd: Decimal | None) -> bytes:
        return orjson.dumps(
            {
                "id": response.id,
                "object": "chat.completion",
                "created": int(time.time()),
                "model": response.model,
                "choices": list(response.choices),
                "usage": response.usage.to_openai(cost_usd),
                "system_fingerprint": None,
                **response.extra,
            }
        )

    def renderer(self, request_id: str, model: str, extra: Mapping[str, JsonValue]) -> ChunkRenderer:
        return ChunkRenderer(
            f"chatcmpl-{request_id.removeprefix('req_')}",
            int(time.time()),
            model,
            include_usage=self._request.include_usage,
            extra=extra,
        )

    def told(self, warnings: tuple[str, ...]) -> tuple[str, ...]:
        return warnings
