"""Request translation beyond the conformance vectors: signatures, synonyms, Google's own fields, strictness."""

import json
from typing import Any

import pytest

from providers.catalogue import ImageCapabilities, ModelInfo, Thinking
from providers.errors import BadRequestError, UnsupportedFieldError
from providers.gemini.request import to_generate_content
from providers.gemini.schema import clean
from providers.gemini.signatures import DUMMY, issued_by_gemini, split_id
from providers.gemini.translated import Translated
from providers.types import ChatRequest

HI = [{"role": "user", "content": "hi"}]
NEW = ModelInfo(
    name="new", family=3.8, thinking=Thinking(kind="level", levels=("low", "medium", "high")), signatures=True
)
OLD = ModelInfo(
    name="old", family=2.5, thinking=Thinking(kind="budget", budget_min=1, budget_max=24576, can_disable=True)
)
DRAW = ModelInfo(
    name="draw",
    kind="image",
    family=3.1,
    outputs=frozenset({"text", "image"}),
    image=ImageCapabilities(tiers=("1K",), ratios=("1:1", "16:9")),
)


def ask(messages: Any = HI, info: ModelInfo = NEW, *, strict: bool = False, **fields: Any) -> Translated:
    raw = json.dumps(messages).encode()
    return to_generate_content(ChatRequest(model="m", messages_json=raw, fields=fields, strict=strict), info)


def body_of(messages: Any = HI, info: ModelInfo = NEW, **fields: Any) -> dict[str, Any]:
    return dict(ask(messages, info, **fields).body)


def model_parts(message: dict[str, Any], *after: Any) -> Any:
    contents: Any = body_of([HI[0], {"role": "assistant", **message}, *after])["contents"]
    return next(content["parts"] for content in contents if content["role"] == "model")


CALL = {"id": "call_a", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "call_a", "content": "x"}


def extra(signature: str) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": signature}}}


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        ({"tool_calls": [{**CALL, **extra("AAAA")}]}, "AAAA"),
        ({"tool_calls": [{**CALL, "provider_specific_fields": {"thought_signature": "BBBB"}}]}, "BBBB"),
        (
            {
                "tool_calls": [CALL],
                "reasoning_details": [{"type": "reasoning.encrypted", "id": "call_a", "data": "CC=="}],
            },
            "CC==",
        ),
        ({"tool_calls": [CALL], **extra("DDDD")}, "DDDD"),
        (
            {
                "tool_calls": [CALL],
                "reasoning_details": [
                    {"type": "reasoning.encrypted", "id": "call_a", "data": "E", "format": "anthropic-claude-v1"}
                ],
            },
            DUMMY,
        ),
        ({"tool_calls": [CALL], "thinking_blocks": [{"type": "thinking", "signature": "claude"}]}, DUMMY),
        ({"tool_calls": [CALL]}, DUMMY),
    ],
)
def test_a_call_gets_the_signature_its_client_kept_or_the_dummy(message: Any, signature: str) -> None:
    parts = model_parts(message, RESULT)
    assert parts == [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": signature}]


def test_each_step_of_the_current_turn_gets_one_dummy_and_earlier_turns_none() -> None:
    def step(call_id: str) -> list[Any]:
        calls = [{**CALL, "id": call_id}, {**CALL, "id": f"{call_id}2"}]
        return [
            {"role": "assistant", "tool_calls": calls},
            {**RESULT, "tool_call_id": call_id},
            {**RESULT, "tool_call_id": f"{call_id}2"},
        ]

    contents: Any = body_of([*HI, *step("call_a"), *HI, *step("call_b"), *step("call_c")])["contents"]
    signatures = [
        [part.get("thoughtSignature") for part in content["parts"]]
        for content in contents
        if content["role"] == "model"
    ]
    assert signatures == [[None, None], [DUMMY, None], [DUMMY, None]]


def test_a_text_signature_stays_with_the_last_text_and_an_empty_text_may_carry_one() -> None:
    assert model_parts({"content": "hello", **extra("AAAA")}) == [{"text": "hello", "thoughtSignature": "AAAA"}]
    assert model_parts({"content": None, **extra("AAAA")}) == [{"text": "", "thoughtSignature": "AAAA"}]


def test_a_picture_we_made_goes_back_as_the_part_it_was() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}, **extra("AAAA")}
    assert model_parts({"content": None, "images": [image]}) == [
        {"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thoughtSignature": "AAAA"}
    ]


def test_parts_of_googles_own_tools_go_back_as_they_were() -> None:
    part = {"toolCall": {"id": "1", "toolType": "GOOGLE_SEARCH_WEB"}, "thoughtSignature": "AAAA"}
    message = {"content": "x", "extra_content": {"google": {"server_tools": [part, {"text": "evil"}]}}}
    assert model_parts(message) == [part, {"text": "x"}]


@pytest.mark.parametrize(("call_id", "ours"), [("call_1", False), ("toolu_1", False), ("w71i0cbt", True), ("", False)])
def test_only_an_id_of_geminis_goes_back_to_gemini(call_id: str, ours: bool) -> None:
    assert issued_by_gemini(call_id) is ours


def test_an_id_without_a_hidden_signature_is_whole() -> None:
    assert split_id("call_0a") == ("call_0a", None)
    assert split_id("call_0a__thought__") == ("call_0a", None)


def test_calls_that_all_have_the_same_empty_id_are_answered_in_order() -> None:
    calls = [{**CALL, "id": ""}, {"id": "", "function": {"name": "g"}}]
    results = [{**RESULT, "tool_call_id": "", "content": text} for text in ("one", "two")]
    contents: Any = body_of([*HI, {"role": "assistant", "tool_calls": calls}, *results])["contents"]
    responses = [part["functionResponse"] for part in contents[-1]["parts"]]
    assert [(item["name"], item["response"]["output"]) for item in responses] == [("f", "one"), ("g", "two")]


@pytest.mark.parametrize(("arguments", "args"), [("", {}), ("{", {"_raw": "{"}), ("[1]", {"_raw": "[1]"}), (None, {})])
def test_one_bad_call_in_the_history_does_not_spoil_the_conversation(arguments: Any, args: Any) -> None:
    call = {"id": "call_a", "function": {"name": "f", "arguments": arguments}}
    assert model_parts({"tool_calls": [call]}, RESULT)[0]["functionCall"]["args"] == args


def test_legacy_functions_make_the_round_trip() -> None:
    messages = [
        *HI,
        {"role": "assistant", "content": None, "function_call": {"name": "a/b", "arguments": "{}"}},
        {"role": "function", "name": "a/b", "content": "5"},
    ]
    translated = ask(messages, functions=[{"name": "a/b"}])
    contents: Any = translated.body["contents"]
    assert contents[2]["parts"] == [{"functionResponse": {"name": "a_b", "response": {"output": "5"}}}]
    assert translated.reading.legacy_function


def test_an_error_result_is_an_error() -> None:
    contents: Any = body_of([*HI, {"role": "assistant", "tool_calls": [CALL]}, {**RESULT, "is_error": True}])[
        "contents"
    ]
    assert contents[-1]["parts"][0]["functionResponse"]["response"] == {"error": "x"}


def test_a_model_without_system_instructions_reads_them_first() -> None:
    info = ModelInfo(name="m", system=False)
    body = body_of([{"role": "system", "content": "S"}, *HI], info)
    assert body == {"contents": [{"role": "user", "parts": [{"text": "S"}, {"text": "hi"}]}]}


@pytest.mark.parametrize(
    ("info", "fields", "config"),
    [
        (NEW, {"reasoning": {"effort": "high"}}, {"thinkingLevel": "HIGH"}),
        (NEW, {"reasoning": {"max_tokens": 500}}, {"thinkingLevel": "LOW"}),
        (NEW, {"reasoning": {"effort": "low", "exclude": False}}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        (NEW, {"include_reasoning": True}, {"includeThoughts": True}),
        (NEW, {"thinking": {"type": "disabled"}}, {"thinkingLevel": "LOW", "includeThoughts": False}),
        (OLD, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinkingBudget": 2000}),
        (OLD, {"reasoning": {"max_tokens": 999999}}, {"thinkingBudget": 24576}),
        (OLD, {"google": {"thinking_config": {"thinking_budget": -1}}}, {"thinkingBudget": -1}),
        (OLD, {"google": {"thinking_config": {"thinking_level": "low"}}}, {"thinkingBudget": 1024}),
        (OLD, {"reasoning_effort": "low", "thinking": {"budget_tokens": 9}}, {"thinkingBudget": 1024}),
        (OLD, {"reasoning_effort": "low", "max_tokens": 2}, {"thinkingBudget": 1}),
        (OLD, {"reasoning_effort": "low", "max_tokens": 1}, {"thinkingBudget": 0}),
        (ModelInfo(name="m"), {"reasoning_effort": "low"}, None),
    ],
)
def test_every_dialect_of_effort_is_understood(info: ModelInfo, fields: Any, config: Any) -> None:
    assert body_of(info=info, **fields).get("generationConfig", {}).get("thinkingConfig") == config


def test_a_snapped_or_dropped_effort_is_named() -> None:
    assert ask(reasoning_effort="minimal").warnings == ("reasoning_effort=snapped:low",)
    assert ask(reasoning_effort="high").warnings == ()
    assert ask(info=ModelInfo(name="m"), reasoning_effort="high").warnings == ("reasoning_effort=dropped",)


def test_an_unknown_effort_is_refused() -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(reasoning_effort="heroic")
    assert caught.value.param == "reasoning_effort"


@pytest.mark.parametrize("where", ["google", "extra_body"])
def test_googles_own_fields_pass_an_allow_list(where: str) -> None:
    own = {
        "safety_settings": [
            {"category": "C", "threshold": "OFF"},
            {"category": "C", "threshold": "BLOCK_NONE"},
        ],
        "media_resolution": "low",
        "labels": {"a": "b"},
    }
    translated = ask(**({"google": own} if where == "google" else {"extra_body": {"google": own}}))
    assert translated.body["safetySettings"] == [{"category": "C", "threshold": "BLOCK_NONE"}]
    assert translated.body["generationConfig"] == {"mediaResolution": "MEDIA_RESOLUTION_LOW"}
    assert "labels" not in translated.body
    assert translated.warnings == ("google.labels=dropped",)


def test_cached_content_replaces_what_it_already_holds() -> None:
    translated = ask(
        [{"role": "system", "content": "S"}, *HI],
        google={"cached_content": "cachedContents/a1"},
        tools=[{"type": "function", "function": {"name": "f"}}],
        tool_choice="required",
    )
    assert set(translated.body) == {"contents", "cachedContent"}
    assert translated.warnings == ("system=dropped", "tools=dropped", "tool_choice=dropped")
    with pytest.raises(BadRequestError):
        ask(google={"cached_content": "../files"})


def test_pictures_in_chat_ask_for_both_modalities_and_what_the_model_lists() -> None:
    translated = ask(info=DRAW, modalities=["image"], image_config={"aspect_ratio": "16:9", "image_size": "4K"})
    assert translated.body["generationConfig"] == {
        "responseModalities": ["TEXT", "IMAGE"],
        "imageConfig": {"aspectRatio": "16:9"},
    }
    assert translated.warnings == ("image_config.image_size=dropped",)


def test_the_output_limit_is_clamped_and_the_newer_name_wins() -> None:
    translated = ask(max_completion_tokens=10.0, max_tokens=5)
    assert translated.body["generationConfig"] == {"maxOutputTokens": 10}
    assert ask(max_tokens=10**7).warnings == ("max_tokens=clamped:65536",)


def test_a_strict_caller_gets_an_error_where_others_get_a_warning() -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        ask(strict=True, verbosity="low")
    assert caught.value.param == "verbosity"
    assert ask(strict=True, user="u", temperature=1).warnings == ()


def test_a_custom_tool_is_declared_with_one_input() -> None:
    tool = {"type": "custom", "custom": {"name": "sh", "description": "Shell.", "format": {"type": "text"}}}
    tools: Any = body_of(tools=[tool])["tools"]
    assert tools[0]["functionDeclarations"][0]["parametersJsonSchema"]["required"] == ["input"]


def test_all_of_is_merged_and_a_described_reference_keeps_its_description() -> None:
    schema: Any = {
        "definitions": {"P": {"type": "object", "properties": {"definitions": {"type": "string"}}}},
        "allOf": [
            {"type": "object", "properties": {"a": {"$ref": "#/definitions/P", "description": "D"}}, "required": ["a"]},
            {"properties": {"b": {"allOf": [{"$ref": "#/definitions/P"}]}}, "required": ["b"]},
        ],
    }
    assert clean(schema, "x") == {
        "type": "object",
        "properties": {"a": {"anyOf": [{"$ref": "#/$defs/P"}], "description": "D"}, "b": {"$ref": "#/$defs/P"}},
        "required": ["a", "b"],
        "$defs": {"P": {"type": "object", "properties": {"definitions": {"type": "string"}}}},
    }


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: Any = {"type": "string"}
    for _ in range(200):
        schema = {"type": "array", "items": schema}
    with pytest.raises(BadRequestError):
        clean(schema, "x")


def test_of_two_equally_near_levels_the_higher_is_taken() -> None:
    info = ModelInfo(name="m", thinking=Thinking(kind="level", levels=("MINIMAL", "MEDIUM", "HIGH")))
    config = body_of(info=info, reasoning_effort="low")["generationConfig"]
    assert config["thinkingConfig"] == {"thinkingLevel": "MEDIUM"}


def test_a_pointer_through_a_property_called_definitions_keeps_that_name() -> None:
    schema: Any = {
        "type": "object",
        "properties": {
            "definitions": {"type": "object", "properties": {"a": {"type": "string"}}},
            "b": {"$ref": "#/properties/definitions"},
        },
    }
    assert clean(schema, "x") == schema
