"""Every fault of every image dialect over real sockets: what the client sees, who was asked, what was booked."""

import contextlib
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness import Turnout, eventually
from image_fault_vectors import FAULTS, UPSTREAMS, Cell, Fault, Upstream
from msgspec.structs import replace

from providers.sandbox.config import FaultRule, SandboxConfig

GENERATE = "/v1/images/generations"


def configuration() -> str:
    lines = ["providers:"]
    for each in UPSTREAMS.values():
        url = f"{{sandbox}}/p/{each.type}/{each.path}"
        lines.append(f'  {each.type}: {{type: {each.type}, api_key: k, base_url: "{url}"}}')
    lines.append('  second: {type: openai, api_key: k, base_url: "{sandbox}/p/second/openai/v1"}')
    lines.append("models:")
    lines += [
        f"  {each.type}-first: {{targets: [{each.type}/{each.model}, second/gpt-image-2], sort: order}}"
        for each in UPSTREAMS.values()
    ]
    return "\n".join(lines)


def in_front(fault: Fault, upstream: Upstream) -> FaultRule:
    """The fault's rule for one upstream, at the operation that makes pictures unless it names another."""
    operation = {None: upstream.submit, "file": "file"}[fault.rule.on]
    if fault.rule.fault.startswith("poll-"):
        operation = upstream.poll
    return replace(fault.rule, label=upstream.type, on=operation)


CELLS = [
    pytest.param(name, upstream, expected, id=f"{name}: {upstream.type}")
    for name, fault in FAULTS.items()
    for upstream in UPSTREAMS.values()
    if isinstance(expected := fault.other.get(upstream.type, fault.usual), Cell)
]


def test_every_dialect_of_the_sandbox_meets_every_fault_that_it_can_have() -> None:
    assert set(UPSTREAMS) == {
        "gemini", "openai", "eachlabs", "bfl", "stability", "fal", "replicate", "ideogram", "stable-diffusion",
        "together", "xai", "seedream", "openrouter",
    }  # fmt: skip
    impossible = [why for fault in FAULTS.values() for why in fault.other.values() if isinstance(why, str)]
    assert len(CELLS) + len(impossible) == len(FAULTS) * len(UPSTREAMS)


@pytest.fixture(scope="module")
def router(request: pytest.FixtureRequest) -> Iterator[Turnout]:
    """One for each fault: an upstream is met once in it, so that what is learned of it matters to nobody."""
    with Turnout(configuration(), sandbox=SandboxConfig(job_s=0.0)) as turnout:
        yield turnout


@pytest.mark.parametrize(("router", "upstream", "expected"), CELLS, indirect=["router"])
def test_a_fault(router: Turnout, upstream: Upstream, expected: Cell, request: pytest.FixtureRequest) -> None:
    fault = FAULTS[request.node.callspec.params["router"]]
    router.clear()
    router.faults(in_front(fault, upstream))
    asked = {"model": f"{upstream.type}-first", "prompt": "a red barn", **fault.asked}
    answer = router.http.post(GENERATE, json=asked)
    record = router.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    attempts: list[dict[str, Any]] = record["attempts"]
    error = answer.json().get("error", {})
    assert (answer.status_code, error.get("code"), attempts[0]["outcome"], len(attempts)) == (
        expected.status, expected.code, expected.outcome, expected.attempts,
    )  # fmt: skip
    assert len(router.requests(label="second")) == expected.attempts - 1
    assert (answer.headers.get("x-should-retry") == "false") == expected.final
    booked = [attempt for attempt in attempts if "cost_source" in attempt]
    assert booked == (attempts[:1] if expected.booked else [])
    for attempt in booked:  # BFL and Eachlabs say what it costs; of others it is what was expected
        reported = {"bfl": 0.04, "eachlabs": 0.011}.get(upstream.type)
        assert attempt["cost_usd"] == (
            reported if attempt["cost_source"] == "reported" else attempt["expected_cost_usd"]
        )
    if booked and expected.attempts == 1:
        assert record["cost_usd"] == booked[0]["cost_usd"]
    if fault.rule.fault == "job-never-ends":
        assert bool(router.requests(label=upstream.type, operation="cancel")) == upstream.cancels


# --- clients that leave, and some of n


def leave(turnout: Turnout, upstream: Upstream, request_id: str) -> float:
    """Ask, hang up once the upstream has the request, and tell when."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", turnout.settings.server.port))) as line:
        body = json.dumps({"model": f"{upstream.type}/{upstream.model}", "prompt": "a red barn"}).encode()
        line.sendall(
            b"POST /v1/images/generations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"x-request-id: %s\r\ncontent-length: %d\r\n\r\n" % (request_id.encode(), len(body)) + body
        )
        operation = upstream.poll or upstream.submit
        eventually(lambda: turnout.requests(label=upstream.type, operation=operation))
    return time.monotonic()


@pytest.fixture(scope="module")
def unending() -> Iterator[Turnout]:
    """Nobody ever answers: jobs run on, calls hang."""
    rules = [
        FaultRule(fault="job-never-ends" if each.poll else "stall", label=each.type, on=each.submit)
        for each in UPSTREAMS.values()
    ]
    with Turnout(configuration(), sandbox=SandboxConfig(job_s=0.0, faults=tuple(rules))) as turnout:
        yield turnout


@pytest.mark.parametrize("upstream", UPSTREAMS.values(), ids=lambda each: each.type)
def test_a_client_that_hangs_up_ends_the_upstreams_work_within_a_second(unending: Turnout, upstream: Upstream) -> None:
    name = f"left-{upstream.type}"
    left = leave(unending, upstream, name)

    def ended() -> object:
        if upstream.cancels:
            return unending.requests(label=upstream.type, operation="cancel")
        if upstream.poll:  # BFL's tasks cannot be taken back: nobody asks for them any more
            return unending.on_loop(lambda: unending.gateway.in_flight == 0)
        return unending.requests(label=upstream.type)[-1]["client_disconnected"]

    eventually(ended)
    assert time.monotonic() - left < 1.0
    record = eventually(lambda: (found := unending.http.get(f"/v1/requests/{name}")).is_success and found.json())
    (attempt,) = record["attempts"]
    assert (record["status"], attempt["outcome"]) == (499, "cancelled")
    expected = attempt["expected_cost_usd"]
    assert (attempt["cost_usd"], attempt["cost_source"]) == (expected, "estimated" if expected else "unknown")
    assert record["cost_usd"] == expected


@pytest.mark.parametrize("upstream", UPSTREAMS.values(), ids=lambda each: each.type)
def test_one_of_four_fails_and_three_come(upstream: Upstream) -> None:
    """Where one call makes four, one of them is no picture; where it makes one, one call of four fails."""
    failing = "job-fails" if upstream.poll else "status-500"
    rule = FaultRule(
        fault="one-bad-image" if upstream.together else failing, label=upstream.type, on=upstream.submit, times=1
    )
    with Turnout(configuration(), sandbox=SandboxConfig(job_s=0.0, faults=(rule,))) as turnout:
        asked = {"model": f"{upstream.type}-first", "prompt": "a red barn", "n": 4}
        answer = turnout.http.post(GENERATE, json=asked)
        record = turnout.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
        assert not turnout.requests(label="second")
    assert answer.status_code == 200
    made = answer.json()
    assert len(made["data"]) == 3
    assert answer.headers["x-router-partial"] == "3/4"
    assert "n=3 of 4" in answer.headers["x-router-warnings"]
    assert (record["images"], len(record["attempts"])) == (3, 1)
    failed = made.get("router", {}).get("errors", [])
    if upstream.type != "xai":  # makes three at a time: the spoilt one may be alone in its call, which fails then
        assert bool(failed) != upstream.together
    for lost in failed:
        code = "upstream_bad_response" if upstream.together else "upstream_unavailable"
        assert (lost["provider"], lost["code"]) == (upstream.type, code)
        assert lost["message"]
    one = {"stability": 0.03, "seedream": 0.03, "fal": 0.003, "replicate": 0.003, "together": 0.0027}.get(upstream.type)
    if one is not None:  # priced by the picture: a failed job of fal's costs nothing, a picture that came broken does
        charged = 4 if upstream.together or upstream.type == "stability" or upstream.type == "seedream" else 3
        assert record["cost_usd"] == pytest.approx(charged * one)


@pytest.mark.parametrize("switch", [False, True])
def test_moderation_fails_over_where_the_operator_says_so_alone(switch: bool) -> None:
    text = configuration() + f"\nrouting: {{failover: {{content_policy: {str(switch).lower()}}}}}"
    rule = FaultRule(fault="image-safety", label="bfl", on="submit")
    with Turnout(text, sandbox=SandboxConfig(job_s=0.0, faults=(rule,))) as turnout:
        answer = turnout.http.post(GENERATE, json={"model": "bfl-first", "prompt": "x"})
        record = turnout.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert answer.status_code == (200 if switch else 400)
    assert [attempt["outcome"] for attempt in record["attempts"]] == (["filtered", "ok"] if switch else ["filtered"])
    assert record["attempts"][0]["cost_usd"] == 0.04, "BFL names the price when it accepts a task"


def test_a_model_that_answers_in_words_is_asked_once_more_for_an_image_and_then_passed_over() -> None:
    rule = FaultRule(fault="no-image", label="gemini")
    with Turnout(configuration(), sandbox=SandboxConfig(faults=(rule,))) as turnout:
        answer = turnout.http.post(GENERATE, json={"model": "gemini-first", "prompt": "a red barn"})
        prompts = [
            entry["body"]["contents"][0]["parts"][-1]["text"] for entry in turnout.requests(operation="generate")
        ]
        record = turnout.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert (answer.status_code, answer.headers["x-router-provider"]) == (200, "second")
    assert prompts == ["a red barn", "Generate an image. a red barn"]
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["no_image", "no_image", "ok"]
    words = [attempt["cost_usd"] for attempt in record["attempts"][:2]]
    assert all(0 < usd < 0.01 for usd in words), "its words are charged, not a picture"


def test_a_provider_without_credit_is_not_asked_again_for_any_of_its_models() -> None:
    rule = FaultRule(fault="status-402", label="fal", on="submit", times=1)
    text = configuration() + "\n  other: {targets: [fal/fal-ai/flux/dev, second/gpt-image-2], sort: order}"
    with Turnout(text, sandbox=SandboxConfig(job_s=0.0, faults=(rule,))) as turnout:
        served = [
            turnout.http.post(GENERATE, json={"model": model, "prompt": "x"}).headers["x-router-provider"]
            for model in ("fal-first", "fal-first", "other")
        ]
        assert served == ["second"] * 3
        assert len(turnout.requests(label="fal")) == 1


def test_places_at_an_upstream_are_shared_by_all_requests() -> None:
    text = configuration().replace("eachlabs: {", "eachlabs: {max_concurrency: 2, ", 1)
    rule = FaultRule(fault="job-never-ends", label="eachlabs", on="submit")
    with Turnout(text, sandbox=SandboxConfig(job_s=0.0, faults=(rule,))) as turnout, ThreadPoolExecutor(4) as pool:
        asked = {"model": "eachlabs/flux-1-1-pro", "prompt": "x", "router": {"deadline_ms": 900}}
        answers = [pool.submit(turnout.http.post, GENERATE, json=asked) for _ in range(4)]
        eventually(lambda: len(turnout.requests(label="eachlabs", operation="submit")) == 2)
        time.sleep(0.3)
        assert len(turnout.requests(label="eachlabs", operation="submit")) == 2
        # those that had a place ran out of time, the others had no room before theirs was over
        assert Counter(answer.result().status_code for answer in answers) == {504: 2, 429: 2}
