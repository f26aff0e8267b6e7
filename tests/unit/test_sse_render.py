"""Server-sent events exactly as the SDKs want them."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from providers.errors import BadResponseError, StreamInterruptedError, UnavailableError
from providers.types import ChatChunk, Usage
from router.api.envelope import stream_error_event
from router.api.sse import DONE, KEEP_ALIVE, ChunkRenderer

FIRST = {"role": "assistant", "content": "", "refusal": None}
CALLING = {"role": "assistant", "content": None, "refusal": None}


def call(position: int, name: str | None, arguments: str) -> dict[str, Any]:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    more = {} if name is None else {"id": f"call_{position}", "type": "function"}
    return {"tool_calls": [{"index": position, **more, "function": function}]}


def renderer(include_usage: bool = False) -> ChunkRenderer:
    return ChunkRenderer("chatcmpl-1", 1_795_190_000, "m-001", include_usage=include_usage)


def events(data: bytes) -> list[dict[str, Any]]:
    """The JSON of each event, after checking the framing."""
    if not data:
        return []
    assert data.endswith(b"\n\n")
    lines = data[:-2].split(b"\n\n")
    assert all(line.startswith(b"data: ") and b"\n" not in line and b"\r" not in line for line in lines)
    return [orjson.loads(line[6:]) for line in lines]


def deltas(*chunks: ChatChunk) -> list[Any]:
    return [event["choices"][0]["delta"] for event in events(renderer().render(chunks))]


def test_the_bytes_are_exactly_these() -> None:
    made = renderer(include_usage=True)
    rendered = made.render([ChatChunk(delta={"content": "Bon"}), ChatChunk(finish_reason="stop")])
    head = (
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795190000,"model":"m-001",'
        b'"system_fingerprint":null,"choices":['
    )
    assert rendered == (
        head + b'{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,'
        b'"finish_reason":null}],"usage":null}\n\n'
        + head + b'{"index":0,"delta":{"content":"Bon"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
        + head + b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}\n\n'
    )  # fmt: skip
    assert DONE == b"data: [DONE]\n\n"
    assert KEEP_ALIVE.startswith(b":")
    assert KEEP_ALIVE.endswith(b"\n\n")


def test_the_role_comes_first_and_once() -> None:
    made = renderer()
    first = events(made.render([ChatChunk(delta={"role": "assistant", "content": "a"})]))
    second = events(made.render([ChatChunk(delta={"role": "assistant", "content": "b"})]))
    assert [event["choices"][0]["delta"] for event in first + second] == [FIRST, {"content": "a"}, {"content": "b"}]


def test_every_choice_has_its_own_first_and_last_chunk() -> None:
    made = renderer()
    found = events(
        made.render(
            [
                ChatChunk(index=1, delta={"content": "b"}),
                ChatChunk(index=0, delta={"content": "a"}),
                ChatChunk(index=1, finish_reason="stop"),
                ChatChunk(index=0, finish_reason="length"),
            ]
        )
    )
    shape = [(event["choices"][0]["index"], event["choices"][0]["finish_reason"]) for event in found]
    assert shape == [(1, None), (1, None), (0, None), (0, None), (1, "stop"), (0, "length")]
    assert [event["choices"][0]["delta"] for event in found][::2] == [FIRST, FIRST, {}]
    assert made.finished == {0, 1}


def test_usage_is_null_when_asked_for_and_absent_when_not() -> None:
    chunk = [ChatChunk(delta={"content": "a"}, usage=Usage(prompt_tokens=5)), ChatChunk(finish_reason="stop")]
    assert all(event["usage"] is None for event in events(renderer(include_usage=True).render(chunk)))
    assert all("usage" not in event for event in events(renderer().render(chunk)))


@pytest.mark.parametrize(("cost", "shown"), [(None, None), (Decimal("0.0012"), 0.0012), (Decimal(0), 0.0)])
def test_the_usage_chunk_has_no_choices(cost: Decimal | None, shown: float | None) -> None:
    (event,) = events(renderer(include_usage=True).usage(Usage(prompt_tokens=9, completion_tokens=41), cost))
    assert event["choices"] == []
    assert event["object"] == "chat.completion.chunk"
    assert (event["usage"]["prompt_tokens"], event["usage"]["total_tokens"]) == (9, 50)
    assert event["usage"].get("cost") == shown


@pytest.mark.parametrize(
    "chunk",
    [
        ChatChunk(),
        ChatChunk(usage=Usage(prompt_tokens=1)),
        ChatChunk(delta={"role": "assistant"}),
        ChatChunk(delta={"content": ""}),
        ChatChunk(delta={"content": None}),
        ChatChunk(delta={"role": "assistant", "content": "", "reasoning_content": ""}),
        ChatChunk(delta={"tool_calls": []}),
    ],
)
def test_what_holds_nothing_is_not_sent(chunk: ChatChunk) -> None:
    assert renderer().render([chunk]) == b""
    last = ChatChunk(delta=chunk.delta, finish_reason="length")
    assert deltas(last) == [FIRST, {}]


def test_an_answer_that_starts_with_a_call_has_no_content() -> None:
    assert deltas(
        ChatChunk(delta=call(0, "look_up", "")),
        ChatChunk(delta=call(0, None, '{"city":"Par')),
        ChatChunk(delta=call(0, None, 'is"}')),
        ChatChunk(delta=call(1, "look_up", "{}")),
        ChatChunk(finish_reason="tool_calls"),
    ) == [
        CALLING,
        call(0, "look_up", ""),
        call(0, None, '{"city":"Par'),
        call(0, None, 'is"}'),
        call(1, "look_up", "{}"),
        {},
    ]


def test_an_answer_that_starts_with_text_and_a_call_has_content_to_add_to() -> None:
    both = {"content": "Let me look.", **call(0, "look_up", "{}")}
    assert deltas(ChatChunk(delta=both)) == [FIRST, both]


def test_a_finish_in_the_same_chunk_is_sent_apart() -> None:
    assert deltas(ChatChunk(delta={"content": "a"}, finish_reason="stop")) == [FIRST, {"content": "a"}, {}]


def test_a_refused_answer_that_holds_nothing_still_has_both_ends() -> None:
    assert deltas(ChatChunk(finish_reason="content_filter")) == [FIRST, {}]


def test_log_probabilities_and_native_reasons_travel() -> None:
    odds = {"content": [{"token": "a", "logprob": -0.1}]}
    chunk = ChatChunk(delta={"content": "a"}, logprobs=odds, finish_reason="stop", native_finish_reason="STOP")
    first, text, last = events(renderer().render([chunk]))
    assert text["choices"][0]["logprobs"] == odds
    assert first["choices"][0]["logprobs"] is None
    assert last["choices"][0]["native_finish_reason"] == "STOP"
    assert "native_finish_reason" not in text["choices"][0]


@pytest.mark.parametrize("text", ["\n\ndata: [DONE]\n\n", "\r\n", "\u2028", '"quoted"', "\x00", "\U0001f600"])
def test_text_cannot_break_out_of_its_event(text: str) -> None:
    assert deltas(ChatChunk(delta={"content": text})) == [FIRST, {"content": text}]


def test_every_chunk_has_the_same_id_time_and_model() -> None:
    made = renderer(include_usage=True)
    data = made.render([ChatChunk(delta={"content": "a"}), ChatChunk(finish_reason="stop")]) + made.usage(Usage(), None)
    assert {(e["id"], e["created"], e["model"]) for e in events(data)} == {("chatcmpl-1", 1_795_190_000, "m-001")}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StreamInterruptedError("cut"), "upstream_stream_interrupted"),
        (UnavailableError("cut"), "upstream_unavailable"),
        (BadResponseError("cut", code="odd"), "odd"),
        (RuntimeError("secret"), "upstream_stream_interrupted"),
    ],
)
def test_a_break_is_an_event_the_sdks_raise(error: Exception, code: str) -> None:
    (event,) = events(stream_error_event(error))
    assert sorted(event) == ["error"]
    assert (event["error"]["type"], event["error"]["param"], event["error"]["code"]) == ("server_error", None, code)
    assert "secret" not in event["error"]["message"]
