"""Bytes -> a validated embeddings request, its features for the planner and its directives."""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

import msgspec
import orjson
from msgspec import Meta, Raw, Struct
from starlette.types import Scope

from providers.types import EmbeddingRequest, EncodingFormat, JsonValue
from router.api.chat_fields import require_shallow
from router.api.chat_request import affinity, decode_object, model_name
from router.api.chat_shape import invalid_shape
from router.api.directives import take_directives
from router.errors import InvalidRequestError
from router.routing.plan import Directives, Features
from router.settings.values import ClientKey

_MAX_INPUTS = 2048  # OpenAI's limit, which SDKs and frameworks keep to
_MAX_DIMENSIONS = 100_000  # a vector of more is a mistake, and its upstream would say so less clearly
_BYTES_PER_TOKEN = 4
_OWN = frozenset({"input", "model", "dimensions", "encoding_format", "user"})

Inputs: TypeAlias = "tuple[str, ...] | tuple[tuple[int, ...], ...]"
_TokenId = Annotated[int, Meta(ge=0)]
_texts = msgspec.json.Decoder(tuple[str, ...])
_ids = msgspec.json.Decoder(tuple[_TokenId, ...])
_lists_of_ids = msgspec.json.Decoder(tuple[tuple[_TokenId, ...], ...])


class ParsedEmbedding(Struct, frozen=True):
    """One embeddings request as the edge hands it on."""

    request: EmbeddingRequest
    features: Features
    directives: Directives


def parse_embedding(body: bytes, scope: Scope, key: ClientKey) -> ParsedEmbedding:
    """Validate one body. Raises InvalidRequestError (400) naming the field; nothing was sent anywhere yet."""
    raw = decode_object(body)
    inputs = _inputs(bytes(raw.pop("input", b"null")))
    fields = _decoded(raw)
    model, directives = take_directives(scope, fields, model_name(fields.pop("model", None)))
    request = EmbeddingRequest(
        model=model,
        inputs=inputs,
        dimensions=_dimensions(fields.get("dimensions")),
        encoding_format=_encoding_format(fields.get("encoding_format")),
        user=_user(fields.get("user")),
        strict=directives.strict,
        extra={name: value for name, value in fields.items() if name not in _OWN},
    )
    return ParsedEmbedding(request, _features(request, key), directives)


def _inputs(raw: bytes) -> Inputs:
    """A text, texts, token ids or lists of them, as a tuple of one kind. Raises 400 for anything else or nothing."""
    if raw == b"null":
        raise InvalidRequestError("'input' is required", param="input", code="missing_required_parameter")
    inputs: Inputs
    try:
        if raw.startswith(b'"'):
            inputs = (msgspec.json.decode(raw, type=str),)
        elif not raw.startswith(b"["):
            raise InvalidRequestError(
                "'input' must be a string, a list of strings, or token ids", param="input", code="invalid_type"
            )
        else:
            inputs = _listed(raw)
    except (msgspec.ValidationError, msgspec.DecodeError) as exc:
        raise invalid_shape(exc, "input") from exc
    if len(inputs) > _MAX_INPUTS:
        message = f"'input' has {len(inputs)} entries, at most {_MAX_INPUTS} are taken"
        raise InvalidRequestError(message, param="input", code="array_above_max_length")
    for place, one in enumerate(inputs):
        if not one:
            where = "input" if len(inputs) == 1 else f"input[{place}]"
            raise InvalidRequestError(f"'{where}' must not be empty", param=where, code="invalid_value")
    return inputs


def _listed(raw: bytes) -> Inputs:
    """The first entry decides which kind of list it is; one of token ids is a single input."""
    first = raw[1:].lstrip()[:1]
    if first == b"]":
        raise InvalidRequestError("'input' must not be empty", param="input", code="empty_array")
    if first == b'"':
        return _texts.decode(raw)
    if first == b"[":
        return _lists_of_ids.decode(raw)
    return (_ids.decode(raw),)


def _decoded(raw: Mapping[str, Raw]) -> dict[str, JsonValue]:
    """Every field but the input; explicit nulls mean absent."""
    fields: dict[str, JsonValue] = {}
    for name, value in raw.items():
        try:
            decoded: JsonValue = orjson.loads(memoryview(value))
        except orjson.JSONDecodeError as exc:
            raise InvalidRequestError(f"could not parse '{name[:64]}': {exc.msg}", param=name[:64]) from exc
        if decoded is not None:
            require_shallow(name[:64], decoded)
            fields[name] = decoded
    return fields


def _dimensions(value: JsonValue) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequestError("'dimensions' must be an integer", param="dimensions", code="invalid_type")
    if not 1 <= value <= _MAX_DIMENSIONS:
        raise InvalidRequestError(f"'dimensions' must be at least 1, got {value}", param="dimensions")
    return value


def _encoding_format(value: JsonValue) -> EncodingFormat:
    match value:
        case None | "float":
            return "float"
        case "base64":
            return "base64"
    message = f"'encoding_format' must be 'float' or 'base64', got {str(value)[:32]!r}"
    raise InvalidRequestError(message, param="encoding_format")


def _user(value: JsonValue) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > 4096):
        raise InvalidRequestError("'user' must be a string", param="user", code="invalid_type")
    return value


def _features(request: EmbeddingRequest, key: ClientKey) -> Features:
    inputs: Sequence[str | tuple[int, ...]] = request.inputs
    sizes = [len(one.encode()) if isinstance(one, str) else len(one) * _BYTES_PER_TOKEN for one in inputs]
    first = inputs[0].encode() if isinstance(inputs[0], str) else repr(inputs[0][:512]).encode()
    return Features(
        kind="embedding",
        model=request.model,
        prompt_bytes=sum(sizes),
        prompt_tokens=sum(-(-size // _BYTES_PER_TOKEN) for size in sizes),
        inputs=len(inputs),
        longest_tokens=-(-max(sizes) // _BYTES_PER_TOKEN),
        token_ids=request.has_token_ids,
        dimensions=request.dimensions or 0,
        key_name=key.name,
        key_tags=key.tags,
        affinity=affinity(request.model, first),
    )
