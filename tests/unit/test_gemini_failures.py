"""Google's error bodies: class, waiting time, and what a client is shown."""

import json
from typing import Any

import pytest

from providers.errors import (
    AuthenticationError,
    BadRequestError,
    ModelNotFoundError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from providers.gemini.failures import error_from, scrubbed


def body(code: Any, status: Any, message: str = "x", *details: Any) -> bytes:
    return json.dumps({"error": {"code": code, "status": status, "message": message, "details": details}}).encode()


def reason(name: str) -> dict[str, str]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": name}


@pytest.mark.parametrize(
    ("status", "raw", "kind"),
    [
        (401, body(401, "UNAUTHENTICATED"), AuthenticationError),
        (403, body(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), AuthenticationError),
        (400, body(400, "INVALID_ARGUMENT", "x", reason("API_KEY_INVALID")), AuthenticationError),
        (400, body(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."), AuthenticationError),
        (400, body(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), AuthenticationError),
        (400, body(400, "FAILED_PRECONDITION", "The File abc is not in an ACTIVE state."), BadRequestError),
        (400, body(400, "INVALID_ARGUMENT", "Corrupted thought signature."), UnsupportedFieldError),
        (400, body(400, "INVALID_ARGUMENT", "Invalid JSON payload received."), BadRequestError),
        (413, b"", BadRequestError),
        (404, b"<html>404</html>", ModelNotFoundError),
        (408, b"", UpstreamTimeoutError),
        (429, b"not json", RateLimitedError),
        (429, body(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."), QuotaExhaustedError),
        (499, body(499, "CANCELLED"), UnavailableError),
        (500, body(500, "INTERNAL"), UnavailableError),
        (503, body(503, 14), UnavailableError),
        (504, body(504, "DEADLINE_EXCEEDED"), UpstreamTimeoutError),
        (200, body(None, "RESOURCE_EXHAUSTED"), RateLimitedError),
        (200, body(None, 5), ModelNotFoundError),
        (200, body("model_not_found", None), UnavailableError),
    ],
)
def test_a_failure_is_of_this_class(status: int, raw: bytes, kind: type) -> None:
    error = error_from(status, {}, raw)
    assert type(error) is kind
    assert error.status is not None
    assert error.status >= 400


def test_a_key_or_location_problem_lets_others_be_asked_and_a_bad_request_does_not() -> None:
    assert error_from(400, {}, body(400, "FAILED_PRECONDITION")).failover
    assert not error_from(400, {}, body(400, "INVALID_ARGUMENT")).failover


@pytest.mark.parametrize(
    ("status", "message", "param"),
    [
        (403, "CachedContent not found (or permission denied)", "google.cached_content"),
        (404, "Not found: cached content metadata for 123456789.", "google.cached_content"),
        (403, "You do not have permission to access the File abc or it may not exist.", "messages"),
        (403, "a@b.iam.gserviceaccount.com does not have storage.objects.get access", "messages"),
    ],
)
def test_what_only_this_request_names_blocks_neither_key_nor_model(status: int, message: str, param: str) -> None:
    error = error_from(status, {}, body(status, "PERMISSION_DENIED", message))
    assert type(error) is UnsupportedFieldError
    assert (error.effect, error.failover, error.param) == ("none", True, param)
    assert type(error_from(status, {}, body(status, "x", message, reason("API_KEY_INVALID")))) is AuthenticationError


def test_words_of_the_callers_that_google_repeats_do_not_look_like_a_refused_key() -> None:
    echoed = "Invalid value at 'generation_config.media_resolution', \"API key not valid\""
    assert type(error_from(400, {}, body(400, "INVALID_ARGUMENT", echoed))) is BadRequestError


@pytest.mark.parametrize(
    ("headers", "details", "message", "seconds"),
    [
        ({}, [{"@type": "t/google.rpc.RetryInfo", "retryDelay": "34.074824224s"}], "x", 34.074824224),
        ({"retry-after": "3"}, [], "x", 3.0),
        ({"retry-after-ms": "1500"}, [], "x", 1.5),
        ({}, [], "Please retry in 20.5s.", 20.5),
        ({}, [], "Please retry in 1m2s.", 62.0),
        ({}, [], "Please wait.", None),
    ],
)
def test_the_time_to_wait_is_read_where_google_puts_it(headers: Any, details: Any, message: str, seconds: Any) -> None:
    error = error_from(429, headers, body(429, "RESOURCE_EXHAUSTED", message, *details))
    assert error.retry_after_s == (pytest.approx(seconds) if seconds is not None else None)


@pytest.mark.parametrize(
    "secret",
    [
        "AIzaSyA1234567890abcdefghijklmnopqrstuvw",
        "AQ.Ab8RN6K_abc-def",
        "https://generativelanguage.googleapis.com/v1beta/models/x:generateContent",
        "projects/my-project",
        "project_number:123456789012",
        "123456789012",
        "robot@my-project.iam.gserviceaccount.com",
        "ya29.a0AfH6SMB",
    ],
)
def test_nothing_that_names_a_key_or_an_account_is_shown(secret: str) -> None:
    error = error_from(400, {}, body(400, "INVALID_ARGUMENT", f"Field x of {secret} is wrong."))
    assert secret not in error.message
    assert error.message.startswith("Field x of")


def test_a_message_is_cut() -> None:
    assert len(scrubbed("x" * 5000)) <= 500
