"""The one table from exceptions to answers: status, type, code, and the headers that steer retries."""

from typing import Any

import orjson
import pytest
from builders import candidate

from providers import errors as upstream
from providers.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ContentBlockedError,
    ContextTooLongError,
    ContinuationError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    StreamInterruptedError,
    UnavailableError,
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from router.api.auth import MissingKeyError
from router.api.body import SlowBodyError
from router.api.envelope import ErrorAnswer, error_answer
from router.api.gateway import ShuttingDownError
from router.api.guard import HeadersTooLargeError
from router.errors import (
    BodyTooLargeError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    RouterError,
    UnauthorizedError,
    UnknownModelError,
    UnsupportedMediaTypeError,
)
from router.routing.dispatch import AllAttemptsFailedError
from router.routing.plan import Attempt, Excluded
from router.routing.planner import AllBlockedError, NoCandidateError
from router.routing.queue import SaturatedError

BLOCKED = Excluded(provider="a", model="m", reason="rate limited for 7.2 s", blocked_s=7.2)
INVALID, SERVER = "invalid_request_error", "server_error"


def failed(*errors: ProviderError) -> AllAttemptsFailedError:
    return AllAttemptsFailedError([Attempt(candidate=candidate(), duration_s=1.0, error=error) for error in errors])


def headers(answer: ErrorAnswer) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in answer.headers}


def error(answer: ErrorAnswer) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(answer.body)
    assert list(found) == ["error"]
    return found["error"]  # type: ignore[no-any-return]


Row = tuple[Exception, int, str, str | None, str | None, str | None]
# exception, status, type, code, retry-after, x-should-retry
TABLE: list[Row] = [
    (InvalidRequestError("x"), 400, INVALID, "invalid_value", None, None),
    (BodyTooLargeError("x"), 413, INVALID, "request_too_large", None, None),
    (UnsupportedMediaTypeError("x"), 415, INVALID, "unsupported_media_type", None, None),
    (HeadersTooLargeError("x"), 431, INVALID, "headers_too_large", None, None),
    (SlowBodyError("x"), 408, INVALID, "body_timeout", None, None),
    (UnauthorizedError("x"), 401, INVALID, "invalid_api_key", None, None),
    (MissingKeyError("x"), 401, INVALID, "missing_api_key", None, None),
    (ForbiddenError("x"), 403, INVALID, "forbidden", None, None),
    (UnknownModelError("x"), 404, INVALID, "model_not_found", None, None),
    (NotFoundError("x"), 404, INVALID, "not_found", None, None),
    (OverloadedError("x"), 429, "requests", "router_overloaded", "1", None),
    (ShuttingDownError("x"), 503, SERVER, "router_shutting_down", "1", None),
    (NoCandidateError("x", [BLOCKED], status=400), 400, INVALID, "no_candidate", None, None),
    (NoCandidateError("x", [BLOCKED], status=503), 503, SERVER, "upstream_unavailable", "5", None),
    (AllBlockedError([BLOCKED]), 429, "requests", "rate_limit_exceeded", "8", None),
    (BadRequestError("x"), 400, INVALID, None, None, None),
    (UnsupportedFieldError("x"), 400, INVALID, "unsupported_parameter", None, None),
    (ContextTooLongError("x"), 400, INVALID, "context_length_exceeded", None, None),
    (ContentBlockedError("x"), 400, INVALID, "content_policy_violation", None, None),
    (AuthenticationError("x"), 502, SERVER, "upstream_auth", None, "false"),
    (ModelNotFoundError("x"), 502, SERVER, "upstream_model_missing", None, "false"),
    (RateLimitedError("x", retry_after_s=2.5), 429, "requests", "rate_limit_exceeded", "3", None),
    (RateLimitedError("x"), 429, "requests", "rate_limit_exceeded", None, None),
    (QuotaExhaustedError("x"), 429, "insufficient_quota", "insufficient_quota", None, "false"),
    (UnavailableError("refused, reset, no name"), 503, SERVER, "upstream_unavailable", None, "false"),
    (UnavailableError("x", status=500), 502, SERVER, "upstream_unavailable", None, "false"),
    (UnavailableError("x", status=503, retry_after_s=7), 503, SERVER, "upstream_unavailable", "7", "false"),
    (UnavailableError("x", status=529), 503, SERVER, "upstream_unavailable", None, "false"),
    (UpstreamTimeoutError("x"), 504, SERVER, "upstream_timeout", None, "false"),
    (BadResponseError("x"), 502, SERVER, "upstream_bad_response", None, "false"),
    (ContinuationError("x"), 502, SERVER, "upstream_bad_response", None, "false"),
    (StreamInterruptedError("x"), 502, SERVER, "upstream_stream_interrupted", None, "false"),
    (KeyError("secret"), 500, SERVER, "internal_error", None, None),
]


COLLECTED: list[Row] = [(failed(row[0]), *row[1:]) for row in TABLE if isinstance(row[0], ProviderError)]
NAMES = [f"{type(row[0]).__name__}-{row[1]}" for row in (*TABLE, *COLLECTED)]


@pytest.mark.parametrize(
    ("exc", "status", "type_", "code", "retry_after", "should_retry"), [*TABLE, *COLLECTED], ids=NAMES
)
def test_every_exception_has_its_answer(
    exc: Exception, status: int, type_: str, code: str | None, retry_after: str | None, should_retry: str | None
) -> None:
    answer = error_answer(exc)
    found = error(answer)
    assert (answer.status, found["type"], found["code"], answer.code) == (status, type_, code, code)
    assert {"message", "type", "param", "code"} <= found.keys() <= {"message", "type", "param", "code", "metadata"}
    assert found["message"]
    assert "secret" not in found["message"]
    sent = headers(answer)
    assert sent["content-type"] == "application/json"
    assert sent.get("retry-after") == retry_after
    assert sent.get("x-should-retry") == should_retry
    assert ("www-authenticate" in sent) is (status == 401)


def test_the_table_knows_every_class() -> None:
    shown = {type(row[0]) for row in TABLE}
    declared = {each for each in vars(upstream).values() if isinstance(each, type) and issubclass(each, ProviderError)}
    assert declared - shown == {ProviderError}


def test_a_param_travels() -> None:
    assert error(error_answer(InvalidRequestError("x", param="n")))["param"] == "n"
    assert error(error_answer(failed(UnsupportedFieldError("x", param="seed"))))["param"] == "seed"


@pytest.mark.parametrize(
    ("wait", "header", "should_retry"),
    [
        (0.0, "1", None),
        (0.2, "1", None),
        (1.0, "1", None),
        (59.1, "60", None),
        (60.0, "60", None),
        (61.0, "60", "false"),
    ],
)
def test_no_sdk_is_told_to_wait_longer_than_a_minute(wait: float, header: str, should_retry: str | None) -> None:
    for exc in (failed(RateLimitedError("x", retry_after_s=wait)), RateLimitedError("x", retry_after_s=wait)):
        answer = error_answer(exc)
        assert headers(answer)["retry-after"] == header
        assert headers(answer).get("x-should-retry") == should_retry
        assert error(answer)["metadata"]["retry_after_s"] == wait


def test_all_failed_has_the_status_of_the_last_and_counts_the_attempts() -> None:
    answer = error_answer(failed(RateLimitedError("slow"), UnavailableError("down", status=500, provider="a")))
    assert answer.status == 502
    assert error(answer)["metadata"] == {"attempts": 2, "provider": "a"}


def test_when_all_are_rate_limited_the_shortest_wait_counts() -> None:
    answer = error_answer(failed(RateLimitedError("x", retry_after_s=30.0), RateLimitedError("y", retry_after_s=4.0)))
    assert (answer.status, headers(answer)["retry-after"]) == (429, "4")


@pytest.mark.parametrize("quota_first", [False, True])
def test_a_quota_is_final_only_when_nobody_else_has_some_left(quota_first: bool) -> None:
    errors: list[ProviderError] = [
        QuotaExhaustedError("q", retry_after_s=9000.0),
        RateLimitedError("r", retry_after_s=2.0),
    ]
    answer = error_answer(failed(*(errors if quota_first else reversed(errors))))
    assert error(answer)["code"] == "rate_limit_exceeded"
    assert headers(answer).get("x-should-retry") is None
    assert headers(answer)["retry-after"] == "2"


def test_no_client_retries_what_may_have_been_billed() -> None:
    answer = error_answer(failed(UnavailableError("x", billed=True), RateLimitedError("y", retry_after_s=1.0)))
    assert answer.status == 429
    assert headers(answer)["x-should-retry"] == "false"
    assert headers(error_answer(BadRequestError("x", billed=True)))["x-should-retry"] == "false"


def test_without_any_attempt_it_is_a_timeout() -> None:
    answer = error_answer(AllAttemptsFailedError([]))
    assert (answer.status, answer.code) == (504, "upstream_timeout")
    assert error(answer)["metadata"] == {"attempts": 0}


def test_a_refusal_says_why_for_each_candidate() -> None:
    answer = error_answer(NoCandidateError("x", [BLOCKED], status=400, param="model"))
    assert error(answer)["metadata"]["candidates"] == [{"target": "a/m", "reason": "rate limited for 7.2 s"}]


def test_a_plain_router_error_is_a_500() -> None:
    assert error_answer(RouterError("x")).status == 500


def test_who_finds_no_room_in_the_end_is_told_to_come_back_whatever_failed_before() -> None:
    for tried in ([], [RateLimitedError("x", retry_after_s=9.0)], [UnavailableError("down")]):
        attempts = [Attempt(candidate=candidate(), duration_s=0.0, error=error) for error in tried]
        answer = error_answer(AllAttemptsFailedError(attempts, SaturatedError("queue_full", 3.2)))
        assert (answer.status, answer.code) == (429, "router_overloaded")
        assert dict(answer.headers)[b"retry-after"] == b"4"
        assert b"x-should-retry" not in dict(answer.headers)
