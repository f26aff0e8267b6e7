"""The known traps of Gemini's wire, one test each, in the order of the list they were collected in.

A trap that a conformance vector already proves runs that vector by its name.
"""

import json
import re
from datetime import date
from typing import Any

import builders
import pytest
from gemini_terms_vectors import REQUESTS as ON_TERMS
from gemini_terms_vectors import VERTEX
from gemini_vectors import DUMMY, HI, MODELS, PNG, REFUSALS, REQUESTS, SIG, F, assistant, call, function, result, user

from providers.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    StreamInterruptedError,
    UnsupportedFieldError,
)
from providers.gemini.failures import error_from
from providers.gemini.grounding import annotations, searches
from providers.gemini.request import to_generate_content
from providers.gemini.response import from_generate_content
from providers.gemini.schema import clean
from providers.gemini.schema_subset import to_subset
from providers.gemini.signature_cache import NO_RECALL, Recall
from providers.gemini.stream import ChunkTranslator
from providers.gemini.terms import USUAL, Terms
from providers.gemini.thinking import thinking_config
from providers.gemini.translated import Reading
from providers.sse import EventDecoder
from providers.types import ChatChunk, ChatRequest, ChatResponse

PRO, FLASH25, OLD_WIRE = "gemini-3.1-pro-preview", "gemini-2.5-flash", "gemma-old-wire"


def body_of(
    messages: list[Any],
    fields: dict[str, Any] | None = None,
    model: str = "gemini-3.8-flash",
    terms: Terms = USUAL,
    recall: Recall = NO_RECALL,
) -> dict[str, Any]:
    request = ChatRequest(model="m", messages_json=json.dumps(messages).encode(), fields=fields or {})
    return dict(to_generate_content(request, MODELS[model], terms, recall).body)


def config_of(fields: dict[str, Any], model: str = "gemini-3.8-flash") -> dict[str, Any]:
    config: dict[str, Any] = body_of(HI, fields, model).get("generationConfig", {})
    return config


def proven_by(prefix: str) -> None:
    """Run the request vectors whose name begins with `prefix`."""
    plain = [(USUAL, *vector[1:]) for vector in REQUESTS if vector[0].startswith(prefix)]
    on_terms = [vector[1:7] for vector in ON_TERMS if vector[0].startswith(prefix)]
    assert plain or on_terms, f"no vector is called {prefix}"
    for terms, messages, fields, model, want, absent in [*plain, *on_terms]:
        body = body_of(messages, fields, model or "gemini-3.8-flash", terms)
        assert {key: body.get(key) for key in want} == want
        assert [key for key in absent if key in body] == []


def refused_by(prefix: str) -> None:
    """Run the refusals whose name begins with `prefix`."""
    found = [vector for vector in REFUSALS if vector[0].startswith(prefix)]
    assert found, f"no refusal is called {prefix}"
    for _, messages, fields, model, _, param in found:
        with pytest.raises(BadRequestError) as caught:
            body_of(messages, fields, model or "gemini-3.8-flash")
        assert caught.value.param == param


def candidate(*parts: Any, reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, **more}
    return {"candidates": [{**found, "finishReason": reason} if reason else found]}


def answer(body: Any, reading: Reading | None = None) -> ChatResponse:
    return from_generate_content(json.dumps(body).encode(), model="asked", mint=lambda: "call_new", reading=reading)


def message_of(body: Any, reading: Reading | None = None) -> dict[str, Any]:
    message: dict[str, Any] = answer(body, reading).choices[0]["message"]  # type: ignore[assignment]
    return message


def streamed(*events: Any, raw: bytes = b"", size: int = 10**9) -> list[ChatChunk]:
    body = b"".join(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\r\n\r\n" for event in events) + raw
    decoder, translator = EventDecoder(), ChunkTranslator(Reading(), lambda: "call_new")
    chunks: list[ChatChunk] = []
    for start in range(0, len(body), size):
        for event in decoder.feed(body[start : start + size]):
            chunks += translator.feed(event)
    for event in decoder.finish():
        chunks += translator.feed(event)
    return [*chunks, *translator.finish()]


def failed(status: int, message: str = "", **more: Any) -> ProviderError:
    return error_from(status, {}, json.dumps({"error": {"code": status, "message": message, **more}}).encode())


# ---- building requests


def test_trap_01_two_model_turns_in_a_row_become_one_before_their_calls() -> None:
    body = body_of([user("a"), assistant("b"), assistant(tool_calls=[call("call_a")]), result("call_a")])
    assert [content["role"] for content in body["contents"]] == ["user", "model", "user"]
    trimmed = body_of([assistant(tool_calls=[call("call_a")]), result("call_a"), user("so?")])
    assert trimmed["contents"][0] == {"role": "user", "parts": [{"text": "."}]}, (
        "a history that starts inside a tool loop"
    )


def test_trap_02_all_results_of_a_message_stand_in_one_content() -> None:
    proven_by("V33")


def test_trap_03_no_text_stands_beside_a_result() -> None:
    proven_by("V34 results then text")


def test_trap_04_a_conversation_of_system_text_only_has_contents() -> None:
    proven_by("V03")


def test_trap_05_empty_texts_are_left_out_unless_they_are_signed() -> None:
    proven_by("V08")
    signed = assistant("", extra_content={"google": {"thought_signature": SIG}})
    assert body_of([user("a"), signed, user("b")])["contents"][1]["parts"] == [{"text": "", "thoughtSignature": SIG}]


def test_trap_06_newer_models_get_a_user_turn_behind_a_last_model_turn() -> None:
    proven_by("V09")


def test_trap_07_a_picture_without_a_word_has_one_on_vertex() -> None:
    proven_by("a picture without a word")
    results = body_of([user("w"), assistant(tool_calls=[call("call_a")]), result("call_a", [PNG])], {}, FLASH25, VERTEX)
    assert results["contents"][-1]["parts"][-1] == {"text": " "}
    assert all("text" not in part for part in results["contents"][-2]["parts"]), "none beside a result"


def test_trap_08_parts_keep_their_order() -> None:
    proven_by("V11")


def test_trap_09_a_picture_by_url_never_goes_out_as_a_file_uri() -> None:
    refused_by("V12")


def test_trap_10_a_mime_type_google_refuses_is_corrected_and_a_data_url_is_taken_apart() -> None:
    proven_by("V10")
    part = {"type": "input_audio", "input_audio": {"format": "mp3", "data": "data:audio/mp3;base64,QQ=="}}
    assert body_of([user([part])])["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "audio/mp3", "data": "QQ=="}}
    ]


def test_trap_11_ids_go_only_to_models_and_apis_that_know_them() -> None:
    proven_by("V32")


def test_trap_12_a_result_with_a_reference_in_it_goes_as_text() -> None:
    proven_by('V36 result \'{"$ref"')


def test_trap_13_a_result_that_is_an_array_goes_as_text() -> None:
    proven_by("V36 result '[1]'")


def test_trap_14_cached_content_stands_alone() -> None:
    fields = {"google": {"cached_content": "cachedContents/c1"}, "tools": [F], "tool_choice": "required"}
    body = body_of([{"role": "system", "content": "S"}, *HI], fields)
    assert body["cachedContent"] == "cachedContents/c1"
    assert not {"systemInstruction", "tools", "toolConfig"} & body.keys()


def test_trap_15_sampling_fields_do_not_reach_models_that_dropped_them() -> None:
    proven_by("V44")


def test_trap_16_penalties_of_zero_are_not_sent() -> None:
    zeros = {"presence_penalty": 0.0, "frequency_penalty": 0}
    for model in MODELS:
        assert config_of(zeros, model) == config_of({}, model)


def test_trap_17_an_effort_is_snapped_to_what_the_model_has() -> None:
    for name, info in MODELS.items():
        for effort in ("none", "minimal", "low", "medium", "high", "xhigh", "max"):
            config = thinking_config({"reasoning_effort": effort}, {}, info, None, [])
            assert config is None or not {"thinkingBudget", "thinkingLevel"} <= config.keys(), name
            level = (config or {}).get("thinkingLevel")
            assert level is None or (info.thinking is not None and str(level).lower() in info.thinking.levels)


def test_trap_18_a_thinking_budget_stays_below_the_output_limit() -> None:
    proven_by("V43")


def test_trap_19_a_seed_fits_32_bits_and_no_log_probabilities_are_asked_for() -> None:
    proven_by("V46 seed")
    refused_by("logprobs")


def test_trap_20_stop_sequences_are_at_most_five_and_none_is_empty() -> None:
    proven_by("V45")
    refused_by("V45 six")


# ---- schemas and tools


def test_trap_21_the_old_dialect_has_no_additional_properties() -> None:
    proven_by("V17 the old dialect")


def test_trap_22_branches_stand_alone_and_recursion_ends() -> None:
    schema: Any = {
        "type": "object",
        "properties": {"a": {"description": "A", "anyOf": [{"type": "string"}, {"type": "integer"}]}},
    }
    subset: Any = to_subset(schema, "x")
    assert set(subset["properties"]["a"]) <= {"anyOf", "description"}
    tree: Any = {"$defs": {"T": {"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}}}, "$ref": "#/$defs/T"}
    assert "$ref" not in json.dumps(to_subset(tree, "x"))


def test_trap_23_enums_are_texts_and_none_of_them_empty() -> None:
    subset: Any = to_subset({"type": "object", "properties": {"a": {"enum": [1, True, "", "b"]}}}, "x")
    options = subset["properties"]["a"]["enum"]
    assert "" not in options
    assert all(isinstance(option, str) for option in options)


def test_trap_24_arrays_have_items_and_objects_properties_in_the_old_dialect() -> None:
    schema: Any = {"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "array", "items": {}}}}
    subset: Any = to_subset(schema, "x")
    assert all(subset["properties"][name]["items"] for name in "ab")
    for parameters in (None, {}, {"type": "object", "properties": {}}):
        body = body_of(HI, {"tools": [function("f", parameters)]}, OLD_WIRE)
        assert body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]


def test_trap_25_a_property_may_be_called_title() -> None:
    schema: Any = {"type": "object", "title": "T", "properties": {"title": {"type": "string"}}}
    for dialect in (clean, to_subset):
        cleaned: Any = dialect(schema, "x")
        assert "title" in cleaned["properties"]


def test_trap_26_a_schema_without_end_is_refused_before_it_is_sent() -> None:
    deep: Any = {"type": "string"}
    for _ in range(500):
        deep = {"type": "array", "items": deep}
    with pytest.raises(BadRequestError):
        body_of(HI, {"tools": [function("f", {"type": "object", "properties": {"a": deep}})]})


def test_trap_27_before_generation_3_functions_exclude_json_and_search() -> None:
    proven_by("V47")
    proven_by("V49")


def test_trap_28_json_beside_maps_is_asked_for_in_the_newer_form() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    asked = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    config = body_of(HI, {"tools": [{"googleMaps": {}}], "response_format": asked})["generationConfig"]
    assert config == {"responseFormat": {"text": {"mimeType": "APPLICATION_JSON", "schema": schema}}}
    bare = body_of(HI, {"tools": [{"googleMaps": {}}], "response_format": {"type": "json_object"}})["generationConfig"]
    assert bare == {"responseFormat": {"text": {"mimeType": "APPLICATION_JSON"}}}


def test_trap_29_there_is_no_calling_mode_without_declarations() -> None:
    proven_by("V30")
    for choice in ("none", "required", "auto"):
        assert "toolConfig" not in body_of(HI, {"tool_choice": choice, "web_search_options": {}})


def test_trap_30_strict_tools_are_validated_but_a_forced_call_stays_forced() -> None:
    proven_by("V28")


def test_trap_31_arguments_are_integers_where_the_schema_says_so_and_absent_ones_an_empty_object() -> None:
    schema: Any = {"type": "object", "properties": {"n": {"type": "integer"}, "x": {"type": "number"}}}
    reading = Reading(schemas={"f": schema})
    body = candidate({"functionCall": {"name": "f", "args": {"n": 3.0, "x": 3.0}}}, {"functionCall": {"name": "g"}})
    calls = message_of(body, reading)["tool_calls"]
    assert [item["function"]["arguments"] for item in calls] == ['{"n":3,"x":3.0}', "{}"]


def test_trap_32_names_google_refuses_are_changed_and_changed_back() -> None:
    proven_by("V26")
    long = "x" * 70
    declared = body_of(HI, {"tools": [function(long)]})["tools"][0]["functionDeclarations"][0]["name"]
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", declared)
    assert (
        message_of(candidate({"functionCall": {"name": declared}}), Reading(names={declared: long}))["tool_calls"][0][
            "function"
        ]["name"]
        == long
    )


# ---- answers


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE"])
def test_trap_33_a_malformed_call_is_asked_for_again_and_never_an_empty_stop(reason: str) -> None:
    for read in (answer, streamed):
        with pytest.raises(BadResponseError) as caught:
            read(candidate(reason=reason))  # type: ignore[operator]
        assert (caught.value.outcome, caught.value.resend) == ("malformed", "same")


def test_trap_34_reasons_nobody_has_heard_of_do_not_crash() -> None:
    assert answer(candidate({"text": "x"}, reason="BRAND_NEW")).choices[0]["finish_reason"] == "stop"
    for reason in ("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"):
        with pytest.raises(BadResponseError):
            answer(candidate(reason=reason))


def test_trap_35_an_empty_stop_is_a_failed_attempt() -> None:
    for body in (candidate(), {}, {"candidates": []}):
        with pytest.raises(BadResponseError) as caught:
            answer(body)
        assert caught.value.failover


def test_trap_36_candidates_may_lack_content_and_events_candidates() -> None:
    chunks = streamed(
        {"usageMetadata": {"promptTokenCount": 1}},
        candidate({"text": "x"}, reason=None),
        {"candidates": [{}]},
        {"candidates": [{"finishReason": "STOP"}]},
    )
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]


def test_trap_37_several_candidates_are_several_choices() -> None:
    first, second = candidate({"text": "a"}), candidate({"text": "b"}, index=1)
    choices = answer({"candidates": [*first["candidates"], *second["candidates"]]}).choices
    assert [(choice["index"], choice["message"]["content"]) for choice in choices] == [(0, "a"), (1, "b")]  # type: ignore
    bare = answer({"candidates": [*first["candidates"], *first["candidates"]]}).choices
    assert [choice["index"] for choice in bare] == [0, 1], "without a number the place counts"


def test_trap_38_what_should_be_there_may_be_null_or_absent() -> None:
    nulls = dict.fromkeys(
        ("safetyRatings", "groundingMetadata", "citationMetadata", "avgLogprobs", "finishMessage", "index"), None
    )
    body = {**candidate({"text": "x"}, {"codeExecutionResult": {"outcome": "OUTCOME_OK"}}, **nulls)}
    tops = {
        "promptFeedback": None,
        "responseId": None,
        "modelVersion": None,
        "usageMetadata": {"candidatesTokenCount": None},
    }
    response = answer({**body, **tops})
    assert response.choices[0]["message"]["content"] == "x"  # type: ignore[index,call-overload]
    assert response.model == "asked"
    assert streamed({**body, **tops})[-1].finish_reason == "stop"


@pytest.mark.parametrize("usage", [None, {}, {"trafficType": "ON_DEMAND"}])
def test_trap_39_a_blocked_prompt_needs_no_token_counts(usage: Any) -> None:
    response = answer({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage})
    assert response.choices[0]["finish_reason"] == "content_filter"
    assert response.usage.estimated


def test_trap_40_a_call_ends_with_tool_calls_although_google_says_stop() -> None:
    body = candidate({"functionCall": {"name": "f"}})
    assert answer(body).choices[0]["finish_reason"] == "tool_calls"
    assert streamed(body)[-1].finish_reason == "tool_calls"


def test_trap_41_an_answer_of_pictures_only_is_an_answer_and_its_tokens_are_counted_in_streams_too() -> None:
    details = [{"modality": "IMAGE", "tokenCount": 1120}]
    body = {
        **candidate({"inlineData": {"mimeType": "image/png", "data": "QUJD"}}),
        "usageMetadata": {"candidatesTokenCount": 1120, "candidatesTokensDetails": details},
    }
    assert message_of(body)["content"] is None
    last = streamed(body)[-1]
    assert last.usage is not None
    assert last.usage.image_completion_tokens == 1120


def test_trap_42_a_draft_in_a_thought_is_no_picture() -> None:
    draft = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thought": True}
    message = message_of(candidate(draft, {"text": "x"}))
    assert "images" not in message


def test_trap_43_a_filtered_picture_with_status_200_is_no_empty_success() -> None:
    for reason in ("IMAGE_SAFETY", "PROHIBITED_CONTENT"):
        assert answer(candidate(reason=reason)).choices[0]["finish_reason"] == "content_filter"
    with pytest.raises(BadResponseError):
        answer(candidate(reason="NO_IMAGE"))


def test_trap_44_offsets_of_sources_are_bytes_and_an_absent_start_is_the_beginning() -> None:
    chunks = [{"web": {"uri": "https://x.test", "title": "X"}}]
    supports = [{"segment": {"endIndex": 7}, "groundingChunkIndices": [0]}]
    found: Any = annotations("Zürich is cold", {"groundingChunks": chunks, "groundingSupports": supports}, {})
    assert (found[0]["url_citation"]["start_index"], found[0]["url_citation"]["end_index"]) == (0, 6)


def test_trap_45_sources_that_come_with_the_last_event_only_are_kept() -> None:
    found = {
        "groundingChunks": [{"web": {"uri": "https://x.test", "title": "X"}}],
        "groundingSupports": [{"segment": {"endIndex": 1}, "groundingChunkIndices": [0]}],
    }
    chunks = streamed(
        candidate({"text": "x"}, reason=None, groundingMetadata={}),
        candidate({"text": ""}, groundingMetadata=found),
        candidate(reason=None, groundingMetadata={}),
    )
    assert [item["url_citation"]["url"] for item in chunks[-1].delta["annotations"]] == ["https://x.test"]  # type: ignore


def test_trap_46_thoughts_are_completion_tokens_once_and_nothing_is_negative() -> None:
    inside = {"promptTokenCount": 10, "candidatesTokenCount": 50, "thoughtsTokenCount": 40, "totalTokenCount": 60}
    beside = {**inside, "totalTokenCount": 100}
    odd = {"promptTokenCount": 5, "cachedContentTokenCount": 9, "candidatesTokenCount": -3}
    usages = [answer({**candidate({"text": "x"}), "usageMetadata": counts}).usage for counts in (inside, beside, odd)]
    assert [usage.completion_tokens for usage in usages] == [50, 90, 0]
    assert usages[2].cached_tokens <= usages[2].prompt_tokens


def test_trap_47_thoughts_are_no_content_and_line_breaks_stay() -> None:
    parts = ({"text": "hm\n", "thought": True}, {"text": "a\n"}, {"text": "\nb"})
    assert message_of(candidate(*parts))["content"] == "a\n\nb"
    assert "".join(str(chunk.delta.get("content", "")) for chunk in streamed(candidate(*parts))) == "a\n\nb"


# ---- streams


def test_trap_48_parallel_calls_have_indices_of_their_own() -> None:
    one = candidate({"functionCall": {"name": "f"}}, reason=None)
    chunks = streamed(one, one, candidate({"functionCall": {"name": "g"}}, {"functionCall": {"name": "h"}}))
    calls: list[Any] = [item for chunk in chunks for item in chunk.delta.get("tool_calls", [])]  # type: ignore[union-attr]
    assert [item["index"] for item in calls] == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_trap_49_and_52_lines_and_letters_may_be_cut_anywhere(size: int) -> None:
    text = "naïve 日本 🚆"
    chunks = streamed(candidate({"text": text}), size=size)
    assert "".join(str(chunk.delta.get("content", "")) for chunk in chunks) == text


def test_trap_50_a_picture_is_one_line_of_megabytes() -> None:
    data = "QUJD" * 500_000
    chunks = streamed(candidate({"inlineData": {"mimeType": "image/png", "data": data}}), size=65_536)
    assert any("images" in chunk.delta for chunk in chunks)


def test_trap_51_counts_that_vanish_from_the_last_event_stay() -> None:
    first = {
        **candidate({"text": "x"}, reason=None),
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2},
    }
    last = {**candidate({"text": ""}), "usageMetadata": {"promptTokenCount": 7}}
    usage = streamed(first, last)[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 2)


def test_trap_53_an_error_inside_the_stream_is_one_and_an_end_without_a_reason_too() -> None:
    error = json.dumps({"error": {"code": 503, "message": "overloaded"}}, indent=2).encode()
    for events, raw in (
        ((candidate({"text": "x"}, reason=None),), error),
        ((candidate({"text": "x"}, reason=None),), b""),
    ):
        with pytest.raises(ProviderError):
            streamed(*events, raw=raw)
    with pytest.raises(StreamInterruptedError):
        streamed(candidate({"text": "x"}, reason=None))


def test_trap_54_a_stream_that_comes_as_an_array_is_read_all_the_same() -> None:
    pieces = [candidate({"text": "a"}, reason=None), candidate({"text": "b"})]
    for raw in (json.dumps(pieces, indent=2), "[" + "\r\n,\r\n".join(json.dumps(piece) for piece in pieces) + "]"):
        chunks = streamed(raw=raw.encode(), size=7)
        assert "".join(str(chunk.delta.get("content", "")) for chunk in chunks) == "ab"
        assert chunks[-1].finish_reason == "stop"


def test_trap_55_arguments_are_never_asked_for_in_pieces() -> None:
    body = body_of(HI, {"tools": [F], "tool_choice": "required"}, terms=VERTEX)
    assert "streamFunctionCallArguments" not in json.dumps(body)


# ---- signatures


def test_trap_56_a_lost_signature_is_replaced_and_a_long_id_is_cut() -> None:
    proven_by("V38")
    proven_by("V39")


def test_trap_57_signatures_of_empty_texts_thoughts_and_pictures_are_handed_out() -> None:
    for part in ({"text": "", "thoughtSignature": SIG}, {"text": "hm", "thought": True, "thoughtSignature": SIG}):
        message = message_of(candidate({"text": "x"}, part))
        assert message["extra_content"] == {"google": {"thought_signature": SIG}}
    picture = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thoughtSignature": SIG}
    assert message_of(candidate(picture))["images"][0]["extra_content"] == {"google": {"thought_signature": SIG}}


def test_trap_58_a_signature_goes_out_once() -> None:
    details = [{"type": "reasoning.encrypted", "id": "call_a", "data": SIG, "format": "google-gemini-v1"}]
    litellm = {"provider_specific_fields": {"thought_signature": SIG}}
    signed = call("call_a", **{"extra_content": {"google": {"thought_signature": SIG}}, **litellm})
    history = [
        user("w"),
        assistant("t", tool_calls=[signed, call("call_b")], reasoning_details=details),
        result("call_a"),
        result("call_b"),
    ]
    assert json.dumps(body_of(history)).count(f'"{SIG}"') == 1


def test_trap_59_a_signature_from_elsewhere_is_recognised_or_mended() -> None:
    error = failed(400, "Corrupted thought signature.")
    assert isinstance(error, UnsupportedFieldError)
    assert error.resend == "unsigned"
    history = [
        user("w"),
        assistant(tool_calls=[call("call_a", extra_content={"google": {"thought_signature": SIG}})]),
        result("call_a"),
    ]
    mended = body_of(history, recall=Recall(unsigned=True))
    assert mended["contents"][1]["parts"][0]["thoughtSignature"] == DUMMY


# ---- operation


def test_trap_60_and_61_a_refused_key_of_any_kind_is_ours_and_is_not_shown() -> None:
    reason = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED"}]
    for error in (
        failed(401, "Request had invalid authentication credentials AQ.Ab8RN6Kxyz", details=reason),
        failed(400, "API key expired AIzaSyA1234567890abcdefghij. Please renew the API key."),
        failed(403, "Your API key was reported as leaked. Please use another API key."),
    ):
        assert isinstance(error, AuthenticationError)
        assert not re.search(r"AIza|AQ\.", error.message)


def test_trap_62_a_model_closed_to_new_users_may_be_served_elsewhere() -> None:
    error = failed(404, "This model models/x is no longer available to new users.")
    assert isinstance(error, ModelNotFoundError)
    assert error.failover


def test_trap_63_an_error_in_an_array_is_read_and_a_daily_quota_is_not_waited_for() -> None:
    quota = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "RequestsPerDay"}]}
    body = [{"error": {"code": 429, "message": "quota", "details": [quota]}}]
    assert isinstance(error_from(429, {}, json.dumps(body).encode()), QuotaExhaustedError)


def test_trap_64_the_model_that_really_served_is_named() -> None:
    body = {**candidate({"text": "x"}), "modelVersion": "gemini-3.5-flash-lite"}
    assert answer(body).model == "gemini-3.5-flash-lite"


def test_trap_65_a_name_may_end_on_different_days_at_different_sellers() -> None:
    end = date(2026, 11, 19)
    catalogue = {
        "flash": builders.info("flash"),
        "a/flash": builders.info("flash", retires=end, successor="newer"),
        "newer": builders.info("newer"),
    }
    desk = builders.Desk(
        builders.settings(builders.model("chat", "a/flash", "b/flash", sort="order"), catalogue=catalogue)
    )
    assert desk.names() == ["a/newer", "b/flash"]


def test_trap_66_filters_are_left_to_google_unless_somebody_sets_them_and_a_block_is_told() -> None:
    assert "safetySettings" not in body_of(HI)
    off = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}
    assert body_of(HI, {"google": {"safety_settings": [off]}})["safetySettings"] == [off]
    assert answer(candidate(reason="PROHIBITED_CONTENT")).choices[0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize("status", [403, 404])
def test_trap_67_a_file_of_another_project_is_looked_for_elsewhere_and_blocks_nobody(status: int) -> None:
    error = failed(status, "You do not have permission to access the File abc or it may not exist.")
    assert isinstance(error, UnsupportedFieldError)
    assert (error.failover, error.effect, error.param) == (True, "none", "messages")


def test_trap_68_no_temperature_is_sent_unasked() -> None:
    for model in MODELS:
        assert "temperature" not in config_of({}, model)
        assert "temperature" not in config_of({"reasoning_effort": "low"}, model)


def test_trap_69_the_usual_tier_is_not_the_dear_one() -> None:
    for tier in ("auto", "default", "standard", "scale"):
        assert "serviceTier" not in body_of(HI, {"service_tier": tier})


def test_trap_70_no_field_of_the_callers_reaches_google_unread() -> None:
    fields = {
        "foo": 1,
        "contents": [],
        "systemInstruction": {},
        "generationConfig": {"candidateCount": 8},
        "labels": {},
    }
    assert body_of(HI, {**fields, "metadata": {"a": "b"}, "store": True}) == body_of(HI)


def test_searches_are_counted_as_they_are_charged() -> None:
    queries = {"webSearchQueries": ["a", "b"], "imageSearchQueries": ["c"]}
    assert searches(queries, by_query=True) == 3
    assert searches(queries, by_query=False) == 1
    silent = {"groundingChunks": [{"web": {"uri": "https://x.test"}}]}
    assert (searches(silent, by_query=True), searches(silent, by_query=False)) == (0, 1)
    assert searches({"groundingChunks": [{"maps": {"uri": "https://x.test"}}]}, by_query=False) == 0
