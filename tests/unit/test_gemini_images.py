"""Picture requests and answers on Gemini's wire."""

import base64
import json
from typing import Any

import pytest

from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import BadResponseError, ContentBlockedError, UnsupportedFieldError
from providers.gemini.images import from_image_content, to_image_content
from providers.pictures import nearest_ratio, sniff_mime
from providers.types import ImageInput, ImageRequest, ImageSize

TEN = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
FLASH = ModelInfo(
    name="gemini-3.1-flash-image",
    kind="image",
    image=ImageCapabilities(tiers=("512", "1K", "2K", "4K"), ratios=TEN, references=2),
)
FIXED = ModelInfo(name="gemini-2.5-flash-image", kind="image", image=ImageCapabilities(ratios=TEN, references=3))
PRO = ModelInfo(name="gemini-3-pro-image", kind="image", image=ImageCapabilities(tiers=("1K", "2K"), ratios=TEN))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def size(width: int, height: int, tier: str, *, explicit: bool = True) -> ImageSize:
    return ImageSize(width=width, height=height, tier=tier, explicit=explicit)


def asked(info: ModelInfo = FLASH, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    translated = to_image_content(ImageRequest(model="m", prompt="a cat", **fields), info)
    body: dict[str, Any] = dict(translated.body)
    return body, translated.warnings


def answer(parts: list[Any], reason: str = "STOP", **more: Any) -> bytes:
    return json.dumps({"candidates": [{"content": {"parts": parts}, "finishReason": reason}], **more}).encode()


def picture(data: bytes = PNG, mime: str = "image/png", **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}, **more}


@pytest.mark.parametrize(
    ("info", "fields", "config", "warnings"),
    [
        (FLASH, {}, None, ()),
        (FLASH, {"size": size(1792, 1024, "1K")}, {"aspectRatio": "16:9", "imageSize": "1K"}, ()),
        (FLASH, {"size": size(1536, 1024, "1K")}, {"aspectRatio": "3:2", "imageSize": "1K"}, ()),
        (FLASH, {"size": size(3840, 2160, "4K")}, {"aspectRatio": "16:9", "imageSize": "4K"}, ()),
        (FLASH, {"size": size(3000, 1000, "2K")}, {"aspectRatio": "21:9", "imageSize": "2K"}, ("size=snapped:21:9",)),
        (FIXED, {"size": size(1792, 1024, "1K")}, {"aspectRatio": "16:9"}, ()),
        (FIXED, {"size": size(2048, 2048, "2K")}, {"aspectRatio": "1:1"}, ("size=tier:1K",)),
        (PRO, {"size": size(3840, 3840, "4K")}, {"aspectRatio": "1:1", "imageSize": "2K"}, ("size=tier:2K",)),
        (FLASH, {"quality": "hd"}, {"imageSize": "2K"}, ()),
        (FLASH, {"quality": "low"}, {"imageSize": "1K"}, ()),
        (FLASH, {"quality": "auto"}, None, ()),
        (
            FLASH,
            {"quality": "hd", "size": size(1024, 1024, "1K")},
            {"aspectRatio": "1:1", "imageSize": "1K"},
            ("quality=dropped",),
        ),
        (
            FLASH,
            {"quality": "high", "size": size(1024, 1024, "1K", explicit=False)},
            {"aspectRatio": "1:1", "imageSize": "2K"},
            (),
        ),
        (FIXED, {"quality": "hd"}, None, ("quality=dropped",)),
    ],
)
def test_a_size_becomes_this_ratio_and_tier(info: ModelInfo, fields: Any, config: Any, warnings: Any) -> None:
    body, seen = asked(info, **fields)
    assert body["generationConfig"].get("imageConfig") == config
    assert body["generationConfig"]["responseModalities"] == ["TEXT", "IMAGE"]
    assert seen == warnings


def test_the_loss_of_a_ratio_is_a_fraction() -> None:
    ratio, loss = nearest_ratio(1792 / 1024, TEN)
    assert ratio == "16:9"
    assert loss == pytest.approx(0.0159, abs=0.0005)


def test_references_stand_before_the_prompt() -> None:
    body, _ = asked(images=(ImageInput(PNG, "image/png"), ImageInput(b"x", "image/jpeg")))
    parts = body["contents"][0]["parts"]
    assert [part.get("inlineData", {}).get("mimeType") for part in parts] == ["image/png", "image/jpeg", None]
    assert parts[2] == {"text": "a cat"}
    assert base64.b64decode(parts[0]["inlineData"]["data"]) == PNG


def test_what_the_wire_has_no_place_for_is_named() -> None:
    body, warnings = asked(negative_prompt="dogs, cars", seed=3, input_fidelity="high")
    assert body["contents"][0]["parts"] == [{"text": "a cat\n\nAvoid: dogs, cars"}]
    assert warnings == ("negative_prompt=folded", "seed=ignored", "input_fidelity=dropped")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"mask": ImageInput(PNG, "image/png"), "images": (ImageInput(PNG, "image/png"),)}, "mask"),
        ({"background": "transparent"}, "background"),
        ({"images": (ImageInput(PNG, "image/png"),) * 3}, "image"),
        ({"seed": 1, "strict": True}, "seed"),
    ],
)
def test_what_would_break_the_contract_is_refused(fields: Any, param: str) -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        asked(**fields)
    assert caught.value.param == param


def test_drafts_are_left_out_and_the_type_is_read_from_the_bytes() -> None:
    jpeg = b"\xff\xd8\xff\xe0rest"
    body = answer(
        [picture(b"draft", thought=True), {"text": "Here:"}, picture(jpeg), picture()],
        usageMetadata={"promptTokenCount": 4, "candidatesTokenCount": 1290},
        modelVersion="served",
    )
    response = from_image_content(body, model="asked", warnings=("seed=ignored",))
    assert [(image.data, image.mime) for image in response.images] == [(jpeg, "image/jpeg")]
    assert response.model == "served"
    assert response.warnings == ("seed=ignored",)
    assert response.usage is not None
    assert response.usage.completion_tokens == 1290
    assert len(from_image_content(body, model="asked", per_call=2).images) == 2


@pytest.mark.parametrize("reason", ["IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "SAFETY"])
def test_a_filtered_picture_is_a_moderation_error(reason: str) -> None:
    with pytest.raises(ContentBlockedError) as caught:
        from_image_content(answer([], reason), model="m")
    assert caught.value.code == "moderation_blocked"
    assert not caught.value.failover


def test_a_blocked_prompt_is_a_moderation_error() -> None:
    with pytest.raises(ContentBlockedError):
        from_image_content(b'{"promptFeedback":{"blockReason":"IMAGE_SAFETY"}}', model="m")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (answer([], "NO_IMAGE"), "without a picture"),
        (answer([{"text": "I would rather not. See https://x.test/y"}]), "I would rather not."),
        (b"{}", "without a picture"),
    ],
)
def test_no_picture_is_a_bad_answer_with_the_models_words(body: bytes, words: str) -> None:
    with pytest.raises(BadResponseError) as caught:
        from_image_content(body, model="m")
    assert caught.value.outcome == "no_image"
    assert caught.value.code == "upstream_no_image"
    assert words in caught.value.message
    assert "https://" not in caught.value.message
    assert caught.value.billed


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xdb", "image/jpeg"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00\x20ftypavif", "image/avif"),
        (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"<svg>", None),
        (b"", None),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(data: bytes, mime: str | None) -> None:
    assert sniff_mime(data) == mime
