"""POST /v1/images/generations, /edits and /variations, and GET of the pictures behind signed links."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import orjson
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from providers.base import Show
from providers.errors import ProviderError
from providers.fetch import Fetcher
from providers.types import ImageRequest, ImageResponse, JsonObject, LostPictures, Usage
from router.api.body import header
from router.api.coalescing import Coalescer, fingerprint_of, key_of
from router.api.detached import Answer, detach, send
from router.api.drawing import draw
from router.api.enhancing.improving import improved
from router.api.enhancing.rewording import reworded
from router.api.enhancing.state import Enhancing
from router.api.envelope import Headers
from router.api.gateway import Exchange, ShuttingDownError, common_headers, header_text, watched
from router.api.image_answer import (
    Finished,
    ResponseTooLargeError,
    delivery_warnings,
    described,
    finish,
    fit,
    smaller,
    told_apart,
    usage_json,
)
from router.api.image_jobs import POLL_S, ImageJobs, prefers_async
from router.api.image_request import ParsedImage
from router.api.image_stream import ImageEventWriter
from router.errors import NotFoundError, RouterError
from router.pictures.enhancement.rewrites import Rewrites
from router.pictures.signing import Signer
from router.pictures.store import MIME_TYPES, PictureStore, Store
from router.settings.values import ClientKey, Settings

log = logging.getLogger(__name__)


Begin = Callable[[Exchange, ParsedImage], asyncio.Future[Answer]]
Parse = Callable[[Scope, Receive, Settings, ClientKey, Fetcher | None], Awaitable[ParsedImage]]


class ImageService(Struct, frozen=True):
    """What the image endpoints share. `media` opens the URLs of callers' pictures; None: they are refused.

    `signer` None: pictures get no manifest.
    """

    store: Store
    media: Fetcher | None
    coalescer: Coalescer
    jobs: ImageJobs
    rewrites: Rewrites
    signer: Signer | None = None


class ImageHandler:
    """Answers image requests. `parse` turns the body into a request: one for generations, one for edits, one for
    variations.
    """

    def __init__(self, parse: Parse, service: ImageService) -> None:
        self._parse = parse
        self._service = service

    async def __call__(self, exchange: Exchange) -> int:
        gateway, record = exchange.gateway, exchange.record
        parsed = await self._parse(
            exchange.scope, exchange.receive, gateway.settings, exchange.key, self._service.media
        )
        record.model, record.features, record.stream = parsed.request.model, parsed.features, parsed.stream
        key, later = key_of(exchange.scope), prefers_async(exchange.scope)
        if parsed.stream:
            ignored = (("Idempotency-Key", key is not None), ("Prefer", later))
            told = tuple(f"{name}=ignored: streams are answered at once" for name, given in ignored if given)
            return await self._now(exchange, self._streamed, replace(parsed, warnings=(*parsed.warnings, *told)))
        if later and parsed.delivery != "url":
            told = (*parsed.warnings, "response_format=url: pictures of jobs are links")
            parsed = replace(parsed, delivery="url", warnings=told)
        begin = self._begin_job if later else self._begin
        if key is not None:
            return await watched(exchange, self._once(exchange, parsed, key, begin))
        if later:
            record.plan = gateway.plan(parsed.features, parsed.directives)
            return await send(exchange, await begin(exchange, parsed))
        return await self._now(exchange, self._plain, parsed)

    async def _now(
        self, exchange: Exchange, how: Callable[[Exchange, ParsedImage], Awaitable[int]], parsed: ParsedImage
    ) -> int:
        exchange.record.plan = exchange.gateway.plan(parsed.features, parsed.directives)
        return await watched(exchange, how(exchange, parsed))

    async def _once(self, exchange: Exchange, parsed: ParsedImage, key: str, begin: Begin) -> int:
        """The answer to a request with an `Idempotency-Key`, made for this client or for an earlier one."""
        owner, coalescer = exchange.key.name, self._service.coalescer
        content = (parsed.request, parsed.delivery, parsed.directives, begin == self._begin_job)
        fingerprint = await fingerprint_of(*content)
        found = coalescer.find(owner, key, fingerprint)
        if found is not None:
            answer = await found.wait()
            return await send(exchange, answer, (b"idempotent-replayed", b"true"))
        exchange.record.plan = exchange.gateway.plan(parsed.features, parsed.directives)
        made = coalescer.start(owner, key, fingerprint, lambda: begin(exchange, parsed))
        return await send(exchange, await made.wait())

    def _begin(self, exchange: Exchange, parsed: ParsedImage) -> asyncio.Future[Answer]:
        return detach(exchange, lambda: self._whole(exchange, parsed))

    def _begin_job(self, exchange: Exchange, parsed: ParsedImage) -> asyncio.Future[Answer]:
        """A job, and 202 with where it is."""
        record = exchange.record
        told = (*parsed.warnings, *(record.plan.warnings if record.plan else ()))
        job = self._service.jobs.begin(
            exchange.key.name, record.id, lambda: detach(exchange, lambda: self._whole(exchange, parsed))
        )
        where = f"{base_url(exchange.scope, exchange.gateway.settings)}/v1/images/jobs/{job.id}"
        headers = [
            (b"content-type", b"application/json"),
            (b"location", where.encode("latin-1")),
            (b"preference-applied", b"respond-async"),
            (b"retry-after", b"%d" % POLL_S),
            (b"x-request-id", record.id.encode()),
        ]
        if told:
            headers.append((b"x-router-warnings", header_text("; ".join(told))))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        answer.set_result(Answer(202, tuple(headers), orjson.dumps(job.as_json())))
        return answer

    async def _plain(self, exchange: Exchange, parsed: ParsedImage) -> int:
        return await send(exchange, await self._whole(exchange, parsed))

    async def _whole(self, exchange: Exchange, parsed: ParsedImage) -> Answer:
        gateway, record = exchange.gateway, exchange.record
        made = await _made(exchange, parsed, self._service)
        pictures = made.pictures
        items = [await self._item(exchange, parsed, picture) for picture in pictures]
        body: JsonObject = {"created": int(time.time()), "data": list(items), **described(pictures[0], parsed.request)}
        if (usage := record.total_usage) is not None:
            body["usage"] = usage_json(usage, record.answer_cost)
        body |= told_apart(record, made.failures)
        record.measure_overhead(gateway.health.now())
        headers = [(b"content-type", b"application/json"), *common_headers(gateway, record)]
        if len(items) < parsed.request.n:
            headers.append((b"x-router-partial", b"%d/%d" % (len(items), parsed.request.n)))
        return Answer(200, tuple(headers), orjson.dumps(body))

    async def _streamed(self, exchange: Exchange, parsed: ParsedImage) -> int:
        """Like `_whole`, as events. What fails after commitment is an error event in a 200."""
        gateway, record = exchange.gateway, exchange.record

        def told() -> Headers:
            record.measure_overhead(gateway.health.now())
            return common_headers(gateway, record)

        events = ImageEventWriter(exchange, parsed.request, told)
        try:
            async with events.kept_alive():
                pictures = (await _made(exchange, parsed, self._service, events.preview)).pictures
                usage = usage_json(record.total_usage or Usage(), record.answer_cost)
                for index, picture in enumerate(pictures):
                    item = await self._item(exchange, parsed, picture)
                    if index < len(pictures) - 1:
                        await events.completed(picture, item, index, usage_json(Usage(), None))
                    else:  # what is true of the whole answer is said once
                        await events.completed(picture, item | told_apart(record), index, usage)
        except asyncio.CancelledError:
            if not (gateway.cutting and exchange.started_response):
                raise
            record.interrupted = True
            record.error_code = await events.failed(ShuttingDownError("the router is shutting down"))
        except Exception as exc:  # headers are out: the client must learn of any failure from the stream
            if not exchange.started_response:
                raise
            if not isinstance(exc, RouterError | ProviderError):
                log.error("request %s failed", record.id, exc_info=exc)
            record.interrupted = True
            record.error_code = await events.failed(exc)
        await events.end()
        return 200

    async def _item(self, exchange: Exchange, parsed: ParsedImage, picture: Finished) -> JsonObject:
        item: JsonObject = {}
        if parsed.delivery == "url":
            base = base_url(exchange.scope, exchange.gateway.settings)
            item["url"] = await self._service.store.put(picture.content, picture.mime, base)
        else:
            item["b64_json"] = picture.b64_json
        if picture.revised_prompt:
            item["revised_prompt"] = picture.revised_prompt
        return item


class _Made(Struct, frozen=True):
    """What the upstream made, in the format that was asked for, and what of it did not come."""

    pictures: tuple[Finished, ...]
    failures: tuple[LostPictures, ...] = ()


async def _made(exchange: Exchange, parsed: ParsedImage, service: ImageService, show: Show | None = None) -> _Made:
    """Dispatch, account, transcode: the pictures in the format that was asked for. `show` gets previews of the first.

    The record holds cost, usage and warnings when this returns.
    """
    gateway, record, plan = exchange.gateway, exchange.record, exchange.record.plan
    assert plan is not None
    request, wish = parsed.request, parsed.directives.enhance
    enhancing = None if wish is None else Enhancing(exchange, parsed, wish)
    if enhancing is not None:
        request = await reworded(enhancing, service.rewrites)
        plan = enhancing.plan
    try:
        outcome = await draw(gateway, plan, parsed.features, request, record.attempts, show)
    finally:
        record.book_lost()
    response = outcome.value
    record.settle(response.usage, images=len(response.images), lost=response.lost, reported=response.reported_cost_usd)
    record.served_model = response.model
    if enhancing is not None:
        response = await improved(enhancing, request, outcome)
    pictures, shrunk = await _finished(exchange, parsed, request, response, service.signer)
    told = enhancing.warnings if enhancing is not None else ()
    lost = (*delivery_warnings(pictures, request), *shrunk)
    record.warnings = (*parsed.warnings, *plan.warnings, *told, *response.warnings, *lost)
    if request.partial_images and record.first_content_s is None:
        record.warnings += ("partial_images=ignored: the backend makes none",)
    return _Made(pictures, response.failures)


async def _finished(
    exchange: Exchange, parsed: ParsedImage, request: ImageRequest, response: ImageResponse, signer: Signer | None
) -> tuple[tuple[Finished, ...], tuple[str, ...]]:
    """The pictures in the format that was asked for, smaller where they would not fit into an answer; and what is told
    of that. Raises ResponseTooLargeError.
    """
    images = exchange.gateway.settings.images

    async def all_as(asked: ImageRequest) -> tuple[Finished, ...]:
        made = [await finish(each, asked, images.default_format, response.model, signer) for each in response.images]
        return tuple(made)

    pictures, limit = await all_as(request), images.response_limit_bytes
    if parsed.delivery != "b64_json" or parsed.stream or fit(pictures, limit):
        return pictures, ()
    if request.output_format is None:
        pictures = await all_as(smaller(request))
    if not fit(pictures, limit):
        raise ResponseTooLargeError(limit)
    return pictures, (f"output_format={pictures[0].output_format}: the answer would exceed {limit} bytes",)


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
