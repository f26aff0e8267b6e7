"""The AI SDK's `generateImage` over real sockets, unmodified but for base URL and key, with both of its providers."""

import json
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from clients import prepare
from harness import Turnout
from msgspec import Struct

KEY = "sk-turnout-pictures"
SCRIPT = Path(prepare.__file__).with_name("ai_sdk_images.mjs")
PROVIDERS = ("openai", "openai-compatible")
CLAIMS = (
    "one picture comes as bytes",
    "three pictures come from one call",
    "three pictures come from a backend that makes one at a time",
    "a picture can be edited under a mask",
    "several pictures can be edited together",
    "a picture that is refused raises APICallError once, with the reason",
)


class Run(Struct):
    """One provider's process, ended: its router (still up), what it reported, and what it printed besides."""

    router: Turnout
    errors: dict[str, str | None]
    stderr: str


@pytest.fixture(scope="module")
def runs() -> Iterator[Callable[[str], Run]]:
    """Each provider's run by its name: started when first asked for, its router up until the module ends."""
    routers: list[Turnout] = []

    @cache
    def run(provider: str) -> Run:
        node, reason = prepare.node_for("ai")
        if node is None:
            pytest.skip(reason)
        routers.append(Turnout(keys={"pictures": KEY}).__enter__())
        router = routers[-1]
        line = [str(node), str(SCRIPT), str(prepare.NODE / "package.json"), provider, router.base_url, KEY]
        done = subprocess.run(line, capture_output=True, text=True, timeout=100, env={"PATH": "/usr/bin:/bin"})
        reports = [json.loads(row) for row in done.stdout.splitlines()]
        return Run(router, {report["claim"]: report["error"] for report in reports}, done.stderr)

    yield run
    for router in routers:
        router.__exit__(None, None, None)


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_generate_image(provider: str, claim: str, runs: Callable[[str], Run]) -> None:
    run = runs(provider)
    assert claim in run.errors, f"the client did not report this: {run.stderr[-2000:]}"
    error = run.errors[claim]
    assert error is None, error


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pictures_masks_and_refusals_reach_the_upstream_as_they_should(
    provider: str, runs: Callable[[str], Run]
) -> None:
    run = runs(provider)
    assert set(run.errors) == set(CLAIMS)
    (edit,) = run.router.requests(operation="edits")
    assert 'name="mask"' in edit["body"]["head"]
    refused = [entry for entry in run.router.requests(operation="images") if "sandbox-fault" in entry["body"]["prompt"]]
    assert len(refused) == 1
    assert all("response_format" not in entry["body"] for entry in run.router.requests(operation="images"))
