"""Streamed answers: joined, they equal the plain answer; whatever the upstream breaks is mended or named."""

from collections.abc import Callable
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import (
    BadResponseError,
    ProviderError,
    RateLimitedError,
    StreamInterruptedError,
    UnavailableError,
)
from providers.openai.response import from_chat_completion
from providers.openai.stream import ChunkTranslator, to_chunks
from providers.types import ChatChunk, Usage

DONE = b"[DONE]"


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"new{next(numbers)}"


def event(delta: Any = None, finish: Any = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": {} if delta is None else delta, "finish_reason": finish}
    return orjson.dumps({"id": "c", "object": "chat.completion.chunk", "model": "served", "choices": [choice], **more})


def text(content: str) -> bytes:
    return event({"content": content})


def translate(*events: bytes) -> list[ChatChunk]:
    translator = ChunkTranslator(ids())
    return [chunk for data in events for chunk in translator.feed(data)] + translator.finish()


def deltas(*events: bytes) -> list[dict[str, Any]]:
    return [dict(chunk.delta) for chunk in translate(*events) if chunk.delta]


def joined(chunks: list[ChatChunk], index: int = 0) -> tuple[str, list[dict[str, str]], str | None]:
    """Content, calls and finish reason of one choice, put together the naive way clients do it."""
    content, calls, finish = "", [], None
    for chunk in chunks:
        if chunk.index != index:
            continue
        content += str(chunk.delta.get("content") or "")
        for entry in chunk.delta.get("tool_calls") or ():
            assert isinstance(entry, dict)
            while len(calls) <= entry["index"]:
                calls.append({"id": "", "name": "", "arguments": ""})
            call = calls[entry["index"]]
            call["id"] += str(entry.get("id", ""))
            function = entry.get("function") or {}
            assert isinstance(function, dict)
            call["name"] += str(function.get("name", ""))
            call["arguments"] += str(function.get("arguments", ""))
        finish = chunk.finish_reason or finish
    return content, calls, finish


def test_text_goes_through_with_one_role_and_one_finish() -> None:
    chunks = translate(
        event({"role": "assistant", "content": "", "refusal": None}),
        event({"role": "assistant", "content": "Par"}),
        text("is"),
        event({}, "stop"),
        event({}, "stop"),
        DONE,
    )
    assert [chunk.delta for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "Par"},
        {"content": "is"},
        {},
    ]
    assert [chunk.finish_reason for chunk in chunks] == [None, None, None, "stop"]


def test_the_model_is_learned_and_padding_is_dropped() -> None:
    translator = ChunkTranslator(ids())
    translator.feed(event({"content": "x"}, obfuscation="abc", service_tier="default", usage=None))
    assert translator.model == "served"


def test_data_after_done_is_ignored() -> None:
    assert joined(translate(text("x"), event({}, "stop"), DONE, text("more"), b"{garbage")) == ("x", [], "stop")


def test_a_missing_done_is_no_harm_once_the_finish_was_seen() -> None:
    assert joined(translate(text("x"), event({}, "length"))) == ("x", [], "length")


def test_done_without_a_finish_reason_gets_one() -> None:
    assert joined(translate(text("x"), DONE)) == ("x", [], "stop")


def test_an_end_without_finish_is_a_truncation() -> None:
    with pytest.raises(StreamInterruptedError) as caught:
        translate(text("x"))
    assert (caught.value.outcome, caught.value.billed) == ("stream_truncated", True)


def test_one_choice_without_finish_is_a_truncation() -> None:
    with pytest.raises(StreamInterruptedError):
        translate(text("x"), event({"content": "y"}, index=1), event({}, "stop"))


@pytest.mark.parametrize("events", [[], [event({"role": "assistant", "content": ""})], [b'{"choices":[]}']])
def test_an_end_before_any_content_may_be_asked_elsewhere(events: list[bytes]) -> None:
    with pytest.raises(BadResponseError) as caught:
        translate(*events)
    assert caught.value.outcome == "empty"


def test_empty_choices_as_azure_sends_them_are_skipped() -> None:
    first = b'{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}'
    assert joined(translate(first, text("x"), event({}, "stop"), DONE)) == ("x", [], "stop")


def test_a_stop_ahead_of_all_content_does_not_end_the_answer() -> None:
    chunks = translate(event({"role": "assistant"}, "stop"), text("late"), DONE)
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert chunks[-1].finish_reason == "stop"
    assert joined(chunks)[0] == "late"


def test_an_empty_answer_that_stopped_still_has_its_finish() -> None:
    chunks = translate(event({"role": "assistant", "content": ""}), event({}, "stop"), DONE)
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert not any(chunk.has_content for chunk in chunks)


@pytest.mark.parametrize(
    ("native", "finish", "kept"),
    [("length", "length", None), ("MAX_TOKENS", "length", "MAX_TOKENS"), ("eos", "stop", "eos")],
)
def test_finish_reasons_come_from_the_closed_set(native: str, finish: str, kept: str | None) -> None:
    last = translate(text("x"), event({}, native), DONE)[-1]
    assert (last.finish_reason, last.native_finish_reason) == (finish, kept)


def test_usage_in_any_chunk_the_last_one_counts() -> None:
    counts = [{"prompt_tokens": 3, "completion_tokens": n} for n in (1, 2)]
    closing = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":7}}'
    chunks = translate(
        event({"content": "a"}, usage=counts[0]),
        event({"content": "b"}, usage=counts[1]),
        event({}, "stop", usage=None),
        closing,
        DONE,
    )
    seen = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert seen[-1] == Usage(prompt_tokens=3, completion_tokens=7)
    assert len(seen) == 3
    assert joined(chunks) == ("ab", [], "stop")


def test_logprobs_travel_with_their_delta() -> None:
    data = orjson.dumps({"choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": {"content": [1]}}]})
    assert ChunkTranslator(ids()).feed(data)[0].logprobs == {"content": [1]}


def test_reasoning_has_one_name() -> None:
    assert deltas(event({"reasoning": "hm", "content": None}), event({}, "stop"), DONE) == [{"reasoning_content": "hm"}]


def test_choices_keep_apart() -> None:
    chunks = translate(text("a"), event({"content": "b"}, index=1), event({}, "stop"), event({}, "length", 1), DONE)
    assert joined(chunks) == ("a", [], "stop")
    assert joined(chunks, 1) == ("b", [], "length")


def calls(*entries: dict[str, Any]) -> bytes:
    return event({"tool_calls": list(entries)})


def part(
    index: int | None = 0, id: str | None = None, name: str | None = None, arguments: Any = None
) -> dict[str, Any]:
    entry: dict[str, Any] = {"function": {}}
    if index is not None:
        entry["index"] = index
    if id is not None:
        entry |= {"id": id, "type": "function"}
    if name is not None:
        entry["function"]["name"] = name
    if arguments is not None:
        entry["function"]["arguments"] = arguments
    return entry


F, G = ({"id": "call_a", "name": "f", "arguments": '{"x":1}'}, {"id": "call_b", "name": "g", "arguments": "{}"})

CALLS: list[tuple[str, list[bytes], list[dict[str, str]]]] = [
    (
        "as OpenAI sends them",
        [
            calls(part(0, "call_a", "f", "")),
            calls(part(0, arguments='{"x"')),
            calls(part(0, arguments=":1}")),
            calls(part(1, "call_b", "g", "")),
            calls(part(1, arguments="{}")),
        ],
        [F, G],
    ),
    ("both at once", [calls(part(0, "call_a", "f", '{"x":1}'), part(1, "call_b", "g", "{}"))], [F, G]),
    ("the index always 0", [calls(part(0, "call_a", "f", '{"x":1}')), calls(part(0, "call_b", "g", "{}"))], [F, G]),
    ("no index", [calls(part(None, "call_a", "f", '{"x":1}'), part(None, "call_b", "g", "{}"))], [F, G]),
    ("no index, in parts", [calls(part(None, "call_a", "f", '{"x"')), calls(part(None, arguments=":1}"))], [F]),
    (
        "indexes that start at 5",
        [calls(part(5, "call_a", "f", '{"x":1}')), calls(part(9, "call_b", "g", "{}"))],
        [F, G],
    ),
    (
        "id and name on every delta",
        [calls(part(0, "call_a", "f", '{"x"')), calls(part(0, "call_a", "f", ":1}"))],
        [F],
    ),
    ("a new id on every delta", [calls(part(0, "call_a", "f", '{"x"')), calls(part(0, "call_z", None, ":1}"))], [F]),
    ("the name repeated", [calls(part(0, "call_a", "f", '{"x"')), calls(part(0, None, "f", ":1}"))], [F]),
    ("the name late", [calls(part(0, "call_a", None, "")), calls(part(0, None, "f", '{"x":1}'))], [F]),
    ("arguments as an object", [calls(part(0, "call_a", "f", {"x": 1}))], [F]),
    ("no arguments at all", [calls(part(0, "call_b", "g"))], [G]),
    ("empty arguments", [calls(part(0, "call_b", "g", ""))], [G]),
    (
        "empty ids, the same function twice",
        [calls(part(0, "", "f", '{"x":1}')), calls(part(0, "", "f", '{"x":1}'))],
        [{**F, "id": "call_new1"}, {**F, "id": "call_new2"}],
    ),
    ("an empty id repeated", [calls(part(0, "call_a", "f", "")), calls(part(0, "", None, '{"x":1}'))], [F]),
    ("nonsense beside it", [calls(part(0, "call_a", "f", '{"x":1}'), 7, None)], [F]),
]


@pytest.mark.parametrize(("events", "want"), [case[1:] for case in CALLS], ids=[case[0] for case in CALLS])
def test_tool_calls(events: list[bytes], want: list[dict[str, str]]) -> None:
    chunks = translate(event({"role": "assistant", "content": None}), *events, event({}, "stop"), DONE)
    assert joined(chunks) == ("", want, "tool_calls")
    entries = [entry for chunk in chunks for entry in chunk.delta.get("tool_calls", ())]
    first = [entry for entry in entries if "id" in entry]
    assert [entry["type"] for entry in first] == ["function"] * len(want)
    assert [chunk.finish_reason for chunk in chunks][-1] == "tool_calls"


def test_signatures_on_calls_survive() -> None:
    extra = {"google": {"thought_signature": "s"}}
    entry = {**part(0, "a", "f", "{}"), "extra_content": extra}
    assert deltas(calls(entry), event({}, "stop"))[0]["tool_calls"][0]["extra_content"] == extra


def test_custom_tools_pass() -> None:
    entry = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}
    got = deltas(calls(entry), event({}, "tool_calls"))[0]["tool_calls"][0]
    assert got == {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}


ERRORS: list[tuple[bytes, type[ProviderError], int | None]] = [
    (b'{"error":{"message":"x","code":429}}', RateLimitedError, 429),
    (b'{"error":{"message":"x","code":"rate_limit_exceeded"}}', RateLimitedError, 429),
    (b'{"error":{"message":"x","code":null}}', UnavailableError, 500),
    (b'{"error":"x"}', UnavailableError, 500),
    (b'{"type":"error","error":{"type":"overloaded_error"}}', UnavailableError, 529),
    (b'{"object":"error","message":"x","code":503}', UnavailableError, 503),
    (b'[{"error":{"code":503,"status":"UNAVAILABLE"}}]', UnavailableError, 503),
    (b'{"choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"code":429}}]}', RateLimitedError, 429),
    (event({}, "error"), UnavailableError, None),
    (event({}, "abort"), UnavailableError, None),
    (b'{"choices":[', BadResponseError, None),
    (b"7", BadResponseError, None),
]


@pytest.mark.parametrize(("data", "kind", "status"), ERRORS)
def test_an_error_before_any_content_is_what_its_status_says(
    data: bytes, kind: type[ProviderError], status: int | None
) -> None:
    for before in ([], [event({"role": "assistant", "content": ""})]):
        with pytest.raises(ProviderError) as caught:
            translate(*before, data)
        assert (type(caught.value), caught.value.status) == (kind, status)


@pytest.mark.parametrize("data", [case[0] for case in ERRORS])
def test_an_error_after_content_is_an_interruption(data: bytes) -> None:
    with pytest.raises(StreamInterruptedError) as caught:
        translate(text("x"), data)
    assert caught.value.billed


def test_a_null_error_is_no_error() -> None:
    assert joined(translate(event({"content": "x"}, error=None), event({}, "stop"))) == ("x", [], "stop")


def test_a_plain_answer_becomes_the_same_stream() -> None:
    call = {"id": "", "type": "function", "function": {"name": "f", "arguments": ""}}
    message = {"content": "x", "tool_calls": [call, call]}
    body = orjson.dumps(
        {
            "choices": [{"message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        }
    )
    chunks = to_chunks(from_chat_completion(body, model="m", new_id=ids()))
    want = [{"id": f"call_new{n}", "name": "f", "arguments": "{}"} for n in (1, 2)]
    assert joined(chunks) == ("x", want, "tool_calls")
    assert chunks[-1].usage == Usage(prompt_tokens=1, completion_tokens=2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "index": JSON,
        "id": JSON,
        "function": JSON | st.fixed_dictionaries({}, optional={"name": JSON, "arguments": JSON}),
        "custom": JSON,
    },
)
DELTA = st.fixed_dictionaries(
    {}, optional={"role": JSON, "content": JSON, "reasoning": JSON, "tool_calls": JSON | st.lists(ENTRY, max_size=3)}
)
CHOICE = st.fixed_dictionaries({}, optional={"index": JSON, "delta": JSON | DELTA, "finish_reason": JSON})
EVENT = JSON | st.fixed_dictionaries({}, optional={"choices": JSON | st.lists(CHOICE, max_size=3), "usage": JSON})


@given(st.lists(EVENT, max_size=6), st.booleans())
def test_no_stream_raises_anything_but_a_provider_error(events: list[Any], done: bool) -> None:
    try:
        chunks = translate(*(orjson.dumps(data) for data in events), *([DONE] if done else []))
    except ProviderError:
        return
    finishes = [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
    assert set(finishes) <= {"stop", "length", "tool_calls", "content_filter", "function_call"}
