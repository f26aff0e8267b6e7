"""What the router learns from answers and what callers and operators forbid, over real sockets."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from harness import Turnout, chat
from pictures import picture

from providers.sandbox.config import FaultRule

CONFIG = """
providers:
  first:  {type: gemini, api_key: "k"}
  second: {type: openai, api_key: "k"}
models:
  pair:  {targets: [first/gemini-3.8-flash, second/gemini-3.5-flash-lite], sort: order}
  twins: {targets: [first/gemini-3.5-flash-lite, second/gemini-3.5-flash-lite]}
routing: {failover: {FAILOVER}}
"""


def config(failover: str = "") -> str:
    return CONFIG.replace("FAILOVER", failover)


def post(turnout: Turnout, text: str = "Say hello", model: str = "pair", **fields: Any) -> Any:
    return turnout.http.post("/v1/chat/completions", json=chat(text, model=model, **fields))


ASKS = [{"stream": False}, {"stream": True}, {"stream": True, "router": {"stream_mode": "buffered"}}]


@pytest.mark.parametrize("ask", ASKS, ids=["plain", "streamed", "buffered"])
@pytest.mark.parametrize(("switch", "asked"), [("", 1), ("content_policy: true", 2)])
def test_a_prompt_that_a_filter_refused_goes_to_the_next_upstream_only_where_that_is_configured(
    turnout: Callable[..., Turnout], ask: dict[str, Any], switch: str, asked: int
) -> None:
    router = turnout(config(switch))
    router.faults(FaultRule(label="first", fault="blocked-prompt"))
    answer = post(router, **ask)
    assert answer.status_code == 200
    assert [each["label"] for each in router.requests()] == ["first", "second"][:asked]
    assert ("content_filter" in answer.text) is (asked == 1)
    record = router.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert [each["outcome"] for each in record["attempts"]] == ["filtered", "ok"][2 - asked :]


def test_when_every_upstream_withholds_the_answer_the_client_is_told_why(turnout: Callable[..., Turnout]) -> None:
    router = turnout(config("content_policy: true"))
    router.faults(FaultRule(fault="blocked-prompt"))
    answer = post(router)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_policy_violation")
    assert len(router.requests()) == 2


def test_a_refused_key_stops_where_that_is_configured(turnout: Callable[..., Turnout]) -> None:
    router = turnout(config("auth: false"))
    router.faults(FaultRule(label="first", fault="status-401"))
    assert post(router).status_code == 502
    assert len(router.requests()) == 1


# --- limits of the caller's, for pictures as for text

PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "a picture": ("/v1/images/generations", {"json": {"prompt": "a red fox"}}),
    "events": ("/v1/images/generations", {"json": {"prompt": "a red fox", "stream": True}}),
    "an edit": (
        "/v1/images/edits",
        {"data": {"prompt": "bluer"}, "files": {"image": ("a.png", picture(), "image/png")}},
    ),
    "a job": ("/v1/images/generations", {"json": {"prompt": "a fox"}, "headers": {"prefer": "respond-async"}}),
    "a kept answer": ("/v1/images/generations", {"json": {"prompt": "a fox"}, "headers": {"idempotency-key": "k"}}),
}
LIMITS = [("max-cost-usd", "0.000001", "max_cost_usd", r"\$0\.0"), ("max-latency-ms", "1", "max_latency_ms", "ms")]


@pytest.mark.parametrize("what", PICTURES)
@pytest.mark.parametrize(("header", "limit", "field", "nearest"), LIMITS, ids=[each[2] for each in LIMITS])
def test_a_picture_that_nobody_makes_within_the_limits_is_a_400_that_names_the_nearest(
    router: Turnout, what: str, header: str, limit: str, field: str, nearest: str
) -> None:
    path, sent = PICTURES[what]
    headers = {**sent.get("headers", {}), f"x-router-{header}": limit}
    answer = router.http.post(path, **{**sent, "headers": headers})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == f"router.{field}"
    assert re.search(f"Nearest feasible: [a-z]+/[a-z0-9.-]+ at about .*{nearest}", error["message"])
    assert router.requests() == []


def test_among_pictures_those_within_the_limits_are_asked(router: Turnout) -> None:
    body = {"prompt": "a red fox", "n": 2}
    found = router.http.post("/v1/route", json=body).json()["candidates"]
    least = min(each["expected_cost_usd"] for each in found if each["expected_cost_usd"])
    limited = router.http.post("/v1/route", json={**body, "router": {"max_cost_usd": least}}).json()
    assert all(each["expected_cost_usd"] <= least for each in limited["candidates"])
    assert least in {each["expected_cost_usd"] for each in limited["candidates"]}
    assert all("above max_cost_usd" in each["reason"] for each in limited["excluded"] if each["expected_cost_usd"])


# --- what is learned


def record_of(turnout: Turnout, answer: Any) -> Any:
    return turnout.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()


@pytest.mark.parametrize("ask", ASKS, ids=["plain", "streamed", "buffered"])
def test_predicted_and_actual_figures_of_an_answer_can_be_read(router: Turnout, ask: dict[str, Any]) -> None:
    found = record_of(router, post(router, model="gemini-flash", **ask))["prediction"]
    streamed = ask == ASKS[1]
    assert set(found) == {"total_ms", "output_tokens", "cost_usd"} | ({"ttft_ms"} if streamed else set())
    assert all(pair["predicted"] > 0 and pair["actual"] > 0 for pair in found.values())
    if streamed:
        assert found["ttft_ms"]["actual"] <= found["total_ms"]["actual"]


def test_the_dry_run_tells_how_long_an_answer_is_expected_to_be(turnout: Callable[..., Turnout]) -> None:
    router = turnout(config())
    limited = router.http.post("/v1/route", json=chat("Say hello", "pair", max_tokens=40)).json()["candidates"]
    usual = router.http.post("/v1/route", json=chat("Say hello", "pair")).json()["candidates"]
    assert [each["predicted_output_tokens"] for each in limited] == [37, 37]  # the mean of what 40 cuts off
    assert [each["predicted_output_tokens"] for each in usual] == [250, 250]


def test_predicted_and_actual_figures_of_a_picture_can_be_read(router: Turnout) -> None:
    answer = router.http.post("/v1/images/generations", json={"prompt": "a red fox"})
    found = record_of(router, answer)["prediction"]
    assert set(found) == {"total_ms", "cost_usd"}
    assert all(pair["predicted"] > 0 and pair["actual"] > 0 for pair in found.values())


def test_how_far_off_predictions_are_is_a_metric(turnout: Callable[..., Turnout]) -> None:
    router = turnout(config())
    post(router)
    post(router, stream=True)
    lines = router.http.get("/metrics").text.splitlines()
    for kind, count in (("total", 1), ("ttft", 1), ("cost", 2)):
        labels = f'{{kind="{kind}",model="gemini-3.8-flash",provider="first"}}'
        assert f"router_prediction_ratio_count{labels} {count}.0" in lines


def test_a_conversation_stays_where_it_was_served_and_the_dry_run_says_so(turnout: Callable[..., Turnout]) -> None:
    router = turnout(config())
    opening = [{"role": "user", "content": "What is a turnout?"}]
    later = [*opening, {"role": "assistant", "content": "A switch."}, {"role": "user", "content": "And a frog?"}]

    def ask(path: str, messages: list[dict[str, str]], **more: Any) -> Any:
        return router.http.post(path, json={"model": "twins", "messages": messages, **more})

    usual = ask("/v1/route", opening).json()["target"]
    other = "second" if usual.startswith("first") else "first"
    assert ask("/v1/chat/completions", opening, router={"order": [other]}).headers["x-router-provider"] == other
    plan = ask("/v1/route", later).json()
    assert plan["target"].startswith(other)
    assert plan["candidates"][0]["reason"] == "served this conversation before"
    assert ask("/v1/chat/completions", later).headers["x-router-provider"] == other
    stranger = [{"role": "user", "content": "What is a frog?"}, *later[1:]]
    assert ask("/v1/route", stranger).json()["target"] == usual
