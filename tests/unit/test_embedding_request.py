"""Embeddings requests: what is understood, what the planner learns of it, what is refused and under which name."""

import json
from decimal import Decimal
from typing import Any

import pytest
from builders import KEY

from router.api.embedding_request import ParsedEmbedding, parse_embedding
from router.errors import InvalidRequestError

SCOPE: dict[str, Any] = {"type": "http", "headers": []}


def parse(raw: bytes | None = None, **fields: Any) -> ParsedEmbedding:
    body = raw if raw is not None else json.dumps({"model": "embedding", "input": "hi", **fields}).encode()
    return parse_embedding(body, SCOPE, KEY)


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("hi", ("hi",)),
        (["a", "b"], ("a", "b")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
        ([" "], (" ",)),
    ],
)
def test_every_form_of_input_is_read(given: Any, inputs: Any) -> None:
    assert parse(input=given).request.inputs == inputs


def test_space_between_values_changes_nothing() -> None:
    raw = b'{ "model" : "m" , "input" :\n [  "a" , "b" ] }'
    assert parse(raw).request.inputs == ("a", "b")


def test_features_are_counts_and_never_text() -> None:
    features = parse(input=["abcd", "x" * 41], dimensions=8).features
    assert (features.kind, features.inputs, features.prompt_bytes, features.prompt_tokens) == ("embedding", 2, 45, 12)
    assert (features.longest_tokens, features.token_ids, features.dimensions) == (11, False, 8)
    assert features.key_name == KEY.name
    assert "abcd" not in repr(features)


def test_token_ids_count_as_the_tokens_they_are() -> None:
    features = parse(input=[[1, 2, 3], [4]]).features
    assert (features.prompt_tokens, features.longest_tokens, features.token_ids) == (4, 3, True)


def test_defaults_are_openais() -> None:
    request = parse().request
    assert (request.encoding_format, request.dimensions, request.user, request.extra) == ("float", None, None, {})
    assert parse(encoding_format=None, dimensions=None).request == request


def test_unknown_fields_travel_on_and_routing_fields_do_not() -> None:
    parsed = parse(input_type="query", router={"max_cost_usd": 0.1, "strict": True}, fallbacks=["b"])
    assert parsed.request.extra == {"input_type": "query"}
    assert parsed.request.strict
    assert parsed.directives.max_cost_usd == Decimal("0.1")
    assert parsed.directives.fallbacks == ("b",)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": []}, "input", "empty_array"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": ["a", ""]}, "input[1]", "invalid_value"),
        ({"input": [[1], []]}, "input[1]", "invalid_value"),
        ({"input": [[]]}, "input", "invalid_value"),
        ({"input": ["a"] * 2049}, "input", "array_above_max_length"),
        ({"input": 3}, "input", "invalid_type"),
        ({"input": {"text": "a"}}, "input", "invalid_type"),
        ({"input": ["a", 1]}, "input[1]", "invalid_type"),
        ({"input": [1, "a"]}, "input[1]", "invalid_type"),
        ({"input": [1, -1]}, "input[1]", "invalid_type"),
        ({"input": [1.5]}, "input[0]", "invalid_type"),
        ({"input": [True]}, "input[0]", "invalid_type"),
        ({"input": [None]}, "input[0]", "invalid_type"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": 4}, "model", "invalid_type"),
        ({"dimensions": 0}, "dimensions", "invalid_value"),
        ({"dimensions": "8"}, "dimensions", "invalid_type"),
        ({"dimensions": True}, "dimensions", "invalid_type"),
        ({"encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({"encoding_format": 1}, "encoding_format", "invalid_value"),
        ({"user": 7}, "user", "invalid_type"),
        ({"api_base": "http://x"}, "api_base", "unsupported_parameter"),
    ],
)
def test_a_wrong_request_is_refused_by_its_field(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse(**fields)
    error = caught.value
    assert (error.param, error.code) == (param, code)


@pytest.mark.parametrize("text", [rb'"\ud800"', rb'["a", "\udfff x"]', b'["a"', b'"\xff"', b"[1,]"])
def test_what_is_no_text_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        parse(b'{"model":"m","input":' + text + b"}")


def test_2048_inputs_are_taken() -> None:
    assert parse(input=["a"] * 2048).features.inputs == 2048
