"""A bad HTTP status of an image backend -> ProviderError, where the status says more than the body. Pure."""

from collections.abc import Mapping
from datetime import datetime

from providers.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ContentBlockedError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.redact import redacted
from providers.retry_after import parse_retry_after

# Failures that left the upstream no chance to make a picture.
_NOT_BILLED = frozenset({"connect_refused", "connect_timeout", "dns", "tls", "protocol", "overloaded", "config"})
_LOST = frozenset({"reset", "empty_reply"})
_PROXY_TIMEOUT = 524


def status_error(
    status: int, headers: Mapping[str, str], message: str = "", now: datetime | None = None
) -> ProviderError:
    """The error for a status. `message` is shown where the request is at fault; `now` (aware) dates a `retry-after`."""
    wait_s = parse_retry_after(headers, now)
    match status:
        case 401 | 403:
            return AuthenticationError("the upstream refused the router's key", status=status)
        case 402:
            return QuotaExhaustedError("the upstream's quota is used up", status=status, retry_after_s=wait_s)
        case 404 | 405:
            return ModelNotFoundError("the upstream does not know the configured model", status=status)
        case 408 | 504 | 524:
            return UpstreamTimeoutError("the upstream took too long", status=status)
        case 429:
            return RateLimitedError("the upstream's rate limit is reached", status=status, retry_after_s=wait_s)
    if 400 <= status < 500 and status != 409:
        return BadRequestError(redacted(message) or "the upstream refused the request", status=status)
    return UnavailableError("the upstream is unavailable", status=status, retry_after_s=wait_s)


def moderation_error(*, status: int | None = None, billed: bool = False) -> ContentBlockedError:
    """A safety filter took the prompt or the picture, by whatever sign."""
    return ContentBlockedError(
        "the picture was refused by a safety filter", status=status, code="moderation_blocked", billed=billed
    )


def is_answer_lost(error: ProviderError) -> bool:
    """Whether the upstream may have done the work and only its answer is missing: broken off, or a proxy gave up."""
    if isinstance(error, UnavailableError):
        return error.status == _PROXY_TIMEOUT or error.outcome in _LOST
    return isinstance(error, UpstreamTimeoutError) and error.outcome != "connect_timeout"


def may_be_billed(error: ProviderError) -> bool:
    """Whether a synchronous upstream may have made the picture before it failed: a 5xx, a lost answer, a timeout."""
    if error.outcome in _NOT_BILLED or error.status == 503:
        return False
    return isinstance(error, UnavailableError | UpstreamTimeoutError | BadResponseError)
