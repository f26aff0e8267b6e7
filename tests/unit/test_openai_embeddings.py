"""EmbeddingRequest -> /embeddings and back, whatever the upstream makes of `encoding_format`."""

import base64
import json
import struct
from typing import Any

import pytest

from providers.catalogue import EmbeddingCapabilities, ModelInfo
from providers.errors import BadResponseError, RateLimitedError, UnsupportedFieldError
from providers.openai.embeddings import from_embeddings, to_embeddings_body
from providers.types import EmbeddingRequest, Usage

INFO = ModelInfo(name="m", kind="embedding", embedding=EmbeddingCapabilities(token_ids=True))
DATA = struct.pack("<2f", 0.5, 0.25)
TEXT = base64.b64encode(DATA).decode()


def asked(*inputs: Any, **more: Any) -> EmbeddingRequest:
    return EmbeddingRequest(model="public", inputs=inputs or ("Hello",), **more)


def body(*vectors: Any, usage: Any = None, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 3, "total_tokens": 3} if usage is None else usage
    return json.dumps({"object": "list", "data": data, "model": "served", "usage": usage, **more}).encode()


def test_the_upstream_is_asked_as_the_client_asked() -> None:
    request = asked("a", "b", dimensions=8, encoding_format="base64", user="u", extra={"truncate": "END"})
    assert json.loads(to_embeddings_body(request, "up")) == {
        "model": "up",
        "input": ["a", "b"],
        "dimensions": 8,
        "encoding_format": "base64",
        "user": "u",
        "truncate": "END",
    }


def test_token_ids_go_as_they_are() -> None:
    assert json.loads(to_embeddings_body(asked((1, 2), (3,)), "up"))["input"] == [[1, 2], [3]]


def test_what_is_addressed_to_gemini_stays_here() -> None:
    request = asked(extra={"google": {"task_type": "X"}})
    assert "google" not in json.loads(to_embeddings_body(request, "up"))
    assert from_embeddings(body([1.0]), request, "up", INFO).warnings == ("google=ignored",)
    with pytest.raises(UnsupportedFieldError):
        to_embeddings_body(asked(extra={"google": {}}, strict=True), "up")


@pytest.mark.parametrize("sent", [[0.5, 0.25], TEXT], ids=["floats", "base64"])
def test_the_answer_is_in_the_form_asked_for_whatever_was_sent(sent: Any) -> None:
    assert list(from_embeddings(body(sent), asked(), "up", INFO).vectors[0]) == [0.5, 0.25]
    assert from_embeddings(body(sent), asked(encoding_format="base64"), "up", INFO).vectors == (DATA,)


def test_vectors_stand_in_the_order_of_their_index() -> None:
    shuffled = json.loads(body([1.0], [2.0], [3.0]))
    shuffled["data"] = [shuffled["data"][place] for place in (2, 0, 1)]
    answer = from_embeddings(json.dumps(shuffled).encode(), asked("a", "b", "c"), "up", INFO)
    assert answer.vectors == ([1.0], [2.0], [3.0])


@pytest.mark.parametrize("indexes", [[0, 0], [None, None], [1, 2], [5, 0]])
def test_indexes_that_number_nothing_leave_the_order_alone(indexes: list[int | None]) -> None:
    odd = json.loads(body([1.0], [2.0]))
    for entry, index in zip(odd["data"], indexes, strict=True):
        entry["index"] = index
    assert from_embeddings(json.dumps(odd).encode(), asked("a", "b"), "up", INFO).vectors == ([1.0], [2.0])


@pytest.mark.parametrize(
    ("usage", "tokens", "estimated"),
    [
        ({"prompt_tokens": 3, "total_tokens": 3}, 3, False),
        ({"total_tokens": 5}, 5, False),
        ({"prompt_tokens": 0, "total_tokens": 0}, 0, False),
        ({}, 2, True),
        ({"prompt_tokens": "many"}, 2, True),
    ],
)
def test_tokens_are_read_or_estimated(usage: Any, tokens: int, estimated: bool) -> None:
    answer = from_embeddings(body([1.0], usage=usage), asked("Hello"), "up", INFO)
    assert (answer.usage.prompt_tokens, answer.usage.estimated) == (tokens, estimated)
    assert bool(answer.warnings) == estimated


def test_a_cost_that_the_upstream_names_is_kept() -> None:
    usage = from_embeddings(body([1.0], usage={"prompt_tokens": 1, "cost": 0.5}), asked(), "up", INFO).usage
    assert usage == Usage(prompt_tokens=1, reported_cost_usd=usage.reported_cost_usd)
    assert str(usage.reported_cost_usd) == "0.5"


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"{}", body(), body("!"), body([None]), body("AAAA", "AAAA"), b'{"data":[{"embedding":7}]}'],
)
def test_an_answer_without_the_vectors_is_bad(answer: bytes) -> None:
    with pytest.raises(BadResponseError):
        from_embeddings(answer, asked(), "up", INFO)


@pytest.mark.parametrize("data", [{}, {"data": []}])
def test_an_error_inside_a_200_is_that_error(data: Any) -> None:
    answer = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}, **data}
    with pytest.raises(RateLimitedError):
        from_embeddings(json.dumps(answer).encode(), asked(), "up", INFO)


def test_a_reseller_of_an_unscaled_model_is_scaled_too() -> None:
    info = ModelInfo(name="m", kind="embedding", embedding=EmbeddingCapabilities(unit_length=False))
    assert list(from_embeddings(body([3.0, 4.0]), asked(dimensions=2), "up", info).vectors[0]) == [0.6, 0.8]
