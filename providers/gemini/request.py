"""One OpenAI chat request -> the body of a `generateContent` call. Pure; no field of the caller's travels unread."""

import re
from collections.abc import Mapping

from providers.catalogue import ModelInfo
from providers.errors import BadRequestError, UnsupportedFieldError
from providers.gemini import fields
from providers.gemini.builtin import lost
from providers.gemini.lenient import as_object, as_text
from providers.gemini.messages import assemble
from providers.gemini.options import generation_config, json_config, refuse_streamed_file
from providers.gemini.signature_cache import NO_RECALL, Recall
from providers.gemini.terms import USUAL, Dialect, Terms, add_cloud_fields, safety_settings, tier_headers
from providers.gemini.tools import Tooling, translate_tools
from providers.gemini.translated import Reading, Translated
from providers.types import ChatRequest, JsonObject, JsonValue

# Read somewhere in this package.
_READ = frozenset(
    {
        "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls", "response_format",
        "reasoning_effort", "reasoning", "include_reasoning", "thinking", "max_tokens", "max_completion_tokens",
        "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "stop", "n", "seed", "logprobs",
        "top_logprobs", "logit_bias", "modalities", "audio", "image_config", "service_tier", "web_search_options",
        "google", "extra_body", "safety_settings",
    }
)  # fmt: skip
# Without any effect on what the caller gets: dropped in silence.
IGNORED = frozenset(
    {
        "model", "messages", "stream", "stream_options", "user", "safety_identifier", "metadata", "prompt_cache_key",
        "prompt_cache_options", "prompt_cache_retention",
    }
)  # fmt: skip
_GOOGLE_FIELDS = frozenset(
    {
        "thinking_config", "thinkingConfig", "cached_content", "cachedContent", "safety_settings", "safetySettings",
        "media_resolution", "mediaResolution", "image_config", "imageConfig",
    }
)  # fmt: skip
_KNOWN = _READ | IGNORED
_TIERS = {"flex": "flex", "priority": "priority", "fast": "priority"}
_USUAL_TIERS = frozenset({"auto", "default", "standard", "scale"})
_CACHE_NAME = re.compile(r"(projects/[\w:.-]{1,64}/locations/[\w-]{1,32}/)?cachedContents/[A-Za-z0-9_-]{1,128}", re.A)
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_MAX_WARNINGS = 16


def to_generate_content(
    request: ChatRequest, info: ModelInfo, terms: Terms = USUAL, recall: Recall = NO_RECALL
) -> Translated:
    """The body to send, the lossy mappings, and what the answer must be read with.

    `terms` are the provider's, `recall` knows the signatures that this caller's client may have lost.

    Raises BadRequestError for what no upstream would take, UnsupportedFieldError for what this model cannot express.
    """
    asked = request.fields
    warnings: list[str] = []
    google = _google_fields(asked, terms.dialect, warnings)
    tooling = translate_tools(asked, info, warnings, terms)
    talk = assemble(request.messages(), info, tooling.names, recall, terms)
    if talk.continued:
        warnings.append("messages=continued")
    if talk.mended:
        warnings.append("messages=results mended")
    if talk.unheard:
        warnings.append("messages=audio dropped")
    config = generation_config(asked, google, info, warnings, terms.options)
    if request.stream:
        refuse_streamed_file(asked)
    shape: JsonObject = {}
    told: list[str] = []
    if "response_format" in asked:
        shape, told = json_config(
            asked,
            info,
            with_tools=tooling.declared > 0,
            warnings=warnings,
            policy=terms.options.json_with_tools,
            with_maps=any("googleMaps" in as_object(tool) for tool in tooling.tools),
        )
        config.update(shape)
    body: JsonObject = {"contents": list(talk.contents)}
    system = talk.system + [{"text": words} for words in told]
    if system:
        body["systemInstruction"] = {"parts": system}
    if tooling.tools:
        body["tools"] = tooling.tools
    if tooling.config:
        body["toolConfig"] = tooling.config
    if config:
        body["generationConfig"] = config
    headers = _add_settings(asked, google, body, warnings, terms)
    if not _KNOWN.issuperset(asked):
        warnings.extend(_unknown(asked))
    if request.strict:
        refuse_losses(warnings)
    reading = _reading(asked, tooling, info, json_text=bool(shape or told))
    return Translated(body=body, headers=headers, warnings=tuple(warnings[:_MAX_WARNINGS]), reading=reading)


def refuse_losses(warnings: list[str]) -> None:
    """For a strict caller a loss is an error: raises UnsupportedFieldError for the first of `warnings`."""
    if warnings:
        name = warnings[0].partition("=")[0]
        raise UnsupportedFieldError(f"this model cannot express '{name}' as it was asked for", param=name)


def _reading(asked: Mapping[str, JsonValue], tooling: Tooling, info: ModelInfo, *, json_text: bool) -> Reading:
    return Reading(
        names=tooling.names.renamed(),
        schemas=tooling.schemas,
        custom=tooling.custom,
        legacy_function=tooling.legacy,
        single_call=tooling.legacy or asked.get("parallel_tool_calls") is False,
        json_text=json_text,
        searches_by_query=info.family == 0.0 or info.family >= 3.0,
        wav=as_object(asked.get("audio")).get("format") == "wav",
    )


def _google_fields(asked: Mapping[str, JsonValue], dialect: Dialect, warnings: list[str]) -> JsonObject:
    """Google's own options: `google`, or `extra_body.google` when a client sends that key literally."""
    if "google" not in asked and "extra_body" not in asked:
        return {}
    literal = fields.mapping(asked, "extra_body")
    google = {**fields.mapping(literal, "google", "extra_body.google"), **fields.mapping(asked, "google")}
    warnings.extend(lost("extra_body", {name: value for name, value in literal.items() if name != "google"}))
    warnings.extend(
        f"google.{name}=dropped" if _PLAIN_NAME.fullmatch(name) else "google=dropped"
        for name in google
        if name not in _GOOGLE_FIELDS and name not in dialect.google
    )
    return {name: value for name, value in google.items() if name in _GOOGLE_FIELDS or name in dialect.google}


def _add_settings(
    asked: Mapping[str, JsonValue], google: JsonObject, body: JsonObject, warnings: list[str], terms: Terms
) -> dict[str, str]:
    """Safety settings, service tier, cached content, labels; gives the headers that go with them."""
    safety = google.get("safety_settings") or google.get("safetySettings") or asked.get("safety_settings")
    if safety is not None or terms.options.safety:
        body["safetySettings"] = safety_settings(safety, terms)
    headers: dict[str, str] = {}
    tier = fields.text(asked, "service_tier")
    if tier in _TIERS and terms.dialect.body_tier:
        body["serviceTier"] = _TIERS[tier]
    elif tier in _TIERS:
        headers = tier_headers(_TIERS[tier])
    elif tier is not None and tier not in _USUAL_TIERS:
        warnings.append("service_tier=dropped")
    add_cloud_fields(asked, google, body, terms.dialect)
    if google:
        _add_cache(google, body, warnings)
    return headers


def _add_cache(google: JsonObject, body: JsonObject, warnings: list[str]) -> None:
    cached = google.get("cached_content") or google.get("cachedContent")
    if cached is None:
        return
    if not _CACHE_NAME.fullmatch(as_text(cached)):
        raise BadRequestError("'cached_content' must be a cachedContents/ name", param="google.cached_content")
    body["cachedContent"] = cached
    # The cache already holds them, and Google refuses both.
    for name, field in (("system", "systemInstruction"), ("tools", "tools"), ("tool_choice", "toolConfig")):
        if body.pop(field, None) is not None:
            warnings.append(f"{name}=dropped")


def _unknown(asked: Mapping[str, JsonValue]) -> list[str]:
    """Fields that go nowhere. Their names are the caller's text and end in a header: only plain ones are repeated."""
    names = [name for name, value in asked.items() if value is not None and name not in _KNOWN]
    if asked.get("store") is False:  # what happens anyway
        names.remove("store")
    return [f"{name}=dropped" if _PLAIN_NAME.fullmatch(name) else "unknown_field=dropped" for name in names]
