"""The real router on a real loopback socket, in front of the simulated upstreams on another: one thread, one loop.

    with Turnout() as turnout:                          # the shipped configuration
        answer = turnout.http.post("/v1/chat/completions", json=chat("Say hello"))
        assert turnout.requests()[-1]["model"] == "gemini-3.5-flash-lite"

Nothing is replaced but the upstreams' addresses: every request crosses two sockets, and what went out upstream is in
`requests()` just as what came back is in the answer. Tests take the fixtures of conftest.py (`router`, `turnout`); a
module that needs an instance of its own for many tests wraps `Turnout` in a module-scoped fixture.

Faults are rules (`providers.sandbox.config.FaultRule`) or prompt commands (`sandbox-fault: reset;label=google`). What
an upstream did wrong is remembered by the router it did it to (breakers, cool-downs), so a test that breaks upstreams
has an instance of its own, or providers of its own in the configuration.
"""

import asyncio
import contextlib
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from msgspec.structs import replace

from providers.sandbox.config import FaultRule, SandboxConfig
from providers.sandbox.server import SandboxServer
from router.api.gateway import Gateway
from router.app import create_app
from router.serve import loop_factory, uvicorn_config
from router.settings import ImageSettings, Settings, load_settings, use_sandbox

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "config" / "turnout.yaml"

_START_S = 20.0
_STOP_S = 2  # whole seconds, as uvicorn wants them


class Turnout:
    """A running router and its upstreams, from `with` to the end of the block.

    `config` is a file or the text of a turnout.yaml; None: the shipped one. A text that says `{sandbox}` points its
    providers at the upstreams itself (`base_url: "{sandbox}/p/NAME/openai/v1"`, dialects gemini, openai, eachlabs) and
    is then used as it stands; any other configuration has every provider moved there, as `turnout serve` does without
    keys. `catalogue` is the text of a models.yaml (None: the shipped one); `keys` are client keys by name; `environ`
    is all that `${NAME}` in the configuration sees. `sandbox` sets latencies, quotas and first faults.

    url           http://127.0.0.1:PORT
    base_url      the same with /v1, for SDKs
    sandbox_url   where the upstreams are, with /p/{provider}/{dialect}/... and /__sandbox/...
    settings      what was loaded; gateway: the router's wired objects (use `on_loop` to touch them)
    http          a client for `url`, closed at the end
    """

    url: str
    base_url: str
    sandbox_url: str
    settings: Settings
    gateway: Gateway
    http: httpx.Client

    def __init__(
        self,
        config: Path | str | None = None,
        *,
        catalogue: str | None = None,
        keys: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        sandbox: SandboxConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._environ = dict(environ or {})
        if keys:
            self._environ["TURNOUT_API_KEYS"] = ",".join(f"{name}:{secret}" for name, secret in keys.items())
        self._sandbox = SandboxServer(sandbox or SandboxConfig())
        self._clock = clock
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="turnout", daemon=True)
        self._close = contextlib.ExitStack()

    def __enter__(self) -> "Turnout":
        with contextlib.ExitStack() as stack:
            self._dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turnout-test-")))
            self._thread.start()
            self._started.result(_START_S)
            stack.callback(self._stop)
            self.http = stack.enter_context(httpx.Client(base_url=self.url, timeout=30, trust_env=False))
            self._close = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._close.close()

    def faults(self, *rules: FaultRule) -> None:
        """Put these rules in force, and no others."""
        self.on_loop(lambda: self._sandbox.sandbox.faults.set(rules))

    def requests(self, *, label: str | None = None, operation: str | None = None) -> list[dict[str, Any]]:
        """What the upstreams have received, oldest first; see `providers.sandbox.requestlog` for the fields.

        `label` is the provider's name; `operation` one of generate, stream, embed, chat, images, edits, ...
        """
        entries = self.on_loop(self._sandbox.sandbox.log.entries)
        return [
            entry for entry in entries if label in (None, entry["label"]) and operation in (None, entry["operation"])
        ]

    def bodies(self) -> list[bytes]:
        """The bodies of `requests()`, all of them, as they came."""
        return self.on_loop(self._sandbox.sandbox.log.bodies)

    def clear(self) -> None:
        """Lift all faults and forget the requests. What the router has learned from them stays."""

        def forget() -> None:
            self._sandbox.sandbox.faults.set([])
            self._sandbox.sandbox.log.clear()

        self.on_loop(forget)

    def on_loop(self, call: Callable[[], T]) -> T:
        """The result of `call`, run in the router's own thread."""

        async def run() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._serve())
        except BaseException as exc:
            if self._started.done():
                raise
            self._started.set_exception(exc)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            async with self._sandbox:
                self.sandbox_url = self._sandbox.base_url
                self.settings = self._load(listener.getsockname()[1])
                self.url = f"http://127.0.0.1:{self.settings.server.port}"
                self.base_url = f"{self.url}/v1"
                app = create_app(self.settings, self._clock)
                self.gateway = app.state.gateway
                config = uvicorn_config(app, self.settings)
                config.timeout_graceful_shutdown = _STOP_S
                self._server = uvicorn.Server(config)
                serving = asyncio.create_task(self._server.serve([listener]))
                while not self._server.started and not serving.done():
                    await asyncio.sleep(0.005)
                if self._server.started:
                    self._started.set_result(None)
                await serving
        if not self._started.done():
            raise RuntimeError("the router did not start")

    def _load(self, port: int) -> Settings:
        text = self._config if isinstance(self._config, str) else (self._config or SHIPPED).read_text("utf-8")
        file = self._dir / "turnout.yaml"
        file.write_text(text.replace("{sandbox}", self.sandbox_url), "utf-8")
        models = self._catalogue or (ROOT / "config" / "models.yaml").read_text("utf-8")
        (self._dir / "models.yaml").write_text(models, "utf-8")
        settings = load_settings(file, self._environ)
        if "{sandbox}" not in text:
            settings = use_sandbox(settings, self.sandbox_url)
        images = settings.images
        if images.store_dir == ImageSettings().store_dir:
            images = replace(images, store_dir=self._dir / "pictures")
        return replace(settings, images=images, server=replace(settings.server, port=port))

    def _stop(self) -> None:
        def stop() -> None:
            self._server.should_exit = True
            self.gateway.cut()  # a test may leave an answer stalled

        self._loop.call_soon_threadsafe(stop)
        self._thread.join(_STOP_S + 10)
        assert not self._thread.is_alive(), "the router did not stop"


def chat(text: str, model: str = "auto", **more: Any) -> dict[str, Any]:
    """The body of a chat request with one user turn. For the commands `text` may hold see `providers.sandbox.brain`."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def counter(turnout: Turnout, name: str, **labels: str) -> float:
    """The sum of a counter's samples that carry these labels."""
    total = 0.0
    for line in turnout.http.get("/metrics").text.splitlines():
        match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if match:
            found = dict(re.findall(r'(\w+)="([^"]*)"', match[1] or ""))
            if labels.items() <= found.items():
                total += float(match[2])
    return total


def events(body: str) -> list[str]:
    """The data of every server-sent event in `body`, in order, `[DONE]` included."""
    return [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data: ")]


def eventually(holds: Callable[[], T], timeout_s: float = 5.0) -> T:
    """The first truthy result of `holds`, for what happens on the other side of a socket a moment later."""
    deadline = time.monotonic() + timeout_s
    while True:
        if result := holds():
            return result
        assert time.monotonic() < deadline, f"did not happen within {timeout_s} s"
        time.sleep(0.01)
