"""Agent frameworks over real sockets, unmodified but for base URL and key: tool loops on Gemini's thinking models.

Each framework is one process that proves every claim of `clients/agent_claims.py` against a router of its own with the
shipped configuration; here each claim is a test, and so is what reached the upstreams meanwhile. The simulated Gemini
refuses what the real one does: a step of the current turn without its signature, results that are not with their calls.
"""

import base64
import copy
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from clients import agent_claims, prepare
from harness import Turnout
from msgspec import Struct

KEY = "sk-turnout-agents"
SCRIPTS = Path(prepare.__file__).parent
FRAMEWORKS = {
    "langchain": agent_claims.LANGCHAIN,  # rebuilds messages from what OpenAI documents: signatures are lost to it
    "pydantic-ai": agent_claims.PYDANTIC_AI,  # echoes signatures
    "openai-agents": agent_claims.OPENAI_AGENTS,  # echoes signatures
    "ai-sdk openai-compatible": agent_claims.AI_SDK,  # echoes signatures
    "ai-sdk openai": agent_claims.AI_SDK,  # loses them
    # the same by the Responses API, which is the default wire of all but LangChain
    "langchain responses": agent_claims.LANGCHAIN,
    "pydantic-ai responses": agent_claims.PYDANTIC_AI,
    "openai-agents responses": agent_claims.OPENAI_AGENTS,
    "ai-sdk openai-responses": agent_claims.AI_SDK,
}
CONVERSATIONS = json.loads((SCRIPTS / "conversations.json").read_text("utf-8"))
DUMMY = base64.b64encode(b"skip_thought_signature_validator").decode()  # documented by Google

LOOPS = pytest.mark.parametrize(
    ("claim", "operation"),
    [(agent_claims.LOOP, "generate"), (agent_claims.STREAMED_LOOP, "stream")],
    ids=["plain", "streamed"],
)
TAKEOVERS = pytest.mark.parametrize(
    "claim", [agent_claims.TAKEOVER, agent_claims.STREAMED_TAKEOVER], ids=["plain", "streamed"]
)


class Report(Struct):
    """What a framework's process said of one claim; `usage` are input and output tokens."""

    claim: str
    error: str | None
    usage: tuple[int, int]


class Run(Struct):
    """One framework's process, ended: its router (still up), its reports by claim, and what it printed besides."""

    router: Turnout
    reports: dict[str, Report]
    stderr: str

    def requests(self, claim: str) -> list[dict[str, Any]]:
        """What the upstreams received in the conversation of this claim: its agent has the claim as instructions."""
        return [entry for entry in self.router.requests() if claim in json.dumps(instructions(entry["body"]))]


def instructions(body: dict[str, Any]) -> Any:
    if "systemInstruction" in body:
        return body["systemInstruction"]
    return [one for one in body.get("messages", ()) if one["role"] in ("system", "developer")]


def command(framework: str) -> list[str]:
    """How to run a framework's cases. Skips, saying why, where its environment cannot be had."""
    name, _, way = framework.partition(" ")
    if name != "ai-sdk":
        python = prepare.python_of("agents")
        assert python.exists(), "run tests/clients/prepare.py first (`make test` does)"
        return [str(python), str(SCRIPTS / f"{name.replace('-', '_')}_cases.py"), way or "chat"]
    node, reason = prepare.node_for("ai")
    if node is None:
        pytest.skip(reason)
    return [str(node), str(SCRIPTS / "ai_sdk_cases.mjs"), str(prepare.NODE / "package.json"), way]


@pytest.fixture(scope="module")
def runs() -> Iterator[Callable[[str], Run]]:
    """Each framework's run by its name: started when first asked for, its router up until the module ends."""
    routers: list[Turnout] = []

    @cache
    def run(framework: str) -> Run:
        line = command(framework)
        router = Turnout(keys={"agents": KEY})
        routers.append(router.__enter__())
        line += [router.base_url, KEY, router.sandbox_url]
        done = subprocess.run(line, capture_output=True, text=True, timeout=100, env={"PATH": "/usr/bin:/bin"})
        reports = [Report(**json.loads(row)) for row in done.stdout.splitlines()]
        return Run(router, {report.claim: report for report in reports}, done.stderr)

    yield run
    for router in routers:
        router.__exit__(None, None, None)


@pytest.fixture(params=FRAMEWORKS)
def run(request: pytest.FixtureRequest, runs: Callable[[str], Run]) -> Run:
    return runs(request.param)


@pytest.mark.parametrize(
    ("framework", "claim"),
    [
        pytest.param(framework, claim, id=f"{framework}: {claim}")
        for framework, claims in FRAMEWORKS.items()
        for claim in claims
    ],
)
def test_the_unmodified_framework(framework: str, claim: str, runs: Callable[[str], Run]) -> None:
    run = runs(framework)
    assert claim in run.reports, f"the framework did not report this: {run.stderr[-2000:]}"
    error = run.reports[claim].error
    assert error is None, error


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_case_runs_unseen(framework: str, runs: Callable[[str], Run]) -> None:
    assert set(runs(framework).reports) == set(FRAMEWORKS[framework])


@LOOPS
def test_every_step_of_a_conversation_reaches_gemini_signed(claim: str, operation: str, run: Run) -> None:
    requests = run.requests(claim)
    turns = CONVERSATIONS["turns"]
    wanted = [(CONVERSATIONS["model"], operation, 200)] * sum(len(turn["steps"]) + 1 for turn in turns)
    assert [(entry["model"], entry["operation"], entry["status"]) for entry in requests] == wanted
    steps = [signatures for entry in requests for signatures in steps_of(entry)]
    assert all(first not in (None, DUMMY) for first, *_ in steps)
    assert all(other is None for _, *others in steps for other in others), "Gemini signs the first of parallel calls"
    assert len(steps_of(requests[-1])) == sum(len(turn["steps"]) for turn in turns)


@LOOPS
def test_gemini_would_have_refused_the_conversation_without_its_signatures(
    claim: str, operation: str, run: Run
) -> None:
    last = run.requests(claim)[-1]
    assert answered(run, last, last["body"]).status_code == 200
    bare = copy.deepcopy(last["body"])
    for content in bare["contents"]:
        for part in content["parts"]:
            part.pop("thoughtSignature", None)
    refused = answered(run, last, bare)
    assert refused.status_code == 400
    assert "missing a thought_signature" in refused.text


@LOOPS
def test_gemini_would_have_refused_results_that_come_one_by_one(claim: str, operation: str, run: Run) -> None:
    last = run.requests(claim)[-1]
    apart = copy.deepcopy(last["body"])
    results = apart["contents"].pop()
    assert len(results["parts"]) == 2
    apart["contents"] += [{**results, "parts": [part]} for part in results["parts"]]
    refused = answered(run, last, apart)
    assert refused.status_code == 400
    assert "number of function response parts" in refused.text


@TAKEOVERS
def test_a_turn_goes_to_another_vendor_and_comes_back_to_gemini(claim: str, run: Run) -> None:
    requests = run.requests(claim)
    assert [(entry["label"], entry["status"]) for entry in requests] == [
        ("google", 200),
        ("google", 503),
        ("google", 503),
        ("xroute", 200),  # takes the step that Google did not
        *[("google", 200)] * 4,
    ]
    vendors = json.dumps(requests[3]["body"])
    assert "thought_signature" not in vendors
    assert "extra_content" not in vendors
    back, last = requests[4], requests[-1]
    (own, _), (foreign, _) = steps_of(back)
    assert own not in (None, DUMMY)
    assert foreign == DUMMY, "a call of the current turn that has no signature gets the documented placeholder"
    firsts = [first for first, *_ in steps_of(last)]
    assert [first in (None, DUMMY) for first in firsts] == [False, True, False, False]


def test_what_the_framework_counted_is_what_the_router_counted(run: Run) -> None:
    counted = [report.usage for report in run.reports.values()]
    metrics = run.router.http.get("/metrics").text
    for position, kind in enumerate(("input", "output")):
        pattern = rf'^gen_ai_client_token_usage_sum{{.*gen_ai_token_type="{kind}".*}} (\S+)$'
        total = sum(float(found) for found in re.findall(pattern, metrics, re.MULTILINE))
        assert total == sum(usage[position] for usage in counted) > 0


def test_a_type_reaches_gemini_as_a_schema(run: Run) -> None:
    asked = [
        entry["body"]
        for entry in run.router.requests(label="google")
        if entry["body"]["contents"][0]["parts"][0].get("text") == "Plan a journey"
    ]
    assert asked
    for body in asked:
        by_tool = body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode") == "ANY"
        schema = (
            body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
            if by_tool
            else body["generationConfig"]["responseJsonSchema"]
        )
        assert {"title", "stops"} <= set(schema["required"])


def steps_of(entry: dict[str, Any]) -> list[list[str | None]]:
    """The signatures of each step's calls, None for a call without."""
    turns = [content["parts"] for content in entry["body"]["contents"] if content["role"] == "model"]
    steps = [[part.get("thoughtSignature") for part in parts if "functionCall" in part] for parts in turns]
    return [step for step in steps if step]


def answered(run: Run, entry: dict[str, Any], body: dict[str, Any]) -> httpx.Response:
    """The simulated Gemini's answer to the same request with another body."""
    url = f"{run.router.sandbox_url}{entry['path']}"
    return httpx.post(url, json=body, headers={"x-goog-api-key": "k"}, trust_env=False)
