"""Refusals by status and structured code; the client sees the upstream's words only where the request is at fault."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from providers.openai.errors import error_from, inner_error
from providers.redact import redacted

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def body(code: Any = None, type: Any = "invalid_request_error", message: str = "words", **more: Any) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": type, "param": None, "code": code, **more}})


CASES = [
    (400, body(), BadRequestError),
    (400, body("invalid_value", param="messages[3]"), BadRequestError),
    (400, body("context_length_exceeded"), ContextTooLongError),
    (400, body(None, message="This model's maximum context length is 4096 tokens."), ContextTooLongError),
    (400, body("invalid_api_key"), AuthenticationError),
    (400, body("unsupported_parameter", param="stop"), UnsupportedFieldError),
    (400, body("unsupported_value", param="temperature"), UnsupportedFieldError),
    (400, body("unknown_parameter", param="top_k"), UnsupportedFieldError),
    (400, body("moderation_blocked", type="image_generation_user_error"), ContentBlockedError),
    (400, body("content_policy_violation"), ContentBlockedError),
    (400, body("content_filter", innererror={"content_filter_result": {}}), ContentBlockedError),
    (400, body(400, type=None, details=[{"reason": "API_KEY_INVALID"}]), AuthenticationError),
    (400, body("billing_hard_limit_reached"), QuotaExhaustedError),
    (401, body("invalid_api_key"), AuthenticationError),
    (402, body(402), QuotaExhaustedError),
    (403, body("unsupported_country_region_territory"), AuthenticationError),
    (403, body("content_policy_violation"), ContentBlockedError),
    (403, body(403, metadata={"reasons": ["violence"], "flagged_input": "x"}), ContentBlockedError),
    (404, body("model_not_found"), ModelNotFoundError),
    (404, b"<html>nginx</html>", ModelNotFoundError),
    (405, b"", ModelNotFoundError),
    (408, body(), UpstreamTimeoutError),
    (409, body(), UnavailableError),
    (413, body(), BadRequestError),
    (413, body("rate_limit_exceeded", type="tokens"), RateLimitedError),
    (418, body(), BadRequestError),
    (422, b'{"detail":[{"loc":["body"],"msg":"no"}]}', BadRequestError),
    (429, body("rate_limit_exceeded", type="requests"), RateLimitedError),
    (429, body("insufficient_quota", type="insufficient_quota"), QuotaExhaustedError),
    (429, b"", RateLimitedError),
    (500, body(type="server_error"), UnavailableError),
    (501, body(), UnsupportedFieldError),
    (502, b"<html><h1>Bad gateway</h1></html>", UnavailableError),
    (503, b"upstream connect error", UnavailableError),
    (504, b"", UpstreamTimeoutError),
    (524, b"", UpstreamTimeoutError),
    (529, body(type="overloaded_error"), UnavailableError),
    (799, b"", UnavailableError),
]


@pytest.mark.parametrize(("status", "answer", "kind"), CASES)
def test_classes(status: int, answer: bytes, kind: type[ProviderError]) -> None:
    error = error_from(status, {}, answer, NOW)
    assert type(error) is kind
    assert error.status == status


def test_the_callers_fault_keeps_words_code_and_param() -> None:
    error = error_from(400, {}, body("invalid_value", message="Invalid 'messages[3]'.", param="messages[3]"))
    assert (error.message, error.code, error.param) == ("Invalid 'messages[3]'.", "invalid_value", "messages[3]")
    assert error_from(400, {}, body("moderation_blocked")).code == "moderation_blocked"
    assert error_from(400, {}, body("content_filter")).code == "content_policy_violation"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_other_faults_are_described_in_our_words(status: int) -> None:
    answer = body(message="project 4711 at https://internal.example/x with sk-abcdef123456")
    assert not any(word in error_from(status, {}, answer).message for word in ("4711", "http", "sk-"))


def test_keys_and_addresses_are_taken_out_of_words() -> None:
    keys = "sk-proj-abc_DEF123, AIzaSyA1234567890abcdefghijk, AQ.Ab8RN6Kxyz123, Bearer abc"
    text = f"key {keys} see https://a.example/b?c=d now"
    assert redacted(text) == "key [key], [key], [key], [key] see [url] now"
    assert redacted("risk-averse\r\nx-injected: 1\x00") == "risk-averse x-injected: 1"
    assert len(redacted("x" * 10_000)) == 1001


@pytest.mark.parametrize(
    ("headers", "answer", "wait_s"),
    [
        ({"retry-after-ms": "250", "retry-after": "9"}, body(), 0.25),
        ({"retry-after": "7"}, body(), 7.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, b"", 30.0),
        ({"retry-after": "-1"}, body(message="Please try again in 20s."), 20.0),
        ({"retry-after": "1e12"}, body(), 3600.0),
        ({}, body(), None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], answer: bytes, wait_s: float | None) -> None:
    assert error_from(429, headers, answer, NOW).retry_after_s == wait_s


def test_googles_array_with_retry_info_and_daily_quota() -> None:
    details: list[dict[str, Any]] = [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "45.837906927s"},
    ]
    error = {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details}
    answer = error_from(429, {}, orjson.dumps([{"error": error}]))
    assert type(answer) is RateLimitedError
    assert answer.retry_after_s == 45.837906927
    details.append({"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]})
    assert type(error_from(429, {}, orjson.dumps([{"error": error}]))) is QuotaExhaustedError


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"code": 429, "message": "x"}, RateLimitedError, 429),
        ({"code": "429"}, RateLimitedError, 429),
        ({"code": "rate_limit_exceeded"}, RateLimitedError, 429),
        ({"code": None, "type": "rate_limit_error"}, RateLimitedError, 429),
        ({"status": "RESOURCE_EXHAUSTED"}, RateLimitedError, 429),
        ({"code": "context_length_exceeded"}, ContextTooLongError, 400),
        ({"code": 400, "message": "x", "status": "INVALID_ARGUMENT"}, BadRequestError, 400),
        ({"code": "invalid_api_key"}, AuthenticationError, 401),
        ({"type": "overloaded_error"}, UnavailableError, 529),
        ({"code": None, "message": "boom"}, UnavailableError, 500),
        ({"message": "boom"}, UnavailableError, 500),
        ("boom", UnavailableError, 500),
        ([{"error": {"code": 503}}], UnavailableError, 503),
        (7, UnavailableError, 500),
    ],
)
def test_an_error_inside_a_200_is_mapped_by_its_own_status(error: Any, kind: type[ProviderError], status: int) -> None:
    mapped = inner_error(error)
    assert (type(mapped), mapped.status) == (kind, status)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "type", "message", "details", "status", "metadata"]), inner)
    ),
    max_leaves=12,
)


@given(st.integers(300, 700), JSON)
def test_no_body_breaks_the_mapping(status: int, answer: Any) -> None:
    assert isinstance(error_from(status, {"retry-after": "x"}, orjson.dumps(answer), NOW), ProviderError)
    assert isinstance(inner_error(answer), ProviderError)


@given(st.binary(max_size=40))
def test_no_bytes_break_the_mapping(answer: bytes) -> None:
    assert isinstance(error_from(500, {}, answer), UnavailableError)
