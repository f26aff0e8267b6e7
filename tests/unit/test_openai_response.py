"""Whole answers: OpenAI's closed shapes come out whatever the upstream makes of them."""

from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import (
    BadResponseError,
    ContextTooLongError,
    ProviderError,
    RateLimitedError,
    UnavailableError,
)
from providers.openai.response import from_chat_completion
from providers.openai.usage import image_usage_from, usage_from
from providers.types import ChatResponse, Usage


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"new{next(numbers)}"


def answer(choices: Any, **more: Any) -> bytes:
    return orjson.dumps(
        {"id": "chatcmpl-1", "object": "chat.completion", "model": "served", "choices": choices, **more}
    )


def read(body: bytes) -> ChatResponse:
    return from_chat_completion(body, model="asked", new_id=ids())


def one(message: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    choice = read(answer([{"index": 0, "message": message, "finish_reason": finish, **more}])).choices[0]
    return dict(choice)


def test_a_plain_answer_has_every_required_key() -> None:
    got = read(answer([{"message": {"content": "Bonjour"}, "finish_reason": "stop"}], service_tier="default", x=1))
    assert got.choices == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Bonjour", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert (got.id, got.model, dict(got.extra)) == ("chatcmpl-1", "served", {"service_tier": "default"})


def test_a_missing_id_and_model_are_filled_in() -> None:
    got = read(b'{"choices":[{"message":{"content":"x"}}]}')
    assert (got.id, got.model, got.usage.estimated) == ("chatcmpl-new1", "asked", True)


@pytest.mark.parametrize(
    ("native", "finish", "kept"),
    [
        ("stop", "stop", None),
        ("length", "length", None),
        (None, "stop", None),
        ("end_turn", "stop", "end_turn"),
        ("MAX_TOKENS", "length", "MAX_TOKENS"),
        ("SAFETY", "content_filter", "SAFETY"),
        ("tool_use", "tool_calls", "tool_use"),
        ("something_new", "stop", "something_new"),
        (7, "stop", None),
    ],
)
def test_finish_reasons_come_from_the_closed_set(native: Any, finish: str, kept: str | None) -> None:
    choice = one({"content": "x"}, native)
    assert (choice["finish_reason"], choice.get("native_finish_reason")) == (finish, kept)


def call(**more: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}, **more}


def test_stop_with_tool_calls_is_tool_calls() -> None:
    assert one({"content": None, "tool_calls": [call()]})["finish_reason"] == "tool_calls"
    assert one({"content": None, "tool_calls": [call()]}, "length")["finish_reason"] == "length"


@pytest.mark.parametrize("calls", [[], None])
def test_no_tool_calls_means_no_key(calls: Any) -> None:
    assert "tool_calls" not in one({"content": "x", "tool_calls": calls, "function_call": None})["message"]


def test_empty_missing_and_repeated_ids_are_minted() -> None:
    calls = [call(id=""), call(id=None), call(id="same"), call(id="same")]
    got = one({"content": None, "tool_calls": calls})["message"]["tool_calls"]
    assert [entry["id"] for entry in got] == ["call_new1", "call_new2", "same", "call_new3"]


@pytest.mark.parametrize(
    ("arguments", "text"), [('{"a":1}', '{"a":1}'), ({"a": 1}, '{"a":1}'), ("", "{}"), (None, "{}"), ("{bad", "{bad")]
)
def test_arguments_are_json_text(arguments: Any, text: str) -> None:
    made = call(function={"name": "f", "arguments": arguments})
    assert one({"content": None, "tool_calls": [made]})["message"]["tool_calls"][0]["function"]["arguments"] == text


@pytest.mark.parametrize("made", [{"id": "x"}, {"function": {}}, {"function": {"name": ""}}, 7])
def test_a_call_without_a_name_is_a_bad_answer(made: Any) -> None:
    with pytest.raises(BadResponseError) as caught:
        one({"content": None, "tool_calls": [made]})
    assert caught.value.outcome == "bad_tool_call"


def test_reasoning_has_one_name_and_signatures_survive() -> None:
    extra = {"google": {"thought_signature": "s"}}
    message = one({"content": "x", "reasoning": "hm", "extra_content": extra})["message"]
    assert (message["reasoning_content"], message["extra_content"]) == ("hm", extra)
    assert "reasoning" not in message


def test_content_parts_become_text() -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert one({"content": parts})["message"]["content"] == "ab"


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", "empty_body"),
        (b"  \n", "empty_body"),
        (b"<html>oops</html>", "bad_content_type"),
        (b'{"choices":[', "parse"),
        (b'{"a":"\xff"}', "parse"),
        (b"7", "parse"),
        (b"[]", "parse"),
        (b"{}", "empty"),
        (b'{"choices":null}', "empty"),
        (b'{"choices":[]}', "empty"),
        (b'{"choices":[7]}', "parse"),
        (answer([{"message": {"content": ""}, "finish_reason": "stop"}]), "empty"),
        (answer([{"message": {"content": None}, "finish_reason": None}]), "empty"),
        (answer([{"finish_reason": "stop"}]), "empty"),
    ],
)
def test_a_200_that_says_nothing_is_a_bad_answer(body: bytes, outcome: str) -> None:
    with pytest.raises(BadResponseError) as caught:
        read(body)
    assert caught.value.outcome == outcome


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_an_answer_cut_or_filtered_may_be_empty(finish: str) -> None:
    assert one({"content": ""}, finish)["finish_reason"] == finish


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"code":429,"message":"x"}}', RateLimitedError),
        (b'[{"error":{"code":503}}]', UnavailableError),
        (b'{"error":{"code":"context_length_exceeded"},"choices":[]}', ContextTooLongError),
        (b'{"error":"boom"}', UnavailableError),
        (b'{"object":"error","message":"x","code":429}', RateLimitedError),
        (answer([{"message": {"content": "x"}, "finish_reason": "error", "error": {"code": 429}}]), RateLimitedError),
        (answer([{"message": {"content": "x"}, "finish_reason": "error"}]), UnavailableError),
    ],
)
def test_an_error_inside_a_200_is_raised(body: bytes, kind: type[ProviderError]) -> None:
    with pytest.raises(ProviderError) as caught:
        read(body)
    assert type(caught.value) is kind


USAGES: list[tuple[Any, Usage]] = [
    (None, Usage(estimated=True)),
    ("12", Usage(estimated=True)),
    ({}, Usage(estimated=True)),
    ({"prompt_tokens": 9, "completion_tokens": 41, "total_tokens": 50}, Usage(prompt_tokens=9, completion_tokens=41)),
    ({"prompt_tokens": "9", "completion_tokens": 4.0}, Usage(prompt_tokens=9, completion_tokens=4)),
    ({"prompt_tokens": 9, "completion_tokens": -4}, Usage(prompt_tokens=9, estimated=True)),
    ({"prompt_tokens": 10**15, "completion_tokens": 4}, Usage(completion_tokens=4, estimated=True)),
    ({"prompt_tokens": 9, "completion_tokens": "many"}, Usage(prompt_tokens=9, estimated=True)),
    ({"prompt_tokens": 9, "completion_tokens": True}, Usage(prompt_tokens=9, estimated=True)),
    # Google's OpenAI layer: thinking only in the total
    (
        {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
        Usage(prompt_tokens=35, completion_tokens=74, reasoning_tokens=62),
    ),
    # xAI: reasoning beside completion
    (
        {
            "prompt_tokens": 5,
            "completion_tokens": 2,
            "total_tokens": 10,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        Usage(prompt_tokens=5, completion_tokens=5, reasoning_tokens=3),
    ),
    (
        {
            "prompt_tokens": 10,
            "completion_tokens": 8,
            "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1, "image_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 1, "image_tokens": 2},
        },
        Usage(
            prompt_tokens=10,
            completion_tokens=8,
            cached_tokens=4,
            audio_prompt_tokens=1,
            image_prompt_tokens=2,
            reasoning_tokens=5,
            audio_completion_tokens=1,
            image_completion_tokens=2,
        ),
    ),
    (
        {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 64, "cost": 0.03388125},
        Usage(prompt_tokens=10, completion_tokens=1, cached_tokens=10, reported_cost_usd=Decimal("0.03388125")),
    ),
    (
        {
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "cost": 0.001,
            "is_byok": True,
            "cost_details": {"upstream_inference_cost": 0.02},
        },
        Usage(prompt_tokens=1, completion_tokens=1, reported_cost_usd=Decimal("0.021")),
    ),
    (
        {"prompt_tokens": 1, "completion_tokens": 1, "cost": "NaN", "server_tool_use": {"web_search_requests": 2}},
        Usage(prompt_tokens=1, completion_tokens=1, searches=2),
    ),
]


@pytest.mark.parametrize(("sent", "usage"), USAGES)
def test_usage(sent: Any, usage: Usage) -> None:
    assert usage_from(sent) == usage


def test_image_usage_counts_output_as_image_tokens_when_not_told_otherwise() -> None:
    sent = {
        "input_tokens": 31,
        "input_tokens_details": {"text_tokens": 21, "image_tokens": 10},
        "output_tokens": 1400,
        "total_tokens": 1431,
    }
    want = Usage(prompt_tokens=31, completion_tokens=1400, image_prompt_tokens=10, image_completion_tokens=1400)
    assert image_usage_from(sent) == want
    told = {**sent, "output_tokens_details": {"text_tokens": 100, "image_tokens": 1300}}
    assert image_usage_from(told) == Usage(
        prompt_tokens=31, completion_tokens=1400, image_prompt_tokens=10, image_completion_tokens=1300
    )
    assert image_usage_from({"cost_in_usd_ticks": 7}) is None
    assert image_usage_from(None) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["prompt_tokens", "completion_tokens", "total_tokens", "cost", "cost_in_usd_ticks", "completion_tokens_details"]


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_no_usage_raises_or_goes_negative(sent: dict[str, Any]) -> None:
    usage = usage_from(sent)
    assert usage.prompt_tokens >= 0
    assert 0 <= usage.reasoning_tokens <= usage.completion_tokens
    assert usage.reported_cost_usd is None or usage.reported_cost_usd >= 0


CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "index": JSON,
        "finish_reason": JSON,
        "message": JSON
        | st.fixed_dictionaries({}, optional={"content": JSON, "tool_calls": JSON, "reasoning": JSON, "role": JSON}),
    },
)


@given(st.lists(CHOICE, max_size=3))
def test_no_answer_raises_anything_but_a_provider_error(choices: list[Any]) -> None:
    try:
        got = read(answer(choices))
    except ProviderError:
        return
    for choice in got.choices:
        message = choice["message"]
        assert isinstance(message, dict)
        assert message["role"] == "assistant"
        assert message["content"] is None or isinstance(message["content"], str)
        assert choice["finish_reason"] in {"stop", "length", "tool_calls", "content_filter", "function_call"}
