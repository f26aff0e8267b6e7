"""Embedding vectors in their two forms, and what makes an answer of them usable. Pure; shared by the adapters."""

import binascii
import math
import struct
from collections.abc import Sequence

from providers.errors import BadResponseError, UnsupportedFieldError
from providers.types import EmbeddingRequest, EmbeddingResponse, Usage, Vector

_FLOAT_BYTES = 4
_BYTES_PER_TOKEN = 4


def delivered(vectors: Sequence[Vector], request: EmbeddingRequest, *, unit: bool = False) -> tuple[Vector, ...]:
    """`vectors` in the form that `request` asks for; with `unit` each is scaled to length 1.

    Raises BadResponseError unless there is one for each input, all finite and equally long; UnsupportedFieldError when
    they are not as long as was asked, because the upstream then does not know `dimensions`.
    """
    if len(vectors) != len(request.inputs):
        message = f"the upstream sent {len(vectors)} vectors for {len(request.inputs)} inputs"
        raise BadResponseError(message, outcome="empty" if not vectors else "bad_response", billed=True)
    dimensions = _common_length(vectors)
    if request.dimensions is not None and dimensions != request.dimensions:
        message = f"the upstream made vectors of {dimensions} dimensions, not {request.dimensions}"
        raise UnsupportedFieldError(message, param="dimensions", billed=True)
    if unit:
        vectors = [_unit(numbers_of(vector)) for vector in vectors]
    form = packed if request.encoding_format == "base64" else numbers_of
    return tuple(form(vector) for vector in vectors)


def joined(parts: Sequence[EmbeddingResponse]) -> EmbeddingResponse:
    """One answer from those of consecutive slices of the inputs. Raises BadResponseError when they do not fit."""
    if len(parts) == 1:
        return parts[0]
    vectors = tuple(vector for part in parts for vector in part.vectors)
    _common_length(vectors)
    return EmbeddingResponse(
        model=parts[0].model,
        vectors=vectors,
        usage=Usage.total([part.usage for part in parts]),
        warnings=tuple(dict.fromkeys(warning for part in parts for warning in part.warnings)),
    )


def packed(vector: Vector) -> bytes:
    """The vector as little-endian float32, which is what OpenAI's base64 holds."""
    if isinstance(vector, bytes):
        return vector
    try:
        return struct.pack(f"<{len(vector)}f", *vector)
    except (OverflowError, struct.error) as exc:
        raise _not_finite() from exc


def numbers_of(vector: Vector) -> Sequence[float]:
    """The vector's numbers. Raises BadResponseError when one is infinite or none: JSON has no word for it."""
    numbers = struct.unpack(f"<{len(vector) // _FLOAT_BYTES}f", vector) if isinstance(vector, bytes) else vector
    if not math.isfinite(sum(numbers)):
        raise _not_finite()
    return numbers


def vector_from_base64(text: str) -> bytes:
    """The float32 bytes in OpenAI's base64 form. Raises BadResponseError when it is none."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as exc:
        raise BadResponseError("the upstream's vector is not base64", outcome="parse", billed=True) from exc
    if len(data) % _FLOAT_BYTES:
        raise BadResponseError("the upstream's vector is not of 32-bit numbers", outcome="parse", billed=True)
    return data


def estimated_usage(inputs: Sequence[str | Sequence[int]]) -> Usage:
    """The token count of `inputs` where the upstream sends none: four bytes of text to a token, ids as they are."""
    sizes = [-(-len(one.encode()) // _BYTES_PER_TOKEN) if isinstance(one, str) else len(one) for one in inputs]
    return Usage(prompt_tokens=sum(sizes), estimated=True)


def length_of(vector: Vector) -> int:
    """How many numbers the vector has."""
    return len(vector) // _FLOAT_BYTES if isinstance(vector, bytes) else len(vector)


def _common_length(vectors: Sequence[Vector]) -> int:
    lengths = {length_of(vector) for vector in vectors}
    if len(lengths) != 1 or 0 in lengths:
        raise BadResponseError("the upstream's vectors differ in length or are empty", billed=True)
    return lengths.pop()


def _unit(numbers: Sequence[float]) -> Sequence[float]:
    length = math.hypot(*numbers)
    return [number / length for number in numbers] if length else numbers


def _not_finite() -> BadResponseError:
    return BadResponseError("the upstream's vector holds what is no finite number", outcome="parse", billed=True)
