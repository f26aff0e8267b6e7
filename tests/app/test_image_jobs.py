"""Pictures that are paid for once: keys that stand for a request, and jobs that are fetched later."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from harness import Turnout, chat, eventually
from pictures import picture

from providers.pictures import sniff_mime
from providers.sandbox.config import FaultRule, Latency, SandboxConfig
from router.api import coalescing, image_jobs

GENERATE, EDIT = "/v1/images/generations", "/v1/images/edits"
GPT = "providers:\n  p: {type: openai, api_key: k}\nmodels:\n  m: {targets: [p/gpt-image-2]}\n"
SLOW = SandboxConfig(latency={"*": Latency(image_ms=500)})
STALLED = SandboxConfig(faults=(FaultRule(fault="stall", args={"seconds": 60}),))
ASYNC = {"prefer": "respond-async"}


def ask(router: Turnout, prompt: str = "a barn", key: str | None = "k1", **more: Any) -> httpx.Response:
    headers = more.pop("headers", {}) | ({"idempotency-key": key} if key else {})
    return router.http.post(GENERATE, json={"model": "m", "prompt": prompt, **more}, headers=headers)


def later(router: Turnout, **more: Any) -> httpx.Response:
    return ask(router, key=more.pop("key", None), headers=ASYNC | more.pop("headers", {}), **more)


def ended(router: Turnout, answer: httpx.Response) -> dict[str, Any]:
    """What became of the job that `answer` announced."""
    where = answer.headers["location"].removeprefix(router.url)

    def look() -> dict[str, Any]:
        job: dict[str, Any] = router.http.get(where).json()
        return job if job["status"] != "in_progress" else {}

    return eventually(look)


# --- Idempotency-Key


def test_those_who_come_meanwhile_wait_for_the_same_picture(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT, sandbox=SLOW)
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: ask(router), range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(router.requests()) == 1
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == ["", *["true"] * 4]


def test_those_who_come_lately_get_it_again(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT)
    first, second = ask(router), ask(router)
    assert (first.content, second.headers["idempotent-replayed"]) == (second.content, "true")
    assert "idempotent-replayed" not in ask(router, key="k2").headers
    assert len(router.requests()) == 2


def test_a_form_is_the_same_whatever_its_boundary(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT)

    def edit(**fields: str) -> httpx.Response:
        files = {"image": ("a.png", picture(64, 64), "image/png")}
        fields = {"model": "m", "prompt": "a hat", **fields}
        return router.http.post(EDIT, data=fields, files=files, headers={"idempotency-key": "k"})

    first, second = edit(), edit()
    assert first.request.headers["content-type"] != second.request.headers["content-type"]
    assert first.content == second.content
    assert edit(prompt="a scarf").status_code == 422
    assert len(router.requests()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a tree"},
        {"n": 2},
        {"response_format": "url"},
        {"complexity": "low"},
        {"provider": {"sort": "latency"}},
    ],
)
def test_a_key_stands_for_one_request(turnout: Callable[..., Turnout], change: dict[str, Any]) -> None:
    router = turnout(GPT)
    assert ask(router).status_code == 200
    answer = ask(router, **change)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (422, "idempotency_key_reused", "Idempotency-Key")
    assert error["type"] == "invalid_request_error"
    assert ask(router, key="k2", **change).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_bad_key_is_a_400(turnout: Callable[..., Turnout], key: str) -> None:
    answer = turnout(GPT).http.post(GENERATE, json={"model": "m", "prompt": "x"}, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")


def test_a_client_that_gave_up_finds_its_picture_when_it_comes_back(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT, sandbox=SLOW)
    body, headers = {"model": "m", "prompt": "a barn"}, {"idempotency-key": "k1", "x-request-id": "gave-up"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            router.url + GENERATE, json=body, headers=headers, timeout=httpx.Timeout(5, read=0.1), trust_env=False
        )
    answer = ask(router)
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
    assert len(router.requests()) == 1
    record = router.http.get("/v1/requests/gave-up").json()
    assert (record["status"], record["images"], len(record["attempts"])) == (200, 1, 1)
    assert record["cost_usd"] > 0


def test_every_client_has_its_own_keys(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT, keys={"a": "sk-a", "b": "sk-b"})
    for secret, prompt in (("sk-a", "a barn"), ("sk-b", "a tree")):
        answer = ask(router, prompt, headers={"authorization": f"Bearer {secret}"})
        assert answer.status_code == 200
        assert "idempotent-replayed" not in answer.headers
    assert len(router.requests()) == 2


def test_a_failure_that_may_pass_is_tried_again(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT, sandbox=SandboxConfig(faults=(FaultRule(fault="status-500", times=1),)))
    assert ask(router).status_code == 502
    assert ask(router).status_code == 200


def test_a_refusal_stays_one(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT, sandbox=SandboxConfig(faults=(FaultRule(fault="image-safety"),)))
    first, second = ask(router), ask(router)
    assert (first.status_code, first.content) == (400, second.content)
    assert len(router.requests()) == 1


def test_a_stream_says_that_it_ignores_the_key(turnout: Callable[..., Turnout]) -> None:
    answer = ask(turnout(GPT), stream=True, headers=ASYNC)
    assert "image_generation.completed" in answer.text
    assert "Idempotency-Key=ignored" in answer.headers["x-router-warnings"]
    assert "Prefer=ignored" in answer.headers["x-router-warnings"]


def test_kept_answers_are_bounded(turnout: Callable[..., Turnout], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "_MAX_KEPT", 2)
    router = turnout(GPT)
    for key in ("k1", "k2", "k3"):
        ask(router, key=key)
    assert ["idempotent-replayed" in ask(router, key=key).headers for key in ("k3", "k1")] == [True, False]


def test_too_many_under_way_are_a_429(turnout: Callable[..., Turnout], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "_MAX_UNDER_WAY", 1)
    router = turnout(GPT, sandbox=SLOW)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, router)
        eventually(router.requests)
        assert ask(router, key="k2").status_code == 429
        assert first.result().status_code == 200
    assert ask(router, key="k2").status_code == 200


# --- Prefer: respond-async


def test_a_job_is_answered_at_once_and_ends_with_links(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT, sandbox=SLOW)
    began = time.monotonic()
    answer = later(router, n=2, headers={"x-request-id": "job-1"})
    assert time.monotonic() - began < 0.4
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    job = answer.json()
    assert (job["object"], job["status"], job["result"], job["error"]) == ("image.job", "in_progress", None, None)
    assert answer.headers["location"] == f"{router.base_url}/images/jobs/{job['id']}"
    looked = router.http.get(f"/v1/images/jobs/{job['id']}")
    assert (looked.json()["status"], looked.headers["retry-after"]) == ("in_progress", "2")
    done = ended(router, answer)
    assert (done["status"], done["request_id"]) == ("completed", "job-1")
    assert done["expires_at"] > time.time()
    items = done["result"]["data"]
    assert [set(item) - {"revised_prompt"} for item in items] == [{"url"}] * 2
    assert sniff_mime(httpx.get(items[0]["url"], trust_env=False).content) == "image/png"
    record = router.http.get("/v1/requests/job-1").json()
    assert (record["status"], record["images"]) == (200, 2)
    assert "pictures of jobs are links" in answer.headers["x-router-warnings"]


def test_a_job_that_fails_says_why(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT, sandbox=SandboxConfig(faults=(FaultRule(fault="image-safety"),)))
    job = ended(router, later(router))
    assert (job["status"], job["error"]["code"], job["result"]) == ("failed", "moderation_blocked", None)


def test_what_is_refused_before_anybody_is_asked_is_no_job(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT)
    assert later(router, prompt="").status_code == 400
    assert later(router, model="nobody").status_code == 404


def test_a_job_can_be_cancelled_with_its_upstream_call(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT, sandbox=STALLED)
    job = later(router, headers={"x-request-id": "job-2"}).json()
    eventually(router.requests)
    where = f"/v1/images/jobs/{job['id']}"
    assert router.http.delete(where).json()["status"] == "cancelled"
    assert router.http.get(where).json()["status"] == "cancelled"
    eventually(lambda: router.requests()[0]["client_disconnected"])
    record = router.http.get("/v1/requests/job-2").json()
    assert (record["status"], record["error"]) == (499, "cancelled")
    assert router.http.delete(where).json() == {"id": job["id"], "object": "image.job", "deleted": True}
    assert router.http.get(where).status_code == 404
    assert router.on_loop(lambda: router.gateway.in_flight) == 0


def test_a_job_is_its_owners(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT, keys={"a": "sk-a", "b": "sk-b"})
    mine, others = ({"authorization": f"Bearer {secret}"} for secret in ("sk-a", "sk-b"))
    where = f"/v1/images/jobs/{later(router, headers=mine).json()['id']}"
    assert router.http.get(where, headers=mine).status_code == 200
    for method in ("GET", "DELETE"):
        assert router.http.request(method, where, headers=others).status_code == 404
        assert router.http.request(method, where).status_code == 401


@pytest.mark.parametrize("name", ["nothing", "imgjob_" + "0" * 32, "../files/x"])
def test_an_unknown_job_is_a_404(router: Turnout, name: str) -> None:
    assert router.http.get(f"/v1/images/jobs/{name}").status_code == 404


def test_one_key_is_one_job(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT)
    first, second = (later(router, key="k") for _ in range(2))
    assert (first.json()["id"], second.headers["idempotent-replayed"]) == (second.json()["id"], "true")
    ended(router, first)
    assert len(router.requests()) == 1
    assert ask(router, key="k").status_code == 422


def test_a_client_has_so_many_jobs_and_no_more(
    turnout: Callable[..., Turnout], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_jobs, "_MAX_UNDER_WAY", 2)
    router = turnout(GPT, sandbox=STALLED, keys={"a": "sk-a", "b": "sk-b"})
    mine, others = ({"authorization": f"Bearer {secret}"} for secret in ("sk-a", "sk-b"))
    assert [later(router, headers=mine).status_code for _ in range(3)] == [202, 202, 429]
    assert later(router, headers=others).status_code == 202
    assert router.on_loop(lambda: router.gateway.in_flight) == 3


def test_jobs_count_as_work_under_way(turnout: Callable[..., Turnout]) -> None:
    router = turnout("server: {max_in_flight: 2}\n" + GPT, sandbox=STALLED)
    assert [later(router).status_code for _ in range(3)] == [202, 202, 429]


def test_jobs_end_with_the_process() -> None:
    with Turnout(GPT, sandbox=STALLED) as router:
        later(router, headers={"x-request-id": "job-3"})
        eventually(router.requests)
        gateway = router.gateway
    assert (gateway.in_flight, gateway.live) == (0, set())


def test_a_drain_that_cuts_tells_those_who_wait(turnout: Callable[..., Turnout]) -> None:
    router = turnout(GPT, sandbox=STALLED)
    job = later(router).json()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, router)
        eventually(lambda: len(router.requests()) == 2)
        router.on_loop(router.gateway.cut)
        answer = waiting.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "router_shutting_down")
    found = router.http.get(f"/v1/images/jobs/{job['id']}").json()
    assert (found["status"], found["error"]["code"]) == ("failed", "router_shutting_down")


def test_chat_takes_no_notice_of_either(router: Turnout) -> None:
    for _ in range(2):
        answer = router.http.post("/v1/chat/completions", json=chat("hello"), headers=ASYNC | {"idempotency-key": "k"})
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False)
