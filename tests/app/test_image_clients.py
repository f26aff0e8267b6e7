"""Every client's picture calls against every backend: each cell is a test, each client one process for all of them."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from clients.running import KEY, ran
from harness import Turnout
from image_matrix import CASES, ROWS, configuration
from msgspec import Struct

from providers.sandbox.config import SandboxConfig

# What litellm silences when it is imported, and pytest un-silences: it uses pydantic in ways that pydantic warns of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Item .* is using the `ReadOnly` qualifier:UserWarning"),
]
# the AI SDK's `generateImage` does not stream, and its own OpenAI provider reads base64 only
CLIENTS = {
    "openai-3": CASES,
    "openai-node-7": CASES,
    "ai-openai": tuple(case for case in CASES if case not in ("url", "stream")),
    "ai-openai-compatible": tuple(case for case in CASES if case != "stream"),
}
CELLS = [
    pytest.param(client, f"{row.name}: {case}", id=f"{client}: {row.name}: {case}")
    for client, cases in CLIENTS.items()
    for row in ROWS
    for case in cases
]


class Seen(Struct):
    """One client's process, ended: what it reported of each cell, what it printed besides, what the upstreams got."""

    errors: dict[str, str | None]
    stderr: str
    requests: list[dict[str, Any]]


Runs = Callable[[str], Seen]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """Each client's run by its name: made when first asked for, against one router."""
    with Turnout(configuration(), keys={"clients": KEY}, sandbox=SandboxConfig(job_s=0.0)) as router:

        @cache
        def run(client: str) -> Seen:
            router.clear()
            done = ran(client, "pictures", router, json.dumps([row.as_json() for row in ROWS]))
            return Seen(done.errors, done.stderr, router.requests())

        yield run


@pytest.mark.parametrize(("client", "cell"), CELLS)
def test_the_unmodified_sdk(client: str, cell: str, runs: Runs) -> None:
    run = runs(client)
    assert cell in run.errors, f"the client did not report this: {run.stderr[-2000:]}"
    error = run.errors[cell]
    assert error is None, error


@pytest.mark.parametrize("client", CLIENTS)
def test_no_cell_runs_unseen(client: str, runs: Runs) -> None:
    assert set(runs(client).errors) == {f"{row.name}: {case}" for row in ROWS for case in CLIENTS[client]}


@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_filter_refused_is_asked_for_once(client: str, runs: Runs) -> None:
    asked = Counter(
        (entry["label"], entry["model"])
        for entry in runs(client).requests
        if entry["method"] == "POST" and "sandbox-fault: image-safety" in str(entry["body"])
    )
    assert sum(asked.values()) == len(ROWS), asked
    assert set(asked.values()) == {1}


@pytest.mark.parametrize("client", CLIENTS)
def test_gpt_image_models_are_never_told_the_form_of_the_answer(client: str, runs: Runs) -> None:
    told = [entry["body"] for entry in runs(client).requests if entry["label"] == "openai"]
    assert told
    assert not any("response_format" in str(body) for body in told)
