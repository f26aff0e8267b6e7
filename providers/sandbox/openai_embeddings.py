"""OpenAI's `POST /embeddings`."""

import base64
import struct
from collections.abc import Mapping
from typing import Any

import orjson

from providers.sandbox.embeddings import text_tokens, unit_vector
from providers.sandbox.exchange import Answer
from providers.sandbox.faults import Fault
from providers.sandbox.openai_rules import refuse
from providers.sandbox.refusals import JSON

_DIMENSIONS: Mapping[str, int] = {
    "text-embedding-3-large": 3072,
    "text-embedding-3-small": 1536,
    "text-embedding-ada-002": 1536,
    "gemini-embedding-001": 3072,
    "gemini-embedding-2": 3072,
}
"""By the model's own name, without a reseller's prefix: the vectors are then those that its maker gives."""

_FIELDS = frozenset({"model", "input", "dimensions", "encoding_format", "user"})
_MAX_INPUTS = 2048
_MAX_TOKENS = 8192
_MAX_TOKENS_OF_ALL = 300_000

Json = dict[str, Any]


def embeddings_answer(payload: Json, fault: Fault | None, *, strict: bool) -> Answer:
    """One unit vector for each input, as floats or base64. Raises RefusedError for what OpenAI does not take."""
    for key in payload:
        if strict and key not in _FIELDS:
            raise refuse(f"Unknown parameter: '{key}'.", code="unknown_parameter", param=key)
    model = payload["model"]
    inputs = _inputs(payload.get("input"))
    space = model.rpartition("/")[2]
    whole = _DIMENSIONS.get(space, 1536)
    dimensions = _dimensions(payload.get("dimensions"), model, whole)
    form = payload.get("encoding_format", "float")
    if form not in ("float", "base64"):
        message = f"Invalid value: '{form}'. Supported values are: 'float' and 'base64'."
        raise refuse(message, param="encoding_format")
    counts = [text_tokens(one) if isinstance(one, str) else len(one) for one in inputs]
    _limits(counts)
    vectors = [unit_vector(space, one if isinstance(one, str) else repr(one), whole, dimensions) for one in inputs]
    data = [_entry(index, vector, form) for index, vector in enumerate(vectors)]
    made: Json = {"object": "list", "data": data, "model": model}
    made["usage"] = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
    return Answer(headers=(JSON,), body=orjson.dumps(_spoiled(made, fault)))


def _spoiled(made: Json, fault: Fault | None) -> Json:
    match fault.name if fault else "":
        case "usage-missing":
            del made["usage"]
        case "no-candidates":
            made["data"] = []
        case "unknown-fields":
            made["data"] = [{**entry, "novelty": None} for entry in reversed(made["data"])]
    return made


def _inputs(given: Any) -> list[str | list[int]]:
    if given is None:
        raise refuse("Missing required parameter: 'input'.", code="missing_required_parameter", param="input")
    if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int)):
        given = [given]
    if not isinstance(given, list) or not given or len(given) > _MAX_INPUTS:
        raise refuse("'$.input' is invalid. Please check the API reference.", code=None, param="input")
    for one in given:
        tokens = isinstance(one, list) and all(type(each) is int and each >= 0 for each in one)
        if not one or not (isinstance(one, str) or tokens):
            raise refuse("'$.input' is invalid. Please check the API reference.", code=None, param="input")
    return given


def _dimensions(given: Any, model: str, whole: int) -> int | None:
    if given is None:
        return None
    if model == "text-embedding-ada-002":
        raise refuse("This model does not support specifying dimensions.", code=None)
    if type(given) is not int or given < 1:
        raise refuse(f"Invalid value for 'dimensions': {given!r}.", code="invalid_type", param="dimensions")
    if given > whole:
        message = f"Invalid value for 'dimensions' = {given}. Must be less than or equal to {whole}."
        raise refuse(message, code=None, param="dimensions")
    return given


def _limits(counts: list[int]) -> None:
    if max(counts) > _MAX_TOKENS:
        message = f"This model's maximum context length is 8192 tokens, however you requested {max(counts)} tokens."
        raise refuse(message, code=None)
    if sum(counts) > _MAX_TOKENS_OF_ALL:
        message = f"Requested {sum(counts)} tokens, max {_MAX_TOKENS_OF_ALL} tokens per request"
        raise refuse(message, code="max_tokens_per_request")


def _entry(index: int, vector: list[float], form: str) -> Json:
    shown = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if form == "base64" else vector
    return {"object": "embedding", "index": index, "embedding": shown}
