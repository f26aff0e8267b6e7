"""An upstream's refusal -> ProviderError, by status and structured code. Pure.

Shapes read: OpenAI's `{"error":{message,type,param,code}}`, a bare string or flat object (Mistral, vLLM), FastAPI's
`detail`, Google's array of one with `status` and `details`, OpenRouter's `metadata`, Azure's `innererror`, HTML.
"""

from collections.abc import Mapping
from datetime import datetime

import orjson
from msgspec import Struct

from providers.errors import (
    AuthenticationError,
    BadRequestError,
    ContentBlockedError,
    ContextTooLongError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from providers.redact import redacted
from providers.retry_after import parse_advice, parse_retry_after, parse_retry_info
from providers.types import JsonObject, JsonValue

_BLOCKED = frozenset(
    {"content_policy_violation", "content_policy", "moderation_blocked", "content_filter", "contentfilter", "safety"}
)
_CONTEXT = frozenset({"context_length_exceeded", "model_max_prompt_tokens_exceeded", "context_window_exceeded"})
_KEY = frozenset({"invalid_api_key", "api_key_invalid", "missing_api_key", "account_deactivated"})
_MODEL = frozenset({"model_not_found", "deploymentnotfound", "unknown_model"})
# unknown_parameter too: a client's vendor field that this upstream refuses may be right for the next one
_FIELD = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
_QUOTA = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_credits", "quota_exceeded"}
)
_RATE = frozenset({"rate_limit_exceeded", "rate_limit_error", "resource_exhausted", "too_many_requests"})
_STATUS_OF = {
    **dict.fromkeys(_BLOCKED | _CONTEXT | _FIELD, 400),
    **dict.fromkeys(_KEY, 401),
    **dict.fromkeys(_MODEL, 404),
    **dict.fromkeys(_QUOTA | _RATE, 429),
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "authentication_error": 401,
    "unauthenticated": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "not_found": 404,
    "requests": 429,
    "tokens": 429,
    "overloaded_error": 529,
    "overloaded": 529,
    "unavailable": 503,
    "service_unavailable": 503,
    "deadline_exceeded": 504,
    "timeout": 504,
}
"""The HTTP status an error inside a 200 would have had, by its `code`, `type` or Google's `status` (lower case)."""


class Fault(Struct, frozen=True, kw_only=True):
    """One upstream error object, flattened. `codes` are its machine-readable names in lower case, most exact first."""

    message: str = ""
    code: str | None = None
    param: str | None = None
    codes: tuple[str, ...] = ()
    status: int | None = None
    details: JsonValue = None
    moderated: bool = False

    def named(self, names: frozenset[str]) -> bool:
        return not names.isdisjoint(self.codes)


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for an answer with a bad status. `now` (aware) is for a `retry-after` that is a date.

    The client sees the upstream's words where the request is at fault (without keys and URLs), else a general sentence.
    """
    fault = fault_from(_decoded(body))
    return error_for(status, fault, parse_retry_after(headers, now))


def inner_error(error: JsonValue, headers: Mapping[str, str] | None = None) -> ProviderError:
    """The error for an error object inside a 200, plain or streamed: as if its own status had been the answer's."""
    fault = fault_from({"error": error} if isinstance(error, str) else error)
    usual = 400 if fault.moderated else 500
    status = fault.status or next((_STATUS_OF[name] for name in fault.codes if name in _STATUS_OF), usual)
    return error_for(status, fault, parse_retry_after(headers, None) if headers else None)


def error_for(status: int, fault: Fault, wait_s: float | None) -> ProviderError:
    """Choose the class: the code first where it is more exact than the status, then the status."""
    if wait_s is None:
        wait_s = parse_retry_info(fault.details)
    if status in (400, 403, 404, 413, 422):
        return _refused(status, fault, wait_s)
    match status:
        case 401 | 407:
            return AuthenticationError("the upstream refused the router's key", status=status)
        case 402:
            return _quota(status, wait_s)
        case 405:
            return ModelNotFoundError("the upstream does not offer this operation", status=status)
        case 408 | 504 | 524:
            return UpstreamTimeoutError("the upstream took too long", status=status, retry_after_s=wait_s)
        case 429:
            return _limited(status, fault, wait_s)
        case 501:
            return UnsupportedFieldError("the upstream does not implement this", status=status, outcome="capability")
    if 400 <= status < 500 and status not in (409, 424, 425, 498, 499):
        return _refused(status, fault, wait_s)
    outcome = "overloaded" if status == 529 else "protocol" if status > 599 or status < 400 else None
    return UnavailableError("the upstream is unavailable", status=status, retry_after_s=wait_s, outcome=outcome)


def fault_from(decoded: JsonValue) -> Fault:
    """Flatten whatever error shape `decoded` has; an empty Fault when it is none."""
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]
    error = decoded.get("error", decoded) if isinstance(decoded, dict) else decoded
    if isinstance(error, str):
        return Fault(message=error)
    if not isinstance(error, dict):
        return Fault()
    message = next((text for key in ("message", "detail", "error") if isinstance(text := error.get(key), str)), "")
    names = [error.get("code"), error.get("type"), error.get("status"), *_reasons(error.get("details"))]
    code, param = error.get("code"), error.get("param")
    return Fault(
        message=message,
        code=code if isinstance(code, str) and not code.isdigit() else None,
        param=param if isinstance(param, str) else None,
        codes=tuple(name.lower() for name in names if isinstance(name, str) and name),
        status=_status(error),
        details=error.get("details"),
        moderated=_moderated(error),
    )


def _refused(status: int, fault: Fault, wait_s: float | None) -> ProviderError:
    """400, 403, 404, 413, 422: the caller's fault, ours, or a limit of this model."""
    message = redacted(fault.message)
    if fault.moderated or fault.named(_BLOCKED):
        code = "moderation_blocked" if fault.code == "moderation_blocked" else None
        return ContentBlockedError(message or "a safety filter refused the request", status=status, code=code)
    if fault.named(_QUOTA):
        return _quota(status, wait_s)
    if fault.named(_RATE):  # Groq answers 413 when one request exceeds the tokens of a minute
        return _limited(status, fault, wait_s)
    if status == 403 or fault.named(_KEY):
        return AuthenticationError("the upstream refused the router's key", status=status)
    if status == 404 or fault.named(_MODEL):
        return ModelNotFoundError("the upstream does not know the configured model", status=status)
    if fault.named(_CONTEXT) or _speaks_of_context(fault):
        return ContextTooLongError(message or "the prompt exceeds the model's window", status=status, param=fault.param)
    kind = UnsupportedFieldError if fault.named(_FIELD) else BadRequestError
    text = message or "the upstream refused the request"
    return kind(text, status=status, code=fault.code, param=fault.param)


def _limited(status: int, fault: Fault, wait_s: float | None) -> ProviderError:
    if fault.named(_QUOTA) or _per_day(fault.details):
        return _quota(status, wait_s)
    if wait_s is None:
        wait_s = parse_advice(fault.message)
    return RateLimitedError("the upstream's rate limit is reached", status=status, retry_after_s=wait_s)


def _quota(status: int, wait_s: float | None) -> ProviderError:
    return QuotaExhaustedError("the upstream's quota is used up", status=status, retry_after_s=wait_s)


def _status(error: JsonObject) -> int | None:
    for key in ("code", "status", "status_code", "statusCode"):
        value = error.get(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return None


def _moderated(error: JsonObject) -> bool:
    """OpenRouter lists the flagged categories in `metadata.reasons`, Azure a filter result in `innererror`."""
    metadata, inner = error.get("metadata"), error.get("innererror")
    return (
        (isinstance(metadata, dict) and bool(metadata.get("reasons")))
        or (isinstance(inner, dict) and "content_filter_result" in inner)
        or _named_moderated(error.get("code"))
    )


def _named_moderated(code: JsonValue) -> bool:
    """Seedream says what was found where: `OutputImageSensitiveContentDetected`, `InputTextRiskDetection`."""
    if not isinstance(code, str):
        return False
    return "SensitiveContent" in code or code.endswith("RiskDetection") or code == "PolicyViolation"


def _reasons(details: JsonValue) -> list[JsonValue]:
    """Google's `ErrorInfo.reason`, such as API_KEY_INVALID."""
    return [detail.get("reason") for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _per_day(details: JsonValue) -> bool:
    """Whether a Google `QuotaFailure` names a daily quota: it will not pass within this request."""
    if not isinstance(details, list):
        return False
    failures = [detail.get("violations") for detail in details if isinstance(detail, dict)]
    return any("PerDay" in str(violation) for failure in failures if isinstance(failure, list) for violation in failure)


def _speaks_of_context(fault: Fault) -> bool:
    """vLLM and its relatives send no code for this, only one fixed sentence; without it no larger model is tried."""
    return fault.code is None and "maximum context length" in fault.message


def _decoded(body: bytes) -> JsonValue:
    try:
        decoded: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None  # HTML of a proxy, or nothing: the status alone decides
    return decoded
