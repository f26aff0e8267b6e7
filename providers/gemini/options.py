"""The request's options -> `generationConfig`. What a model does not take is left out and named in the warnings."""

from collections.abc import Mapping
from typing import Literal

import orjson

from providers.catalogue import ModelInfo
from providers.errors import UnsupportedFieldError
from providers.gemini import fields
from providers.gemini.builtin import lost
from providers.gemini.lenient import as_object, as_text
from providers.gemini.schema import clean
from providers.gemini.schema_subset import to_subset
from providers.gemini.speech import VOICES
from providers.gemini.thinking import thinking_config
from providers.options import GeminiOptions
from providers.types import JsonObject, JsonValue

_MAX_STOPS = 5
_INT32 = 0x7FFFFFFF
_RESOLUTIONS = frozenset({"LOW", "MEDIUM", "HIGH"})
_ANSWERS = {"text": "TEXT", "image": "IMAGE", "audio": "AUDIO"}
# Most requests name few options: a group of which none is named is not gone through.
_DECODING = frozenset(
    {
        "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "stop", "seed", "logprobs",
        "top_logprobs", "logit_bias",
    }
)  # fmt: skip
_ANSWERING = frozenset({"modalities", "audio"})


def generation_config(
    request: Mapping[str, JsonValue], google: JsonObject, info: ModelInfo, warnings: list[str], options: GeminiOptions
) -> JsonObject:
    """`generationConfig`, empty when the request asks for nothing. `response_format` is `json_config`'s.

    Raises BadRequestError for values no upstream takes, UnsupportedFieldError for what this model cannot do.
    """
    config: JsonObject = {}
    maximum = _max_output(request, info, warnings)
    if maximum is not None:
        config["maxOutputTokens"] = maximum
    if not _DECODING.isdisjoint(request):
        _decoding(request, info, config, warnings, options)
    thinking = thinking_config(request, google, info, maximum, warnings)
    if thinking:
        config["thinkingConfig"] = thinking
    if info.kind == "image" or not _ANSWERING.isdisjoint(request):
        _modalities(request, info, config, warnings)
    if google or "image_config" in request:
        _pictures(request, google, info, config, warnings)
    if google:
        resolution = google.get("media_resolution") or google.get("mediaResolution")
        if resolution:
            config["mediaResolution"] = _resolution(resolution)
    return config


def _decoding(
    request: Mapping[str, JsonValue],
    info: ModelInfo,
    config: JsonObject,
    warnings: list[str],
    options: GeminiOptions,
) -> None:
    """How tokens are chosen, and where they end."""
    _sampling(request, info, config, warnings)
    _penalties(request, info, config, warnings)
    stops = _stop_sequences(request)
    if stops:
        config["stopSequences"] = stops
    seed = fields.integer(request, "seed")
    if seed is not None:
        config["seed"] = seed & _INT32
    for name in ("logprobs", "top_logprobs"):
        if request.get(name) and options.logprobs == "refuse":
            raise UnsupportedFieldError("this provider returns no log probabilities", param=name)
        if request.get(name):
            warnings.append(f"{name}=dropped")
    if request.get("logit_bias"):
        warnings.append("logit_bias=dropped")


def _resolution(asked: JsonValue) -> str:
    level = as_text(asked).upper().removeprefix("MEDIA_RESOLUTION_")
    if level not in _RESOLUTIONS:
        raise fields.refuse("'media_resolution' must be low, medium or high", "google.media_resolution")
    return f"MEDIA_RESOLUTION_{level}"


def json_config(
    request: Mapping[str, JsonValue],
    info: ModelInfo,
    *,
    with_tools: bool,
    warnings: list[str],
    policy: Literal["instruct", "refuse"] = "instruct",
    with_maps: bool = False,
) -> tuple[JsonObject, list[str]]:
    """What `response_format` adds to `generationConfig`, and instructions for the model where a field cannot say it.

    Before generation 3 a JSON type together with functions is refused: there the schema is told in words, or
    (`policy`) UnsupportedFieldError is raised. Beside Google Maps only the newer `responseFormat` is taken.
    """
    asked = fields.mapping(request, "response_format")
    kind = asked.get("type")
    if not asked or kind == "text":
        return {}, []
    if kind not in ("json_object", "json_schema"):
        raise fields.refuse("'response_format.type' is not one of the known types", "response_format.type")
    spec = fields.mapping(asked, "json_schema", "response_format.json_schema")
    schema = as_object(spec.get("schema"))
    told = [as_text(spec.get("description"))] if as_text(spec.get("description")) else []
    if with_tools and not info.tools_with_json:
        if policy == "refuse":
            raise UnsupportedFieldError("this model gives no JSON beside functions", param="response_format")
        warnings.append("response_format=instruction")
        words = "Unless you call a tool, answer with JSON only, without a code fence."
        if schema:
            words = f"{words} It must match this JSON schema: {orjson.dumps(schema).decode()}"
        return {}, [*told, words]
    where = "response_format.json_schema.schema"
    if with_maps:
        text: JsonObject = {"mimeType": "APPLICATION_JSON"}
        return {"responseFormat": {"text": {**text, "schema": clean(schema, where)} if schema else text}}, told
    config: JsonObject = {"responseMimeType": "application/json"}
    if schema and info.json_schema:
        config["responseJsonSchema"] = clean(schema, where)
    elif schema:
        config["responseSchema"] = to_subset(schema, where)
    return config, told


def _max_output(request: Mapping[str, JsonValue], info: ModelInfo, warnings: list[str]) -> int | None:
    name = "max_tokens" if request.get("max_completion_tokens") is None else "max_completion_tokens"
    maximum = fields.integer(request, name)
    if maximum is None:
        return None
    if maximum < 1:
        raise fields.refuse(f"'{name}' must be at least 1", name, "integer_below_min_value")
    if maximum > info.max_output_tokens:
        warnings.append(f"{name}=clamped:{info.max_output_tokens}")
        return info.max_output_tokens
    return maximum


def _sampling(request: Mapping[str, JsonValue], info: ModelInfo, config: JsonObject, warnings: list[str]) -> None:
    values: dict[str, tuple[str, JsonValue]] = {}
    temperature = fields.number(request, "temperature")
    if temperature is not None:
        values["temperature"] = "temperature", min(max(temperature, 0), 2)
    top_p = fields.number(request, "top_p")
    if top_p is not None and top_p > 0:
        values["top_p"] = "topP", min(top_p, 1)
    elif top_p is not None:  # Google takes no zero
        warnings.append("top_p=dropped")
    top_k = fields.integer(request, "top_k")
    if top_k is not None and top_k > 0:
        values["top_k"] = "topK", top_k
    for name, (field, value) in values.items():
        if info.sampling:
            config[field] = value
        else:
            warnings.append(f"{name}=dropped")


def _penalties(request: Mapping[str, JsonValue], info: ModelInfo, config: JsonObject, warnings: list[str]) -> None:
    """Zeros are left out: clients send them with every request, and newer models refuse the field itself."""
    for name, field in (("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")):
        value = fields.number(request, name)
        if not value:
            continue
        if info.penalties:
            config[field] = min(max(value, -2.0), 1.99)  # Google's range is half open
        else:
            warnings.append(f"{name}=dropped")


def _stop_sequences(request: Mapping[str, JsonValue]) -> list[JsonValue]:
    stop = request.get("stop")
    items: list[JsonValue] = [stop] if isinstance(stop, str) else fields.sequence(request, "stop")
    stops: list[JsonValue] = []
    for item in items:
        if not isinstance(item, str):
            raise fields.refuse("'stop' must be a string or an array of strings", "stop", "invalid_type")
        if item:
            stops.append(item)
    if len(stops) > _MAX_STOPS:
        raise fields.refuse(f"at most {_MAX_STOPS} stop sequences are supported", "stop")
    return stops


def _modalities(request: Mapping[str, JsonValue], info: ModelInfo, config: JsonObject, warnings: list[str]) -> None:
    """Picture models always get both: alone, IMAGE is refused by the older ones."""
    asked: list[str] = []
    for item in fields.sequence(request, "modalities"):
        if not isinstance(item, str) or item.lower() not in _ANSWERS:
            raise fields.refuse("'modalities' may hold text, image and audio", "modalities")
        asked.append(item.lower())
    for modality in asked:
        if info.known and modality != "text" and modality not in info.outputs:
            raise UnsupportedFieldError(f"this model does not answer with {modality}", param="modalities")
    if "image" in asked or info.kind == "image":
        config["responseModalities"] = ["TEXT", "IMAGE"]
    elif "audio" in asked:
        config["responseModalities"] = ["AUDIO"]
        _speech(request, config)
    if request.get("audio") and config.get("responseModalities") != ["AUDIO"]:
        warnings.append("audio=dropped")


def _speech(request: Mapping[str, JsonValue], config: JsonObject) -> None:
    audio = fields.mapping(request, "audio")
    if audio.get("format") not in (None, "pcm16", "wav"):
        raise UnsupportedFieldError("this provider answers with pcm16 and wav audio only", param="audio.format")
    voice = as_text(audio.get("voice"))
    if voice:
        name = VOICES.get(voice.lower(), voice)
        config["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}


def refuse_streamed_file(request: Mapping[str, JsonValue]) -> None:
    """A WAV file says its length first: a stream can only be bare samples, as at OpenAI."""
    if as_object(request.get("audio")).get("format") == "wav":
        raise fields.refuse("streamed audio must be pcm16", "audio.format", "unsupported_value")


def _pictures(
    request: Mapping[str, JsonValue], google: JsonObject, info: ModelInfo, config: JsonObject, warnings: list[str]
) -> None:
    """`image_config` as OpenRouter and Google's layer spell it; what the model does not list is left out."""
    name = "image_config" if google.get("image_config") is not None else "imageConfig"
    asked = fields.mapping(request, "image_config") or fields.mapping(google, name, f"google.{name}")
    wanted = {
        "aspectRatio": ("aspect_ratio", info.image.ratios if info.image else ()),
        "imageSize": ("image_size", info.image.tiers if info.image else ()),
    }
    known = {spelling for field, (snake, _) in wanted.items() for spelling in (field, snake)}
    warnings.extend(lost("image_config", {key: value for key, value in asked.items() if key not in known}))
    image: JsonObject = {}
    for field, (snake, offered) in wanted.items():
        value = fields.text(asked, snake) or fields.text(asked, field)
        if not value:
            continue
        if info.known and value not in offered:
            warnings.append(f"image_config.{snake}=dropped")
        else:
            image[field] = value
    if image:
        config["imageConfig"] = image
