"""Prompts that are kept upstream: a cache that the client names, sent, counted, priced; and one that is not there."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from harness import Turnout, chat, events

MODEL = "gemini-3.8-flash"
CONFIG = """
providers:
  google: {type: gemini, api_key: "k1", base_url: "{sandbox}/p/google/gemini/v1beta"}
  second: {type: gemini, api_key: "k2", base_url: "{sandbox}/p/second/gemini/v1beta"}
models:
  sole: {targets: [google/gemini-3.8-flash]}
  pair: {targets: [google/gemini-3.8-flash, second/gemini-3.8-flash], sort: order}
"""
CATALOGUE = """
models:
  gemini-3.8-flash:
    family: 3.8
    thinking: {kind: level, levels: [LOW, MEDIUM, HIGH]}
    sampling: false
    call_ids: true
    prices: [{input: 4, output: 20, cached_input: 0.5}]
"""
INPUT, OUTPUT, CACHED = Decimal(4), Decimal(20), Decimal("0.5")  # USD per million
BOOK = "All the rules of the house. " * 300


@pytest.fixture
def house(turnout: Callable[..., Turnout]) -> Turnout:
    return turnout(CONFIG, catalogue=CATALOGUE)


def kept(house: Turnout, label: str = "google", key: str = "k1") -> tuple[str, int]:
    """The name and the token count of a new cache, made as an operator makes one: upstream, with the provider's key."""
    body = {
        "model": f"models/{MODEL}",
        "systemInstruction": {"parts": [{"text": BOOK}]},
        "contents": [{"role": "user", "parts": [{"text": "Obey them."}]}],
        "ttl": "600s",
    }
    url = f"{house.sandbox_url}/p/{label}/gemini/v1beta/cachedContents"
    made = httpx.post(url, json=body, headers={"x-goog-api-key": key}, trust_env=False)
    assert made.status_code == 200, made.text
    shown = httpx.get(f"{url}/{made.json()['name'].partition('/')[2]}", headers={"x-goog-api-key": key})
    assert shown.json()["usageMetadata"] == made.json()["usageMetadata"]
    return made.json()["name"], made.json()["usageMetadata"]["totalTokenCount"]


def ask(house: Turnout, body: dict[str, Any]) -> httpx.Response:
    return house.http.post("/v1/chat/completions", json=body)


def cost_of(usage: dict[str, Any]) -> Decimal:
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    fresh = usage["prompt_tokens"] - cached
    return (fresh * INPUT + cached * CACHED + usage["completion_tokens"] * OUTPUT) / 1_000_000


@pytest.mark.parametrize(
    "named",
    [
        lambda name: {"google": {"cached_content": name}},
        lambda name: {"extra_body": {"google": {"cached_content": name}}},
        lambda name: {"google": {"cachedContent": name}},
    ],
    ids=["google", "extra_body.google", "camelCase"],
)
def test_a_cache_is_sent_counted_and_priced_everywhere_the_same(house: Turnout, named: Callable[..., Any]) -> None:
    name, tokens = kept(house)
    answer = ask(house, chat("say: yes", "sole", **named(name)))
    assert answer.status_code == 200, answer.text
    assert house.requests(operation="generate")[-1]["body"]["cachedContent"] == name
    usage = answer.json()["usage"]
    assert tokens > 1000
    assert usage["prompt_tokens_details"]["cached_tokens"] == tokens
    assert usage["prompt_tokens"] > tokens
    cost = cost_of(usage)
    assert Decimal(str(usage["cost"])) == cost
    assert Decimal(answer.headers["x-router-cost-usd"]) == cost
    record = house.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert Decimal(str(record["cost_usd"])) == cost
    assert (record["cost_source"], record["usage"]["prompt_tokens_details"]["cached_tokens"]) == ("catalogue", tokens)
    full = usage["prompt_tokens"] * INPUT / 1_000_000
    assert cost < full, "a cached token is cheaper than another"


def test_a_streamed_answer_counts_and_prices_it_in_its_last_chunk(house: Turnout) -> None:
    name, tokens = kept(house)
    body = chat(
        "say: yes", "sole", google={"cached_content": name}, stream=True, stream_options={"include_usage": True}
    )
    answer = ask(house, body)
    *_, last, done = events(answer.text)
    assert done == "[DONE]"
    usage = json.loads(last)["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == tokens
    assert Decimal(str(usage["cost"])) == cost_of(usage)
    record = house.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert Decimal(str(record["cost_usd"])) == cost_of(usage)


def test_what_the_cache_already_holds_is_left_out_and_said(house: Turnout) -> None:
    name, _ = kept(house)
    tool = {"type": "function", "function": {"name": "f"}}
    body = chat("hi", "sole", google={"cached_content": name}, tools=[tool], tool_choice="required")
    body["messages"].insert(0, {"role": "system", "content": "S"})
    answer = ask(house, body)
    assert answer.status_code == 200, answer.text
    for field in ("system", "tools", "tool_choice"):
        assert f"{field}=dropped" in answer.headers["x-router-warnings"]
    assert set(house.requests()[-1]["body"]) == {"contents", "cachedContent"}
    strict = ask(house, body | {"router": {"strict": True}})
    assert (strict.status_code, strict.json()["error"]["param"]) == (400, "system")


@pytest.mark.parametrize("stream", [False, True])
def test_a_cache_nobody_holds_is_the_callers_fault_and_costs_the_others_nothing(house: Turnout, stream: bool) -> None:
    gone = ask(house, chat("hi", "pair", google={"cached_content": "cachedContents/gone"}, stream=stream))
    assert gone.status_code == 400, gone.text
    assert gone.json()["error"]["param"] == "google.cached_content"
    assert [entry["label"] for entry in house.requests()] == ["google", "second"], "the other account may hold it"
    after = ask(house, chat("hi", "pair"))
    assert (after.headers["x-router-provider"], after.headers["x-router-attempts"]) == ("google", "1")


def test_the_account_that_holds_it_answers(house: Turnout) -> None:
    name, tokens = kept(house, "second", "k2")
    answer = ask(house, chat("hi", "pair", google={"cached_content": name}))
    assert answer.headers["x-router-provider"] == "second"
    assert answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"] == tokens


def test_a_name_that_is_none_is_refused_before_anyone_is_asked(house: Turnout) -> None:
    for name in ("../files", "cachedContents/", 5, ["cachedContents/a"]):
        refused = ask(house, chat("hi", "sole", google={"cached_content": name}))
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "google.cached_content")
    assert house.requests() == []
