"""A ladder of tiers over real sockets: what goes out upstream, what the answer says, weak answers asked for again."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from harness import Turnout, chat, events

from providers.sandbox.config import FaultRule

CONFIG = """
providers:
  one: {type: gemini, api_key: k, base_url: "{sandbox}/p/one/gemini/v1beta"}
  two: {type: openai, api_key: k, base_url: "{sandbox}/p/two/openai/v1"}
models:
  auto:
    tiers: [flash, {use: flash, reasoning_effort: high}, pro]
    escalations_per_minute: 2
  flash: {targets: [one/gemini-3.8-flash, one/gemini-3.5-flash-lite], sort: order, fallbacks: [pro]}
  pro: {targets: [two/gemini-3.1-pro-preview], sort: order}
"""
FLASH, PRO = "gemini-3.8-flash", "gemini-3.1-pro-preview"
LIMITED = "server: {keys: [{name: small, secret: small-key, max_tier: 1}, {name: full, secret: full-key}]}" + CONFIG
JSON: dict[str, Any] = {"response_format": {"type": "json_object"}}
WEAK = FaultRule(fault="other-text", model=FLASH)


def ask(router: Turnout, body: dict[str, Any], **options: Any) -> httpx.Response:
    answer = router.http.post("/v1/chat/completions", json=body, **options)
    assert answer.status_code == 200, answer.text
    return answer


def text_of(answer: httpx.Response) -> str:
    return answer.json()["choices"][0]["message"]["content"]


def counter(router: Turnout, name: str, **labels: str) -> float:
    found = 0.0
    for line in router.http.get("/metrics").text.splitlines():
        if line.startswith(name) and all(f'{key}="{value}"' in line for key, value in labels.items()):
            found += float(line.rpartition(" ")[2])
    return found


def stored(router: Turnout, answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = router.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    return found


# --- the decision


def test_the_effort_of_a_tier_goes_out_upstream_only_where_the_caller_named_none(
    turnout: Callable[..., Turnout],
) -> None:
    router = turnout(CONFIG)
    question = "x " * 2000
    thinking = [
        router.requests()[-1]["body"].get("generationConfig", {}).get("thinkingConfig")
        for said in ({}, {"reasoning_effort": "low"}, {"google": {"thinking_config": {"thinking_level": "low"}}})
        if ask(router, chat(question, **said))
    ]
    assert thinking == [{"thinkingLevel": "HIGH"}, {"thinkingLevel": "LOW"}, {"thinkingLevel": "LOW"}]
    ask(router, chat("hello"))
    assert "thinkingConfig" not in router.requests()[-1]["body"].get("generationConfig", {})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("question", "model", "tier"),
    [("hello", FLASH, "flash"), ("x" * 4000, FLASH, "flash (high reasoning)"), ("x" * 40_000, PRO, "pro")],
)
def test_the_dry_run_decides_as_the_request_does_and_both_say_why(
    turnout: Callable[..., Turnout], question: str, model: str, tier: str, stream: bool
) -> None:
    router = turnout(CONFIG)
    body = chat(question, stream=stream)
    plan = router.http.post("/v1/route", json=body).json()
    answer = ask(router, body)
    assert answer.headers["x-router-model"] == model == plan["upstream_model"]
    assert answer.headers["x-router-reason"] == plan["reason"]
    assert answer.headers["x-router-reason"].startswith(f"auto: score {plan['tier']['score']:.2f} -> {tier}; ")
    assert plan["tier"]["tiers"][plan["tier"]["tier"] - 1] == tier
    assert sum(plan["tier"]["parts"].values()) == pytest.approx(plan["tier"]["score"], abs=1e-3)
    assert stored(router, answer)["tier"] == plan["tier"]


def test_a_dry_run_raises_no_conversation(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    opening = chat("hello")["messages"]
    later = [*opening, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "ok"}]
    router.http.post("/v1/route", json={"model": "auto", "messages": opening, "router": {"cost_quality": 1}})
    assert ask(router, {"model": "auto", "messages": later}).headers["x-router-model"] == FLASH


def test_a_conversation_stays_where_it_was_raised_to_and_no_other_is(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    messages = chat("hello")["messages"]

    def say(text: str, reply: str = "Hi.") -> str:
        messages[1:] = [{"role": "assistant", "content": reply}, {"role": "user", "content": text}]
        return str(ask(router, {"model": "auto", "messages": messages}).headers["x-router-model"])

    assert [say("go on"), say("x" * 40_000), say("thanks")] == [FLASH, PRO, PRO]
    assert say("thanks", reply="Another reply to the same first words.") == FLASH
    assert ask(router, chat("hello")).headers["x-router-model"] == FLASH


def test_a_caller_may_turn_the_knob_by_body_or_header(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    assert ask(router, chat("hi", router={"cost_quality": 1})).headers["x-router-model"] == PRO
    assert ask(router, chat("x" * 40_000), headers={"x-router-cost-quality": "0"}).headers["x-router-model"] == FLASH
    wrong = router.http.post("/v1/chat/completions", json=chat("hi", router={"cost_quality": 2}))
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "router.cost_quality")
    assert all("router" not in entry["body"] for entry in router.requests())


def test_a_key_with_a_highest_tier_cannot_pad_its_way_up(turnout: Callable[..., Turnout]) -> None:
    router = turnout(LIMITED)
    body = chat("x" * 100_000, router={"cost_quality": 1})
    small, full = ({"authorization": f"Bearer {key}-key"} for key in ("small", "full"))
    assert ask(router, body, headers=full).headers["x-router-model"] == PRO
    answer = ask(router, body, headers=small)
    assert answer.headers["x-router-model"] == FLASH
    assert ", the most for this key" in answer.headers["x-router-reason"]


# --- escalation


@pytest.mark.parametrize("mode", ["plain", "buffered"])
@pytest.mark.parametrize(
    ("fault", "args", "said", "why"),
    [
        ("other-text", {"text": "Sure: {"}, JSON, "invalid_json"),
        ("other-text", {"text": "no, no, " * 200, "finish": "length"}, {}, "repetition"),
        ("max-tokens-no-text", {}, {}, "cut_empty"),
    ],
)
def test_an_unusable_answer_is_asked_for_again_higher_up_and_both_are_booked(
    turnout: Callable[..., Turnout], mode: str, fault: str, args: dict[str, Any], said: dict[str, Any], why: str
) -> None:
    router = turnout(CONFIG)
    router.faults(FaultRule(fault=fault, model=FLASH, args=args))
    stream = {"stream": True, "router": {"stream_mode": "buffered"}} if mode == "buffered" else {}
    answer = ask(router, chat("say: all is well", **said, **stream))
    # both tiers of Flash fail, the third is Pro
    assert answer.headers["x-router-attempts"] == "3"
    assert answer.headers["x-router-model"] == PRO
    assert answer.headers["x-router-reason"].endswith(f"; escalated to pro: {why} from flash")
    found = stored(router, answer)
    assert [each["outcome"] for each in found["attempts"]] == [f"escalated_{why}", f"escalated_{why}", "ok"]
    assert all(each["cost_usd"] > 0 for each in found["attempts"][:2])
    assert found["cost_usd"] > sum(each["cost_usd"] for each in found["attempts"][:2])
    assert float(answer.headers["x-router-cost-usd"]) == pytest.approx(found["cost_usd"])
    assert counter(router, "router_escalations_total", reason=why) == 2
    assert counter(router, "router_breaker_state") == 0
    assert counter(router, "router_cost_usd_total") == pytest.approx(found["cost_usd"])


def test_unparsable_arguments_of_a_call_are_an_unusable_answer(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG.replace("flash: {targets: [one/", "flash: {targets: [two/"))
    router.faults(FaultRule(fault="malformed-function-call", model=FLASH))
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    answer = ask(router, chat("weather in Oslo", tools=[tool]))
    assert answer.headers["x-router-model"] == PRO
    assert "invalid_arguments" in answer.headers["x-router-reason"]


@pytest.mark.parametrize("mode", ["plain", "buffered"])
def test_where_nothing_better_comes_the_weak_answer_is_given(turnout: Callable[..., Turnout], mode: str) -> None:
    router = turnout(CONFIG)
    router.faults(WEAK, FaultRule(fault="status-500", model=PRO))
    stream = {"stream": True, "router": {"stream_mode": "buffered"}} if mode == "buffered" else {}
    answer = ask(router, chat("say: x", **JSON, **stream))
    assert "no JSON" in answer.text
    assert answer.headers["x-router-model"] == FLASH
    assert "router.escalation=failed: invalid_json from flash" in answer.headers["x-router-warnings"]
    found = stored(router, answer)
    assert [each["outcome"] for each in found["attempts"]] == ["escalated_invalid_json"] * 2 + ["server_error"]
    assert found["served_by"] == f"one/{FLASH}"
    assert ["cost_usd" in each for each in found["attempts"]] == [True, False, False]  # the second is the answer's own
    assert float(answer.headers["x-router-cost-usd"]) == pytest.approx(found["cost_usd"])
    assert counter(router, "router_cost_usd_total") == pytest.approx(found["cost_usd"])


def test_the_last_tiers_weak_answer_is_an_answer(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    router.faults(FaultRule(fault="other-text"))
    answer = ask(router, chat("say: x", **JSON))
    assert text_of(answer) == "no JSON"
    assert answer.headers["x-router-model"] == PRO
    assert "router.escalation=not made: invalid_json" in answer.headers["x-router-warnings"]


def test_escalations_are_rationed_by_the_minute(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    router.faults(WEAK)
    attempts = [ask(router, chat("say: x", **JSON)).headers["x-router-attempts"] for _ in range(3)]
    assert attempts == ["3", "1", "1"]
    assert counter(router, "router_escalations_total") == 2


def test_without_tiers_and_in_live_streams_an_answer_is_given_as_it_is(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    router.faults(WEAK)
    assert text_of(ask(router, chat("say: x", "flash", **JSON))) == "no JSON"
    streamed = ask(router, chat("say: x", stream=True, **JSON))
    assert streamed.headers["x-router-attempts"] == "1"
    assert "no JSON" in "".join(events(streamed.text))


def test_a_conversation_that_was_escalated_stays_there(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    router.faults(FaultRule(fault="other-text", model=FLASH, times=2))
    messages = chat("say: {}")["messages"]
    assert ask(router, {"model": "auto", "messages": messages, **JSON}).headers["x-router-model"] == PRO
    messages += [{"role": "assistant", "content": "{}"}, {"role": "user", "content": "again"}]
    answer = ask(router, {"model": "auto", "messages": messages, **JSON})
    assert (answer.headers["x-router-model"], answer.headers["x-router-attempts"]) == (PRO, "1")
