"""OpenAI's own SDKs on `POST /v1/responses`, unmodified but for base URL and key, over real sockets.

Each client is one process that proves every claim of `clients/responses_claims.py` against a router of its own; here
each claim is a test.
"""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
from clients.responses_claims import NODE, PYTHON
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
        return ran(client, "responses", routers[-1])

    yield run
    for router in routers:
        router.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("client", "claim"),
    [pytest.param(client, claim, id=f"{client}: {claim}") for client, claims in CLIENTS.items() for claim in claims],
)
def test_the_unmodified_sdk(client: str, claim: str, runs: Callable[[str], Run]) -> None:
    run = runs(client)
    assert claim in run.errors, f"the client did not report this: {run.stderr[-2000:]}"
    error = run.errors[claim]
    assert error is None, error


@pytest.mark.parametrize("client", CLIENTS)
def test_no_case_runs_unseen(client: str, runs: Callable[[str], Run]) -> None:
    assert set(runs(client).errors) == set(CLIENTS[client])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("label", ["broken-0", "broken-1"])
def test_a_failure_that_no_retry_mends_reaches_the_upstream_once(
    client: str, label: str, runs: Callable[[str], Run]
) -> None:
    assert len(runs(client).router.requests(label=label)) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_gave_up_takes_its_upstream_call_along(client: str, runs: Callable[[str], Run]) -> None:
    router = runs(client).router
    (call,) = eventually(
        lambda: [each for each in router.requests(label="stalled-0") if each["duration_s"] is not None]
    )
    assert call["client_disconnected"]
    assert call["duration_s"] < 5
