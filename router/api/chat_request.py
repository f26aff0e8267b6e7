"""Bytes -> a validated chat request: its features for the planner, its directives, and the values that travel on.

The messages are looked at, not decoded: roles, part types and lengths are enough to judge and to route, and a
400 KB prompt for an OpenAI-compatible upstream then costs two scans and no copy.
"""

import math
import re
import time
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Raw, Struct
from starlette.types import Scope

from providers.types import ChatRequest, JsonValue
from router.api.body import require_utf8
from router.api.chat_fields import check_fields, flag, wants_usage
from router.api.directives import take_directives
from router.errors import InvalidRequestError
from router.routing.plan import Directives, Features
from router.settings.values import ClientKey

_BYTES_PER_TOKEN = 4.0
_IMAGE_TOKENS = 1120
_AUDIO_TOKENS = 1000
_FILE_TOKENS = 2000
_MESSAGE_TOKENS = 3
_MAX_MESSAGES = 8192
_MAX_FIELDS = 512
_TALKERS = frozenset({"system", "developer", "user", "assistant"})
_ROLES = _TALKERS | {"tool", "function"}
_PART_TYPES = frozenset(
    {"text", "image_url", "input_audio", "file", "refusal", "input_text", "input_image", "video_url", "output_text"}
)
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
    }
)
_NO_MORE: Mapping[str, Any] = {}

_NULL = Raw(b"null")
_QUOTE, _BRACKET = ord('"'), ord("[")


class ParsedChat(Struct, frozen=True):
    """One chat request as the edge hands it on."""

    request: ChatRequest
    features: Features
    directives: Directives


class _Message(Struct):
    role: str
    content: Raw = _NULL
    tool_calls: Raw = _NULL
    function_call: Raw = _NULL
    tool_call_id: str | None = None
    images: Raw = _NULL
    refusal: Raw = _NULL
    audio: Raw = _NULL
    reasoning: Raw = _NULL
    reasoning_content: Raw = _NULL
    reasoning_details: Raw = _NULL

    def says_nothing(self) -> bool:
        """Whether there is neither content nor anything that may stand in its place."""
        return all(
            bytes(value) in (b"null", b"[]")
            for value in (
                self.tool_calls, self.function_call, self.refusal, self.audio, self.images, self.reasoning,
                self.reasoning_content, self.reasoning_details,
            )
        )  # fmt: skip


class _Part(Struct):
    type: str
    text: Raw = Raw(b"")


class _Call(Struct):
    id: str | None = None


_top_level = msgspec.json.Decoder(dict[str, Raw])
_message_list = msgspec.json.Decoder(list[_Message])
_part_list = msgspec.json.Decoder(list[_Part])
_call_list = msgspec.json.Decoder(list[_Call])


def parse_chat(body: bytes, scope: Scope, key: ClientKey) -> ParsedChat:
    """Validate one body. Raises InvalidRequestError (400) naming the field; nothing was sent anywhere yet."""
    raw = decode_object(body)
    messages_raw = bytes(raw.pop("messages", b"null"))
    fields = decode_fields(raw)
    model, directives = take_directives(scope, fields, model_name(fields.pop("model", None)))
    stream = flag(fields.pop("stream", None), "stream")
    include_usage = wants_usage(fields.pop("stream_options", None), stream=stream)
    check_fields(fields)
    shape = _Shape()
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


def refuse_forbidden(names: Iterable[str]) -> None:
    """Raises 400 for a field that would decide where requests go, or with whose key."""
    for name in names:
        if name in _FORBIDDEN:
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
        if decoded is not None:
            fields[name] = decoded
    for name in ("max_tokens", "max_completion_tokens"):
        limit = fields.get(name)
        if isinstance(limit, float) and limit.is_integer():  # 100.0, which upstreams refuse
            fields[name] = int(limit)
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


class _Shape:
    """What the messages look like: counts and lengths, and a refusal of what no upstream could take."""

    __slots__ = ("audio", "call_ids", "count", "files", "images", "text_bytes")

    def __init__(self) -> None:
        self.count = 0
        self.text_bytes = 0
        self.images = 0
        self.audio = 0
        self.files = 0
        self.call_ids: set[str] = set()

    def read(self, raw: bytes) -> None:
        if raw == b"null":
            raise InvalidRequestError("'messages' is required", param="messages", code="missing_required_parameter")
        try:
            messages = _message_list.decode(raw)
        except (msgspec.ValidationError, msgspec.DecodeError) as exc:
            raise invalid_shape(exc, "messages") from exc
        if not messages:
            raise InvalidRequestError("'messages' must not be empty", param="messages", code="invalid_value")
        if len(messages) > _MAX_MESSAGES:
            raise InvalidRequestError(f"more than {_MAX_MESSAGES} messages", param="messages")
        self.count = len(messages)
        for position, message in enumerate(messages):
            content = message.content
            if (
                memoryview(content)[0] == _QUOTE  # not all of it: a prompt may be megabytes
                and message.role in _TALKERS
                and message.tool_calls is _NULL
            ):
                self.text_bytes += len(content) - 2
            else:
                self._read_message(message, f"messages[{position}]")

    def _read_message(self, message: _Message, where: str) -> None:
        role = message.role
        if role not in _ROLES:
            raise InvalidRequestError(
                f"'{where}.role' must be one of {', '.join(sorted(_ROLES))}, got {role[:32]!r}", param=f"{where}.role"
            )
        if message.tool_calls != _NULL:
            self._read_calls(message.tool_calls, where)
        if role == "tool" and message.tool_call_id not in self.call_ids:
            raise InvalidRequestError(
                f"'{where}.tool_call_id' answers no preceding tool call",
                param=f"{where}.tool_call_id",
            )
        content = message.content
        first = memoryview(content)[0]
        if first == _QUOTE:
            self.text_bytes += len(content) - 2
        elif first == _BRACKET:
            self._read_parts(content, where)
        elif content != _NULL:
            raise InvalidRequestError(
                f"'{where}.content' must be a string or a list of parts",
                param=f"{where}.content",
                code="invalid_type",
            )
        elif role != "assistant" or message.says_nothing():
            raise InvalidRequestError(
                f"'{where}.content' is required", param=f"{where}.content", code="missing_required_parameter"
            )

    def _read_calls(self, calls: Raw, where: str) -> None:
        try:
            for call in _call_list.decode(calls):
                if call.id is not None:
                    self.call_ids.add(call.id)
        except (msgspec.ValidationError, msgspec.DecodeError) as exc:
            raise invalid_shape(exc, f"{where}.tool_calls") from exc
        self.text_bytes += len(calls)

    def _read_parts(self, content: Raw, where: str) -> None:
        try:
            parts = _part_list.decode(content)
        except (msgspec.ValidationError, msgspec.DecodeError) as exc:
            raise invalid_shape(exc, f"{where}.content") from exc
        for position, part in enumerate(parts):
            match part.type:
                case "text" | "input_text" | "output_text":
                    if bytes(memoryview(part.text)[:1]) != b'"':
                        field = f"{where}.content[{position}].text"
                        raise InvalidRequestError(f"'{field}' must be a string", param=field, code="invalid_type")
                    self.text_bytes += len(part.text) - 2
                case "refusal":
                    pass
                case "image_url" | "input_image":
                    self.images += 1
                case "input_audio":
                    self.audio += 1
                case "file" | "video_url":
                    self.files += 1
                case _:
                    raise InvalidRequestError(
                        f"'{where}.content[{position}].type' must be one of {', '.join(sorted(_PART_TYPES))}, "
                        f"got {part.type[:32]!r}",
                        param=f"{where}.content[{position}]",
                    )


def invalid_shape(exc: Exception, where: str) -> InvalidRequestError:
    """msgspec's complaint with its path turned into ours: `$[1].role` -> `messages[1].role`."""
    text, _, path = str(exc).partition(" - at `")
    param = where + path.rstrip("`").removeprefix("$") if path else where
    missing = re.fullmatch(r"Object missing required field `(\w+)`", text)
    if missing:
        param = f"{param}.{missing[1]}"
        return InvalidRequestError(f"'{param}' is required", param=param, code="missing_required_parameter")
    return InvalidRequestError(f"'{param}': {text}", param=param, code="invalid_type")


def _features(request: ChatRequest, shape: _Shape, raw: Mapping[str, Raw], key: ClientKey) -> Features:
    fields = request.fields
    prompt_bytes = shape.text_bytes + (len(raw["tools"]) if "tools" in raw else 0)
    tokens = prompt_bytes / _BYTES_PER_TOKEN + shape.count * _MESSAGE_TOKENS
    if shape.images or shape.audio or shape.files:
        tokens += shape.images * _IMAGE_TOKENS + shape.audio * _AUDIO_TOKENS + shape.files * _FILE_TOKENS
    limit = fields.get("max_completion_tokens") or fields.get("max_tokens") or 0
    return Features(
        kind="chat",
        model=request.model,
        prompt_bytes=prompt_bytes,
        prompt_tokens=math.ceil(tokens),
        messages=shape.count,
        max_tokens=int(limit) if isinstance(limit, int | float) else 0,
        images=shape.images,
        audio=shape.audio,
        files=shape.files,
        stream=request.stream,
        hour_utc=int(time.time()) // 3600 % 24,
        key_name=key.name,
        key_tags=key.tags,
        affinity=affinity(request.model, request.messages_json),
        **(_NO_MORE if _TELLING.isdisjoint(fields) else _told(fields)),
    )


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
        "service_tier": tier if isinstance(tier, str) else "",
        "n": int(n) if isinstance(n, int) else 1,
        "image_out": "image" in wanted,
        "audio_out": "audio" in wanted,
        "metadata": {k: v for k, v in metadata.items() if isinstance(v, str)} if isinstance(metadata, dict) else {},
    }


def affinity(model: str, content: bytes) -> float:
    """A number in [0, 1) that depends on the request alone: equal requests choose equally among equals."""
    return zlib.crc32(content[:4096], zlib.crc32(model.encode())) / 2**32
