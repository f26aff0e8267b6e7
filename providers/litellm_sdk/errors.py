"""litellm's exceptions -> ProviderError, by class. Pure; it knows the classes by name, so that nothing is imported.

litellm's own text (`litellm.RateLimitError: RateLimitError: OpenAIException - ...`) is taken off; what the provider
said of a request's fault is shown with keys and addresses removed.
"""

import re
from collections.abc import Mapping

from providers.errors import (
    AuthenticationError,
    BadResponseError,
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
from providers.openai.errors import Fault, error_for, fault_from
from providers.redact import redacted
from providers.retry_after import parse_retry_after

_WRAPPED = re.compile(r"\A(?:litellm\.)?\w+(?:Error|Timeout|Exception)(?::\s*|\s+-\s*)")
_PARAM = re.compile(r"does not support parameters: \[?'?(\w+)|Unsupported param(?:eter)?:? '?(\w+)")


def error_of(exc: Exception) -> ProviderError:
    """What an exception out of litellm means. One that is none of its own is a failure of the attempt."""
    names = {each.__name__ for each in type(exc).__mro__}
    if "MidStreamFallbackError" in names:
        inner = getattr(exc, "original_exception", None)
        return error_of(inner) if isinstance(inner, Exception) else UnavailableError("the provider's stream broke off")
    status, wait_s = _status(exc), _retry_after(exc)
    error = _by_name(names, exc, wait_s)
    if error is None:
        # the rest of the 400 family, and what litellm has no class for: the provider's own code says more
        error = error_for(status, _fault(exc), wait_s) if status else None
    if error is None or (status == 500 and isinstance(exc, ValueError | TypeError | KeyError)):
        return UnavailableError("the provider could not be asked", outcome="sdk_error")
    error.status = status or None
    if error.retry_after_s is None:
        error.retry_after_s = wait_s
    return error


def _by_name(names: set[str], exc: Exception, wait_s: float | None) -> ProviderError | None:
    """The classes that say more than their status."""
    if "ContextWindowExceededError" in names:
        return ContextTooLongError(_said(exc) or "the prompt exceeds the model's window", param="messages")
    if "ContentPolicyViolationError" in names:
        return ContentBlockedError(_said(exc) or "a safety filter refused the request")
    if "UnsupportedParamsError" in names:
        found = _PARAM.search(str(exc))
        param = next(filter(None, found.groups()), None) if found else None
        return UnsupportedFieldError("this provider does not take a field of the request", param=param)
    if names & {"AuthenticationError", "PermissionDeniedError"}:
        return AuthenticationError("the provider refused the router's key")
    if "PaymentRequiredError" in names or "BudgetExceededError" in names:
        return QuotaExhaustedError("the provider's quota is used up")
    if "RateLimitError" in names:
        known = error_for(429, _fault(exc), wait_s)
        return (
            known if isinstance(known, RateLimitedError) else RateLimitedError("the provider's rate limit is reached")
        )
    if names & {"Timeout", "APITimeoutError"}:
        return UpstreamTimeoutError("the provider did not answer in time")
    if "NotFoundError" in names:
        return ModelNotFoundError("the provider does not know the configured model")
    if "APIResponseValidationError" in names:
        return BadResponseError("the provider's answer cannot be read", outcome="parse", billed=True)
    if names & {"ServiceUnavailableError", "InternalServerError", "BadGatewayError", "APIConnectionError"}:
        return UnavailableError("the provider is not available")
    return None


def _fault(exc: Exception) -> Fault:
    body = getattr(exc, "body", None)
    error = dict(body) if isinstance(body, Mapping) else {}
    error = {"message": _said(exc), **{name: value for name, value in error.items() if value is not None}}
    if not isinstance(error.get("code"), str) and isinstance(code := getattr(exc, "code", None), str):
        error["code"] = code
    return fault_from({"error": error})


def _status(exc: Exception) -> int:
    """The HTTP status, where there was one; litellm puts a word there for an error inside a 200."""
    status = getattr(exc, "status_code", None)
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    return status if isinstance(status, int) and 400 <= status < 600 else (500 if status is not None else 0)


def _retry_after(exc: Exception) -> float | None:
    for headers in (getattr(exc, "litellm_response_headers", None), getattr(exc, "headers", None)):
        if isinstance(headers, Mapping):
            wait_s = parse_retry_after({str(name).lower(): str(value) for name, value in headers.items()}, None)
            if wait_s is not None:
                return wait_s
    response = getattr(exc, "response", None)
    headers = getattr(response, "headers", None)
    return parse_retry_after(headers, None) if isinstance(headers, Mapping) else None


def _said(exc: Exception) -> str:
    """The provider's own words."""
    text = str(getattr(exc, "message", "") or exc)
    while match := _WRAPPED.match(text):
        text = text[match.end() :]
    return redacted(text)
