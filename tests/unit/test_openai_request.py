"""What goes out to an OpenAI-compatible upstream: the client's bytes, minus what only Gemini or we understand."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.catalogue import ModelInfo
from providers.errors import UnsupportedFieldError
from providers.openai.history import short_id, without_foreign_signatures, without_traces
from providers.openai.request import request_warnings, to_chat_body
from providers.types import ChatRequest

INFO = ModelInfo(name="m")
GEMINI = ModelInfo(name="m", signatures=True)
SIGNATURE = "c2ln" * 400


def request(messages: Any = None, *, stream: bool = False, strict: bool = False, **fields: Any) -> ChatRequest:
    body = messages if isinstance(messages, bytes) else orjson.dumps(messages or [{"role": "user", "content": "hi"}])
    return ChatRequest(model="public", messages_json=body, fields=fields, stream=stream, strict=strict)


def sent(asked: ChatRequest, info: ModelInfo = INFO) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(to_chat_body(asked, "upstream/model", info))
    return body


def test_messages_go_out_byte_for_byte() -> None:
    messages = b'[ {"role":"user",  "content":"caf\\u00e9 \xc3\xa9", "weird": 1.0 } ]'
    assert b'"messages":' + messages + b',"temperature"' in to_chat_body(request(messages, temperature=0), "m", INFO)


def test_the_model_is_the_upstreams_and_unknown_fields_survive() -> None:
    fields = {"top_k": 40, "provider": {"order": ["a"]}, "image_config": {"x": 1}, "n": None, "max_tokens": 100.0}
    assert sent(request(**fields)) == {
        "model": "upstream/model",
        "messages": [{"role": "user", "content": "hi"}],
        **fields,
    }


def test_a_stream_always_asks_for_usage() -> None:
    body = sent(request(stream=True))
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert "stream" not in sent(request())


@pytest.mark.parametrize(
    "field", ["api_base", "base_url", "api_key", "extra_headers", "mock_response", "model", "stream"]
)
def test_a_client_cannot_redirect_the_upstream(field: str) -> None:
    body = sent(request(**{field: "evil", "seed": 1}))
    assert "evil" not in body.values()
    assert body["seed"] == 1


def test_fields_addressed_to_gemini_are_dropped_with_a_warning() -> None:
    asked = request(google={"thinking_config": {}}, extra_body={"google": {}}, seed=1)
    assert sent(asked).keys() == {"model", "messages", "seed"}
    assert request_warnings(asked, INFO) == ("google=ignored", "extra_body=ignored")
    assert request_warnings(request(seed=1), INFO) == ()


def test_a_strict_request_is_refused_instead() -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        to_chat_body(request(strict=True, google={}), "m", INFO)
    assert caught.value.param == "google"


def test_gemini_behind_this_wire_gets_everything() -> None:
    history = [{"role": "assistant", "content": "x", "extra_content": {"google": {}}}]
    body = sent(request(history, google={"a": 1}), GEMINI)
    assert body["messages"] == history
    assert body["google"] == {"a": 1}
    assert request_warnings(request(google={}), GEMINI) == ()


def history(call_id: str, **call: Any) -> list[dict[str, Any]]:
    function = {"name": "f", "arguments": "{}", **call.pop("function", {})}
    return [
        {"role": "user", "content": "w?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call_id, "type": "function", "function": function, **call}],
        },
        {"role": "tool", "tool_call_id": call_id, "content": "3"},
    ]


def cleaned(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    clean: list[dict[str, Any]] = orjson.loads(without_traces(orjson.dumps(messages)))
    return clean


def test_signatures_in_extra_content_are_stripped() -> None:
    extra = {"google": {"thought_signature": SIGNATURE}}
    assert cleaned(history("call_a", extra_content=extra)) == history("call_a")
    assert cleaned(history("call_a", function={"provider_specific_fields": {"x": 1}})) == history("call_a")


def test_signatures_in_ids_are_cut_in_the_call_and_in_its_answer() -> None:
    assert cleaned(history(f"call_0a__thought__{SIGNATURE}")) == history("call_0a")


def test_gemini_behind_this_wire_gets_no_signature_that_another_provider_gave() -> None:
    extra = {"google": {"thought_signature": SIGNATURE}}
    own, others = history("call_own", extra_content=extra), history("call_others", extra_content=extra)
    _, message, result = others
    message["tool_calls"].append({**message["tool_calls"][0], "id": "call_" + "b" * 60})
    others.append({**result, "tool_call_id": "call_" + "b" * 60})
    body = to_chat_body(request(own + others), "m", GEMINI, lambda caller, call_id: call_id == "call_others")
    assert orjson.loads(body)["messages"] == own + cleaned(others)
    assert cleaned(others) != others
    spaced = orjson.dumps(own, option=orjson.OPT_INDENT_2)
    assert without_foreign_signatures(spaced, "ann", lambda caller, call_id: False) is spaced


def test_ids_are_kept_to_forty_characters_and_stay_apart() -> None:
    messages = [*history("call_" + "a" * 60 + "1"), *history("call_" + "a" * 60 + "2__thought__s")]
    ids = [call["id"] for message in cleaned(messages) for call in message.get("tool_calls", ())]
    answers = [message["tool_call_id"] for message in cleaned(messages) if message["role"] == "tool"]
    assert ids == answers
    assert len(set(ids)) == 2
    assert all(len(call_id) <= 40 for call_id in ids)


def test_our_own_extensions_are_taken_off_assistant_messages_only() -> None:
    assistant = {
        "role": "assistant",
        "content": "hello",
        "reasoning_content": "hm",
        "images": [{"type": "image_url"}],
        "annotations": [],
        "thought_signature": "s",
        "name": "kept",
    }
    user = {"role": "user", "content": "x", "images": ["kept"], "annotations": ["kept"]}
    assert cleaned([user, assistant]) == [user, {"role": "assistant", "content": "hello", "name": "kept"}]


def test_an_assistant_turn_that_was_only_a_picture_stays_a_legal_message() -> None:
    messages = [{"role": "assistant", "content": None, "images": [{}]}, {"role": "user", "content": "again"}]
    assert cleaned(messages)[0] == {"role": "assistant", "content": ""}


def test_content_parts_lose_their_signatures_too() -> None:
    part = {"type": "text", "text": "x", "extra_content": {"google": {}}}
    messages = [{"role": "assistant", "content": [part, "bare"]}]
    assert cleaned(messages)[0]["content"] == [{"type": "text", "text": "x"}, "bare"]


@pytest.mark.parametrize(
    "messages",
    [
        b'[ {"role": "user", "content": "what is extra_content and __thought__ ?"} ]',
        b'[ {"role": "assistant", "content": "the \\"images\\" of extra_content"} ]',
        b'[ {"role": "assistant", "content": "plain"}, 7, null ]',
        b'{"role": "assistant", "extra_content": 1}',
        b'[{"role": "assistant", "extra_content": }',
    ],
)
def test_bytes_without_traces_are_not_touched(messages: bytes) -> None:
    assert without_traces(messages) is messages


def test_a_long_history_is_cleaned_or_left_alone_just_the_same() -> None:
    filler = {"role": "user", "content": "x" * 20_000}
    clean = orjson.dumps([filler, *history("call_a")])
    assert without_traces(clean) is clean
    assert cleaned([filler, *history("call_a", extra_content={})]) == [filler, *history("call_a")]


def test_long_ids_of_other_servers_are_shortened_too() -> None:
    messages = cleaned(history("chatcmpl-tool-" + "0" * 32))
    assert len(messages[1]["tool_calls"][0]["id"]) <= 40
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["assistant", "tool", "user"])},
    optional={
        "content": JSON,
        "tool_calls": JSON,
        "extra_content": JSON,
        "tool_call_id": st.text(max_size=60),
        "images": JSON,
    },
)


@given(st.lists(MESSAGE, max_size=4))
def test_no_history_breaks_the_cleaning_and_cleaning_twice_changes_nothing(messages: list[dict[str, Any]]) -> None:
    once = without_traces(orjson.dumps(messages))
    assert without_traces(once) == once
    assert len(orjson.loads(once)) == len(messages)
    if b'"assistant"' in once:
        assert not any("extra_content" in message for message in orjson.loads(once) if message["role"] != "user")


@given(st.text(max_size=100))
def test_short_ids_are_short_and_stable(call_id: str) -> None:
    assert len(short_id(call_id)) <= 40
    assert short_id(short_id(call_id)) == short_id(call_id)
