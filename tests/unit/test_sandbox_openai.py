"""The simulated OpenAI: what it refuses, and the shapes of its answers."""

import base64
from typing import Any

import jsonschema
import orjson
import pytest

from providers.sandbox import pictures
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming
from providers.sandbox.files import Files
from providers.sandbox.openai import OpenAI
from providers.sandbox.refusals import RefusedError

HELLO = {"role": "user", "content": "say: hello there"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}


def ask(path: str, body: object, *, kind: bytes = b"application/json", raw: bytes | None = None) -> Answer:
    dialect = OpenAI(SandboxConfig(), Files())
    incoming = Incoming(
        method="POST",
        path=f"/v1/{path}",
        query=b"",
        headers={b"authorization": b"Bearer k", b"content-type": kind},
        body=orjson.dumps(body) if raw is None else raw,
        base_url="http://sandbox/p/x",
        key="0/1",
    )
    try:
        return dialect.answer(incoming, dialect.route(incoming), None)
    except RefusedError as refused:
        return refused.answer


def chat(**fields: object) -> dict[str, Any]:
    answer = ask("chat/completions", {"model": "m", "messages": [HELLO], **fields})
    assert answer.status == 200, answer.body
    return orjson.loads(answer.body)  # type: ignore[no-any-return]


def chunks(**fields: object) -> list[dict[str, Any]]:
    answer = ask("chat/completions", {"model": "m", "messages": [HELLO], "stream": True, **fields})
    assert answer.frames is not None, answer.body
    assert answer.frames[-1] == b"data: [DONE]\n\n"
    return [orjson.loads(frame[6:]) for frame in answer.frames[:-1]]


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"messages": None}, "missing_required_parameter", "messages"),
        ({"messages": []}, "empty_array", "messages"),
        ({"router": {}}, "unknown_parameter", "router"),
        ({"temperature": 3}, "decimal_above_max_value", "temperature"),
        ({"n": 0}, "integer_out_of_range", "n"),
        ({"stop": list("abcde")}, "array_above_max_length", "stop"),
        ({"stream_options": {"include_usage": True}}, None, "stream_options"),
        ({"tool_choice": "auto"}, None, "tool_choice"),
        ({"tools": []}, "empty_array", "tools"),
        ({"response_format": {"type": "xml"}}, "invalid_value", "response_format.type"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "missing_required_parameter", None),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "x"}]}, None, "messages.[0].role"),
        ({"messages": [HELLO, {"role": "assistant", "tool_calls": [CALL]}, HELLO]}, None, "messages.[2].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]},
            "invalid_image_url",
            "messages[0].content[0].image_url.url",
        ),
    ],
)
def test_what_openai_refuses(fields: dict[str, object], code: str | None, param: str | None) -> None:
    body = {"model": "m", "messages": [HELLO], **fields}
    answer = ask("chat/completions", {key: value for key, value in body.items() if value is not None})
    assert answer.status == 400
    error = orjson.loads(answer.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert param is None or error["param"] == param


def test_a_plain_answer_has_openais_shape() -> None:
    made = chat()
    assert made["object"] == "chat.completion"
    choice = made["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "hello there", "refusal": None, "annotations": []}
    assert choice["finish_reason"] == "stop"
    usage = made["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert chat(reasoning_effort="high")["usage"]["completion_tokens_details"]["reasoning_tokens"] == 16


def test_several_choices_are_numbered_whole_and_streamed() -> None:
    assert [choice["index"] for choice in chat(n=3)["choices"]] == [0, 1, 2]
    seen = [choice["index"] for chunk in chunks(n=2) for choice in chunk["choices"]]
    assert sorted(set(seen)) == [0, 1]
    assert seen[:4] == [0, 1, 0, 1]


def test_a_stream_has_role_deltas_finish_and_usage_when_asked() -> None:
    made = chunks(stream_options={"include_usage": True})
    assert made[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in made[:-1]) == "hello there"
    assert made[-2]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert made[-1]["choices"] == []
    assert made[-1]["usage"]["total_tokens"] > 0
    assert all(chunk["usage"] is None for chunk in made[:-1])
    assert all("usage" not in chunk for chunk in chunks())
    assert len({chunk["id"] for chunk in made}) == 1


def test_streamed_tool_arguments_come_in_pieces() -> None:
    question = {"role": "user", "content": "Weather in Oslo and Rome?"}
    deltas = [
        call
        for chunk in chunks(messages=[question], tools=[TOOL])
        for call in chunk["choices"][0]["delta"].get("tool_calls", ())
    ]
    for index, city in enumerate(("Oslo", "Rome")):
        own = [delta for delta in deltas if delta["index"] == index]
        assert [("id" in delta, "name" in delta["function"]) for delta in own] == [(True, True)] + [(False, False)] * (
            len(own) - 1
        )
        assert len(own) > 2
        assert orjson.loads("".join(delta["function"]["arguments"] for delta in own)) == {"city": city}


def test_tool_results_are_quoted_and_calls_finish_as_tool_calls() -> None:
    first = chat(messages=[{"role": "user", "content": "get_weather"}], tools=[TOOL])["choices"][0]
    assert first["finish_reason"] == "tool_calls"
    assert first["message"]["content"] is None
    call = first["message"]["tool_calls"][0]
    messages = [HELLO, first["message"], {"role": "tool", "tool_call_id": call["id"], "content": "3 C"}]
    assert "get_weather returned 3 C" in chat(messages=messages, tools=[TOOL])["choices"][0]["message"]["content"]


def test_a_schema_is_obeyed() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    shape = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    jsonschema.validate(orjson.loads(chat(response_format=shape)["choices"][0]["message"]["content"]), schema)


def test_limits_and_stops_are_honoured() -> None:
    assert chat(max_completion_tokens=1)["choices"][0]["finish_reason"] == "length"
    assert chat(stop=" there")["choices"][0]["message"]["content"] == "hello"


def test_a_picture_has_the_asked_size_and_usage() -> None:
    made = orjson.loads(ask("images/generations", {"model": "gpt-image-2", "prompt": "x", "size": "1536x1024"}).body)
    data = base64.b64decode(made["data"][0]["b64_json"], validate=True)
    assert pictures.size_of(data) == (1536, 1024)
    assert (made["size"], made["output_format"]) == ("1536x1024", "png")
    assert made["usage"]["total_tokens"] == made["usage"]["input_tokens"] + made["usage"]["output_tokens"]


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"response_format": "b64_json"}, "unknown_parameter", "response_format"),
        ({"n": 11}, "invalid_value", "n"),
        ({"size": "1000x1000"}, "invalid_value", "size"),
        ({"model": "gpt-image-1.5", "size": "1536x1536"}, "invalid_value", "size"),
        ({"quality": "hd"}, "invalid_value", "quality"),
        ({"prompt": ""}, "missing_required_parameter", "prompt"),
    ],
)
def test_what_the_image_endpoint_refuses(fields: dict[str, object], code: str, param: str) -> None:
    answer = ask("images/generations", {"model": "gpt-image-2", "prompt": "x", **fields})
    assert answer.status == 400
    error = orjson.loads(answer.body)["error"]
    assert (error["code"], error["param"]) == (code, param)


def test_other_models_may_answer_with_a_url() -> None:
    body = {"model": "grok-imagine", "prompt": "x", "n": 2, "response_format": "url"}
    urls = [one["url"] for one in orjson.loads(ask("images/generations", body).body)["data"]]
    assert len(set(urls)) == 2
    assert all(url.startswith("http://sandbox/p/x/files/") for url in urls)


def test_a_picture_stream_ends_in_completed_without_done() -> None:
    answer = ask("images/generations", {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 1})
    kinds = [frame.split(b"\n")[0] for frame in answer.frames or ()]
    assert kinds == [b"event: image_generation.partial_image", b"event: image_generation.completed"]


def form(*parts: tuple[str, bytes, str | None, str]) -> bytes:
    made = b""
    for name, value, filename, kind in parts:
        extra = f'; filename="{filename}"\r\nContent-Type: {kind}' if filename else ""
        made += f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n"
    return made + b"--b--\r\n"


def edit(*parts: tuple[str, bytes, str | None, str]) -> Answer:
    given = (("model", b"gpt-image-2", None, ""), ("prompt", b"dusk", None, ""), *parts)
    return ask("images/edits", None, kind=b"multipart/form-data; boundary=b", raw=form(*given))


def test_edits_take_forms_and_json() -> None:
    png = pictures.draw("input", 64, 64)
    assert edit(("image[]", png, "a.png", "image/png"), ("image[]", png, "b.png", "image/png")).status == 200
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    body = {"model": "gpt-image-2", "prompt": "dusk", "images": [{"image_url": url}]}
    made = orjson.loads(ask("images/edits", body).body)
    assert made["usage"]["input_tokens_details"]["image_tokens"] > 0


def test_edits_refuse_wrong_types_masks_and_text() -> None:
    png = pictures.draw("input", 64, 64)
    wrong_type = edit(("image", png, "upload", "application/octet-stream"))
    assert orjson.loads(wrong_type.body)["error"]["code"] == "unsupported_file_mimetype"
    mask = pictures.draw("mask", 32, 32)
    bad_mask = edit(("image", png, "a.png", "image/png"), ("mask", mask, "m.png", "image/png"))
    assert b"mask size does not match" in bad_mask.body
    assert b"expected a file, but got a string" in edit(("image", b"text", None, "")).body
    assert b"Invalid image file" in edit(("image", b"nonsense", "a.png", "image/png")).body


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_pictures_decode_to_their_size_in_every_format(output_format: str) -> None:
    data = pictures.draw("a lighthouse", 320, 200, output_format=output_format)
    assert pictures.size_of(data) == (320, 200)
    assert data == pictures.draw("a lighthouse", 320, 200, output_format=output_format)
    assert data != pictures.draw("a lighthouse", 320, 200, output_format=output_format, number=1)
    assert pictures.size_of(b"no picture") is None
