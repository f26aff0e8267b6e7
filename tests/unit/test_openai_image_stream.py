"""The events of OpenAI's streamed images, in any order and state."""

import base64
import json
from typing import Any

import pytest
from pictures import picture

from providers.errors import BadResponseError, ContentBlockedError, ProviderError
from providers.openai.image_stream import ImageEvents

PNG = picture()
B64 = base64.b64encode(PNG).decode()
USAGE = {"input_tokens": 5, "output_tokens": 300, "total_tokens": 305}


def event(kind: str, **data: Any) -> bytes:
    return json.dumps({"type": kind, "b64_json": B64, **data}).encode()


@pytest.mark.parametrize("name", ["image_generation", "image_edit"])
def test_previews_come_one_by_one_and_the_answer_at_the_end(name: str) -> None:
    events = ImageEvents("m")
    shown = [
        preview
        for index in range(2)
        for preview in events.feed(event(f"{name}.partial_image", partial_image_index=index))
    ]
    assert [(preview.data, preview.mime, preview.index) for preview in shown] == [
        (PNG, "image/png", 0),
        (PNG, "image/png", 1),
    ]
    assert events.shown
    assert events.feed(event(f"{name}.completed", usage=USAGE)) == []
    answer = events.finish()
    assert [item.data for item in answer.items] == [PNG]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.image_completion_tokens) == (5, 300)


def test_a_stream_without_its_end_is_a_bad_answer() -> None:
    events = ImageEvents("m")
    events.feed(event("image_generation.partial_image"))
    with pytest.raises(BadResponseError) as caught:
        events.finish()
    assert (caught.value.outcome, caught.value.billed) == ("stream_truncated", True)


def test_an_error_event_is_what_it_says() -> None:
    refused = {"error": {"code": "moderation_blocked", "message": "no", "type": "image_generation_user_error"}}
    for wrapped in (refused, {"type": "error", **refused}):
        with pytest.raises(ContentBlockedError) as caught:
            ImageEvents("m").feed(json.dumps(wrapped).encode())
        assert caught.value.billed


@pytest.mark.parametrize(
    "data",
    [
        b"[DONE]",
        b"{}",
        b'{"type":"image_generation.partial_image"}',
        b'{"type":"image_generation.partial_image","b64_json":"aGVsbG8="}',
        b'{"type":"image_generation.partial_image","b64_json":5}',
        b'{"type":5,"b64_json":"aGVsbG8="}',
        b'{"type":"image_generation.progress","b64_json":"aGVsbG8="}',
    ],
)
def test_what_is_no_preview_shows_nothing(data: bytes) -> None:
    events = ImageEvents("m")
    assert events.feed(data) == []
    assert not events.shown


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff"])
def test_what_cannot_be_read_is_a_provider_error(data: bytes) -> None:
    with pytest.raises(ProviderError):
        ImageEvents("m").feed(data)


def test_an_odd_index_is_none() -> None:
    (preview,) = ImageEvents("m").feed(event("image_edit.partial_image", partial_image_index="x"))
    assert preview.index == 0
