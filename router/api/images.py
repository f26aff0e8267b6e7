"""POST /v1/images/generations, /edits and /variations, and GET of the pictures behind signed links."""

import time
from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from providers.fetch import Fetcher
from providers.types import ImageResponse, JsonObject
from router.api.body import header
from router.api.envelope import Headers
from router.api.gateway import Exchange, common_headers, watched
from router.api.image_answer import Finished, delivery_warnings, described, finish, usage_json
from router.api.image_request import ParsedImage
from router.errors import NotFoundError
from router.pictures.fanout import make_pictures
from router.pictures.store import MIME_TYPES, PictureStore
from router.routing.dispatch import dispatch
from router.routing.plan import Candidate
from router.settings.values import ClientKey, Settings

Parse = Callable[[Scope, Receive, Settings, ClientKey, Fetcher | None], Awaitable[ParsedImage]]


class ImageHandler:
    """Answers image requests. `parse` turns the body into a request: one for generations, one for edits, one for
    variations. `media` opens the URLs of callers' pictures; None: they are refused.
    """

    def __init__(self, parse: Parse, store: PictureStore, media: Fetcher | None) -> None:
        self._parse = parse
        self._store = store
        self._media = media

    async def __call__(self, exchange: Exchange) -> int:
        gateway, record = exchange.gateway, exchange.record
        parsed = await self._parse(exchange.scope, exchange.receive, gateway.settings, exchange.key, self._media)
        record.model, record.features = parsed.request.model, parsed.features
        record.plan = gateway.plan(parsed.features, parsed.directives)
        return await watched(exchange, self._make(exchange, parsed))

    async def _make(self, exchange: Exchange, parsed: ParsedImage) -> int:
        gateway, record, plan = exchange.gateway, exchange.record, exchange.record.plan
        assert plan is not None
        request = parsed.request

        async def call(candidate: Candidate) -> ImageResponse:
            provider = gateway.image_providers[candidate.provider]
            return await make_pictures(provider, request, candidate.model, candidate.info)

        outcome = await dispatch(plan, call, gateway.health, record.attempts)
        response, served = outcome.value, outcome.served_by
        latency = gateway.health.target(served.provider, served.model, served.info).latency
        latency.observe_whole(parsed.features, outcome.attempts[-1].duration_s, 0, gateway.health.now())
        record.settle(
            response.usage,
            images=len(response.images),
            size=request.size,
            quality=request.quality or "",
            reported=response.reported_cost_usd,
        )
        record.served_model = response.model
        body, warnings = await self._body(exchange, parsed, response)
        record.warnings = (*parsed.warnings, *plan.warnings, *response.warnings, *warnings)
        record.measure_overhead(gateway.health.now())
        headers: Headers = [(b"content-type", b"application/json"), *common_headers(gateway, record)]
        await exchange.answer(200, headers, orjson.dumps(body))
        return 200

    async def _body(
        self, exchange: Exchange, parsed: ParsedImage, response: ImageResponse
    ) -> tuple[JsonObject, tuple[str, ...]]:
        """The OpenAI answer, and warnings."""
        default = exchange.gateway.settings.images.default_format
        pictures = [await finish(image, parsed.request, default) for image in response.images]
        data = [await self._item(exchange, parsed, picture) for picture in pictures]
        body: JsonObject = {"created": int(time.time()), "data": list(data), **described(pictures[0], parsed.request)}
        cost = exchange.record.cost_usd
        if response.usage is not None:
            body["usage"] = usage_json(response.usage, None if cost is None else float(cost))
        return body, delivery_warnings(pictures, parsed.request)

    async def _item(self, exchange: Exchange, parsed: ParsedImage, picture: Finished) -> JsonObject:
        item: JsonObject = {}
        if parsed.delivery == "url":
            path = await self._store.put(picture.content, picture.mime)
            item["url"] = base_url(exchange.scope, exchange.gateway.settings) + path
        else:
            item["b64_json"] = picture.b64_json
        if picture.revised_prompt:
            item["revised_prompt"] = picture.revised_prompt
        return item


def base_url(scope: Scope, settings: Settings) -> str:
    """The absolute prefix of our links: configured, or that of the request. Forwarding headers are not believed."""
    if settings.server.public_url:
        return settings.server.public_url.rstrip("/")
    host = header(scope, b"host") or "127.0.0.1"
    return f"{scope.get('scheme', 'http')}://{host}"


class FileHandler:
    """GET /v1/images/files/{name}.{ext}: the picture behind a signed link. The signature is the key."""

    def __init__(self, store: PictureStore) -> None:
        self._store = store

    async def __call__(self, request: Request) -> Response:
        name, _, extension = str(request.path_params["file"]).partition(".")
        expires, signature = request.query_params.get("exp", ""), request.query_params.get("sig", "")
        data = await self._store.get(name, extension, expires, signature)
        if data is None:
            raise NotFoundError("no such picture, or its link has expired")
        return Response(
            data,
            media_type=MIME_TYPES[extension],
            headers={
                "cache-control": "private, max-age=3600",
                "content-disposition": f'inline; filename="{name}.{extension}"',
                "content-security-policy": "default-src 'none'; sandbox",
                "x-content-type-options": "nosniff",
            },
        )
