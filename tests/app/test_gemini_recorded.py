"""Every recorded Gemini exchange, through the whole router: the request as an OpenAI client sends it, the recorded
bytes as the upstream's answer. Checked: what the client gets, and that Gemini would have taken what went upstream."""

import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import httpx
import pytest
from gemini_as_openai import openai_request
from harness import Turnout, events
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from recorded import ABSENT, Exchange, load, names, present
from recorded_gemini import NOT_SERVED, check_message, expected, is_stream, joined_deltas

pytestmark = pytest.mark.skipif(not present(), reason=ABSENT)

CONFIG = """
providers:
  google: {type: gemini, base_url: "http://127.0.0.1:PORT/v1beta", api_key: "test-key"}
  checker: {type: gemini, base_url: "{sandbox}/p/checker/gemini/v1beta", api_key: "test-key"}
models:
  any: {targets: [google/gemini-3.8-flash]}
"""
ERRORS = {
    "error-400-api-key-on-stream": (502, "upstream_auth"),
    "error-400-invalid-role-vertex": (400, None),
    "error-404-model-retired": (502, "upstream_model_missing"),
    "error-404-model-vertex": (502, "upstream_model_missing"),
}
PLACEHOLDER = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
SUCCESSORS = {  # of recorded models that answer 404 by now
    "gemini-1.5-flash": "gemini-2.5-flash",
    "gemini-2.0-flash": "gemini-2.5-flash",
    "gemini-2.0-flash-001": "gemini-2.5-flash",
    "gemini-2.0-flash-exp": "gemini-2.5-flash",
    "gemini-2.5-pro-preview-03-25": "gemini-2.5-pro",
    "gemini-3-pro-preview": "gemini-3.1-pro-preview",
}
ALL = [name for name in names("gemini") if name not in NOT_SERVED and not name.startswith(("embed", "error-404-embed"))]


class Replay:
    """An upstream that answers every request with one recorded answer, and keeps what it was sent.

    The answer comes in pieces, cut at `cuts` (None: in three), and breaks off at `end` (None: nowhere). `measured`: its
    length is said beforehand; if not, the end of the connection is the end of the answer.
    """

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.cuts: list[int] | None = None
        self.end: int | None = None
        self.measured = True
        self.received: list[tuple[str, dict[str, Any]]] = []
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                replay.received.append((self.path, json.loads(body)))
                assert replay.exchange is not None
                answer = replay.exchange.body
                self.send_response(replay.exchange.status)
                self.send_header("content-type", replay.exchange.headers.get("content-type", "application/json"))
                if replay.measured:
                    self.send_header("content-length", str(len(answer)))
                self.close_connection = not replay.measured or replay.end is not None
                self.end_headers()
                answer = answer[: replay.end]
                third = len(answer) // 3 or 1
                edges = range(third, len(answer), third) if replay.cuts is None else replay.cuts
                for start, end in itertools.pairwise([0, *edges, len(answer)]):
                    self.wfile.write(answer[start:end])
                    self.wfile.flush()
                    if replay.cuts:
                        time.sleep(0.002)  # so that the next piece is a read of its own

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    replay = Replay()
    thread = threading.Thread(target=replay.server.serve_forever, daemon=True)
    thread.start()
    yield replay
    replay.server.shutdown()
    replay.server.server_close()


@pytest.fixture(scope="module")
def breaking(replay: Replay) -> Iterator[Turnout]:
    """A router of its own for answers that break off: it remembers them. One attempt each, so that nothing waits."""
    with Turnout(CONFIG.replace("PORT", str(replay.port)) + "routing: {attempts: 1}") as turnout:
        yield turnout


@pytest.fixture(autouse=True)
def whole_answers(replay: Replay) -> Iterator[None]:
    yield
    replay.cuts, replay.end, replay.measured = None, None, True


@pytest.fixture(scope="module")
def replaying(replay: Replay) -> Iterator[Turnout]:
    with Turnout(CONFIG.replace("PORT", str(replay.port))) as turnout:
        yield turnout


def ask(replaying: Turnout, replay: Replay, exchange: Exchange) -> httpx.Response:
    replay.exchange = exchange
    replay.received.clear()
    model = exchange.path.rpartition("/")[2].partition(":")[0]
    stream = "streamGenerateContent" in exchange.path
    request = openai_request(exchange.request, model=f"google/{model}", stream=stream)
    return replaying.http.post("/v1/chat/completions", json=request)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_a_recorded_answer_arrives_as_openai_would_have_sent_it(replaying: Turnout, replay: Replay, name: str) -> None:
    exchange = load("gemini", name)
    answer = ask(replaying, replay, exchange)
    assert answer.status_code == 200, answer.text
    want = expected(exchange)
    message, choice, usage = (_streamed if is_stream(exchange) else _whole)(answer)
    check_message(message, want)
    assert choice["finish_reason"] == want["finish"]
    prompt, completion, reasoning, cached = want["usage"]
    assert usage["prompt_tokens"] == prompt
    assert usage["completion_tokens"] == completion
    assert usage["total_tokens"] == prompt + completion
    assert usage["completion_tokens_details"]["reasoning_tokens"] == reasoning
    assert usage["prompt_tokens_details"]["cached_tokens"] == cached
    assert answer.headers["x-router-attempts"] == "1"


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_what_went_upstream_is_what_gemini_accepts(replaying: Turnout, replay: Replay, name: str) -> None:
    exchange = load("gemini", name)
    ask(replaying, replay, exchange)
    (path, body), *more = replay.received
    assert not more
    checked = path.rpartition("/")[2].partition(":")[0]
    if body.pop("cachedContent", None):  # it lives in the account of the recording
        assert not {"systemInstruction", "tools", "toolConfig"} & set(body)
    url = f"{replaying.sandbox_url}/p/checker/gemini/v1beta/models/{SUCCESSORS.get(checked, checked)}:generateContent"
    # the simulated upstream knows its own signatures and the documented placeholder, not those of the recordings
    text = re.sub(r'("thoughtSignature": *)"[^"]+"', rf'\1"{PLACEHOLDER}"', json.dumps(body))
    verdict = httpx.post(url, content=text, headers={"x-goog-api-key": "test-key"}, trust_env=False, timeout=30)
    assert verdict.status_code == 200, verdict.text


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_a_recorded_refusal_becomes_the_error_the_client_can_act_on(
    replaying: Turnout, replay: Replay, name: str
) -> None:
    answer = ask(replaying, replay, load("gemini", name))
    status, code = ERRORS[name]
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "googleapis" not in answer.text


def _offsets(name: str, size: int, count: int) -> list[int]:
    """Some offsets inside an answer, the same in each run: half of them in its first 4 KB."""
    random = Random(name)
    return sorted({random.randrange(1, min(size, 4096) if number % 2 else size) for number in range(count)})


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_an_answer_is_the_same_wherever_the_network_cuts_it(replaying: Turnout, replay: Replay, name: str) -> None:
    exchange = load("gemini", name)
    read = _streamed if is_stream(exchange) else _whole
    want = read(ask(replaying, replay, exchange))
    for replay.measured in (True, False):
        for cut in _offsets(name, len(exchange.body), 6):
            replay.cuts = [cut]
            message, choice, usage = read(ask(replaying, replay, exchange))
            assert _comparable(message) == _comparable(want[0]), f"cut at {cut}"
            assert (choice["finish_reason"], usage) == (want[1]["finish_reason"], want[2])


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_an_answer_that_breaks_off_never_looks_like_one_that_did_not(
    replaying: Turnout, breaking: Turnout, replay: Replay, name: str
) -> None:
    exchange = load("gemini", name)
    read = _streamed if is_stream(exchange) else _whole
    want = read(ask(replaying, replay, exchange))
    said = exchange.body.rindex(b"}") + 1 if not is_stream(exchange) else exchange.body.rindex(b'"finishReason"')
    for replay.measured in (True, False):
        for replay.end in _offsets(name, len(exchange.body.rstrip()), 6):
            answer = ask(breaking, replay, exchange)
            if answer.status_code != 200:
                assert answer.json()["error"]["code"].startswith("upstream_")
                continue
            assert is_stream(exchange)
            *data, last = events(answer.text)
            if last == "[DONE]":  # only what had its end may look like it
                assert replay.end > said
                assert _comparable(read(answer)[0]) == _comparable(want[0])
            else:
                assert "error" in json.loads(last)
                assert not any(
                    choice.get("finish_reason") for item in data for choice in json.loads(item).get("choices", [])
                )


def _comparable(message: dict[str, Any]) -> dict[str, Any]:
    """Without the ids that are made anew for each answer."""
    calls = [{key: value for key, value in call.items() if key != "id"} for call in message.get("tool_calls") or []]
    return {**message, "tool_calls": calls}


def _whole(answer: httpx.Response) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    body = answer.json()
    ChatCompletion.model_validate(body, strict=True)
    (choice,) = body["choices"]
    assert choice["message"]["refusal"] is None or choice["finish_reason"] == "content_filter"
    assert choice["logprobs"] is None or choice["logprobs"]["content"]
    return choice["message"], choice, body["usage"]


def _streamed(answer: httpx.Response) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *data, done = events(answer.text)
    assert done == "[DONE]"
    chunks = [json.loads(item) for item in data]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    *content, last = chunks
    assert last["choices"] == []
    assert all(chunk["usage"] is None for chunk in content)
    finishes = [chunk["choices"][0] for chunk in content if chunk["choices"][0]["finish_reason"]]
    assert len(finishes) == 1
    return joined_deltas(chunk["choices"][0]["delta"] for chunk in content), finishes[0], last["usage"]
