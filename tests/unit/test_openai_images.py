"""Pictures over OpenAI's wire: what each upstream may be sent, and the bytes it sends back however it wraps them."""

import base64
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import (
    BadResponseError,
    ContentBlockedError,
    ProviderError,
    RateLimitedError,
    UnsupportedFieldError,
)
from providers.openai.images import (
    from_images,
    image_warnings,
    spoken,
    to_edit_form,
    to_generation_body,
)
from providers.pictures import decoded_base64, to_picture
from providers.types import ImageInput, ImageRequest, ImageSize, Usage

INFO = ModelInfo(name="m", kind="image")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
B64 = base64.b64encode(PNG).decode()
WIDE = ImageSize(width=1536, height=1024, tier="1K")


def request(**more: Any) -> ImageRequest:
    return ImageRequest(model="public", prompt="a brass orrery", **more)


def sent(asked: ImageRequest, model: str, info: ModelInfo = INFO) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(to_generation_body(asked, spoken(model), info))
    return body


def test_a_gpt_image_model_gets_its_own_words() -> None:
    extra = {"response_format": "url", "style": "vivid", "complexity": "low", "svg": None}
    asked = request(n=2, size=WIDE, quality="hd", background="opaque", moderation="low", user="u", extra=extra)
    assert sent(asked, "gpt-image-2.5-flare") == {
        "model": "gpt-image-2.5-flare",
        "prompt": "a brass orrery",
        "n": 2,
        "size": "1536x1024",
        "quality": "high",
        "background": "opaque",
        "moderation": "low",
        "user": "u",
        "complexity": "low",
    }


@pytest.mark.parametrize(("asked", "got"), [("standard", "medium"), ("hd", "high"), ("low", "low"), ("max", "max")])
def test_old_qualities_are_mapped_for_gpt_image(asked: str, got: str) -> None:
    assert sent(request(quality=asked), "openai/gpt-image-2")["quality"] == got
    assert sent(request(quality=asked), "other-model")["quality"] == asked


def test_a_quality_that_the_model_lacks_becomes_its_best_and_is_named() -> None:
    second = ModelInfo(name="m", kind="image", image=ImageCapabilities(qualities=("low", "medium", "high")))
    assert sent(request(quality="max"), "gpt-image-2", second)["quality"] == "high"
    assert image_warnings(request(quality="max"), spoken("gpt-image-2"), second) == ("quality=high",)
    assert image_warnings(request(quality="hd"), spoken("gpt-image-2"), second) == ()
    assert sent(request(quality="auto"), "gpt-image-2", second)["quality"] == "auto"
    with pytest.raises(UnsupportedFieldError) as caught:
        sent(request(quality="xhigh", strict=True), "gpt-image-2", second)
    assert caught.value.param == "quality"


def test_compression_is_dropped_where_the_format_has_none() -> None:
    assert "output_compression" not in sent(request(output_compression=80), "gpt-image-2")
    assert "output_compression" not in sent(request(output_compression=80, output_format="png"), "gpt-image-2")
    assert sent(request(output_compression=80, output_format="webp"), "gpt-image-2")["output_compression"] == 80


def test_seed_and_negatives_are_folded_or_named() -> None:
    asked = request(seed=7, negative_prompt="text, blur")
    body = sent(asked, "gpt-image-2")
    assert body["prompt"] == "a brass orrery\n\nAvoid: text, blur."
    assert not body.keys() & {"seed", "negative_prompt"}
    assert image_warnings(asked, spoken("gpt-image-2"), INFO) == (
        "seed=ignored",
        "negative_prompt=folded into the prompt",
    )
    with pytest.raises(UnsupportedFieldError) as caught:
        sent(request(seed=7, strict=True), "gpt-image-2")
    assert caught.value.param == "seed"


def test_another_upstream_gets_what_the_caller_sent_and_is_asked_for_bytes() -> None:
    body = sent(request(seed=7, negative_prompt="blur", extra={"style": "vivid", "response_format": "url"}), "flux")
    assert body == {
        "model": "flux",
        "prompt": "a brass orrery",
        "n": 1,
        "seed": 7,
        "negative_prompt": "blur",
        "style": "vivid",
        "response_format": "b64_json",
    }
    assert image_warnings(request(seed=7), spoken("flux"), INFO) == ()


def test_a_model_of_ratios_gets_the_nearest_one_and_its_tier() -> None:
    can = ImageCapabilities(ratios=("auto", "1:1", "3:2", "16:9"), tiers=("1k", "2k"))
    body = sent(request(size=WIDE), "grok", ModelInfo(name="grok", image=can))
    assert (body["aspect_ratio"], body["resolution"]) == ("3:2", "1k")
    assert "size" not in body


def test_an_edit_form_has_the_names_the_sdks_use() -> None:
    one = ImageInput(PNG, "image/png", "../../evil\r\n.png")
    texts, files = to_edit_form(request(images=(one,), mask=one, input_fidelity="high"), spoken("gpt-image-1.5"), INFO)
    assert dict(texts) == {"model": "gpt-image-1.5", "prompt": "a brass orrery", "n": "1", "input_fidelity": "high"}
    assert [(file.field, file.filename, file.mime) for file in files] == [
        ("image", "image-0.png", "image/png"),
        ("mask", "mask.png", "image/png"),
    ]
    _, files = to_edit_form(request(images=(one, ImageInput(PNG, "image/jpeg"))), spoken("gpt-image-2"), INFO)
    assert [(file.field, file.filename) for file in files] == [("image[]", "image-0.png"), ("image[]", "image-1.jpg")]


def test_nested_fields_of_a_form_are_flattened() -> None:
    extra = {"svg": {"model": "m", "reasoning": {"effort": "low"}}, "arr": ["a", "b"], "flag": True, "n2": 5}
    texts, _ = to_edit_form(request(images=(ImageInput(PNG, "image/png"),), extra=extra), spoken("flux"), INFO)
    assert texts[:6] == [
        ("svg[model]", "m"),
        ("svg[reasoning][effort]", "low"),
        ("arr[]", "a"),
        ("arr[]", "b"),
        ("flag", "true"),
        ("n2", "5"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        B64,
        f"data:image/png;base64,{B64}",
        B64.rstrip("="),
        "\n".join(B64[i : i + 60] for i in range(0, len(B64), 60)),
        base64.urlsafe_b64encode(PNG).decode(),
        base64.urlsafe_b64encode(PNG).decode().rstrip("="),
    ],
)
def test_base64_is_read_in_every_spelling(text: str) -> None:
    assert decoded_base64(text) == PNG


@given(st.binary(), st.booleans())
def test_base64_round_trips(data: bytes, padded: bool) -> None:
    text = base64.b64encode(data).decode()
    assert decoded_base64(text if padded else text.rstrip("=")) == data


@given(st.text())
def test_no_text_breaks_the_decoder(text: str) -> None:
    assert isinstance(decoded_base64(text), bytes)


def answer(*items: Any, **more: Any) -> bytes:
    return orjson.dumps({"created": 1, "data": list(items), **more})


def test_items_bytes_urls_and_usage() -> None:
    usage = {"input_tokens": 31, "output_tokens": 1400, "total_tokens": 1431}
    got = from_images(
        answer(
            {"b64_json": B64, "revised_prompt": "better"}, {"url": "https://x/y.png", "b64_json": None}, usage=usage
        ),
        model="m",
    )
    assert got.items[0].data == PNG
    assert got.items[0].revised_prompt == "better"
    assert (got.items[1].data, got.items[1].url) == (None, "https://x/y.png")
    assert got.usage == Usage(prompt_tokens=31, completion_tokens=1400, image_completion_tokens=1400)


def test_a_data_url_is_bytes_too() -> None:
    assert from_images(answer({"url": f"data:image/png;base64,{B64}"}), model="m").items[0].data == PNG


def test_a_price_without_counts() -> None:
    got = from_images(answer({"b64_json": B64}, usage={"cost_in_usd_ticks": 200000000}), model="m")
    assert (got.usage, got.cost_usd) == (None, Decimal("0.02"))


@pytest.mark.parametrize(
    ("body", "kind", "outcome"),
    [
        (b'{"created":1,"data":[]}', BadResponseError, "empty"),
        (b"{}", BadResponseError, "empty"),
        (b"", BadResponseError, "empty_body"),
        (answer({"b64_json": ""}), BadResponseError, "bad_image"),
        (answer({"b64_json": None, "url": ""}), BadResponseError, "bad_image"),
        (answer({"url": "", "respect_moderation": False}), ContentBlockedError, "filtered"),
        (b'{"error":{"code":"moderation_blocked","message":"no"}}', ContentBlockedError, "filtered"),
        (b'{"error":{"code":429}}', RateLimitedError, "rate_limited"),
    ],
)
def test_answers_without_a_picture(body: bytes, kind: type[ProviderError], outcome: str) -> None:
    with pytest.raises(ProviderError) as caught:
        from_images(body, model="m")
    assert (type(caught.value), caught.value.outcome) == (kind, outcome)
    if kind is ContentBlockedError:
        assert caught.value.code == "moderation_blocked"


@pytest.mark.parametrize("data", [b"", b"<html>", b"hello world, this is text"])
def test_what_is_no_picture_is_refused_by_its_bytes(data: bytes) -> None:
    with pytest.raises(BadResponseError) as caught:
        to_picture(data)
    assert (caught.value.outcome, caught.value.billed) == ("bad_image", True)
