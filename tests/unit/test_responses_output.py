"""Chat answers -> response objects and events: what each delta becomes, and that both ways of answering agree."""

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from builders import KEY
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import StreamInterruptedError
from providers.types import ChatChunk, ChatResponse, Usage
from router.api.responses.answer import ResponsesRenderer, ResponsesWire
from router.api.responses.memory import ItemMemory
from router.api.responses.request import parse_responses
from router.api.responses.signatures import opened

STEM = "0123456789abcdef0123456789abcdef"
USAGE = Usage(prompt_tokens=9, completion_tokens=41, cached_tokens=4, reasoning_tokens=30)
SIGNED = {"google": {"thought_signature": "c2ln"}}
DONE = {"type": "function_call", "status": "completed"}
PATCH = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** x"}}
CITATION = {"start_index": 2, "end_index": 4, "url": "https://a.example", "title": "A"}


def wire(**asked: Any) -> ResponsesWire:
    body = json.dumps({"model": "chat", "input": "hi", **asked}).encode()
    memory = ItemMemory()
    return ResponsesWire(parse_responses(body, {"headers": []}, KEY, memory), STEM, lambda: 1795190000.25, memory)


def plain(message: dict[str, Any], finish: str = "stop", asked: dict[str, Any] | None = None, **choice: Any) -> Any:
    choices = [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None, **choice}]
    response = ChatResponse(id="chatcmpl-1", model="served", choices=choices, usage=USAGE)
    return orjson.loads(wire(**(asked or {})).whole(response, Decimal("0.5")))


def renderer(**asked: Any) -> ResponsesRenderer:
    return wire(**asked).renderer("req_1", "served", {})


def events(data: bytes) -> list[Any]:
    """The events in `data`, which must be framed as OpenAI's are."""
    found = []
    for frame in data.decode().split("\n\n")[:-1]:
        head, _, body = frame.partition("\n")
        event = json.loads(body.removeprefix("data: "))
        assert head == f"event: {event['type']}"
        found.append(event)
    assert data.endswith(b"\n\n")
    return found


def streamed(*deltas: Any, finish: str = "stop", asked: dict[str, Any] | None = None) -> list[Any]:
    made = renderer(**(asked or {}))
    chunks = [delta if isinstance(delta, ChatChunk) else ChatChunk(delta=delta) for delta in deltas]
    data = made.opening() + made.render([*chunks, ChatChunk(finish_reason=finish)])
    return events(data + made.closing(USAGE, Decimal("0.5")))


def call(index: int, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {
        "index": index,
        "id": f"call_{index}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
        **more,
    }


def without_ids(items: list[Any]) -> list[Any]:
    return [{key: value for key, value in item.items() if key not in ("id", "logprobs")} for item in items]


# --- the object


def test_the_object_says_all_that_sdk_types_require() -> None:
    answer = plain({"role": "assistant", "content": "hello", "refusal": None})
    assert (answer["id"], answer["object"], answer["status"]) == (f"resp_{STEM}", "response", "completed")
    assert (answer["model"], answer["error"], answer["incomplete_details"]) == ("served", None, None)
    assert (answer["created_at"], answer["completed_at"]) == (1795190000, 1795190000)
    assert answer["store"] is False
    assert (answer["tools"], answer["tool_choice"], answer["parallel_tool_calls"]) == ([], "auto", True)
    assert answer["text"] == {"format": {"type": "text"}}
    assert answer["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 41,
        "output_tokens_details": {"reasoning_tokens": 30},
        "total_tokens": 50,
        "cost": 0.5,
    }
    (item,) = answer["output"]
    assert item["id"].startswith("msg_")
    assert without_ids([item]) == [
        {
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hello", "annotations": [], "logprobs": []}],
        }
    ]


def test_the_object_repeats_what_was_asked() -> None:
    asked = {
        "instructions": "be brief",
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "reasoning": {"effort": "low"},
        "metadata": {"a": "b"},
        "max_output_tokens": 5,
        "temperature": 0.5,
    }
    answer = plain({"content": "x"}, asked=asked)
    assert answer["reasoning"] == {"effort": "low", "summary": None}
    assert {name: answer[name] for name in asked if name != "reasoning"} == {
        name: value for name, value in asked.items() if name != "reasoning"
    }


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_a_cut_answer_says_why(finish: str, status: str, reason: Any) -> None:
    answer = plain({"content": "x"}, finish)
    assert (answer["status"], answer["incomplete_details"], answer["output"][0]["status"]) == (status, reason, status)
    last = streamed({"content": "x"}, finish=finish)[-1]
    assert last["type"] == f"response.{status}"
    assert (last["response"]["status"], last["response"]["incomplete_details"]) == (status, reason)


# --- the items


@pytest.mark.parametrize(
    ("message", "items"),
    [
        (
            {"content": "a", "reasoning_content": "hm"},
            [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {
                    "type": "message",
                    "status": "completed",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}],
                },
            ],
        ),
        (
            {"content": None, "refusal": "no"},
            [
                {
                    "type": "message",
                    "status": "completed",
                    "role": "assistant",
                    "content": [{"type": "refusal", "refusal": "no"}],
                }
            ],
        ),
        (
            {"content": None, "tool_calls": [call(0, "f", "{}", extra_content=SIGNED), call(1, "g", '{"a":1}')]},
            [
                {
                    **DONE,
                    "call_id": "call_0",
                    "name": "f",
                    "arguments": "{}",
                    "extra_content": SIGNED,
                },
                {**DONE, "call_id": "call_1", "name": "g", "arguments": '{"a":1}'},
            ],
        ),
        (
            {"content": None, "tool_calls": [PATCH]},
            [{"type": "custom_tool_call", "status": "completed", "call_id": "c", "name": "patch", "input": "*** x"}],
        ),
        (
            {"content": None, "images": [{"type": "image_url", "image_url": {"url": "data:image/webp;base64,QQ=="}}]},
            [{"type": "image_generation_call", "status": "completed", "result": "QQ==", "output_format": "webp"}],
        ),
        (
            {"content": "see A", "annotations": [{"type": "url_citation", "url_citation": CITATION}]},
            [
                {
                    "type": "message",
                    "status": "completed",
                    "role": "assistant",
                    "content": [
                        {
                            "type": "output_text",
                            "text": "see A",
                            "annotations": [{"type": "url_citation", **CITATION}],
                            "logprobs": [],
                        }
                    ],
                }
            ],
        ),
    ],
)
def test_a_message_becomes_items_plain_and_streamed(message: dict[str, Any], items: list[Any]) -> None:
    assert without_ids(plain(message)["output"]) == items
    assert without_ids(streamed(message)[-1]["response"]["output"]) == items


def test_a_call_of_a_namespace_comes_back_under_both_names() -> None:
    tool = {"type": "function", "name": "look_up", "parameters": {}}
    asked = {"tools": [{"type": "namespace", "name": "crm", "description": "", "tools": [tool]}]}
    (item,) = plain({"tool_calls": [call(0, "crm__look_up", "{}")]}, asked=asked)["output"]
    assert (item["name"], item["namespace"]) == ("look_up", "crm")


def test_a_signature_travels_in_reasoning_when_that_is_asked_for() -> None:
    asked = {"include": ["reasoning.encrypted_content"]}
    message = {"reasoning_content": "hm", "tool_calls": [call(0, "f", "{}", extra_content=SIGNED), call(1, "g", "{}")]}
    for answer in (plain(message, asked=asked), streamed(message, asked=asked)[-1]["response"]):
        first, *calls = answer["output"]
        assert first["summary"] == [{"type": "summary_text", "text": "hm"}]
        assert opened(first["encrypted_content"]) == ("call_0", SIGNED)
        assert [item["type"] for item in calls] == ["function_call", "function_call"]
    bare = plain({"tool_calls": message["tool_calls"]}, asked=asked)["output"]
    assert [item["type"] for item in bare] == ["reasoning", "function_call", "function_call"]
    assert bare[0]["summary"] == []


def test_log_probabilities_stand_at_their_text() -> None:
    entry = {
        "token": "a",
        "logprob": -0.5,
        "bytes": [97],
        "top_logprobs": [{"token": "b", "logprob": -1, "bytes": [98]}],
    }
    told = streamed(ChatChunk(delta={"content": "a"}, logprobs={"content": [entry]}))
    delta = next(event for event in told if event["type"] == "response.output_text.delta")
    assert delta["logprobs"] == [
        {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1, "top_logprobs": []}]}
    ]
    assert told[-1]["response"]["output"][0]["content"][0]["logprobs"] == [entry]
    late = streamed({"content": "a"}, ChatChunk(logprobs={"content": [entry]}))
    assert late[-1]["response"]["output"][0]["content"][0]["logprobs"] == [entry]


# --- the events


def test_a_text_is_told_step_by_step() -> None:
    told = streamed({"role": "assistant", "content": "he"}, {"content": "llo"})
    assert [event["type"] for event in told] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert (told[0]["response"]["status"], told[0]["response"]["output"]) == ("in_progress", [])
    assert told[6]["text"] == "hello"
    assert told[-1]["response"]["output"] == [told[-2]["item"]]


def test_calls_are_told_as_they_become_whole() -> None:
    told = streamed(
        {"tool_calls": [call(0, "f", "")]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [call(1, "g", "{}")]},
        finish="tool_calls",
    )
    assert [(event["type"].removeprefix("response."), event.get("output_index")) for event in told[2:-1]] == [
        ("output_item.added", 0),
        ("function_call_arguments.delta", 0),
        ("function_call_arguments.delta", 0),
        ("function_call_arguments.done", 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("function_call_arguments.delta", 1),
        ("function_call_arguments.done", 1),
        ("output_item.done", 1),
    ]
    assert told[5]["arguments"] == '{"a":1}'


def test_calls_that_grow_side_by_side_are_both_whole() -> None:
    told = streamed(
        {"tool_calls": [call(0, "f", '{"a"'), call(1, "g", '{"b"')]},
        {
            "tool_calls": [
                {"index": 1, "function": {"arguments": ":2}"}},
                {"index": 0, "function": {"arguments": ":1}"}},
            ]
        },
        finish="tool_calls",
    )
    assert [item["arguments"] for item in told[-1]["response"]["output"]] == ['{"a":1}', '{"b":2}']
    done = [event for event in told if event["type"] == "response.function_call_arguments.done"]
    assert [event["arguments"] for event in done] == ['{"a":1}', '{"b":2}']


def test_a_call_whose_name_comes_late_is_not_told_without_it() -> None:
    told = streamed(
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "}"}}]},
        finish="tool_calls",
    )
    (item,) = told[-1]["response"]["output"]
    assert (item["name"], item["arguments"]) == ("f", "{}")
    assert told[2]["item"]["name"] == "f"


def test_sources_are_counted_from_their_own_message() -> None:
    second = {**CITATION, "start_index": 5, "end_index": 7}
    told = streamed(
        {"content": "see A"},
        {"reasoning_content": "hm"},
        {"content": "and B"},
        {"annotations": [{"type": "url_citation", "url_citation": each} for each in (CITATION, second)]},
    )
    first, _, last = told[-1]["response"]["output"]
    assert first["content"][0]["annotations"] == [{"type": "url_citation", **CITATION}]
    assert last["content"][0]["annotations"] == [{"type": "url_citation", **CITATION, "start_index": 0, "end_index": 2}]
    added = [event for event in told if event["type"] == "response.output_text.annotation.added"]
    assert [event["output_index"] for event in added] == [2], "the first message was told already"


def test_an_answer_that_breaks_off_ends_in_failure_that_sdks_raise() -> None:
    made = renderer()
    data = made.opening() + made.render([ChatChunk(delta={"content": "so far"})])
    assert not made.finished
    broken = made.failure(StreamInterruptedError("it broke", outcome="reset"))
    *_, failed, error = events(data + broken)
    assert failed["type"] == "response.failed"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "it broke"}
    assert failed["response"]["output"][0]["content"][0]["text"] == "so far"
    assert failed["response"]["output"][0]["status"] == "in_progress"
    assert (error["type"], error["code"]) == ("error", "upstream_stream_interrupted")
    assert error["error"]["message"] == "it broke"
    assert error["sequence_number"] == failed["sequence_number"] + 1


# --- whatever comes


TEXT = st.text(min_size=1, max_size=6)
DELTAS = st.one_of(
    st.builds(lambda text: {"content": text}, TEXT),
    st.builds(lambda text: {"reasoning_content": text}, TEXT),
    st.builds(lambda text: {"refusal": text}, TEXT),
    st.builds(lambda args: {"function": args}, st.dictionaries(TEXT, TEXT, max_size=2)),
    st.builds(lambda text: {"custom": text}, TEXT),
    st.builds(lambda data: {"image": data}, st.sampled_from(["QQ==", "Qg=="])),
)


def as_delta(part: dict[str, Any], calls: list[Any]) -> dict[str, Any]:
    """One drawn part as a delta; calls are numbered as they come."""
    if "image" in part:
        return {"images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{part['image']}"}}]}
    if "function" in part:
        made = call(len(calls), "f", json.dumps(part["function"]))
    elif "custom" in part:
        number = len(calls)
        made = {
            "index": number,
            "id": f"call_{number}",
            "type": "custom",
            "custom": {"name": "c", "input": part["custom"]},
        }
    else:
        return part
    calls.append(made)
    return {"tool_calls": [made]}


def said(output: list[Any]) -> dict[str, Any]:
    """What the items say, whatever their order and number."""
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    return {
        "text": "".join(part.get("text", "") for part in parts),
        "refusal": "".join(part.get("refusal", "") for part in parts),
        "thoughts": "".join(s["text"] for item in output if item["type"] == "reasoning" for s in item["summary"]),
        "calls": [
            (item["type"], item["call_id"], item["name"], item.get("arguments", item.get("input")))
            for item in output
            if item["type"].endswith("_call") and item["type"] != "image_generation_call"
        ],
        "pictures": [item["result"] for item in output if item["type"] == "image_generation_call"],
    }


def retold(told: list[Any]) -> list[Any]:
    """The items as a client puts them together from the events alone."""
    items: dict[int, Any] = {}
    for event in told:
        kind, index = event["type"].removeprefix("response."), event.get("output_index")
        match kind:
            case "output_item.added":
                assert index == len(items), "items are numbered in the order they begin"
                items[index] = event["item"]
            case "output_item.done":
                assert event["item"]["id"] == items[index]["id"]
                for key in ("arguments", "input", "content"):
                    assert items[index].get(key) == event["item"].get(key), key
                items[index] = event["item"]
            case "content_part.added":
                assert event["content_index"] == len(items[index]["content"])
                items[index]["content"].append(event["part"])
            case "output_text.delta":
                items[index]["content"][event["content_index"]]["text"] += event["delta"]
            case "refusal.delta":
                items[index]["content"][event["content_index"]]["refusal"] += event["delta"]
            case "function_call_arguments.delta":
                items[index]["arguments"] += event["delta"]
            case "custom_tool_call_input.delta":
                items[index]["input"] += event["delta"]
    return [items[index] for index in sorted(items)]


@given(st.lists(DELTAS, min_size=1, max_size=12), st.sampled_from(["stop", "length", "content_filter"]))
def test_a_stream_says_what_the_plain_answer_says(parts: list[Any], finish: str) -> None:
    calls: list[Any] = []
    deltas = [as_delta(part, calls) for part in parts]
    whole: dict[str, Any] = {}
    for delta in deltas:
        for key, value in delta.items():
            whole[key] = whole[key] + value if key in whole else value
    told = streamed(*deltas, finish=finish)
    answer = plain(whole, finish)
    final = told[-1]["response"]
    assert said(final["output"]) == said(answer["output"])
    assert retold(told) == final["output"]
    assert {key: value for key, value in final.items() if key != "output"} == {
        key: value for key, value in answer.items() if key != "output"
    }
    assert len({item["id"] for item in final["output"]}) == len(final["output"])
