"""Reading a request body: limited before it is parsed, in size and in time."""

from collections.abc import Mapping

from starlette.types import Receive, Scope

from providers.timer import Limit
from router.errors import BodyTooLargeError, InvalidRequestError, RouterError, UnsupportedMediaTypeError

_HEADERS = "turnout.headers"  # in the scope, beside what ASGI puts there
_MAX_DIGITS = 18


class SlowBodyError(RouterError):
    """The client did not send its body in time."""

    status = 408
    type = "invalid_request_error"
    code = "body_timeout"


class ClientGoneError(Exception):
    """The client left before it had sent its body: there is nobody to answer."""


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """The first value of each header by its name in lower case. Made once for a request: it is asked for many times."""
    found: dict[bytes, bytes] | None = scope.get(_HEADERS)
    if found is None:
        found = scope[_HEADERS] = dict(reversed(scope["headers"]))
    return found


def repeats(scope: Scope, name: bytes) -> bool:
    """Whether a header stands there more than once; one does where there are fewer `headers_of` than headers."""
    return [key for key, _ in scope["headers"]].count(name) > 1


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a header, or None. `name` in lower case."""
    value = headers_of(scope).get(name)
    return None if value is None else value.decode("latin-1")


async def read_body(scope: Scope, receive: Receive, *, limit_bytes: int, timeout_s: float) -> bytes:
    """The whole body. Raises 413 before reading one that announces too much, and at the limit for one that does not."""
    headers = headers_of(scope)
    announced = headers.get(b"content-length")
    if announced is not None and announced.isdigit() and len(announced) <= _MAX_DIGITS and int(announced) > limit_bytes:
        raise BodyTooLargeError(f"the request body exceeds {limit_bytes} bytes")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise UnsupportedMediaTypeError("compressed request bodies are not accepted")
    parts: list[bytes] = []
    size = 0
    try:
        with Limit(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                part: bytes = message.get("body", b"")
                size += len(part)
                if size > limit_bytes:
                    raise BodyTooLargeError(f"the request body exceeds {limit_bytes} bytes")
                if not message.get("more_body", False):
                    if not parts:
                        return part
                    parts.append(part)
                    return b"".join(parts)
                parts.append(part)
    except TimeoutError as exc:
        raise SlowBodyError(f"the request body did not arrive within {timeout_s:.0f} s") from exc


def require_json(scope: Scope) -> None:
    """415 unless the body is declared as JSON: a browser can send anything else across origins without asking."""
    given = headers_of(scope).get(b"content-type", b"")
    if given == b"application/json":
        return
    declared = given.decode("latin-1").partition(";")[0].strip().lower()
    if declared != "application/json" and not declared.endswith("+json"):
        raise UnsupportedMediaTypeError(
            f"send the body as JSON with the header 'Content-Type: application/json' (got '{declared[:64]}')"
        )


def require_utf8(body: bytes) -> None:
    if body.isascii():
        return
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidRequestError("the request body is not valid UTF-8", code="invalid_json") from exc
