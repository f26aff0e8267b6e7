"""Thought signatures through the whole router: a client that loses them, a second provider, a refusal.

The simulated upstream signs the first call of every step, refuses a current turn without the signature, and refuses
one that belongs to another part or family.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from harness import Turnout, events

from providers.sandbox.config import FaultRule

MODEL = "gemini-3.8-flash"
CONFIG = """
providers:
  google:  {type: gemini, api_key: "k"}
  second:  {type: gemini, api_key: "k"}
  vendor:  {type: openai, api_key: "k"}
models:
  chat:  {targets: [google/gemini-3.8-flash, vendor/gemini-3.8-flash], sort: order}
  twice: {targets: [google/gemini-3.8-flash, second/gemini-3.8-flash], sort: order}
  draw:  {targets: [google/gemini-3.1-flash-image]}
"""
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
DUMMY = base64.b64encode(b"skip_thought_signature_validator").decode()


class ForgetfulClient:
    """An agent that keeps of an answer what OpenAI documents, and nothing else."""

    def __init__(self, router: Turnout, model: str = "chat", *, stream: bool = False, key: str = "") -> None:
        self._router = router
        self._model = model
        self._stream = stream
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self.messages: list[dict[str, Any]] = []

    def ask(self, text: str | None = None, **fields: Any) -> dict[str, Any]:
        """One request; the answer joins the history. Without a text it continues after tool results."""
        if text is not None:
            self.messages.append({"role": "user", "content": text})
        body = {"model": self._model, "messages": self.messages, "tools": [WEATHER], "stream": self._stream, **fields}
        answer = self._router.http.post("/v1/chat/completions", json=body, headers=self._headers)
        assert answer.status_code == 200, answer.text
        self.provider = answer.headers["x-router-provider"]
        self.attempts = int(answer.headers["x-router-attempts"])
        message = _joined(answer.text) if self._stream else answer.json()["choices"][0]["message"]
        self.messages.append(_documented(message))
        return message

    def work(self, text: str) -> str:
        """One turn: the question, a call, its result, the answer."""
        calls = self.ask(text).get("tool_calls") or []
        assert calls, "the model calls the tool"
        for call in calls:
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": '{"celsius": 3}'})
        return str(self.ask()["content"])


def _documented(message: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {"role": "assistant", "content": message.get("content")}
    if message.get("tool_calls"):
        kept["tool_calls"] = [
            {"id": call["id"], "type": "function", "function": call["function"]} for call in message["tool_calls"]
        ]
    if message.get("images"):
        kept["images"] = [{"type": "image_url", "image_url": item["image_url"]} for item in message["images"]]
    return kept


def _joined(body: str) -> dict[str, Any]:
    """The message of a stream, as SDKs join it: pieces of one call are told by its index."""
    content, calls = "", {}
    for item in events(body)[:-1]:
        for choice in json.loads(item)["choices"]:
            content += choice["delta"].get("content") or ""
            for piece in choice["delta"].get("tool_calls", []):
                call = calls.setdefault(piece["index"], {"function": {"name": "", "arguments": ""}})
                call["id"] = piece.get("id") or call["id"]
                for key, value in piece["function"].items():
                    call["function"][key] += value or ""
    return {"content": content or None, "tool_calls": list(calls.values())}


def model_parts(request: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    contents = request["body"]["contents"]
    return [part for content in contents if content["role"] == "model" for part in content["parts"] if kind in part]


def signatures(request: dict[str, Any]) -> list[str | None]:
    return [part.get("thoughtSignature") for part in model_parts(request, "functionCall")]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_four_turns_keep_their_signatures_although_the_client_drops_them(
    turnout: Callable[..., Turnout], stream: bool
) -> None:
    router = turnout(CONFIG)
    client = ForgetfulClient(router, stream=stream)
    for turn in range(4):
        assert "3" in client.work(f"Turn {turn}: how cold is Oslo?")
        assert (client.provider, client.attempts) == ("google", 1)
    sent = signatures(router.requests(label="google")[-1])
    assert len(sent) == 4
    assert DUMMY not in sent
    assert None not in sent
    assert all(entry["status"] == 200 for entry in router.requests())


def test_four_steps_of_one_turn_are_each_signed(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    client = ForgetfulClient(router)
    client.ask("How cold is Oslo?", tool_choice="required")
    for _ in range(3):
        (call,) = client.messages[-1]["tool_calls"]
        client.messages.append({"role": "tool", "tool_call_id": call["id"], "content": "3"})
        client.ask(tool_choice="required")
    sent = signatures(router.requests(label="google")[-1])
    assert len(sent) == 3
    assert not {DUMMY, None} & set(sent), "Google checks the first call of every step since the last user turn"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_another_vendor_may_take_over_in_the_middle_and_hand_back(
    turnout: Callable[..., Turnout], stream: bool
) -> None:
    router = turnout(CONFIG)
    client = ForgetfulClient(router, stream=stream)
    client.work("How cold is Oslo?")
    calls = client.ask("And Rome?")["tool_calls"]
    router.faults(FaultRule(fault="status-503", label="google"))
    client.messages += [{"role": "tool", "tool_call_id": call["id"], "content": "9"} for call in calls]
    client.ask()
    assert (client.provider, client.attempts) == ("vendor", 2)
    client.work("And Bergen?")
    assert client.provider == "vendor"
    text = json.dumps([entry["body"] for entry in router.requests(label="vendor")])
    assert "thought_signature" not in text
    assert "extra_content" not in text
    router.faults()
    client.work("And Bonn?")
    assert client.provider == "google"
    sent = signatures(router.requests(label="google")[-1])
    assert [signature is None for signature in sent] == [False, False, True, False]
    assert DUMMY not in sent, "the vendor's call lies before the current turn: nobody checks it"


def test_a_step_of_another_vendor_in_the_current_turn_gets_the_placeholder(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    client = ForgetfulClient(router)
    router.faults(FaultRule(fault="status-503", label="google", times=1))
    (call,) = client.ask("How cold is Oslo?")["tool_calls"]
    assert client.provider == "vendor"
    client.messages.append({"role": "tool", "tool_call_id": call["id"], "content": "3"})
    client.ask()
    assert client.provider == "google"
    assert signatures(router.requests(label="google")[-1]) == [DUMMY]


def test_what_is_remembered_for_one_caller_is_not_used_for_another(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG, keys={"ann": "ann-secret", "bob": "bob-secret"})
    ann = ForgetfulClient(router, key="ann-secret")
    (call,) = ann.ask("How cold is Oslo?")["tool_calls"]
    ann.messages.append({"role": "tool", "tool_call_id": call["id"], "content": "3"})
    bob = ForgetfulClient(router, key="bob-secret")
    bob.messages = list(ann.messages)
    bob.ask()
    assert signatures(router.requests()[-1]) == [DUMMY]
    ann.ask()
    assert DUMMY not in signatures(router.requests()[-1])


def test_a_signature_of_another_project_is_not_sent_even_when_the_client_keeps_it(
    turnout: Callable[..., Turnout],
) -> None:
    router = turnout(CONFIG)
    body = {"model": "google/gemini-3.8-flash", "tools": [WEATHER]}
    history: list[dict[str, Any]] = [{"role": "user", "content": "How cold is Oslo?"}]
    answer = router.http.post("/v1/chat/completions", json={**body, "messages": history}).json()
    message = answer["choices"][0]["message"]
    (call,) = message["tool_calls"]
    assert call["extra_content"]["google"]["thought_signature"]
    history += [message, {"role": "tool", "tool_call_id": call["id"], "content": "3"}]
    moved = {**body, "model": "second/gemini-3.8-flash", "messages": history}
    assert router.http.post("/v1/chat/completions", json=moved).status_code == 200
    assert signatures(router.requests(label="second")[-1]) == [DUMMY]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_refused_signature_is_mended_by_one_more_attempt(turnout: Callable[..., Turnout], stream: bool) -> None:
    router = turnout(CONFIG)
    client = ForgetfulClient(router, stream=stream)
    corrupted = base64.b64encode(b"sandbox:2:0000").decode()
    call = {
        "id": "x9k2",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
        "extra_content": {"google": {"thought_signature": corrupted}},
    }
    client.messages = [
        {"role": "user", "content": "How cold is Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "x9k2", "content": "3"},
    ]
    client.ask()
    assert (client.provider, client.attempts) == ("google", 2)
    first, second = router.requests(label="google")
    assert (first["status"], signatures(first)) == (400, [corrupted])
    assert (second["status"], signatures(second)) == (200, [DUMMY])
    metrics = router.http.get("/metrics").text
    for outcome in ("signature", "ok"):
        wanted = f'router_attempts_total{{model="{MODEL}",outcome="{outcome}",provider="google"}} 1.0'
        assert wanted in metrics, "each upstream call is counted once"


def test_a_botched_call_is_asked_for_once_more_and_then_elsewhere(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    client = ForgetfulClient(router)
    router.faults(FaultRule(fault="malformed-function-call", label="google", times=1))
    client.ask("How cold is Oslo?")
    assert (client.provider, client.attempts) == ("google", 2)
    router.faults(FaultRule(fault="malformed-function-call", label="google", times=2))
    client.messages = []
    client.ask("How cold is Oslo?")
    assert (client.provider, client.attempts) == ("vendor", 3)


def test_a_model_that_botches_its_call_twice_and_has_no_substitute_is_a_502(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    router.faults(FaultRule(fault="malformed-function-call", label="google"))
    body = {"model": "google/gemini-3.8-flash", "messages": [{"role": "user", "content": "hi"}], "tools": [WEATHER]}
    answer = router.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_bad_response"
    assert len(router.requests(label="google")) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_picture_is_edited_again_although_the_client_sends_it_back_bare(
    turnout: Callable[..., Turnout], stream: bool
) -> None:
    router = turnout(CONFIG)
    history: list[dict[str, Any]] = [{"role": "user", "content": "Draw a fjord"}]
    body = {"model": "draw", "modalities": ["text", "image"]}
    answer = router.http.post("/v1/chat/completions", json={**body, "messages": history, "stream": stream})
    assert answer.status_code == 200, answer.text
    if stream:
        deltas = [json.loads(item)["choices"][0]["delta"] for item in events(answer.text)[:-1]]
        message = {"images": [image for delta in deltas for image in delta.get("images", [])]}
    else:
        message = answer.json()["choices"][0]["message"]
    (picture,) = message["images"]
    bare = {"type": "image_url", "image_url": {"url": picture["image_url"]["url"]}}
    for echo in ({"content": None, "images": [bare]}, {"content": [bare]}):
        turns = [*history, {"role": "assistant", **echo}, {"role": "user", "content": "Now at night"}]
        answer = router.http.post("/v1/chat/completions", json={**body, "messages": turns})
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-router-attempts"] == "1"
    log = router.requests(label="google")
    assert all(entry["status"] == 200 for entry in log)
