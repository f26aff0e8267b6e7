"""OpenAI's own SDKs, each version in its own environment and unmodified but for base URL and key, over real sockets.

Each client is one process that proves every claim of `clients/cases.py` against a router of its own; here each claim
is a test. Upstreams that misbehave are providers of their own, so that one claim does not disturb another.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from clients import prepare
from clients.cases import NODE, PYTHON
from harness import SHIPPED, Turnout, eventually
from msgspec import Struct

from providers.sandbox.config import FaultRule, SandboxConfig

KEY = "sk-turnout-clients"
SCRIPTS = Path(prepare.__file__).parent
CLIENTS = {"openai-2": PYTHON, "openai-3": PYTHON, "openai-node-6": NODE, "openai-node-7": NODE}
UPSTREAM = "gemini-3.8-flash"

# public model -> the faults of its targets, one provider each, asked in this order
TROUBLED = {
    "limited": [("429-retry-after", {"seconds": 7}), ("429-retry-info", {"delay": "6.5s"})],
    "limited-briefly": [("429-retry-after-ms", {"ms": 300})],
    "out-of-quota": [("429-per-day", {})],
    "broken": [("status-500", {}), ("status-500", {})],
    "stalled": [("stall", {"seconds": 60})],
    "cut": [("reset-mid-stream", {"after": 3})],
    "truncated": [("truncate", {"after": 3})],
    "filtered": [("safety", {})],
}


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
        providers += [f"  {name}: {{type: gemini}}" for name in names]
        targets = ", ".join(f"{name}/{UPSTREAM}" for name in names)
        models.append(f"  {model}: {{targets: [{targets}], sort: order}}")
    text = SHIPPED.read_text("utf-8")
    for head, lines in (("providers:", providers), ("models:", models)):
        assert text.count(f"\n{head}\n") == 1
        text = text.replace(f"\n{head}\n", "\n".join(["", head, *lines, ""]))
    return text


def troubles() -> tuple[FaultRule, ...]:
    return tuple(
        FaultRule(fault=fault, label=provider(model, position), args=args, times=2 if "briefly" in model else None)
        for model, faults in TROUBLED.items()
        for position, (fault, args) in enumerate(faults)
    )


def command(client: str) -> list[str]:
    """How to run a client's cases. Skips, saying why, where its environment cannot be had."""
    if not client.startswith("openai-node"):
        python = prepare.python_of(client)
        assert python.exists(), "run tests/clients/prepare.py first (`make test` does)"
        return [str(python), "-W", "error::DeprecationWarning:__main__", str(SCRIPTS / "python_cases.py")]
    package = client.replace("-node", "")
    node, reason = prepare.node_for(package)
    if node is None:
        pytest.skip(reason)
    return [str(node), str(SCRIPTS / "node_cases.mjs"), str(prepare.NODE / "node_modules" / package)]


def _output(command: list[str]) -> tuple[str, str]:
    """What a process printed until it ended, or until its time was up."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin"}
    )
    try:
        return process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        return stdout, f"{stderr}\nended after 60 s"


@pytest.fixture(scope="module")
def runs() -> Iterator[Callable[[str], Run]]:
    """Each client's run by its name: started when first asked for, its router up until the module ends."""
    routers: list[Turnout] = []

    @cache
    def run(client: str) -> Run:
        line = command(client)
        router = Turnout(configuration(), keys={"clients": KEY}, sandbox=SandboxConfig(faults=troubles()))
        routers.append(router.__enter__())
        stdout, stderr = _output([*line, router.base_url, KEY])
        reports = [json.loads(row) for row in stdout.splitlines()]
        return Run(router, {report["claim"]: report["error"] for report in reports}, stderr)

    yield run
    for router in routers:
        router.__exit__(None, None, None)


@pytest.fixture(params=CLIENTS)
def run(request: pytest.FixtureRequest, runs: Callable[[str], Run]) -> Run:
    return runs(request.param)


@pytest.mark.parametrize(
    ("client", "claim"),
    [pytest.param(client, claim, id=f"{client}: {claim}") for client, claims in CLIENTS.items() for claim in claims],
)
def test_the_unmodified_sdk(client: str, claim: str, runs: Callable[[str], Run]) -> None:
    run = runs(client)
    assert claim in run.errors, f"the client did not report this: {run.stderr[-2000:]}"
    error = run.errors[claim]
    assert error is None, error


def test_no_case_runs_unseen(run: Run) -> None:
    assert set(run.errors) <= {*PYTHON, *NODE}


def test_a_retry_after_that_is_kept_costs_one_upstream_call_per_client_request(run: Run) -> None:
    assert [entry["status"] for entry in run.router.requests(label="limited-briefly-0")] == [429, 429, 200]


@pytest.mark.parametrize("label", ["out-of-quota-0", "broken-0", "broken-1"])
def test_a_failure_that_no_retry_mends_reaches_the_upstream_once(label: str, run: Run) -> None:
    assert len(run.router.requests(label=label)) == 1


def test_a_client_that_gave_up_takes_its_upstream_call_along(run: Run) -> None:
    (call,) = eventually(
        lambda: [entry for entry in run.router.requests(label="stalled-0") if entry["duration_s"] is not None]
    )
    assert call["client_disconnected"]
    assert call["duration_s"] < 5


def test_every_picture_of_an_edit_travels_upstream(run: Run) -> None:
    sent = [
        sum("inlineData" in part or "inline_data" in part for part in entry["body"]["contents"][-1]["parts"])
        for entry in run.router.requests(operation="generate")
        if "image" in entry["model"] or "banana" in entry["model"]
    ]
    assert {1, 2} <= set(sent)
