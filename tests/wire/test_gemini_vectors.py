"""The conformance vectors of the Gemini wire, run against the translators."""

import copy
import itertools
import json
import time
from typing import Any

import pytest
from gemini_vectors import EFFORTS, ERROR_429, FINISHES, HI, MODELS, REFUSALS, REQUESTS, STREAM_V62, F, function, user

from providers.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ContextTooLongError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    StreamInterruptedError,
    UnavailableError,
)
from providers.gemini.failures import error_from
from providers.gemini.request import to_generate_content
from providers.gemini.response import from_generate_content
from providers.gemini.schema import clean
from providers.gemini.schema_subset import to_subset
from providers.gemini.stream import ChunkTranslator
from providers.gemini.translated import Reading, Translated
from providers.sse import EventDecoder
from providers.types import ChatChunk, ChatRequest, ChatResponse, Usage


def ask(messages: list[Any], fields: dict[str, Any], model: str | None = None, **more: Any) -> Translated:
    info = MODELS[model or "gemini-3.8-flash"]
    before = copy.deepcopy(fields)
    request = ChatRequest(model="m", messages_json=json.dumps(messages).encode(), fields=fields, **more)
    translated = to_generate_content(request, info)
    assert fields == before, "the caller's fields are not changed"
    return translated


def minter() -> Any:
    count = iter(range(1000))
    return lambda: f"call_{next(count)}"


def answer(body: Any, reading: Reading | None = None) -> ChatResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return from_generate_content(raw, model="asked", mint=minter(), reading=reading)


def candidate(parts: list[Any] | None, reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"content": {"role": "model"} if parts is None else {"role": "model", "parts": parts}}
    if reason is not None:
        found["finishReason"] = reason
    return {"candidates": [{**found, **more}]}


def message_of(response: ChatResponse) -> dict[str, Any]:
    message: dict[str, Any] = response.choices[0]["message"]  # type: ignore[assignment]
    return message


def sse(objects: list[Any], end: str = "\r\n\r\n") -> bytes:
    return "".join(f"data: {json.dumps(item, ensure_ascii=False)}{end}" for item in objects).encode()


def run(body: bytes, cuts: list[int] | None = None, reading: Reading | None = None) -> list[ChatChunk]:
    decoder, translator = EventDecoder(), ChunkTranslator(reading or Reading(), minter())
    chunks: list[ChatChunk] = []
    edges = [0, *(cuts or []), len(body)]
    for start, end in itertools.pairwise(edges):
        for event in decoder.feed(body[start:end]):
            chunks.extend(translator.feed(event))
    for event in decoder.finish():
        chunks.extend(translator.feed(event))
    return [*chunks, *translator.finish()]


def feed_into(chunks: list[ChatChunk], body: bytes) -> None:
    decoder, translator = EventDecoder(), ChunkTranslator(Reading(), minter())
    for event in [*decoder.feed(body), *decoder.finish()]:
        chunks.extend(translator.feed(event))


# ---- requests


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda vector: vector[0])
def test_a_request_becomes_exactly_this(vector: Any) -> None:
    _, messages, fields, model, want, absent = vector
    body = ask(messages, fields, model).body
    assert {key: body.get(key) for key in want} == want
    assert [key for key in absent if key in body] == []


@pytest.mark.parametrize("vector", REFUSALS, ids=lambda vector: vector[0])
def test_what_cannot_be_sent_is_refused_by_name(vector: Any) -> None:
    _, messages, fields, model, kind, param = vector
    with pytest.raises(BadRequestError) as caught:
        ask(messages, fields, model)
    assert type(caught.value).__name__ == kind
    assert caught.value.param == param
    assert caught.value.client_status == 400


@pytest.mark.parametrize(("effort", "model", "want"), EFFORTS)
def test_v42_an_effort_is_this_thinking_config(effort: str | None, model: str, want: Any) -> None:
    fields = {} if effort is None else {"reasoning_effort": effort}
    body: dict[str, Any] = dict(ask(HI, fields, model).body)
    assert body.get("generationConfig", {}).get("thinkingConfig") == want


def test_v44_dropped_fields_are_named_and_zeros_are_not() -> None:
    fields = {"temperature": 0.2, "top_p": 0.9, "presence_penalty": 0.5, "frequency_penalty": 0.0}
    assert ask(HI, fields).warnings == ("temperature=dropped", "top_p=dropped", "presence_penalty=dropped")
    assert ask(HI, fields, "gemini-2.5-flash").warnings == ("presence_penalty=dropped",)


def test_v48_an_unknown_field_is_named_and_never_sent() -> None:
    translated = ask(HI, {"foo": {"a": 1}, "evil\r\nname": 1, "user": "u"})
    assert translated.warnings == ("foo=dropped", "unknown_field=dropped")
    assert set(translated.body) == {"contents"}


def test_v19_v20_references_stay_in_one_dialect_and_are_written_out_in_the_other() -> None:
    point = {"type": "object", "properties": {"n": {"type": "string"}}}
    schema: Any = {"$defs": {"P": point}, "type": "object", "properties": {"p": {"$ref": "#/$defs/P"}}}
    assert clean(schema, "x") == schema
    subset: Any = to_subset(schema, "x")
    assert subset["properties"]["p"] == {**point, "propertyOrdering": ["n"]}
    assert "$defs" not in subset
    tree: Any = {
        "$defs": {"T": {"type": "object", "properties": {"l": {"$ref": "#/$defs/T"}, "r": {"$ref": "#/$defs/T"}}}},
        "$ref": "#/$defs/T",
    }
    started = time.monotonic()
    flat: Any = to_subset(tree, "x")
    assert time.monotonic() - started < 0.1
    assert flat["properties"]["l"] == {"type": "object"}


@pytest.mark.parametrize("schema", [{"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}])
def test_v21_nullable_is_one_thing_in_the_subset(schema: Any) -> None:
    assert to_subset(schema, "x") == {"type": "string", "nullable": True}


def test_v22_a_number_enum_goes_out_as_text_and_comes_back_as_a_number() -> None:
    schema: Any = {"type": "object", "properties": {"x": {"enum": [1, 2], "type": "integer"}}}
    subset: Any = to_subset(schema, "x")
    assert subset["properties"]["x"] == {"type": "string", "enum": ["1", "2"], "format": "enum"}
    reading = ask(HI, {"tools": [function("f", schema)]}, "gemma-old-wire").reading
    message = message_of(answer(candidate([{"functionCall": {"name": "f", "args": {"x": "2"}}}]), reading))
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"x": 2}


def test_v23_a_property_named_title_is_a_name() -> None:
    schema: Any = {"type": "object", "properties": {"title": {"type": "string"}, "type": {"type": "integer"}}}
    assert clean(schema, "x") == schema
    subset: Any = to_subset(schema, "x")
    assert set(subset["properties"]) == {"title", "type"}


def test_v24_lost_limits_are_told_in_the_description() -> None:
    schema: Any = {
        "type": "object",
        "properties": {
            "a": {"const": 3},
            "b": {"type": "integer", "exclusiveMinimum": 0},
            "c": {"type": "array", "uniqueItems": True, "items": {"type": "string", "pattern": "^a"}},
            "d": {"type": "string", "default": "x", "description": "D."},
        },
    }
    cleaned: Any = clean(schema, "x")["properties"]
    assert cleaned["a"] == {"enum": [3]}
    assert cleaned["b"] == {"type": "integer", "minimum": 1, "description": "greater than: 0"}
    assert cleaned["c"]["description"] == "unique items"
    assert cleaned["c"]["items"] == {"type": "string", "description": "pattern: ^a"}
    assert cleaned["d"]["description"] == "D. (default: x)"


def test_v25_required_names_only_what_exists_in_the_subset() -> None:
    subset = to_subset({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "z"]}, "x")
    assert subset["required"] == ["a"]


def test_v26_a_renamed_tool_is_called_by_its_own_name() -> None:
    reading = ask(HI, {"tools": [function("1st/tool"), function("1st:tool")]}).reading
    message = message_of(answer(candidate([{"functionCall": {"name": "_1st_tool_2"}}]), reading))
    assert message["tool_calls"][0]["function"] == {"name": "1st:tool", "arguments": "{}"}


def test_v26_a_legal_name_keeps_itself_when_another_would_become_it() -> None:
    tools: Any = ask(HI, {"tools": [function("a/b"), function("a_b")]}).body["tools"]
    assert [tool["name"] for tool in tools[0]["functionDeclarations"]] == ["a_b_2", "a_b"]


# ---- answers


def test_v51_text_reasoning_and_usage() -> None:
    response = answer(
        {
            **candidate([{"text": "a", "thought": True}, {"text": "b"}, {"text": "\nc"}]),
            "usageMetadata": {
                "promptTokenCount": 15,
                "candidatesTokenCount": 1,
                "thoughtsTokenCount": 72,
                "totalTokenCount": 88,
            },
        }
    )
    assert message_of(response) == {
        "role": "assistant",
        "content": "b\nc",
        "refusal": None,
        "reasoning_content": "a",
    }
    assert response.usage == Usage(prompt_tokens=15, completion_tokens=73, reasoning_tokens=72)
    assert response.usage.total_tokens == 88
    assert response.choices[0]["finish_reason"] == "stop"


def test_v52_thoughts_inside_the_candidates_are_not_counted_twice() -> None:
    counts = {"promptTokenCount": 10, "candidatesTokenCount": 50, "thoughtsTokenCount": 40, "totalTokenCount": 60}
    usage = answer({**candidate([{"text": "x"}]), "usageMetadata": counts}).usage
    assert (usage.completion_tokens, usage.reasoning_tokens, usage.total_tokens) == (50, 40, 60)


def test_v53_an_answer_spent_on_thinking_is_a_cut_and_not_an_error() -> None:
    counts = {"promptTokenCount": 15, "thoughtsTokenCount": 2, "totalTokenCount": 17}
    response = answer({**candidate(None, "MAX_TOKENS"), "usageMetadata": counts})
    assert message_of(response)["content"] is None
    assert response.choices[0]["finish_reason"] == "length"
    assert response.usage.completion_tokens == 2


def test_v54_calls_with_signature_integer_and_without_arguments() -> None:
    reading = ask(
        HI, {"tools": [function("f", {"type": "object", "properties": {"n": {"type": "integer"}}}), function("g")]}
    ).reading
    parts = [
        {"functionCall": {"name": "f", "args": {"n": 3.0}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "g"}},
    ]
    response = answer(candidate(parts), reading)
    calls = message_of(response)["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ['{"n":3}', "{}"]
    assert calls[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert "extra_content" not in calls[1]
    assert calls[0]["id"] != calls[1]["id"]
    assert all("index" not in call for call in calls)
    assert message_of(response)["content"] is None
    assert response.choices[0]["finish_reason"] == "tool_calls"
    assert response.choices[0]["native_finish_reason"] == "STOP"


@pytest.mark.parametrize(
    ("counts", "prompt", "estimated"),
    [({"promptTokenCount": 9, "totalTokenCount": 9}, 9, False), ({"trafficType": "ON_DEMAND"}, 0, True)],
)
def test_v55_a_blocked_prompt_is_an_answer(counts: Any, prompt: int, estimated: bool) -> None:
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": counts}
    response = answer(body)
    choice = response.choices[0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["native_finish_reason"] == "PROHIBITED_CONTENT"
    assert message_of(response)["refusal"] == "Blocked by the provider: PROHIBITED_CONTENT"
    assert (response.usage.prompt_tokens, response.usage.estimated) == (prompt, estimated)
    chunks = run(sse([body]))
    assert chunks[-1].finish_reason == "content_filter"
    assert chunks[-1].delta == {"refusal": "Blocked by the provider: PROHIBITED_CONTENT"}


@pytest.mark.parametrize(("native", "with_content", "without"), FINISHES)
@pytest.mark.parametrize("parts", [[{"text": "x"}], None])
def test_v56_a_native_reason_is_this_finish_reason(native: Any, with_content: Any, without: Any, parts: Any) -> None:
    want = with_content if parts else without
    body = candidate(parts, native)
    if want is None:
        with pytest.raises(BadResponseError):
            answer(body)
        return
    choice = answer(body).choices[0]
    assert choice["finish_reason"] == want
    assert choice["native_finish_reason"] == native


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE"])
def test_v57_a_malformed_call_may_be_tried_elsewhere_and_is_no_empty_stop(reason: str) -> None:
    for failing in (lambda: answer(candidate(None, reason)), lambda: run(sse([candidate(None, reason)]))):
        with pytest.raises(BadResponseError) as caught:
            failing()
        assert caught.value.outcome == "malformed"
        assert caught.value.failover


@pytest.mark.parametrize(
    "body", [{"candidates": []}, {}, {"candidates": [{}]}, {"candidates": [{"safetyRatings": None}]}, [], None]
)
def test_v58_an_answer_with_nothing_in_it_is_a_bad_one(body: Any) -> None:
    with pytest.raises(BadResponseError):
        answer(body)


def test_v59_a_picture_is_handed_out_and_a_draft_is_not() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thoughtSignature": "c2ln"}
    counts = {"candidatesTokenCount": 1120, "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}]}
    response = answer({**candidate([{**picture, "thought": True}, picture]), "usageMetadata": counts})
    message = message_of(response)
    assert message["content"] is None
    assert [item["image_url"]["url"] for item in message["images"]] == ["data:image/png;base64,QUJD"]
    assert message["images"][0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert response.usage.image_completion_tokens == 1120


def test_an_answer_without_an_id_and_calls_with_one_id_get_ids_of_ours() -> None:
    parts = [{"functionCall": {"name": name, "id": "x9k2"}} for name in ("f", "g")]
    response = answer(candidate(parts))
    assert [call["id"] for call in message_of(response)["tool_calls"]] == ["x9k2", "call_0"]
    assert response.id == "chatcmpl-call_1"
    assert response.model == "asked"


GROUNDED = "Zürich’s temp is 7°C today."


def grounding(*segments: Any) -> dict[str, Any]:
    return {
        "webSearchQueries": ["a", "b"],
        "groundingChunks": [{"web": {"uri": "https://x.test", "title": "X"}}, {"web": {"uri": "https://y.test"}}],
        "groundingSupports": [
            {"segment": segment, "groundingChunkIndices": [index]} for index, segment in enumerate(segments)
        ],
    }


def test_v60_sources_are_placed_by_character() -> None:
    metadata = grounding({"endIndex": 31}, {"startIndex": 20, "endIndex": 24}, None)
    response = answer(candidate([{"text": GROUNDED}], groundingMetadata=metadata))
    citations = [item["url_citation"] for item in message_of(response)["annotations"]]
    assert citations == [
        {"url": "https://x.test", "title": "X", "start_index": 0, "end_index": 27},
        {"url": "https://y.test", "title": "https://y.test", "start_index": 17, "end_index": 20},
    ]
    assert response.usage.searches == 2
    assert message_of(response)["extra_content"]["google"]["grounding_metadata"] == metadata


def test_the_addresses_that_were_read_for_an_answer_come_with_it() -> None:
    read = {"urlMetadata": [{"retrievedUrl": "https://x.test", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"}]}
    body = candidate([{"text": "x"}], urlContextMetadata=read)
    assert message_of(answer(body))["extra_content"] == {"google": {"url_context_metadata": read}}
    assert run(sse([body]))[-1].delta["extra_content"] == {"google": {"url_context_metadata": read}}


def test_v61_log_probabilities() -> None:
    chosen = {"chosenCandidates": [{"token": "A", "logProbability": -0.1}, {"token": "B"}]}
    choice: Any = answer(candidate([{"text": "AB"}], logprobsResult=chosen)).choices[0]
    assert choice["logprobs"]["content"] == [
        {"token": "A", "logprob": -0.1, "bytes": [65], "top_logprobs": []},
        {"token": "B", "logprob": 0.0, "bytes": [66], "top_logprobs": []},
    ]


TWO_CALLS = [{"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"}, {"functionCall": {"name": "g"}}]


def test_without_parallel_calls_only_the_first_of_a_turn_is_passed_on() -> None:
    tools = [function("f"), function("g")]
    for asked, names in ((False, ["f"]), (True, ["f", "g"]), (None, ["f", "g"])):
        reading = ask(HI, {"tools": tools, **({} if asked is None else {"parallel_tool_calls": asked})}).reading
        message = message_of(answer(candidate(TWO_CALLS), reading))
        assert [call["function"]["name"] for call in message["tool_calls"]] == names
        chunks = run(sse([candidate([part], None) for part in TWO_CALLS] + [candidate([])]), reading=reading)
        calls: Any = [call for chunk in chunks for call in chunk.delta.get("tool_calls", [])]  # type: ignore[union-attr]
        assert [call["function"]["name"] for call in calls] == names
        assert calls[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}, "so that it stays valid"


def test_who_asked_with_functions_is_answered_with_a_function_call() -> None:
    reading = ask(HI, {"functions": [{"name": "the/f"}]}).reading
    body = candidate([{"functionCall": {"name": "the_f", "args": {"a": 1}}}])
    response = answer(body, reading)
    assert message_of(response)["function_call"] == {"name": "the/f", "arguments": '{"a":1}'}
    assert "tool_calls" not in message_of(response)
    assert response.choices[0]["finish_reason"] == "function_call"
    assert run(sse([body]), reading=reading)[-1].finish_reason == "function_call"


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('```\n{"a": 1}\n```\n', '{"a": 1}'),
        ('{"a": "```"}', '{"a": "```"}'),
        ("```json\n{}\n``` and ```json\n{}\n```", "```json\n{}\n``` and ```json\n{}\n```"),
        ("Here: ```json\n{}\n```", "Here: ```json\n{}\n```"),
    ],
)
def test_a_fence_around_all_of_the_json_that_was_asked_for_is_taken_off(text: str, content: str) -> None:
    reading = ask(HI, {"response_format": {"type": "json_object"}}).reading
    assert message_of(answer(candidate([{"text": text}]), reading))["content"] == content
    assert message_of(answer(candidate([{"text": text}])))["content"] == text, "nobody asked for JSON"
    halves = [candidate([{"text": text[:5]}], None), candidate([{"text": text[5:]}])]
    shown = "".join(str(chunk.delta.get("content") or "") for chunk in run(sse(halves), reading=reading))
    assert shown == content


# ---- streams


def test_v62_a_stream_reads_the_same_however_it_is_cut() -> None:
    body = sse(STREAM_V62)
    whole = run(body)
    assert [chunk.delta for chunk in whole] == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Plan."},
        {"content": "Café\u2028"},
        {"extra_content": {"google": {"thought_signature": "RW9r"}}},
    ]
    assert [chunk.finish_reason for chunk in whole] == [None, None, None, "stop"]
    assert whole[-1].usage == Usage(prompt_tokens=9, completion_tokens=34, reasoning_tokens=31)
    for cut in range(1, len(body)):
        assert run(body, [cut]) == whole
    assert run(body, list(range(1, len(body)))) == whole
    assert run(sse(STREAM_V62, "\n\n")) == whole
    assert run(body[:-4]) == whole


def test_v63_parallel_calls_are_numbered_over_the_whole_stream() -> None:
    def one(name: str) -> dict[str, Any]:
        return candidate([{"functionCall": {"name": name, "args": {"a": 1}}}], None)

    chunks = run(sse([one("f"), one("g"), candidate([{"text": ""}])]))
    calls = [call for chunk in chunks for call in chunk.delta.get("tool_calls", [])]  # type: ignore[union-attr]
    assert [(call["index"], call["function"]["name"]) for call in calls] == [(0, "f"), (1, "g")]  # type: ignore
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["tool_calls"]
    assert chunks[0].delta == {"role": "assistant", "content": None}


def test_v64_of_each_count_the_last_one_present_stands() -> None:
    counts: list[dict[str, int]] = [
        {"promptTokenCount": 55},
        {"promptTokenCount": 55, "candidatesTokenCount": 4},
        {"promptTokenCount": 257},
    ]
    events = [{**candidate([{"text": "x"}], None), "usageMetadata": item} for item in counts[:2]]
    chunks = run(sse([*events, {**candidate([{"text": ""}]), "usageMetadata": counts[2]}]))
    assert chunks[-1].usage == Usage(prompt_tokens=257, completion_tokens=4)


def test_v65_a_long_picture_line_takes_linear_time() -> None:
    data = "QUJD" * (2 * 1024 * 1024)
    body = sse([candidate([{"inlineData": {"mimeType": "image/png", "data": data}}])])
    started = time.monotonic()
    chunks = run(body, list(range(65536, len(body), 65536)))
    assert time.monotonic() - started < 1.0
    images: Any = [chunk.delta["images"] for chunk in chunks if "images" in chunk.delta]
    assert [len(item[0]["image_url"]["url"]) for item in images] == [len(data) + len("data:image/png;base64,")]


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("before", [0, 2])
def test_v66_an_error_inside_the_stream_is_that_error(framed: bool, before: int) -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    tail = sse([error]) if framed else json.dumps(error, indent=2).encode()
    body = sse([candidate([{"text": "x"}], None)] * before) + tail
    chunks: list[ChatChunk] = []
    with pytest.raises(UnavailableError) as caught:
        feed_into(chunks, body)
    assert caught.value.status == 503
    assert sum("x" in str(chunk.delta.get("content")) for chunk in chunks) == before


def test_v67_a_stream_without_a_reason_is_cut_and_never_a_stop() -> None:
    with pytest.raises(StreamInterruptedError) as caught:
        run(sse([candidate([{"text": "x"}], None)]))
    assert caught.value.outcome == "stream_truncated"
    for nothing in (b"", sse([{"usageMetadata": {"promptTokenCount": 3}}])):
        with pytest.raises(BadResponseError) as empty:
            run(nothing)
        assert empty.value.failover, "nothing was given out, so another candidate can be asked"


def test_v68_sources_in_the_last_event_come_with_the_finish() -> None:
    chunks = run(
        sse(
            [
                candidate([{"text": GROUNDED}], None, groundingMetadata={}),
                {"usageMetadata": {"promptTokenCount": 3}},
                candidate([{"text": ""}], groundingMetadata=grounding({"endIndex": 31})),
                candidate(None, None, groundingMetadata={}),
            ]
        )
    )
    sources: Any = chunks[-1].delta["annotations"]
    assert sources[0]["url_citation"]["end_index"] == 27
    assert chunks[-1].finish_reason == "stop"


def test_a_stream_without_sse_framing_is_read_as_an_array() -> None:
    whole = run(sse(STREAM_V62))
    assert run(json.dumps(STREAM_V62, indent=2).encode()) == whole
    pieces = "\n,\r\n".join(json.dumps(item, indent=2) for item in STREAM_V62)
    assert run(f"[{pieces}\n]".encode()) == whole
    blank = "\r\n\r\n,".join(json.dumps(item) for item in STREAM_V62)
    assert run(f"[{blank}]".encode()) == whole


# ---- errors


@pytest.mark.parametrize("body", [ERROR_429, [ERROR_429]])
def test_v69_a_daily_quota_is_exhausted_and_says_when(body: Any) -> None:
    error = error_from(429, {}, json.dumps(body).encode())
    assert type(error) is QuotaExhaustedError
    assert error.retry_after_s == pytest.approx(20.04)
    assert error.client_type == "insufficient_quota"


def test_v69_a_quota_by_the_minute_is_a_rate_limit() -> None:
    body = copy.deepcopy(ERROR_429)
    body["error"]["details"][0]["violations"][0]["quotaId"] = "GenerateRequestsPerMinutePerProjectPerModel"
    body["error"]["details"][1]["retryDelay"] = "1.2s"
    error = error_from(429, {}, json.dumps(body).encode())
    assert type(error) is RateLimitedError
    assert error.retry_after_s == pytest.approx(1.2)
    body["error"]["details"].pop()
    assert error_from(429, {}, json.dumps(body).encode()).retry_after_s == pytest.approx(20.04)


def failure(code: int, status: Any, message: str, **more: Any) -> ProviderError:
    body = {"error": {"code": code, "message": message, "status": status, **more}}
    return error_from(code, {}, json.dumps(body).encode())


def test_v70_each_failure_has_its_class() -> None:
    invalid = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    key = failure(400, "INVALID_ARGUMENT", "API key not valid: AIzaSyA1234567890abcdefghij", details=[invalid])
    assert type(key) is AuthenticationError
    assert "AIza" not in key.message
    assert type(failure(404, "NOT_FOUND", "no longer available to new users")) is ModelNotFoundError
    long = failure(
        400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."
    )
    assert type(long) is ContextTooLongError
    assert type(failure(400, "FAILED_PRECONDITION", "User location is not supported")) is AuthenticationError
    assert type(failure(400, 3, "Bad.")) is BadRequestError
    html = error_from(502, {"content-type": "text/html"}, b"<html>Bad gateway</html>")
    assert type(html) is UnavailableError
    assert "html" not in html.message


def test_f_is_not_changed_by_translation() -> None:
    before = copy.deepcopy(F)
    ask([user("x")], {"tools": [F]})
    assert before == F
