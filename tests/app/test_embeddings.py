"""POST /v1/embeddings over real sockets: what the client gets, what the upstreams saw, what was recorded."""

import base64
import math
import struct
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from harness import ROOT, Turnout, eventually

from providers.sandbox.config import FaultRule

CONFIG = """
providers:
  first:  {type: gemini, api_key: "k"}
  second: {type: openai, api_key: "k"}
models:
  gemini: {targets: [first/gemini-embedding-001]}
  both:   {targets: [first/gemini-embedding-2, second/google/gemini-embedding-2], sort: order}
  openai: {targets: [second/text-embedding-3-small]}
"""


@pytest.fixture(scope="module")
def shared() -> Any:
    with Turnout(CONFIG) as turnout:
        yield turnout


@pytest.fixture
def pair(shared: Turnout) -> Turnout:
    shared.clear()
    return shared


def embed(turnout: Turnout, model: str = "gemini", input: Any = "hello", **more: Any) -> httpx.Response:
    return turnout.http.post("/v1/embeddings", json={"model": model, "input": input, **more})


def vectors(answer: httpx.Response) -> list[list[float]]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["object"] == "list"
    assert [item["object"] for item in body["data"]] == ["embedding"] * len(body["data"])
    assert [item["index"] for item in body["data"]] == list(range(len(body["data"])))
    return [numbers(item["embedding"]) for item in body["data"]]


def numbers(embedding: Any) -> list[float]:
    if isinstance(embedding, str):
        data = base64.b64decode(embedding, validate=True)
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    return list(embedding)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embeddings", "/openai/v1/embeddings"])
def test_every_path_answers(pair: Turnout, path: str) -> None:
    answer = pair.http.post(path, json={"model": "gemini", "input": "hello"})
    assert len(vectors(answer)[0]) == 3072
    assert answer.json()["model"] == "gemini-embedding-001"


@pytest.mark.parametrize("model", ["gemini", "openai"])
def test_both_forms_hold_the_same_numbers(pair: Turnout, model: str) -> None:
    floats = vectors(embed(pair, model, ["a", "b"], encoding_format="float"))
    packed = embed(pair, model, ["a", "b"], encoding_format="base64")
    assert isinstance(packed.json()["data"][0]["embedding"], str)
    assert vectors(packed) == floats
    assert vectors(embed(pair, model, "b")) == floats[1:]


def test_openai_is_asked_in_the_form_the_client_wants(pair: Turnout) -> None:
    for form in ("float", "base64"):
        vectors(embed(pair, "openai", "a", encoding_format=form, user="u", dimensions=4))
    sent = [entry["body"] for entry in pair.requests(operation="embed")]
    assert [body["encoding_format"] for body in sent] == ["float", "base64"]
    assert sent[0] == {
        "model": "text-embedding-3-small",
        "input": ["a"],
        "user": "u",
        "dimensions": 4,
        "encoding_format": "float",
    }


def test_gemini_takes_a_hundred_at_a_time_and_order_is_kept(pair: Turnout) -> None:
    texts = [f"text {number}" for number in range(250)]
    found = vectors(embed(pair, "gemini", texts, dimensions=4))
    sizes = sorted(len(entry["body"]["requests"]) for entry in pair.requests(operation="embed"))
    assert sizes == [50, 100, 100]
    for place in (0, 99, 100, 249):
        assert vectors(embed(pair, "gemini", texts[place], dimensions=4)) == [found[place]]


def test_shortened_vectors_have_length_one(pair: Turnout) -> None:
    (short,) = vectors(embed(pair, "gemini", "a", dimensions=256))
    (whole,) = vectors(embed(pair, "gemini", "a"))
    assert len(short) == 256
    assert math.hypot(*short) == pytest.approx(1)
    assert short[0] / short[1] == pytest.approx(whole[0] / whole[1], rel=1e-5)


def test_a_task_type_reaches_gemini(pair: Turnout) -> None:
    query = vectors(embed(pair, "gemini", "a", task_type="RETRIEVAL_QUERY", dimensions=4))
    assert query != vectors(embed(pair, "gemini", "a", dimensions=4))
    (first, _) = pair.requests(operation="embed")
    assert first["body"]["requests"][0]["taskType"] == "RETRIEVAL_QUERY"


def test_token_ids_as_langchain_sends_them_go_to_openai(pair: Turnout) -> None:
    ids = [[15339, 1917], [9906]]
    answer = embed(pair, "openai", ids, encoding_format="base64")
    assert len(vectors(answer)) == 2
    assert answer.json()["usage"]["prompt_tokens"] == 3
    (call,) = pair.requests(operation="embed")
    assert call["body"]["input"] == ids


def test_token_ids_for_gemini_are_refused_with_the_switch_to_set(pair: Turnout) -> None:
    answer = embed(pair, "gemini", [[15339, 1917]])
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", "input")
    assert "check_embedding_ctx_length=False" in error["message"]
    assert pair.requests(operation="embed") == []


def test_usage_and_cost_are_counted_or_said_to_be_estimated(pair: Turnout) -> None:
    counted = embed(pair, "openai", "x" * 400)
    assert counted.json()["usage"] == {"prompt_tokens": 100, "total_tokens": 100, "cost": 0.000002}
    assert "x-router-warnings" not in counted.headers
    guessed = embed(pair, "gemini", "x" * 400)
    assert guessed.json()["usage"] == {"prompt_tokens": 100, "total_tokens": 100, "cost": 0.000015}
    assert guessed.headers["x-router-warnings"] == "usage=estimated from the length of the input"
    record = pair.http.get(f"/v1/requests/{guessed.headers['x-request-id']}").json()
    assert (record["kind"], record["cost_source"], record["status"]) == ("embedding", "estimated", 200)
    assert record["served_by"] == "first/gemini-embedding-001"
    metrics = pair.http.get("/metrics").text
    assert 'router_requests_total{model="gemini",status="200"}' in metrics
    assert 'router_cost_usd_total{model="gemini-embedding-001",provider="first",source="estimated"}' in metrics


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a"] * 2049}, "input"),
        ({"dimensions": 4000}, "dimensions"),
        ({"input": "x" * 40_000}, "input"),
        ({"model": None}, "model"),
        ({"encoding_format": "x"}, "encoding_format"),
    ],
    ids=str,
)
def test_a_wrong_request_is_a_400_that_names_the_field_and_asks_nobody(
    pair: Turnout, fields: dict[str, Any], param: str
) -> None:
    answer = embed(pair, **{"model": "gemini", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert pair.requests() == []


def test_an_unknown_model_is_not_found(pair: Turnout) -> None:
    answer = embed(pair, "no-such-model")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_other_models_do_not_make_vectors(pair: Turnout) -> None:
    assert "is a chat model" in embed(pair, "first/gemini-3.8-flash").json()["error"]["message"]
    chat = {"model": "gemini", "messages": [{"role": "user", "content": "hi"}]}
    answer = pair.http.post("/v1/chat/completions", json=chat)
    assert answer.status_code == 400
    assert "is an embedding model" in answer.json()["error"]["message"]


def test_the_dry_run_understands_input(pair: Turnout) -> None:
    body = {"model": "both", "input": ["a"] * 3, "fallbacks": ["openai"]}
    plan = pair.http.post("/v1/route", json=body).json()
    assert (plan["kind"], plan["target"]) == ("embedding", "first/gemini-embedding-2")
    assert [entry["target"] for entry in plan["excluded"]] == ["second/text-embedding-3-small"]
    assert "cannot stand beside" in plan["excluded"][0]["reason"]
    assert pair.requests() == []


def test_models_are_listed_with_the_length_of_their_vectors(router: Turnout) -> None:
    entry = router.http.get("/v1/models/embedding").json()
    assert entry["dimensions"] == 3072
    assert entry["architecture"]["output_modalities"] == ["embedding"]
    listed = {item["id"] for item in router.http.get("/v1/models").json()["data"]}
    assert {"embedding", "gemini-embedding-001", "text-embedding-3-large", "text-embedding-004"} <= listed


def test_an_alias_says_whose_vectors_these_are(router: Turnout) -> None:
    answer = embed(router, "text-embedding-ada-002")
    assert answer.json()["model"] == "text-embedding-3-small"
    assert "text-embedding-ada-002 is served by text-embedding-3-small" in answer.headers["x-router-warnings"]


@pytest.mark.parametrize("fault", ["status-500", "reset", "bad-json", "no-candidates", "429-retry-info", "status-401"])
def test_the_next_seller_of_the_same_model_is_asked(turnout: Callable[..., Turnout], fault: str) -> None:
    pair = turnout(CONFIG)
    pair.faults(FaultRule(fault=fault, label="first"))
    answer = embed(pair, "both", ["a", "b"])
    assert vectors(answer) == [vectors(embed(pair, "second/google/gemini-embedding-2", text))[0] for text in "ab"]
    assert answer.headers["x-router-provider"] == "second"
    assert answer.headers["x-router-attempts"] == "2"


def test_when_all_fail_the_error_is_openais(turnout: Callable[..., Turnout]) -> None:
    pair = turnout(CONFIG)
    pair.faults(FaultRule(fault="status-500"))
    answer = embed(pair, "both")
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "server_error")
    assert answer.headers["x-should-retry"] == "false"


def test_one_failed_call_of_several_fails_them_all(turnout: Callable[..., Turnout]) -> None:
    pair = turnout(CONFIG)
    pair.faults(FaultRule(fault="status-400", label="first", times=1))
    assert embed(pair, "gemini", ["a"] * 250).status_code == 400


def test_a_client_that_leaves_takes_its_calls_along(turnout: Callable[..., Turnout]) -> None:
    pair = turnout(CONFIG)
    pair.faults(FaultRule(fault="stall", args={"seconds": 60}))
    with pytest.raises(httpx.ReadTimeout):
        pair.http.post("/v1/embeddings", json={"model": "gemini", "input": ["a"] * 150}, timeout=0.3)
    calls = eventually(
        lambda: [entry for entry in pair.requests(operation="embed") if entry["duration_s"] is not None][1:]
    )
    assert all(entry["client_disconnected"] for entry in calls)


def test_token_ids_for_a_model_nobody_described_are_refused_by_the_adapter(pair: Turnout) -> None:
    answer = embed(pair, "first/gemini-embedding-9", [[1, 2]])
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "input", "unsupported_parameter")
    assert "check_embedding_ctx_length=False" in error["message"]


def test_a_seller_of_vectors_of_another_length_is_not_believed(turnout: Callable[..., Turnout]) -> None:
    """`second/short` says whose vectors it makes, but gives 1,536 numbers where the model has 3,072."""
    shipped = (ROOT / "config" / "models.yaml").read_text("utf-8")
    row = "  second/short: {kind: embedding, space: gemini-embedding-2, embedding: {dimensions: 3072}}\n"
    targets = "{targets: [second/short, first/gemini-embedding-2], sort: order}"
    pair = turnout(CONFIG + f"  mixed: {targets}\n", catalogue=shipped + row)
    answer = embed(pair, "mixed")
    assert len(vectors(answer)[0]) == 3072
    assert answer.headers["x-router-attempts"] == "2"
    assert len(vectors(embed(pair, "mixed", dimensions=8))[0]) == 8
