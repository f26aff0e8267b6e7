"""Chat bodies: what is refused and with which `param`, what loose clients may send, and what routing learns from it."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from builders import KEY
from hypothesis import given
from hypothesis import strategies as st

from router.api.chat_request import ParsedChat, affinity, parse_chat
from router.errors import InvalidRequestError
from router.routing.plan import Directives

HELLO = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


def scope(**headers: str) -> dict[str, Any]:
    return {
        "type": "http",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "chat", "messages": HELLO, **fields}).encode()


def parse(data: bytes, **headers: str) -> ParsedChat:
    return parse_chat(data, scope(**headers), KEY)


def refused(data: bytes, **headers: str) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        parse(data, **headers)
    assert caught.value.status == 400
    assert caught.value.message
    return caught.value


def message(**fields: Any) -> bytes:
    return body(messages=[{"role": "user", "content": "hi"}, fields])


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"a": value}
    return value


DEEP = nested(500)


# --- not JSON, not an object

RAW: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("blank", b"  \n"),
    ("truncated", b"{"),
    ("truncated string", b'{"model":"ch'),
    ("list", b"[]"),
    ("number", b"1"),
    ("null", b"null"),
    ("string", b'"x"'),
    ("two documents", body() + body()),
    ("trailing garbage", body() + b"x"),
    ("100,000 deep", b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("unclosed 100,000 deep", b"[" * 100_000),
    ("NaN", b'{"model":"chat","messages":[{"role":"user","content":"x"}],"temperature":NaN}'),
    ("Infinity", b'{"model":"chat","messages":[{"role":"user","content":"x"}],"temperature":Infinity}'),
    ("1e999", b'{"model":"chat","messages":[{"role":"user","content":"x"}],"temperature":1e999}'),
    ("1e999 in an unknown field", b'{"model":"chat","messages":[{"role":"user","content":"x"}],"odd":1e999}'),
    ("5,000 digits", b'{"model":"chat","messages":[{"role":"user","content":"x"}],"seed":' + b"9" * 5000 + b"}"),
    ("lone surrogate", rb'{"model":"chat","messages":[{"role":"user","content":"\ud800 and more"}]}'),
    ("lone surrogate in a key", rb'{"model":"chat","messages":[],"\udc00 and more":1}'),
    ("invalid UTF-8", b'{"model":"chat","messages":[{"role":"user","content":"\xff"}]}'),
    ("latin-1", '{"model":"chat","messages":[{"role":"user","content":"é"}]}'.encode("latin-1")),
    ("UTF-16", body().decode().encode("utf-16")),
    ("UTF-16 without a mark", body().decode().encode("utf-16-le")),
    ("control character", b'{"model":"chat","messages":[{"role":"user","content":"a\x00b"}]}'),
    ("too many fields", orjson.dumps({"model": "chat", "messages": HELLO, **{f"x{n}": 1 for n in range(5000)}})),
]


@pytest.mark.parametrize("data", [row[1] for row in RAW], ids=[row[0] for row in RAW])
def test_what_is_not_one_json_object_is_a_400(data: bytes) -> None:
    refused(data)


def test_broken_json_says_so_in_its_code() -> None:
    for data in (b"", b"{", b"[]", b"\xff"):
        assert refused(data).code == "invalid_json"


# --- fields

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("messages missing", {"messages": None}, "messages"),
    ("messages an object", {"messages": {}}, "messages"),
    ("messages empty", {"messages": []}, "messages"),
    ("messages text", {"messages": "hi"}, "messages"),
    ("10,000 messages", {"messages": HELLO * 10_000}, "messages"),
    ("message not an object", {"messages": ["hi"]}, "messages[0]"),
    ("no role", {"messages": [{"content": "x"}]}, "messages[0].role"),
    ("unknown role", {"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    ("role a number", {"messages": [{"role": 1, "content": "x"}]}, "messages[0].role"),
    ("content null", {"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    ("content absent", {"messages": [*HELLO, {"role": "system"}]}, "messages[1].content"),
    ("content a number", {"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ("content true", {"messages": [{"role": "user", "content": True}]}, "messages[0].content"),
    ("content an object", {"messages": [{"role": "user", "content": {}}]}, "messages[0].content"),
    ("content numbers", {"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]"),
    ("assistant silent", {"messages": [*HELLO, {"role": "assistant", "content": None}]}, "messages[1].content"),
    (
        "assistant without calls",
        {"messages": [*HELLO, {"role": "assistant", "content": None, "tool_calls": []}]},
        "messages[1].content",
    ),
    ("part without type", {"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
    ("unknown part", {"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0]"),
    (
        "text part without text",
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
    ),
    (
        "text part with a number",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
        "messages[0].content[0].text",
    ),
    (
        "answer to no call",
        {"messages": [*HELLO, {"role": "tool", "content": "x", "tool_call_id": "c1"}]},
        "messages[1].tool_call_id",
    ),
    ("answer without id", {"messages": [*HELLO, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
    (
        "calls not a list",
        {"messages": [*HELLO, {"role": "assistant", "tool_calls": "x"}]},
        "messages[1].tool_calls",
    ),
    ("model missing", {"model": None}, "model"),
    ("model empty", {"model": ""}, "model"),
    ("model a number", {"model": 5}, "model"),
    ("model a list", {"model": ["chat"]}, "model"),
    ("model of 10 KB", {"model": "x" * 10_240}, "model"),
    ("model with a newline", {"model": "chat\nx"}, "model"),
    ("model with NUL", {"model": "chat\x00"}, "model"),
    ("temperature below", {"temperature": -1}, "temperature"),
    ("temperature above", {"temperature": 3}, "temperature"),
    ("temperature text", {"temperature": "1"}, "temperature"),
    ("temperature true", {"temperature": True}, "temperature"),
    ("top_p above", {"top_p": 1.5}, "top_p"),
    ("top_p list", {"top_p": [1]}, "top_p"),
    ("presence_penalty", {"presence_penalty": 3}, "presence_penalty"),
    ("frequency_penalty", {"frequency_penalty": "0"}, "frequency_penalty"),
    ("max_tokens 0", {"max_tokens": 0}, "max_tokens"),
    ("max_tokens negative", {"max_tokens": -1}, "max_tokens"),
    ("max_tokens half", {"max_tokens": 1.5}, "max_tokens"),
    ("max_tokens endless", {"max_tokens": 10**12}, "max_tokens"),
    ("max_tokens text", {"max_tokens": "10"}, "max_tokens"),
    ("max_completion_tokens 0", {"max_completion_tokens": 0}, "max_completion_tokens"),
    ("n 0", {"n": 0}, "n"),
    ("n negative", {"n": -1}, "n"),
    ("n huge", {"n": 10**9}, "n"),
    ("n above the cap", {"n": 9}, "n"),
    ("n a float", {"n": 1.0}, "n"),
    ("n true", {"n": True}, "n"),
    ("stream text", {"stream": "true"}, "stream"),
    ("stream 1", {"stream": 1}, "stream"),
    ("stream_options alone", {"stream_options": {"include_usage": True}}, "stream_options"),
    ("stream_options a list", {"stream": True, "stream_options": []}, "stream_options"),
    (
        "include_usage 1",
        {"stream": True, "stream_options": {"include_usage": 1}},
        "stream_options.include_usage",
    ),
    ("stop of 1,000", {"stop": ["x"] * 1000}, "stop"),
    ("stop empty", {"stop": ""}, "stop"),
    ("stop with an empty one", {"stop": ["x", ""]}, "stop"),
    ("stop numbers", {"stop": [1]}, "stop"),
    ("stop a number", {"stop": 5}, "stop"),
    ("10,000 tools", {"tools": [TOOL] * 10_000}, "tools"),
    ("tools an object", {"tools": {}}, "tools"),
    ("tool not an object", {"tools": ["x"]}, "tools[0]"),
    ("tool without a function", {"tools": [{"type": "function"}]}, "tools[0].function"),
    ("tool name spaced", {"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
    ("tool name unicode", {"tools": [{"type": "function", "function": {"name": "é"}}]}, "tools[0].function.name"),
    ("tool name NUL", {"tools": [{"type": "function", "function": {"name": "a\x00"}}]}, "tools[0].function.name"),
    (
        "tool parameters text",
        {"tools": [{"type": "function", "function": {"name": "a", "parameters": "x"}}]},
        "tools[0].function.parameters",
    ),
    ("tools 500 deep", {"tools": [{"type": "function", "function": {"name": "a", "parameters": DEEP}}]}, "tools"),
    ("tool_choice unknown", {"tool_choice": "always"}, "tool_choice"),
    ("tool_choice number", {"tool_choice": 1}, "tool_choice"),
    (
        "tool_choice absent tool",
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}},
        "tool_choice",
    ),
    ("response_format text", {"response_format": "json"}, "response_format"),
    ("response_format unknown", {"response_format": {"type": "yaml"}}, "response_format.type"),
    ("no schema", {"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
    (
        "schema 500 deep",
        {"response_format": {"type": "json_schema", "json_schema": {"schema": nested(500)}}},
        "response_format",
    ),
    ("unknown field 500 deep", {"odd": nested(500)}, "odd"),
    ("logit_bias of 100,000", {"logit_bias": {str(n): 1 for n in range(100_000)}}, "logit_bias"),
    ("logit_bias words", {"logit_bias": {"hello": 1}}, "logit_bias"),
    ("logit_bias text", {"logit_bias": {"5": "1"}}, "logit_bias"),
    ("logit_bias beyond", {"logit_bias": {"5": 1e300}}, "logit_bias"),
    ("seed too large", {"seed": 2**63}, "seed"),
    ("seed a float", {"seed": 1.5}, "seed"),
    ("user with CRLF", {"user": "a\r\nb"}, "user"),
    ("user of 1 MB", {"user": "x" * 2**20}, "user"),
    ("user an object", {"user": {}}, "user"),
    ("metadata nested", {"metadata": {"a": {}}}, "metadata"),
    ("metadata CRLF", {"metadata": {"a": "x\r\ny"}}, "metadata"),
    ("metadata of 17", {"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
    ("metadata a list", {"metadata": []}, "metadata"),
    ("top_logprobs alone", {"top_logprobs": 3}, "top_logprobs"),
    ("top_logprobs 21", {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ("parallel_tool_calls text", {"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
    ("modalities text", {"modalities": "image"}, "modalities"),
    *(
        (name, {name: "x"}, name)
        for name in (
            "api_base", "base_url", "api_key", "api_version", "extra_headers", "custom_llm_provider", "mock_response",
            "caching", "timeout",
        )
    ),
    ("router not an object", {"router": 5}, "router"),
    ("router unknown", {"router": {"speed": 1}}, "router.speed"),
    ("router sort", {"router": {"sort": "random"}}, "router.sort"),
    ("router cost_quality high", {"router": {"cost_quality": 1.01}}, "router.cost_quality"),
    ("router cost_quality nan", {"router": {"cost_quality": "nan"}}, "router.cost_quality"),
    ("router cost_quality word", {"router": {"cost_quality": "best"}}, "router.cost_quality"),
    ("router cost_quality flag", {"router": {"cost_quality": True}}, "router.cost_quality"),
    ("router cost negative", {"router": {"max_cost_usd": -1}}, "router.max_cost_usd"),
    ("router cost text", {"router": {"max_cost_usd": "cheap"}}, "router.max_cost_usd"),
    ("router cost true", {"router": {"max_cost_usd": True}}, "router.max_cost_usd"),
    ("router cost endless digits", {"router": {"max_cost_usd": "1" * 10_000}}, "router.max_cost_usd"),
    ("router latency 0", {"router": {"max_latency_ms": 0}}, "router.max_latency_ms"),
    ("router deadline NaN", {"router": {"deadline_ms": "nan"}}, "router.deadline_ms"),
    ("router only empty name", {"router": {"only": [""]}}, "router.only"),
    ("router only numbers", {"router": {"only": [1]}}, "router.only"),
    ("router order of 51", {"router": {"order": ["x"] * 51}}, "router.order"),
    ("router stream_mode", {"router": {"stream_mode": "fast"}}, "router.stream_mode"),
    ("router strict", {"router": {"strict": "maybe"}}, "router.strict"),
    ("fallbacks number", {"fallbacks": 5}, "fallbacks"),
    ("models numbers", {"models": [5]}, "models"),
    ("provider only number", {"provider": {"only": 5}}, "provider.only"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_field_is_a_400_that_names_it(fields: dict[str, Any], param: str) -> None:
    assert refused(body(**fields)).param == param


def test_a_missing_field_has_a_code_of_its_own() -> None:
    assert refused(b'{"model":"chat"}').code == "missing_required_parameter"
    assert refused(b'{"messages":[]}').code == "missing_required_parameter"


def test_what_a_client_sent_is_echoed_short() -> None:
    for data in (
        message(role="x" * 10_000, content=""),
        body(tool_choice={"function": {"name": "x" * 10_000}}),
        body(router={"x" * 10_000: 1}),
        body(router={"sort": "x" * 10_000}),
    ):
        assert len(refused(data).message) < 400


# --- what loose clients send and may

LOOSE: list[tuple[str, dict[str, Any]]] = [
    ("a float that is whole", {"max_tokens": 100.0}),
    ("all null", dict.fromkeys(("temperature", "tools", "stop", "n", "stream", "stream_options", "user", "router"))),
    ("no tools", {"tools": []}),
    ("unknown fields", {"top_k": 40, "repetition_penalty": 1.1, "x": {"y": [1]}}),
    ("stop text", {"stop": "END"}),
    ("five stops", {"stop": ["a", "b", "c", "d", "e"]}),
    ("temperature 0", {"temperature": 0}),
    ("empty metadata", {"metadata": {}}),
    ("a provider dialect nobody knows", {"provider": "openai", "route": "fallback"}),
    ("hosted tools", {"tools": [{"type": "web_search"}]}),
    ("recursive schema", {"tools": [{"type": "function", "function": {"name": "a", "parameters": {"$ref": "#"}}}]}),
    ("empty content", {"messages": [{"role": "user", "content": ""}]}),
    ("NUL escaped in content", {"messages": [{"role": "user", "content": "a\x00b"}]}),
    ("text beyond the alphabet", {"messages": [{"role": "user", "content": "\u00e9\u4e2d\U0001f600"}]}),
    ("no parts", {"messages": [{"role": "user", "content": []}]}),
    ("unknown message fields", {"messages": [{"role": "user", "content": "x", "name": "me", "cache_control": {}}]}),
    ("assistant refused", {"messages": [*HELLO, {"role": "assistant", "content": None, "refusal": "no"}]}),
    ("assistant thought", {"messages": [*HELLO, {"role": "assistant", "content": None, "reasoning_content": "hm"}]}),
    ("legacy call", {"messages": [*HELLO, {"role": "assistant", "function_call": {"name": "a", "arguments": "{}"}}]}),
    (
        "a call and its answer",
        {
            "messages": [
                *HELLO,
                {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function"}]},
                {"role": "tool", "tool_call_id": "c1", "content": "42"},
            ]
        },
    ),
    ("every role", {"messages": [{"role": r, "content": "x"} for r in ("system", "developer", "user", "assistant")]}),
]


@pytest.mark.parametrize("fields", [row[1] for row in LOOSE], ids=[row[0] for row in LOOSE])
def test_a_loose_request_passes(fields: dict[str, Any]) -> None:
    parse(body(**fields))


def test_a_byte_order_mark_is_tolerated() -> None:
    assert parse(b"\xef\xbb\xbf" + body()).request.model == "chat"


def test_white_space_around_everything_changes_nothing() -> None:
    part = b'[ { "type" : "text" , "text" : "hi" } ]'
    loose = b'\n { "model" : "chat" , "messages" : [ { "role" : "user" , "content" : ' + part + b" } ] } "
    assert parse(loose).features.messages == 1


def test_a_whole_float_travels_as_an_integer() -> None:
    fields = parse(body(max_tokens=100.0, max_completion_tokens=7.0)).request.fields
    assert [type(fields[name]) for name in ("max_tokens", "max_completion_tokens")] == [int, int]


def test_nulls_are_as_good_as_absent() -> None:
    assert parse(body(temperature=None, tools=None)).request.fields == {}


def test_the_messages_travel_byte_for_byte() -> None:
    raw = b'[ {"role":"user",  "content":"\\u0041\\/ {{7*7}} ${jndi:x} %s"} ]'
    assert parse(b'{"model":"chat","messages":' + raw + b"}").request.messages_json == raw


def test_of_a_repeated_key_the_last_counts_everywhere() -> None:
    found = parse(b'{"model":"a","model":"b","messages":[],"messages":' + orjson.dumps(HELLO) + b"}")
    assert (found.request.model, found.features.model) == ("b", "b")


# --- features


def test_features_are_counts_of_the_request() -> None:
    found = parse(
        body(
            stream=True,
            stream_options={"include_usage": True},
            n=2,
            max_tokens=50,
            max_completion_tokens=60,
            tools=[TOOL, TOOL],
            parallel_tool_calls=True,
            reasoning_effort="high",
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
            modalities=["text", "image"],
            metadata={"team": "red"},
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look"},
                        {"type": "image_url", "image_url": {"url": "data:,"}},
                        {"type": "input_audio", "input_audio": {}},
                        {"type": "file", "file": {}},
                    ],
                }
            ],
        )
    )
    features = found.features
    assert (features.kind, features.model, features.stream, features.n) == ("chat", "chat", True, 2)
    assert (features.images, features.audio, features.files, features.messages) == (1, 1, 1, 1)
    assert (features.tools, features.parallel_tools, features.json_schema) == (2, True, True)
    assert (features.max_tokens, features.reasoning_effort) == (60, "high")
    assert (features.image_out, features.audio_out) == (True, False)
    assert (features.key_name, features.key_tags, features.metadata) == ("tester", ("batch",), {"team": "red"})
    assert found.request.include_usage


@pytest.mark.parametrize("as_parts", [False, True])
def test_text_counts_a_token_for_four_bytes(as_parts: bool) -> None:
    text = "x" * 1_200_000
    content = [{"type": "text", "text": text}] if as_parts else text
    found = parse(body(messages=[{"role": "user", "content": content}])).features
    assert found.prompt_bytes == 1_200_000
    assert found.prompt_tokens == pytest.approx(300_000, rel=0.01)


def test_a_picture_counts_as_one_whatever_its_size() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 3_000_000}}
    found = parse(body(messages=[{"role": "user", "content": [part]}])).features
    assert found.images == 1
    assert found.prompt_tokens < 2000


def test_tools_count_towards_the_prompt() -> None:
    assert parse(body(tools=[TOOL] * 100)).features.prompt_tokens > parse(body()).features.prompt_tokens + 1000


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 3000}}


@pytest.mark.parametrize(
    ("messages", "question"),
    [
        (HELLO, 2),
        ([*HELLO, {"role": "assistant", "content": "a long reply"}], 2),
        ([*HELLO, {"role": "assistant", "content": "x"}, {"role": "user", "content": "again"}], 5),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "two"}, PICTURE, {"type": "text", "text": "three"}],
                }
            ],
            8,
        ),
        ([{"role": "system", "content": "only this"}], 0),
    ],
)
def test_the_question_is_the_text_of_the_last_message_that_a_user_wrote(messages: list[Any], question: int) -> None:
    assert parse(body(messages=messages)).features.question_bytes == question


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, False),
        ({"reasoning_effort": None, "google": {"labels": {}}, "extra_body": {"x": 1}}, False),
        ({"reasoning_effort": "low"}, True),
        ({"reasoning": {"max_tokens": 100}}, True),
        ({"thinking": {"type": "disabled"}}, True),
        ({"google": {"thinking_config": {"thinking_budget": 0}}}, True),
        ({"extra_body": {"google": {"thinkingConfig": {}}}}, True),
    ],
)
def test_it_is_known_whether_the_caller_says_how_much_to_think(fields: dict[str, Any], said: bool) -> None:
    assert parse(body(**fields)).features.own_thinking is said


def test_affinity_is_the_requests_own() -> None:
    one, other = parse(body()).features.affinity, parse(body(messages=[{"role": "user", "content": "ho"}])).features
    assert one == parse(body(temperature=1)).features.affinity
    assert one != other.affinity


@given(st.text(max_size=20), st.binary(max_size=5000))
def test_affinity_is_a_share(model: str, content: bytes) -> None:
    assert 0.0 <= affinity(model, content) < 1.0


# --- what the caller says about routing

DIRECTIVES: list[tuple[str, dict[str, Any], dict[str, str], dict[str, Any]]] = [
    ("nothing", {}, {}, {}),
    (
        "body",
        {
            "router": {
                "sort": "latency", "max_cost_usd": 0.01, "max_latency_ms": 500, "deadline_ms": 2000,
                "order": ["a", "b"], "only": ["a"], "ignore": ["b"], "fallbacks": ["c"],
                "stream_mode": "repair", "strict": True, "allow_fallbacks": False, "cost_quality": 0.5,
            }
        },
        {},
        {
            "sort": "latency", "max_cost_usd": Decimal("0.01"), "max_latency_ms": 500.0, "deadline_ms": 2000.0,
            "order": ("a", "b"), "only": ("a",), "ignore": ("b",), "fallbacks": ("c",), "stream_mode": "repair",
            "strict": True, "allow_fallbacks": False, "cost_quality": 0.5,
        },
    ),
    (
        "headers",
        {},
        {
            "x_router_sort": "quality", "x_router_max_cost_usd": "0.5", "x_router_deadline_ms": "1500",
            "x_router_only": "a, b/c", "x_router_strict": "true", "x_router_stream_mode": "buffered",
            "x_router_cost_quality": "0",
        },
        {
            "sort": "quality", "max_cost_usd": Decimal("0.5"), "deadline_ms": 1500.0, "only": ("a", "b/c"),
            "strict": True, "stream_mode": "buffered", "cost_quality": 0.0,
        },
    ),
    ("body over header", {"router": {"sort": "cost"}}, {"x_router_sort": "latency"}, {"sort": "cost"}),
    ("headers nobody knows", {}, {"x_router_debug": "1", "x_other": "2"}, {}),
    ("a null says nothing", {"router": {"sort": None}}, {}, {}),
    (
        "OpenRouter",
        {
            "provider": {"order": ["a"], "only": ["b"], "ignore": ["c"], "allow_fallbacks": False, "sort": "price"},
            "models": ["x", "y"],
            "route": "fallback",
        },
        {},
        {
            "order": ("a",), "only": ("b",), "ignore": ("c",), "allow_fallbacks": False, "sort": "cost",
            "fallbacks": ("x", "y"),
        },
    ),
    ("OpenRouter throughput", {"provider": {"sort": "throughput"}}, {}, {"sort": "latency"}),
    ("LiteLLM", {"fallbacks": ["x"]}, {}, {"fallbacks": ("x",)}),
    (":nitro", {"model": "chat:nitro"}, {}, {"sort": "latency"}),
    (":floor", {"model": "chat:floor"}, {}, {"sort": "cost"}),
    ("header over suffix", {"model": "chat:floor"}, {"x_router_sort": "quality"}, {"sort": "quality"}),
    ("header over dialect", {"provider": {"order": ["a"]}}, {"x_router_order": "b"}, {"order": ("b",)}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "headers", "expected"), [row[1:] for row in DIRECTIVES], ids=[row[0] for row in DIRECTIVES]
)
def test_directives_are_read_from_every_dialect_and_none_travels_upstream(
    fields: dict[str, Any], headers: dict[str, str], expected: dict[str, Any]
) -> None:
    found = parse(body(temperature=1, **fields), **headers)
    assert found.directives == Directives(**expected)
    assert found.request.fields == {"temperature": 1}
    assert (found.request.model, found.features.model) == ("chat", "chat")
    assert found.request.strict is found.directives.strict


@pytest.mark.parametrize(
    ("name", "value"),
    [("x_router_sort", "best"), ("x_router_max_cost_usd", "-1"), ("x_router_only", ""), ("x_router_deadline_ms", "")],
)
def test_a_bad_header_is_a_400_that_names_it(name: str, value: str) -> None:
    assert refused(body(), **{name: value}).param == "header " + name.replace("_", "-")


# --- whatever arrives

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted({name for _, fields, _ in BAD for name in fields} | {"logprobs", "store", "audio", "prediction"})


def survives(data: bytes) -> None:
    """Parsed to what can be sent on, or refused as the client's fault; nothing else."""
    with contextlib.suppress(InvalidRequestError):
        orjson.dumps(dict(parse(data).request.fields))


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    survives(data)


@given(json_values)
def test_any_json_is_parsed_or_refused(value: Any) -> None:
    survives(json.dumps(value).encode())


@given(st.dictionaries(st.sampled_from(NAMES), json_values, max_size=4))
def test_any_values_of_known_fields_are_parsed_or_refused(fields: dict[str, Any]) -> None:
    survives(json.dumps({"model": "chat", "messages": HELLO, **fields}).encode())


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["role", "content", "tool_calls", "tool_call_id", "name", "refusal"]),
            st.sampled_from(["user", "assistant", "tool", "system"]) | json_values,
        ),
        max_size=4,
    )
)
def test_any_messages_are_parsed_or_refused(messages: list[Any]) -> None:
    survives(json.dumps({"model": "chat", "messages": messages}).encode())


@given(st.text(min_size=1, max_size=30), st.sampled_from(["sort", "max-cost-usd", "only", "deadline-ms", "strict"]))
def test_any_header_is_parsed_or_refused(value: str, name: str) -> None:
    with contextlib.suppress(InvalidRequestError):
        parse_chat(body(), {"headers": [(f"x-router-{name}".encode(), value.encode())]}, KEY)
