"""Gemini's embedContent and batchEmbedContents."""

from collections.abc import Mapping
from typing import Any

import orjson
from msgspec import Struct

from providers.sandbox.embeddings import text_tokens, unit_vector
from providers.sandbox.exchange import Answer
from providers.sandbox.faults import Fault
from providers.sandbox.gemini_fields import CONTENT, Spec, read, refuse
from providers.sandbox.refusals import GEMINI_JSON

_MAX_BATCH = 100
_TASKS = frozenset(
    {"TASK_TYPE_UNSPECIFIED", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "SEMANTIC_SIMILARITY", "CLASSIFICATION",
     "CLUSTERING", "QUESTION_ANSWERING", "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY"}
)  # fmt: skip
_ONE: dict[str, Spec] = {
    "model": "str",
    "content": CONTENT,
    "taskType": _TASKS,
    "title": "str",
    "outputDimensionality": "int",
}
_BATCH: dict[str, Spec] = {"requests": [_ONE]}

Json = Mapping[str, Any]


class EmbeddingModel(Struct, frozen=True, kw_only=True):
    """`scales`: a shortened vector comes with length 1 again."""

    name: str
    scales: bool
    dimensions: int = 3072
    window: int = 2048


EMBEDDING_MODELS: Mapping[str, EmbeddingModel] = {
    model.name: model
    for model in (
        EmbeddingModel(name="gemini-embedding-001", scales=False),
        EmbeddingModel(name="gemini-embedding-2", scales=True, window=8192),
        EmbeddingModel(name="gemini-embedding-2-preview", scales=True, window=8192),
    )
}


def embed_one(body: Any, model: EmbeddingModel, fault: Fault | None) -> Answer:
    """`{"embedding": {"values": [...]}}`."""
    return _answer({"embedding": _embedding(read(body, _ONE), model)}, [], fault)


def embed_batch(body: Any, model: EmbeddingModel, fault: Fault | None) -> Answer:
    """`{"embeddings": [{"values": [...]}]}` in the order of the requests. Raises RefusedError for more than 100."""
    requests: list[Json] = read(body, _BATCH).get("requests") or []
    if not requests:
        raise refuse("* BatchEmbedContentsRequest.requests: must not be empty\n")
    if len(requests) > _MAX_BATCH:
        raise refuse("* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n")
    for number, request in enumerate(requests):
        if request.get("model") != f"models/{model.name}":
            raise refuse(f"* BatchEmbedContentsRequest.requests[{number}].model: must match the model of the batch\n")
    made = [_embedding(request, model) for request in requests]
    if fault is not None and fault.name == "no-candidates":
        made = []
    texts = [_text(request) for request in requests]
    return _answer({"embeddings": made}, texts, fault)


def _answer(made: dict[str, Any], texts: list[str], fault: Fault | None) -> Answer:
    """No token count, as in the recorded answers; the fault `unknown-fields` has one, as newer versions send it."""
    if fault is not None and fault.name == "unknown-fields":
        made |= {"usageMetadata": {"promptTokenCount": sum(map(text_tokens, texts))}, "novelty": [1]}
    return Answer(headers=(GEMINI_JSON,), body=orjson.dumps(made))


def _embedding(request: Json, model: EmbeddingModel) -> dict[str, Any]:
    dimensions = request.get("outputDimensionality")
    if dimensions is not None and not 1 <= dimensions <= model.dimensions:
        raise refuse(f"output_dimensionality must be in the range [1, {model.dimensions}].")
    text = _text(request)
    if not text:
        raise refuse("* EmbedContentRequest.content: contents is not specified\n")
    # the task changes the vector, as it does at Google
    content = f"{request['taskType']}\0{text}" if "taskType" in request else text
    return {"values": unit_vector(model.name, content, model.dimensions, dimensions, scaled=model.scales)}


def _text(request: Json) -> str:
    parts: list[Json] = (request.get("content") or {}).get("parts") or []
    return "\n".join(part["text"] for part in parts if part.get("text"))
