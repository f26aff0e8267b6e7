"""`create_app(settings)`: the one place that wires objects. The lifespan opens and closes them."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from providers.catalogue import Kind
from providers.errors import ProviderError
from providers.fetch import Fetcher
from providers.registry import Connected, ProviderSpec, connect
from router.accounting.metrics import Metrics
from router.api.chat import chat_completions
from router.api.coalescing import Coalescer
from router.api.detached import end_detached
from router.api.embeddings import embeddings
from router.api.envelope import error_answer
from router.api.gateway import Endpoint, Gateway
from router.api.guard import Guard
from router.api.image_jobs import ImageJobs, JobsHandler
from router.api.image_request import parse_edit, parse_generation, parse_variation
from router.api.images import FileHandler, ImageHandler, ImageService
from router.api.models import ModelsHandler
from router.api.ops import OpsHandler
from router.api.responses.endpoint import ResponsesHandler, StoredResponses
from router.api.responses.memory import ItemMemory
from router.api.route import RouteHandler
from router.errors import InvalidRequestError, NotFoundError, RouterError
from router.pictures.bucket import BucketStore
from router.pictures.enhancement.rewrites import Rewrites
from router.pictures.signing import Signer
from router.pictures.store import PictureStore, Store, kept_swept
from router.routing.health import Health
from router.routing.limits import provider_gates
from router.routing.planner import Planner
from router.routing.rules import compile_rules
from router.settings.values import ImageSettings, Settings

_PREFIXES = ("/v1", "", "/openai/v1")
_EXPOSED = (
    "x-request-id", "retry-after", "openai-processing-ms", "x-router-model", "x-router-provider", "x-router-attempts",
    "x-router-reason", "x-router-cost-usd", "x-router-overhead-ms", "x-router-warnings", "x-router-sandbox",
    "x-router-expected-cost-usd", "x-router-enhance-cost-usd", "idempotent-replayed", "location", "preference-applied",
)  # fmt: skip


class UnknownUrlError(NotFoundError):
    code = "unknown_url"


class MethodNotAllowedError(RouterError):
    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


def create_app(settings: Settings, clock: Callable[[], float] = time.monotonic) -> "Application":
    """The whole application, ready to be served. Raises SettingsError for rules that do not compile, and for a key that
    cannot sign pictures.

    `app.state.gateway` holds the wired objects; the server sets its `draining` flag and calls `cut()`.
    `app.edge` is the same application, one call shorter.
    """
    routing = settings.routing
    health = Health(
        clock,
        retry_share=routing.retry_budget,
        hedge_share=routing.hedge.max_extra,
        gates=provider_gates(settings.providers.values(), settings.routing.replicas),
        queue=routing.queue,
    )
    fetch = settings.fetch
    fetcher = Fetcher(trusted_origins=fetch.allow_origins, timeout_s=fetch.timeout_s, max_bytes=fetch.max_bytes)
    connected = connect(_specs(settings, fetcher), settings.catalogue)
    serving: dict[Kind, Collection[str]] = {
        "chat": connected.chat,
        "image": connected.images,
        "embedding": connected.embeddings,
    }
    planner = Planner(settings, compile_rules(settings), health, serving)
    metrics = Metrics(_labels(settings), health, settings.catalogue)
    gateway = Gateway(settings, planner, health, metrics, connected)
    store = _store(settings.images)
    app = Application(
        title="Turnout",
        docs_url="/docs" if settings.server.docs else None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.server.docs else None,
        lifespan=_lifespan(connected, fetcher, gateway, store),
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False},  # it would look for its configuration on every request
    )
    app.state.gateway = gateway
    hot = _add_routes(app, gateway, store, fetcher if fetch.enabled else None)
    _add_error_handlers(app)
    app.edge = _edge(app.framework, hot, settings)
    return app


class Application(FastAPI):
    """FastAPI behind `edge`: what is answered there does not pay for the framework's layers."""

    edge: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.edge(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)


def _edge(framework: ASGIApp, hot: Mapping[str, ASGIApp], settings: Settings) -> ASGIApp:
    """What stands around the framework: the guard, and CORS where origins are configured."""
    server = settings.server
    guarded = Guard(framework, hot=hot, hosts=server.trusted_hosts)
    if not server.cors_origins:
        return guarded
    return CORSMiddleware(
        guarded,
        allow_origins=server.cors_origins,
        allow_methods=["GET", "POST", "OPTIONS", "DELETE"],
        allow_headers=["*"],  # reflects what the preflight asks for: SDKs add headers with every release
        expose_headers=_EXPOSED,
        max_age=600,
    )


def _specs(settings: Settings, fetcher: Fetcher) -> list[ProviderSpec]:
    return [
        ProviderSpec(
            name=provider.name,
            type=provider.type,
            base_url=provider.base_url,
            api_key=provider.api_key,
            connect_timeout_s=provider.connect_timeout_s,
            idle_timeout_s=provider.idle_timeout_s,
            organization=provider.options.organization,
            model_prefix=provider.options.model_prefix,
            result_hosts=provider.options.result_hosts,
            cloud=provider.options.cloud,
            gemini=provider.options.gemini,
            azure=provider.options.azure,
            workflows=provider.options.workflows,
            midjourney=provider.options.midjourney,
            fetcher=fetcher,
            fetch_media=settings.fetch.enabled,
            max_concurrent=provider.max_concurrency,
        )
        for provider in settings.providers.values()
        if provider.enabled
    ]


def _lifespan(
    connected: Connected, fetcher: Fetcher, gateway: Gateway, store: Store
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(gateway.books.enter)
            for upstream in connected.upstreams:
                await upstream.open()
                stack.push_async_callback(upstream.aclose)
            await stack.enter_async_context(kept_swept(store))
            await fetcher.open()
            stack.push_async_callback(fetcher.aclose)
            stack.push_async_callback(end_detached, gateway)
            yield

    return lifespan


def _store(images: ImageSettings) -> Store:
    """The bucket where one is configured, else the local folder."""
    if images.bucket is not None:
        return BucketStore(images.bucket, images.ttl_s, images.quota_bytes)
    return PictureStore(images.store_dir, images.ttl_s, images.quota_bytes)


def _add_routes(app: FastAPI, gateway: Gateway, store: Store, media: Fetcher | None) -> dict[str, ASGIApp]:
    """Register every path under each prefix; gives the raw endpoints by path. `media` opens callers' URLs."""
    memory = ItemMemory()
    chat: ASGIApp = Endpoint(gateway, "chat", chat_completions)
    answer: ASGIApp = Endpoint(gateway, "chat", ResponsesHandler(memory))
    embed: ASGIApp = Endpoint(gateway, "embedding", embeddings)
    configured = gateway.settings.images
    signer = None if configured.signing is None else Signer(configured.signing)
    rewrites = Rewrites(gateway.health.now)
    images = ImageService(store, media, Coalescer(), ImageJobs(configured.ttl_s), rewrites, signer)
    generate: ASGIApp = Endpoint(gateway, "image", ImageHandler(parse_generation, images))
    edit: ASGIApp = Endpoint(gateway, "image", ImageHandler(parse_edit, images))
    vary: ASGIApp = Endpoint(gateway, "image", ImageHandler(parse_variation, images))
    jobs = JobsHandler(gateway, images.jobs)
    stored = StoredResponses(gateway).__call__
    models, route, ops = ModelsHandler(gateway), RouteHandler(gateway, memory), OpsHandler(gateway)
    raw = {
        "/chat/completions": chat,
        "/responses": answer,
        "/images/generations": generate,
        "/images": generate,
        "/images/edits": edit,
        "/images/variations": vary,
        "/embeddings": embed,
    }
    hot = {prefix + path: endpoint for prefix in _PREFIXES for path, endpoint in raw.items()}
    routes = [Route(path, endpoint, methods=["POST"]) for path, endpoint in hot.items()]
    for prefix in _PREFIXES:
        routes += [
            Route(f"{prefix}/models", models.list, methods=["GET"]),
            Route(f"{prefix}/models/{{model:path}}", models.one, methods=["GET"]),
            Route(f"{prefix}/route", route.plan, methods=["POST"]),
            Route(f"{prefix}/requests/{{id}}", route.request, methods=["GET"]),
            Route(f"{prefix}/images/jobs/{{id}}", jobs.show, methods=["GET"]),
            Route(f"{prefix}/images/jobs/{{id}}", jobs.cancel, methods=["DELETE"]),
            Route(f"{prefix}/responses/{{rest:path}}", stored, methods=["GET", "POST", "DELETE"]),
        ]
    if isinstance(store, PictureStore):  # a bucket serves its pictures itself
        routes += [
            Route(f"{prefix}/images/files/{{file}}", FileHandler(store).__call__, methods=["GET"])
            for prefix in _PREFIXES
        ]
    routes += [
        Route("/", ops.root, methods=["GET"]),
        Route("/healthz", ops.live, methods=["GET"]),
        Route("/health", ops.live, methods=["GET"]),
        Route("/readyz", ops.ready, methods=["GET"]),
        Route("/metrics", ops.metrics, methods=["GET"]),
    ]
    app.router.routes[:0] = routes  # before FastAPI's own; the hot ones stand here for their 405
    return hot


def _add_error_handlers(app: FastAPI) -> None:
    async def ours(request: Request, exc: Exception) -> Response:
        answer = error_answer(exc)
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        return Response(answer.body, status_code=answer.status, headers=headers)

    async def framework(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)
        if exc.status_code == 405:
            answered = await ours(request, MethodNotAllowedError(f"{request.method} is not allowed on this path"))
            answered.headers["allow"] = (exc.headers or {}).get("allow") or (exc.headers or {}).get("Allow") or "POST"
            return answered
        return await ours(request, UnknownUrlError(f"Unknown request URL: {request.method} {request.url.path[:256]}"))

    async def invalid(request: Request, exc: Exception) -> Response:
        return await ours(request, InvalidRequestError("the request is not valid"))

    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        RouterError: ours,
        ProviderError: ours,
        HTTPException: framework,
        RequestValidationError: invalid,
        Exception: ours,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _labels(settings: Settings) -> set[str]:
    """Every name that configuration knows: nothing else becomes a metric label."""
    names = {*settings.models, *settings.aliases, *settings.catalogue_targets}
    for model in settings.models.values():
        names |= {target.name for target in model.targets}
    for targets in settings.catalogue_targets.values():
        names |= {target.name for target in targets}
    return names
