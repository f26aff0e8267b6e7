"""The simulated embedding wires: what they give and what they refuse, in the providers' own words."""

import base64
import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from providers.sandbox.embeddings import unit_vector
from providers.sandbox.server import running_sandbox


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_sandbox() as server:
        yield server.base_url


def gemini(url: str, verb: str, body: Any, model: str = "gemini-embedding-001") -> httpx.Response:
    address = f"{url}/gemini/v1beta/models/{model}:{verb}"
    return httpx.post(address, json=body, headers={"x-goog-api-key": "k"}, trust_env=False)


def openai(url: str, **fields: Any) -> httpx.Response:
    body = {"model": "text-embedding-3-small", "input": "hi", **fields}
    return httpx.post(f"{url}/openai/v1/embeddings", json=body, headers={"authorization": "Bearer k"}, trust_env=False)


def entry(text: str, model: str = "gemini-embedding-001", **more: Any) -> dict[str, Any]:
    return {"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **more}


def test_a_vector_follows_from_model_and_text_and_has_length_one() -> None:
    one = unit_vector("m", "text", 64)
    assert one == unit_vector("m", "text", 64)
    assert one != unit_vector("m", "texts", 64)
    assert one != unit_vector("n", "text", 64)
    assert math.hypot(*one) == pytest.approx(1)
    assert struct.unpack("<64f", struct.pack("<64f", *one)) == tuple(one)


def test_a_shortened_vector_points_the_same_way() -> None:
    whole = unit_vector("m", "text", 64)
    assert unit_vector("m", "text", 64, 8, scaled=False) == whole[:8]
    scaled = unit_vector("m", "text", 64, 8)
    assert math.hypot(*scaled) == pytest.approx(1)
    assert scaled[0] / scaled[1] == pytest.approx(whole[0] / whole[1], rel=1e-5)


def test_one_and_a_batch_agree(url: str) -> None:
    texts = ["one", "two"]
    singles = [gemini(url, "embedContent", entry(text)).json()["embedding"] for text in texts]
    batch = gemini(url, "batchEmbedContents", {"requests": [entry(text) for text in texts]}).json()
    assert batch == {"embeddings": singles}
    assert len(singles[0]["values"]) == 3072


@pytest.mark.parametrize(("model", "scaled"), [("gemini-embedding-001", False), ("gemini-embedding-2", True)])
def test_only_the_newer_model_scales_what_it_shortens(url: str, model: str, scaled: bool) -> None:
    body = {"requests": [entry("a", model, outputDimensionality=64)]}
    (made,) = gemini(url, "batchEmbedContents", body, model).json()["embeddings"]
    assert (math.hypot(*made["values"]) == pytest.approx(1)) is scaled


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"requests": [entry("a")] * 101}, "at most 100"),
        ({"requests": []}, "must not be empty"),
        ({"requests": [entry("a", "other")]}, "must match the model"),
        ({"requests": [entry("")]}, "contents is not specified"),
        ({"requests": [entry("a", outputDimensionality=4000)]}, "range [1, 3072]"),
        ({"requests": [entry("a", taskType="FOO")]}, "Invalid value"),
        ({"requests": [{**entry("a"), "input": "a"}]}, "Unknown name"),
    ],
)
def test_gemini_refuses_a_wrong_batch(url: str, body: Any, message: str) -> None:
    answer = gemini(url, "batchEmbedContents", body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("model", "verb"), [("gemini-3.8-flash", "embedContent"), ("gemini-embedding-001", "generateContent")]
)
def test_a_model_does_only_what_it_can(url: str, model: str, verb: str) -> None:
    answer = gemini(url, verb, entry("a", model), model)
    assert answer.status_code == 404
    assert "is not found" in answer.json()["error"]["message"]


def test_openai_answers_floats_or_base64(url: str) -> None:
    floats = openai(url, input=["a", "b"]).json()
    packed = openai(url, input=["a", "b"], encoding_format="base64").json()
    assert [item["index"] for item in floats["data"]] == [0, 1]
    assert floats["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    for plain, coded in zip(floats["data"], packed["data"], strict=True):
        assert list(struct.unpack("<1536f", base64.b64decode(coded["embedding"]))) == plain["embedding"]


def test_openai_takes_token_ids(url: str) -> None:
    one, two = openai(url, input=[1, 2, 3]).json(), openai(url, input=[[1, 2, 3], [4]]).json()
    assert one["data"][0] == two["data"][0]
    assert (one["usage"]["prompt_tokens"], two["usage"]["prompt_tokens"]) == (3, 4)


@pytest.mark.parametrize(
    "fields",
    [
        {"input": ""},
        {"input": []},
        {"input": ["a", ""]},
        {"input": [1, "a"]},
        {"input": ["a"] * 2049},
        {"input": "x" * 40_000},
        {"input": [[1] * 8000] * 40},
        {"dimensions": 1537},
        {"dimensions": 0},
        {"dimensions": 8, "model": "text-embedding-ada-002"},
        {"encoding_format": "int8"},
        {"truncate": "END"},
    ],
    ids=lambda fields: json.dumps(fields)[:40],
)
def test_openai_refuses_a_wrong_request(url: str, fields: dict[str, Any]) -> None:
    assert openai(url, **fields).status_code == 400
