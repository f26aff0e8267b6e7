"""Vectors in their two forms, and answers that are none."""

import base64
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import BadResponseError, UnsupportedFieldError
from providers.types import EmbeddingRequest, EmbeddingResponse, Usage, Vector
from providers.vectors import delivered, estimated_usage, joined, numbers_of, packed, vector_from_base64

FLOATS = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20)


def asked(count: int = 1, **more: object) -> EmbeddingRequest:
    return EmbeddingRequest(model="m", inputs=("a",) * count, **more)  # type: ignore[arg-type]


def answered(*vectors: list[float], tokens: int = 1, warnings: tuple[str, ...] = ()) -> EmbeddingResponse:
    return EmbeddingResponse(model="m", vectors=vectors, usage=Usage(prompt_tokens=tokens), warnings=warnings)


@given(FLOATS)
def test_base64_holds_little_endian_float32(numbers: list[float]) -> None:
    data = packed(numbers)
    assert data == struct.pack(f"<{len(numbers)}f", *numbers)
    assert list(numbers_of(data)) == numbers
    assert vector_from_base64(base64.b64encode(data).decode()) == data


def test_vectors_in_the_form_asked_for_are_not_touched() -> None:
    numbers, data = [0.1, 1e-9], struct.pack("<2f", 0.5, 0.25)
    assert delivered([numbers], asked())[0] is numbers
    assert delivered([data], asked(encoding_format="base64"))[0] is data


def test_either_form_becomes_the_other() -> None:
    data = struct.pack("<2f", 0.5, 0.25)
    assert delivered([[0.5, 0.25]], asked(encoding_format="base64")) == (data,)
    assert list(delivered([data], asked())[0]) == [0.5, 0.25]


@given(FLOATS)
def test_a_scaled_vector_has_length_one(numbers: list[float]) -> None:
    (vector,) = delivered([numbers], asked(), unit=True)
    length = math.hypot(*vector)
    assert length == pytest.approx(1.0) or not any(numbers)


@pytest.mark.parametrize(
    ("vectors", "inputs"),
    [
        ([], 1),
        ([[1.0]], 2),
        ([[1.0], [1.0]], 1),
        ([[]], 1),
        ([[1.0], [1.0, 2.0]], 2),
        ([[1.0], b"\0\0\0\0\0\0\0\0"], 2),
    ],
)
def test_an_answer_without_one_vector_for_each_input_is_bad(vectors: list[list[float]], inputs: int) -> None:
    with pytest.raises(BadResponseError) as caught:
        delivered(vectors, asked(inputs))
    assert caught.value.billed


@pytest.mark.parametrize(
    ("vector", "encoding_format"),
    [([math.inf, 0.0], "float"), (struct.pack("<2f", math.nan, 1.0), "float"), ([1e300, 0.0], "base64")],
)
def test_numbers_that_json_or_float32_cannot_hold_are_bad(vector: Vector, encoding_format: str) -> None:
    with pytest.raises(BadResponseError):
        delivered([vector], asked(encoding_format=encoding_format))


@pytest.mark.parametrize("text", ["!!!!", "AAA", "AAAA", "żółw", "AAAA AAA="])
def test_text_that_is_no_vector_is_bad(text: str) -> None:
    with pytest.raises(BadResponseError):
        vector_from_base64(text)


def test_an_upstream_that_ignores_dimensions_is_not_believed() -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        delivered([[1.0, 2.0, 3.0]], asked(dimensions=2))
    assert caught.value.param == "dimensions"
    assert caught.value.failover


def test_parts_join_in_order_with_the_usage_of_all() -> None:
    whole = joined([answered([1.0], tokens=2, warnings=("a=b",)), answered([2.0], [3.0], tokens=3, warnings=("a=b",))])
    assert whole.vectors == ([1.0], [2.0], [3.0])
    assert whole.usage.prompt_tokens == 5
    assert whole.warnings == ("a=b",)
    with pytest.raises(BadResponseError):
        joined([answered([1.0]), answered([1.0, 2.0])])


def test_tokens_are_estimated_from_bytes_and_counted_where_they_are_ids() -> None:
    assert estimated_usage(["abcd", "abcde", "ü"]) == Usage(prompt_tokens=4, estimated=True)
    assert estimated_usage([(1, 2, 3), (4,)]).prompt_tokens == 4
