"""EmbeddingRequest <-> `batchEmbedContents`. Pure.

Texts only: Gemini has its own tokenizer, so a client's token ids mean nothing to it.
Source: https://ai.google.dev/api/embeddings and recorded answers (read 2026-11-20).
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from providers.catalogue import ModelInfo
from providers.errors import BadResponseError, UnsupportedFieldError
from providers.gemini.lenient import as_object, as_text
from providers.gemini.request import refuse_losses
from providers.gemini.response import parsed
from providers.gemini.translated import Translated
from providers.gemini.usage import usage_from_metadata
from providers.types import EmbeddingRequest, EmbeddingResponse, JsonObject, JsonValue
from providers.vectors import delivered, estimated_usage

MAX_PER_CALL = 100


class _Embedding(Struct):
    values: list[float] = []


class _Answer(Struct, rename="camel"):
    embeddings: list[_Embedding] = []
    usage_metadata: dict[str, object] | None = None
    error: dict[str, object] | None = None


_answer = msgspec.json.Decoder(_Answer)  # of several MB of numbers: none becomes an object twice


def to_batch_embed(request: EmbeddingRequest, model: str) -> Translated:
    """The body for all inputs of `request`, at most `MAX_PER_CALL`. `task_type` (RETRIEVAL_QUERY, ...) is Google's own
    field and travels on; any other unknown field is dropped with a warning.

    Raises UnsupportedFieldError for token ids, and when a strict request would lose a field.
    """
    if request.has_token_ids:
        raise UnsupportedFieldError(
            "this model takes text, not token ids; in LangChain set check_embedding_ctx_length=False", param="input"
        )
    task = as_text(request.extra.get("task_type")) or as_text(as_object(request.extra.get("google")).get("task_type"))
    warnings = [f"{name}=ignored" for name in request.extra if name not in ("task_type", "google")]
    if request.strict:
        refuse_losses(warnings)
    options: JsonObject = {"model": f"models/{model}"}
    if request.dimensions is not None:
        options["outputDimensionality"] = request.dimensions
    if task:
        options["taskType"] = task.upper()
    requests: list[JsonValue] = [{**options, "content": {"parts": [{"text": text}]}} for text in _texts(request)]
    return Translated(body={"requests": requests}, warnings=tuple(warnings))


def from_batch_embed(
    body: bytes, request: EmbeddingRequest, model: str, info: ModelInfo, warnings: tuple[str, ...] = ()
) -> EmbeddingResponse:
    """The vectors in order. The wire names no model and seldom a token count: then it is estimated, with a warning.

    Vectors that the model shortens without scaling them are scaled to length 1, so that dot products stay cosines.
    Raises BadResponseError for an answer that cannot be read or does not hold one vector for each input.
    """
    try:
        answer = _answer.decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as exc:
        parsed(body)  # says more exactly what is wrong: an error object of another shape, a page
        raise BadResponseError("the provider's answer holds no vectors", outcome="parse", billed=True) from exc
    if answer.error:
        parsed(body)
    able = info.embedding
    unit = request.dimensions is not None and able is not None and not able.unit_length
    vectors = delivered([embedding.values for embedding in answer.embeddings], request, unit=unit)
    usage = usage_from_metadata(as_object(answer.usage_metadata))
    if usage.estimated:
        usage = estimated_usage(request.inputs)
        warnings = (*warnings, "usage=estimated from the length of the input")
    return EmbeddingResponse(model=model, vectors=vectors, usage=usage, warnings=warnings)


def _texts(request: EmbeddingRequest) -> Sequence[str]:
    return [text for text in request.inputs if isinstance(text, str)]
