"""Google's error bodies -> ProviderError.

Classified by HTTP status and structured code; text is read only where Google gives nothing else, and each such place
says so. No text of Google's reaches a client but the message of a 4xx about the request itself, with anything that
names keys, projects, accounts or addresses taken out. Source: https://ai.google.dev/gemini-api/docs/troubleshooting
and recorded answers (read 2026-11-20).
"""

import re
from collections.abc import Mapping

import orjson
from msgspec import Struct

from providers.errors import (
    AuthenticationError,
    BadRequestError,
    ContextTooLongError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from providers.gemini.lenient import as_list, as_object, as_text
from providers.redact import redacted
from providers.retry_after import parse_advice, parse_retry_after, parse_retry_info
from providers.types import JsonObject, JsonValue

_MAX_MESSAGE = 500
# Beside keys and addresses, what names the operator's account with Google.
_ACCOUNT = re.compile(
    r"ya29\.[0-9A-Za-z_\-.]+|[\w.+\-]+@[\w\-]+\.[\w.\-]+|projects/[^\s/'\"`]+|project_number:\d+|\bproject\s+\d+"
    r"|\b\d{9,}\b"
)
# Text is the last resort for these: Google gives them no code of their own.
_TOO_LONG = re.compile(
    r"token count[^.]*exceed|exceeds the maximum number of tokens|only supports up to \d+ ?tokens", re.I
)
_SIGNATURE = re.compile(r"thought[_ ]signature", re.I)
# At the beginning only: further on Google repeats what the caller wrote.
_KEY = re.compile(r"\s*api key (not valid|expired|not found)", re.I)
# A cache, a file or an object that the request names: not there, or not this account's. The key and the model are fine.
_CACHE = re.compile(r"cached ?content", re.I)
_FILE = re.compile(r"\bthe file\b|cloud storage object|storage\.objects\.", re.I)
_SPENT = re.compile(r"prepay|credits? (are|is|have been) depleted|spend(ing)? cap|per day\b", re.I)
_FILE_STATE = re.compile(r"\bfile\b.*\bstate\b", re.I)

_STATUS_OF = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
# google.rpc.Code, for answers with `enum-encoding=int`.
_NUMBERED = {
    1: "CANCELLED",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}
_KEY_REASONS = frozenset(
    {
        "API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "API_KEY_IP_ADDRESS_BLOCKED",
        "API_KEY_HTTP_REFERRER_BLOCKED", "ACCESS_TOKEN_TYPE_UNSUPPORTED", "ACCESS_TOKEN_EXPIRED", "CREDENTIALS_MISSING",
        "SERVICE_DISABLED", "BILLING_DISABLED", "CONSUMER_INVALID", "CONSUMER_SUSPENDED",
    }
)  # fmt: skip


class _Failure(Struct, frozen=True, kw_only=True):
    """What can be read from an error body; empty where it says nothing."""

    status: int
    name: str = ""
    message: str = ""
    reasons: frozenset[str] = frozenset()
    quotas: tuple[str, ...] = ()
    retry_after_s: float | None = None


def error_from(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The error of one failed answer. `body` may be anything: an object, an array of one, HTML, nothing."""
    return _error(_read(status, headers, _error_object(body)))


def error_in_answer(error: JsonValue) -> ProviderError:
    """The error of an `error` object that came inside a 200: its own code decides."""
    return _error(_read(0, {}, {"message": error} if isinstance(error, str) else as_object(error)))


def _error(failure: _Failure) -> ProviderError:
    error = _classified(failure)
    error.status = failure.status
    error.retry_after_s = failure.retry_after_s
    return error


def _read(status: int, headers: Mapping[str, str], error: JsonObject) -> _Failure:
    name = error.get("status")
    code = error.get("code")
    if isinstance(name, int) and not isinstance(name, bool):
        name = _NUMBERED.get(name, "")
    name = as_text(name) or as_text(code)  # the newer API has string codes
    name = name.upper()
    if status < 400:
        known = isinstance(code, int) and 400 <= code < 600
        status = int(code) if known and isinstance(code, int) else _STATUS_OF.get(name, 500)
    details = [as_object(item) for item in as_list(error.get("details"))]
    message = as_text(error.get("message"))
    return _Failure(
        status=status,
        name=name,
        message=message,
        reasons=frozenset(filter(None, (as_text(item.get("reason")) for item in details))),
        quotas=tuple(_quota_ids(details)),
        retry_after_s=_retry_after(headers, error),
    )


def _error_object(body: bytes) -> JsonObject:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    holder = as_object(next(iter(parsed), None) if isinstance(parsed, list) else parsed)
    error = holder.get("error")
    return {"message": error} if isinstance(error, str) else as_object(error)


def _quota_ids(details: list[JsonObject]) -> list[str]:
    return [
        as_text(as_object(violation).get("quotaId"))
        for item in details
        if as_text(item.get("@type")).endswith("QuotaFailure")
        for violation in as_list(item.get("violations"))
    ]


def _retry_after(headers: Mapping[str, str], error: JsonObject) -> float | None:
    """Seconds to wait: `RetryInfo`, else the usual headers, else the sentence in the message."""
    asked = parse_retry_info(error.get("details"))
    if asked is None:
        asked = parse_retry_after(headers, None)
    return asked if asked is not None else parse_advice(as_text(error.get("message")))


def _classified(failure: _Failure) -> ProviderError:
    status = failure.status
    if status in (403, 404) and not failure.reasons & _KEY_REASONS:
        missing = _not_held(failure.message)
        if missing is not None:
            return missing
    if status in (401, 403) or failure.reasons & _KEY_REASONS:
        return AuthenticationError("the provider refused the router's credentials")
    if status == 404:
        return ModelNotFoundError("the provider does not serve the configured model")
    if status == 429:
        return _rate_limited(failure)
    if status in (408, 504):
        return UpstreamTimeoutError("the provider did not answer in time", outcome="timeout")
    if status == 499 or status >= 500:
        return UnavailableError("the provider is not available")
    if status >= 400:
        return _refused(failure)
    return UnavailableError("the provider answered in an unknown way", outcome="protocol")


def _not_held(message: str) -> ProviderError | None:
    """The error for something the request names and this account does not hold, where the message says so.

    Nobody else may pay for it with a blocked key or model; another provider may hold it. Text: Google's code is that
    of a refused key.
    """
    if _CACHE.search(message):
        text, param = "the provider does not hold that cached content", "google.cached_content"
    elif _FILE.search(message):
        text, param = "the provider does not hold that file, or may not read it", "messages"
    else:
        return None
    return UnsupportedFieldError(text, param=param, code="invalid_value", outcome="client_error")


def _rate_limited(failure: _Failure) -> ProviderError:
    # text: a spent prepayment and a spend cap come without QuotaFailure
    if any("PerDay" in quota for quota in failure.quotas) or (not failure.quotas and _SPENT.search(failure.message)):
        return QuotaExhaustedError("the provider's quota is used up")
    return RateLimitedError("the provider's rate limit is reached")


def _refused(failure: _Failure) -> ProviderError:
    """The 400 family. Google's one code INVALID_ARGUMENT covers four different things: text decides among them."""
    if failure.name == "FAILED_PRECONDITION" and not _FILE_STATE.search(failure.message):
        # the location of the server or the billing of the account: ours, and another provider may do
        return AuthenticationError("the provider does not serve this account or location")
    if failure.status == 400 and _TOO_LONG.search(failure.message):
        return ContextTooLongError(scrubbed(failure.message))
    if _KEY.match(failure.message):
        return AuthenticationError("the provider refused the router's credentials")
    if _SIGNATURE.search(failure.message):
        return UnsupportedFieldError(
            "the provider refused a thought signature of the conversation",
            param="messages",
            outcome="signature",
            resend="unsigned",
        )
    return BadRequestError(scrubbed(failure.message) or "the provider refused the request")


def scrubbed(message: str) -> str:
    """An upstream's words without keys, accounts, project names and addresses, cut to 500 characters."""
    return _ACCOUNT.sub("***", redacted(message))[:_MAX_MESSAGE]
