"""EmbeddingRequest -> batchEmbedContents and back."""

import json
import math
import struct
from typing import Any

import pytest

from providers.catalogue import EmbeddingCapabilities, ModelInfo
from providers.errors import BadResponseError, RateLimitedError, UnsupportedFieldError
from providers.gemini.adapter import GeminiProvider
from providers.gemini.embeddings import from_batch_embed, to_batch_embed
from providers.gemini.terms import terms_of
from providers.options import Cloud, GeminiOptions
from providers.types import EmbeddingRequest, Usage
from providers.upstream import Upstream

MODEL = "gemini-embedding-001"
UNSCALED = ModelInfo(name=MODEL, kind="embedding", embedding=EmbeddingCapabilities(unit_length=False))
SCALED = ModelInfo(name=MODEL, kind="embedding", embedding=EmbeddingCapabilities())


def asked(*inputs: Any, **more: Any) -> EmbeddingRequest:
    return EmbeddingRequest(model="public", inputs=inputs or ("Hello",), **more)


def body(*vectors: list[float], **more: Any) -> bytes:
    return json.dumps({"embeddings": [{"values": vector} for vector in vectors], **more}).encode()


def test_every_input_is_a_request_of_the_batch() -> None:
    made = to_batch_embed(asked("one", "two", dimensions=768), MODEL)
    assert made.body == {
        "requests": [
            {
                "model": f"models/{MODEL}",
                "outputDimensionality": 768,
                "content": {"parts": [{"text": text}]},
            }
            for text in ("one", "two")
        ]
    }
    assert made.warnings == ()


@pytest.mark.parametrize("extra", [{"task_type": "retrieval_query"}, {"google": {"task_type": "RETRIEVAL_QUERY"}}])
def test_googles_own_task_type_travels_on(extra: dict[str, Any]) -> None:
    (request,) = to_batch_embed(asked(extra=extra), MODEL).body["requests"]  # type: ignore[misc]
    assert request["taskType"] == "RETRIEVAL_QUERY"


def test_other_fields_are_named_in_a_warning_or_refused_when_strict() -> None:
    assert to_batch_embed(asked(extra={"input_type": "query"}), MODEL).warnings == ("input_type=ignored",)
    with pytest.raises(UnsupportedFieldError) as caught:
        to_batch_embed(asked(extra={"input_type": "query"}, strict=True), MODEL)
    assert caught.value.param == "input_type"


def test_token_ids_are_refused_with_the_switch_that_avoids_them() -> None:
    with pytest.raises(UnsupportedFieldError, match="check_embedding_ctx_length=False") as caught:
        to_batch_embed(asked((1, 2)), MODEL)
    assert caught.value.param == "input"


def test_vectors_come_as_the_upstream_wrote_them_and_tokens_are_estimated() -> None:
    answer = from_batch_embed(body([0.1, -0.2], [3, 4]), asked("abcd", "efghi"), MODEL, SCALED)
    assert answer.vectors == ([0.1, -0.2], [3, 4])
    assert answer.usage == Usage(prompt_tokens=3, estimated=True)
    assert answer.model == MODEL
    assert answer.warnings == ("usage=estimated from the length of the input",)


def test_a_count_that_is_sent_is_believed() -> None:
    answer = from_batch_embed(body([1.0], usageMetadata={"promptTokenCount": 7}), asked(), MODEL, SCALED)
    assert (answer.usage.prompt_tokens, answer.usage.estimated, answer.warnings) == (7, False, ())


@pytest.mark.parametrize(
    ("info", "dimensions", "length"), [(UNSCALED, 2, 1.0), (UNSCALED, None, 5.0), (SCALED, 2, 5.0)]
)
def test_only_shortened_vectors_of_a_model_that_does_not_scale_them_are_scaled(
    info: ModelInfo, dimensions: int | None, length: float
) -> None:
    (vector,) = from_batch_embed(body([3.0, 4.0]), asked(dimensions=dimensions), MODEL, info).vectors
    assert math.hypot(*vector) == pytest.approx(length)


def test_base64_is_packed_from_the_numbers() -> None:
    (vector,) = from_batch_embed(body([0.5, 0.25]), asked(encoding_format="base64"), MODEL, SCALED).vectors
    assert vector == struct.pack("<2f", 0.5, 0.25)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        body(),
        body([1.0], [2.0]),
        body([1.0], [1.0, 2.0]),
        b'{"embeddings":[{"values":[null]}]}',
        b'{"embeddings":[{}]}',
        b'{"embeddings":{"values":[1]}}',
    ],
)
def test_an_answer_without_the_vectors_is_bad(answer: bytes) -> None:
    with pytest.raises(BadResponseError):
        from_batch_embed(answer, asked(), MODEL, SCALED)


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_error_inside_a_200_is_that_error(wrapped: bool) -> None:
    error = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "no"}}
    with pytest.raises(RateLimitedError):
        from_batch_embed(json.dumps([error] if wrapped else error).encode(), asked(), MODEL, SCALED)


async def test_google_cloud_is_not_asked_for_vectors_on_a_wire_it_does_not_speak() -> None:
    upstream = Upstream(provider="vertex", base_url="http://127.0.0.1:9", headers={})
    provider = GeminiProvider("vertex", upstream, {}, terms=terms_of(GeminiOptions(), Cloud(project="p")))
    with pytest.raises(UnsupportedFieldError) as caught:
        await provider.embeddings(asked(), MODEL)
    assert caught.value.provider == "vertex"
