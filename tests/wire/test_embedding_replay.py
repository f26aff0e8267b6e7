"""The recorded embedding exchanges: translated, and through the whole router."""

import base64
import json
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from harness import Turnout
from recorded import ABSENT, Exchange, load, present

from providers.catalogue import ModelInfo
from providers.gemini.embeddings import from_batch_embed, to_batch_embed
from providers.types import EmbeddingRequest

pytestmark = pytest.mark.skipif(not present(), reason=ABSENT)

CONFIG = """
providers:
  google: {type: gemini, base_url: "http://127.0.0.1:PORT/v1beta", api_key: "test-key"}
  openai: {type: openai, base_url: "http://127.0.0.1:PORT/v1", api_key: "test-key"}
  unused: {type: openai, base_url: "{sandbox}/p/unused/openai/v1"}
models:
  any: {targets: [google/gemini-embedding-2]}
"""


class Replay(ThreadingHTTPServer):
    """Answers every request with one recorded answer and keeps what it was sent."""

    daemon_threads = True
    exchange: Exchange
    received: tuple[str, Any]


class _Handler(BaseHTTPRequestHandler):
    server: Replay

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received = (self.path, json.loads(body))
        exchange = self.server.exchange
        self.send_response(exchange.status)
        self.send_header("content-type", exchange.headers["content-type"])
        self.send_header("content-length", str(len(exchange.body)))
        self.end_headers()
        self.wfile.write(exchange.body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def router_of(replay: Replay) -> Iterator[Turnout]:
    with Turnout(CONFIG.replace("PORT", str(replay.server_address[1]))) as turnout:
        yield turnout


def values(exchange: Exchange) -> list[float]:
    (embedding,) = json.loads(exchange.body)["embeddings"]
    return list(embedding["values"])


def asked(exchange: Exchange, **more: Any) -> dict[str, Any]:
    """The recorded Gemini request as a client of ours sends it."""
    requests = exchange.request["requests"]
    return {
        "model": "google/" + exchange.path.rpartition("/")[2].partition(":")[0],
        "input": [request["content"]["parts"][0]["text"] for request in requests],
        "dimensions": requests[0].get("outputDimensionality"),
        "task_type": requests[0]["taskType"],
        **more,
    }


@pytest.mark.parametrize("name", ["embed-batch", "error-404-embed"])
def test_the_recorded_request_is_what_we_send(name: str) -> None:
    exchange = load("gemini", name)
    fields = asked(exchange)
    model = fields["model"].removeprefix("google/")
    request = EmbeddingRequest(
        model=model,
        inputs=tuple(fields["input"]),
        dimensions=fields["dimensions"],
        extra={"task_type": fields["task_type"]},
    )
    assert to_batch_embed(request, model).body == exchange.request


def test_the_recorded_answer_keeps_every_digit() -> None:
    exchange = load("gemini", "embed-batch")
    request = EmbeddingRequest(model="m", inputs=("Hello, world!",), dimensions=768)
    answer = from_batch_embed(exchange.body, request, "m", ModelInfo(name="m"))
    assert answer.vectors == (values(exchange),)


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_the_recorded_answer_reaches_the_client(router_of: Turnout, replay: Replay, encoding_format: str) -> None:
    replay.exchange = load("gemini", "embed-batch")
    answer = router_of.http.post("/v1/embeddings", json=asked(replay.exchange, encoding_format=encoding_format))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    (item,) = body["data"]
    want = values(replay.exchange)
    if encoding_format == "base64":
        assert base64.b64decode(item["embedding"]) == struct.pack(f"<{len(want)}f", *want)
    else:
        assert item["embedding"] == want
    assert body["model"] == "gemini-embedding-2-preview"
    assert replay.received == (replay.exchange.path, replay.exchange.request)


def test_an_unknown_model_of_ours_is_our_fault_and_names_no_upstream(router_of: Turnout, replay: Replay) -> None:
    replay.exchange = load("gemini", "error-404-embed")
    answer = router_of.http.post("/v1/embeddings", json=asked(replay.exchange))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_model_missing")
    assert "nonexistent-model" not in answer.text
    assert replay.received == (replay.exchange.path, replay.exchange.request)


def test_openais_refusal_of_an_unknown_model_is_read_the_same(router_of: Turnout, replay: Replay) -> None:
    replay.exchange = load("openai", "embeddings-404")
    sent = replay.exchange.request
    answer = router_of.http.post("/v1/embeddings", json={**sent, "model": f"openai/{sent['model']}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_model_missing")
    assert replay.received == ("/v1/embeddings", sent)
