"""A whole answer in one write.

uvicorn's `send` takes a head and a body one after the other, and walks over every header with two patterns, because an
application may hand it anything: a tenth of what a plain request costs. Here both are there at once, and the head is
looked through once. It leaves the connection as two calls of `send` would. Where anything is out of the ordinary, the
answer goes by `send`, so this may be taken out again without a change to what clients see.
"""

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.types import Send

from router.api.envelope import Headers

if TYPE_CHECKING:  # whoever serves by uvicorn has imported it; nobody else needs it
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_SERVER = "uvicorn.protocols.http.httptools_impl"
_NOT_IN_HEADERS = bytes({*range(9), *range(11, 13), *range(14, 32), 127})  # but the ends of lines, which are counted
_APART_BYTES = 64 * 1024  # a larger body is not copied behind its head


async def send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Answer with `headers` (names in lower case, `content-length` among them) and `body`."""
    cycle: Any = getattr(send, "__self__", None)
    if type(cycle).__module__ == _SERVER and _is_ordinary(cycle):
        head = _head(status, [*cycle.default_headers, *headers])
        if head:
            _write(cycle, head, body)
            return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _is_ordinary(cycle: "RequestResponseCycle") -> bool:
    """Whether nothing stands in the way of writing: not the client, not the method, nor another uvicorn's ways."""
    try:
        return (
            cycle.keep_alive
            and not cycle.flow.write_paused
            and not cycle.disconnected
            and not cycle.response_started
            and not cycle.response_complete
            and not cycle.access_log
            and cycle.scope["method"] == "POST"
            and cycle.message_event is not None
            and cycle.on_response is not None
        )
    except AttributeError:
        return False


def _head(status: int, headers: Headers) -> bytes:
    """Empty where a header holds what none may hold."""
    lines = b"\r\n".join(map(b": ".join, headers))
    ends = len(headers) - 1
    if lines.count(b"\n") != ends or lines.count(b"\r") != ends or lines.translate(None, _NOT_IN_HEADERS) != lines:
        return b""
    return b"".join((_status_line(status), lines, b"\r\n\r\n"))


def _write(cycle: "RequestResponseCycle", head: bytes, body: bytes) -> None:
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    if len(body) > _APART_BYTES:
        cycle.transport.write(head)
        cycle.transport.write(body)
    else:
        cycle.transport.write(head + body)
    cycle.response_complete = True
    cycle.message_event.set()
    cycle.on_response()


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
