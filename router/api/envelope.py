"""Exception -> status, headers and OpenAI error body: the one table.

The body is always `{"error": {"message", "type", "param", "code"}}`, with `metadata` beside them where the router has
something to add. SDKs wait at most a minute for `retry-after` (one of them sleeps whatever it is told), so the header
is capped there and the truth stands in the metadata.
"""

import math

import orjson

from providers.errors import ProviderError, QuotaExhaustedError, RateLimitedError, UnavailableError
from providers.types import JsonObject
from router.errors import RouterError
from router.routing.dispatch import AllAttemptsFailedError
from router.routing.planner import NoCandidateError
from router.routing.queue import SaturatedError

HeaderPair = tuple[bytes, bytes]
Headers = list[HeaderPair]

INTERRUPTED = "upstream_stream_interrupted"
_MAX_RETRY_AFTER_S = 60


class ErrorAnswer:
    """What goes to the client for one failure."""

    __slots__ = ("body", "code", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: Headers, code: str | None) -> None:
        self.status = status
        self.body = body
        self.headers = headers
        self.code = code


def error_answer(exc: BaseException) -> ErrorAnswer:
    """The answer for any exception; one we did not foresee is a bare 500 that tells nothing."""
    match exc:
        case AllAttemptsFailedError():
            return _all_failed(exc)
        case NoCandidateError():
            return _answer(
                exc.status_code,
                "invalid_request_error" if exc.status_code == 400 else "server_error",
                exc.message,
                exc.code,
                exc.param,
                retry_after_s=None if exc.status_code == 400 else 5.0,
                metadata={"candidates": [{"target": e.name, "reason": e.reason} for e in exc.excluded]},
            )
        case RouterError():
            return _answer(exc.status, exc.type, exc.message, exc.code, exc.param, retry_after_s=exc.retry_after_s)
        case ProviderError():
            return _provider_failed(exc, attempts=1)
        case _:
            return _answer(
                500, "server_error", "The router failed; the request id names the log entry.", "internal_error"
            )


def error_body(
    message: str, type_: str, code: str | None, param: str | None = None, metadata: JsonObject | None = None
) -> bytes:
    """The error object as JSON bytes."""
    error: JsonObject = {"message": message, "type": type_, "param": param, "code": code}
    if metadata:
        error["metadata"] = metadata
    return orjson.dumps({"error": error})


def stream_error_event(exc: BaseException) -> bytes:
    """The event that ends a stream which broke off after its first content. SDKs raise on it; no `[DONE]` follows."""
    if isinstance(exc, ProviderError):
        body = error_body(exc.message, "server_error", exc.code or INTERRUPTED)
    else:
        body = error_body("the stream was interrupted", "server_error", INTERRUPTED)
    return b"data: " + body + b"\n\n"


def _all_failed(exc: AllAttemptsFailedError) -> ErrorAnswer:
    limits = [a.error for a in exc.attempts if isinstance(a.error, RateLimitedError)]
    last: ProviderError = exc.last
    # a quota that is used up is final only if all are
    if limits and len(limits) == len(exc.attempts) and not isinstance(last, SaturatedError):
        last = next((limit for limit in limits if not isinstance(limit, QuotaExhaustedError)), limits[0])
    return _provider_failed(last, attempts=len(exc.attempts), retry_after_s=exc.retry_after_s, billed=exc.billed)


def _provider_failed(
    exc: ProviderError, *, attempts: int, retry_after_s: float | None = None, billed: bool = False
) -> ErrorAnswer:
    wait = retry_after_s if retry_after_s is not None else exc.retry_after_s
    metadata: JsonObject = {"attempts": attempts}
    if exc.provider:
        metadata["provider"] = exc.provider
    status = _status_of(exc)
    final = status >= 500 or isinstance(exc, QuotaExhaustedError)
    return _answer(
        status,
        exc.client_type,
        exc.message,
        exc.code,
        exc.param,
        retry_after_s=wait if status in (429, 503) else None,
        metadata=metadata,
        # every candidate was asked already, or somebody may charge again: the client's own retries only multiply it
        no_retry=final or exc.billed or billed,
    )


def _status_of(exc: ProviderError) -> int:
    """503 when no upstream could be reached or all are overloaded; else what the class says."""
    if isinstance(exc, UnavailableError) and exc.status in (None, 503, 529):
        return 503
    return exc.client_status


def _answer(
    status: int,
    type_: str,
    message: str,
    code: str | None,
    param: str | None = None,
    *,
    retry_after_s: float | None = None,
    metadata: JsonObject | None = None,
    no_retry: bool = False,
) -> ErrorAnswer:
    headers: Headers = [(b"content-type", b"application/json")]
    metadata = dict(metadata or {})
    if retry_after_s is not None:
        whole = max(1, math.ceil(retry_after_s))
        headers.append((b"retry-after", str(min(whole, _MAX_RETRY_AFTER_S)).encode()))
        metadata["retry_after_s"] = round(retry_after_s, 3)
        no_retry = no_retry or whole > _MAX_RETRY_AFTER_S
    if no_retry:
        headers.append((b"x-should-retry", b"false"))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return ErrorAnswer(status, error_body(message, type_, code, param, metadata), headers, code)
