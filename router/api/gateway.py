"""What every endpoint shares: the wired objects, and the one way a request is opened, answered and closed."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Protocol

from starlette.types import Receive, Scope, Send

from providers.base import ChatProvider, EmbeddingProvider, ImageProvider
from providers.errors import ProviderError
from providers.timer import alarms_of
from router.accounting.books import Books
from router.accounting.metrics import Metrics
from router.accounting.record import CLIENT_CLOSED, RequestRecord, utc_day
from router.api.auth import Authenticator
from router.api.body import ClientGoneError, headers_of, read_body
from router.api.envelope import ErrorAnswer, Headers, error_answer
from router.errors import OverloadedError, RouterError
from router.routing.dispatch import AllAttemptsFailedError
from router.routing.health import Health
from router.routing.plan import Candidate, Directives, Features, Plan
from router.routing.planner import Planner
from router.routing.queue import SaturatedError
from router.settings.values import ClientKey, Settings

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_MAX_HEADER_VALUE = 1024
_NO_RETRY = (b"x-should-retry", b"false")
_WATCH_AFTER_S = 0.02  # what is over sooner costs the upstream nothing more, and a task less here


class ShuttingDownError(RouterError):
    """The drain limit passed before this request was answered."""

    status = 503
    code = "router_shutting_down"
    retry_after_s = 1.0


class Providers(Protocol):
    """The adapters by provider name, one table for each kind of request."""

    @property
    def chat(self) -> Mapping[str, ChatProvider]: ...

    @property
    def images(self) -> Mapping[str, ImageProvider]: ...

    @property
    def embeddings(self) -> Mapping[str, EmbeddingProvider]: ...


class Gateway:
    """The application's objects, wired once by `create_app`. `draining` is set when the process is to stop."""

    def __init__(
        self,
        settings: Settings,
        planner: Planner,
        health: Health,
        metrics: Metrics,
        providers: Providers,
    ) -> None:
        self.settings = settings
        self.planner = planner
        self.health = health
        self.metrics = metrics
        self.chat_providers = providers.chat
        self.image_providers = providers.images
        self.embedding_providers = providers.embeddings
        self.books = Books(metrics)
        self.auth = Authenticator(settings.server.keys)
        self.started = int(time.time())
        self.in_flight = 0
        metrics.inflight.set_function(lambda: self.in_flight)
        self.draining = False
        self.cutting = False
        self.live: set[asyncio.Task[object]] = set()

    def plan(self, features: Features, directives: Directives, *, full: bool = False) -> Plan:
        """The plan for one request as of now. Raises what `Planner.plan` raises."""
        return self.planner.plan(features, directives, self.health.now(), utc_day(time.time()), full=full)

    def stronger(
        self, plan: Plan, than: Candidate, features: Features, directives: Directives
    ) -> tuple[Candidate, ...]:
        """Who may do better as of now: see `Planner.stronger`."""
        return self.planner.stronger(plan, than, features, directives, self.health.now(), utc_day(time.time()))

    def cut(self) -> None:
        """The drain limit has passed: end every answer under way, streams with an error event, the rest with 503."""
        self.cutting = True
        for task in self.live:
            task.cancel()


class Exchange:
    """One HTTP request under way: who asks, what was recorded, and how to answer.

    `detached`: its work goes on without it and closes the record.
    """

    __slots__ = ("detached", "gateway", "key", "receive", "record", "scope", "send", "started_response")

    def __init__(
        self, gateway: Gateway, scope: Scope, receive: Receive, send: Send, key: ClientKey, record: RequestRecord
    ) -> None:
        self.gateway = gateway
        self.scope = scope
        self.receive = receive
        self.send = send
        self.key = key
        self.record = record
        self.started_response = False
        self.detached = False

    def body(self, limit_bytes: int) -> Awaitable[bytes]:
        server = self.gateway.settings.server
        return read_body(self.scope, self.receive, limit_bytes=limit_bytes, timeout_s=server.body_timeout_s)

    async def start(self, status: int, headers: Headers) -> None:
        self.started_response = True
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer in one go."""
        headers.append((b"content-length", b"%d" % len(body)))
        self.started_response = True
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


Handler = Callable[[Exchange], Awaitable[int]]


class Endpoint:
    """A raw ASGI endpoint: authenticates, counts, runs `handle`, turns every failure into the error envelope.

    `handle` answers and returns the status it sent. It runs while a watcher listens for the client's departure, which
    cancels it, and with it the upstream call. The record is closed once, whatever happens.
    """

    def __init__(self, gateway: Gateway, kind: str, handle: Handler) -> None:
        self._gateway = gateway
        self._kind = kind
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        health = gateway.health
        record = RequestRecord(
            request_id(scope), self._kind, scope["path"], time.time(), health.now(), gateway.books.close
        )
        gateway.in_flight += 1
        exchange: Exchange | None = None
        status, code = CLIENT_CLOSED, None
        try:
            key = gateway.auth.identify(scope)
            record.key_name = key.name
            if gateway.in_flight > gateway.settings.server.max_in_flight:
                raise OverloadedError("the router is at its limit of concurrent requests")
            exchange = Exchange(gateway, scope, receive, send, key, record)
            status = await self._handle(exchange)
            code = record.error_code
        except ClientGoneError:
            code = "client_closed"
        except asyncio.CancelledError:
            code = "client_closed"
            raise
        except Exception as exc:  # the edge: whatever it is, the client gets an answer
            sent = exchange is not None and exchange.started_response
            answer = failure(gateway, record, exc, sent=sent)
            status, code = answer.status, answer.code
            if not sent:
                await _send_error(answer, send)
        finally:
            if exchange is None or not exchange.detached:
                gateway.in_flight -= 1
                record.close(status, health.now(), code)


def failure(gateway: Gateway, record: RequestRecord, exc: Exception, *, sent: bool = False) -> ErrorAnswer:
    """The answer to a request that failed, with the headers that every answer has: see `common_headers`.

    `sent`: another one has begun, so this goes to the log only.
    """
    match exc:
        case AllAttemptsFailedError(last=SaturatedError() as last):
            record.shed, record.queued_s = last.why, last.queued_s
        case OverloadedError():
            record.shed = "in_flight"
        case RouterError() | ProviderError():
            pass
        case _:
            log.error("request %s failed", record.id, exc_info=exc)
    if not sent:
        record.measure_overhead(gateway.health.now())
    answer = error_answer(exc)
    if record.kind == "image" and _NO_RETRY not in answer.headers and _may_be_billed(record):
        answer.headers.append(_NO_RETRY)
    answer.headers += common_headers(gateway, record)
    return answer


def _may_be_billed(record: RequestRecord) -> bool:
    """Whether an upstream made a picture, or may have, before the request failed here: an SDK's retry buys another."""
    return any(a.error is None or a.error.billed or a.outcome == "internal_error" for a in record.attempts)


async def _send_error(answer: ErrorAnswer, send: Send) -> None:
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def watched(exchange: Exchange, work: Awaitable[int]) -> int:
    """Run `work`, but cancel it as soon as the client leaves; then raise ClientGoneError.

    When the drain cuts it instead, work that has not answered yet ends as ShuttingDownError.
    """
    task = asyncio.current_task()
    assert task is not None
    live = exchange.gateway.live
    live.add(task)
    watch = _Watch(exchange.receive, task)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.gone and task.uncancel() == 0:
            raise ClientGoneError from None
        if exchange.gateway.cutting and not exchange.started_response:
            task.uncancel()
            raise ShuttingDownError("the router is shutting down; ask again") from None
        raise
    finally:
        live.discard(task)
        watch.stop()


class _Watch:
    """Cancels `task` once its client has left; then `gone` is True. It starts a moment late, see `_WATCH_AFTER_S`."""

    __slots__ = ("_alarms", "_receive", "_task", "_watcher", "due", "gone")

    def __init__(self, receive: Receive, task: asyncio.Task[object]) -> None:
        self.gone = False
        self._receive = receive
        self._task = task
        self._watcher: asyncio.Task[None] | None = None
        loop = task.get_loop()
        self.due = loop.time() + _WATCH_AFTER_S
        self._alarms = alarms_of(loop)
        self._alarms.add(self)

    def stop(self) -> None:
        self._alarms.discard(self)
        if self._watcher is not None:
            self._watcher.cancel()

    def strike(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._task.cancel()


def request_id(scope: Scope) -> str:
    """The caller's `x-request-id` when it is harmless, else a new one."""
    given = headers_of(scope).get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return f"req_{random.getrandbits(128):032x}"


def common_headers(gateway: Gateway, record: RequestRecord) -> Headers:
    """What every answer says about how it came about. Call `record.measure_overhead` first."""
    headers: Headers = [
        (b"x-request-id", record.id.encode()),
        (b"x-router-attempts", b"%d" % len(record.attempts)),
        (b"x-router-overhead-ms", b"%.3f" % (record.overhead_s * 1000)),
    ]
    plan = record.plan
    if plan is not None:
        headers.append((b"x-router-reason", header_text(plan.reason)))
    candidate = record.served_by
    if candidate is not None:
        headers += _served_headers(candidate.provider, candidate.model)
    cost_usd = record.total_cost[0] if record.spent or record.steps else record.cost_usd
    if cost_usd is not None:
        headers.append((b"x-router-cost-usd", f"{cost_usd:f}".encode()))
    if record.enhanced is not None and (helpers := record.helpers_cost) is not None:
        headers.append((b"x-router-enhance-cost-usd", f"{helpers:f}".encode()))
    if record.warnings:
        headers.append((b"x-router-warnings", header_text("; ".join(record.warnings))))
    if gateway.settings.sandbox:
        headers.append((b"x-router-sandbox", b"true"))
    return headers


@lru_cache(maxsize=256)
def _served_headers(provider: str, model: str) -> tuple[tuple[bytes, bytes], ...]:
    return (b"x-router-model", header_text(model)), (b"x-router-provider", provider.encode())


def header_text(text: str) -> bytes:
    """`text` as a header value: printable ASCII, bounded."""
    encoded = text.encode("ascii", "replace")[:_MAX_HEADER_VALUE]
    return encoded if text.isprintable() else bytes(byte if 32 <= byte < 127 else 63 for byte in encoded)
