"""POST /v1/responses over real sockets: what comes back, what went out upstream, and that it is the chat path."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from harness import Turnout, eventually
from pictures import picture

from providers.sandbox.config import FaultRule

PATH, MODEL = "/v1/responses", "gemini-3.8-flash"
WORDS = " ".join(f"word{number}" for number in range(1, 41))
PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "name": "get_weather", "description": "The weather", "parameters": PLACE}
ENCRYPTED = {"include": ["reasoning.encrypted_content"]}
UNANSWERED = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
PIXEL = "data:image/png;base64," + base64.b64encode(picture()).decode()
CONFIG = """
providers:
  google: {type: gemini, api_key: "k"}
  vendor: {type: openai, api_key: "k"}
models:
  chat:   {targets: [google/gemini-3.8-flash]}
  pair:   {targets: [google/gemini-3.8-flash, vendor/gemini-3.8-flash], sort: order}
  vendor: {targets: [vendor/gpt-5.4-mini]}
  draw:   {targets: [google/gemini-3.1-flash-image]}
"""


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def events(text: str) -> list[Any]:
    assert "[DONE]" not in text
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\n") if line.startswith("data: ")]


def post(router: Turnout, **body: Any) -> httpx.Response:
    return router.http.post(PATH, json={"model": MODEL, **body})


def final(answer: httpx.Response) -> Any:
    """The response object of a good answer, plain or streamed."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"] == "application/json":
        return answer.json()
    told = events(answer.text)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert told[-1]["type"] in ("response.completed", "response.incomplete")
    return told[-1]["response"]


def text_of(response: Any) -> str:
    return "".join(
        part["text"]
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
        if part["type"] == "output_text"
    )


def calls_of(response: Any) -> list[Any]:
    return [item for item in response["output"] if item["type"] in ("function_call", "custom_tool_call")]


def result(call: Any, output: Any) -> dict[str, Any]:
    return {"type": f"{call['type']}_output", "call_id": call["call_id"], "output": output}


def bare(item: dict[str, Any]) -> dict[str, Any]:
    """An item as a client keeps it that knows OpenAI's fields only."""
    return {key: value for key, value in item.items() if key != "extra_content"}


def test_an_answer_says_how_it_came_about(router: Turnout, stream: bool) -> None:
    answer = post(router, model="auto", input="say: hello", stream=stream)
    body = final(answer)
    assert (body["object"], body["status"], text_of(body)) == ("response", "completed", "hello")
    assert answer.headers["x-router-model"] == body["model"] == router.requests()[-1]["model"]
    assert answer.headers["x-router-sandbox"] == "true"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert usage["cost"] > 0
    record = router.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert (record["kind"], record["stream"], record["status"]) == ("chat", stream, 200)
    assert record["cost_usd"] == usage["cost"]


def test_a_stream_comes_live_and_says_what_the_plain_answer_says(router: Turnout) -> None:
    plain, streamed = (post(router, input="words: 40", stream=each) for each in (False, True))
    told = events(streamed.text)
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert sum(event["type"] == "response.output_text.delta" for event in told) > 4
    assert text_of(final(plain)) == text_of(final(streamed)) == WORDS


@pytest.mark.parametrize("path", ["/responses", "/openai/v1/responses"])
def test_it_answers_below_every_prefix(router: Turnout, path: str) -> None:
    assert router.http.post(path, json={"model": MODEL, "input": "say: yes"}).status_code == 200


@pytest.mark.parametrize("model", ["chat", "vendor"])
def test_a_loop_with_parallel_calls_runs_to_the_answer(
    turnout: Callable[..., Turnout], model: str, stream: bool
) -> None:
    router = turnout(CONFIG)
    asked: list[Any] = [{"role": "user", "content": "Weather in Oslo and Rome"}]
    first = final(post(router, model=model, input=asked, tools=[WEATHER], stream=stream))
    calls = calls_of(first)
    assert [json.loads(call["arguments"])["city"] for call in calls] == ["Oslo", "Rome"]
    assert len({call["call_id"] for call in calls}) == len({call["id"] for call in calls}) == 2
    asked += [
        *first["output"],
        result(calls[0], "3 degrees"),
        result(calls[1], [{"type": "input_text", "text": "9 degrees"}]),
    ]
    last = final(post(router, model=model, input=asked, tools=[WEATHER], stream=stream))
    assert "3 degrees" in text_of(last)
    assert "9 degrees" in text_of(last)


def test_a_signature_survives_a_router_that_has_forgotten_it(turnout: Callable[..., Turnout], stream: bool) -> None:
    asked: list[Any] = [{"role": "user", "content": "Weather in Oslo and Rome"}]
    first = final(post(turnout(CONFIG), model="chat", input=asked, tools=[WEATHER], stream=stream, **ENCRYPTED))
    assert first["output"][0]["type"] == "reasoning"
    asked += [*map(bare, first["output"]), *(result(call, "rain") for call in calls_of(first))]
    another = turnout(CONFIG)
    assert "rain" in text_of(final(post(another, model="chat", input=asked, tools=[WEATHER], **ENCRYPTED)))
    parts = another.requests()[-1]["body"]["contents"][1]["parts"]
    assert base64.b64decode(parts[0]["thoughtSignature"]).startswith(b"sandbox")
    assert "thoughtSignature" not in parts[1]


def test_an_answer_can_be_referred_to_by_its_own_caller(turnout: Callable[..., Turnout], stream: bool) -> None:
    router = turnout(CONFIG, keys={"a": "key-a", "b": "key-b"})

    def ask(key: str = "key-a", **body: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"}
        return router.http.post(PATH, json={"model": "chat", **body}, headers=headers)

    first = final(ask(input="say: remember me", stream=stream))
    reference = {"type": "item_reference", "id": first["output"][-1]["id"]}
    asked = [{"role": "user", "content": "hi"}, reference, {"role": "user", "content": "say: done"}]
    final(ask(input=asked, stream=stream))
    assert router.requests()[-1]["body"]["contents"][1]["parts"][0]["text"] == "remember me"
    error = ask("key-b", input=asked).json()["error"]
    assert (error["param"], error["code"]) == ("input[1]", "unsupported_value")
    unkept = final(ask(input="say: forget me", stream=stream, store=False))
    asked[1] = {**reference, "id": unkept["output"][-1]["id"]}
    assert ask(input=asked).status_code == 400


def test_another_vendor_gets_no_trace_of_gemini(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    asked: list[Any] = [{"role": "user", "content": "Weather in Oslo"}]
    first = final(post(router, model="chat", input=asked, tools=[WEATHER], **ENCRYPTED))
    asked += [*first["output"], *(result(call, "rain") for call in calls_of(first))]
    assert "rain" in text_of(final(post(router, model="vendor", input=asked, tools=[WEATHER], **ENCRYPTED)))
    sent = json.dumps(router.requests(label="vendor")[-1]["body"])
    for trace in ("signature", "extra_content", "encrypted", "turnout-1."):
        assert trace not in sent


def test_thoughts_become_a_summary_when_one_is_asked_for(router: Turnout, stream: bool) -> None:
    body = final(post(router, input="say: x", reasoning={"effort": "high", "summary": "auto"}, stream=stream))
    assert [item["type"] for item in body["output"]] == ["reasoning", "message"]
    assert body["output"][0]["summary"][0]["text"].startswith("**Reading the prompt**")
    hidden = final(post(router, input="say: x", reasoning={"effort": "high"}, stream=stream))
    assert [item["type"] for item in hidden["output"]] == ["message"]


def test_an_upstream_that_shows_no_thoughts_is_not_asked_for_them(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    answer = post(router, model="vendor", input="say: x", reasoning={"summary": "auto"})
    assert text_of(final(answer)) == "x"
    assert answer.headers["x-router-warnings"] == "reasoning.summary=ignored"
    assert set(router.requests()[-1]["body"]) == {"model", "messages"}


def test_a_custom_tool_is_called_with_free_text(router: Turnout, stream: bool) -> None:
    patch = {"type": "custom", "name": "apply_patch", "description": "Edits files"}
    asked: list[Any] = [{"role": "user", "content": "use apply_patch on Readme"}]
    first = final(post(router, input=asked, tools=[patch], stream=stream))
    (call,) = calls_of(first)
    assert (call["type"], call["name"]) == ("custom_tool_call", "apply_patch")
    assert call["input"]
    asked += [*first["output"], result(call, "patched")]
    assert "patched" in text_of(final(post(router, input=asked, tools=[patch], stream=stream)))


def test_a_call_of_a_namespace_comes_back_as_it_was_declared(router: Turnout, stream: bool) -> None:
    tools = [{"type": "namespace", "name": "crm", "description": "Customers", "tools": [WEATHER]}]
    asked: list[Any] = [{"role": "user", "content": "Weather in Oslo"}]
    first = final(post(router, input=asked, tools=tools, stream=stream))
    (call,) = calls_of(first)
    assert (call["namespace"], call["name"]) == ("crm", "get_weather")
    asked += [*first["output"], result(call, "rain")]
    assert "rain" in text_of(final(post(router, input=asked, tools=tools, stream=stream)))


def test_a_json_schema_is_kept(router: Turnout, stream: bool) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"format": {"type": "json_schema", "name": "number", "schema": schema, "strict": True}}
    body = final(post(router, input="a number", text=form, stream=stream))
    assert isinstance(json.loads(text_of(body))["n"], int)
    assert body["text"] == form
    assert router.requests()[-1]["body"]["generationConfig"]["responseMimeType"] == "application/json"


def test_instructions_and_pictures_reach_the_model(router: Turnout) -> None:
    parts = [{"type": "input_text", "text": "what is this?"}, {"type": "input_image", "image_url": PIXEL}]
    final(post(router, input=[{"role": "user", "content": parts}], instructions="be brief"))
    sent = router.requests()[-1]["body"]
    assert sent["systemInstruction"]["parts"] == [{"text": "be brief"}]
    assert "inlineData" in sent["contents"][0]["parts"][1]


def test_a_picture_comes_as_an_item_and_can_be_edited_from_there(turnout: Callable[..., Turnout], stream: bool) -> None:
    router = turnout(CONFIG)
    tools = [{"type": "image_generation"}]
    asked: list[Any] = [{"role": "user", "content": "draw a fox"}]
    first = final(post(router, model="draw", input=asked, tools=tools, stream=stream))
    (drawn,) = (item for item in first["output"] if item["type"] == "image_generation_call")
    assert base64.b64decode(drawn["result"])[:4] == b"\x89PNG"
    asked += [*first["output"], {"role": "user", "content": "now in blue"}]
    final(post(router, model="draw", input=asked, tools=tools, stream=stream))
    sent = router.requests()[-1]["body"]["contents"][1]["parts"]
    assert any(part.get("inlineData", {}).get("data") == drawn["result"] for part in sent)


def test_a_search_of_the_web_becomes_googles(router: Turnout) -> None:
    final(post(router, input="say: x", tools=[{"type": "web_search"}]))
    assert {"googleSearch": {}} in router.requests()[-1]["body"]["tools"]


def test_an_answer_cut_by_its_limit_is_incomplete(router: Turnout, stream: bool) -> None:
    body = final(post(router, input="words: 40", max_output_tokens=5, reasoning={"effort": "minimal"}, stream=stream))
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert WORDS.startswith(text_of(body))


def test_what_is_lost_on_the_way_is_named_as_the_caller_named_it(router: Turnout) -> None:
    answer = post(
        router,
        input="say: x",
        max_output_tokens=10_000_000,
        truncation="auto",
        tools=[WEATHER, {"type": "web_search", "external_web_access": False}],
    )
    warnings = answer.headers["x-router-warnings"].split("; ")
    assert {"tools[1]=dropped", "truncation=dropped"} <= set(warnings)
    assert any(warning.startswith("max_output_tokens=clamped:") for warning in warnings)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"input": "hi", "model": "no-such-model"}, 404, None),
        ({"input": "hi", "previous_response_id": "resp_1"}, 400, "previous_response_id"),
        ({"input": "hi", "temperature": 9}, 400, "temperature"),
        (
            {"instructions": "x", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "ftp://x/y"}]}]},
            400,
            "input[0].content[0]",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://127.0.0.1/x.png"}]}]},
            400,
            "input[0].content[0]",
        ),
        (
            {"input": "hi", "tools": [{"type": "google_search"}, {**WEATHER, "name": "a"}, {**WEATHER, "name": "a"}]},
            400,
            "tools[2].name",
        ),
        ({"input": "hi", "reasoning": {"effort": "colossal"}}, 400, "reasoning.effort"),
        (
            {"input": [{"role": "user", "content": "hi"}, UNANSWERED]},
            400,
            "input",
        ),
    ],
)  # fmt: skip
def test_a_refusal_names_the_callers_field_wherever_it_was_noticed(
    router: Turnout, body: dict[str, Any], status: int, param: str | None, stream: bool
) -> None:
    answer = post(router, **body, stream=stream)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert "messages" not in error["message"]
    assert router.requests() == []


@pytest.mark.parametrize(
    "body",
    [
        {"input": [{"role": "user", "content": "hi"}]},
        {"input": "hi", "instructions": "be brief"},
        {"input": "hi", "tools": [WEATHER]},
    ],
)
def test_the_plan_can_be_asked_for(router: Turnout, body: dict[str, Any]) -> None:
    plan = router.http.post("/v1/route", json={"model": "auto", **body}).json()
    answer = post(router, model="auto", **body)
    assert (plan["kind"], plan["upstream_model"]) == ("chat", answer.headers["x-router-model"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("GET", "/v1/responses/resp_1/input_items"),
        ("POST", "/v1/responses/compact"),
    ],
)
def test_nothing_is_stored_to_be_asked_for_later(turnout: Callable[..., Turnout], method: str, path: str) -> None:
    router = turnout(keys={"a": "secret"})
    assert router.http.request(method, path).status_code == 401
    answer = router.http.request(method, path, headers={"authorization": "Bearer secret"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "not stored" in answer.json()["error"]["message"]


def test_the_limits_of_the_edge_hold_here_too(turnout: Callable[..., Turnout]) -> None:
    router = turnout("server: {json_limit_mib: 1}\n" + CONFIG, keys={"a": "secret"})
    key = {"authorization": "Bearer secret"}
    body = {"model": "chat", "input": "hi"}
    assert router.http.post(PATH, json=body).status_code == 401
    assert router.http.post(PATH, json={**body, "input": "x" * 2**20}, headers=key).status_code == 413
    assert router.http.post(PATH, content=json.dumps(body), headers=key).status_code == 415
    assert router.http.get(PATH, headers=key).status_code == 405
    assert router.http.post(PATH, json=body, headers=key).status_code == 200


def test_when_the_first_target_fails_the_second_answers(turnout: Callable[..., Turnout], stream: bool) -> None:
    router = turnout(CONFIG)
    router.faults(FaultRule(fault="status-503", label="google"))
    answer = post(router, model="pair", input="say: saved", stream=stream)
    assert text_of(final(answer)) == "saved"
    assert (answer.headers["x-router-provider"], answer.headers["x-router-attempts"]) == ("vendor", "2")


def test_failures_before_the_first_content_keep_their_status(turnout: Callable[..., Turnout], stream: bool) -> None:
    router = turnout(CONFIG)
    router.faults(FaultRule(fault="429-retry-info", args={"delay": "7s"}))
    answer = post(router, model="chat", input="hi", stream=stream)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("model", ["chat", "vendor"])
@pytest.mark.parametrize("fault", ["reset-mid-stream", "truncate", "error-mid-stream"])
def test_a_break_in_the_middle_is_a_failure_and_never_an_end(
    turnout: Callable[..., Turnout], model: str, fault: str
) -> None:
    router = turnout(CONFIG)
    router.faults(FaultRule(fault=fault, args={"after": 3}))
    answer = post(router, model=model, input="words: 40", stream=True)
    *before, failed, error = events(answer.text)
    assert "response.completed" not in answer.text
    text = "".join(event["delta"] for event in before if event["type"] == "response.output_text.delta")
    assert text
    assert text != WORDS
    assert WORDS.startswith(text)
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert (error["type"], error["code"]) == ("error", "upstream_stream_interrupted")
    record = router.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert record["interrupted"]


def test_a_client_that_leaves_ends_the_upstream_call(turnout: Callable[..., Turnout], stream: bool) -> None:
    router = turnout(CONFIG)
    router.faults(FaultRule(fault="stall-mid-stream" if stream else "stall", args={"seconds": 30}))
    body = {"model": "chat", "input": "words: 40", "stream": stream}
    if stream:
        with router.http.stream("POST", PATH, json=body) as answer:
            next(answer.iter_lines())
    else:
        with pytest.raises(httpx.ReadTimeout):
            router.http.post(PATH, json=body, timeout=0.3)
    (call,) = eventually(lambda: [each for each in router.requests() if each["duration_s"] is not None])
    assert call["client_disconnected"]


def test_a_drain_that_is_over_ends_a_stream_as_a_failure(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG)
    router.faults(FaultRule(fault="stall-mid-stream", args={"after": 3, "seconds": 30}))
    with router.http.stream("POST", PATH, json={"model": "chat", "input": "words: 40", "stream": True}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: response.created"
        router.on_loop(router.gateway.cut)
        told = events("\n".join(lines))
    assert [event["type"] for event in told[-2:]] == ["response.failed", "error"]
    assert told[-1]["code"] == "router_shutting_down"
