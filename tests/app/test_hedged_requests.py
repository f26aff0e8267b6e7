"""A second attempt beside a late one, over real sockets: who answers, what upstreams see, what is counted."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from harness import ROOT, Turnout, chat, counter, events, eventually

from providers.sandbox.config import FaultRule

MODELS = (ROOT / "config" / "models.yaml").read_text("utf-8").replace("ttft_ms: 700", "ttft_ms: 60")
CONFIG = """
providers:
  first:  {type: gemini, api_key: "k"}
  second: {type: openai, api_key: "k"}
models:
  pair: {targets: [first/gemini-3.8-flash, second/gemini-3.8-flash], sort: order}
routing: {hedge: {enabled: true, max_extra: 1.0}}
"""
STALL = FaultRule(fault="stall", label="first", args={"seconds": 30})
MODES = {"plain": {}, "live": {"stream": True}} | {
    mode: {"stream": True, "router": {"stream_mode": mode}} for mode in ("buffered", "repair")
}


@pytest.fixture
def racing(turnout: Callable[..., Turnout]) -> Turnout:
    return turnout(CONFIG, catalogue=MODELS)


def ask(router: Turnout, /, **more: Any) -> Any:
    started = time.monotonic()
    answer = router.http.post("/v1/chat/completions", json=chat("say: in time", "pair", max_tokens=16, **more))
    assert time.monotonic() - started < 5
    return answer


def text_of(answer: Any) -> str:
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return str(answer.json()["choices"][0]["message"]["content"])
    *data, done = events(answer.text)
    assert done == "[DONE]"
    chunks = [json.loads(item) for item in data]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


@pytest.mark.parametrize("mode", MODES)
def test_when_the_first_target_stalls_the_second_answers_long_before_the_timeout(racing: Turnout, mode: str) -> None:
    racing.faults(STALL)
    answer = ask(racing, **MODES[mode])
    assert answer.status_code == 200, answer.text
    assert text_of(answer) == "in time"
    assert (answer.headers["x-router-provider"], answer.headers["x-router-attempts"]) == ("second", "2")
    assert counter(racing, "router_hedges_total", outcome="won") == 1
    assert counter(racing, "router_attempts_total", provider="first", outcome="outrun") == 1
    assert counter(racing, "router_attempts_total", provider="second", outcome="ok") == 1
    assert counter(racing, "router_failovers_total") == 0


def test_the_one_that_was_outrun_is_booked_and_its_call_is_ended(racing: Turnout) -> None:
    racing.faults(STALL)
    answer = ask(racing)
    shown = racing.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    loser, winner = shown["attempts"]
    assert (loser["outcome"], winner["outcome"], winner["hedge"]) == ("outrun", "ok", True)
    assert loser["cost_source"] == "estimated"
    assert loser["usage"]["completion_tokens"] == 0
    assert 0 < loser["cost_usd"] < shown["cost_usd"]
    assert answer.json()["usage"]["cost"] == shown["cost_usd"] == float(answer.headers["x-router-cost-usd"])
    assert float(answer.headers["x-router-overhead-ms"]) < 1000
    assert eventually(lambda: racing.requests(label="first")[0]["client_disconnected"])


def test_a_first_target_in_time_is_alone(racing: Turnout) -> None:
    answer = ask(racing)
    assert (answer.headers["x-router-provider"], answer.headers["x-router-attempts"]) == ("first", "1")
    assert racing.requests(label="second") == []
    assert counter(racing, "router_hedges_total") == 0


def test_hedging_is_off_by_default(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG.replace("routing:", "#"), catalogue=MODELS)
    router.faults(FaultRule(fault="stall", label="first", args={"seconds": 1.5}))
    answer = ask(router)
    assert (answer.headers["x-router-provider"], answer.headers["x-router-attempts"]) == ("first", "1")


def test_the_dry_run_says_when_a_second_would_be_started(racing: Turnout) -> None:
    body = racing.http.post("/v1/route", json=chat("hi", "pair", max_tokens=16)).json()
    assert 0.05 < body["hedge_after_ms"] / 1000 < 2
