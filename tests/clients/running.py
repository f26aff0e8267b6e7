"""Runs a client's cases as a process of its own against a router whose upstreams misbehave in known ways."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from clients import prepare
from harness import SHIPPED, Turnout
from msgspec import Struct

from providers.sandbox.config import FaultRule, SandboxConfig

KEY = "sk-turnout-clients"
SCRIPTS = Path(prepare.__file__).parent
UPSTREAM = "gemini-3.8-flash"

# public model -> the fault of each target (None: it is well), one provider each, asked in this order
TROUBLED: dict[str, list[tuple[str, dict[str, Any]] | None]] = {
    "limited": [("429-retry-after", {"seconds": 7}), ("429-retry-info", {"delay": "6.5s"})],
    "limited-briefly": [("429-retry-after-ms", {"ms": 300})],
    "out-of-quota": [("429-per-day", {})],
    "broken": [("status-500", {}), ("status-500", {})],
    "stalled": [("stall", {"seconds": 60})],
    "cut": [("reset-mid-stream", {"after": 3})],
    "truncated": [("truncate", {"after": 3})],
    "filtered": [("safety", {})],
    "mended": [("reset-mid-stream", {"after": 40}), None],
    "mended-back": [("truncate", {"after": 40}), None],
}
OPENAI = frozenset({"mended-1", "mended-back-0"})  # the others speak Gemini's wire


class Run(Struct):
    """One client's process, ended: its router (still up), what it reported, and what it printed besides."""

    router: Turnout
    errors: dict[str, str | None]
    stderr: str


def provider(model: str, position: int) -> str:
    return f"{model}-{position}"


def configuration() -> str:
    """The shipped configuration, with a model for each trouble beside its own."""
    providers, models = [], []
    for model, faults in TROUBLED.items():
        names = [provider(model, position) for position in range(len(faults))]
        providers += [f"  {name}: {{type: {'openai' if name in OPENAI else 'gemini'}}}" for name in names]
        targets = ", ".join(f"{name}/{UPSTREAM}" for name in names)
        models.append(f"  {model}: {{targets: [{targets}], sort: order}}")
    text = SHIPPED.read_text("utf-8")
    for head, lines in (("providers:", providers), ("models:", models)):
        assert text.count(f"\n{head}\n") == 1
        text = text.replace(f"\n{head}\n", "\n".join(["", head, *lines, ""]))
    return text


def troubles() -> tuple[FaultRule, ...]:
    return tuple(
        FaultRule(fault=fault[0], label=provider(model, place), args=fault[1], times=2 if "briefly" in model else None)
        for model, faults in TROUBLED.items()
        for place, fault in enumerate(faults)
        if fault is not None
    )


def command(client: str, cases: str) -> list[str]:
    """How to run a client's `cases` (`python_{cases}.py`, `node_{cases}.mjs`, `ai_sdk_{cases}.mjs`). Skips, saying why,
    where its environment cannot be had."""
    if client.startswith("ai-"):
        node = node_for("ai")
        return [node, str(SCRIPTS / f"ai_sdk_{cases}.mjs"), str(prepare.NODE / "package.json"), client[3:]]
    if not client.startswith("openai-node"):
        python = prepare.python_of(client)
        assert python.exists(), "run tests/clients/prepare.py first (`make test` does)"
        return [str(python), "-W", "error::DeprecationWarning:__main__", str(SCRIPTS / f"python_{cases}.py")]
    package = client.replace("-node", "")
    node = node_for(package)
    return [node, str(SCRIPTS / f"node_{cases}.mjs"), str(prepare.NODE / "node_modules" / package)]


def node_for(package: str) -> str:
    """A Node that runs `package`. Skips, saying why, where there is none."""
    node, reason = prepare.node_for(package)
    if node is None:
        pytest.skip(reason)
    return str(node)


def _output(command: list[str]) -> tuple[str, str]:
    """What a process printed until it ended, or until its time was up."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin"}
    )
    try:
        return process.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        return stdout, f"{stderr}\nended after 100 s"


def ran(client: str, cases: str, router: Turnout, *more: str) -> Run:
    """The client's run against `router`, which has begun; `more` are further arguments of its script."""
    stdout, stderr = _output([*command(client, cases), router.base_url, KEY, *more])
    reports = [json.loads(row) for row in stdout.splitlines()]
    return Run(router, {report["claim"]: report["error"] for report in reports}, stderr)


def troubled_router() -> Turnout:
    """The shipped configuration with a model for each trouble, on a socket of its own."""
    return Turnout(configuration(), keys={"clients": KEY}, sandbox=SandboxConfig(faults=troubles()))
