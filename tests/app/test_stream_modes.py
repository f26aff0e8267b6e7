"""What becomes of a stream that breaks, in each of the three modes, over real sockets."""

import json
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from harness import Turnout, chat, counter, events, eventually

from providers.sandbox.config import FaultRule

WORDS = " ".join(f"word{number}" for number in range(1, 61))
ASKED = "words: 60"
FIRST, SECOND = "gemini-3.8-flash", "gemini-3.5-flash-lite"
PREFILLED = "gemini-3.1-pro-preview"
CONFIG = """
providers:
  first:  {type: FIRST_TYPE, api_key: "k"}
  second: {type: SECOND_TYPE, api_key: "k"}
  third:  {type: gemini, api_key: "k"}
models:
  pair:   {targets: [first/gemini-3.8-flash, second/gemini-3.5-flash-lite], sort: order}
  prefill: {targets: [first/gemini-3.8-flash, second/gemini-3.1-pro-preview], sort: order}
  three:  {targets: [first/gemini-3.8-flash, second/gemini-3.5-flash-lite, third/gemini-3.1-pro-preview], sort: order}
  lonely: {targets: [first/gemini-3.8-flash]}
  held:   {targets: [first/gemini-3.8-flash, second/gemini-3.5-flash-lite], sort: order, stream_mode: buffered}
  via:    {use: held}
  mended: {targets: [first/gemini-3.8-flash, second/gemini-3.5-flash-lite], sort: order, stream_mode: repair}
routing: {idle_timeout_ms: 300}
"""
BREAKS: dict[str, dict[str, Any]] = {
    "reset-mid-stream": {"after": 40},
    "truncate": {"after": 40},
    "error-mid-stream": {"after": 40},
    "stall-mid-stream": {"after": 40, "seconds": 30},
}
TYPES = [("gemini", "openai"), ("openai", "gemini"), ("gemini", "gemini"), ("openai", "openai")]
Start = Callable[..., Turnout]


def config(first: str = "gemini", second: str = "openai") -> str:
    return CONFIG.replace("FIRST_TYPE", first).replace("SECOND_TYPE", second)


def broken(router: Turnout, fault: str = "reset-mid-stream", **args: Any) -> None:
    router.faults(FaultRule(fault=fault, label="first", args={**BREAKS[fault], **args}))


def ask(router: Turnout, model: str, mode: str | None, text: str = ASKED, **more: Any) -> httpx.Response:
    """A stream with usage at its end; `wishes` are more of the router's own fields."""
    directives = {**({"stream_mode": mode} if mode else {}), **more.pop("wishes", {})}
    body = chat(text, model, stream=True, stream_options={"include_usage": True}, router=directives, **more)
    return router.http.post("/v1/chat/completions", json=body)


def text_of(answer: httpx.Response) -> str:
    """The text of a whole answer; fails on one that broke off or is not a stream of OpenAI's."""
    assert answer.status_code == 200, answer.text
    *data, done = events(answer.text)
    assert done == "[DONE]", answer.text[-300:]
    chunks = [json.loads(item) for item in data]
    assert len({chunk["id"] for chunk in chunks}) == len({chunk["model"] for chunk in chunks}) == 1
    finishes = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert finishes == ["stop"]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


def broken_off(answer: httpx.Response) -> tuple[str, dict[str, Any]]:
    """The text that came and the error it ended with."""
    assert answer.status_code == 200, answer.text
    *data, last = events(answer.text)
    assert "[DONE]" not in data
    chunks = [json.loads(item) for item in data]
    assert not any(choice["finish_reason"] for chunk in chunks for choice in chunk["choices"])
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    return text, json.loads(last)["error"]


def usage_of(answer: httpx.Response) -> dict[str, Any]:
    usage: dict[str, Any] = json.loads(events(answer.text)[-2])["usage"]
    return usage


def stored(router: Turnout, answer: httpx.Response) -> dict[str, Any]:
    record: dict[str, Any] = router.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    return record


# --- what the client gets


@pytest.mark.parametrize(("first", "second"), TYPES)
@pytest.mark.parametrize("fault", BREAKS)
def test_a_live_stream_that_breaks_ends_with_a_typed_error(turnout: Start, fault: str, first: str, second: str) -> None:
    router = turnout(config(first, second))
    broken(router, fault)
    text, error = broken_off(ask(router, "pair", "live"))
    assert WORDS.startswith(text)
    assert 35 <= len(text.split()) <= 41, "what had come before the break is the client's"
    assert (error["type"], error["code"]) == ("server_error", "upstream_stream_interrupted")
    assert router.requests(label="second") == []


@pytest.mark.parametrize(("first", "second"), TYPES)
@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("mode", ["buffered", "repair"])
def test_all_sixty_words_come_exactly_once(turnout: Start, mode: str, fault: str, first: str, second: str) -> None:
    router = turnout(config(first, second))
    broken(router, fault)
    started = time.monotonic()
    answer = ask(router, "pair", mode)
    assert text_of(answer) == WORDS
    assert time.monotonic() - started < 3
    assert answer.headers["x-router-stream-mode"] == mode


@pytest.mark.parametrize("model", ["pair", "prefill"])
@pytest.mark.parametrize(("first", "second"), TYPES)
def test_a_repaired_answer_is_whole_wherever_it_was_cut(turnout: Start, model: str, first: str, second: str) -> None:
    router = turnout(config(first, second))
    for after in (1, 2, 3, 4, 17, 58, 59, 60, 61):
        broken(router, "truncate", after=after)
        router.on_loop(router.gateway.health.targets().clear)
        answer = ask(router, model, "repair")
        assert text_of(answer) == WORDS, f"cut after {after} events"


@pytest.mark.parametrize("model", ["pair", "prefill"])
@pytest.mark.parametrize("how", ["exactly", "tight", "repeat 9", "restart"])
def test_what_a_model_says_again_and_the_white_space_it_forgets_do_not_show(
    turnout: Start, model: str, how: str
) -> None:
    router = turnout(config("openai", "gemini"))
    broken(router)
    text = f"resume: {how} {ASKED}"
    if model == "pair" and how == "repeat 9":
        text = f"resume: exactly {ASKED}"  # a model that was told begins with words of its own accord
    assert text_of(ask(router, model, "repair", text)) == WORDS


def test_a_model_that_talks_about_it_is_not_shown(turnout: Start) -> None:
    router = turnout(config("gemini", "openai"))
    broken(router)
    answer = ask(router, "pair", "repair", f"resume: chatter {ASKED}")
    text, error = broken_off(answer)
    assert WORDS.startswith(text)
    assert error["code"] == "upstream_stream_interrupted"
    record = stored(router, answer)
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["stream_reset", "seam"]
    assert (record["seam"]["to"], record["seam"]["joint"]) == (None, None)
    assert counter(router, "router_stream_repairs_total", outcome="failed") == 1
    assert counter(router, "router_streams_interrupted_total", provider="first") == 1
    assert counter(router, "router_breaker_state", provider="second") == 0


def test_where_one_model_does_not_go_on_the_next_one_does(turnout: Start) -> None:
    router = turnout(config())
    router.faults(
        FaultRule(fault="reset-mid-stream", label="first", args={"after": 40}),
        FaultRule(fault="reset-mid-stream", label="second", args={"after": 1}),
    )
    answer = ask(router, "three", "repair")
    assert text_of(answer) == WORDS
    record = stored(router, answer)
    assert [attempt["outcome"] for attempt in record["attempts"]][0::2] == ["stream_reset", "ok"]
    assert record["seam"]["to"] == f"third/{PREFILLED}"


def test_there_is_one_seam_and_no_second(turnout: Start) -> None:
    router = turnout(config())
    router.faults(
        FaultRule(fault="reset-mid-stream", label="first", args={"after": 20}),
        FaultRule(fault="reset-mid-stream", label="second", args={"after": 30}),
    )
    answer = ask(router, "three", "repair")
    text, error = broken_off(answer)
    assert WORDS.startswith(text)
    assert len(text) > len(" ".join(WORDS.split()[:25]))
    assert error["code"] == "upstream_stream_interrupted"
    assert router.requests(label="third") == []
    record = stored(router, answer)
    assert (record["interrupted"], record["seam"]["joint"]) == (True, "instruction")


def test_a_lone_target_goes_on_with_its_own_text(turnout: Start) -> None:
    router = turnout(config())
    router.faults(FaultRule(fault="reset-mid-stream", label="first", args={"after": 40}, times=1))
    answer = ask(router, "lonely", "repair")
    assert text_of(answer) == WORDS
    assert stored(router, answer)["seam"]["to"] == f"first/{FIRST}"


def test_when_nobody_is_left_the_client_hears_of_the_break(turnout: Start) -> None:
    router = turnout(config())
    router.faults(
        FaultRule(fault="truncate", label="first", args={"after": 40}), FaultRule(fault="status-503", label="second")
    )
    text, error = broken_off(ask(router, "pair", "repair"))
    assert WORDS.startswith(text)
    assert error["code"] == "upstream_stream_interrupted"


def test_nobody_is_asked_to_go_on_once_the_deadline_has_passed(turnout: Start) -> None:
    router = turnout(config())
    broken(router, "stall-mid-stream")
    _, error = broken_off(ask(router, "pair", "repair", wishes={"deadline_ms": 200}))
    assert error["code"] == "upstream_stream_interrupted"
    assert router.requests(label="second") == []


# --- what the upstreams see


def test_a_model_that_takes_a_prefill_is_handed_the_text_as_its_own_turn(turnout: Start) -> None:
    router = turnout(config())
    broken(router)
    assert text_of(ask(router, "prefill", "repair")) == WORDS
    (asked,) = router.requests(label="second")
    question, prefill = asked["body"]["messages"]
    assert question == {"role": "user", "content": ASKED}
    assert prefill["role"] == "assistant"
    assert re.fullmatch(r"word1 .* word3\d ", prefill["content"])
    assert WORDS.startswith(prefill["content"])


@pytest.mark.parametrize(("first", "second"), [("openai", "gemini"), ("gemini", "openai")])
def test_any_other_model_is_told_to_begin_with_its_last_words(turnout: Start, first: str, second: str) -> None:
    router = turnout(config(first, second))
    broken(router)
    assert text_of(ask(router, "pair", "repair", max_completion_tokens=500)) == WORDS
    (asked,) = router.requests(label="second")
    body = asked["body"]
    if second == "openai":
        _, said, told = (message["content"] for message in body["messages"])
        limit = body["max_completion_tokens"]
    else:
        _, said, told = (content["parts"][0]["text"] for content in body["contents"])
        limit = body["generationConfig"]["maxOutputTokens"]
    assert WORDS.startswith(said)
    assert told.endswith(f"Continue from: {' '.join(said.split()[-4:])}")
    assert 400 < limit < 450, "what is written counts against the caller's limit"


# --- what is booked


@pytest.mark.parametrize(("first", "second"), TYPES)
@pytest.mark.parametrize("mode", ["buffered", "repair"])
def test_both_attempts_are_booked_and_the_client_sees_their_total(
    turnout: Start, mode: str, first: str, second: str
) -> None:
    router = turnout(config(first, second))
    broken(router)
    answer = ask(router, "pair", mode)
    usage, record = usage_of(answer), stored(router, answer)
    lost, kept = record["attempts"]
    assert [lost["outcome"], kept["outcome"]] == ["stream_reset", "ok"]
    assert lost["cost_usd"] > 0
    assert lost["cost_source"] == ("catalogue" if first == "gemini" else "estimated")
    (served,) = router.requests(label="second")
    assert usage["completion_tokens"] > lost["usage"]["completion_tokens"] > 50
    assert usage["prompt_tokens"] > lost["usage"]["prompt_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["cost"] == record["cost_usd"] > lost["cost_usd"]
    assert record["usage"]["total_tokens"] == usage["total_tokens"]
    assert served["status"] == 200
    for provider in ("first", "second"):
        assert counter(router, "router_cost_usd_total", provider=provider) > 0
        assert counter(router, "gen_ai_client_token_usage_count", gen_ai_provider_name=provider) == 2
    assert counter(router, "router_cost_usd_total") == pytest.approx(usage["cost"])
    assert counter(router, "router_attempts_total", provider="first", outcome="stream_reset") == 1
    assert counter(router, "router_failovers_total", reason="stream_reset") == 1
    assert counter(router, "router_streams_interrupted_total") == 0
    assert counter(router, "router_stream_repairs_total", outcome="repaired") == (mode == "repair")


def test_the_record_tells_the_seam(turnout: Start) -> None:
    router = turnout(config())
    broken(router)
    answer = ask(router, "pair", "repair")
    record = stored(router, answer)
    seam = record["seam"]
    assert 200 < seam.pop("after_characters") < len(WORDS)
    assert seam == {
        "from": f"first/{FIRST}", "to": f"second/{SECOND}", "reason": "stream_reset", "joint": "instruction",
    }  # fmt: skip
    assert (record["stream_mode"], record["interrupted"], record["error"]) == ("repair", False, None)
    assert record["served_by"] == f"second/{SECOND}"


def test_an_answer_without_a_break_has_no_seam_and_one_cost(turnout: Start) -> None:
    router = turnout(config())
    answer = ask(router, "pair", "repair")
    assert text_of(answer) == WORDS
    record = stored(router, answer)
    assert (record["seam"], len(record["attempts"])) == (None, 1)
    assert "cost_usd" not in record["attempts"][0]
    assert usage_of(answer)["cost"] == record["cost_usd"]


def test_a_buffered_answer_names_who_served_and_its_true_cost_in_its_headers(turnout: Start) -> None:
    router = turnout(config())
    broken(router)
    answer = ask(router, "pair", "buffered")
    assert answer.headers["x-router-provider"] == "second"
    assert answer.headers["x-router-attempts"] == "2"
    assert float(answer.headers["x-router-cost-usd"]) == pytest.approx(usage_of(answer)["cost"])


# --- thoughts and signatures


def test_the_second_models_thoughts_are_not_shown_behind_a_text(turnout: Start) -> None:
    router = turnout(config("gemini", "gemini"))
    broken(router)
    google = {"google": {"thinking_config": {"include_thoughts": True, "thinking_level": "low"}}}
    answer = ask(router, "pair", "repair", **google)
    assert text_of(answer) == WORDS
    deltas = [json.loads(item)["choices"][0]["delta"] for item in events(answer.text)[:-2]]
    kinds = ["thought" if "reasoning_content" in delta else "text" for delta in deltas if delta]
    assert kinds.index("text") == 0  # the opening chunk, which has the role
    assert [kind for kind in kinds if kind == "thought"] == ["thought"]
    assert not any("extra_content" in delta for delta in deltas), "no signature for a text of two models"


def test_a_break_among_the_thoughts_begins_the_answer_anew(turnout: Start) -> None:
    router = turnout(config("gemini", "gemini"))
    broken(router, after=1)
    google = {"google": {"thinking_config": {"include_thoughts": True, "thinking_level": "low"}}}
    answer = ask(router, "pair", "repair", **google)
    assert text_of(answer) == WORDS
    assert stored(router, answer)["seam"]["joint"] == "afresh"
    (asked,) = router.requests(label="second")
    assert len(asked["body"]["contents"]) == 1


# --- what no other model can go on with

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {}}}}
OBSTACLES: dict[str, dict[str, Any]] = {
    "tools": {"tools": [TOOL], "tool_choice": "none"},
    "response_format": {"response_format": SCHEMA},
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "web_search_options": {"web_search_options": {}},
}


@pytest.mark.parametrize("field", OBSTACLES)
def test_what_no_other_model_can_go_on_with_is_streamed_live_and_says_so(turnout: Start, field: str) -> None:
    router = turnout(config("openai", "openai"))
    broken(router, after=4)
    answer = ask(router, "pair", "repair", **OBSTACLES[field])
    assert "error" in json.loads(events(answer.text)[-1])
    assert "[DONE]" not in answer.text
    assert f"router.stream_mode=live, because of {field}" in answer.headers["x-router-warnings"]
    assert "x-router-stream-mode" not in answer.headers
    assert router.requests(label="second") == []
    assert stored(router, answer)["stream_mode"] == "live"


def test_a_mode_of_the_configuration_is_given_up_without_a_warning(turnout: Start) -> None:
    router = turnout(config("openai", "openai"))
    answer = ask(router, "mended", None, "hi", **OBSTACLES["tools"])
    assert "x-router-warnings" not in answer.headers
    assert stored(router, answer)["stream_mode"] == "live"


@pytest.mark.parametrize("field", OBSTACLES)
def test_buffered_serves_them_all(turnout: Start, field: str) -> None:
    router = turnout(config("openai", "openai"))
    broken(router, after=4)
    answer = ask(router, "pair", "buffered", **OBSTACLES[field])
    assert events(answer.text)[-1] == "[DONE]"
    assert answer.headers["x-router-provider"] == "second"


# --- buffered: nothing before all of it


def test_a_buffered_answer_that_nobody_can_give_has_the_status_of_its_error(turnout: Start) -> None:
    router = turnout(config())
    router.faults(FaultRule(fault="truncate", args={"after": 40}))
    answer = ask(router, "pair", "buffered")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-should-retry"] == "false"
    error = answer.json()["error"]
    assert (error["code"], error["metadata"]["attempts"]) == ("upstream_bad_response", 2)
    record = stored(router, answer)
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["stream_truncated"] * 2
    assert record["cost_usd"] == pytest.approx(sum(attempt["cost_usd"] for attempt in record["attempts"]))


@pytest.fixture
def impatient_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that are kept alive every tenth of a second."""
    for module in ("writer", "buffered"):
        monkeypatch.setattr(f"router.api.streaming.{module}.KEEP_ALIVE_S", 0.1)


@pytest.mark.usefixtures("impatient_line")
def test_comments_keep_the_line_of_a_buffered_answer_alive(turnout: Start) -> None:
    router = turnout(config())
    router.faults(FaultRule(fault="slow-chunks", args={"seconds": 0.02}))
    body = chat("words: 30", "pair", stream=True, router={"stream_mode": "buffered"})
    with router.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.headers["x-router-stream-mode"] == "buffered"
        assert "x-router-model" not in answer.headers, "nobody has served it yet"
        text = "".join(answer.iter_text())
    comments, _, data = text.partition("data:")
    assert comments.count(": keep-alive\n\n") >= 3
    assert "keep-alive" not in data
    assert events(text)[-1] == "[DONE]"


@pytest.mark.usefixtures("impatient_line")
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_a_buffered_answer_that_fails_after_its_headers_ends_with_an_error_event(turnout: Start, path: str) -> None:
    router = turnout(config())
    broken(router, "stall-mid-stream")
    router.faults(FaultRule(fault="stall-mid-stream", args={"after": 40, "seconds": 30}))
    body = chat(ASKED, "pair", stream=True, router={"stream_mode": "buffered"})
    if path.endswith("responses"):
        body["input"] = body.pop("messages")
    answer = router.http.post(path, json=body)
    assert answer.status_code == 200
    assert answer.text.startswith(": keep-alive\n\n")
    *before, last = events(answer.text)
    assert json.loads(last)["error"]["code"] == "upstream_timeout"
    assert "word" not in "".join(before), "nothing of an answer that is not whole"
    record = stored(router, answer)
    assert (record["status"], record["interrupted"], record["error"]) == (200, True, "upstream_timeout")


@pytest.mark.usefixtures("impatient_line")
def test_a_drain_that_is_over_ends_a_buffered_answer_with_an_error_event(turnout: Start) -> None:
    router = turnout(config().replace("idle_timeout_ms: 300", "idle_timeout_ms: 30000"))
    broken(router, "stall-mid-stream")
    body = chat(ASKED, "pair", stream=True, router={"stream_mode": "buffered"})
    with router.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        assert next(lines) == ": keep-alive"
        router.on_loop(router.gateway.cut)
        rest = "\n".join(lines)
    assert json.loads(events(rest)[-1])["error"]["code"] == "router_shutting_down"


@pytest.mark.parametrize("mode", ["buffered", "repair"])
def test_a_client_that_leaves_takes_the_upstream_call_along_and_is_billed(turnout: Start, mode: str) -> None:
    router = turnout(config().replace("idle_timeout_ms: 300", "idle_timeout_ms: 30000"))
    broken(router, "stall-mid-stream")
    body = chat(ASKED, "pair", stream=True, router={"stream_mode": mode})
    with httpx.Client(base_url=router.url, trust_env=False) as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json=body, timeout=0.5)
    eventually(lambda: router.requests(label="first")[0]["client_disconnected"], 2)
    eventually(partial(counter, router, "router_requests_total", status="499"), 2)
    assert counter(router, "router_cost_usd_total", provider="first") > 0
    assert router.requests(label="second") == []


def test_a_first_token_that_does_not_come_is_not_waited_for(turnout: Start) -> None:
    router = turnout(config().replace("idle_timeout_ms: 300", "ttft_timeout_ms: 300"))
    router.faults(FaultRule(fault="stall-first-byte", label="first", args={"seconds": 30}))
    for mode in ("live", "repair", "buffered"):
        router.on_loop(router.gateway.health.targets().clear)
        started = time.monotonic()
        assert text_of(ask(router, "pair", mode)) == WORDS
        assert time.monotonic() - started < 2


def test_a_slow_answer_is_no_stall(turnout: Start) -> None:
    router = turnout(config())
    router.faults(FaultRule(fault="slow-chunks", args={"seconds": 0.02}))
    for mode in ("live", "repair", "buffered"):
        assert text_of(ask(router, "pair", mode)) == WORDS, mode


# --- who chooses


def test_the_request_chooses_then_the_model_then_the_configuration(turnout: Start) -> None:
    router = turnout(config() + "\n")
    chosen = {model: ask(router, model, None).headers.get("x-router-stream-mode") for model in ("pair", "held", "via")}
    assert chosen == {"pair": None, "held": "buffered", "via": "buffered"}
    assert ask(router, "held", "repair").headers["x-router-stream-mode"] == "repair"
    assert "x-router-stream-mode" not in ask(router, "held", "live").headers
    body = chat(ASKED, "pair", stream=True)
    by_header = router.http.post("/v1/chat/completions", json=body, headers={"x-router-stream-mode": "buffered"})
    assert by_header.headers["x-router-stream-mode"] == "buffered"
    everywhere = turnout(config().replace("routing: {", "routing: {stream_mode: repair, "))
    assert ask(everywhere, "pair", None).headers["x-router-stream-mode"] == "repair"
    assert everywhere.http.post("/v1/route", json=body).json()["stream_mode"] == "repair"


# --- the Responses API


@pytest.mark.parametrize(("first", "second"), TYPES[:2])
@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("mode", ["buffered", "repair"])
def test_a_response_is_whole_as_well(turnout: Start, mode: str, fault: str, first: str, second: str) -> None:
    router = turnout(config(first, second))
    broken(router, fault)
    body = {"model": "pair", "input": ASKED, "stream": True, "router": {"stream_mode": mode}}
    answer = router.http.post("/v1/responses", json=body)
    told = [json.loads(item) for item in events(answer.text)]
    assert [each["sequence_number"] for each in told] == list(range(len(told)))
    assert "".join(each["delta"] for each in told if each["type"] == "response.output_text.delta") == WORDS
    done = told[-1]
    assert done["type"] == "response.completed"
    (message,) = [item for item in done["response"]["output"] if item["type"] == "message"]
    assert message["content"][0]["text"] == WORDS
    assert done["response"]["usage"]["cost"] == stored(router, answer)["cost_usd"]
