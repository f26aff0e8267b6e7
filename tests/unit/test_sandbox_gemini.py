"""The simulated Gemini is as strict as the documentation says the real one is."""

from typing import Any

import orjson
import pytest

from providers.sandbox import gemini
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming
from providers.sandbox.gemini_turns import DUMMY_SIGNATURE
from providers.sandbox.refusals import RefusedError

USER = {"role": "user", "parts": [{"text": "hello"}]}
TOOL = {
    "functionDeclarations": [
        {
            "name": "get_weather",
            "parametersJsonSchema": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        }
    ]
}


def ask(
    body: object, model: str = "gemini-3.8-flash", verb: str = "generateContent", query: bytes = b"", key: str = "k"
) -> Answer:
    headers = {b"x-goog-api-key": key.encode()} if key else {}
    incoming = Incoming(
        method="POST",
        path=f"/v1beta/models/{model}:{verb}",
        query=query,
        headers=headers,
        body=orjson.dumps(body),
        base_url="http://sandbox",
        key="0/1",
    )
    config = SandboxConfig()
    try:
        return gemini.answer(incoming, gemini.route(incoming, config), config, None)
    except RefusedError as refused:
        return refused.answer


def told(body: object, model: str = "gemini-3.8-flash") -> dict[str, Any]:
    answer = ask(body, model)
    assert answer.status == 200, answer.body
    return orjson.loads(answer.body)  # type: ignore[no-any-return]


def refusal(body: object, model: str = "gemini-3.8-flash") -> str:
    answer = ask(body, model)
    assert answer.status == 400, answer.body
    error = orjson.loads(answer.body)["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    return str(error["message"])


def with_config(**config: object) -> dict[str, object]:
    return {"contents": [USER], "generationConfig": config}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"contents": [USER], "labels": {}}, 'Unknown name "labels": Cannot find field.'),
        (with_config(topp=1), "Unknown name \"topp\" at 'generation_config': Cannot find field."),
        ({"contents": [{"role": "user", "parts": [{"txt": "x"}]}]}, "at 'contents[0].parts[0]'"),
        ({}, "contents is not specified"),
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
        ({"contents": [{"role": "user", "parts": []}]}, "contents.parts must not be empty"),
        ({"contents": [{"role": "user", "parts": [{"text": ""}]}]}, "must have one initialized field"),
        ({"contents": [{"role": "user", "parts": [{"text": "a", "inlineData": {}}]}]}, "oneof field 'data'"),
        ({"contents": [{"role": "model", "parts": [{"text": "a"}]}, USER]}, "begin with a user turn"),
        ({"contents": [USER, {"role": "model", "parts": [{"text": "a"}]}]}, "ending with a model turn"),
        (with_config(seed=1 << 31), "Invalid value at 'generation_config.seed' (TYPE_INT32)"),
        (with_config(maxOutputTokens="many"), "Invalid value at 'generation_config.max_output_tokens'"),
        (with_config(maxOutputTokens=0), "maxOutputTokens value of 0"),
        (with_config(frequencyPenalty=0.5), "Penalty is not enabled for this model"),
        (with_config(responseLogprobs=True), "Logprobs is not enabled for models/gemini-3.8-flash"),
        (with_config(candidateCount=2), "Multiple candidates is not enabled"),
        (with_config(stopSequences=[""]), "stop_sequences"),
        (with_config(stopSequences=list("abcdef")), "stop_sequences"),
        (with_config(thinkingConfig={"thinkingBudget": 5, "thinkingLevel": "LOW"}), "only set only one of"),
        (with_config(thinkingConfig={"thinkingLevel": "MINIMAL"}), "Thinking level MINIMAL is not supported"),
        (with_config(responseSchema={"type": "STRING"}), "only allowed when response mimetype"),
        (with_config(responseModalities=["TEXT", "IMAGE"]), "combination of response modalities"),
        (with_config(imageConfig={"aspectRatio": "1:1"}), "Image generation is not enabled"),
        ({"contents": [USER], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "without function_decl"),
        (
            {"contents": [USER], "tools": [TOOL], "toolConfig": {"functionCallingConfig": {"mode": "auto"}}},
            "Invalid value at 'tool_config.function_calling_config.mode'",
        ),
        (
            {
                "contents": [USER],
                "tools": [TOOL],
                "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["get_weather"]}},
            },
            "only when the function calling mode is ANY",
        ),
        ({"contents": [USER], "tools": [TOOL, TOOL]}, "Duplicate function declaration"),
        ({"contents": [USER], "tools": [TOOL, {"googleSearch": {}}]}, "include_server_side_tool_invocations"),
        ({"contents": [USER], "cachedContent": "cachedContents/1", "tools": [TOOL]}, "CachedContent can not be used"),
    ],
)
def test_what_gemini_refuses(body: dict[str, object], message: str) -> None:
    assert message in refusal(body)


def declared(schema: dict[str, object]) -> dict[str, object]:
    return {"contents": [USER], "tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "additionalProperties": False},
            "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters'",
        ),
        ({"type": "object", "properties": {}}, "should be non-empty for OBJECT type"),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "items: missing field"),
        ({"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}}, "only 'enum' and 'date-time'"),
        ({"type": "object", "properties": {"a": {"type": "string", "enum": [""]}}}, "enum[0]: cannot be empty"),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}, "property is not defined"),
        ({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}, "Invalid value at"),
    ],
)
def test_the_openapi_dialect_is_held_to_its_keys(schema: dict[str, object], message: str) -> None:
    assert message in refusal(declared(schema))


def test_json_schema_takes_what_the_openapi_dialect_does_not() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}, "$ref": {"type": "string"}},
        "$defs": {"A": {"type": ["string", "null"]}},
        "additionalProperties": False,
    }
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    assert told({"contents": [USER], "generationConfig": config})
    sibling = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A", "description": "x"}}}
    config = {"responseMimeType": "application/json", "responseJsonSchema": sibling}
    assert "$ref may have no other keys" in refusal({"contents": [USER], "generationConfig": config})


@pytest.mark.parametrize(
    ("model", "thinking", "message"),
    [
        ("gemini-2.5-pro", {"thinkingBudget": 0}, "Budget 0 is invalid"),
        ("gemini-2.5-pro", {"thinkingBudget": 100}, "choose a value between 128"),
        ("gemini-2.5-flash", {"thinkingLevel": "LOW"}, "Thinking level is not supported for this model."),
        ("gemini-2.5-flash-image", {"includeThoughts": True}, "thinking_config is not supported."),
        ("gemini-3.1-flash-image", {"thinkingLevel": "LOW"}, "Thinking level LOW is not supported"),
    ],
)
def test_thinking_is_held_to_the_models_table(model: str, thinking: dict[str, object], message: str) -> None:
    assert message in refusal(with_config(thinkingConfig=thinking), model)


def test_older_models_refuse_combinations_that_newer_ones_take() -> None:
    body = {"contents": [USER], "tools": [TOOL], "generationConfig": {"responseMimeType": "application/json"}}
    assert "response mime type: 'application/json' is unsupported" in refusal(body, "gemini-2.5-flash")
    assert told(body)
    search = {"contents": [USER], "tools": [TOOL, {"googleSearch": {}}]}
    assert "Tool use with function calling is unsupported" in refusal(search, "gemini-2.5-flash")


def test_keys_urls_and_models_are_refused_as_google_does() -> None:
    body = {"contents": [USER]}
    assert ask(body, key="").status == 403
    bad = ask(body, key="invalid-key")
    assert bad.status == 400
    assert b"API_KEY_INVALID" in bad.body
    assert ask(body, query=b"key=abc").status == 404
    missing = ask(body, model="gemini-1.5-flash")
    assert missing.status == 404
    assert b"models/gemini-1.5-flash is not found for API version v1beta" in missing.body
    assert ask(body, query=b"fields=x").status == 400


def test_usage_adds_up_and_thinking_is_counted() -> None:
    usage = told({"contents": [USER]})["usageMetadata"]
    parts = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    assert sum(usage[part] for part in parts) == usage["totalTokenCount"]
    assert usage["thoughtsTokenCount"] > 0
    assert "thoughtsTokenCount" not in told({"contents": [USER]}, "gemini-3.5-flash-lite")["usageMetadata"]


def test_thought_summaries_come_only_when_asked() -> None:
    parts = told(with_config(thinkingConfig={"includeThoughts": True}))["candidates"][0]["content"]["parts"]
    assert parts[0]["thought"] is True
    assert not any(part.get("thought") for part in told({"contents": [USER]})["candidates"][0]["content"]["parts"])


def round_trip(model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A first tool turn and the request that answers it."""
    question = {"role": "user", "parts": [{"text": "Weather in Oslo and Rome?"}]}
    first = told({"contents": [question], "tools": [TOOL]}, model)["candidates"][0]["content"]
    responses = [
        {"functionResponse": {"name": part["functionCall"]["name"], "response": {"output": "3 C"}}}
        for part in first["parts"]
    ]
    for response, part in zip(responses, first["parts"], strict=True):
        if "id" in part["functionCall"]:
            response["functionResponse"]["id"] = part["functionCall"]["id"]
    return first, {"contents": [question, first, {"role": "user", "parts": responses}], "tools": [TOOL]}


@pytest.mark.parametrize("model", ["gemini-3.8-flash", "gemini-3-flash-preview", "gemini-2.5-flash"])
def test_a_tool_round_trip_is_quoted(model: str) -> None:
    first, request = round_trip(model)
    assert [part["functionCall"]["args"]["city"] for part in first["parts"]] == ["Oslo", "Rome"]
    signed = ["thoughtSignature" in part for part in first["parts"]]
    assert signed == ([True, False] if model.startswith("gemini-3") else [False, False])
    assert all(("id" in part["functionCall"]) is (model == "gemini-3.8-flash") for part in first["parts"])
    text = told(request, model)["candidates"][0]["content"]["parts"][0]["text"]
    assert text.count("get_weather returned") == 2


def test_a_missing_signature_is_refused_and_the_dummy_is_taken() -> None:
    first, request = round_trip("gemini-3.8-flash")
    signature = first["parts"][0].pop("thoughtSignature")
    assert "Function call is missing a thought_signature in functionCall parts" in refusal(request)
    first["parts"][0]["thoughtSignature"] = DUMMY_SIGNATURE
    told(request)
    first["parts"][0]["thoughtSignature"] = signature
    first["parts"][0]["functionCall"]["args"] = {"city": "Paris"}
    assert refusal(request) == "Corrupted thought signature."
    first["parts"][0]["thoughtSignature"] = "c29tZXRoaW5n"
    assert refusal(request) == "Corrupted thought signature."


def test_a_signature_of_another_family_is_refused() -> None:
    _, request = round_trip("gemini-3.8-flash")
    assert refusal(request, "gemini-4-argon") == "Corrupted thought signature."


def test_signatures_are_not_asked_for_in_earlier_turns() -> None:
    first, request = round_trip("gemini-3.8-flash")
    del first["parts"][0]["thoughtSignature"]
    request["contents"] += [{"role": "model", "parts": [{"text": "Cold."}]}, USER]
    told(request)


def test_responses_must_match_the_calls() -> None:
    _, request = round_trip("gemini-3.8-flash")
    answers = request["contents"][2]["parts"]
    request["contents"][2]["parts"] = answers[:1]
    assert "number of function response parts is equal" in refusal(request)
    request["contents"][2]["parts"] = [*answers, {"text": "and?"}]
    assert "number of function response parts is equal" in refusal(request)
    request["contents"][2]["parts"] = [answers[1], answers[0]]
    assert "functionResponse.id does not match functionCall.id" in refusal(request)
    request["contents"] = [USER, request["contents"][2]]
    assert "comes immediately after a function call turn" in refusal(request)


def test_a_call_id_is_unknown_to_older_models() -> None:
    first, request = round_trip("gemini-2.5-flash")
    first["parts"][0]["functionCall"]["id"] = "made-up"
    assert 'Unknown name "id"' in refusal(request, "gemini-2.5-flash")


def test_snake_case_is_read_like_camel_case() -> None:
    body = {"contents": [USER], "generation_config": {"max_output_tokens": "12", "thinking_config": {}}}
    assert told(body)["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_the_whole_budget_may_go_into_thinking() -> None:
    candidate = told(with_config(maxOutputTokens=4))["candidates"][0]
    assert candidate["finishReason"] == "MAX_TOKENS"
    assert candidate["content"] == {"role": "model"}


def test_tokens_are_counted_in_either_form_but_not_both() -> None:
    plain = ask({"contents": [USER]}, verb="countTokens")
    assert orjson.loads(plain.body)["totalTokens"] == 2
    inner = {"model": "models/gemini-3.8-flash", "contents": [USER], "tools": [TOOL]}
    full = ask({"generateContentRequest": inner}, verb="countTokens")
    assert orjson.loads(full.body)["totalTokens"] > 2
    assert ask({"contents": [USER], "generateContentRequest": inner}, verb="countTokens").status == 400


def test_a_stream_is_framed_as_google_frames_it_and_adds_up_to_the_whole() -> None:
    answer = ask({"contents": [USER]}, verb="streamGenerateContent", query=b"alt=sse")
    assert answer.frames is not None
    assert all(frame.startswith(b"data: {") and frame.endswith(b"}\r\n\r\n") for frame in answer.frames)
    chunks = [orjson.loads(frame[6:]) for frame in answer.frames]
    text = "".join(part.get("text", "") for one in chunks for part in one["candidates"][0]["content"]["parts"])
    assert text == told({"contents": [USER]})["candidates"][0]["content"]["parts"][0]["text"]
    counts = [one["usageMetadata"].get("candidatesTokenCount", 0) for one in chunks]
    assert counts == sorted(counts)
    assert chunks[-1]["usageMetadata"] == told({"contents": [USER]})["usageMetadata"]
    assert [one["candidates"][0].get("finishReason") for one in chunks] == [None] * (len(chunks) - 1) + ["STOP"]
    assert chunks[-1]["candidates"][0]["content"]["parts"][0]["text"] == ""
    assert "thoughtSignature" in chunks[-1]["candidates"][0]["content"]["parts"][0]


def test_without_sse_a_stream_is_one_json_array() -> None:
    answer = ask({"contents": [USER]}, verb="streamGenerateContent")
    assert len(orjson.loads(b"".join(answer.frames or ()))) > 2


def test_search_brings_grounding_in_byte_offsets() -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "say: café"}]}], "tools": [{"googleSearch": {}}]}
    made = told(body)
    support = made["candidates"][0]["groundingMetadata"]["groundingSupports"][0]
    assert support["segment"]["endIndex"] == len("café".encode())
    assert made["usageMetadata"]["toolUsePromptTokenCount"] > 0
