"""`turnout serve` as a process: what it says, when it refuses, how fast it is there, and how it stops."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from harness import ROOT, SHIPPED, Turnout, chat, events, eventually

SLOW = "sandbox-fault: slow-chunks;seconds=0.1 words: 30"
STALLED = "sandbox-fault: stall-mid-stream;after=3 words: 40"
SILENT = "sandbox-fault: stall;seconds=60"
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}


class Served:
    """One running process. `url` ends without a slash; `started_s` is how long it took until it said where it is."""

    def __init__(self, *options: str, log: Path, **environ: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        began = time.monotonic()
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                command("--port", str(self.port), *options),
                cwd=ROOT,
                env=ENVIRONMENT | environ,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        self.started_s = time.monotonic() - began
        assert first.startswith("Turnout listens on"), self.log
        self.http = httpx.Client(base_url=self.url, timeout=20, trust_env=False)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def exit_code(self, within_s: float) -> int:
        return self.process.wait(within_s)

    def close(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "router", "serve", *options]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refused(*options: str, **environ: str) -> tuple[int, str]:
    """Exit code and message of a process that does not come up."""
    done = subprocess.run(
        command("--port", str(free_port()), *options),
        cwd=ROOT,
        env=ENVIRONMENT | environ,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts processes that are gone at the end of the test."""
    with ExitStack() as stack:

        def start(*options: str, **environ: str) -> Served:
            one = Served(*options, log=tmp_path / "stderr.log", **environ)
            stack.callback(one.close)
            return one

        yield start


@pytest.fixture
def short_drain(tmp_path: Path) -> str:
    """A configuration whose drain limit is half a second."""
    file = tmp_path / "turnout.yaml"
    text = SHIPPED.read_text("utf-8").replace("\nserver:\n", "\nserver:\n  drain_s: 0.5\n")
    file.write_text(f"catalogue: {SHIPPED.with_name('models.yaml')}\n{text}", "utf-8")
    return str(file)


def is_ready(url: str) -> bool:
    """What a prober sees: anything but 200 is not ready, a refused connection included."""
    try:
        return httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def is_refused(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_first_answer_is_there_three_seconds_after_the_start(served: Callable[..., Served]) -> None:
    began = time.monotonic()
    router = served()
    answer = router.http.post("/v1/chat/completions", json=chat("Say hello"))
    assert time.monotonic() - began < 3
    assert answer.status_code == 200
    assert answer.headers["x-router-sandbox"] == "true"
    assert "Traceback" not in router.log


def test_a_prompt_never_reaches_the_log(served: Callable[..., Served]) -> None:
    router = served("--log-level", "debug")
    router.http.post("/v1/chat/completions", json=chat("say: mulberry")).raise_for_status()
    router.signal(signal.SIGTERM)
    router.exit_code(5)
    assert "mulberry" not in router.log
    assert "/v1/chat/completions" in router.log


def test_without_a_key_no_sandbox_is_refused() -> None:
    code, message = refused("--no-sandbox")
    assert code == 2
    assert "--no-sandbox needs at least one provider key" in message
    assert "GEMINI_API_KEY" in message
    assert "Traceback" not in message


def test_a_public_address_without_client_keys_is_refused() -> None:
    code, message = refused("--host", "0.0.0.0")
    assert code == 2
    assert "refusing to listen on 0.0.0.0 without client keys: set TURNOUT_API_KEYS" in message


def test_a_public_address_with_client_keys_is_served_to_those_who_have_one(served: Callable[..., Served]) -> None:
    router = served("--host", "0.0.0.0", TURNOUT_API_KEYS="one:sk-one")
    body = chat("Say hello")
    assert router.http.post("/v1/chat/completions", json=body).status_code == 401
    with_key = router.http.post("/v1/chat/completions", json=body, headers={"authorization": "Bearer sk-one"})
    assert with_key.status_code == 200


def test_a_configuration_that_is_not_there_is_named() -> None:
    code, message = refused("--config", "nowhere.yaml")
    assert code == 2
    assert message == "nowhere.yaml: no such file\n"


def test_a_port_in_use_is_named_without_a_traceback() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, message = refused("--port", str(port))
    assert code == 1
    assert message.splitlines()[-1].lower() == f"turnout: cannot listen on 127.0.0.1:{port}: address already in use"
    assert "Traceback" not in message


def test_a_draining_router_is_alive_but_not_ready(turnout: Callable[..., Turnout]) -> None:
    router = turnout()
    assert router.http.get("/readyz").status_code == 200
    router.on_loop(lambda: setattr(router.gateway, "draining", True))
    probe = router.http.get("/readyz")
    assert (probe.status_code, probe.json()) == (503, {"status": "draining"})
    assert router.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_a_running_stream_finish_and_refuses_new_connections(
    number: int, served: Callable[..., Served]
) -> None:
    router = served()
    with router.http.stream("POST", "/v1/chat/completions", json=chat(SLOW, stream=True)) as answer:
        lines = answer.iter_lines()
        first = [next(lines), next(lines)]
        assert is_ready(router.url)
        router.signal(number)
        eventually(lambda: not is_ready(router.url))
        eventually(lambda: is_refused(router.port), 1)
        assert router.process.poll() is None, "it did not wait for the stream"
        data = events("\n".join([*first, *lines]))
    assert data[-1] == "[DONE]"
    assert "word30" in "".join(data)
    assert not is_ready(router.url)
    assert router.exit_code(3) == 0
    assert "Traceback" not in router.log


def test_an_idle_router_stops_at_once_though_clients_keep_connections(served: Callable[..., Served]) -> None:
    router = served()
    router.http.post("/v1/chat/completions", json=chat("Say hello")).raise_for_status()
    router.signal(signal.SIGTERM)
    assert router.exit_code(2) == 0


def test_at_the_drain_limit_a_stalled_stream_ends_with_an_error_event(
    served: Callable[..., Served], short_drain: str
) -> None:
    router = served("--config", short_drain)
    with router.http.stream("POST", "/v1/chat/completions", json=chat(STALLED, stream=True)) as answer:
        lines = answer.iter_lines()
        first = next(lines)
        began = time.monotonic()
        router.signal(signal.SIGTERM)
        data = events("\n".join([first, *lines]))
    assert 0.4 < time.monotonic() - began < 2
    assert data[-1].startswith('{"error":{"message":"the router is shutting down"')
    assert "[DONE]" not in data
    assert not any('"finish_reason":"' in event for event in data)
    assert router.exit_code(3) == 0
    assert "Traceback" not in router.log


def test_a_second_signal_does_not_wait_for_the_drain_limit(served: Callable[..., Served]) -> None:
    router = served()
    with router.http.stream("POST", "/v1/chat/completions", json=chat(STALLED, stream=True)) as answer:
        lines = answer.iter_lines()
        first = next(lines)
        router.signal(signal.SIGTERM)
        eventually(lambda: is_refused(router.port))
        began = time.monotonic()
        router.signal(signal.SIGTERM)
        data = events("\n".join([first, *lines]))
    assert time.monotonic() - began < 3
    assert "shutting down" in data[-1]
    assert router.exit_code(3) == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", chat(SILENT)),
        ("/v1/chat/completions", chat(SILENT, stream=True)),
        ("/v1/images/generations", {"model": "image", "prompt": SILENT}),
    ],
    ids=["chat", "stream", "image"],
)
def test_at_the_drain_limit_what_has_not_begun_is_answered_503(
    path: str, body: dict[str, object], served: Callable[..., Served], short_drain: str
) -> None:
    router = served("--config", short_drain)
    with socket.create_connection(("127.0.0.1", router.port), timeout=10) as line:
        content = httpx.Request("POST", router.url + path, json=body).read()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(content)}"
        line.sendall(head.encode() + b"\r\n\r\n" + content)
        eventually(lambda: in_flight(router) == 1)
        router.signal(signal.SIGTERM)
        answer = b"".join(iter(lambda: line.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 503")
    assert "retry-after: 1\r\n" in answer
    assert '"code":"router_shutting_down"' in answer
    assert router.exit_code(3) == 0
    assert "Traceback" not in router.log


def in_flight(router: Served) -> int:
    found = re.search(r"^router_inflight (\d+)", router.http.get("/metrics").text, re.MULTILINE)
    assert found
    return int(found[1])
