"""The endpoint: parse, then answer through the chat path in the shape of the Responses API."""

import secrets
import time

from starlette.requests import Request
from starlette.responses import Response

from providers.errors import ProviderError
from router.api.answering import answer_chat
from router.api.body import require_json
from router.api.gateway import Exchange, Gateway
from router.api.responses.answer import ResponsesWire
from router.api.responses.memory import ItemMemory
from router.api.responses.request import parse_responses
from router.errors import NotFoundError, RouterError


class ResponsesHandler:
    """Answers one request, plain or streamed; gives the status sent. What is refused names the caller's own fields."""

    def __init__(self, memory: ItemMemory) -> None:
        self._memory = memory

    async def __call__(self, exchange: Exchange) -> int:
        require_json(exchange.scope)
        body = await exchange.body(exchange.gateway.settings.server.json_limit_bytes)
        parsed = parse_responses(body, exchange.scope, exchange.key, self._memory)
        wire = ResponsesWire(parsed, secrets.token_hex(16), time.time, self._memory)
        try:
            return await answer_chat(exchange, parsed.chat, wire)
        except (RouterError, ProviderError) as exc:
            parsed.names.rename(exc)
            raise


class StoredResponses:
    """What asks for a response of earlier, or for anything else to be done with one: there is none."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, request: Request) -> Response:
        self._gateway.auth.identify(request.scope)
        raise NotFoundError("responses are not stored: POST /v1/responses and its answer are all there is")
