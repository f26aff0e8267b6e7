"""The claims of cases.py, proved with OpenAI's Python SDK: run with an environment's own interpreter.

    python python_cases.py BASE_URL API_KEY

Prints one JSON object per case: `claim`, and `error` (null, or what went wrong). Nothing of the SDK is changed but the
base URL and the key; every answer and chunk passes its strict validation (embeddings those that come as numbers).
"""

import asyncio
import base64
import json
import re
import struct
import sys
import time
import traceback
import urllib.request
import zlib
from collections.abc import Callable, Iterable
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
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
CASES: dict[str, Callable[[], None]] = {}

client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=30, _strict_response_validation=True)
default = OpenAI(base_url=BASE_URL, api_key=API_KEY, _strict_response_validation=True)
# strict validation refuses the base64 that the SDK itself asks for: it decodes afterwards
embedder = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0)


class City(BaseModel):
    name: str
    population: int


class get_weather(BaseModel):  # noqa: N801  the SDK names the tool after the class
    city: str


def case(claim: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def keep(prove: Callable[[], None]) -> Callable[[], None]:
        CASES[claim] = prove
        return prove

    return keep


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def png(red: int, *, alpha: bool = False) -> bytes:
    """A square of one colour, 64 pixels wide."""
    side, pixel = 64, bytes([red, 80, 120, 0][: 4 if alpha else 3])

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 6 if alpha else 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + pixel * side) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def is_png(data: bytes) -> bool:
    return data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR" and len(data) > 500


def check_status(error: Any, status: int, type_: str, code: str | None, param: str | None = None) -> None:
    found = (error.status_code, error.type, error.code, error.param)
    assert found == (status, type_, code, param), found
    assert re.fullmatch(r"req_[0-9a-f]{32}", error.request_id), error.request_id
    assert error.body["message"], error.body


@case("a chat completion names what served it and its usage adds up")
def chat() -> None:
    answer = client.chat.completions.create(model="auto", messages=user("Say hello"))
    choice, usage = answer.choices[0], answer.usage
    assert answer.model.startswith("gemini-"), answer.model
    assert answer.model in choice.message.content, choice.message.content
    assert choice.finish_reason == "stop"
    assert "tool_calls" not in choice.message.model_fields_set
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0, usage
    assert answer._request_id.startswith("req_"), answer._request_id


@case("a stream delivers the whole text under one id and one model")
def stream() -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=user("words: 40"), stream=True))
    assert len({(chunk.id, chunk.model, chunk.created) for chunk in chunks}) == 1
    assert chunks[0].model == MODEL
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == WORDS
    assert len(chunks) > 4, "not live"
    finishes = [chunk.choices[0].finish_reason for chunk in chunks]
    assert finishes[-1] == "stop", finishes
    assert set(finishes[:-1]) == {None}, finishes


@case("a stream that was asked for usage ends with one chunk of it")
def stream_usage() -> None:
    options: Any = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model=MODEL, messages=user("words: 40"), stream=True, stream_options=options)
    )
    *others, last = chunks
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens > 0
    assert last.id == others[0].id
    assert last.model == others[0].model
    assert all(chunk.choices and chunk.usage is None and "usage" in chunk.model_fields_set for chunk in others)


@case("a stream that was not asked for usage never mentions it")
def stream_without_usage() -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=user("words: 5"), stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)


@case("the stream helper collects the answer")
def stream_helper() -> None:
    with client.chat.completions.stream(model=MODEL, messages=user("words: 40")) as events:
        deltas = [event.delta for event in events if event.type == "content.delta"]
        final = events.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content == WORDS
    assert final.choices[0].finish_reason == "stop"


@case("a tool call has an id, a name and arguments that are JSON")
def tool_call() -> None:
    answer = client.chat.completions.create(model=MODEL, messages=user("weather in Oslo please"), tools=[WEATHER])
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    (call,) = choice.message.tool_calls
    assert call.id
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Oslo"}


@case("tool results go back and are answered")
def tool_results() -> None:
    messages = user("weather in Oslo please")
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER]).choices[0].message
    messages += [first, {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": '{"degrees": 7}'}]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER]).choices[0]
    assert answer.finish_reason == "stop"
    assert "get_weather returned" in answer.message.content
    assert "7" in answer.message.content


@case("parallel tool calls have ids of their own")
def parallel_calls() -> None:
    answer = client.chat.completions.create(model=MODEL, messages=user("weather in Oslo and Rome"), tools=[WEATHER])
    calls = answer.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Oslo", "Rome"]
    assert len({call.id for call in calls}) == 2


@case("streamed parallel tool calls add up by their index")
def streamed_calls() -> None:
    calls: dict[int, dict[str, str]] = {}
    finish = None
    for chunk in client.chat.completions.create(
        model=MODEL, messages=user("weather in Oslo and Rome"), tools=[WEATHER], stream=True
    ):
        finish = chunk.choices[0].finish_reason or finish
        for delta in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
            call["id"] += delta.id or ""
            call["name"] += delta.function.name or ""
            call["arguments"] += delta.function.arguments or ""
    assert finish == "tool_calls"
    assert sorted(calls) == [0, 1]
    assert [call["name"] for call in calls.values()] == ["get_weather"] * 2, calls
    assert [json.loads(call["arguments"])["city"] for call in calls.values()] == ["Oslo", "Rome"]
    assert len({call["id"] for call in calls.values()}) == 2


@case("the stream helper collects parallel tool calls")
def helped_calls() -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=user("weather in Oslo and Rome"), tools=[openai.pydantic_function_tool(get_weather)]
    ) as events:
        done = [event.parsed_arguments for event in events if event.type == "tool_calls.function.arguments.done"]
        final = events.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert [call.function.parsed_arguments.city for call in calls] == ["Oslo", "Rome"]
    assert done == [get_weather(city="Oslo"), get_weather(city="Rome")], done


@case("a JSON schema is kept")
def json_schema() -> None:
    schema = {**City.model_json_schema(), "additionalProperties": False}
    answer = client.chat.completions.create(
        model=MODEL,
        messages=user("a city"),
        response_format={"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": schema}},
    )
    City.model_validate_json(answer.choices[0].message.content, strict=True)


@case("a picture can be part of the question")
def picture_in() -> None:
    url = "data:image/png;base64," + base64.b64encode(png(200)).decode()
    content: Any = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    assert "1 picture(s)" in answer.choices[0].message.content


@case("two pictures come as base64")
def pictures() -> None:
    answer = client.images.generate(model="image", prompt="a red barn", n=2)
    assert len(answer.data) == 2
    assert all(is_png(base64.b64decode(item.b64_json, validate=True)) and item.url is None for item in answer.data)
    assert abs(answer.created - time.time()) < 60


@case("two pictures come as links that can be fetched")
def picture_links() -> None:
    answer = client.images.generate(model="image", prompt="a red barn", n=2, response_format="url")
    assert len({item.url for item in answer.data}) == 2
    for item in answer.data:
        assert item.b64_json is None
        with urllib.request.urlopen(item.url, timeout=10) as fetched:
            assert fetched.headers["content-type"] == "image/png"
            assert is_png(fetched.read())


def check_edited(answer: Any) -> None:
    (item,) = answer.data
    assert is_png(base64.b64decode(item.b64_json, validate=True))


@case("one picture can be edited")
def edit() -> None:
    check_edited(client.images.edit(model="image", prompt="make it blue", image=("barn.png", png(200))))


@case("several pictures can be edited together")
def edit_several() -> None:
    check_edited(client.images.edit(model="image", prompt="join them", image=[png(200), png(100)]))


@case("a picture can be edited under a mask")
def edit_masked() -> None:
    check_edited(client.images.edit(model="gpt-image-2", prompt="only there", image=png(200), mask=png(0, alpha=True)))


def check_streamed(events: Iterable[Any], name: str, previews: int) -> None:
    *shown, last = list(events)
    assert [event.type for event in shown] == [f"{name}.partial_image"] * previews
    assert [event.partial_image_index for event in shown] == list(range(previews))
    assert last.type == f"{name}.completed"
    for event in (*shown, last):
        assert is_png(base64.b64decode(event.b64_json, validate=True))
        assert (event.output_format, abs(event.created_at - time.time()) < 60) == ("png", True)
        assert "x" in event.size
    assert last.usage.total_tokens == last.usage.input_tokens + last.usage.output_tokens > 0


@case("a streamed picture shows its previews and then itself")
def stream_picture() -> None:
    asked = client.images.generate(model="gpt-image-2", prompt="a red barn", stream=True, partial_images=2)
    check_streamed(asked, "image_generation", 2)


@case("a streamed edit shows its previews and then itself")
def stream_edit() -> None:
    asked = client.images.edit(model="gpt-image-2", prompt="blue", image=png(200), stream=True, partial_images=1)
    check_streamed(asked, "image_edit", 1)


@case("a streamed picture of a backend without previews is one event")
def stream_without_previews() -> None:
    model = "gemini-3.1-flash-image"
    asked = client.images.generate(model=model, prompt="a red barn", stream=True, partial_images=3)
    check_streamed(asked, "image_generation", 0)


@case("a picture that is refused raises BadRequestError with the code")
def refused_picture() -> None:
    for stream in (False, True):
        error = raised(
            openai.BadRequestError,
            lambda stream=stream: default.images.generate(
                model="gpt-image-2", prompt="sandbox-fault: image-safety", stream=stream
            ),
        )
        assert error.code == "moderation_blocked", error.code


@case("a stream of a picture that breaks off raises after the preview")
def cut_picture() -> None:
    prompt = "sandbox-fault: reset-mid-stream;after=1"
    events = iter(default.images.generate(model="gpt-image-2", prompt=prompt, stream=True, partial_images=2))
    assert next(events).type == "image_generation.partial_image"
    error = raised(openai.APIError, lambda: next(events))
    assert error.code == "upstream_stream_interrupted", error.code
    assert error.message


@case("one key for two requests makes one picture")
def one_picture() -> None:
    def ask() -> Any:
        return client.images.with_raw_response.generate(
            model="gpt-image-2", prompt="a red barn", extra_headers={"Idempotency-Key": "barn-1"}
        )

    first, second = ask(), ask()
    assert first.content == second.content
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"


@case("one key for two different requests raises")
def one_key_twice() -> None:
    def ask(prompt: str) -> Any:
        return default.images.generate(model="gpt-image-2", prompt=prompt, extra_headers={"Idempotency-Key": "barn-2"})

    ask("a red barn")
    error = raised(openai.UnprocessableEntityError, lambda: ask("a blue barn"))
    check_status(error, 422, "invalid_request_error", "idempotency_key_reused", "Idempotency-Key")


def vectors(answer: Any) -> list[list[float]]:
    """The vectors of an answer whose entries are numbered in order."""
    assert [item.index for item in answer.data] == list(range(len(answer.data)))
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0, answer.usage
    found = [list(item.embedding) for item in answer.data]
    assert all(type(number) is float for vector in found for number in vector)
    return found


@case("embeddings come as numbers although the wire has base64")
def embed() -> None:
    raw = embedder.embeddings.with_raw_response.create(model="embedding", input="hello")
    assert isinstance(json.loads(raw.http_response.content)["data"][0]["embedding"], str)
    answer = embedder.embeddings.create(model="embedding", input="hello")
    assert answer.model == "gemini-embedding-2", answer.model
    (vector,) = vectors(answer)
    assert len(vector) == 3072
    assert abs(sum(number * number for number in vector) - 1) < 1e-4


@case("embeddings come as the numbers of the wire when floats are asked for")
def embed_floats() -> None:
    for model in ("embedding", "text-embedding-3-small"):
        floats = client.embeddings.create(model=model, input="hello", encoding_format="float")
        assert vectors(floats) == vectors(embedder.embeddings.create(model=model, input="hello"))


@case("embeddings have as many dimensions as were asked for")
def embed_short() -> None:
    for model in ("gemini-embedding-001", "embedding", "text-embedding-3-small"):
        (vector,) = vectors(embedder.embeddings.create(model=model, input="hello", dimensions=256))
        assert len(vector) == 256
        assert abs(sum(number * number for number in vector) - 1) < 1e-4


@case("a list of texts gives a vector for each, in order")
def embed_list() -> None:
    texts = [f"text {number}" for number in range(150)]
    found = vectors(embedder.embeddings.create(model="embedding", input=texts, dimensions=8))
    for place in (0, 99, 100, 149):
        assert vectors(embedder.embeddings.create(model="embedding", input=texts[place], dimensions=8)) == [
            found[place]
        ]


@case("token ids give the vectors of an OpenAI upstream")
def embed_ids() -> None:
    answer = embedder.embeddings.create(model="text-embedding-3-small", input=[[15339, 1917], [9906]])
    assert len(vectors(answer)) == 2
    assert answer.usage.prompt_tokens == 3
    assert len(vectors(embedder.embeddings.create(model="text-embedding-3-small", input=[15339, 1917]))) == 1


@case("token ids for Gemini raise BadRequestError naming the switch")
def embed_ids_for_gemini() -> None:
    error = raised(openai.BadRequestError, lambda: embedder.embeddings.create(model="embedding", input=[[15339, 1917]]))
    check_status(error, 400, "invalid_request_error", "no_candidate", "input")
    assert "check_embedding_ctx_length=False" in error.body["message"]


@case("an empty text raises BadRequestError naming its place")
def embed_nothing() -> None:
    error = raised(openai.BadRequestError, lambda: embedder.embeddings.create(model="embedding", input=["a", ""]))
    check_status(error, 400, "invalid_request_error", "invalid_value", "input[1]")


@case("models are listed")
def models() -> None:
    names = {model.id for model in client.models.list()}
    assert {"auto", "gemini-flash", "image", "gemini-3.8-flash"} <= names, names


@case("a model is found by its name")
def model() -> None:
    found = client.models.retrieve("auto")
    assert (found.id, found.object) == ("auto", "model")


@case("a direct target is found by its name with a slash")
def model_with_slash() -> None:
    assert client.models.retrieve("google/gemini-3.8-flash").id == "google/gemini-3.8-flash"


@case("a bad temperature raises BadRequestError naming the field")
def bad_request() -> None:
    error = raised(
        openai.BadRequestError,
        lambda: default.chat.completions.create(model=MODEL, messages=user("hello"), temperature=9),
    )
    check_status(error, 400, "invalid_request_error", "invalid_value", "temperature")
    assert "temperature" in error.message


@case("a wrong key raises AuthenticationError")
def wrong_key() -> None:
    stranger = OpenAI(base_url=BASE_URL, api_key="sk-not-one-of-yours")
    error = raised(
        openai.AuthenticationError,
        lambda: stranger.chat.completions.create(model=MODEL, messages=user("hello")),
    )
    check_status(error, 401, "invalid_request_error", "invalid_api_key")
    assert "sk-not-one" not in error.message
    listing = raised(openai.AuthenticationError, lambda: stranger.models.list())
    check_status(listing, 401, "invalid_request_error", "invalid_api_key")


@case("an unknown model raises NotFoundError")
def unknown_model() -> None:
    error = raised(
        openai.NotFoundError, lambda: default.chat.completions.create(model="gpt-nobody", messages=user("hello"))
    )
    check_status(error, 404, "invalid_request_error", "model_not_found")
    assert "gpt-nobody" in error.message
    streamed = raised(
        openai.NotFoundError,
        lambda: default.chat.completions.create(model="gpt-nobody", messages=user("hello"), stream=True),
    )
    check_status(streamed, 404, "invalid_request_error", "model_not_found")
    check_status(
        raised(openai.NotFoundError, lambda: default.models.retrieve("no/such-model")),
        404,
        "invalid_request_error",
        "model_not_found",
    )


@case("upstreams that are all rate limited raise RateLimitError with the wait")
def rate_limited() -> None:
    for streamed in (False, True):
        error = raised(
            openai.RateLimitError,
            lambda streamed=streamed: client.chat.completions.create(
                model="limited", messages=user("hello"), stream=streamed
            ),
        )
        check_status(error, 429, "requests", "rate_limit_exceeded")
        assert 1 <= int(error.response.headers["retry-after"]) <= 7, error.response.headers
        assert "x-should-retry" not in error.response.headers


@case("a client that waits as told is answered once the limit has passed")
def waits() -> None:
    began = time.monotonic()
    answer = default.chat.completions.create(model="limited-briefly", messages=user("say: at last"))
    assert answer.choices[0].message.content == "at last"
    assert 1.9 <= time.monotonic() - began < 6, "retry-after was not kept"


@case("an exhausted quota raises RateLimitError and is not asked again")
def no_quota() -> None:
    error = raised(
        openai.RateLimitError,
        lambda: default.chat.completions.create(model="out-of-quota", messages=user("hello")),
    )
    check_status(error, 429, "insufficient_quota", "insufficient_quota")
    assert error.response.headers["x-should-retry"] == "false"


@case("upstreams that all fail raise InternalServerError and are not asked again")
def broken() -> None:
    began = time.monotonic()
    error = raised(
        openai.InternalServerError, lambda: default.chat.completions.create(model="broken", messages=user("hello"))
    )
    assert error.status_code in (502, 503), error.status_code
    assert error.type == "server_error"
    assert error.code
    assert error.request_id.startswith("req_")
    assert error.response.headers["x-should-retry"] == "false"
    assert time.monotonic() - began < 2


@case("a stall longer than the client's timeout raises its timeout error")
def timeout() -> None:
    hurried = client.with_options(timeout=0.3)
    raised(openai.APITimeoutError, lambda: hurried.chat.completions.create(model="stalled", messages=user("hello")))


def check_cut(chunks: Iterable[Any], code: str) -> None:
    text, finish, error = "", None, None
    try:
        for chunk in chunks:
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
    except openai.APIError as exc:
        error = exc
    assert error is not None, "a clean end"
    assert not isinstance(error, openai.APIConnectionError)
    assert error.code == code, error.code
    assert error.message
    assert text
    assert WORDS.startswith(text)
    assert text != WORDS
    assert finish is None


@case("an upstream lost in mid-stream raises after the text so far")
def lost() -> None:
    check_cut(
        client.chat.completions.create(model="cut", messages=user("words: 40"), stream=True),
        "upstream_stream_interrupted",
    )


@case("an upstream that just stops in mid-stream raises after the text so far")
def stopped() -> None:
    check_cut(
        client.chat.completions.create(model="truncated", messages=user("words: 40"), stream=True),
        "upstream_stream_interrupted",
    )


def check_whole(model: str, mode: str) -> None:
    """All sixty words, once, from two upstreams, with the usage of both and one id, model and finish."""
    words = " ".join(f"word{number}" for number in range(1, 61))
    with client.chat.completions.with_streaming_response.create(
        model=model,
        messages=user("words: 60"),
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"router": {"stream_mode": mode}},
    ) as answer:
        assert answer.headers["x-router-stream-mode"] == mode
        chunks = list(answer.parse())
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == words
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len({(chunk.id, chunk.model) for chunk in chunks}) == 1
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.total_tokens > 160, "what was lost is billed as well"


@case("a broken stream is repaired from Gemini to an OpenAI upstream, every word once")
def repaired() -> None:
    check_whole("mended", "repair")


@case("a broken stream is repaired from an OpenAI upstream to Gemini, every word once")
def repaired_back() -> None:
    check_whole("mended-back", "repair")


@case("a broken stream that is buffered comes whole, every word once")
def buffered() -> None:
    check_whole("mended", "buffered")


@case("the asynchronous client chats and streams")
def asynchronous() -> None:
    async def prove() -> None:
        async with AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, _strict_response_validation=True) as one:
            answers = await asyncio.gather(
                *(one.chat.completions.create(model=MODEL, messages=user(f"say: {n}")) for n in range(20))
            )
            assert [answer.choices[0].message.content for answer in answers] == [str(n) for n in range(20)]
            chunks = await one.chat.completions.create(model=MODEL, messages=user("words: 40"), stream=True)
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in chunks]) == WORDS

    asyncio.run(prove())


@case("the parse helper gives a model instance")
def parse() -> None:
    answer = client.chat.completions.parse(model=MODEL, messages=user("a city"), response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City)
    with client.chat.completions.stream(model=MODEL, messages=user("a city"), response_format=City) as events:
        final = events.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, City)


@case("the parse helper tells a cut answer")
def parse_cut() -> None:
    error = raised(
        openai.LengthFinishReasonError,
        lambda: client.chat.completions.parse(
            model=MODEL, messages=user("a city"), response_format=City, max_tokens=2, reasoning_effort="minimal"
        ),
    )
    assert error.completion.choices[0].finish_reason == "length"


@case("the parse helper tells a filtered answer")
def parse_filtered() -> None:
    raised(
        openai.ContentFilterFinishReasonError,
        lambda: client.chat.completions.parse(model="filtered", messages=user("a city"), response_format=City),
    )


if __name__ == "__main__":
    for claim, prove in CASES.items():
        error = None
        try:
            prove()
        except Exception:
            error = traceback.format_exc(limit=-4)
        print(json.dumps({"claim": claim, "error": error}), flush=True)
