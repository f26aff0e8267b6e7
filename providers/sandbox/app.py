"""The sandbox as a plain ASGI app: one socket, every dialect, one prefix per provider label.

/{dialect}/...            label "" (or /p/{label}/{dialect}/... for a provider of its own)
/files/{id}.{ext}         pictures that were answered as a URL (also below /p/{label})
GET|DELETE     /__sandbox/requests    what was received; forget it
GET|PUT|DELETE /__sandbox/faults      the fault rules, as a JSON list of config.FaultRule
GET            /__sandbox/health      {"status": "ok"}
"""

import asyncio
import logging
import random
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import orjson

from providers.sandbox.azure import Azure
from providers.sandbox.bfl import Bfl
from providers.sandbox.breakage import break_line, refusal
from providers.sandbox.comfyui import ComfyUI
from providers.sandbox.config import SandboxConfig
from providers.sandbox.delivery import deliver, deliver_badly, send_whole
from providers.sandbox.eachlabs import Eachlabs
from providers.sandbox.exchange import (
    Answer,
    BodyTooLargeError,
    ClientGoneError,
    Dialect,
    Exchange,
    Incoming,
    Receive,
    Route,
    Scope,
    Send,
)
from providers.sandbox.fal import Fal
from providers.sandbox.faults import Fault, FaultBook, fault_in_prompt, parse_fault
from providers.sandbox.files import Files
from providers.sandbox.gemini import Gemini
from providers.sandbox.ideogram import Ideogram
from providers.sandbox.midjourney import Legnext, Midjourney
from providers.sandbox.openai import OpenAI
from providers.sandbox.openai_kin import WIRES, Kin
from providers.sandbox.refusals import JSON, RefusedError, error_answer, gemini_quota
from providers.sandbox.replicate import Replicate
from providers.sandbox.requestlog import Entry, RequestLog
from providers.sandbox.stability import Stability
from providers.sandbox.stable_diffusion import StableDiffusion

_PATH = re.compile(r"(?:/p/([^/]+))?/([a-z-]+)(/.*)?\Z")
_MINUTE_S = 60.0
_FREE = frozenset({"models", "count", "cache", "file"})  # no quota counts them
_log = logging.getLogger(__name__)


def create_sandbox(config: SandboxConfig) -> "Sandbox":
    """The ASGI app. Raises ValueError when the configuration names an unknown fault."""
    return Sandbox(config)


class Sandbox:
    """One simulated world: its fault rules, its log of requests, its jobs and files. State is per instance."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.faults = FaultBook(config.faults, config.seed)
        self.log = RequestLog(config.log_size)
        self.count_connections: Callable[[], int] = lambda: 0
        self._chance = random.Random(config.seed)  # noqa: S311 - a simulation, repeatable on purpose
        self._files = Files()
        self._dialects: Mapping[str, Dialect] = {
            "gemini": Gemini(config),
            "openai": OpenAI(config, self._files),
            "azure": Azure(config, self._files),
            "eachlabs": Eachlabs(config, self._files),
            "bfl": Bfl(config, self._files),
            "fal": Fal(config, self._files),
            "replicate": Replicate(config, self._files),
            **{name: Kin(name, config, self._files) for name in WIRES},
            "ideogram": Ideogram(config, self._files),
            "stable-diffusion": StableDiffusion(config),
            "comfyui": ComfyUI(config),
            "midjourney": Midjourney(config, self._files),
            "legnext": Legnext(config, self._files),
            "stability": Stability(config),
            "files": self._files,
        }
        self._recent: dict[tuple[str, str], deque[float]] = {}
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._serial = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        if exchange.path.startswith("/__sandbox"):
            await self._control(exchange)
            return
        entry = Entry(exchange.method, exchange.path, exchange.query, exchange.raw_headers, self.count_connections())
        self.log.add(entry)
        try:
            await self._serve(exchange, entry)
        except ClientGoneError:
            entry.client_gone = True
        finally:
            entry.duration_s = time.monotonic() - entry.started

    async def _serve(self, exchange: Exchange, entry: Entry) -> None:
        match = _PATH.match(exchange.path)
        if match is None or match[2] not in self._dialects:
            message = f"Invalid URL ({exchange.method} {exchange.path})"
            await self._send(exchange, entry, error_answer("openai", 404, message))
            return
        label, dialect, rest = match[1] or "", match[2], match[3] or "/"
        entry.label, entry.dialect = label, dialect
        try:
            entry.body = await exchange.body(self.config.max_body_bytes)
        except BodyTooLargeError:
            await self._send(exchange, entry, error_answer(dialect, 413))
            return
        incoming = self._incoming(exchange, entry, rest)
        try:
            route = self._dialects[dialect].route(incoming)
            entry.operation, entry.model = route.operation, route.model
            with self._place(entry):
                await self._answer(exchange, entry, incoming, route)
        except RefusedError as refused:
            await self._send(exchange, entry, refused.answer)

    def _incoming(self, exchange: Exchange, entry: Entry, rest: str) -> Incoming:
        self._serial += 1
        headers = dict(exchange.raw_headers)
        host = headers.get(b"host", b"127.0.0.1").decode("latin-1")
        return Incoming(
            method=exchange.method,
            path=rest,
            query=exchange.query,
            headers=headers,
            body=entry.body,
            base_url=f"http://{host}/p/{entry.label}" if entry.label else f"http://{host}",
            key=f"{self.config.seed}/{self._serial}",
        )

    async def _answer(self, exchange: Exchange, entry: Entry, incoming: Incoming, route: Route) -> None:
        fault = self._fault(incoming, entry)
        entry.fault = fault.name if fault else ""
        if fault is None:
            self._quota(entry)
        elif fault.kind == "refusal":
            await self._send(exchange, entry, refusal(fault, entry.dialect, route.model))
            return
        elif fault.kind == "line":
            normal = await self._told(incoming, route, entry, None) if fault.name == "stall-first-byte" else None
            entry.status = 200
            if not await break_line(exchange, fault, entry.dialect, normal):
                return
            fault = None
        answer = await self._told(incoming, route, entry, fault)
        entry.status = answer.status
        latency = self.config.latency_of(entry.label, route.model)
        if fault is not None and fault.kind == "delivery":
            await deliver_badly(exchange, answer, latency, self._chance, fault, entry.dialect)
        else:
            await deliver(exchange, answer, latency, self._chance)

    def _fault(self, incoming: Incoming, entry: Entry) -> Fault | None:
        """The header's fault, or the prompt's, or the first rule's. Raises RefusedError for an unknown name."""
        try:
            if header := incoming.header(b"x-sandbox-fault"):
                return parse_fault(header)
            if found := fault_in_prompt(incoming.body, entry.label):
                return found
        except ValueError as exc:
            raise RefusedError(error_answer(entry.dialect, 400, str(exc))) from exc
        return self.faults.strike(entry.label, entry.model, entry.operation)

    async def _told(self, incoming: Incoming, route: Route, entry: Entry, fault: Fault | None) -> Answer:
        content = fault if fault is not None and fault.kind in ("content", "job") else None

        def tell() -> Answer:
            return self._dialects[entry.dialect].answer(incoming, route, content)

        try:
            return await asyncio.to_thread(tell) if route.slow else tell()
        except (TypeError, KeyError, AttributeError, ValueError, IndexError) as exc:
            # a wrong type that no rule names: any real upstream calls that the caller's fault
            _log.warning("the sandbox could not make sense of a request to %s", entry.path, exc_info=True)
            message = f"The request is malformed ({type(exc).__name__})."
            raise RefusedError(error_answer(entry.dialect, 400, message)) from exc

    @contextmanager
    def _place(self, entry: Entry) -> Iterator[None]:
        """One of the requests that its model takes at a time. Raises RefusedError (429) when all are taken."""
        limit = self.config.parallel_of(entry.label, entry.model)
        if limit is None or entry.operation in _FREE:
            yield
            return
        key = (entry.label, entry.model)
        if self._under_way[key] >= limit:
            raise RefusedError(error_answer(entry.dialect, 429))
        self._under_way[key] += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1

    def _quota(self, entry: Entry) -> None:
        """Count the request against its model's quota. Raises RefusedError (429) beyond it."""
        limit = self.config.quota_of(entry.label, entry.model)
        if limit is None or entry.operation in _FREE:
            return
        recent = self._recent.setdefault((entry.label, entry.model), deque())
        now = time.monotonic()
        while recent and recent[0] <= now - _MINUTE_S:
            recent.popleft()
        if len(recent) < limit:
            recent.append(now)
            return
        wait_s = recent[0] + _MINUTE_S - now if recent else _MINUTE_S
        if entry.dialect == "gemini":
            raise RefusedError(gemini_quota(entry.model, delay=f"{wait_s:.9f}s", limit=limit))
        plain = error_answer(entry.dialect, 429)
        header = (b"retry-after", b"%d" % (int(wait_s) + 1))
        raise RefusedError(Answer(status=429, headers=(*plain.headers, header), body=plain.body))

    async def _send(self, exchange: Exchange, entry: Entry, answer: Answer) -> None:
        entry.status = answer.status
        await send_whole(exchange, answer)

    async def _control(self, exchange: Exchange) -> None:
        body = await exchange.body(self.config.max_body_bytes)
        answer = self._controlled(exchange.method, exchange.path.removeprefix("/__sandbox"), body)
        await send_whole(exchange, answer)

    def _controlled(self, method: str, path: str, body: bytes) -> Answer:
        match (method, path.rstrip("/")):
            case ("GET", "/requests"):
                return _json(self.log.entries())
            case ("DELETE", "/requests"):
                self.log.clear()
                return _json([])
            case ("PUT", "/faults"):
                try:
                    self.faults.set_json(body)
                except ValueError as exc:
                    return _json({"error": str(exc)}, status=400)
                return _json(self.faults.as_list())
            case ("GET", "/faults"):
                return _json(self.faults.as_list())
            case ("DELETE", "/faults"):
                self.faults.set([])
                return _json([])
            case ("GET", "/health"):
                return _json({"status": "ok", "requests": self.log.total})
            case _:
                return _json({"error": f"the sandbox has no {method} {path}"}, status=404)


def _json(value: object, status: int = 200) -> Answer:
    return Answer(status=status, headers=(JSON,), body=orjson.dumps(value))
