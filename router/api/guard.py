"""The outermost layer: refuses what HTTP parsers let through, and puts the request id on every answer."""

from collections.abc import Collection, Mapping
from itertools import chain

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.api.body import headers_of, repeats
from router.api.envelope import error_answer
from router.api.gateway import request_id
from router.errors import InvalidRequestError

_MAX_HEADERS = 100
_MAX_HEADER_BYTES = 32 * 1024
_MAX_PATH = 4096


class HeadersTooLargeError(InvalidRequestError):
    status = 431
    code = "headers_too_large"


class Guard:
    """Pure ASGI middleware. A POST to a path of `hot` goes straight to its endpoint, which catches its own errors and
    sets its own headers, and not through `app`. `hosts` empty admits any Host."""

    def __init__(self, app: ASGIApp, *, hot: Mapping[str, ASGIApp], hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hot = hot
        self._hosts = frozenset(host.lower().encode() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            answer = error_answer(refusal)
            headers = [*answer.headers, (b"x-request-id", request_id(scope).encode()), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body})
            return
        endpoint = self._hot.get(scope["path"]) if scope["method"] == "POST" else None
        if endpoint is not None:
            await endpoint(scope, receive, send)
            return
        identity = request_id(scope).encode()

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start" and not any(
                name == b"x-request-id" for name, _ in message.get("headers", ())
            ):
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", identity)]}
            await send(message)

        await self._app(scope, receive, labelled)

    def _refusal(self, scope: Scope) -> InvalidRequestError | None:
        headers = scope["headers"]
        if len(headers) > _MAX_HEADERS or sum(map(len, chain.from_iterable(headers))) > _MAX_HEADER_BYTES:
            return HeadersTooLargeError("too many or too large request headers")
        if len(headers_of(scope)) < len(headers) and repeats(scope, b"host"):
            return InvalidRequestError("more than one Host header", code="invalid_host")
        if self._hosts and _host_name(headers_of(scope).get(b"host", b"")) not in self._hosts:
            return InvalidRequestError("this host is not served here", code="invalid_host")
        return (
            InvalidRequestError("the path is too long", code="invalid_url") if len(scope["path"]) > _MAX_PATH else None
        )


def _host_name(value: bytes) -> bytes:
    """A Host header without its port, in lower case."""
    name, colon, port = value.rpartition(b":")
    return (name if colon and port.isdigit() else value).lower()
