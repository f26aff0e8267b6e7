"""What is measured: the floor, the router as it is shipped, and how each is asked for each kind of answer."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson
from processes import HOST, OTHER_CORES, ROOT, TARGET_CORE, Process, free_port, python

KEY = "bench-client-key"
CHUNKS = 200


@dataclass(frozen=True)
class Endpoint:
    """Where a request goes: the path, the model's name and further header lines."""

    path: str
    model: str
    headers: Sequence[str] = ()


@dataclass
class Target:
    """A running process and its endpoints by upstream wire, "gemini" and "openai"."""

    name: str
    process: Process
    port: int
    endpoints: Mapping[str, Endpoint]


@dataclass(frozen=True)
class Scenario:
    """One row of the table. `budget` is the largest allowed ratio to the floor."""

    name: str
    wire: str
    body: Mapping[str, object]
    stream: bool = False
    budget: float | None = None

    @property
    def per(self) -> int:
        """How many units the CPU time of one answer is divided by."""
        return CHUNKS if self.stream else 1

    @property
    def unit(self) -> str:
        return "us/chunk" if self.stream else "us/request"

    def encoded(self, model: str) -> bytes:
        body = {"model": model, **self.body}
        return orjson.dumps({**body, "stream": True} if self.stream else body)


_SHORT = {
    "messages": [
        {"role": "system", "content": "You are a helpful assistant. Answer in one short paragraph, without lists."},
        {"role": "user", "content": "What does a turnout do for a train, and why is it not simply called a switch?"},
    ],
    "max_tokens": 512,
}
_LONG = {
    "messages": [{"role": "user", "content": "All work and no play makes Jack a dull boy. " * 9091}],
    "max_tokens": 512,
}

SCENARIOS = (
    Scenario("plain chat, Gemini", "gemini", _SHORT, budget=1.8),
    Scenario("plain chat, OpenAI", "openai", _SHORT, budget=1.8),
    Scenario("200 chunks, Gemini", "gemini", _SHORT, stream=True, budget=2.0),
    Scenario("200 chunks, OpenAI", "openai", _SHORT, stream=True, budget=2.0),
    Scenario("400 KB prompt, OpenAI", "openai", _LONG),
)


@contextlib.contextmanager
def mock(log: IO[bytes]) -> Iterator[str]:
    """The simulated upstream; gives its base URL without a path."""
    port = free_port()
    with Process(python("mock.py", HOST, port), OTHER_CORES, log) as process:
        process.wait_until_listening(port)
        yield f"http://{HOST}:{port}"


@contextlib.contextmanager
def floor(upstream: str, log: IO[bytes]) -> Iterator[Target]:
    port = free_port()
    with Process(python("floor.py", HOST, port, upstream), TARGET_CORE, log) as process:
        process.wait_until_listening(port)
        yield Target("floor", process, port, {wire: Endpoint(f"/{wire}", "bench") for wire in ("gemini", "openai")})


def relay(floor: Target) -> Target:
    """The floor's process once more, where it passes bytes through unread."""
    return Target("relay", floor.process, floor.port, {"openai": Endpoint("/relay", "bench")})


@contextlib.contextmanager
def turnout(upstream: str, log: IO[bytes]) -> Iterator[Target]:
    """The router as `turnout serve` runs it, with the shipped configuration and everything on."""
    port = free_port()
    env = {
        "TURNOUT_API_KEYS": f"bench:{KEY}",
        "GEMINI_API_KEY": "bench",
        "GEMINI_UPSTREAM_URL": f"{upstream}/v1beta",
        "OPENAI_API_KEY": "bench",
        "OPENAI_UPSTREAM_URL": f"{upstream}/v1",
    }
    config = ROOT / "config" / "turnout.yaml"
    command = [sys.executable, "-m", "router", "serve", "--config", config, "--host", HOST, "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as empty,
        Process(command, TARGET_CORE, log, env=env, cwd=Path(empty)) as process,
    ):
        process.wait_until_listening(port)
        headers = [f"authorization: Bearer {KEY}"]
        endpoints = {
            "gemini": Endpoint("/v1/chat/completions", "auto", headers),
            "openai": Endpoint("/v1/chat/completions", "openai/bench-model", headers),
        }
        yield Target("turnout", process, port, endpoints)
