"""What image backends cannot do is refused or named; what they answer is read without trust."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.addresses import may_carry_key
from providers.answers import json_object, message_in, money_in
from providers.catalogue import ImageCapabilities
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
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from providers.image_terms import losses_of, model_path, own_fields, prompt_of, refuse_unable, require_lossless
from providers.statuses import may_be_billed, moderation_error, status_error
from providers.types import ImageInput, ImageRequest

PICTURE = ImageInput(b"\x89PNG", "image/png")


def request(**more: Any) -> ImageRequest:
    return ImageRequest(model="public", prompt="a cat", **more)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (request(mask=PICTURE, images=(PICTURE,)), "mask"),
        (request(images=(PICTURE, PICTURE)), "image"),
        (request(background="transparent"), "background"),
    ],
)
def test_what_a_model_cannot_do_is_refused_by_name(asked: ImageRequest, param: str) -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        refuse_unable(asked, ImageCapabilities(references=1))
    assert caught.value.param == param
    refuse_unable(asked, ImageCapabilities(references=2, mask=True, transparent=True))


def test_every_field_without_a_place_is_named_and_a_strict_request_refused() -> None:
    asked = request(
        quality="high",
        seed=7,
        negative_prompt="blur",
        moderation="low",
        input_fidelity="high",
        user="u",
        extra={"x": 1},
    )
    lost = losses_of(asked, ())
    assert lost == [
        "quality=ignored",
        "moderation=ignored",
        "input_fidelity=ignored",
        "seed=ignored",
        "negative_prompt=folded into the prompt",
        "x=dropped",
    ]
    assert losses_of(asked, {"quality", "moderation", "input_fidelity", "seed", "negative_prompt", "x"}) == []
    assert losses_of(request(quality="auto", moderation="auto", background="opaque"), ()) == []
    require_lossless(asked, lost)
    with pytest.raises(UnsupportedFieldError) as caught:
        require_lossless(request(strict=True), lost)
    assert caught.value.param == "quality"


def test_negatives_are_said_at_the_end_and_own_fields_pass() -> None:
    assert prompt_of(request()) == "a cat"
    assert prompt_of(request(negative_prompt="blur")) == "a cat\n\nAvoid: blur."
    assert own_fields(request(extra={"steps": 4, "x": 1}), ("steps",)) == {"steps": 4}


@pytest.mark.parametrize("model", ["flux-2-pro", "fal-ai/flux/schnell", "owner/name.v1", "a_b"])
def test_a_model_may_stand_in_a_path(model: str) -> None:
    assert model_path(model) == model


@pytest.mark.parametrize("model", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/..", "a?b", "a#b", "a%2e", "a b", "é"])
def test_a_model_that_would_leave_its_path_is_not_asked_for(model: str) -> None:
    with pytest.raises(ModelNotFoundError):
        model_path(model)


@pytest.mark.parametrize(
    ("status", "kind", "billed"),
    [
        (400, BadRequestError, False),
        (401, AuthenticationError, False),
        (402, QuotaExhaustedError, False),
        (403, AuthenticationError, False),
        (404, ModelNotFoundError, False),
        (409, UnavailableError, True),
        (413, BadRequestError, False),
        (422, BadRequestError, False),
        (429, RateLimitedError, False),
        (500, UnavailableError, True),
        (503, UnavailableError, False),
        (504, UpstreamTimeoutError, True),
        (524, UpstreamTimeoutError, True),
    ],
)
def test_statuses(status: int, kind: type[ProviderError], billed: bool) -> None:
    error = status_error(status, {"retry-after": "3"}, "no, see https://x.example/")
    assert type(error) is kind
    assert may_be_billed(error) is billed
    if kind is BadRequestError:
        assert error.message == "no, see [url]"
    if status in (402, 429, 503):
        assert error.retry_after_s == 3.0


def test_moderation_is_final_and_named_as_openai_names_it() -> None:
    error = moderation_error(status=403, billed=True)
    assert isinstance(error, ContentBlockedError)
    assert (error.failover, error.client_status, error.code, error.billed) == (False, 400, "moderation_blocked", True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"bad"}', "bad"),
        (b'{"error":{"message":"bad"}}', "bad"),
        (b'{"detail":"bad"}', "bad"),
        (b'{"detail":[{"loc":["body"],"msg":"bad","type":"x"}]}', "bad"),
        (b'{"name":"bad_request","errors":["bad"]}', "bad"),
        (b'{"title":"bad","status":422}', "bad"),
        (b"<html>", ""),
        (b"", ""),
        (b"[]", ""),
        (b"7", ""),
    ],
)
def test_the_words_of_an_error_are_found_in_every_known_shape(body: bytes, message: str) -> None:
    assert message_in(body) == message


@given(st.binary(max_size=40))
def test_an_answer_is_an_object_or_a_bad_answer(body: bytes) -> None:
    try:
        read = json_object(body)
    except BadResponseError:
        return
    assert isinstance(read, dict)


@pytest.mark.parametrize(
    ("value", "money"),
    [(4, "4"), (0.011, "0.011"), ("0.5", "0.5"), (True, None), (-1, None), ("x", None), (None, None), ("NaN", None)],
)
def test_money_is_a_number_that_can_be_one(value: Any, money: str | None) -> None:
    assert money_in(value) == (None if money is None else Decimal(money))


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://api.bfl.ai/v1/x", True),
        ("https://api.eu1.bfl.ai/v1/get_result?id=1", True),
        ("https://bfl.ai/", True),
        ("http://api.eu1.bfl.ai/", False),
        ("https://api.eu1.bfl.ai:8443/", False),
        ("https://evilbfl.ai/", False),
        ("https://bfl.ai.evil.example/", False),
        ("https://u:p@api.bfl.ai/", False),
        ("https://169.254.169.254/", False),
        ("nonsense", False),
    ],
)
def test_a_key_stays_within_its_vendor(url: str, allowed: bool) -> None:
    assert may_carry_key(url, "https://api.bfl.ai/v1", ("bfl.ai",)) is allowed


def test_a_key_for_ones_own_host_does_not_go_to_the_vendor() -> None:
    assert not may_carry_key("https://api.bfl.ai/v1/x", "http://10.0.0.7:8000/v1", ("bfl.ai",))
    assert may_carry_key("http://10.0.0.7:8000/else", "http://10.0.0.7:8000/v1")
    assert not may_carry_key("http://10.0.0.7:8001/else", "http://10.0.0.7:8000/v1")
