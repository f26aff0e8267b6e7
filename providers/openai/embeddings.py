"""EmbeddingRequest <-> `POST /embeddings`. Pure.

The upstream is asked in the form that the caller wants, so that vectors pass through undecoded. One that ignores
`encoding_format`, as many do, is read in the form it chose.
"""

from collections.abc import Sequence

import msgspec
import orjson
from msgspec import Struct

from providers.catalogue import ModelInfo
from providers.errors import BadResponseError, UnsupportedFieldError
from providers.openai.errors import inner_error
from providers.openai.request import IGNORED
from providers.openai.response import json_from
from providers.openai.usage import usage_from
from providers.types import EmbeddingRequest, EmbeddingResponse, JsonObject, Usage, Vector
from providers.vectors import delivered, estimated_usage, vector_from_base64


class _Item(Struct):
    embedding: list[float] | str
    index: int | None = None


class _Answer(Struct):
    data: list[_Item]
    model: str | None = None
    usage: dict[str, object] | None = None
    error: object = None


_answer = msgspec.json.Decoder(_Answer)  # of several MB of numbers: none becomes an object twice


def to_embeddings_body(request: EmbeddingRequest, model: str) -> bytes:
    """The JSON body for the upstream's `model`; token ids go as they are.

    Raises UnsupportedFieldError when a strict request has a field of `IGNORED`.
    """
    if request.strict and (lost := embedding_warnings(request)):
        raise UnsupportedFieldError("this upstream does not take the field", param=lost[0].partition("=")[0])
    fields: JsonObject = {name: value for name, value in request.extra.items() if name not in IGNORED}
    fields |= {"model": model, "encoding_format": request.encoding_format}
    if request.dimensions is not None:
        fields["dimensions"] = request.dimensions
    if request.user is not None:
        fields["user"] = request.user
    return orjson.dumps({**fields, "input": request.inputs})


def embedding_warnings(request: EmbeddingRequest) -> tuple[str, ...]:
    """`field=ignored` for what is addressed to somebody else."""
    return tuple(f"{name}=ignored" for name in request.extra if name in IGNORED)


def from_embeddings(body: bytes, request: EmbeddingRequest, model: str, info: ModelInfo) -> EmbeddingResponse:
    """The vectors in the order of the inputs, by their `index`.

    Raises what an `error` object inside the 200 means, and BadResponseError for an answer that cannot be read or does
    not hold one vector for each input.
    """
    answer = _decoded(body)
    able = info.embedding
    unit = request.dimensions is not None and able is not None and not able.unit_length
    vectors = delivered([_vector(item) for item in _in_order(answer.data)], request, unit=unit)
    usage = _usage(answer.usage)  # type: ignore[arg-type]  # decoded JSON: the decoder takes no recursive types
    warnings = embedding_warnings(request)
    if usage is None:
        usage = estimated_usage(request.inputs)
        warnings = (*warnings, "usage=estimated from the length of the input")
    return EmbeddingResponse(model=answer.model or model, vectors=vectors, usage=usage, warnings=warnings)


def _decoded(body: bytes) -> _Answer:
    try:
        answer = _answer.decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as exc:
        fields = json_from(body)
        if fields.get("error") or fields.get("object") == "error":
            raise inner_error(fields) from exc
        raise BadResponseError("the upstream's answer holds no vectors", outcome="parse", billed=True) from exc
    if answer.error:
        raise inner_error(json_from(body))
    return answer


def _in_order(items: Sequence[_Item]) -> Sequence[_Item]:
    """By `index`, where the indexes number all of them; otherwise as they came."""
    places = {item.index: item for item in items}
    return [places[place] for place in range(len(items))] if places.keys() == set(range(len(items))) else items


def _vector(item: _Item) -> Vector:
    return vector_from_base64(item.embedding) if isinstance(item.embedding, str) else item.embedding


def _usage(sent: JsonObject | None) -> Usage | None:
    """The token count; where there is only a total (Voyage, Jina), that: nothing is written. None: there is none."""
    if not sent:
        return None
    usage = usage_from({"prompt_tokens": sent.get("total_tokens"), **sent, "completion_tokens": 0})
    return None if usage.estimated else usage
