"""The vectors of the Gemini wire that are about routing: limits, keys, retired names, pictures, secrets, switches."""

import base64
import io
import json
import socket
import wave
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from harness import Turnout, chat, events

from providers.catalogue import lookup
from providers.sandbox.config import FaultRule

PAIR = """
providers:
  google: {type: gemini, api_key: "k"}
  second: {type: gemini, api_key: "k"}
models:
  pair: {targets: [google/gemini-3.8-flash, second/gemini-3.8-flash], sort: order}
  sole: {targets: [google/gemini-3.8-flash]}
"""


def ask(router: Turnout, body: dict[str, Any]) -> Any:
    return router.http.post("/v1/chat/completions", json=body)


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("stream", [False, True])
def test_v50_three_choices_are_three_requests_with_their_usage_together(
    turnout: Callable[..., Turnout], stream: bool
) -> None:
    router = turnout(PAIR)
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    one = ask(router, chat("say: yes", "sole")).json()["usage"]
    answer = ask(router, chat("say: yes", "sole", n=3, **options))
    sent = router.requests(operation="stream" if stream else "generate")[-3:]
    assert len(sent) == 3
    assert all("candidateCount" not in entry["body"].get("generationConfig", {}) for entry in sent)
    if stream:
        chunks = [json.loads(item) for item in events(answer.text)[:-1]]
        texts: dict[int, str] = {}
        for chunk in chunks:
            for choice in chunk["choices"]:
                index = choice["index"]
                texts[index] = texts.get(index, "") + (choice["delta"].get("content") or "")
        usage = chunks[-1]["usage"]
    else:
        body = answer.json()
        texts, usage = {item["index"]: item["message"]["content"] for item in body["choices"]}, body["usage"]
    assert texts == dict.fromkeys(range(3), "yes")
    for count in ("prompt_tokens", "completion_tokens", "total_tokens", "cost"):
        assert usage[count] == pytest.approx(3 * one[count]), count


@pytest.mark.parametrize("stream", [False, True])
def test_v57_a_botched_call_is_asked_for_once_more_and_then_an_error(
    turnout: Callable[..., Turnout], stream: bool
) -> None:
    router = turnout(PAIR)
    body = chat("say: yes", "sole", stream=stream)
    router.faults(FaultRule(fault="malformed-function-call", label="google", times=1))
    answer = ask(router, body)
    assert (answer.status_code, answer.headers["x-router-attempts"]) == (200, "2")
    assert "yes" in answer.text
    router.faults(FaultRule(fault="malformed-function-call", label="google"))
    asked = len(router.requests())
    failed = ask(router, body)
    assert (failed.status_code, failed.json()["error"]["code"]) == (502, "upstream_bad_response")
    assert len(router.requests()) == asked + 2


@pytest.mark.parametrize("stream", [False, True])
def test_v71_a_refused_signature_is_replaced_once_and_the_second_refusal_is_told(
    turnout: Callable[..., Turnout], stream: bool
) -> None:
    router = turnout(PAIR)
    foreign = {"extra_content": {"google": {"thought_signature": "bm90IG91cnM="}}}
    call = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}, **foreign}
    messages = [
        {"role": "user", "content": "say: yes"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_a", "content": "5"},
    ]
    body = {"model": "sole", "messages": messages, "stream": stream}
    answer = ask(router, body)
    assert (answer.status_code, answer.headers["x-router-attempts"]) == (200, "2"), answer.text
    first, second = (entry["body"]["contents"][1]["parts"] for entry in router.requests())
    assert first[0]["thoughtSignature"] == "bm90IG91cnM="
    assert second[0]["thoughtSignature"] == "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
    router.faults(FaultRule(fault="status-400", args={"message": "Corrupted thought signature."}))
    asked = len(router.requests())
    refused = ask(router, body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages")
    assert len(router.requests()) == asked + 2


def test_v69_a_daily_quota_is_told_with_its_wait_and_not_tried_again(turnout: Callable[..., Turnout]) -> None:
    router = turnout(PAIR)
    router.faults(FaultRule(fault="429-per-day", label="google"))
    answer = ask(router, chat("hi", "sole"))
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "insufficient_quota"
    assert int(answer.headers["retry-after"]) >= 1
    assert len(router.requests()) == 1


def test_v69_a_quota_by_the_minute_blocks_for_as_long_as_google_says(turnout: Callable[..., Turnout]) -> None:
    clock = Clock()
    router = turnout(PAIR, clock=clock)
    router.faults(FaultRule(fault="429-retry-info", label="google", args={"delay": "1.2s"}, times=1))
    assert ask(router, chat("hi", "sole")).headers["retry-after"] == "2"
    clock.now += 1.1
    assert ask(router, chat("hi", "sole")).status_code == 429
    assert len(router.requests()) == 1, "not asked before its time"
    clock.now += 0.2
    assert ask(router, chat("hi", "sole")).status_code == 200


def test_v70_a_refused_key_is_put_aside_and_its_text_never_shown(turnout: Callable[..., Turnout]) -> None:
    keys = {"google": "invalid-AIzaSyA", "second": "k"}
    config = PAIR
    for name, key in keys.items():
        url = f"{{sandbox}}/p/{name}/gemini/v1beta"
        config = config.replace(
            f'{name}: {{type: gemini, api_key: "k"}}', f'{name}: {{type: gemini, api_key: "{key}", base_url: "{url}"}}'
        )
    router = turnout(config)
    answer = ask(router, chat("hi", "pair"))
    assert (answer.headers["x-router-provider"], answer.headers["x-router-attempts"]) == ("second", "2")
    assert ask(router, chat("hi", "pair")).headers["x-router-attempts"] == "1"
    alone = ask(router, chat("hi", "sole"))
    assert (alone.status_code, alone.json()["error"]["code"]) == (502, "upstream_auth")
    assert "AIza" not in alone.text


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("context-too-long", 400, "context_length_exceeded"), ("status-502", 502, "upstream_unavailable")],
)
def test_v70_other_failures_reach_the_client_as_openais(
    turnout: Callable[..., Turnout], fault: str, status: int, code: str
) -> None:
    router = turnout(PAIR)
    router.faults(FaultRule(fault=fault))
    answer = ask(router, chat("hi", "pair"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("gemini-2.0-flash-exp", "gemini-3.5-flash-lite"),
        ("gemini-2.5-flash-preview-05-20", "gemini-3.5-flash-lite"),
        ("gemini-2.5-pro-preview-03-25", "gemini-3.1-pro-preview"),
        ("gemini-2.0-flash-exp-image-generation", "gemini-nano-banana-2.1"),
    ],
)
def test_v72_a_retired_name_is_served_with_its_successors_abilities(router: Turnout, asked: str, served: str) -> None:
    body = chat("hi", asked, temperature=0.2, reasoning_effort="minimal")
    answer = ask(router, body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-router-model"] == answer.json()["model"] == served
    assert f"model={asked} is served by {served}" in answer.headers["x-router-warnings"]
    config = router.requests(operation="generate")[-1]["body"]["generationConfig"]
    assert "temperature" not in config, "generation 3 takes none"
    wanted = "LOW" if served == "gemini-3.1-pro-preview" else "MINIMAL"
    assert config["thinkingConfig"]["thinkingLevel"] == wanted


def test_v72_a_price_is_that_of_its_day(router: Turnout) -> None:
    info = lookup(router.settings.catalogue, "google", "gemini-4-argon")
    prices = [info.price_on(day) for day in (date(2026, 11, 30), date(2026, 12, 1))]
    assert [(price.input, price.output) for price in prices if price] == [
        (Decimal(2), Decimal(10)),
        (Decimal(4), Decimal(20)),
    ]


def test_v73_a_size_is_a_ratio_and_a_tier(router: Turnout) -> None:
    body = {"model": "gemini-3.1-flash-image", "prompt": "a fjord", "size": "1792x1024"}
    assert router.http.post("/v1/images/generations", json=body).status_code == 200
    sent = router.requests(operation="generate")[-1]["body"]["generationConfig"]
    assert sent["imageConfig"] == {"aspectRatio": "16:9", "imageSize": "1K"}


def test_v73_a_refused_picture_is_moderation_and_a_missing_one_is_asked_for_once_more(
    turnout: Callable[..., Turnout],
) -> None:
    router = turnout(PAIR + "  draw: {targets: [google/gemini-3.1-flash-image]}\n")
    body = {"model": "draw", "prompt": "a fjord"}
    router.faults(FaultRule(fault="image-safety", label="google", times=1))
    refused = router.http.post("/v1/images/generations", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "moderation_blocked")
    router.faults(FaultRule(fault="no-image", label="google", times=1))
    answer = router.http.post("/v1/images/generations", json=body)
    assert (answer.status_code, answer.headers["x-router-attempts"]) == (200, "2")
    router.faults(FaultRule(fault="no-image", label="google"))
    asked = len(router.requests())
    assert router.http.post("/v1/images/generations", json=body).status_code == 502
    assert len(router.requests()) == asked + 2


@pytest.mark.parametrize("key", ["AIzaSyA1234567890abcdefghijklmnopqrstuv", "AQ.Ab8RN6JkT1234567890"])
def test_v74_a_key_is_in_no_log_metric_or_answer_when_the_connection_fails(
    turnout: Callable[..., Turnout], caplog: pytest.LogCaptureFixture, key: str
) -> None:
    caplog.set_level("DEBUG")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        port = closed.getsockname()[1]
        router = turnout(
            f'providers:\n  google: {{type: gemini, api_key: "{key}", base_url: "http://127.0.0.1:{port}/v1beta"}}\n'
            "  unused: {type: gemini, api_key: k, base_url: '{sandbox}/p/unused/gemini/v1beta'}\n"
            "models:\n  m: {targets: [google/gemini-3.8-flash]}\n"
        )
        answer = ask(router, chat("hi", "m"))
    assert answer.status_code == 503
    seen = answer.text + str(answer.headers) + router.http.get("/metrics").text + caplog.text
    assert key not in seen
    assert str(port) not in answer.text


def test_searches_are_part_of_the_cost(router: Turnout) -> None:
    plain = ask(router, chat("say: yes", "gemini-3.8-flash")).json()["usage"]["cost"]
    searched = ask(router, chat("say: yes", "gemini-3.8-flash", web_search_options={})).json()
    assert searched["choices"][0]["message"]["annotations"]
    fee = 14 / 1000  # USD for one query
    assert searched["usage"]["cost"] - plain == pytest.approx(fee, rel=0.05)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("asked", "served", "factor"), [("flex", "flex", 0.5), ("fast", "priority", 1.8)])
def test_the_cost_is_that_of_the_tier_that_served(
    router: Turnout, stream: bool, asked: str, served: str, factor: float
) -> None:
    def usage(**fields: Any) -> Any:
        options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        answer = ask(router, chat("say: yes", "gemini-3.8-flash", **options, **fields))
        return json.loads(events(answer.text)[-2]) if stream else answer.json()

    usual, other = usage(), usage(service_tier=asked)
    assert (usual["service_tier"], other["service_tier"]) == ("default", served)
    assert usual["usage"]["total_tokens"] == other["usage"]["total_tokens"]
    assert other["usage"]["cost"] == pytest.approx(usual["usage"]["cost"] * factor)


def test_a_limit_on_cost_knows_the_tier(router: Turnout) -> None:
    body = chat("say: yes", "gemini-3.8-flash")
    limit = router.http.post("/v1/route", json=body).json()["candidates"][0]["expected_cost_usd"] * 1.2
    limited = body | {"router": {"max_cost_usd": limit}}
    assert ask(router, limited).status_code == 200
    assert ask(router, limited | {"service_tier": "priority"}).json()["error"]["code"] == "no_candidate"


@pytest.mark.parametrize("stream", [False, True])
def test_the_service_tier_is_named_in_plain_answers_and_in_every_chunk(router: Turnout, stream: bool) -> None:
    answer = ask(router, chat("say: yes", "gemini-3.8-flash", stream=stream, service_tier="auto"))
    found = [json.loads(item) for item in events(answer.text)[:-1]] if stream else [answer.json()]
    assert {item.get("service_tier") for item in found} == {"default"}


def test_the_operators_switches_reach_the_translation(turnout: Callable[..., Turnout]) -> None:
    options = (
        "gemini: {missing_results: fill, late_system: inline, logprobs: drop, safety: {HARM_CATEGORY_HARASSMENT: OFF}}"
    )
    router = turnout(
        PAIR.replace('google: {type: gemini, api_key: "k"}', f'google: {{type: gemini, api_key: "k", {options}}}')
    )
    call = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "b"},
    ]
    answer = ask(router, {"model": "sole", "messages": messages, "logprobs": True})
    assert answer.status_code == 200, answer.text
    assert "messages=results mended" in answer.headers["x-router-warnings"]
    assert answer.json()["choices"][0]["logprobs"] is None
    sent = router.requests()[-1]["body"]
    assert sent["contents"][2]["parts"][0]["functionResponse"]["response"] == {"error": "no result"}
    assert sent["contents"][3]["parts"] == [{"text": "Be brief."}, {"text": "b"}]
    assert sent["safetySettings"] == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    strict = ask(router, {"model": "second/gemini-3.8-flash", "messages": messages})
    assert strict.status_code == 400, "the other provider has the defaults"


SPEAKERS = """
providers:
  google: {type: gemini, api_key: "k"}
models:
  voice: {targets: [google/gemini-3.8-flash-tts]}
"""
SPOKEN = {"modalities": ["audio"], "audio": {"voice": "alloy", "format": "wav"}}


def test_a_model_that_reads_aloud_answers_with_a_sound_file_at_its_price(turnout: Callable[..., Turnout]) -> None:
    router = turnout(SPEAKERS)
    answer = ask(router, chat("say: one two three four", "voice", **SPOKEN))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    with wave.open(io.BytesIO(base64.b64decode(body["choices"][0]["message"]["audio"]["data"]))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24_000, 1, 2)
        assert sound.getnframes() / sound.getframerate() == pytest.approx(0.4)
    usage = body["usage"]
    assert usage["completion_tokens_details"]["audio_tokens"] == usage["completion_tokens"] == 10
    info = lookup(router.settings.catalogue, "google", "gemini-3.8-flash-tts")
    price = info.price_on(datetime.now(UTC).date())
    assert price is not None
    assert price.input is not None
    assert price.output is not None
    cost = (usage["prompt_tokens"] * price.input + usage["completion_tokens"] * price.output) / 1_000_000
    assert usage["cost"] == pytest.approx(float(cost))
    (sent,) = router.requests()
    assert sent["body"]["generationConfig"]["responseModalities"] == ["AUDIO"]
    voice = sent["body"]["generationConfig"]["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]
    assert voice == {"voiceName": "Kore"}


def test_a_spoken_stream_brings_samples_and_ends_whole(turnout: Callable[..., Turnout]) -> None:
    spoken = {"modalities": ["audio"], "audio": {"voice": "Puck", "format": "pcm16"}}
    answer = ask(turnout(SPEAKERS), chat("say: one two", "voice", stream=True, **spoken))
    assert answer.status_code == 200, answer.text
    *found, done = events(answer.text)
    assert done == "[DONE]"
    deltas = [choice["delta"] for item in found for choice in json.loads(item)["choices"]]
    pieces = [delta["audio"]["data"] for delta in deltas if "audio" in delta and "data" in delta["audio"]]
    assert sum(len(base64.b64decode(piece)) for piece in pieces) == 3 * 2 * 1920


def test_a_model_that_only_speaks_is_asked_for_sound_alone(turnout: Callable[..., Turnout]) -> None:
    router = turnout(SPEAKERS)
    answer = ask(router, chat("say: hello", "voice"))
    assert answer.status_code == 400
    assert "modalities: ['audio']" in answer.json()["error"]["message"]
    assert router.requests() == []
