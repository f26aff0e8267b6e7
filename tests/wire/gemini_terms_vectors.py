"""Conformance vectors of the Gemini wire that depend on the provider: which API it is, and what its operator chose."""

from typing import Any

from gemini_vectors import (
    DUMMY,
    HI,
    PNG,
    SIG,
    answered,
    assistant,
    call,
    called,
    function,
    result,
    signed,
    turn,
    user,
)

from providers.gemini.terms import Terms, terms_of
from providers.options import Cloud, GeminiOptions


def chosen(**options: Any) -> Terms:
    return terms_of(GeminiOptions(**options), None)


DEVELOPER = chosen()
VERTEX = terms_of(GeminiOptions(), Cloud(project="p1", location="europe-west4"))
EXPRESS = terms_of(GeminiOptions(), Cloud(express=True))
FILL, INLINE = chosen(missing_results="fill"), chosen(late_system="inline")
SAFE = chosen(safety={"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE", "HARM_CATEGORY_HATE_SPEECH": "OFF"})

SPEECH = "gemini-3.8-flash-tts"
_BOTH = [user("w?"), assistant(tool_calls=[call("call_a", **signed()), call("call_b", "g")])]
_SEARCH = {"web_search_options": {}, "tools": [function("f")]}
_SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
_ROUND_X9K2 = [user("w?"), assistant(tool_calls=[call("x9k2", **signed())]), result("x9k2")]
_CACHE = "projects/p1/locations/global/cachedContents/c1"


def _spoken(voice: str, audio_format: str = "wav") -> dict[str, Any]:
    return {"modalities": ["audio"], "audio": {"voice": voice, "format": audio_format}}


def _voice(name: str) -> dict[str, Any]:
    return {
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}},
        }
    }


# Each: id, terms, messages, fields, model, what the body holds, which keys it lacks, headers, warnings.
REQUESTS: list[tuple[str, Terms, list[Any], dict[str, Any], str | None, dict[str, Any], tuple[str, ...], Any, Any]] = [
    (
        "V04 inline",
        INLINE,
        [{"role": "system", "content": "R"}, user("a"), assistant("b"), {"role": "system", "content": "S"}, user("c")],
        {},
        None,
        {
            "systemInstruction": {"parts": [{"text": "R"}]},
            "contents": [turn("user", "a"), turn("model", "b"), turn("user", "S", "c")],
        },
        (),
        {},
        (),
    ),
    (
        "V04 inline between results",
        INLINE,
        [*_BOTH, result("call_a"), {"role": "developer", "content": "S"}, result("call_b")],
        {},
        None,
        {
            "contents": [
                turn("user", "w?"),
                turn("model", called(signature=SIG), called("g")),
                turn("user", answered({"output": "ok"}), answered({"output": "ok"}, "g")),
                turn("user", "S"),
            ]
        },
        ("systemInstruction",),
        {},
        (),
    ),
    *(
        (
            f"V32 an id of Gemini's on {terms.dialect.name}",
            terms,
            _ROUND_X9K2,
            {},
            None,
            {
                "contents": [
                    turn("user", "w?"),
                    turn("model", called(signature=SIG, call_id=call_id)),
                    turn("user", answered({"output": "ok"}, call_id=call_id)),
                ]
            },
            (),
            {},
            (),
        )
        for terms, call_id in ((DEVELOPER, "x9k2"), (VERTEX, "x9k2"), (EXPRESS, None))
    ),
    (
        "V35 a missing result is made up",
        FILL,
        [*_BOTH, result("call_a"), user("so?")],
        {},
        None,
        {
            "contents": [
                turn("user", "w?"),
                turn("model", called(signature=SIG), called("g")),
                turn("user", answered({"output": "ok"}), answered({"error": "no result"}, "g")),
                turn("user", "so?"),
            ]
        },
        (),
        {},
        ("messages=results mended",),
    ),
    (
        "V35 of two results the last counts, a foreign one is left out",
        FILL,
        [*_BOTH, result("call_a", "1"), result("call_z", "9"), result("call_a", "2"), result("call_b"), result("x")],
        {},
        None,
        {
            "contents": [
                turn("user", "w?"),
                turn("model", called(signature=SIG), called("g")),
                turn("user", answered({"output": "2"}), answered({"output": "ok"}, "g")),
            ]
        },
        (),
        {},
        ("messages=results mended",),
    ),
    (
        "V35 a result that comes after the next question is left out",
        FILL,
        [user("w?"), assistant(tool_calls=[call("call_a", **signed())]), user("so?"), result("call_a")],
        {},
        None,
        {
            "contents": [
                turn("user", "w?"),
                turn("model", called(signature=SIG)),
                turn("user", answered({"error": "no result"})),
                turn("user", "so?"),
            ]
        },
        (),
        {},
        ("messages=results mended",),
    ),
    (
        "logprobs dropped",
        chosen(logprobs="drop"),
        HI,
        {"logprobs": True, "top_logprobs": 3},
        None,
        {},
        ("generationConfig",),
        {},
        ("logprobs=dropped", "top_logprobs=dropped"),
    ),
    (
        "V48 labels and tier on Vertex",
        VERTEX,
        HI,
        {"metadata": {"Team Name": "Növa/1", "1st": "x", "n": 1}, "service_tier": "flex"},
        None,
        {"labels": {"team_name": "n_va_1"}},
        ("serviceTier",),
        {"x-vertex-ai-llm-request-type": "shared", "x-vertex-ai-llm-shared-request-type": "flex"},
        (),
    ),
    (
        "V48 labels by Google's own name, and its other fields",
        VERTEX,
        HI,
        {"google": {"labels": {"a": "b"}, "audio_timestamp": True, "model_armor_config": {"promptTemplateName": "t"}}},
        None,
        {
            "labels": {"a": "b"},
            "generationConfig": {"audioTimestamp": True},
            "modelArmorConfig": {"promptTemplateName": "t"},
        },
        (),
        {},
        (),
    ),
    (
        "V48 the Developer API has no labels",
        DEVELOPER,
        HI,
        {"metadata": {"a": "b"}, "google": {"labels": {"a": "b"}}, "service_tier": "flex"},
        None,
        {"serviceTier": "flex"},
        ("labels",),
        {},
        ("google.labels=dropped",),
    ),
    (
        "V49 search and functions on Vertex",
        VERTEX,
        HI,
        _SEARCH,
        None,
        {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
        ("toolConfig",),
        {},
        ("web_search_options=dropped",),
    ),
    *(
        (
            f"search settings of the other API on {terms.dialect.name}",
            terms,
            HI,
            {"tools": [{"googleSearch": {"excludeDomains": ["x.test"], "timeRangeFilter": {"startTime": "t"}}}]},
            None,
            {"tools": [{"googleSearch": {kept: value}}]},
            (),
            {},
            (f"tools.googleSearch.{lost}=dropped",),
        )
        for terms, kept, value, lost in (
            (DEVELOPER, "timeRangeFilter", {"startTime": "t"}, "excludeDomains"),
            (VERTEX, "excludeDomains", ["x.test"], "timeRangeFilter"),
        )
    ),
    (
        "what Google's own tools did is not sent to Vertex",
        VERTEX,
        [
            user("a"),
            assistant("b", extra_content={"google": {"server_tools": [{"toolCall": {"id": "1"}}]}}),
            user("c"),
        ],
        {},
        None,
        {"contents": [turn("user", "a"), turn("model", "b"), turn("user", "c")]},
        (),
        {},
        (),
    ),
    (
        "a picture without a word on Vertex",
        VERTEX,
        [user([PNG])],
        {},
        None,
        {"contents": [turn("user", {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}, " ")]},
        (),
        {},
        (),
    ),
    (
        "a picture without a word on the Developer API",
        DEVELOPER,
        [user([PNG])],
        {},
        None,
        {"contents": [turn("user", {"inlineData": {"mimeType": "image/png", "data": "QUJD"}})]},
        (),
        {},
        (),
    ),
    (
        "a cache of Google Cloud",
        VERTEX,
        HI,
        {"google": {"cached_content": _CACHE}},
        None,
        {"cachedContent": _CACHE},
        (),
        {},
        (),
    ),
    (
        "safety settings of the operator",
        SAFE,
        HI,
        {},
        None,
        {
            "safetySettings": [
                {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"},
                {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "OFF"},
            ]
        },
        (),
        {},
        (),
    ),
    (
        "safety settings of the caller come first, each category once",
        SAFE,
        HI,
        {
            "safety_settings": [
                {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF", "method": "SEVERITY"},
                {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"},
            ]
        },
        None,
        {
            "safetySettings": [
                {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"},
                {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "OFF"},
            ]
        },
        (),
        {},
        (),
    ),
    (
        "the method of a safety setting is Vertex's",
        VERTEX,
        HI,
        {"safety_settings": {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF", "method": "SEVERITY"}},
        None,
        {
            "safetySettings": [
                {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF", "method": "SEVERITY"},
            ]
        },
        (),
        {},
        (),
    ),
    *(
        (f"voice {voice}", DEVELOPER, HI, _spoken(voice, kind), SPEECH, _voice(name), (), {}, ())
        for voice, kind, name in (("alloy", "wav", "Kore"), ("Onyx", "pcm16", "Algenib"), ("Zephyr", "wav", "Zephyr"))
    ),
]

# Each: id, terms, messages, fields, model, whether a stream is asked for, the error's class name, its param.
REFUSALS: list[tuple[str, Terms, list[Any], dict[str, Any], str | None, bool, str, str | None]] = [
    (
        "V47 refused",
        chosen(json_with_tools="refuse"),
        HI,
        {"tools": [function("f")], "response_format": _SCHEMA},
        "gemini-2.5-flash",
        False,
        "UnsupportedFieldError",
        "response_format",
    ),
    (
        "V49 refused",
        chosen(search_with_functions="refuse"),
        HI,
        _SEARCH,
        "gemini-2.5-flash",
        False,
        "UnsupportedFieldError",
        "web_search_options",
    ),
    (
        "a file of the Files API on Vertex",
        VERTEX,
        [user([{"type": "file", "file": {"file_id": "files/x"}}])],
        {},
        None,
        False,
        "UnsupportedFieldError",
        "messages",
    ),
    ("a streamed wav", DEVELOPER, HI, _spoken("alloy"), SPEECH, True, "BadRequestError", "audio.format"),
    ("mp3", DEVELOPER, HI, _spoken("alloy", "mp3"), SPEECH, False, "UnsupportedFieldError", "audio.format"),
    (
        "a safety setting without a threshold",
        SAFE,
        HI,
        {"safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT"}]},
        None,
        False,
        "BadRequestError",
        "safety_settings",
    ),
]

_BARE = [user("w?"), assistant(tool_calls=[call("call_a")]), result("call_a")]

# V40. Each: id, where the kept signature of call_a was made, what the client sends with the call, model, what goes out.
HERE, OLD_FAMILY = "3/developer/google", "2/developer/google"
CACHED: list[tuple[str, str, list[Any], str | None, str | None]] = [
    ("kept here", HERE, _BARE, None, SIG),
    ("kept by another transport", "3/vertex/p1", _BARE, None, DUMMY),
    ("kept by another project", "3/developer/second", _BARE, None, DUMMY),
    ("kept by another family", "4/developer/google", _BARE, None, DUMMY),
    ("kept by another family, and no model that checks", HERE, _BARE, "gemini-2.5-flash", None),
    (
        "the client has its own",
        HERE,
        [user("w?"), assistant(tool_calls=[call("call_a", **signed("b3du"))]), result("call_a")],
        None,
        "b3du",
    ),
    (
        "in LiteLLM's id",
        HERE,
        [user("w?"), assistant(tool_calls=[call("call_a__thought__b3du")]), result("call_a__thought__b3du")],
        None,
        "b3du",
    ),
    (
        "in provider_specific_fields",
        HERE,
        [
            user("w?"),
            assistant(tool_calls=[call("call_a", provider_specific_fields={"thought_signature": "b3du"})]),
            result("call_a"),
        ],
        None,
        "b3du",
    ),
    (
        "sent, but known to be of another transport",
        "3/vertex/p1",
        [user("w?"), assistant(tool_calls=[call("call_a", **signed(SIG))]), result("call_a")],
        None,
        DUMMY,
    ),
]
