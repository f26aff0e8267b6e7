"""The sandbox on a real loopback socket: inside a running event loop, or in a thread for synchronous callers."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from providers.sandbox.app import Sandbox, create_sandbox
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import TRANSPORT

_CLOSING_S = 1.0  # how long cancelled requests may take to unwind


class SandboxProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol that also hands the app its transport, so that it can cut the line."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: Any = {TRANSPORT: self.transport}
        self.scope["extensions"] = extensions


class SandboxServer:
    """Serves one sandbox on `host:port` (port 0: any free one). Touches no signal handlers, opens no other loop.

    `await start()` gives the base URL, `await aclose()` drops all connections and frees the port. Also an async
    context manager. `sandbox` is the running app: its `log` and `faults` may be used directly in the same loop.
    """

    def __init__(self, config: SandboxConfig | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.sandbox: Sandbox = create_sandbox(config or SandboxConfig())
        self.base_url = ""
        self._host = host
        self._port = port
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self.sandbox.count_connections = self._open_connections

    async def start(self) -> str:
        """Listen. Raises OSError when the port is taken."""
        settings = uvicorn.Config(
            self.sandbox,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_keep_alive=75,  # longer than any client pool keeps a connection, so that only faults cut one
            http=SandboxProtocol,
        )
        settings.load()

        def protocol() -> SandboxProtocol:
            return SandboxProtocol(config=settings, server_state=self._state, app_state={})

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(protocol, self._host, self._port, backlog=2048)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://{self._host}:{port}"
        return self.base_url

    async def aclose(self) -> None:
        """Stop listening, drop every connection, wait for their requests to end."""
        if self._server is None:
            return
        self._server.close()
        tasks = list(self._state.tasks)
        for connection in list(self._state.connections):
            transport: Any = connection.transport
            if transport is not None:
                transport.abort()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_CLOSING_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> "SandboxServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _open_connections(self) -> int:
        return len(self._state.connections)


@contextmanager
def running_sandbox(config: SandboxConfig | None = None, *, port: int = 0) -> Iterator[SandboxServer]:
    """A sandbox in a thread of its own, for synchronous callers. Use its `base_url` and the `/__sandbox` endpoints."""
    server = SandboxServer(config, port=port)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(server: SandboxServer) -> None:
    await server.aclose()
    await asyncio.get_running_loop().shutdown_default_executor()
