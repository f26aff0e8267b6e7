"""Bad statuses that mean something of their own at one image backend."""

import pytest

from providers.bfl import translate as bfl
from providers.errors import (
    AuthenticationError,
    BadRequestError,
    ContentBlockedError,
    RateLimitedError,
    UnavailableError,
)
from providers.fal import translate as fal
from providers.stability import translate as stability


def test_stability_moderates_prompts_with_403_and_locks_out_for_a_minute() -> None:
    error = stability.error_from(403, {}, b'{"name":"content_moderation","errors":["flagged"]}')
    assert isinstance(error, ContentBlockedError)
    assert (error.code, error.billed, error.failover) == ("moderation_blocked", False, False)
    assert stability.error_from(429, {}, b"").retry_after_s == 60.0
    assert stability.error_from(429, {"retry-after": "9"}, b"").retry_after_s == 9.0


def test_bfl_refuses_a_key_with_403_and_says_what_a_field_lacks_in_a_list() -> None:
    assert isinstance(bfl.error_from(403, {}, b'{"detail":"Not authenticated"}'), AuthenticationError)
    error = bfl.error_from(422, {}, b'{"detail":[{"loc":["body","width"],"msg":"multiple of 16"}]}')
    assert isinstance(error, BadRequestError)
    assert error.message == "multiple of 16"
    assert isinstance(bfl.error_from(429, {}, b'{"detail":"too many tasks"}'), RateLimitedError)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"id":"x"}', b'{"polling_url":"https://api.bfl.ai/x"}', b"[]"])
def test_a_task_that_bfl_does_not_name_may_have_cost_something(body: bytes) -> None:
    with pytest.raises(Exception, match="upstream") as caught:
        bfl.task_of(body)
    assert caught.value.billed  # type: ignore[attr-defined]


def test_bfl_prices_in_cents_and_a_task_without_its_id_gets_it() -> None:
    task = bfl.task_of(b'{"id":"t1","polling_url":"https://api.eu1.bfl.ai/v1/get_result","cost":4.5}')
    assert (str(task.cost_usd), task.polling_url) == ("0.045", "https://api.eu1.bfl.ai/v1/get_result?id=t1")


def test_fal_names_a_policy_in_the_details_or_in_a_header() -> None:
    body = b'{"detail":[{"loc":["body","prompt"],"msg":"no","type":"content_policy_violation"}]}'
    for error in (
        fal.error_from(422, {}, body),
        fal.error_from(422, {"x-fal-error-type": "content_policy_violation"}, b""),
    ):
        assert (type(error), error.code, error.billed) == (ContentBlockedError, "moderation_blocked", False)
    assert isinstance(fal.error_from(422, {}, b'{"detail":"prompt: field required"}'), BadRequestError)


def test_a_result_of_fal_that_failed_in_the_app_ends_the_job_and_one_lost_on_the_way_does_not() -> None:
    assert fal.result_error_from(500, {"x-fal-request-id": "r"}, b"").outcome == "job_failed"
    assert fal.result_error_from(502, {}, b"<html>").outcome == "server_error"


def test_fal_may_complete_with_an_error() -> None:
    with pytest.raises(UnavailableError) as caught:
        fal.status_of(b'{"status":"COMPLETED","error":"boom","error_type":"internal_error"}')
    assert (caught.value.outcome, caught.value.billed) == ("job_failed", False)
    with pytest.raises(ContentBlockedError):
        fal.status_of(b'{"status":"COMPLETED","error":"no","error_type":"content_policy_violation"}')
