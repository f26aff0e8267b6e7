"""One request at the sandbox's socket: its parts, its answer, and what only the transport can do to it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from msgspec import Struct

from providers.sandbox.faults import Fault

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

TRANSPORT = "turnout.transport"  # key in scope["extensions"], set by server.SandboxProtocol


class ClientGoneError(Exception):
    """The client closed the connection before the answer was complete."""


class BodyTooLargeError(Exception):
    """The request body exceeds the configured limit."""


class Answer(Struct, frozen=True, kw_only=True):
    """What a dialect wants said. Either `body` (sent whole) or `frames` (sent one by one, already framed).

    `tokens` is the output size that paces the answer; `wait_s` is an extra delay the prompt asked for; `image` says
    that the time to answer is that of a picture. Shapes: `frames` are events with their blank line included.
    """

    status: int = 200
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    frames: tuple[bytes, ...] | None = None
    tokens: int = 0
    wait_s: float = 0.0
    image: bool = False


class Exchange:
    """Raw ASGI, made handy: read the body once, send, wait without losing sight of the client, cut the line."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self.raw_headers: list[Header] = scope["headers"]
        self.started = False
        self._receive = receive
        self._send = send
        self._extensions = scope.get("extensions") or {}

    def header(self, name: bytes) -> str:
        """The first value of a header (lower-case name); "" when absent."""
        for key, value in self.raw_headers:
            if key == name:
                return value.decode("latin-1")
        return ""

    async def body(self, limit: int) -> bytes:
        """The whole request body. Raises BodyTooLargeError beyond `limit` bytes, ClientGoneError on a hang-up."""
        data = bytearray()
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            data += message.get("body", b"")
            if len(data) > limit:
                raise BodyTooLargeError
            more = message.get("more_body", False)
        return bytes(data)

    async def start(self, status: int, headers: tuple[Header, ...] | list[Header]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send body bytes. Raises ClientGoneError once the connection is known to be closed."""
        if self.connection_closed:
            raise ClientGoneError
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def pause(self, seconds: float) -> None:
        """Wait; raises ClientGoneError the moment the client hangs up."""
        try:
            async with asyncio.timeout(seconds):
                await self.gone()
        except TimeoutError:
            return
        raise ClientGoneError

    async def gone(self) -> None:
        """Return when the client has hung up."""
        while (await self._receive())["type"] != "http.disconnect":
            continue

    @property
    def connection_closed(self) -> bool:
        transport = self._extensions.get(TRANSPORT)
        return transport is not None and bool(transport.is_closing())

    @property
    def transport(self) -> asyncio.Transport:
        """The TCP transport. Raises RuntimeError when the app does not run under `server.SandboxServer`."""
        transport = self._extensions.get(TRANSPORT)
        if transport is None:
            raise RuntimeError("this fault needs the connection itself: serve the sandbox with SandboxServer")
        return transport  # type: ignore[no-any-return]  # ASGI scopes are untyped

    async def reset(self) -> None:
        """Send a TCP RST: what was written before still arrives, nothing after it does."""
        raw = self.transport.get_extra_info("socket")
        # linger 0 turns the close into a reset instead of an orderly FIN
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.transport.abort()
        await self.gone()

    async def hang_up(self) -> None:
        """Close the connection in good order (FIN), whatever the answer still owes."""
        self.transport.close()
        await self.gone()


class Incoming(Struct, frozen=True, kw_only=True):
    """A request as a dialect sees it. `path` is what follows the dialect's name; `headers` have lower-case names.

    `base_url` is this sandbox as the client addressed it, provider label included; `key` differs for every request
    and identifiers in the answer derive from it.
    """

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    base_url: str
    key: str

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


class Route(Struct, frozen=True, kw_only=True):
    """Which operation of a dialect is meant, for which model. `payload` is the body where it had to be decoded.

    `slow` says that answering draws a picture and must not hold up the event loop.
    """

    operation: str
    model: str = ""
    payload: Any = None
    slow: bool = False


class Dialect(Protocol):
    """One upstream's wire. Both calls raise `refusals.RefusedError`."""

    def route(self, incoming: Incoming) -> Route:
        """Which operation is meant, for which model."""
        ...

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer; `fault` is a content or job fault or None."""
        ...
