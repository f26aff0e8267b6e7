"""Responses bodies -> chat requests: what each item, tool and option becomes, and what is refused under which name."""

import contextlib
import json
from typing import Any

import pytest
from builders import KEY
from hypothesis import given
from hypothesis import strategies as st

from router.api.responses.memory import ItemMemory
from router.api.responses.request import ParsedResponses, parse_responses
from router.api.responses.signatures import opened, sealed
from router.errors import InvalidRequestError

FUNCTION = {"type": "function", "name": "look_up", "description": "d", "strict": True, "parameters": {"type": "object"}}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look_up", "arguments": '{"a":1}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
SIGNED = {"google": {"thought_signature": "c2ln"}}
USER = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,QQ=="
IMAGE = {"type": "input_image", "image_url": PNG}
CHAT_IMAGE = {"type": "image_url", "image_url": {"url": PNG}}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"a":1}'}}
CHAT_RESULT = {"role": "tool", "content": "42", "tool_call_id": "c1"}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "chat", "input": "hi", **fields}).encode()


def parse(data: bytes, **headers: str) -> ParsedResponses:
    named = [(f"x-router-{name}".encode(), value.encode()) for name, value in headers.items()]
    return parse_responses(data, {"type": "http", "headers": named}, KEY, ItemMemory())


def messages(*items: Any, **fields: Any) -> list[Any]:
    return parse(body(input=list(items), **fields)).chat.request.messages()


def fields(**asked: Any) -> dict[str, Any]:
    return dict(parse(body(**asked)).chat.request.fields)


def said(*parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "content": list(parts)}


def thought(*summary: Any, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": list(summary), **more}


def text(words: str) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": []}


# --- items


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([USER], [{"role": "user", "content": "hi"}]),
        ([{"type": "message", **USER}], [{"role": "user", "content": "hi"}]),
        (
            [{"role": "developer", "content": [{"type": "input_text", "text": "be brief"}]}],
            [{"role": "developer", "content": "be brief"}],
        ),
        (
            [{"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]}],
            [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
        ),
        (
            [{"role": "user", "content": [{**IMAGE, "detail": "low"}, IMAGE]}],
            [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}, CHAT_IMAGE],
                }
            ],
        ),
        (
            [{"role": "user", "content": [{"type": "input_file", "file_data": "QQ==", "filename": "a.pdf"}]}],
            [{"role": "user", "content": [{"type": "file", "file": {"file_data": "QQ==", "filename": "a.pdf"}}]}],
        ),
        (
            [{"role": "user", "content": [{"type": "input_file", "file_url": "https://x.example/a.pdf"}]}],
            [{"role": "user", "content": [{"type": "file", "file": {"file_data": "https://x.example/a.pdf"}}]}],
        ),
        (
            [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}}]}],
            [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}}]}],
        ),
        ([USER, said(text("yes")), USER], [USER, {"role": "assistant", "content": "yes"}, USER]),
        (
            [USER, said({"type": "refusal", "refusal": "no"}), USER],
            [USER, {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, USER],
        ),
        ([USER, said(), USER], [USER, {"role": "assistant", "content": ""}, USER]),
        (
            [USER, said(text("a")), said(text("b"))],
            [USER, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}],
        ),
        (
            [USER, CALL, RESULT],
            [USER, {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]}, CHAT_RESULT],
        ),
        (
            [USER, said(text("let me see")), CALL, {**CALL, "call_id": "c2"}, RESULT, {**RESULT, "call_id": "c2"}],
            [
                USER,
                {"role": "assistant", "content": "let me see", "tool_calls": [CHAT_CALL, {**CHAT_CALL, "id": "c2"}]},
                CHAT_RESULT,
                {**CHAT_RESULT, "tool_call_id": "c2"},
            ],
        ),
        (
            [USER, CALL, USER, RESULT],
            [USER, {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]}, CHAT_RESULT, USER],
        ),
        (
            [USER, CALL, RESULT, {**CALL, "call_id": "c2"}, {**RESULT, "call_id": "c2"}],
            [
                USER,
                {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
                CHAT_RESULT,
                {"role": "assistant", "content": None, "tool_calls": [{**CHAT_CALL, "id": "c2"}]},
                {**CHAT_RESULT, "tool_call_id": "c2"},
            ],
        ),
        (
            [USER, CALL, {**RESULT, "output": [{"type": "input_text", "text": "a"}, IMAGE]}],
            [
                USER,
                {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
                {
                    "role": "tool",
                    "content": [{"type": "text", "text": "a"}, CHAT_IMAGE],
                    "tool_call_id": "c1",
                },
            ],
        ),
        (
            [
                USER,
                {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"},
                {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
            ],
            [
                USER,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}],
                },
                {**CHAT_RESULT, "content": "done"},
            ],
        ),
        (
            [USER, thought({"type": "summary_text", "text": "hm"}), said(text("a"))],
            [USER, {"role": "assistant", "content": "a", "reasoning_content": "hm"}],
        ),
        (
            [USER, thought(encrypted_content=sealed("c1", SIGNED)), CALL, RESULT],
            [
                USER,
                {"role": "assistant", "content": None, "tool_calls": [{**CHAT_CALL, "extra_content": SIGNED}]},
                CHAT_RESULT,
            ],
        ),
        (
            [USER, thought(encrypted_content="gAAAAB-of-another"), CALL, RESULT],
            [USER, {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]}, CHAT_RESULT],
        ),
        (
            [USER, {**CALL, "extra_content": SIGNED}, RESULT],
            [
                USER,
                {"role": "assistant", "content": None, "tool_calls": [{**CHAT_CALL, "extra_content": SIGNED}]},
                CHAT_RESULT,
            ],
        ),
        (
            [USER, {**said(text("a")), "extra_content": SIGNED}],
            [USER, {"role": "assistant", "content": "a", "extra_content": SIGNED}],
        ),
        (
            [USER, {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "QQ=="}, USER],
            [
                USER,
                {
                    "role": "assistant",
                    "content": None,
                    "images": [CHAT_IMAGE],
                },
                USER,
            ],
        ),
    ],
)
def test_items_become_messages(items: list[Any], expected: list[Any]) -> None:
    assert messages(*items) == expected


def test_a_text_is_one_user_message_and_instructions_come_first() -> None:
    assert parse(body(input="hi")).chat.request.messages() == [USER]
    assert messages(USER, instructions="be brief") == [{"role": "system", "content": "be brief"}, USER]


def test_traces_of_hosted_tools_are_left_out_and_named() -> None:
    parsed = parse(
        body(input=[USER, {"type": "web_search_call", "id": "ws_1", "status": "completed"}, said(text("a"))])
    )
    assert parsed.chat.request.messages() == [USER, {"role": "assistant", "content": "a"}]
    assert parsed.warnings == ("input[1]=dropped",)


# --- tools


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            {"tools": [FUNCTION]},
            {"tools": [{"type": "function", "function": {k: v for k, v in FUNCTION.items() if k != "type"}}]},
        ),
        (
            {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None}]},
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
        ),
        (
            {
                "tools": [
                    {
                        "type": "custom",
                        "name": "patch",
                        "description": "d",
                        "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
                    }
                ]
            },
            {
                "tools": [
                    {
                        "type": "custom",
                        "custom": {
                            "name": "patch",
                            "description": "d",
                            "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}},
                        },
                    }
                ]
            },
        ),
        (
            {"tools": [{"type": "namespace", "name": "crm", "description": "Customers.", "tools": [FUNCTION]}]},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "crm__look_up",
                            "description": "Customers.\n\nd",
                            "strict": True,
                            "parameters": {"type": "object"},
                        },
                    }
                ]
            },
        ),
        (
            {
                "tools": [
                    {
                        "type": "web_search",
                        "search_context_size": "low",
                        "user_location": {"type": "approximate", "city": "Oslo", "region": None},
                    }
                ]
            },
            {
                "web_search_options": {
                    "search_context_size": "low",
                    "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}},
                }
            },
        ),
        ({"tools": [{"type": "image_generation"}]}, {"modalities": ["text", "image"]}),
        ({"tools": [{"type": "google_search"}]}, {"tools": [{"type": "google_search"}]}),
        ({"tools": []}, {}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
    ],
)
def test_tools_become_chat_tools(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    assert fields(**asked) == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "function", "name": "look_up"}, {"type": "function", "function": {"name": "look_up"}}),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look_up"}]},
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "look_up"}}],
                },
            },
        ),
        ("none", "none"),
    ],
)
def test_a_choice_of_tools_is_nested(choice: Any, expected: Any) -> None:
    assert fields(tools=[FUNCTION], tool_choice=choice)["tool_choice"] == expected


def test_a_call_in_a_namespace_keeps_its_chat_name_in_the_history() -> None:
    told = messages(USER, {**CALL, "namespace": "crm"}, RESULT)
    assert told[1]["tool_calls"][0]["function"]["name"] == "crm__look_up"


def test_tools_can_be_declared_among_the_items() -> None:
    parsed = parse(
        body(tools=[FUNCTION], input=[{"type": "additional_tools", "tools": [{**FUNCTION, "name": "b"}]}, USER])
    )
    assert [tool["function"]["name"] for tool in parsed.chat.request.fields["tools"]] == ["look_up", "b"]
    assert parsed.chat.request.messages() == [USER]
    assert parsed.names.of("tools[1].function.name") == "input[0].tools[0].name"


def test_a_search_among_tools_is_left_out_and_named() -> None:
    assert parse(body(tools=[FUNCTION, {"type": "tool_search", "execution": "client"}])).warnings == (
        "tools[1]=dropped",
    )


def test_a_search_that_may_not_reach_the_web_is_left_out_and_named() -> None:
    parsed = parse(body(tools=[FUNCTION, {"type": "web_search", "external_web_access": False}]))
    assert "web_search_options" not in parsed.chat.request.fields
    assert parsed.warnings == ("tools[1]=dropped",)


# --- options


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"max_output_tokens": 100}, {"max_completion_tokens": 100}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"text": {"format": {"type": "text"}}}, {"response_format": {"type": "text"}}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
        (
            {"text": {"format": {"type": "json_schema", "name": "city", "strict": True, "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "city", "strict": True, "schema": {"type": "object"}},
                }
            },
        ),
        ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
        (
            {"reasoning": {"summary": "auto"}},
            {"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}},
        ),
        (
            {"reasoning": {"summary": "auto"}, "google": {"thinking_config": {"thinking_budget": 5}, "a": 1}},
            {"google": {"thinking_config": {"include_thoughts": True, "thinking_budget": 5}, "a": 1}},
        ),
        ({"reasoning": {"effort": None, "summary": None}}, {}),
        ({"top_logprobs": 3}, {"top_logprobs": 3, "logprobs": True}),
        ({"top_logprobs": 0}, {}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"include": ["reasoning.encrypted_content"]}, {}),
        ({"store": True, "background": False, "client_metadata": {"a": "b"}}, {}),
        ({"previous_response_id": None, "conversation": None, "prompt": None}, {}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"metadata": {"a": "b"}, "user": "u"}, {"metadata": {"a": "b"}, "user": "u"}),
        ({"safety_identifier": "s", "prompt_cache_key": "k", "service_tier": "flex"},) * 2,
        ({"stop": ["x"], "seed": 7, "top_k": 4}, {"stop": ["x"], "seed": 7, "top_k": 4}),
    ],
)
def test_options_become_the_chat_requests(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    assert fields(**asked) == expected


@pytest.mark.parametrize(
    ("asked", "warning"),
    [
        ({"truncation": "auto"}, "truncation=dropped"),
        ({"max_tool_calls": 3}, "max_tool_calls=dropped"),
        ({"context_management": [{"type": "compaction"}]}, "context_management=dropped"),
        ({"tools": [{"type": "image_generation", "size": "1024x1024"}]}, "tools[0].size=dropped"),
        ({"tools": [{"type": "web_search", "filters": {"allowed_domains": []}}]}, "tools[0].filters=dropped"),
    ],
)
def test_what_is_lost_is_named_and_refused_when_strict(asked: dict[str, Any], warning: str) -> None:
    assert parse(body(**asked)).warnings == (warning,)
    with pytest.raises(InvalidRequestError) as caught:
        parse(body(**asked, router={"strict": True}))
    assert caught.value.param == warning.partition("=")[0]


def test_routing_is_asked_for_as_in_chat() -> None:
    parsed = parse(body(router={"sort": "latency"}, models=["b"]), only="google")
    assert (parsed.chat.directives.sort, parsed.chat.directives.only) == ("latency", ("google",))
    assert parsed.chat.directives.fallbacks == ("b",)
    assert not {"router", "models"} & set(parsed.chat.request.fields)


def test_the_planner_learns_what_it_would_of_the_chat_request() -> None:
    asked = parse(
        body(
            stream=True,
            input=[{"role": "user", "content": [{"type": "input_text", "text": "a" * 400}, IMAGE]}],
            tools=[FUNCTION],
            reasoning={"effort": "high"},
            max_output_tokens=50,
            text={"format": {"type": "json_schema", "name": "n", "schema": {}}},
        )
    ).chat.features
    assert (asked.kind, asked.stream, asked.images, asked.tools) == ("chat", True, 1, 1)
    assert (asked.reasoning_effort, asked.max_tokens, asked.json_schema) == ("high", 50, True)
    assert asked.prompt_tokens >= 100


# --- refusals


@pytest.mark.parametrize(
    ("asked", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": ["hi"]}, "input[0]", "invalid_type"),
        ({"input": [{"content": "a"}]}, "input[0].type", "missing_required_parameter"),
        ({"input": [USER, {"role": "tool", "content": "a"}]}, "input[1].role", "invalid_value"),
        ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content", "invalid_type"),
        ({"input": [{"role": "user", "content": [{"type": "thing"}]}]}, "input[0].content[0]", "invalid_value"),
        ({"input": [{"role": "user", "content": [{"type": ["thing"]}]}]}, "input[0].content[0]", "invalid_value"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]},
            "input[0].content[0].text",
            "invalid_type",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]},
            "input[0].content[0].file_id",
            "unsupported_parameter",
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]", "unsupported_value"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]", "invalid_value"),
        ({"input": [USER, {**CALL, "call_id": None}]}, "input[1].call_id", "missing_required_parameter"),
        ({"input": [USER, {**CALL, "arguments": {}}]}, "input[1].arguments", "invalid_type"),
        ({"input": [USER, RESULT]}, "input[1].call_id", "invalid_value"),
        ({"input": [USER, CALL, {**RESULT, "output": 5}]}, "input[2].output", "invalid_type"),
        ({"instructions": ["a"]}, "instructions", "invalid_type"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "unsupported_parameter"),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "unsupported_parameter"),
        ({"background": True}, "background", "unsupported_parameter"),
        ({"messages": [USER]}, "messages", "unsupported_parameter"),
        ({"max_tokens": 5}, "max_tokens", "unsupported_parameter"),
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"store": "yes"}, "store", "invalid_type"),
        ({"truncation": "sometimes"}, "truncation", "invalid_value"),
        ({"include": "all"}, "include", "invalid_type"),
        ({"max_output_tokens": "5"}, "max_output_tokens", "invalid_type"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"top_logprobs": 50}, "top_logprobs", "invalid_value"),
        ({"text": "json"}, "text", "invalid_type"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type", "invalid_value"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema", "missing_required_parameter"),
        ({"reasoning": "high"}, "reasoning", "invalid_type"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"input": [{"type": "additional_tools", "tools": 5}]}, "input[0].tools", "invalid_type"),
        ({"tools": [FUNCTION, {"type": "function"}]}, "tools[1].name", "missing_required_parameter"),
        ({"tools": [{**FUNCTION, "name": "a b"}]}, "tools[0].name", "invalid_value"),
        ({"tools": [{**FUNCTION, "parameters": []}]}, "tools[0].parameters", "invalid_type"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools[0].type", "unsupported_value"),
        ({"tools": [{"type": "mcp"}]}, "tools[0].type", "unsupported_value"),
        (
            {"tools": [{"type": "web_search", "external_web_access": False}, {**FUNCTION, "name": ""}]},
            "tools[1].name",
            "invalid_value",
        ),
        (
            {"tools": [{"type": "namespace", "name": "crm", "tools": [{**FUNCTION, "parameters": 5}]}]},
            "tools[0].tools[0].parameters",
            "invalid_type",
        ),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice", "unsupported_value"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice", "invalid_value"),
        ({"tool_choice": "maybe"}, "tool_choice", "invalid_value"),
        ({"modalities": ["text", "audio"]}, "modalities", "invalid_value"),
        ({"router": {"sort": "best"}}, "router.sort", "invalid_value"),
        ({"api_base": "http://127.0.0.1"}, "api_base", "unsupported_parameter"),
        ({"model": None}, "model", "missing_required_parameter"),
    ],
)
def test_a_refusal_names_the_callers_own_field(asked: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse(body(**asked))
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)
    for name in ("messages[", "response_format", "max_completion_tokens", "tool_calls", ".function"):
        assert name not in caught.value.message


def test_names_inside_longer_paths_are_led_back() -> None:
    names = parse(body(input=[USER, CALL, RESULT], instructions="x", tools=[{"type": "web_search"}, FUNCTION])).names
    assert names.of("messages[0].content") == "instructions.content"
    assert names.of("messages[2].tool_calls[0].function") == "input[1].function"
    assert names.of("messages[3].tool_call_id") == "input[2].call_id"
    assert names.of("messages[9].tool_call_id") == "input"
    assert names.of("tools[0].function.parameters.properties") == "tools[1].parameters.properties"
    assert names.of("web_search_options") == "tools[0]"
    assert names.of("temperature") == "temperature"
    assert names.in_text("'messages[3].content' and 'temperature'") == "'input[2].output' and 'temperature'"
    assert names.in_warnings(["max_tokens=clamped:5", "seed=dropped"]) == (
        "max_output_tokens=clamped:5",
        "seed=dropped",
    )


# --- whatever is sent


@given(st.text(max_size=60), st.recursive(st.none() | st.text(), lambda x: st.dictionaries(st.text(), x, max_size=3)))
def test_what_is_sealed_can_be_opened(call_id: str, extra: Any) -> None:
    given_extra = extra if isinstance(extra, dict) else {}
    assert opened(sealed(call_id, given_extra)) == (call_id, given_extra)


@given(st.text())
def test_what_others_have_sealed_stays_closed(text: str) -> None:
    assert opened(text) is None
    assert opened("turnout-1." + text) is None


LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
WORDS = st.sampled_from(
    ["message", "function_call", "function_call_output", "reasoning", "custom_tool_call", "user", "assistant",
     "input_text", "output_text", "input_image", "function", "namespace", "custom", "web_search", "c1", "look_up"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["type", "role", "content", "call_id", "name", "arguments", "output", "summary", "text", "image_url", "tools",
     "parameters", "input", "format", "namespace", "encrypted_content", "description"]
)  # fmt: skip
SHAPES = st.recursive(
    LEAVES | WORDS, lambda x: st.lists(x, max_size=3) | st.dictionaries(KEYS, x, max_size=5), max_leaves=20
)


@given(st.dictionaries(st.sampled_from(["input", "tools", "tool_choice", "text", "reasoning", "include"]), SHAPES))
def test_any_json_is_understood_or_refused_by_name(asked: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidRequestError):
        parse(body(**asked))
