"""What of a request goes to litellm, what is dropped with a warning, and what is refused."""

from typing import Any

import orjson
import pytest

from providers.catalogue import ModelInfo
from providers.errors import UnsupportedFieldError
from providers.litellm_sdk.arguments import (
    chat_arguments,
    embedding_arguments,
    image_arguments,
    put_inline,
    remote_pictures,
)
from providers.types import ChatRequest, EmbeddingRequest, Fetched, ImageInput, ImageRequest, ImageSize

INFO = ModelInfo(name="m", kind="image")
SUPPORTED = ("temperature", "max_tokens", "tools", "stream")
URL = "https://example.com/cat.png"


def chat(strict: bool = False, **fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages_json=b"[]", fields=fields, strict=strict)


def test_listed_fields_that_the_provider_takes_travel() -> None:
    made = chat_arguments(chat(temperature=0.5, max_tokens=9, tools=[]), SUPPORTED)
    assert made.fields == {"temperature": 0.5, "max_tokens": 9, "tools": []}
    assert made.warnings == ()


@pytest.mark.parametrize("supported", [None, SUPPORTED, ("api_base", "api_key", "mock_response", "extra_headers")])
@pytest.mark.parametrize(
    "name",
    [
        "api_base", "base_url", "api_key", "api_version", "model", "messages", "stream", "extra_headers", "extra_body",
        "mock_response", "custom_llm_provider", "callbacks", "metadata", "timeout", "num_retries", "fallbacks", "proxy",
        "model_list", "caching", "client", "headers", "drop_params", "aws_access_key_id", "vertex_credentials",
    ],
)  # fmt: skip
def test_nothing_unlisted_travels(name: str, supported: tuple[str, ...] | None) -> None:
    made = chat_arguments(chat(**{name: "x"}), supported)
    assert made.fields == {}
    assert made.warnings == (f"{name}=ignored",)


@pytest.mark.parametrize("field", [{"seed": 1}, {"user": "u"}, {"top_p": 0.5}, {"reasoning_effort": "low"}])
def test_a_loss_is_a_warning_or_refused_when_strict(field: dict[str, Any]) -> None:
    (name,) = field
    assert chat_arguments(chat(**field), SUPPORTED).warnings == (f"{name}=ignored",)
    with pytest.raises(UnsupportedFieldError) as caught:
        chat_arguments(chat(strict=True, **field), SUPPORTED)
    assert caught.value.param == name


@pytest.mark.parametrize(
    "field",
    [{"n": 2}, {"response_format": {"type": "json_object"}}, {"logprobs": True}, {"stop": ["x"]}, {"audio": {}}],
)
def test_what_would_change_the_answer_is_refused_for_this_provider(field: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        chat_arguments(chat(**field), SUPPORTED)
    assert caught.value.param == next(iter(field))
    assert caught.value.failover
    assert chat_arguments(chat(**field), None).fields == field


def test_what_is_usual_anyway_is_left_out_silently() -> None:
    made = chat_arguments(chat(n=1, logprobs=False, tool_choice="auto"), SUPPORTED)
    assert (made.fields, made.warnings) == ({}, ())


def test_either_name_of_the_output_limit_does() -> None:
    assert chat_arguments(chat(max_completion_tokens=7), SUPPORTED).fields == {"max_tokens": 7}
    assert chat_arguments(chat(max_tokens=7), ("max_completion_tokens",)).fields == {"max_completion_tokens": 7}
    with pytest.raises(UnsupportedFieldError):
        chat_arguments(chat(max_tokens=7), ())


def test_a_picture_is_asked_for_by_pixels_and_quality() -> None:
    size = ImageSize(width=1024, height=768, tier="1K")
    made = image_arguments(ImageRequest(model="m", prompt="a cat", n=2, size=size, quality="high", seed=4), INFO)
    assert made.fields == {"prompt": "a cat", "n": 2, "size": "1024x768", "quality": "high"}
    assert made.warnings == ("seed=ignored",)


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"images": (ImageInput(b"x", "image/png"),)}, "image"), ({"background": "transparent"}, "background")],
)
def test_edits_and_transparency_are_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        image_arguments(ImageRequest(model="m", prompt="a cat", **fields), INFO)
    assert caught.value.param == param


def test_embeddings_ask_for_no_form() -> None:
    request = EmbeddingRequest(model="m", inputs=("a",), dimensions=8, encoding_format="base64", extra={"x": 1})
    made = embedding_arguments(request)
    assert (made.fields, made.warnings) == ({"dimensions": 8}, ("x=ignored",))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
        {"type": "image_url", "image_url": URL},
        {"type": "input_image", "image_url": f" {URL} "},
        {"type": "image_url", "image_url": {"url": "HTTP://169.254.169.254/"}},
    ],
)
def test_pictures_by_url_are_found_and_put_inline(part: dict[str, Any]) -> None:
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": URL}, part]}]
    (picture,) = remote_pictures(messages)
    assert picture.where == "messages[0].content[1]"
    put_inline(picture, Fetched(data=b"cat", mime="image/png", final_url=URL))
    assert b"://" not in orjson.dumps(messages[0]["content"][1])
    assert not list(remote_pictures(messages))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": URL}},
        {"type": "file", "file": {"file_data": URL}},
        {"type": "video_url", "video_url": {"url": URL}},
        {"type": "video_url", "video_url": URL},
        {"type": "unheard-of", "source": {"href": URL}},
    ],
)
def test_anything_else_by_url_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        list(remote_pictures([{"role": "user", "content": [part]}]))
    assert caught.value.param == "messages[0].content[0]"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": f"look at {URL}"},
        {"role": "user", "content": [{"type": "text", "text": URL}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        {"role": "assistant", "content": None},
    ],
)
def test_text_and_data_urls_are_left_alone(message: dict[str, Any]) -> None:
    assert not list(remote_pictures([message]))
