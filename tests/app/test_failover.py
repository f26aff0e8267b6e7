"""Failover over real sockets: what the client gets, what the upstreams saw, and what is counted."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from harness import Turnout, chat, counter, events, eventually

from providers.sandbox.config import FaultRule

FIRST, SECOND = "gemini-3.8-flash", "gemini-3.5-flash-lite"
CONFIG = """
providers:
  first:  {type: FIRST_TYPE, api_key: "k"}
  second: {type: SECOND_TYPE, api_key: "k"}
models:
  pair:   {targets: [first/gemini-3.8-flash, second/gemini-3.5-flash-lite], sort: order}
  lonely: {targets: [first/gemini-3.8-flash]}
"""
FAULTS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "resets": ("reset", {}, "reset"),
    "closes without a word": ("empty-reply", {}, "empty_reply"),
    "answers 500": ("status-500", {}, "server_error"),
    "answers 503": ("status-503", {}, "server_error"),
    "answers 429 with RetryInfo": ("429-retry-info", {"delay": "7.25s"}, "rate_limited"),
    "stalls before the headers": ("stall", {"seconds": 30}, "timeout"),
    "stalls before the first byte of the body": ("stall-first-byte", {"seconds": 30}, "timeout"),
    "answers 200 with an empty candidate": ("empty-candidate", {}, "empty"),
    "answers 200 with HTML": ("html-200", {}, None),
    "answers 401": ("status-401", {}, "auth"),
    "answers 404": ("status-404", {}, "config"),
}
TYPES = [("gemini", "openai"), ("openai", "gemini"), ("gemini", "gemini")]


def config(first: str, second: str) -> str:
    return CONFIG.replace("FIRST_TYPE", first).replace("SECOND_TYPE", second)


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def served(answer: httpx.Response, stream: bool) -> tuple[str, str]:
    """The model and the text of a good answer."""
    assert answer.status_code == 200, answer.text
    if not stream:
        body = answer.json()
        return body["model"], body["choices"][0]["message"]["content"]
    *data, done = events(answer.text)
    assert done == "[DONE]"
    chunks = [json.loads(item) for item in data]
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    return chunks[0]["model"], text


@pytest.mark.parametrize(("first", "second"), TYPES)
@pytest.mark.parametrize("what", FAULTS)
def test_when_the_first_target_fails_the_second_answers(
    turnout: Callable[..., Turnout], what: str, first: str, second: str, stream: bool
) -> None:
    fault, args, outcome = FAULTS[what]
    router = turnout(config(first, second))
    router.faults(FaultRule(fault=fault, label="first", args=args))
    body = chat("say: all is well", "pair", stream=stream, router={"deadline_ms": 1600})
    started = time.monotonic()
    answer = router.http.post("/v1/chat/completions", json=body)
    assert time.monotonic() - started < 1.7
    assert served(answer, stream) == (SECOND, "all is well")
    assert answer.headers["x-router-attempts"] == "2"
    assert answer.headers["x-router-provider"] == "second"
    assert answer.headers["x-router-model"] == SECOND
    assert counter(router, "router_attempts_total", provider="first", model=FIRST) == 1
    assert counter(router, "router_attempts_total", provider="second", model=SECOND, outcome="ok") == 1
    if outcome:
        assert counter(router, "router_attempts_total", provider="first", outcome=outcome) == 1
        assert counter(router, "router_failovers_total", reason=outcome) == 1
    assert counter(router, "router_requests_total", model="pair", status="200") == 1


def test_a_refused_connection_fails_over(turnout: Callable[..., Turnout], stream: bool) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        port = closed.getsockname()[1]
        router = turnout(
            "providers:\n"
            f'  first:  {{type: openai, api_key: "k", base_url: "http://127.0.0.1:{port}/v1"}}\n'
            '  second: {type: gemini, api_key: "k", base_url: "{sandbox}/p/second/gemini/v1beta"}\n'
            f"models:\n  pair: {{targets: [first/{FIRST}, second/{SECOND}], sort: order}}\n"
        )
        answer = router.http.post("/v1/chat/completions", json=chat("say: here", "pair", stream=stream))
    assert served(answer, stream) == (SECOND, "here")
    assert answer.headers["x-router-attempts"] == "2"
    assert counter(router, "router_attempts_total", outcome="connect_refused") == 1


def test_a_client_error_is_not_tried_elsewhere(turnout: Callable[..., Turnout], stream: bool) -> None:
    router = turnout(config("gemini", "openai"))
    router.faults(FaultRule(fault="status-400", label="first"))
    answer = router.http.post("/v1/chat/completions", json=chat("hi", "pair", stream=stream))
    assert answer.status_code == 400
    assert router.requests(label="second") == []


def test_when_all_fail_the_error_is_the_last_one_and_sdks_are_told_not_to_retry(
    turnout: Callable[..., Turnout], stream: bool
) -> None:
    router = turnout(config("gemini", "openai"))
    router.faults(FaultRule(fault="status-500"))
    answer = router.http.post("/v1/chat/completions", json=chat("hi", "pair", stream=stream))
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-should-retry"] == "false"
    error = answer.json()["error"]
    assert (error["code"], error["metadata"]["attempts"]) == ("upstream_unavailable", 2)


def test_a_sole_target_is_asked_once_more(turnout: Callable[..., Turnout], stream: bool) -> None:
    router = turnout(config("gemini", "openai"))
    router.faults(FaultRule(fault="status-500", label="first", times=1))
    answer = router.http.post("/v1/chat/completions", json=chat("say: back", "lonely", stream=stream))
    assert served(answer, stream) == (FIRST, "back")
    assert answer.headers["x-router-attempts"] == "2"


def test_when_every_target_is_rate_limited_the_answer_is_429_with_the_true_wait(
    turnout: Callable[..., Turnout],
) -> None:
    router = turnout(config("gemini", "gemini"))
    router.faults(
        FaultRule(fault="429-retry-info", label="first", args={"delay": "20.04s"}),
        FaultRule(fault="429-retry-info", label="second", args={"delay": "41s"}),
    )
    first = router.http.post("/v1/chat/completions", json=chat("hi", "pair"))
    assert (first.status_code, first.headers["retry-after"]) == (429, "21")
    asked = len(router.requests())
    again = router.http.post("/v1/chat/completions", json=chat("hi", "pair"))
    assert again.status_code == 429
    assert 19 <= int(again.headers["retry-after"]) <= 21
    assert len(router.requests()) == asked, "a blocked target is not asked before its time"


def test_a_rate_limited_target_is_skipped_and_not_asked_again(turnout: Callable[..., Turnout]) -> None:
    router = turnout(config("gemini", "openai"))
    router.faults(FaultRule(fault="429-retry-info", label="first", args={"delay": "30s"}, times=1))
    attempts = [
        router.http.post("/v1/chat/completions", json=chat("hi", "pair")).headers["x-router-attempts"] for _ in range(4)
    ]
    assert attempts == ["2", "1", "1", "1"]
    assert len(router.requests(label="first")) == 1


class Clock:
    """A clock that tests push forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def test_an_open_breaker_keeps_the_first_target_unasked_until_its_probe(turnout: Callable[..., Turnout]) -> None:
    clock = Clock()
    router = turnout(config("gemini", "openai"), clock=clock)
    router.faults(FaultRule(fault="status-500", label="first"))

    def ask() -> httpx.Response:
        return router.http.post("/v1/chat/completions", json=chat("hi", "pair"))

    for _ in range(5):
        assert ask().headers["x-router-attempts"] == "2"
    assert counter(router, "router_breaker_state", provider="first", model=FIRST) == 2
    for _ in range(3):
        assert ask().headers["x-router-attempts"] == "1"
    assert len(router.requests(label="first")) == 5
    clock.ahead += 5.1  # the first opening lasts at most five seconds
    assert ask().headers["x-router-attempts"] == "2", "the probe fails and the second target still answers"
    assert len(router.requests(label="first")) == 6
    assert ask().headers["x-router-attempts"] == "1"
    router.clear()
    clock.ahead += 10.1
    for _ in range(3):
        answer = ask()
        assert (answer.headers["x-router-attempts"], answer.headers["x-router-provider"]) == ("1", "first")
    assert counter(router, "router_breaker_state", provider="first", model=FIRST) == 0


@pytest.mark.parametrize("first", ["gemini", "openai"])
@pytest.mark.parametrize("fault", ["reset-mid-stream", "truncate", "error-mid-stream"])
def test_a_break_after_the_first_chunk_is_an_error_event_and_never_a_clean_end(
    turnout: Callable[..., Turnout], first: str, fault: str
) -> None:
    router = turnout(config(first, "gemini"))
    router.faults(FaultRule(fault=fault, label="first"))
    answer = router.http.post("/v1/chat/completions", json=chat("words: 40", "pair", stream=True))
    assert answer.status_code == 200
    *data, last = events(answer.text)
    assert "[DONE]" not in data
    error = json.loads(last)["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    chunks = [json.loads(item) for item in data]
    assert any(chunk["choices"][0]["delta"].get("content") for chunk in chunks)
    assert not any(chunk["choices"][0]["finish_reason"] for chunk in chunks)
    assert router.requests(label="second") == [], "what was sent cannot be taken back"
    assert counter(router, "router_streams_interrupted_total", provider="first") == 1


@pytest.mark.parametrize("provider_type", ["gemini", "openai"])
@pytest.mark.parametrize("when", ["waiting", "mid-stream"])
def test_a_client_that_leaves_ends_the_upstream_call_within_a_second(
    turnout: Callable[..., Turnout], provider_type: str, when: str
) -> None:
    router = turnout(config(provider_type, "gemini"))
    fault = "stall" if when == "waiting" else "stall-mid-stream"
    router.faults(FaultRule(fault=fault, label="first", args={"seconds": 20}))
    body = chat("words: 40", "pair", stream=when != "waiting")
    with httpx.Client(base_url=router.url, trust_env=False) as client:
        if when == "waiting":
            with pytest.raises(httpx.ReadTimeout):
                client.post("/v1/chat/completions", json=body, timeout=0.5)
        else:
            with client.stream("POST", "/v1/chat/completions", json=body, timeout=5) as answer:
                next(answer.iter_lines())
    left = time.monotonic()
    eventually(lambda: router.requests(label="first")[0]["client_disconnected"], 2)
    assert time.monotonic() - left < 1
    eventually(lambda: counter(router, "router_requests_total", status="499") == 1, 2)
    assert router.requests(label="second") == []
    assert router.on_loop(lambda: router.gateway.in_flight) == 0


@pytest.fixture
def dry_run_router(turnout: Callable[..., Turnout]) -> Turnout:
    return turnout()


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a short question": ("/v1/chat/completions", chat("Say hello")),
    "300,000 tokens": ("/v1/chat/completions", chat("word " * 240_000)),
    "tools": (
        "/v1/chat/completions",
        chat(
            "What is the weather in Oslo?",
            tools=[
                {
                    "type": "function",
                    "function": {
                        "name": "weather",
                        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
                    },
                }
            ],
        ),
    ),
    "a picture": ("/v1/images/generations", {"prompt": "a red fox", "size": "1024x1024"}),
    "a cost limit": ("/v1/chat/completions", chat("Say hello", "gemini-pro", router={"max_cost_usd": 0.004})),
    "latency first": ("/v1/chat/completions", chat("Say hello", "gemini-flash", router={"sort": "latency"})),
    "a direct target": ("/v1/chat/completions", chat("Say hello", "xroute/gemini-3.8-flash")),
    "a retired name": ("/v1/chat/completions", chat("Say hello", "gemini-2.0-flash-exp")),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_the_dry_run_names_the_target_that_the_live_request_uses(dry_run_router: Turnout, what: str) -> None:
    path, body = REQUESTS[what]
    plan = dry_run_router.http.post("/v1/route", json=body).json()
    assert dry_run_router.requests() == [], "a dry run asks nobody"
    answer = dry_run_router.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    used = f"{answer.headers['x-router-provider']}/{answer.headers['x-router-model']}"
    assert plan["target"] == used
    assert plan["reason"] == answer.headers["x-router-reason"]
    assert plan["candidates"][0]["target"] == used


def test_long_prompts_and_limits_lead_elsewhere_than_short_ones(dry_run_router: Turnout) -> None:
    targets = {
        what: dry_run_router.http.post("/v1/route", json=body).json()["target"] for what, (_, body) in REQUESTS.items()
    }
    assert "pro" in targets["300,000 tokens"]
    assert "flash" in targets["a short question"]
    assert targets["a picture"].endswith(("image", "banana-2.1", "image-2", "pro"))


def test_a_limit_nobody_keeps_is_a_400_that_names_the_nearest(dry_run_router: Turnout) -> None:
    body = chat("Say hello", "gemini-pro", router={"max_cost_usd": 0.000001})
    answer = dry_run_router.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "router.max_cost_usd"
    assert "Nearest feasible" in error["message"]
    assert dry_run_router.requests() == []


def test_each_request_is_counted_and_remembered_once(dry_run_router: Turnout) -> None:
    answer = dry_run_router.http.post("/v1/chat/completions", json=chat("Say hello"))
    stored = dry_run_router.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert stored["served_by"] == f"{answer.headers['x-router-provider']}/{answer.headers['x-router-model']}"
    assert [attempt["outcome"] for attempt in stored["attempts"]] == ["ok"]
    assert stored["cost_usd"] == answer.json()["usage"]["cost"] > 0
    assert counter(dry_run_router, "router_requests_total") == 1
    assert counter(dry_run_router, "router_cost_usd_total", source="catalogue") == pytest.approx(stored["cost_usd"])
    assert counter(dry_run_router, "gen_ai_server_request_duration_count") == 1
    assert dry_run_router.http.get("/v1/requests/req_unknown").status_code == 404
