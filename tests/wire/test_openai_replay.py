"""Real recorded OpenAI-shaped traffic, replayed byte for byte through the adapter's translation."""

from collections.abc import Callable
from itertools import count
from typing import Any

import orjson
import pytest
import recorded
from recorded import Exchange

from providers.catalogue import ModelInfo
from providers.errors import (
    AuthenticationError,
    BadRequestError,
    ContextTooLongError,
    ModelNotFoundError,
    ProviderError,
    UnsupportedFieldError,
)
from providers.openai.images import from_images
from providers.openai.request import to_chat_body
from providers.openai.response import error_from, from_chat_completion
from providers.openai.stream import ChunkTranslator
from providers.pictures import to_picture
from providers.sse import EventDecoder
from providers.types import ChatChunk, ChatRequest, Usage

SHAPED_LIKE_OPENAI = {
    "openai": ("",),
    "gemini": ("googles-own-openai-compat",),
    "images": ("openai-", "xai-", "together-", "openrouter-"),
}


def chosen(fits: Callable[[Exchange], bool]) -> Any:
    """The exchanges that fit, as parameters; one skipped parameter where the folder is absent."""
    if not recorded.present():
        return [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=recorded.ABSENT))]
    found = [
        recorded.load(group, name)
        for group, starts in SHAPED_LIKE_OPENAI.items()
        for name in recorded.names(group)
        if name.startswith(starts)
    ]
    return [pytest.param(one, id=one.id) for one in found if fits(one)]


def is_chat(exchange: Exchange) -> bool:
    return exchange.path.endswith("/chat/completions") and exchange.status == 200


def is_stream(exchange: Exchange) -> bool:
    return exchange.headers.get("content-type", "").startswith("text/event-stream")


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{next(numbers):024d}"


def chunks_of(body: bytes, step: int) -> list[ChatChunk]:
    decoder, translator = EventDecoder(), ChunkTranslator(ids())
    chunks: list[ChatChunk] = []
    for start in range(0, len(body), step):
        for event in decoder.feed(body[start : start + step]):
            chunks += translator.feed(event)
    for event in decoder.finish():
        chunks += translator.feed(event)
    return chunks + translator.finish()


@pytest.mark.parametrize("exchange", chosen(lambda one: is_chat(one) and not is_stream(one)))
def test_a_plain_answer_comes_out_in_openais_closed_shape(exchange: Exchange) -> None:
    answer = from_chat_completion(exchange.body, model="asked", new_id=ids())
    sent = orjson.loads(exchange.body)
    assert answer.model == sent["model"]
    for choice, original in zip(answer.choices, sent["choices"], strict=True):
        message = choice["message"]
        assert isinstance(message, dict)
        assert message["content"] == original["message"].get("content")
        assert choice.keys() >= {"index", "message", "finish_reason", "logprobs"}
        assert message.keys() >= {"role", "content", "refusal"}
        calls = message.get("tool_calls", [])
        assert isinstance(calls, list)
        assert all(call["id"] and isinstance(call["function"]["arguments"], str) for call in calls)
        assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
    assert answer.usage.total_tokens == sent["usage"]["total_tokens"]
    assert not answer.usage.estimated


@pytest.mark.parametrize("exchange", chosen(lambda one: "openai-compat" in one.id))
def test_googles_own_layer_is_mended(exchange: Exchange) -> None:
    answer = from_chat_completion(exchange.body, model="asked", new_id=ids())
    assert answer.usage.reasoning_tokens > 0
    message = answer.choices[0]["message"]
    assert isinstance(message, dict)
    assert "extra_content" in message  # the signature has to come back with the next turn


@pytest.mark.parametrize("exchange", chosen(lambda one: is_chat(one) and is_stream(one)))
def test_a_stream_comes_out_the_same_however_it_is_cut(exchange: Exchange) -> None:
    body = exchange.body
    whole = chunks_of(body, len(body))
    assert chunks_of(body, 1) == whole
    assert chunks_of(body, 1000) == whole
    events = [orjson.loads(event) for event in EventDecoder().feed(body) if event != b"[DONE]"]
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    text = "".join(delta.get("content") or "" for delta in deltas)
    assert "".join(str(chunk.delta.get("content") or "") for chunk in whole) == text
    finishes = [choice["finish_reason"] for event in events for choice in event["choices"] if choice["finish_reason"]]
    assert [chunk.finish_reason for chunk in whole if chunk.finish_reason] == finishes
    assert sum("role" in chunk.delta for chunk in whole) == 1


@pytest.mark.parametrize("exchange", chosen(lambda one: is_stream(one) and "tools" in one.id))
def test_streamed_calls_have_one_id_and_name_and_whole_arguments(exchange: Exchange) -> None:
    body = exchange.body
    calls: dict[int, dict[str, list[str]]] = {}
    for chunk in chunks_of(body, 64):
        for entry in chunk.delta.get("tool_calls", ()):
            call = calls.setdefault(entry["index"], {"id": [], "name": [], "arguments": []})
            call["id"] += [entry["id"]] if "id" in entry else []
            function = entry["function"]
            call["name"] += [function["name"]] if "name" in function else []
            call["arguments"].append(function["arguments"])
    assert sorted(calls) == list(range(len(calls)))
    for call in calls.values():
        assert (len(call["id"]), len(call["name"])) == (1, 1)
        assert isinstance(orjson.loads("".join(call["arguments"])), dict)


@pytest.mark.parametrize("exchange", chosen(lambda one: one.id == "chat-stream-usage-chunk"))
def test_the_usage_chunk_is_the_answers_usage(exchange: Exchange) -> None:
    last = [chunk.usage for chunk in chunks_of(exchange.body, 99) if chunk.usage is not None][-1]
    assert last == Usage(prompt_tokens=12, completion_tokens=5)


KINDS: dict[str, tuple[type[ProviderError], str | None, str | None]] = {
    "chat-400-invalid-value": (BadRequestError, "invalid_value", "messages[3]"),
    "chat-400-missing-required": (BadRequestError, "missing_required_parameter", "messages[1].content[0].type"),
    "chat-400-stop-unsupported": (UnsupportedFieldError, "unsupported_parameter", "stop"),
    "chat-400-unsupported-image": (BadRequestError, "invalid_image_format", None),
    "chat-400-unsupported-value": (UnsupportedFieldError, "unsupported_value", "messages[0].role"),
    "chat-400-web-search": (BadRequestError, None, "web_search_options"),
    "chat-401-bad-key": (AuthenticationError, "upstream_auth", None),
    "chat-401-bad-key-b": (AuthenticationError, "upstream_auth", None),
    "chat-404-model": (ModelNotFoundError, "upstream_model_missing", None),
    "embeddings-404": (ModelNotFoundError, "upstream_model_missing", None),
    "responses-400-context-length": (ContextTooLongError, "context_length_exceeded", "input"),
    "together-images-1": (BadRequestError, None, "model"),
}


@pytest.mark.parametrize("exchange", chosen(lambda one: one.status >= 400))
def test_a_refusal_is_told_by_status_and_code(exchange: Exchange) -> None:
    error = error_from(exchange.status, exchange.headers, exchange.body)
    assert (type(error), error.code, error.param) == KINDS[exchange.id]
    assert "sk-" not in error.message
    assert "http" not in error.message


@pytest.mark.parametrize("exchange", chosen(lambda one: is_chat(one)))
def test_the_recorded_request_goes_out_as_it_came(exchange: Exchange) -> None:
    sent = exchange.request
    ours = ("model", "messages", "stream", "stream_options")
    request = ChatRequest(
        model="public",
        messages_json=orjson.dumps(sent["messages"]),
        fields={name: value for name, value in sent.items() if name not in ours},
        stream=bool(sent.get("stream")),
    )
    body = orjson.loads(to_chat_body(request, sent["model"], ModelInfo(name="m")))
    assert {name: body[name] for name in sent if name not in ("stream", "stream_options")} == {
        name: value for name, value in sent.items() if name not in ("stream", "stream_options")
    }


def has_pictures(exchange: Exchange) -> bool:
    return "/images" in exchange.path and exchange.status == 200


@pytest.mark.parametrize("exchange", chosen(has_pictures))
def test_pictures_are_decoded_or_left_as_addresses(exchange: Exchange) -> None:
    answer = from_images(exchange.body, model="asked")
    assert len(answer.items) == len(orjson.loads(exchange.body)["data"])
    for item in answer.items:
        if item.data is not None:
            assert to_picture(item.data).mime in ("image/png", "image/jpeg", "image/webp")
        else:
            assert item.url is not None
            assert item.url.startswith("https://")
    if exchange.id.startswith(("xai-", "openrouter-")):
        assert answer.cost_usd is not None
        assert answer.cost_usd > 0
