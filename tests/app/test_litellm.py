"""The long tail by the real litellm: its `openai/` provider, pointed by our configuration at the sandbox's wire."""

import base64
import io
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from harness import ROOT, Turnout, chat, events, eventually
from PIL import Image

from providers.sandbox.config import FaultRule

# What litellm silences when it is imported, and pytest un-silences: it uses pydantic in ways that pydantic warns of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Item .* is using the `ReadOnly` qualifier:UserWarning"),
]

CONFIG = """
providers:
  any:    {type: litellm, model_prefix: "openai/", api_key: "sk-ours", base_url: "{sandbox}/p/any/openai/v1"}
  second: {type: openai, api_key: "k", base_url: "{sandbox}/p/second/openai/v1"}
models:
  chat:   {targets: [any/gpt-x]}
  pair:   {targets: [any/gpt-x, second/gpt-x], sort: order}
  image:  {targets: [any/gpt-image-2]}
  vector: {targets: [any/text-embedding-3-small]}
fetch: {allow_origins: ["{sandbox}"]}
"""
WORDS = " ".join(f"word{number}" for number in range(1, 31))
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Turnout]:
    with Turnout(CONFIG) as turnout:
        yield turnout


@pytest.fixture
def any_(shared: Turnout) -> Turnout:
    shared.clear()
    shared.on_loop(shared.gateway.health.targets().clear)
    return shared


def ask(turnout: Turnout, text: str = "Say hello", model: str = "chat", **more: Any) -> httpx.Response:
    return turnout.http.post("/v1/chat/completions", json=chat(text, model, **more))


def outcomes(turnout: Turnout, answer: httpx.Response) -> list[str]:
    record = turnout.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    return [attempt["outcome"] for attempt in record["attempts"]]


def test_a_chat_answer_has_openais_shape_and_nothing_of_litellm(any_: Turnout) -> None:
    answer = ask(any_)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["model"] == "gpt-x"
    assert "Say hello" in body["choices"][0]["message"]["content"]
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["prompt_tokens"] == 3
    assert "provider_specific_fields" not in answer.text


def test_the_upstream_gets_our_key_and_only_what_was_asked(any_: Turnout) -> None:
    assert ask(any_, temperature=0.5, max_completion_tokens=20, metadata={"a": "b"}, top_k=3).status_code == 200
    (call,) = any_.requests()
    assert call["headers"]["authorization"] == "Bearer sk-ours"
    assert call["body"] == {
        "model": "gpt-x",
        "messages": [{"role": "user", "content": "Say hello"}],
        "temperature": 0.5,
        "max_completion_tokens": 20,
    }


def test_another_vendor_sees_no_trace_of_geminis_signatures(any_: Turnout) -> None:
    hidden = "call_" + "0a" * 14 + "__thought__" + "c2ln" * 100
    signed = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    call = {"id": hidden, "type": "function", "function": {"name": "get_weather", "arguments": "{}"}, **signed}
    messages = [
        {"role": "user", "content": "w?"},
        {"role": "assistant", "content": None, "tool_calls": [call], **signed},
        {"role": "tool", "tool_call_id": hidden, "content": "3"},
    ]
    answer = any_.http.post("/v1/chat/completions", json={"model": "chat", "messages": messages, "tools": [TOOL]})
    assert answer.status_code == 200, answer.text
    sent = any_.requests(label="any")[-1]["body"]["messages"]
    assert "extra_content" not in str(sent)
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "call_" + "0a" * 14


def test_what_gemini_left_in_the_history_does_not_travel(any_: Turnout) -> None:
    call = {"id": "a1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    signed = {**call, "extra_content": {"google": {"thought_signature": "c2ln"}}}
    history = [
        {"role": "user", "content": "weather in Oslo"},
        {"role": "assistant", "content": None, "tool_calls": [signed]},
        {"role": "tool", "tool_call_id": "a1", "content": "3"},
    ]
    answer = any_.http.post("/v1/chat/completions", json={"model": "chat", "messages": history, "tools": [TOOL]})
    assert answer.status_code == 200, answer.text
    (sent,) = any_.requests()
    assert sent["body"]["messages"][1]["tool_calls"] == [call]


def test_what_is_dropped_is_a_warning_and_refused_when_strict(any_: Turnout) -> None:
    assert ask(any_, top_k=3).headers["x-router-warnings"] == "top_k=ignored"
    answer = ask(any_, top_k=3, router={"strict": True})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "top_k")


@pytest.mark.parametrize("field", ["api_base", "base_url", "api_key", "mock_response", "extra_headers"])
def test_a_client_cannot_say_where_or_with_which_key(any_: Turnout, field: str) -> None:
    answer = ask(any_, **{field: "http://127.0.0.1:9/"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)
    assert any_.requests() == []


def test_a_stream_delivers_every_word_and_its_usage(any_: Turnout) -> None:
    answer = ask(any_, "words: 30", stream=True, stream_options={"include_usage": True})
    *chunks, done = events(answer.text)
    assert done == "[DONE]"
    parsed = [httpx.Response(200, text=chunk).json() for chunk in chunks]
    deltas = [choice["delta"] for chunk in parsed for choice in chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == WORDS
    assert [c["finish_reason"] for chunk in parsed for c in chunk["choices"] if c["finish_reason"]] == ["stop"]
    assert parsed[-1]["usage"]["completion_tokens"] > 0
    assert "provider_specific_fields" not in answer.text


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_come_whole(any_: Turnout, stream: bool) -> None:
    answer = ask(any_, "weather in Oslo", tools=[TOOL], stream=stream)
    assert answer.status_code == 200, answer.text
    assert answer.text.count('"get_weather"') == 1
    assert '"finish_reason":"tool_calls"' in answer.text


@pytest.mark.parametrize(
    ("fault", "args", "status", "code", "outcome"),
    [
        ("status-401", {}, 502, "upstream_auth", "auth"),
        ("status-403", {}, 502, "upstream_auth", "auth"),
        ("status-404", {}, 502, "upstream_model_missing", "config"),
        ("status-400", {}, 400, "invalid_value", "client_error"),
        ("status-422", {}, 400, "invalid_value", "client_error"),
        ("context-too-long", {}, 400, "context_length_exceeded", "context_length"),
        ("429-retry-after", {"seconds": 7}, 429, "rate_limit_exceeded", "rate_limited"),
        ("429-per-day", {}, 429, "insufficient_quota", "quota"),
        ("status-500", {}, 502, "upstream_unavailable", "server_error"),
        ("status-503", {}, 503, "upstream_unavailable", "server_error"),
        ("status-504", {}, 504, "upstream_timeout", "timeout"),
        ("reset", {}, 502, "upstream_unavailable", "server_error"),
        ("empty-candidate", {}, 502, "upstream_bad_response", "empty"),
        ("no-candidates", {}, 502, "upstream_bad_response", None),
        ("error-first-event", {}, 502, "upstream_unavailable", "server_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_each_failure_is_its_own(
    turnout: Callable[..., Turnout],
    fault: str,
    args: dict[str, Any],
    status: int,
    code: str,
    outcome: str,
    stream: bool,
) -> None:
    fresh = turnout(CONFIG)
    fresh.faults(FaultRule(fault=fault, args=args))
    answer = ask(fresh, stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert outcome in (None, outcomes(fresh, answer)[0])
    assert "litellm" not in answer.text
    assert "127.0.0.1" not in answer.text
    if fault == "429-retry-after":
        assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("fault", ["reset-mid-stream", "truncate", "error-mid-stream"])
def test_a_stream_that_breaks_off_never_ends_well(any_: Turnout, fault: str) -> None:
    any_.faults(FaultRule(fault=fault, args={"after": 3}))
    *_, last = events(ask(any_, "words: 30", stream=True).text)
    assert "upstream_stream_interrupted" in last


def test_a_missing_done_is_no_break(any_: Turnout) -> None:
    any_.faults(FaultRule(fault="no-done"))
    assert events(ask(any_, "words: 30", stream=True).text)[-1] == "[DONE]"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_the_next_candidate_is_asked(any_: Turnout, stream: bool) -> None:
    any_.faults(FaultRule(fault="status-500", label="any"))
    answer = ask(any_, model="pair", stream=stream)
    assert answer.headers["x-router-provider"] == "second"
    assert answer.headers["x-router-attempts"] == "2"
    assert [len(any_.requests(label=label)) for label in ("any", "second")] == [1, 1]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_client_that_leaves_takes_its_upstream_call_along(any_: Turnout, stream: bool) -> None:
    any_.faults(FaultRule(fault="stall", args={"seconds": 60}))
    with pytest.raises(httpx.ReadTimeout):
        any_.http.post("/v1/chat/completions", json=chat("hi", "chat", stream=stream), timeout=0.5)
    (call,) = eventually(lambda: [entry for entry in any_.requests() if entry["duration_s"] is not None])
    assert call["client_disconnected"]


def test_a_stream_left_in_the_middle_is_let_go_of_upstream(any_: Turnout) -> None:
    any_.faults(FaultRule(fault="endless-stream"))
    with any_.http.stream("POST", "/v1/chat/completions", json=chat("hi", "chat", stream=True)) as answer:
        next(answer.iter_lines())
    (call,) = eventually(lambda: [entry for entry in any_.requests() if entry["duration_s"] is not None])
    assert call["client_disconnected"]


def test_pictures_are_made(any_: Turnout) -> None:
    body = {"model": "image", "prompt": "a cat", "size": "1024x1024", "n": 2}
    answer = any_.http.post("/v1/images/generations", json=body)
    assert answer.status_code == 200, answer.text
    pictures = [Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))) for item in answer.json()["data"]]
    assert [picture.size for picture in pictures] == [(1024, 1024)] * 2
    assert answer.json()["usage"]["output_tokens"] == 2 * 1756


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_vectors_are_the_same_as_by_our_own_adapter(any_: Turnout, encoding_format: str) -> None:
    body = {"input": ["a", "b"], "dimensions": 8, "encoding_format": encoding_format}
    found = [
        any_.http.post("/v1/embeddings", json={**body, "model": model}).json()
        for model in ("vector", "second/text-embedding-3-small")
    ]
    assert found[0] == found[1]
    assert found[0]["usage"]["prompt_tokens"] == 2


def test_token_ids_travel(any_: Turnout) -> None:
    answer = any_.http.post("/v1/embeddings", json={"model": "vector", "input": [[1, 2], [3]], "dimensions": 8})
    assert answer.status_code == 200, answer.text
    assert any_.requests()[-1]["body"]["input"] == [[1, 2], [3]]


def test_a_picture_by_url_is_fetched_by_us_and_sent_inline(any_: Turnout) -> None:
    made = any_.http.post(f"{any_.sandbox_url}/p/x/openai/v1/images/generations",
                          json={"model": "dall-e-3", "prompt": "a cat", "response_format": "url"},
                          headers={"authorization": "Bearer k"})  # fmt: skip
    url = made.json()["data"][0]["url"]
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "chat", "messages": [{"role": "user", "content": parts}]}
    answer = any_.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    sent = any_.requests(operation="chat")[-1]["body"]["messages"][0]["content"][1]["image_url"]["url"]
    assert sent.startswith("data:image/png;base64,")


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/meta-data/", "https://localhost/x.png"])
def test_an_inner_address_is_refused_and_never_reaches_litellm(any_: Turnout, url: str) -> None:
    parts = [{"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "chat", "messages": [{"role": "user", "content": parts}]}
    answer = any_.http.post("/v1/chat/completions", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_image_url", "messages[0].content[0]")
    assert any_.requests() == []


def test_nothing_is_logged_of_a_failing_request(any_: Turnout, caplog: pytest.LogCaptureFixture) -> None:
    any_.faults(FaultRule(fault="status-500", times=2))
    with caplog.at_level(logging.DEBUG):
        ask(any_, "a very secret prompt")
    text = caplog.text
    assert "a very secret prompt" not in text
    assert "sk-ours" not in text
    assert any_.sandbox_url not in text


LIBRARY = f"""
import os, sys, threading
sys.path[:0] = [{str(ROOT)!r}]
from providers.litellm_sdk.loading import load_litellm
assert "litellm" not in sys.modules
found = []
threads = [threading.Thread(target=lambda: found.append(load_litellm())) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(found) == 8 and len(set(map(id, found))) == 1
litellm = found[0]
assert litellm.completion and litellm.acompletion and litellm.get_supported_openai_params
assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
assert "FROM_DOTENV" not in os.environ
assert litellm.callbacks == litellm.success_callback == litellm.failure_callback == []
assert not litellm.drop_params and not litellm.modify_params
assert "litellm.proxy.proxy_server" not in sys.modules
assert "fastapi" not in sys.modules and "uvicorn" not in sys.modules
"""


def test_it_is_a_library_only_however_many_threads_ask_for_it_first(tmp_path: Any) -> None:
    (tmp_path / ".env").write_text("FROM_DOTENV=1\nLITELLM_DROP_PARAMS=True\n")
    environ = {"PATH": "/usr/bin:/bin", "LITELLM_MODE": "DEV", "LITELLM_LOG": "DEBUG", "LITELLM_MODIFY_PARAMS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_neither_its_proxy_nor_its_server_is_ever_loaded(any_: Turnout) -> None:
    assert ask(any_).status_code == 200
    assert "litellm.proxy.proxy_server" not in sys.modules
