"""Whatever stands in an optional field of an answer, the answer is read; however it is streamed, it is the same one."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import ProviderError
from providers.gemini.images import from_image_content
from providers.gemini.response import from_generate_content, joined
from providers.gemini.stream import ChunkTranslator
from providers.gemini.translated import Reading
from providers.sse import EventDecoder

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)

_COUNTS = ("promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount", "thoughtsTokenCount",
           "toolUsePromptTokenCount", "totalTokenCount")  # fmt: skip
_DETAILS = ("promptTokensDetails", "candidatesTokensDetails", "cacheTokensDetails", "toolUsePromptTokensDetails")
_TOP = ("usageMetadata", "modelVersion", "responseId", "promptFeedback", "createTime", "modelStatus", "new")
_GROUNDING = ("candidates", "*", "groundingMetadata")
# Every optional field of an answer, by its place. `*` is each element of an array.
OPTIONAL: list[tuple[str, ...]] = [
    *((name,) for name in _TOP),
    ("promptFeedback", "safetyRatings"),
    *(("usageMetadata", name) for name in (*_COUNTS, *_DETAILS, "serviceTier", "trafficType", "new")),
    *(("usageMetadata", name, "*", field) for name in _DETAILS for field in ("modality", "tokenCount")),
    *(
        ("candidates", "*", name)
        for name in (
            "index", "finishMessage", "safetyRatings", "citationMetadata", "groundingMetadata", "urlContextMetadata",
            "avgLogprobs", "logprobsResult", "tokenCount", "continuationToken", "new",
        )
    ),
    ("candidates", "*", "content", "role"),
    *(
        ("candidates", "*", "content", "parts", "*", name)
        for name in ("thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata", "new")
    ),
    *(
        (*_GROUNDING, name)
        for name in (
            "webSearchQueries", "imageSearchQueries", "searchEntryPoint", "groundingChunks", "groundingSupports",
        )
    ),
    *((*_GROUNDING, "groundingChunks", "*", kind) for kind in ("web", "maps", "image", "new")),
    *(
        (*_GROUNDING, "groundingChunks", "*", "web", name)
        for name in ("uri", "title", "domain")
    ),
    *(
        (*_GROUNDING, "groundingSupports", "*", name)
        for name in ("segment", "groundingChunkIndices", "confidenceScores")
    ),
    *(
        (*_GROUNDING, "groundingSupports", "*", "segment", name)
        for name in ("partIndex", "startIndex", "endIndex", "text")
    ),
    *(
        ("candidates", "*", "citationMetadata", "citationSources", "*", name)
        for name in ("startIndex", "endIndex", "uri", "title")
    ),
    ("candidates", "*", "citationMetadata", "citations"),
    *(("candidates", "*", "logprobsResult", name) for name in ("chosenCandidates", "topCandidates")),
    *(
        ("candidates", "*", "logprobsResult", "chosenCandidates", "*", name)
        for name in ("token", "tokenId", "logProbability")
    ),
]  # fmt: skip
WHOLE: dict[str, Any] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "Zürich is cold."}]},
            "finishReason": "STOP",
            "groundingMetadata": {
                "webSearchQueries": ["q"],
                "groundingChunks": [{"web": {"uri": "https://x.test", "title": "X"}}],
                "groundingSupports": [
                    {"segment": {"startIndex": 0, "endIndex": 7, "text": "Zürich"}, "groundingChunkIndices": [0]}
                ],
            },
            "citationMetadata": {"citationSources": [{"startIndex": 0, "endIndex": 3, "uri": "https://y.test"}]},
            "logprobsResult": {"chosenCandidates": [{"token": "Z", "logProbability": -0.1}]},
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 3,
        "candidatesTokenCount": 5,
        "totalTokenCount": 8,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 5}],
    },
}


def put(node: Any, place: tuple[str, ...], value: Any) -> None:
    """Set `value` at `place`, where it exists."""
    *way, last = place
    for step in way:
        if step == "*" and isinstance(node, list):
            node = node[0] if node else None
        else:
            node = node.get(step) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node[last] = value


def minter() -> Any:
    count = iter(range(1000))
    return lambda: f"call_{next(count)}"


def streamed(*events: Any, reading: Reading | None = None) -> tuple[dict[str, Any], Any]:
    """The joined message and the last chunk."""
    decoder, translator = EventDecoder(), ChunkTranslator(reading or Reading(), minter())
    chunks = []
    for event in decoder.feed(b"".join(b"data: " + orjson.dumps(item) + b"\r\n\r\n" for item in events)):
        chunks += translator.feed(event)
    chunks += translator.finish()
    return joined([chunk.delta for chunk in chunks if "role" not in chunk.delta]), chunks[-1]


@given(st.lists(st.tuples(st.sampled_from(OPTIONAL), JSON), min_size=1, max_size=4))
@settings(max_examples=1500, deadline=None)
def test_any_value_in_an_optional_field_leaves_the_answer_readable(changes: Any) -> None:
    body = copy.deepcopy(WHOLE)
    for place, value in changes:
        put(body, place, value)
    raw = orjson.dumps(body)
    plain: Any = from_generate_content(raw, model="asked", mint=minter()).choices[0]
    assert (plain["message"]["content"], plain["finish_reason"]) == ("Zürich is cold.", "stop")
    message, last = streamed(orjson.loads(raw))
    assert (message, last.finish_reason) == (plain["message"], "stop")


@pytest.mark.parametrize("place", OPTIONAL, ids="/".join)
def test_an_optional_field_may_hold_any_kind_of_value(place: tuple[str, ...]) -> None:
    for value in (None, True, -1, 2**63, 1e300, "", "x", [], [None], ["x"], [{}], [[]], {}, {"x": None}, {"a": [1]}):
        body = copy.deepcopy(WHOLE)
        put(body, place, value)
        response = from_generate_content(orjson.dumps(body), model="asked", mint=minter())
        assert response.choices[0]["finish_reason"] == "stop", value
        assert streamed(body)[1].finish_reason == "stop", value
        picture = copy.deepcopy(body)
        picture["candidates"][0]["content"] = {"parts": [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}]}
        assert from_image_content(orjson.dumps(picture), model="asked").images, value


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_any_id_and_arguments_of_a_call_leave_it_a_call(value: Any) -> None:
    for call in ({"name": "f", "args": value}, {"name": "f", "id": value}, {"name": "f", "args": {"a": value}}):
        body = {"candidates": [{"content": {"parts": [{"functionCall": call}]}, "finishReason": "STOP"}]}
        choice: Any = from_generate_content(orjson.dumps(body), model="asked", mint=minter()).choices[0]
        (made,) = choice["message"]["tool_calls"]
        assert choice["finish_reason"] == "tool_calls"
        assert isinstance(orjson.loads(made["function"]["arguments"]), dict)
        assert made["id"]


PARTS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"text": st.text(max_size=6)}, optional={"thought": st.just(True)}),
        st.fixed_dictionaries({"text": st.text(max_size=3), "thoughtSignature": st.sampled_from(["c2ln", "eA=="])}),
        st.fixed_dictionaries(
            {"functionCall": st.fixed_dictionaries({"name": st.sampled_from("fg"), "args": st.just({"a": 1.0})})},
            optional={"thoughtSignature": st.just("c2ln")},
        ),
        st.just({"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thoughtSignature": "c2ln"}),
        st.just({"inlineData": {"mimeType": "image/png", "data": "RFJB"}, "thought": True}),
        st.just({"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "QUJD"}}),
        st.just({"executableCode": {"language": "PYTHON", "code": "1"}}),
        st.just({"toolCall": {"id": "t"}, "thoughtSignature": "c2ln"}),
    ),
    min_size=1,
    max_size=6,
)
_INTEGER: Any = {"f": {"properties": {"a": {"type": "integer"}}}}
READINGS = st.tuples(st.booleans(), st.booleans(), st.booleans()).map(
    lambda asked: Reading(
        json_text=asked[0], single_call=asked[1], legacy_function=asked[2], names={"g": "the/g"}, schemas=_INTEGER
    )
)


@given(PARTS, st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "OTHER"]), READINGS, st.data())
@settings(max_examples=500, deadline=None)
def test_an_answer_in_any_number_of_events_is_the_whole_answer(
    parts: Any, reason: str, reading: Reading, data: Any
) -> None:
    counts = {"promptTokenCount": 3, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 10}
    side = {key: WHOLE["candidates"][0][key] for key in ("groundingMetadata", "citationMetadata")}
    whole = {"candidates": [{"content": {"parts": parts}, "finishReason": reason, **side}], "usageMetadata": counts}
    pieces = _split(parts, data)
    events: list[Any] = [
        {
            "candidates": [{"content": {"parts": piece}, "groundingMetadata": {}}],
            "usageMetadata": {"promptTokenCount": 1},
        }
        for piece in pieces
    ]
    events.append({"usageMetadata": {"promptTokenCount": 2}})
    events.append(
        {"candidates": [{"content": {"role": "model"}, "finishReason": reason, **side}], "usageMetadata": counts}
    )
    try:
        plain = from_generate_content(orjson.dumps(whole), model="m", mint=minter(), reading=reading)
    except ProviderError as error:
        with pytest.raises(type(error), match=error.message):
            streamed(*events, reading=reading)
        return
    message, last = streamed(*events, reading=reading)
    choice: Any = plain.choices[0]
    assert message == choice["message"]
    assert (last.finish_reason, last.native_finish_reason) == (choice["finish_reason"], choice["native_finish_reason"])
    assert last.usage == plain.usage


def _split(parts: list[Any], data: Any) -> list[list[Any]]:
    """The parts in order over several events; a text may be cut between two of them, as models stream it."""
    pieces: list[list[Any]] = [[]]
    for part in parts:
        if set(part) <= {"text", "thought"} and len(part["text"]) > 1 and data.draw(st.booleans()):
            cut = data.draw(st.integers(1, len(part["text"]) - 1))
            pieces[-1].append({**part, "text": part["text"][:cut]})
            pieces.append([{**part, "text": part["text"][cut:]}])
            continue
        if data.draw(st.booleans()):
            pieces.append([])
        pieces[-1].append(part)
    return pieces
