"""Bytes -> a validated chat request: its features for the planner, its directives, and the values that travel on."""

import math
import time
import zlib
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Raw, Struct
from msgspec.structs import replace
from starlette.types import Scope

from providers.types import ChatRequest, JsonValue
from router.api.body import require_utf8
from router.api.chat_fields import check_fields, flag, wants_usage
from router.api.chat_shape import MessagesShape
from router.api.conversation import conversation_key, thread_key
from router.api.directives import take_directives
from router.errors import InvalidRequestError
from router.routing.plan import Directives, Features
from router.routing.token_ratio import AUDIO_TOKENS, FILE_TOKENS, IMAGE_TOKENS
from router.settings.values import ClientKey

_BYTES_PER_TOKEN = 4.0
_MESSAGE_TOKENS = 3
_MAX_FIELDS = 512
# Where requests go, and with whose key, is the operator's business alone.
_FORBIDDEN = frozenset(
    {
        "api_base",
        "api_key",
        "api_version",
        "base_url",
        "caching",
        "custom_llm_provider",
        "extra_headers",
        "mock_response",
        "timeout",
    }
)

# The optional fields that routing looks at.
_TELLING = frozenset(
    {
        "tools",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "service_tier",
        "n",
        "modalities",
        "metadata",
        "reasoning",
        "thinking",
        "google",
        "extra_body",
    }
)
_LIMITS = ("max_tokens", "max_completion_tokens")
_GOOGLE_THINKING = ("thinking_config", "thinkingConfig")


class ParsedChat(Struct, frozen=True):
    """One chat request as the edge hands it on."""

    request: ChatRequest
    features: Features
    directives: Directives


_top_level = msgspec.json.Decoder(dict[str, Raw])


def parse_chat(body: bytes, scope: Scope, key: ClientKey) -> ParsedChat:
    """Validate one body. Raises InvalidRequestError (400) naming the field; nothing was sent anywhere yet."""
    raw = decode_object(body)
    messages_raw = bytes(raw.pop("messages", b"null"))
    fields = decode_fields(raw)
    model, directives = take_directives(scope, fields, model_name(fields.pop("model", None)))
    stream = flag(fields.pop("stream", None), "stream")
    include_usage = wants_usage(fields.pop("stream_options", None), stream=stream)
    check_fields(fields)
    shape = MessagesShape()
    shape.read(messages_raw)
    request = ChatRequest(
        model=model,
        messages_json=messages_raw,
        fields=fields,
        stream=stream,
        include_usage=include_usage,
        strict=directives.strict,
        caller=key.name,
    )
    return ParsedChat(request, _features(request, shape, raw, key), directives)


def decode_object(body: bytes) -> dict[str, Raw]:
    """The top level of a JSON object, values still encoded. Raises 400; of a repeated key the last counts."""
    if body.startswith(b"\xef\xbb\xbf"):
        body = body[3:]
    require_utf8(body)
    try:
        fields = _top_level.decode(body)
    except msgspec.ValidationError as exc:
        raise InvalidRequestError("the request body must be a JSON object", code="invalid_json") from exc
    except (msgspec.DecodeError, RecursionError) as exc:
        reason = "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise InvalidRequestError(f"could not parse the JSON body: {reason}", code="invalid_json") from exc
    if len(fields) > _MAX_FIELDS:
        raise InvalidRequestError(f"more than {_MAX_FIELDS} fields")
    refuse_forbidden(fields)
    return fields


def refuse_forbidden(names: Collection[str]) -> None:
    """Raises 400 for a field that would decide where requests go, or with whose key."""
    if not _FORBIDDEN.isdisjoint(names):
        name = next(name for name in names if name in _FORBIDDEN)
        raise InvalidRequestError(
            f"'{name}' is not accepted: upstreams and how they are asked are the operator's",
            param=name,
            code="unsupported_parameter",
        )


def decode_fields(raw: Mapping[str, Raw]) -> dict[str, JsonValue]:
    """Every field but the messages, decoded; explicit nulls mean absent."""
    fields: dict[str, JsonValue] = {}
    for name, value in raw.items():
        try:
            decoded = orjson.loads(memoryview(value))
        except orjson.JSONDecodeError as exc:
            raise InvalidRequestError(f"could not parse '{name[:64]}': {exc.msg}", param=name[:64]) from exc
        if decoded is None:
            continue
        if isinstance(decoded, float) and name in _LIMITS and decoded.is_integer():
            decoded = int(decoded)  # 100.0, which upstreams refuse
        fields[name] = decoded
    return fields


def model_name(value: JsonValue) -> str:
    """A model name as clients may send one. Raises 400."""
    if value is None:
        raise InvalidRequestError(
            "you must provide a model parameter", param="model", code="missing_required_parameter"
        )
    if not isinstance(value, str) or not value or len(value) > 512 or not value.isprintable():
        raise InvalidRequestError("'model' must be a model name", param="model", code="invalid_type")
    return value


def _features(request: ChatRequest, shape: MessagesShape, raw: Mapping[str, Raw], key: ClientKey) -> Features:
    fields = request.fields
    prompt_bytes = shape.text_bytes + (len(raw["tools"]) if "tools" in raw else 0)
    tokens, media = prompt_bytes / _BYTES_PER_TOKEN + shape.count * _MESSAGE_TOKENS, 0
    if shape.images or shape.audio or shape.files:
        media = shape.images * IMAGE_TOKENS + shape.audio * AUDIO_TOKENS + shape.files * FILE_TOKENS
    conversation = conversation_key(key.name, shape.opening, fields.get("prompt_cache_key"))
    limit = fields.get("max_completion_tokens") or fields.get("max_tokens") or 0
    features = Features(
        kind="chat",
        model=request.model,
        prompt_bytes=prompt_bytes,
        question_bytes=shape.question_bytes,
        prompt_tokens=math.ceil(tokens) + media,
        media_tokens=media,
        messages=shape.count,
        max_tokens=limit if isinstance(limit, int) else 0,
        images=shape.images,
        audio=shape.audio,
        files=shape.files,
        stream=request.stream,
        hour_utc=int(time.time()) // 3600 % 24,
        key_name=key.name,
        key_tags=key.tags,
        max_tier=key.max_tier or 0,
        affinity=affinity(request.model, request.messages_json),
        conversation=conversation,
        thread=thread_key(conversation, shape.reply),
    )
    return features if _TELLING.isdisjoint(fields) else replace(features, **_told(fields))


def _told(fields: Mapping[str, JsonValue]) -> dict[str, Any]:
    """The features that optional fields tell, those named in `_TELLING`."""
    tools, n, tier = fields.get("tools"), fields.get("n"), fields.get("service_tier")
    modalities = fields.get("modalities")
    wanted = [str(item).lower() for item in modalities] if isinstance(modalities, list) else []
    metadata = fields.get("metadata")
    response_format = fields.get("response_format")
    return {
        "tools": len(tools) if isinstance(tools, list) else 0,
        "parallel_tools": fields.get("parallel_tool_calls") is True,
        "json_schema": isinstance(response_format, dict) and response_format.get("type") == "json_schema",
        "reasoning_effort": str(fields.get("reasoning_effort") or ""),
        "own_thinking": _thinks_as_told(fields),
        "service_tier": tier if isinstance(tier, str) else "",
        "n": int(n) if isinstance(n, int) else 1,
        "image_out": "image" in wanted,
        "audio_out": "audio" in wanted,
        "metadata": {k: v for k, v in metadata.items() if isinstance(v, str)} if isinstance(metadata, dict) else {},
    }


def _thinks_as_told(fields: Mapping[str, JsonValue]) -> bool:
    """Whether the caller says how much to think, in OpenAI's words, OpenRouter's, Anthropic's or Google's."""
    if "reasoning_effort" in fields or "reasoning" in fields or "thinking" in fields:
        return True
    literal = fields.get("extra_body")
    own = fields.get("google"), literal.get("google") if isinstance(literal, dict) else None
    return any(isinstance(google, dict) and not google.keys().isdisjoint(_GOOGLE_THINKING) for google in own)


def affinity(model: str, content: bytes) -> float:
    """A number in [0, 1) that depends on the request alone: equal requests choose equally among equals."""
    return zlib.crc32(content[:4096], zlib.crc32(model.encode())) / 2**32
