"""Running the server: which upstreams, which address, what it says at start, how it stops."""

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TextIO

import uvicorn
from msgspec.structs import replace

from providers.sandbox.config import SandboxConfig
from providers.sandbox.server import SandboxServer
from router.accounting.books import AccessLine
from router.api.gateway import Gateway
from router.app import create_app
from router.errors import SettingsError
from router.settings import Settings, has_provider_key, load_settings, use_sandbox

log = logging.getLogger(__name__)

_BACKLOG = 2048
_CUT_GRACE_S = 5.0  # after the drain limit: time for the last error events to leave


def serve(
    config: Path | None, host: str | None, port: int | None, sandbox: bool | None, log_level: str = "info"
) -> int:
    """Run until a signal. Gives the exit code: 0 after a drain, 2 when the configuration cannot be used.

    `sandbox` None: simulated upstreams when no provider key is set, real ones otherwise; never a mixture.
    """
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    try:
        settings = load_settings(config, os.environ)
    except SettingsError as exc:
        print(exc.message, file=sys.stderr)
        return 2
    server = settings.server
    settings = replace(settings, server=replace(server, host=host or server.host, port=port or server.port))
    refusal = _refusal(settings, sandbox)
    if refusal:
        print(f"turnout: {refusal}", file=sys.stderr)
        return 2
    simulated = not has_provider_key(settings) if sandbox is None else sandbox
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_run(settings, simulated=simulated))
    except SettingsError as exc:
        print(exc.message, file=sys.stderr)
        return 2


class AccessLines:
    """Writes access lines in the shape of all other log lines, but not by `logging`: that costs more than routing does.

    A stream that cannot be written to any more loses lines, never answers.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._second = 0
        self._stamp = ""

    def write(self, lines: Sequence[AccessLine]) -> None:
        text = "".join(f"{self._stamped(ended)} INFO turnout.access: {words}\n" for ended, words in lines)
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()

    def _stamped(self, at: float) -> str:
        second = int(at)
        if second != self._second:
            self._second, self._stamp = second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._stamp},{int((at - second) * 1000):03d}"


def _refusal(settings: Settings, sandbox: bool | None) -> str:
    """Why this configuration must not be served as asked; empty when it may."""
    if sandbox is False and not has_provider_key(settings):
        off = "; ".join(f"{p.name}: {p.off_reason}" for p in settings.providers.values())
        return f"--no-sandbox needs at least one provider key ({off})"
    if not settings.server.keys and not _is_loopback(settings.server.host):
        return (
            f"refusing to listen on {settings.server.host} without client keys: set TURNOUT_API_KEYS "
            "(or server.keys in the configuration), or listen on 127.0.0.1"
        )
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    """uvloop's, where there is one."""
    try:
        import uvloop  # not there on Windows
    except ImportError:
        return None
    return uvloop.Loop


async def _run(settings: Settings, *, simulated: bool) -> int:
    try:
        listener = _listen(settings.server.host, settings.server.port)
    except OSError as exc:
        where = f"{settings.server.host}:{settings.server.port}"
        reason = (exc.strerror or str(exc)).partition(" (")[0]  # Python adds the address once more
        print(f"turnout: cannot listen on {where}: {reason}", file=sys.stderr)
        return 1
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listener.close)
        if simulated:
            upstreams = SandboxServer(SandboxConfig())
            settings = use_sandbox(settings, await upstreams.start())
            stack.push_async_callback(upstreams.aclose)
        app = create_app(settings)
        app.state.gateway.books.write_access = AccessLines(sys.stderr).write
        server = DrainingServer(uvicorn_config(app.edge, settings), app.state.gateway)
        _spare_the_collector()
        await server.serve([listener])
        return 0 if server.started else 1


def _listen(host: str, port: int) -> socket.socket:
    """A socket bound here, so that a port in use is told in our words. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _spare_the_collector() -> None:
    """What exists by now lives as long as the process: the garbage collector need not walk over it again.

    Nor after every 700 new objects, which is a dozen requests: nearly all memory here is freed by counting references.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 20)


def uvicorn_config(app: object, settings: Settings) -> uvicorn.Config:
    """How the app meets the network: no logs, headers or limits of uvicorn's own but those chosen here."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's ASGI types are its own
        host=settings.server.host,
        port=settings.server.port,
        http="httptools",  # h11 lets request smuggling through and is three times slower
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,  # SDK pools keep idle connections for a minute
        timeout_graceful_shutdown=round(settings.server.drain_s + _CUT_GRACE_S),
        backlog=_BACKLOG,
    )


class DrainingServer(uvicorn.Server):
    """uvicorn, but a signal drains: not ready, no new connections, answers may finish until the limit, exit code 0.

    At the limit what still runs is cut: streams end with an error event, never silently. A second signal cuts at once.
    """

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def startup(self, sockets: "list[object] | None" = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            print(banner(self._gateway.settings), flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        gateway = self._gateway
        if gateway.draining:
            gateway.cut()
            return
        gateway.draining = True
        self.should_exit = True
        drain_s = gateway.settings.server.drain_s
        log.info("draining: %d requests under way, at most %.0f s", gateway.in_flight, drain_s)
        asyncio.get_running_loop().call_later(drain_s, gateway.cut)


def banner(settings: Settings) -> str:
    """What a person needs first: where it listens, what it talks to, and lines to paste."""
    server = settings.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    base = f"http://{host}:{server.port}/v1"
    key = "$TURNOUT_API_KEY" if server.keys else ""
    auth = f' -H "authorization: Bearer {key}"' if key else ""
    python_key = 'os.environ["TURNOUT_API_KEY"]' if key else '"none"'
    lines = [f"Turnout listens on {base}"]
    if settings.sandbox:
        lines.append(
            "SANDBOX: no provider key is set, so every upstream is simulated. Set GEMINI_API_KEY (or another) for real."
        )
    else:
        lines += [
            f"  {provider.name}: {'on' if provider.enabled else 'off (' + provider.off_reason + ')'}"
            for provider in settings.providers.values()
        ]
    if not server.keys:
        lines.append("WARNING: no client key is configured; only callers on this machine are served.")
    lines += [
        "",
        "Try it with curl:",
        f"curl {base}/chat/completions -H 'content-type: application/json'{auth} "
        """-d '{"model": "auto", "messages": [{"role": "user", "content": "Say hello"}]}'""",
        "",
        "Or with the OpenAI SDK (pip install openai):",
        *(["import os"] if key else []),  # no indent: Python refuses pasted lines that have one
        "from openai import OpenAI",
        f'client = OpenAI(base_url="{base}", api_key={python_key})',
        'messages = [{"role": "user", "content": "Say hello"}]',
        'answer = client.chat.completions.create(model="auto", messages=messages)',
        "print(answer.model, answer.choices[0].message.content)",
    ]
    return "\n".join(lines)
