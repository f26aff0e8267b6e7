"""The stream modes against upstreams whose every byte is scripted: what the simulated ones never send."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from harness import Turnout, chat, events
from loopback import Reply, Script, Seen, serving, until_gone

CONFIG = """
providers:
  first:  {type: openai, api_key: "k", base_url: "FIRST/v1"}
  second: {type: openai, api_key: "k", base_url: "SECOND/v1"}
models:
  pair:   {targets: [first/one, second/two], sort: order}
routing: {idle_timeout_ms: 300}
"""
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
Ask = Callable[[str], Awaitable[str]]


def event(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]}


def text(words: str) -> dict[str, Any]:
    return event({"content": words})


def sending(*chunks: dict[str, Any] | bytes, end: str = "reset") -> Script:
    """An upstream that sends these and then resets the line, ends well, or sends comments for ever."""

    async def script(seen: Seen, reply: Reply) -> None:
        await reply.open_stream()
        for chunk in chunks:
            data = chunk if isinstance(chunk, bytes) else b"data: " + json.dumps(chunk).encode() + b"\n\n"
            await reply.chunk(data)
        if end == "reset":
            await asyncio.sleep(0.05)
            reply.reset()
        elif end == "well":
            await reply.chunk(b"data: [DONE]\n\n")
            await reply.end()
        else:
            gone = asyncio.ensure_future(until_gone(reply))
            while not gone.done():
                await reply.chunk(b": still here\n\n")
                await asyncio.sleep(0.05)

    return script


@asynccontextmanager
async def asking(first: Script, second: Script) -> AsyncIterator[tuple[Ask, list[Seen]]]:
    """A way to ask in a mode, and what the second upstream has seen."""
    async with serving(first) as one, serving(second) as two:
        turnout = Turnout(CONFIG.replace("FIRST", one.url).replace("SECOND", two.url) + "# {sandbox}\n")
        await asyncio.to_thread(turnout.__enter__)
        try:
            async with httpx.AsyncClient(base_url=turnout.url, trust_env=False, timeout=10) as client:

                async def ask(mode: str) -> str:
                    body = chat("go", "pair", stream=True, router={"stream_mode": mode})
                    answer = await client.post("/v1/chat/completions", json=body)
                    assert answer.status_code == 200, answer.text
                    return answer.text

                yield ask, two.seen
        finally:
            await asyncio.to_thread(turnout.__exit__, None, None, None)


def said(answer: str) -> str:
    chunks = [json.loads(item) for item in events(answer) if item != "[DONE]"]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c.get("choices"))


def whole(answer: str) -> bool:
    """Whether it ended well; else it must have ended with an error, and with nothing that looks like an end."""
    last = events(answer)[-1]
    if last != "[DONE]":
        assert json.loads(last)["error"]["code"] == "upstream_stream_interrupted"
        assert 'finish_reason":"' not in answer
        assert "[DONE]" not in answer
    return last == "[DONE]"


PICTURE = event({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]})
CALL = event({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]})
UNDER_WAY: dict[str, dict[str, Any]] = {
    "a picture": PICTURE,
    "a tool call": CALL,
    "sound": event({"audio": {"id": "a", "data": "AAAA"}}),
    "a refusal": event({"refusal": "I would"}),
    "a second choice": {**text("two"), "choices": [{"index": 1, "delta": {"content": "two"}, "finish_reason": None}]},
    "odds": event({"content": "x"}, logprobs={"content": []}),
}


@pytest.mark.parametrize("what", UNDER_WAY)
async def test_an_answer_that_turns_out_to_be_more_than_a_text_is_not_mended(what: str) -> None:
    async with asking(sending(text("Here it comes: "), UNDER_WAY[what]), sending(text("no"), end="well")) as (
        ask,
        seen,
    ):
        answer = await ask("repair")
        assert not whole(answer)
        assert said(answer).startswith("Here it comes:"), "what waited for the next word is not lost"
        assert seen == []


async def test_a_seam_inside_a_word_is_not_tried() -> None:
    first = sending(text("Here it comes: "), text("x" * 2000), text("x"))
    async with asking(first, sending(text("no"), end="well")) as (ask, seen):
        answer = await ask("repair")
        assert not whole(answer)
        assert said(answer) == f"Here it comes: {'x' * 2001}"
        assert seen == []


@pytest.mark.parametrize("mode", ["live", "repair", "buffered"])
async def test_comments_of_an_upstream_are_no_answer(mode: str) -> None:
    first = sending(text("one two three"), end="comments")
    # "one two" has gone out; a model that is told begins with it
    second = sending(text("one two three four"), STOP, end="well")
    async with asking(first, second) as (ask, seen), asyncio.timeout(5):
        answer = await ask(mode)
        assert whole(answer) == (mode != "live")
        assert said(answer) == ("one two three" if mode == "live" else "one two three four")
        assert len(seen) == (mode != "live")


@pytest.mark.parametrize("mode", ["repair", "buffered"])
async def test_a_finish_that_is_missing_is_a_break(mode: str) -> None:
    first = sending(text("one two three"), b"", end="reset")
    second = sending(text("one two three four"), STOP, end="well")
    async with asking(first, second) as (ask, _):
        assert said(await ask(mode)) == "one two three four"


@pytest.mark.parametrize(
    ("finish", "rest"), [("length", ""), ("content_filter", ""), ("length", "one two and"), ("stop", "one two three.")]
)
async def test_how_the_second_model_ends_is_how_the_answer_ends(finish: str, rest: str) -> None:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    second = sending(*([text(rest)] if rest else []), end, end="well")
    async with asking(sending(text("one two three")), second) as (ask, _):
        answer = await ask("repair")
        assert said(answer) == (rest or "one two")
        assert f'"finish_reason":"{finish}"' in answer
        assert whole(answer)


async def test_a_second_model_that_calls_a_tool_instead_has_not_gone_on() -> None:
    async with asking(sending(text("one two three")), sending(CALL, end="well")) as (ask, seen):
        answer = await ask("repair")
        assert not whole(answer)
        assert "tool_calls" not in answer
        assert len(seen) == 1
