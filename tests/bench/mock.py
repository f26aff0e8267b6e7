"""A simulated upstream that is never the bottleneck: canned answers on the Gemini and the OpenAI wire.

    python mock.py HOST PORT

Reads just enough HTTP/1.1 to find the end of a request; every answer is bytes made at start-up. A streamed answer is
200 chunks in 20 bursts a few milliseconds apart, as a fast model behind a proxy sends them.
"""

import asyncio
import json
import sys
from typing import cast

import uvloop

CHUNKS = 200
BURSTS = 20
_GAP_S = 0.003  # long enough that a relay reads burst by burst
_WORDS = "The switch blade moves the train from one track to another without a stop and the signal turns green . "
_TEXT = _WORDS * 4


def _gemini(text: str, output: int, *, finish: bool) -> bytes:
    candidate: dict[str, object] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = "STOP"
    usage = {
        "promptTokenCount": 24,
        "candidatesTokenCount": output,
        "totalTokenCount": 24 + output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 24}],
    }
    answer = {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-3.5-flash-lite",
        "responseId": "r1benchR1bench",
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def _openai_usage(output: int) -> dict[str, object]:
    return {
        "prompt_tokens": 24,
        "completion_tokens": output,
        "total_tokens": 24 + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _openai_plain() -> bytes:
    message = {"role": "assistant", "content": _TEXT, "refusal": None, "annotations": []}
    answer = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1795190000,
        "model": "bench-model",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _openai_usage(60),
        "service_tier": "default",
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def _openai_chunk(
    delta: dict[str, object] | None, finish: str | None = None, usage: dict[str, object] | None = None
) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    chunk = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1795190000,
        "model": "bench-model",
        "service_tier": "default",
        "system_fingerprint": None,
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def _bursts(events: list[bytes]) -> list[bytes]:
    """Events as HTTP chunks, `BURSTS` writes of equal length; the end of the body travels with the last one."""
    size = len(events) // BURSTS
    writes = [
        b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events[start : start + size])
        for start in range(0, size * (BURSTS - 1), size)
    ]
    rest = events[size * (BURSTS - 1) :]
    return [*writes, b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in rest) + b"0\r\n\r\n"]


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


_words = [f"{word} " for word in _WORDS.split()]
_GEMINI = _whole(_gemini(_TEXT, 60, finish=True))
_GEMINI_STREAM = _bursts(
    [b"data: " + _gemini(_words[n % len(_words)], n + 1, finish=n == CHUNKS - 1) + b"\r\n\r\n" for n in range(CHUNKS)]
)
_OPENAI = _whole(_openai_plain())
_OPENAI_STREAM = _bursts(
    [
        _openai_chunk({"role": "assistant", "content": "", "refusal": None}),
        *(_openai_chunk({"content": _words[n % len(_words)]}) for n in range(CHUNKS)),
        _openai_chunk({}, "stop"),
        _openai_chunk(None, None, _openai_usage(CHUNKS)),
        b"data: [DONE]\n\n",
    ]
)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class Mock(asyncio.Protocol):
    """One connection: answers requests one after the other, by path."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head = 0  # bytes up to the body; 0 while the head is not whole
        self._needed = 0
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._head:
            self._read_head()
        if self._head and len(self._buffer) >= self._needed:
            streamed = b'"stream":true' in self._buffer or b'"stream": true' in self._buffer
            del self._buffer[: self._needed]
            self._head = 0
            self._answer(streamed)

    def _read_head(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end])
        self._path = head.split(b" ", 2)[1]
        self._head = end + 4
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        self._needed = self._head + length

    def _answer(self, streamed: bool) -> None:
        if b":streamGenerateContent" in self._path:
            self._stream(_GEMINI_STREAM)
        elif b":generateContent" in self._path:
            self._transport.write(_GEMINI)
        elif b"/chat/completions" in self._path:
            self._stream(_OPENAI_STREAM) if streamed else self._transport.write(_OPENAI)
        else:
            self._transport.write(_NOT_FOUND)

    def _stream(self, writes: list[bytes]) -> None:
        self._transport.write(_STREAM_HEAD + writes[0])
        asyncio.get_running_loop().call_later(_GAP_S, self._next, writes, 1)

    def _next(self, writes: list[bytes], position: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(writes[position])
        if position + 1 < len(writes):
            asyncio.get_running_loop().call_later(_GAP_S, self._next, writes, position + 1)


async def _serve(host: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Mock, host, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2])))
