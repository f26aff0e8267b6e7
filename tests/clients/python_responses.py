"""The claims of responses_claims.py, proved with OpenAI's Python SDK: run with an environment's own interpreter.

    python python_responses.py BASE_URL API_KEY

Prints what python_cases.py prints. Every response passes the SDK's strict validation; events do as they are read.
"""

import asyncio
import base64
import json
import re
import struct
import sys
import traceback
import zlib
from collections.abc import Callable
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from raising import raised

BASE_URL, API_KEY = sys.argv[1:3]
MODEL = "gemini-3.8-flash"
WORDS = " ".join(f"word{number}" for number in range(1, 41))
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
CASES: dict[str, Callable[[], None]] = {}

client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=30, _strict_response_validation=True)
default = OpenAI(base_url=BASE_URL, api_key=API_KEY, _strict_response_validation=True)
ask = client.responses.create


class City(BaseModel):
    name: str
    population: int


def case(claim: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def keep(prove: Callable[[], None]) -> Callable[[], None]:
        CASES[claim] = prove
        return prove

    return keep


def png() -> str:
    """A data URL of a red square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([200, 80, 120]) * 8) * 8)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


def check_status(error: Any, status: int, type_: str, code: str, param: str | None = None) -> None:
    found = (error.status_code, error.type, error.code, error.param)
    assert found == (status, type_, code, param), found
    assert re.fullmatch(r"req_[0-9a-f]{32}", error.request_id), error.request_id
    assert error.body["message"], error.body


def finished(events: list[Any]) -> Any:
    """The response that a good stream ends with."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds
    assert kinds[-1] == "response.completed", kinds
    return events[-1].response


def answer_to(asked: list[Any], stream: bool, **more: Any) -> Any:
    if not stream:
        return ask(model=MODEL, input=asked, tools=[WEATHER], **more)
    return finished(list(ask(model=MODEL, input=asked, tools=[WEATHER], stream=True, **more)))


def check_loop(stream: bool, **more: Any) -> Any:
    """Question, two calls, their results, the answer; gives the first response."""
    asked: list[Any] = [{"role": "user", "content": "weather in Oslo and Rome"}]
    first = answer_to(asked, stream, **more)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Oslo", "Rome"], calls
    assert len({call.call_id for call in calls}) == 2
    asked += first.output
    asked += [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{degrees} degrees"}
        for call, degrees in zip(calls, (3, 9), strict=True)
    ]
    last = answer_to(asked, stream, **more)
    assert "3 degrees" in last.output_text, last.output_text
    assert "9 degrees" in last.output_text, last.output_text
    return first


@case("a response names what served it and its usage adds up")
def response() -> None:
    answer = ask(model="auto", input="Say hello")
    assert answer.model.startswith("gemini-"), answer.model
    assert answer.model in answer.output_text, answer.output_text
    assert (answer.status, answer.error, answer.incomplete_details) == ("completed", None, None)
    usage = answer.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0, usage
    assert answer._request_id.startswith("req_"), answer._request_id


@case("a stream tells the whole text in numbered events")
def stream() -> None:
    events = list(ask(model=MODEL, input="words: 40", stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    final = finished(events)
    assert "".join(deltas) == final.output_text == WORDS
    assert len(deltas) > 4, "not live"
    assert final.usage.total_tokens > 0


@case("the stream helper collects the response")
def stream_helper() -> None:
    with client.responses.stream(model=MODEL, input="words: 40") as events:
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        final = events.get_final_response()
    assert "".join(deltas) == final.output_text == WORDS
    with client.responses.stream(model=MODEL, input="weather in Oslo and Rome", tools=[WEATHER]) as events:
        done = [event.arguments for event in events if event.type == "response.function_call_arguments.done"]
        final = events.get_final_response()
    assert [json.loads(text)["city"] for text in done] == ["Oslo", "Rome"]
    assert [call.arguments for call in final.output] == done


@case("instructions and a conversation are understood")
def conversation() -> None:
    first = ask(model=MODEL, input="say: one")
    asked: list[Any] = [{"role": "user", "content": "say: one"}, *first.output, {"role": "user", "content": "inspect:"}]
    seen = json.loads(ask(model=MODEL, instructions="be brief", input=asked).output_text)
    assert seen["system"] == "be brief", seen
    assert seen["turns"] == 3, seen


@case("a loop with parallel calls runs to the answer")
def loop() -> None:
    check_loop(False)


@case("a streamed loop with parallel calls runs to the answer")
def streamed_loop() -> None:
    check_loop(True)


@case("a loop carries what the model needs in encrypted reasoning")
def encrypted_loop() -> None:
    for streamed in (False, True):
        first = check_loop(streamed, include=["reasoning.encrypted_content"], store=False)
        assert first.output[0].type == "reasoning", first.output
        assert first.output[0].encrypted_content


@case("a custom tool is called with free text")
def custom_tool() -> None:
    patch: Any = {"type": "custom", "name": "apply_patch", "description": "Edits files"}
    asked: list[Any] = [{"role": "user", "content": "use apply_patch on Readme"}]
    first = ask(model=MODEL, input=asked, tools=[patch])
    (call,) = first.output
    assert (call.type, call.name) == ("custom_tool_call", "apply_patch")
    assert call.input
    asked += [call, {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "patched"}]
    assert "patched" in ask(model=MODEL, input=asked, tools=[patch]).output_text


@case("a JSON schema is kept")
def json_schema() -> None:
    schema = {**City.model_json_schema(), "additionalProperties": False}
    form: Any = {"format": {"type": "json_schema", "name": "city", "strict": True, "schema": schema}}
    City.model_validate_json(ask(model=MODEL, input="a city", text=form).output_text, strict=True)


@case("the parse helper gives a typed answer")
def parse() -> None:
    answer = client.responses.parse(model=MODEL, input="a city", text_format=City)
    assert isinstance(answer.output_parsed, City)
    with client.responses.stream(model=MODEL, input="a city", text_format=City) as events:
        final = events.get_final_response()
    assert isinstance(final.output_parsed, City)


@case("a picture can be part of the question")
def picture_in() -> None:
    content: Any = [
        {"type": "input_text", "text": "what is it?"},
        {"type": "input_image", "image_url": png(), "detail": "auto"},
    ]
    assert "1 picture(s)" in ask(model=MODEL, input=[{"role": "user", "content": content}]).output_text


@case("an answer cut by its limit is incomplete")
def cut_short() -> None:
    answer = ask(model=MODEL, input="words: 40", max_output_tokens=5, reasoning={"effort": "minimal"})
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert WORDS.startswith(answer.output_text)


@case("a filtered answer says so")
def filtered() -> None:
    answer = ask(model="filtered", input="hello")
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "content_filter")


@case("a bad temperature raises BadRequestError naming the field")
def bad_request() -> None:
    error = raised(openai.BadRequestError, lambda: default.responses.create(model=MODEL, input="hi", temperature=9))
    check_status(error, 400, "invalid_request_error", "invalid_value", "temperature")


@case("a reference to an earlier response raises BadRequestError saying what to do")
def stateless() -> None:
    error = raised(
        openai.BadRequestError,
        lambda: default.responses.create(model=MODEL, input="hi", previous_response_id="resp_1"),
    )
    check_status(error, 400, "invalid_request_error", "unsupported_parameter", "previous_response_id")
    assert "'input'" in error.body["message"]


@case("a response cannot be fetched later")
def not_stored() -> None:
    error = raised(openai.NotFoundError, lambda: default.responses.retrieve(ask(model=MODEL, input="hi").id))
    check_status(error, 404, "invalid_request_error", "not_found")


@case("a wrong key raises AuthenticationError")
def wrong_key() -> None:
    stranger = OpenAI(base_url=BASE_URL, api_key="sk-not-one-of-yours")
    error = raised(openai.AuthenticationError, lambda: stranger.responses.create(model=MODEL, input="hello"))
    check_status(error, 401, "invalid_request_error", "invalid_api_key")


@case("an unknown model raises NotFoundError")
def unknown_model() -> None:
    for streamed in (False, True):
        error = raised(
            openai.NotFoundError,
            lambda streamed=streamed: default.responses.create(model="gpt-nobody", input="hello", stream=streamed),
        )
        check_status(error, 404, "invalid_request_error", "model_not_found")


@case("upstreams that are all rate limited raise RateLimitError with the wait")
def rate_limited() -> None:
    for streamed in (False, True):
        error = raised(
            openai.RateLimitError, lambda streamed=streamed: ask(model="limited", input="hello", stream=streamed)
        )
        check_status(error, 429, "requests", "rate_limit_exceeded")
        assert 1 <= int(error.response.headers["retry-after"]) <= 7, error.response.headers


@case("upstreams that all fail raise InternalServerError and are not asked again")
def broken() -> None:
    error = raised(openai.InternalServerError, lambda: default.responses.create(model="broken", input="hello"))
    assert error.status_code in (502, 503), error.status_code
    assert error.response.headers["x-should-retry"] == "false"


@case("a stall longer than the client's timeout raises its timeout error")
def timeout() -> None:
    hurried = client.with_options(timeout=0.3)
    raised(openai.APITimeoutError, lambda: hurried.responses.create(model="stalled", input="hello"))


def check_cut(model: str) -> None:
    """A stream, and the helper on one, that must break off with an error of the SDK after some of the text."""
    for helped in (False, True):
        text, kinds = "", []

        def read(helped: bool = helped) -> None:
            nonlocal text
            if helped:
                with client.responses.stream(model=model, input="words: 40") as events:
                    take(events)
            else:
                take(ask(model=model, input="words: 40", stream=True))

        def take(events: Any, kinds: list[str] = kinds) -> None:
            nonlocal text
            for event in events:
                kinds.append(event.type)
                text += event.delta if event.type == "response.output_text.delta" else ""

        error = raised(openai.APIError, read)
        assert error.code == "upstream_stream_interrupted", error.code
        assert error.message
        assert text
        assert WORDS.startswith(text)
        assert text != WORDS
        assert kinds[-1] == "response.failed", kinds


@case("an upstream lost in mid-stream raises after the text so far")
def lost() -> None:
    check_cut("cut")


@case("an upstream that just stops in mid-stream raises after the text so far")
def stopped() -> None:
    check_cut("truncated")


def check_whole(model: str, mode: str) -> None:
    """All sixty words, once, in one message, from two upstreams."""
    words = " ".join(f"word{number}" for number in range(1, 61))
    text, done = "", None
    for event in ask(model=model, input="words: 60", stream=True, extra_body={"router": {"stream_mode": mode}}):
        text += event.delta if event.type == "response.output_text.delta" else ""
        done = event
    assert text == words
    assert done is not None
    assert done.type == "response.completed"
    assert done.response.output_text == words
    assert [item.type for item in done.response.output].count("message") == 1
    assert done.response.usage.total_tokens > 160, "what was lost is billed as well"


@case("a broken stream is repaired from Gemini to an OpenAI upstream, every word once")
def repaired() -> None:
    check_whole("mended", "repair")


@case("a broken stream is repaired from an OpenAI upstream to Gemini, every word once")
def repaired_back() -> None:
    check_whole("mended-back", "repair")


@case("a broken stream that is buffered comes whole, every word once")
def buffered() -> None:
    check_whole("mended", "buffered")


@case("the asynchronous client asks and streams")
def asynchronous() -> None:
    async def prove() -> None:
        async with AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, _strict_response_validation=True) as one:
            answers = await asyncio.gather(*(one.responses.create(model=MODEL, input=f"say: {n}") for n in range(20)))
            assert [answer.output_text for answer in answers] == [str(n) for n in range(20)]
            events = [event async for event in await one.responses.create(model=MODEL, input="words: 40", stream=True)]
            assert finished(events).output_text == WORDS

    asyncio.run(prove())


if __name__ == "__main__":
    for claim, prove in CASES.items():
        error = None
        try:
            prove()
        except Exception:
            error = traceback.format_exc(limit=-4)
        print(json.dumps({"claim": claim, "error": error}), flush=True)
