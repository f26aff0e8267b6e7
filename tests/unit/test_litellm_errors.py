"""litellm's own exception classes -> ours."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from providers.errors import (
    AuthenticationError,
    BadRequestError,
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
from providers.litellm_sdk.errors import error_of
from providers.litellm_sdk.loading import load_litellm

NAMES = {"llm_provider": "anthropic", "model": "claude"}


@pytest.fixture(scope="module")
def raised() -> Callable[..., Exception]:
    """Makes litellm's exception of a class, with its usual wrapping of the provider's words."""
    exceptions = load_litellm().exceptions

    def make(name: str, text: str = "no", **more: Any) -> Exception:
        kind = getattr(exceptions, name)
        exc: Exception = kind(message=f"{name}: AnthropicException - {text}", **{**NAMES, **more})
        return exc

    return make


CLASSES: list[tuple[str, dict[str, Any], type[ProviderError], str]] = [
    ("AuthenticationError", {}, AuthenticationError, "auth"),
    ("NotFoundError", {}, ModelNotFoundError, "config"),
    ("RateLimitError", {}, RateLimitedError, "rate_limited"),
    ("Timeout", {}, UpstreamTimeoutError, "timeout"),
    ("ContextWindowExceededError", {}, ContextTooLongError, "context_length"),
    ("ContentPolicyViolationError", {}, ContentBlockedError, "filtered"),
    ("BadRequestError", {}, BadRequestError, "client_error"),
    ("UnprocessableEntityError", {"response": httpx.Response(422, request=httpx.Request("POST", "http://x"))},
     BadRequestError, "client_error"),
    ("UnsupportedParamsError", {}, UnsupportedFieldError, "capability"),
    ("PaymentRequiredError", {}, QuotaExhaustedError, "quota"),
    ("PermissionDeniedError", {"response": httpx.Response(403, request=httpx.Request("POST", "http://x"))},
     AuthenticationError, "auth"),
    ("InternalServerError", {}, UnavailableError, "server_error"),
    ("ServiceUnavailableError", {}, UnavailableError, "server_error"),
    ("BadGatewayError", {}, UnavailableError, "server_error"),
    ("APIConnectionError", {}, UnavailableError, "server_error"),
    ("APIError", {"status_code": 403}, AuthenticationError, "auth"),
    ("APIError", {"status_code": 529}, UnavailableError, "overloaded"),
    ("APIError", {"status_code": "service_unavailable"}, UnavailableError, "server_error"),
    ("MidStreamFallbackError", {}, UnavailableError, "server_error"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "more", "ours", "outcome"),
    CLASSES,
    ids=[f"{each[0]} {each[1].get('status_code', '')}" for each in CLASSES],
)
def test_each_class_is_ours(
    raised: Callable[..., Exception], name: str, more: dict[str, Any], ours: type[ProviderError], outcome: str
) -> None:
    error = error_of(raised(name, **more))
    assert type(error) is ours
    assert error.outcome == outcome
    assert "litellm" not in error.message
    assert "Exception" not in error.message


def test_an_unreadable_answer_is_a_bad_response(raised: Callable[..., Exception]) -> None:
    exc = load_litellm().exceptions.APIResponseValidationError(message="x", **NAMES)
    assert type(error_of(exc)) is BadResponseError


def test_the_providers_words_are_shown_without_keys_and_addresses(raised: Callable[..., Exception]) -> None:
    text = "max_tokens: 9 > 4, see https://docs.example/x with sk-ant-api03-verysecret"
    assert error_of(raised("BadRequestError", text)).message == "max_tokens: 9 > 4, see [url] with [key]"


def test_code_and_param_of_the_provider_are_kept(raised: Callable[..., Exception]) -> None:
    body = {"message": "bad", "code": "invalid_value", "param": "temperature", "type": "invalid_request_error"}
    error = error_of(raised("BadRequestError", body=body))
    assert (error.code, error.param, error.message) == ("invalid_value", "temperature", "bad")


@pytest.mark.parametrize("headers", [{"retry-after": "7"}, {"Retry-After": "7"}, {"retry-after-ms": "7000"}])
def test_the_wait_is_read_wherever_litellm_leaves_it(raised: Callable[..., Exception], headers: dict[str, str]) -> None:
    in_response = raised("RateLimitError", response=httpx.Response(429, headers=headers))
    aside = raised("RateLimitError")
    aside.litellm_response_headers = httpx.Headers(headers)  # type: ignore[attr-defined]
    assert error_of(in_response).retry_after_s == error_of(aside).retry_after_s == 7.0


def test_a_spent_quota_is_not_a_rate_limit(raised: Callable[..., Exception]) -> None:
    body = {"message": "no credit", "code": "insufficient_quota"}
    assert type(error_of(raised("RateLimitError", body=body))) is QuotaExhaustedError


def test_a_break_in_mid_stream_is_what_caused_it(raised: Callable[..., Exception]) -> None:
    exc = raised("MidStreamFallbackError", original_exception=raised("RateLimitError"))
    assert type(error_of(exc)) is RateLimitedError


def test_the_field_that_a_provider_lacks_is_named(raised: Callable[..., Exception]) -> None:
    exc = raised("UnsupportedParamsError", "anthropic does not support parameters: ['logprobs'], for model=claude")
    assert error_of(exc).param == "logprobs"


@pytest.mark.parametrize(
    "exc", [ValueError("secret prompt"), KeyError("x"), RuntimeError("sk-123456"), AttributeError()]
)
def test_anything_else_is_a_failed_attempt_that_tells_nothing(exc: Exception) -> None:
    error = error_of(exc)
    assert (type(error), error.outcome, error.message) == (
        UnavailableError,
        "sdk_error",
        "the provider could not be asked",
    )
