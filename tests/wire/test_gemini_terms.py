"""The vectors that depend on the provider's API and its operator's choices, run against the translators."""

import base64
import json
import struct
from typing import Any

import pytest
from gemini_terms_vectors import CACHED, REFUSALS, REQUESTS, SPEECH
from gemini_vectors import DUMMY, HI, MODELS, ROUND, SIG, assistant, call, result, user

from providers.catalogue import ModelInfo
from providers.errors import BadRequestError
from providers.gemini.request import to_generate_content
from providers.gemini.response import from_generate_content
from providers.gemini.signature_cache import NO_RECALL, Recall, SignatureCache, beside, call_key, origin_of, picture_key
from providers.gemini.stream import ChunkTranslator
from providers.gemini.terms import USUAL, Terms
from providers.gemini.translated import Reading, Translated
from providers.openai.history import without_traces
from providers.types import ChatRequest, ChatResponse

SPEAKER = ModelInfo(name=SPEECH, family=3.8, outputs=frozenset({"audio"}), sampling=False)
DRAWER = MODELS["gemini-3.1-flash-image"]


def ask(
    messages: list[Any],
    fields: dict[str, Any] | None = None,
    model: str | None = None,
    terms: Terms = USUAL,
    recall: Recall = NO_RECALL,
    *,
    stream: bool = False,
) -> Translated:
    info = SPEAKER if model == SPEECH else MODELS[model or "gemini-3.8-flash"]
    request = ChatRequest(model="m", messages_json=json.dumps(messages).encode(), fields=fields or {}, stream=stream)
    return to_generate_content(request, info, terms, recall)


def answer(body: Any, reading: Reading | None = None, recall: Recall = NO_RECALL) -> ChatResponse:
    raw = json.dumps(body).encode()
    return from_generate_content(raw, model="asked", mint=lambda: "call_new", reading=reading, recall=recall)


def model_parts(translated: Translated) -> list[Any]:
    contents: Any = translated.body["contents"]
    return [part for content in contents if content["role"] == "model" for part in content["parts"]]


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda vector: vector[0])
def test_a_request_on_these_terms_becomes_exactly_this(vector: Any) -> None:
    _, terms, messages, fields, model, want, absent, headers, warnings = vector
    translated = ask(messages, fields, model, terms)
    body = translated.body
    assert {key: body.get(key) for key in want} == want
    assert [key for key in absent if key in body] == []
    assert (translated.headers, translated.warnings) == (headers, warnings)


@pytest.mark.parametrize("vector", REFUSALS, ids=lambda vector: vector[0])
def test_what_these_terms_do_not_allow_is_refused_by_name(vector: Any) -> None:
    _, terms, messages, fields, model, stream, kind, param = vector
    with pytest.raises(BadRequestError) as caught:
        ask(messages, fields, model, terms, stream=stream)
    assert type(caught.value).__name__ == kind
    assert caught.value.param == param


# ---- signatures


@pytest.mark.parametrize("vector", CACHED, ids=lambda vector: vector[0])
def test_v40_a_kept_signature_is_used_where_it_is_valid(vector: Any) -> None:
    _, kept_at, messages, model, want = vector
    cache = SignatureCache()
    cache.keep("ann", call_key("call_a"), SIG, kept_at)
    family = MODELS[model or "gemini-3.8-flash"].family
    recall = Recall(cache, "ann", origin_of(family, "developer", "google"))
    (part,) = model_parts(ask(messages, {}, model, recall=recall))
    assert part.get("thoughtSignature") == want


def test_v40_an_answer_keeps_what_its_client_will_lose() -> None:
    recall = Recall(SignatureCache(), "ann", "here")
    parts = [
        {"text": "Plan.", "thought": True, "thoughtSignature": "dGhpbms="},
        {"functionCall": {"id": "x9k2", "name": "f"}, "thoughtSignature": SIG},
        {"functionCall": {"name": "g"}},
        {"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thoughtSignature": "cGlj"},
    ]
    answer({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}, recall=recall)
    assert recall.settled(None, call_key("x9k2")) == SIG
    assert recall.settled(None, call_key("call_new")) is None, "of parallel calls only the first is signed"
    assert recall.settled(None, picture_key("QUJD")) == "cGlj"
    assert recall.settled(None, beside(call_key("x9k2"))) == "dGhpbms="


def test_v40_a_stream_keeps_the_same_as_a_whole_answer() -> None:
    recall = Recall(SignatureCache(), "ann", "here")
    translator = ChunkTranslator(Reading(), lambda: "call_new", 0, recall)
    for part in (
        {"functionCall": {"id": "x9k2", "name": "f"}, "thoughtSignature": SIG},
        {"text": "", "thoughtSignature": "ZW5k"},
    ):
        translator.feed(json.dumps({"candidates": [{"content": {"parts": [part]}}]}).encode())
    translator.feed(b'{"candidates":[{"finishReason":"STOP"}]}')
    translator.finish()
    assert recall.settled(None, call_key("x9k2")) == SIG
    assert recall.settled(None, beside(call_key("x9k2"))) == "ZW5k"


def test_v40_the_messages_own_signature_comes_back_with_its_first_call() -> None:
    recall = Recall(SignatureCache(), "ann", "here")
    recall.keep(call_key("call_a"), SIG)
    recall.keep(beside(call_key("call_a")), "dGV4dA==")
    history = [user("w?"), assistant("Let me look.", tool_calls=[call("call_a")]), result("call_a")]
    text, called = model_parts(ask(history, recall=recall))
    assert text == {"text": "Let me look.", "thoughtSignature": "dGV4dA=="}
    assert called["thoughtSignature"] == SIG


def test_a_picture_goes_back_signed_from_the_cache_or_with_the_placeholder() -> None:
    recall = Recall(SignatureCache(), "ann", "here")
    recall.keep(picture_key("QUJD"), "cGlj")
    pictures = [{"image_url": {"url": f"data:image/png;base64,{data}"}} for data in ("QUJD", "REVG")]
    history = [user("draw"), assistant(images=pictures), user("again")]
    first, second = model_parts(ask(history, {}, "gemini-3.1-flash-image", recall=recall))
    assert (first["thoughtSignature"], second["thoughtSignature"]) == ("cGlj", DUMMY)
    plain = model_parts(ask(history, recall=Recall()))
    assert all("thoughtSignature" not in part for part in plain), "a text model does not check pictures"


def test_v71_after_a_refusal_every_signature_is_gone_and_every_step_has_the_placeholder() -> None:
    cache = SignatureCache()
    cache.keep("ann", call_key("call_b"), SIG, "here")
    history = [
        *ROUND,
        assistant("done", extra_content={"google": {"thought_signature": "dGV4dA=="}}),
        user("again"),
        assistant(tool_calls=[call("call_b"), call("call_c")]),
        result("call_b"),
        result("call_c"),
    ]
    parts = model_parts(ask(history, recall=Recall(cache, "ann", "here", unsigned=True)))
    assert [part.get("thoughtSignature") for part in parts] == [DUMMY, None, DUMMY, None]
    old = model_parts(ask(history, {}, "gemini-2.5-flash", recall=Recall(cache, "ann", "here", unsigned=True)))
    assert all("thoughtSignature" not in part for part in old), "generation 2 does not know the placeholder"


def test_v71_server_tools_are_replayed_without_their_signatures() -> None:
    extra = {"google": {"server_tools": [{"toolCall": {"id": "1"}, "thoughtSignature": SIG}]}}
    history = [user("a"), assistant("b", extra_content=extra), user("c")]
    assert model_parts(ask(history))[0] == {"toolCall": {"id": "1"}, "thoughtSignature": SIG}
    assert model_parts(ask(history, recall=Recall(unsigned=True)))[0] == {"toolCall": {"id": "1"}}


def test_v41_another_vendor_sees_no_trace_of_signatures() -> None:
    litellm = "call_" + "0a" * 14 + "__thought__" + SIG * 100
    history = [*ROUND, assistant(tool_calls=[call(litellm)]), result(litellm)]
    sent = json.loads(without_traces(json.dumps(history).encode()))
    text = json.dumps(sent)
    assert "extra_content" not in text
    assert "__thought__" not in text
    ids = [sent[1]["tool_calls"][0]["id"], sent[3]["tool_calls"][0]["id"]]
    assert [message["tool_call_id"] for message in (sent[2], sent[4])] == ids
    assert all(len(each) <= 40 for each in ids)


# ---- answers


def test_spoken_samples_become_a_wav_file_with_44_bytes_in_front() -> None:
    reading = ask(HI, {"modalities": ["audio"], "audio": {"voice": "alloy", "format": "wav"}}, SPEECH).reading
    pieces = [b"\x01\x00\x02", b"\x00\x03\x00"]  # cut inside a sample, each padded on its own
    mime = "audio/L16;codec=pcm;rate=24000"
    parts = [{"inlineData": {"mimeType": mime, "data": base64.b64encode(piece).decode()}} for piece in pieces]
    body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    message: Any = answer(body, reading).choices[0]["message"]
    file = base64.b64decode(message["audio"]["data"])
    assert len(file) == 44 + 6
    riff, size, wave, fmt, length, kind, channels, rate, per_second, block, bits, data, count = struct.unpack(
        "<4sI4s4sIHHIIHH4sI", file[:44]
    )
    assert (riff, size, wave, fmt, length) == (b"RIFF", 42, b"WAVE", b"fmt ", 16)
    assert (kind, channels, rate, per_second, block, bits) == (1, 1, 24000, 48000, 2, 16)
    assert (data, count, file[44:]) == (b"data", 6, b"".join(pieces))
    bare: Any = answer(body).choices[0]["message"]
    assert base64.b64decode(bare["audio"]["data"]) == b"".join(pieces), "pcm16 is served as it is"


def test_a_wav_of_the_upstreams_own_is_passed_on() -> None:
    part = {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}
    body = {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}
    message: Any = answer(body, Reading(wav=True)).choices[0]["message"]
    assert message["audio"]["data"] == "UklGRg=="


@pytest.mark.parametrize(
    ("metadata", "tier"),
    [
        ({"serviceTier": "standard"}, "default"),
        ({"serviceTier": "FLEX"}, "flex"),
        ({"trafficType": "ON_DEMAND"}, "default"),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "scale"),
        ({"trafficType": "NEW_KIND"}, "new_kind"),
    ],
)
def test_the_tier_that_served_is_named_whichever_api_says_it(metadata: Any, tier: str) -> None:
    body = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}], "usageMetadata": metadata}
    assert answer(body).extra == {"service_tier": tier}
    translator = ChunkTranslator(Reading(), lambda: "call_new")
    extra = translator.extra
    translator.feed(json.dumps(body).encode())
    assert extra == {"service_tier": tier}, "whoever holds it sees it as soon as it is known"


@pytest.mark.parametrize("name", ["citations", "citationSources"])
def test_citations_of_both_apis_are_annotations(name: str) -> None:
    found = {"startIndex": 2, "endIndex": 4, "uri": "https://x.test", "title": "X"}
    body = {
        "candidates": [
            {"content": {"parts": [{"text": "abcd"}]}, "finishReason": "STOP", "citationMetadata": {name: [found]}}
        ]
    }
    message: Any = answer(body).choices[0]["message"]
    assert message["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://x.test", "title": "X", "start_index": 2, "end_index": 4},
        }
    ]
