"""GET /healthz, /readyz, /metrics and /: for machines that watch, and for people who look."""

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from router.api.gateway import Gateway


class OpsHandler:
    """Liveness, readiness and metrics. None of them asks for a key; `/metrics` holds no client text."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def root(self, request: Request) -> Response:
        note = " (sandbox: simulated upstreams)" if self._gateway.settings.sandbox else ""
        return PlainTextResponse(f"Turnout{note}: an OpenAI-compatible router. Its API is below /v1.\n")

    async def live(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """503 while draining, or when no provider is configured."""
        gateway = self._gateway
        if gateway.draining:
            return JSONResponse({"status": "draining"}, status_code=503)
        if not any(provider.enabled for provider in gateway.settings.providers.values()):
            return JSONResponse({"status": "no provider is configured"}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        self._gateway.books.enter()
        registry = self._gateway.metrics.registry
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})
