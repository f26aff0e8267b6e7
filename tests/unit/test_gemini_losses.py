"""What Gemini has no place for is named in a warning or refused by name: no field of a request is lost unseen."""

import json
from typing import Any

import pytest

from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import BadRequestError, UnsupportedFieldError
from providers.gemini.request import to_generate_content
from providers.gemini.terms import USUAL, Terms, terms_of
from providers.gemini.translated import Translated
from providers.options import Cloud, GeminiOptions
from providers.types import ChatRequest

HI = [{"role": "user", "content": "hi"}]
CHAT = ModelInfo(name="m", family=3.8)
DRAW = ModelInfo(
    name="draw",
    kind="image",
    family=3.1,
    outputs=frozenset({"text", "image"}),
    image=ImageCapabilities(tiers=("1K",), ratios=("1:1",)),
)
SPEAK = ModelInfo(name="speak", family=3.8, outputs=frozenset({"audio"}))
VERTEX = terms_of(GeminiOptions(), Cloud(project="p", location="global"))


def ask(
    fields: dict[str, Any], info: ModelInfo = CHAT, terms: Terms = USUAL, messages: Any = HI, *, strict: bool = False
) -> Translated:
    raw = json.dumps(messages).encode()
    return to_generate_content(ChatRequest(model="m", messages_json=raw, fields=fields, strict=strict), info, terms)


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        ({"prediction": {"type": "content", "content": "x"}}, ("prediction=dropped",)),
        ({"store": True}, ("store=dropped",)),
        ({"store": False, "user": "u", "safety_identifier": "s", "metadata": {"a": "b"}, "prompt_cache_key": "k"}, ()),
        ({"verbosity": "low"}, ("verbosity=dropped",)),
        ({"moderation": {"a": 1}}, ("moderation=dropped",)),
        ({"logit_bias": {"1": 5}}, ("logit_bias=dropped",)),
        ({"logit_bias": {}}, ()),
        ({"top_p": 0}, ("top_p=dropped",)),
        (
            {"extra_body": {"foo": 1, "google": {}, "evil\r\nname": 1, "none": None}},
            ("extra_body.foo=dropped", "extra_body=dropped"),
        ),
        (
            {"web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate"}}},
            ("web_search_options.search_context_size=dropped", "web_search_options.user_location=dropped"),
        ),
        (
            {"tools": [{"type": "web_search_preview", "search_context_size": "low"}]},
            ("tools[0].search_context_size=dropped",),
        ),
        ({"audio": {"voice": "alloy", "format": "wav"}}, ("audio=dropped",)),
        ({"image_config": {"aspect_ratio": "1:1"}}, ("image_config.aspect_ratio=dropped",)),
        ({"google": {"image_config": {"style": "noir"}}}, ("image_config.style=dropped",)),
        ({"service_tier": "scale"}, ()),
        ({"service_tier": "turbo"}, ("service_tier=dropped",)),
    ],
)
def test_a_loss_is_named_and_refused_to_a_strict_caller(fields: Any, warnings: tuple[str, ...]) -> None:
    translated = ask(fields)
    assert translated.warnings == warnings
    assert not {"store", "prediction", "audio", "imageConfig", "extra_body"} & translated.body.keys()
    if warnings:
        with pytest.raises(UnsupportedFieldError) as caught:
            ask(fields, strict=True)
        assert caught.value.param == warnings[0].partition("=")[0]


@pytest.mark.parametrize("spelling", ["image_config", "imageConfig"])
@pytest.mark.parametrize("names", [("aspect_ratio", "image_size"), ("aspectRatio", "imageSize")])
@pytest.mark.parametrize("literal", [False, True])
def test_pictures_are_configured_in_any_spelling(spelling: str, names: Any, literal: bool) -> None:
    google = {spelling: dict(zip(names, ("1:1", "1K"), strict=True))}
    translated = ask({"extra_body": {"google": google}} if literal else {"google": google}, DRAW)
    config: Any = translated.body["generationConfig"]
    assert config["imageConfig"] == {"aspectRatio": "1:1", "imageSize": "1K"}
    assert translated.warnings == ()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"extra_body": []}, "extra_body"),
        ({"extra_body": {"google": 5}}, "extra_body.google"),
        ({"google": {"media_resolution": "enormous"}}, "google.media_resolution"),
        ({"google": {"media_resolution": ["low"]}}, "google.media_resolution"),
        ({"google": {"image_config": "wide"}}, "google.image_config"),
        ({"image_config": {"aspect_ratio": 1}}, "aspect_ratio"),
        ({"web_search_options": []}, "web_search_options"),
        ({"tools": [{"googleSearch": "please"}]}, "tools[0].googleSearch"),
        ({"tools": [{"mcpServers": {"url": "https://x.test"}}]}, "tools[0].mcpServers"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(fields: Any, param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("tool", "sent"),
    [
        (
            {"googleSearch": {"timeRangeFilter": {"startTime": "t"}}},
            {"googleSearch": {"timeRangeFilter": {"startTime": "t"}}},
        ),
        ({"google_search": {"search_types": {"webSearch": {}}}}, {"googleSearch": {"search_types": {"webSearch": {}}}}),
        ({"google_search": None}, {"googleSearch": {}}),
        ({"url_context": True}, {"urlContext": {}}),
        ({"type": "web_search"}, {"googleSearch": {}}),
        ({"type": "google_search", "google_search": {"a": 1}}, {"googleSearch": {"a": 1}}),
        ({"type": "code_execution"}, {"codeExecution": {}}),
        ({"googleMaps": {"enableWidget": True}}, {"googleMaps": {"enableWidget": True}}),
        ({"fileSearch": {"fileSearchStoreNames": ["s"]}}, {"fileSearch": {"fileSearchStoreNames": ["s"]}}),
        (
            {"computerUse": {"environment": "ENVIRONMENT_BROWSER"}},
            {"computerUse": {"environment": "ENVIRONMENT_BROWSER"}},
        ),
        ({"mcpServers": [{"name": "s"}]}, {"mcpServers": [{"name": "s"}]}),
    ],
)
def test_googles_own_tools_pass_with_their_settings(tool: Any, sent: Any) -> None:
    translated = ask({"tools": [tool]})
    assert translated.body["tools"] == [sent]
    assert translated.warnings == ()


@pytest.mark.parametrize("tool", [{"type": "file_search", "vector_store_ids": ["v"]}, {"type": "computer_use_preview"}])
def test_openais_tools_that_only_sound_alike_are_left_to_others(tool: Any) -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        ask({"tools": [tool]})
    assert caught.value.param == "tools[0].type"


@pytest.mark.parametrize(
    ("terms", "tool"),
    [(USUAL, {"enterpriseWebSearch": {}}), (VERTEX, {"fileSearch": {}}), (VERTEX, {"mcpServers": []})],
)
def test_a_tool_of_the_other_api_may_be_served_there(terms: Terms, tool: Any) -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        ask({"tools": [tool]}, terms=terms)
    assert caught.value.param == "tools"
    other = VERTEX if terms is USUAL else USUAL
    assert ask({"tools": [tool]}, terms=other).body["tools"] == [tool]


def test_a_spoken_answer_comes_back_as_its_words_or_is_said_to_be_lost() -> None:
    def told(**assistant: Any) -> tuple[Any, tuple[str, ...]]:
        spoken = ask({}, SPEAK, messages=[*HI, {"role": "assistant", "content": None, **assistant}, *HI])
        contents: Any = spoken.body["contents"]
        return [content["parts"] for content in contents if content["role"] == "model"], spoken.warnings

    assert told(audio={"id": "audio_1"}) == ([], ("messages=audio dropped",))
    assert told(audio={"id": "audio_1", "transcript": "Hello."}) == ([[{"text": "Hello."}]], ())
    assert told(content="Hello!", audio={"id": "audio_1", "transcript": "Hello."}) == ([[{"text": "Hello!"}]], ())
