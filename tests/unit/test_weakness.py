"""What is plainly unusable in an answer, and what is not to be mistaken for it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.types import ChatChunk
from router.api.streaming.gathering import joined
from router.api.weakness import weakness

OBJECT = {"response_format": {"type": "json_object"}}
SCHEMA = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": {"type": "object", "required": ["a", "b"], "properties": {}}},
    }
}
LIST = {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "array"}}}}
LOOP = "I am sorry. " * 100


def choice(text: str | None = "fine", finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}


def call(arguments: str) -> dict[str, Any]:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    return choice(None, "tool_calls", tool_calls=calls)


@pytest.mark.parametrize(
    ("answer", "fields", "found"),
    [
        (choice(), {}, ""),
        (choice(""), {}, ""),
        (choice(None, "length"), {}, "cut_empty"),
        (choice(" \n", "length"), {}, "cut_empty"),
        (choice(None, "length", images=[{}]), {}, ""),
        (choice("half a sen", "length"), {}, ""),
        (choice(None, "content_filter"), {}, ""),
        (choice(None, refusal="no"), OBJECT, ""),
        (choice("{}"), OBJECT, ""),
        (choice("Sure: {}"), OBJECT, "invalid_json"),
        (choice("```json\n{}\n```"), OBJECT, "invalid_json"),
        (choice("[1]"), OBJECT, "invalid_json"),
        (choice('{"a": 1, "b": 2}'), SCHEMA, ""),
        (choice('{"a": 1}'), SCHEMA, "missing_keys"),
        (choice('{"a": 1, "b"'), SCHEMA, "invalid_json"),
        (choice('{"a": 1, "b"', "length"), SCHEMA, ""),
        (choice("7"), SCHEMA, "invalid_json"),
        (choice("[1]"), LIST, ""),
        (choice("no JSON"), {"response_format": {"type": "text"}}, ""),
        (call('{"x": 1}'), {}, ""),
        (call(""), {}, ""),
        (call('{"x": '), {}, "invalid_arguments"),
        (call("[1]"), {}, "invalid_arguments"),
        (call('{"x": '), OBJECT, "invalid_arguments"),
        (choice(LOOP, "length"), {}, "repetition"),
        (choice(LOOP), {}, ""),
        (choice("".join(str(n) for n in range(1000)), "length"), {}, ""),
        (choice("a" * 500, "length"), {}, ""),
    ],
)
def test_what_is_unusable(answer: dict[str, Any], fields: dict[str, Any], found: str) -> None:
    assert weakness([answer], fields) == found
    assert weakness([choice('{"a": 1, "b": 2}'), answer], fields) in (found, "invalid_json")


def test_a_call_of_a_custom_tool_has_no_arguments_to_judge() -> None:
    calls = [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "{"}}]
    assert weakness([choice(None, "tool_calls", tool_calls=calls)], {}) == ""


@given(st.text(), st.sampled_from(["stop", "length", "tool_calls"]), st.sampled_from([{}, OBJECT, SCHEMA, LIST]))
def test_any_answer_can_be_judged(text: str, finish: str, fields: dict[str, Any]) -> None:
    assert weakness([choice(text, finish)], fields) == weakness([choice(text, finish)], fields)


# --- an answer in chunks is judged as if it had come whole


def test_chunks_say_together_what_a_whole_answer_says() -> None:
    pieces = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]
    chunks = [
        ChatChunk(delta={"role": "assistant", "content": "Wait"}),
        ChatChunk(delta={"content": " a moment", "reasoning_content": "hm"}),
        ChatChunk(delta={"tool_calls": pieces}),
        ChatChunk(delta={"tool_calls": [{"index": 0, "function": {"arguments": '{"x": '}}]}),
        ChatChunk(delta={"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
        ChatChunk(delta={"tool_calls": [{"index": 0, "function": {"arguments": "1"}}]}),
        ChatChunk(finish_reason="tool_calls"),
        ChatChunk(index=1, delta={"content": "other"}, finish_reason="stop"),
    ]
    first, second = joined(chunks)
    assert first["message"]["content"] == "Wait a moment"
    assert [one["function"]["arguments"] for one in first["message"]["tool_calls"]] == ['{"x": 1', "{}"]
    assert first["finish_reason"] == "tool_calls"
    assert second["message"]["content"] == "other"
    assert weakness([first], {}) == "invalid_arguments"


@given(st.lists(st.text(max_size=8), max_size=8))
def test_text_in_pieces_is_the_text(pieces: list[str]) -> None:
    chunks = [ChatChunk(delta={"content": piece}) for piece in pieces] + [ChatChunk(finish_reason="stop")]
    assert joined(chunks)[0]["message"]["content"] == "".join(pieces)
