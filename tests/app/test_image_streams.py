"""Streamed images over real sockets: which events, when the answer is committed, and how failures end it."""

import base64
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from harness import Turnout, eventually
from msgspec import Struct
from pictures import picture

from providers.pictures import sniff_mime
from providers.sandbox.config import FaultRule, Latency, SandboxConfig
from router.api import image_stream

GENERATE, EDIT = "/v1/images/generations", "/v1/images/edits"
REQUIRED = {"type", "b64_json", "created_at", "size", "quality", "background", "output_format"}
ONE = "providers:\n  p: {{type: {kind}, api_key: k}}\nmodels:\n  m: {{targets: [p/{model}]}}\n"
GPT = ONE.format(kind="openai", model="gpt-image-2")
GEMINI = ONE.format(kind="gemini", model="gemini-3.1-flash-image")


class Event(Struct):
    name: str
    data: dict[str, Any]


def events(answer: httpx.Response) -> list[Event]:
    """Every event, its name and its data; the name stands in the data as well."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if lines:
            found.append(Event(lines["event"], json.loads(lines["data"])))
            assert found[-1].data["type"] == found[-1].name
    return found


def ask(router: Turnout, model: str = "m", **more: Any) -> httpx.Response:
    return router.http.post(GENERATE, json={"model": model, "prompt": "a barn", "stream": True, **more})


def test_an_upstreams_previews_pass_through(router: Turnout) -> None:
    answer = ask(router, "gpt-image-2", partial_images=2, size="1024x1024", quality="low")
    *partial, last = events(answer)
    assert [event.name for event in partial] == ["image_generation.partial_image"] * 2
    assert [event.data["partial_image_index"] for event in partial] == [0, 1]
    assert last.name == "image_generation.completed"
    for event in (*partial, last):
        assert event.data.keys() >= REQUIRED
        assert sniff_mime(base64.b64decode(event.data["b64_json"])) == "image/png"
        assert (event.data["size"], event.data["quality"]) == ("1024x1024", "low")
    assert last.data["usage"]["output_tokens"] > 0
    (call,) = router.requests()
    assert (call["body"]["stream"], call["body"]["partial_images"]) == (True, 2)
    assert "image_index" not in last.data
    record = router.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert (record["stream"], record["status"], record["images"]) == (True, 200, 1)
    assert record["cost_usd"] > 0
    assert record["first_content_ms"] is not None


def test_an_edit_streams_under_its_own_names(router: Turnout) -> None:
    files = {"image": ("a.png", picture(64, 64), "image/png")}
    fields = {"model": "gpt-image-2", "prompt": "a hat", "stream": "true", "partial_images": "1"}
    answer = router.http.post(EDIT, data=fields, files=files)
    assert [event.name for event in events(answer)] == ["image_edit.partial_image", "image_edit.completed"]
    assert len(router.requests(operation="edits")) == 1


@pytest.mark.parametrize("previews", [None, 0, 3])
def test_a_backend_without_previews_sends_the_picture_alone(router: Turnout, previews: int | None) -> None:
    answer = ask(router, "gemini-3.1-flash-image", partial_images=previews)
    (event,) = events(answer)
    assert event.name == "image_generation.completed"
    assert event.data.keys() >= REQUIRED | {"usage"}
    assert ("partial_images=ignored" in answer.headers.get("x-router-warnings", "")) == bool(previews)


def test_several_pictures_are_several_events_and_are_counted_once(router: Turnout) -> None:
    found = events(ask(router, "gpt-image-2", n=3))
    assert [event.data["image_index"] for event in found] == [0, 1, 2]
    assert [event.data["usage"]["total_tokens"] > 0 for event in found] == [False, False, True]


def test_a_link_takes_the_place_of_the_bytes(router: Turnout) -> None:
    (event,) = events(ask(router, "gpt-image-2", response_format="url"))
    assert "b64_json" not in event.data
    assert sniff_mime(httpx.get(event.data["url"], trust_env=False).content) == "image/png"


def test_a_failure_before_anything_was_sent_keeps_its_status(turnout: Callable[..., Turnout]) -> None:
    refusing = turnout(GPT, sandbox=SandboxConfig(faults=(FaultRule(fault="image-safety"),)))
    answer = ask(refusing, partial_images=2)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "moderation_blocked")
    assert ask(refusing, prompt="").json()["error"]["param"] == "prompt"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_stream, "_KEEP_ALIVE_S", 0.1)


@pytest.mark.usefixtures("impatient")
def test_a_slow_picture_is_kept_alive_by_comments(turnout: Callable[..., Turnout]) -> None:
    slow = turnout(GEMINI, sandbox=SandboxConfig(latency={"*": Latency(image_ms=600)}))
    answer = ask(slow)
    assert answer.text.startswith(": keep-alive\n\n")
    assert 3 <= answer.text.count(": keep-alive\n\n") <= 60
    assert [event.name for event in events(answer)] == ["image_generation.completed"]


@pytest.mark.usefixtures("impatient")
def test_a_failure_behind_a_comment_is_an_event(turnout: Callable[..., Turnout]) -> None:
    rule = FaultRule(fault="reset", args={"seconds": 0.4})
    lost = turnout(GPT, sandbox=SandboxConfig(faults=(rule,)))
    answer = ask(lost)
    (event,) = events(answer)
    assert event.name == "error"
    assert (event.data["error"]["type"], event.data["error"]["code"]) == ("server_error", "upstream_unavailable")
    record = lost.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert (record["interrupted"], record["error"]) == (True, "upstream_unavailable")


@pytest.mark.parametrize("fault", ["reset-mid-stream", "truncate", "error-mid-stream"])
def test_a_stream_that_breaks_off_behind_a_preview_ends_with_an_error(
    turnout: Callable[..., Turnout], fault: str
) -> None:
    config = "providers:\n  a: {type: openai, api_key: k}\n  b: {type: openai, api_key: k}\n"
    config += "models:\n  m: {targets: [a/gpt-image-2, b/gpt-image-2], sort: order}\n"
    cut = turnout(config, sandbox=SandboxConfig(faults=(FaultRule(fault=fault, args={"after": 1}),)))
    shown, error = events(ask(cut, partial_images=2))
    assert (shown.name, error.name) == ("image_generation.partial_image", "error")
    assert error.data["error"]["message"]
    assert len(cut.requests()) == 1, "a second upstream was paid for what the first had begun"


def test_a_drain_that_cuts_ends_a_stream_with_an_error(
    turnout: Callable[..., Turnout], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_stream, "_KEEP_ALIVE_S", 0.05)
    router = turnout(GPT, sandbox=SandboxConfig(faults=(FaultRule(fault="stall", args={"seconds": 30}),)))
    with ThreadPoolExecutor(1) as pool:
        streamed = pool.submit(ask, router)
        eventually(router.requests)
        time.sleep(0.2)
        router.on_loop(router.gateway.cut)
        (event,) = events(streamed.result())
    assert (event.name, event.data["error"]["code"]) == ("error", "router_shutting_down")


def test_a_stream_that_never_begins_is_asked_elsewhere(turnout: Callable[..., Turnout]) -> None:
    config = "providers:\n  a: {type: openai, api_key: k}\n  b: {type: openai, api_key: k}\n"
    config += "models:\n  m: {targets: [a/gpt-image-2, b/gpt-image-2], sort: order}\n"
    faults = (FaultRule(fault="429-retry-after", label="a"),)
    limited = turnout(config, sandbox=SandboxConfig(faults=faults))
    assert [event.name for event in events(ask(limited, partial_images=1))] == [
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert [entry["label"] for entry in limited.requests()] == ["a", "b"]


def test_a_client_that_leaves_takes_its_upstream_along(turnout: Callable[..., Turnout]) -> None:
    stalled = turnout(GPT, sandbox=SandboxConfig(faults=(FaultRule(fault="stall", args={"seconds": 30}),)))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            stalled.url + GENERATE,
            json={"model": "m", "prompt": "x", "stream": True},
            timeout=httpx.Timeout(5, read=0.3),
            trust_env=False,
        )
    (call,) = eventually(lambda: [entry for entry in stalled.requests() if entry["duration_s"] is not None])
    assert call["client_disconnected"]
