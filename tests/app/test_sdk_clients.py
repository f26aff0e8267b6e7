"""OpenAI's own SDKs, each version in its own environment and unmodified but for base URL and key, over real sockets.

Each client is one process that proves every claim of `clients/cases.py` against a router of its own; here each claim
is a test. Upstreams that misbehave are providers of their own, so that one claim does not disturb another.
"""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
from clients.cases import NODE, PYTHON
from clients.running import Run, ran, troubled_router
from harness import Turnout, eventually

CLIENTS = {"openai-2": PYTHON, "openai-3": PYTHON, "openai-node-6": NODE, "openai-node-7": NODE}


@pytest.fixture(scope="module")
def runs() -> Iterator[Callable[[str], Run]]:
    """Each client's run by its name: started when first asked for, its router up until the module ends."""
    routers: list[Turnout] = []

    @cache
    def run(client: str) -> Run:
        routers.append(troubled_router().__enter__())
        return ran(client, "cases", routers[-1])

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
