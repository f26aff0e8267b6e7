"""The body of a stream: comments while nothing is said, and an end to silence, but not to a client's slowness."""

import asyncio
from typing import Any

import pytest

from providers.errors import StreamInterruptedError
from router.api.gateway import Exchange
from router.api.sse import KEEP_ALIVE
from router.api.streaming import writer as module
from router.api.streaming.writer import Writer


def exchange(sent: list[bytes], client_s: float = 0.0) -> Exchange:
    """One whose client takes `client_s` for each message."""

    async def send(message: Any) -> None:
        await asyncio.sleep(client_s)
        sent.append(message["body"])

    return Exchange(None, {}, None, send, None, None)  # type: ignore[arg-type]  # a writer only sends


async def silent(line: Exchange, idle_s: float) -> None:
    """One word, and then nothing."""
    with Writer(line, idle_s) as writer:
        await writer.write(b"one")
        await asyncio.sleep(5)


async def test_silence_ends_with_a_stall() -> None:
    sent: list[bytes] = []
    with pytest.raises(StreamInterruptedError) as caught:
        await silent(exchange(sent), 0.1)
    assert caught.value.outcome == "stream_stall"
    assert sent == [b"one"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "the task can go on"


async def test_what_comes_in_time_is_no_silence() -> None:
    sent: list[bytes] = []
    with Writer(exchange(sent), 0.15) as writer:
        for number in range(5):
            await asyncio.sleep(0.05)
            await writer.write(b"%d" % number)
    assert len(sent) == 5


async def test_a_slow_client_is_not_the_upstreams_silence() -> None:
    sent: list[bytes] = []
    with Writer(exchange(sent, client_s=0.3), 0.1) as writer:
        await writer.write(b"one")
        await writer.write(b"two")
    assert sent == [b"one", b"two"]


async def test_comments_fill_a_silence_and_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.05)
    sent: list[bytes] = []
    with pytest.raises(StreamInterruptedError):
        await silent(exchange(sent), 0.28)
    assert sent[0] == b"one"
    assert set(sent[1:]) == {KEEP_ALIVE}
    assert 3 <= len(sent[1:]) <= 6


async def test_a_cancellation_from_outside_passes_through() -> None:
    task = asyncio.create_task(silent(exchange([]), 5))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_after_its_end_it_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.03)
    sent: list[bytes] = []
    with Writer(exchange(sent), 0.05) as writer:
        await writer.write(b"one")
    await asyncio.sleep(0.15)
    assert sent == [b"one"]
