"""What holds for any input: no crash, no key too many, and one meaning however an answer travels."""

import contextlib
import itertools
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.catalogue import ModelInfo
from providers.errors import BadRequestError, ProviderError
from providers.gemini import schema, schema_subset
from providers.gemini.failures import error_from
from providers.gemini.images import from_image_content
from providers.gemini.request import to_generate_content
from providers.gemini.response import from_generate_content, joined
from providers.gemini.stream import ChunkTranslator
from providers.gemini.translated import Reading
from providers.sse import EventDecoder
from providers.types import ChatRequest

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8)


def containers(children: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.lists(children, max_size=4) | st.dictionaries(keys, children, max_size=5)


JSON = st.recursive(SCALARS, lambda inner: containers(inner, st.text(max_size=6)), max_leaves=12)

KEYWORDS = sorted(
    schema.ALLOWED
    | schema_subset.ALLOWED
    | {
        "$schema", "$comment", "const", "allOf", "not", "if", "then", "definitions", "patternProperties", "default",
        "uniqueItems", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "deprecated", "contentEncoding",
    }
)  # fmt: skip
SCHEMA_VALUES = (
    SCALARS
    | st.sampled_from(["object", "array", "string", "integer", "null", "#", "#/$defs/a", "#/properties/title"])
    | st.just(["string", "null"])
)
SCHEMAS = st.recursive(
    SCHEMA_VALUES,
    lambda inner: containers(inner, st.sampled_from(KEYWORDS) | st.sampled_from(["a", "title", "type"])),
    max_leaves=20,
)


def keywords(node: Any, nested: tuple[str, ...], named: tuple[str, ...]) -> set[str]:
    """All keys that stand where a keyword stands."""
    if not isinstance(node, dict):
        return set()
    found = set(node)
    for key in nested:
        value = node.get(key)
        for item in value if isinstance(value, list) else [value]:
            found |= keywords(item, nested, named)
    for key in named:
        for item in (node.get(key) or {}).values():
            found |= keywords(item, nested, named)
    return found


NESTED = ("items", "prefixItems", "anyOf", "oneOf", "additionalProperties")


@given(SCHEMAS)
@settings(max_examples=300, deadline=None)
def test_a_cleaned_schema_holds_allowed_keywords_only(source: Any) -> None:
    try:
        cleaned = schema.clean(source, "x")
    except ProviderError:
        return  # a reference to another document
    assert keywords(cleaned, NESTED, ("properties", "$defs")) <= schema.ALLOWED


@given(SCHEMAS)
@settings(max_examples=300, deadline=None)
def test_a_subset_schema_holds_allowed_keywords_only_and_always_ends(source: Any) -> None:
    try:
        converted = schema_subset.to_subset(source, "x")
    except ProviderError:
        return
    assert keywords(converted, NESTED, ("properties",)) <= schema_subset.ALLOWED


@given(SCHEMAS)
@settings(max_examples=200, deadline=None)
def test_cleaning_twice_changes_nothing_more(source: Any) -> None:
    try:
        once = schema.clean(source, "x")
    except ProviderError:
        return
    assert schema.clean(once, "x") == once


PART_KEYS = ["text", "thought", "thoughtSignature", "functionCall", "inlineData", "executableCode", "toolCall"]
PARTS = st.dictionaries(
    st.sampled_from(PART_KEYS),
    JSON
    | st.fixed_dictionaries({"name": st.just("f"), "args": JSON, "id": JSON})
    | st.fixed_dictionaries(
        {"mimeType": st.sampled_from(["image/png", "audio/L16", "x"]), "data": st.text(max_size=5)}
    ),
    max_size=3,
)
FINISH = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "OTHER", "NEW", 1, 0, None])
CANDIDATES = st.fixed_dictionaries(
    {"content": st.fixed_dictionaries({"parts": st.lists(PARTS, max_size=4) | JSON}) | JSON},
    optional={
        "finishReason": FINISH | JSON,
        "index": JSON,
        "groundingMetadata": JSON
        | st.fixed_dictionaries({"groundingSupports": JSON, "groundingChunks": JSON, "webSearchQueries": JSON}),
        "citationMetadata": JSON,
        "logprobsResult": JSON,
        "safetyRatings": JSON,
    },
)
ANSWERS = (
    st.fixed_dictionaries(
        {},
        optional={
            "candidates": st.lists(CANDIDATES, max_size=2) | JSON,
            "usageMetadata": JSON
            | st.dictionaries(st.sampled_from(["promptTokenCount", "thoughtsTokenCount", "promptTokensDetails"]), JSON),
            "promptFeedback": JSON,
            "modelVersion": JSON,
            "responseId": JSON,
            "error": JSON,
        },
    )
    | JSON
)


def reading_of(parameters: Any, legacy: bool, single: bool, as_json: bool) -> Reading:
    schemas = {"f": parameters} if isinstance(parameters, dict) else {}
    return Reading(schemas=schemas, legacy_function=legacy, single_call=single, json_text=as_json)


READINGS = st.builds(reading_of, SCHEMAS, st.booleans(), st.booleans(), st.booleans())


@given(ANSWERS, READINGS)
@settings(max_examples=400, deadline=None)
def test_no_answer_can_make_a_reader_crash(body: Any, reading: Reading) -> None:
    raw = orjson.dumps(body)
    for read in (
        lambda: from_generate_content(raw, model="m", mint=lambda: "id", reading=reading),
        lambda: from_image_content(raw, model="m"),
        lambda: streamed([raw], reading),
    ):
        with contextlib.suppress(ProviderError):
            read()


@given(st.integers(200, 599), ANSWERS | st.just(None), st.binary(max_size=20))
@settings(max_examples=200, deadline=None)
def test_no_error_body_can_make_its_reader_crash(status: int, body: Any, junk: bytes) -> None:
    raw = orjson.dumps({"error": body}) if body is not None else junk
    error = error_from(status, {}, raw)
    assert isinstance(error, ProviderError)
    assert error.message


def streamed(events: list[bytes], reading: Reading) -> Any:
    """The joined message of a stream, its finish and usage."""
    decoder, translator = EventDecoder(), ChunkTranslator(reading, iter_ids())
    chunks = []
    for event in decoder.feed(b"".join(b"data: " + item + b"\r\n\r\n" for item in events)):
        chunks += translator.feed(event)
    chunks += translator.finish()
    return joined([chunk.delta for chunk in chunks if "role" not in chunk.delta]), chunks[-1]


def iter_ids() -> Any:
    count = iter(range(1000))
    return lambda: f"call_{next(count)}"


GOOD_PARTS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"text": st.text(max_size=6)}, optional={"thought": st.just(True)}),
        st.fixed_dictionaries({"text": st.text(max_size=3), "thoughtSignature": st.sampled_from(["c2ln", "eA=="])}),
        st.fixed_dictionaries(
            {"functionCall": st.fixed_dictionaries({"name": st.sampled_from("fg"), "args": st.just({"a": 1})})}
        ),
        st.just({"inlineData": {"mimeType": "image/png", "data": "QUJD"}}),
        st.just({"executableCode": {"language": "PYTHON", "code": "1"}}),
    ),
    min_size=1,
    max_size=6,
)


@given(GOOD_PARTS, st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY"]), st.booleans(), st.data())
@settings(max_examples=300, deadline=None)
def test_a_streamed_answer_joined_is_the_plain_answer(parts: Any, reason: str, as_json: bool, data: Any) -> None:
    reading = Reading(json_text=as_json)
    cut = data.draw(st.integers(0, len(parts)))
    counts = {"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 8}
    whole = {"candidates": [{"content": {"parts": parts}, "finishReason": reason}], "usageMetadata": counts}
    first = {"candidates": [{"content": {"parts": parts[:cut]}}], "usageMetadata": {"promptTokenCount": 3}}
    second = {"candidates": [{"content": {"parts": parts[cut:]}, "finishReason": reason}], "usageMetadata": counts}
    events = [orjson.dumps(first), orjson.dumps(second)]
    try:
        plain = from_generate_content(orjson.dumps(whole), model="m", mint=iter_ids(), reading=reading)
    except ProviderError as error:
        with pytest.raises(type(error), match=error.message):
            streamed(events, reading)
        return
    message, last = streamed(events, reading)
    assert message == plain.choices[0]["message"]
    assert last.finish_reason == plain.choices[0]["finish_reason"]
    assert last.usage == plain.usage


ROLES = st.sampled_from(["user", "assistant", "system", "tool"])
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": ROLES, "content": st.none() | st.text(max_size=4)}), min_size=1, max_size=6
)


@given(MESSAGES, st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_conversation_sent_keeps_googles_turn_order(messages: Any, prefill: bool, system: bool) -> None:
    request = ChatRequest(model="m", messages_json=json.dumps(messages).encode(), fields={})
    try:
        body: Any = to_generate_content(request, ModelInfo(name="m", prefill=prefill, system=system)).body
    except ProviderError:
        assert any(message["role"] == "tool" for message in messages)
        return
    contents = body["contents"]
    assert contents[0]["role"] == "user"
    assert all(content["parts"] and all(part["text"] for part in content["parts"]) for content in contents)
    assert all(one["role"] != two["role"] for one, two in itertools.pairwise(contents))
    assert prefill or contents[-1]["role"] == "user"
    assert system or "systemInstruction" not in body


FIELD_NAMES = [
    "tools", "functions", "tool_choice", "function_call", "response_format", "reasoning_effort", "reasoning",
    "thinking", "max_tokens", "temperature", "top_p", "top_k", "presence_penalty", "stop", "seed", "logprobs", "audio",
    "modalities", "image_config", "service_tier", "web_search_options", "google", "extra_body", "safety_settings",
]  # fmt: skip
SHAPED = st.recursive(
    SCALARS | st.sampled_from(["function", "custom", "auto", "json_schema", "low", "image", "f", "data:,x", "tool"]),
    lambda inner: containers(
        inner,
        st.sampled_from(
            [
                "type",
                "function",
                "name",
                "parameters",
                "text",
                "image_url",
                "url",
                "content",
                "role",
                "tool_calls",
                "id",
            ]
        ),
    ),
    max_leaves=12,
)
ANY_MESSAGES = st.lists(
    st.dictionaries(
        st.sampled_from(["role", "content", "tool_calls", "tool_call_id", "images", "extra_content", "function_call"]),
        SHAPED | st.sampled_from(["user", "assistant", "tool", "system"]),
        max_size=4,
    )
    | SHAPED,
    max_size=4,
)


@given(ANY_MESSAGES, st.dictionaries(st.sampled_from(FIELD_NAMES), SHAPED, max_size=4), st.booleans())
@settings(max_examples=600, deadline=None)
def test_no_request_can_make_the_translator_crash_or_break_googles_shape(messages: Any, asked: Any, old: bool) -> None:
    request = ChatRequest(model="m", messages_json=orjson.dumps(messages), fields=asked)
    info = ModelInfo(name="m", family=2.5, tools_with_json=False, json_schema=False) if old else ModelInfo(name="m")
    try:
        body: Any = to_generate_content(request, info).body
    except BadRequestError:
        return
    allowed = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"}
    assert set(body) <= allowed | {"serviceTier", "cachedContent"}
    assert body["contents"][0]["role"] == "user"
