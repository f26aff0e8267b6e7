"""Faults that stand in place of an answer: refusals by status, and whatever is done to the line itself."""

import time
import zlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import lru_cache

import orjson

from providers.sandbox.exchange import Answer, Exchange, Header
from providers.sandbox.faults import Fault
from providers.sandbox.refusals import (
    JSON,
    OPENAI_SHAPED,
    error_answer,
    error_object,
    gemini_bad_key,
    gemini_error,
    gemini_quota,
    html_page,
    openai_error,
)

_SSE: Header = (b"content-type", b"text/event-stream")
_ZEROS = 16 * 1024 * 1024


def refusal(fault: Fault, dialect: str, model: str) -> Answer:
    """The answer of a refusal fault, in the dialect's own error body. `status-N` takes a `message` of one's own."""
    if fault.name == "html-error":
        return html_page(int(fault.number("status", 524)))
    if "status" in fault.args:
        return error_answer(dialect, int(fault.args["status"]), fault.text("message", ""))
    if fault.name == "bad-key":
        return gemini_bad_key() if dialect == "gemini" else error_answer(dialect, 401)
    if fault.name == "context-too-long":
        return _too_long(dialect)
    return _too_many(fault, dialect, model)


def _too_long(dialect: str) -> Answer:
    if dialect == "gemini":
        return gemini_error(
            400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
        )
    message = "Your input exceeds the context window of this model. Please adjust your input and try again."
    if dialect in OPENAI_SHAPED:
        return openai_error(400, message, code="context_length_exceeded", param="messages")
    return error_answer(dialect, 400, message)


def _too_many(fault: Fault, dialect: str, model: str) -> Answer:
    seconds = fault.number("seconds", 7)
    match fault.name:
        case "429-retry-info" if dialect == "gemini":
            return gemini_quota(model, delay=fault.text("delay", "20.04s"))
        case "429-per-day":
            return _per_day(dialect, model)
        case "429-text-only":
            return error_answer(dialect, 429, f"Rate limit reached. Please retry in {fault.number('seconds', 26.66)}s")
        case "429-retry-after-ms":
            header = (b"retry-after-ms", fault.text("ms", "1500").encode())
        case "429-retry-after-date":
            header = (b"retry-after", formatdate(time.time() + seconds, usegmt=True).encode())
        case _:
            header = (b"retry-after", fault.text("seconds", "7").encode())
    plain = error_answer(dialect, 429)
    return Answer(status=429, headers=(*plain.headers, header), body=plain.body)


def _per_day(dialect: str, model: str) -> Answer:
    if dialect == "gemini":
        return gemini_quota(model, per_day=True)
    message = "You exceeded your current quota, please check your plan and billing details."
    if dialect in OPENAI_SHAPED:
        return openai_error(429, message, kind="insufficient_quota", code="insufficient_quota")
    return error_answer(dialect, 429, message)


async def break_line(exchange: Exchange, fault: Fault, dialect: str, normal: Answer | None) -> bool:
    """Do a line fault. Returns True when it was only a delay and the normal answer is still to be sent.

    `normal` is that answer where one was computed beforehand (`stall-first-byte` needs its headers).
    """
    if fault.name == "stall":
        await exchange.pause(fault.number("seconds", 3600))
        return True
    if fault.name == "stall-first-byte" and normal is not None:
        await exchange.start(normal.status, normal.headers)
        await exchange.pause(fault.number("seconds", 3600))
        await exchange.write(normal.body or b"".join(normal.frames or ()), more=False)
        return False
    if fault.name in _LINES:
        await _LINES[fault.name](exchange, fault)
        return False
    answer = _odd_answer(fault, dialect)
    await exchange.start(answer.status, (*answer.headers, (b"content-length", b"%d" % len(answer.body))))
    await exchange.write(answer.body, more=False)
    return False


def _odd_answer(fault: Fault, dialect: str) -> Answer:
    match fault.name:
        case "html-200":
            return Answer(headers=((b"content-type", b"text/html; charset=utf-8"),), body=html_page(502).body)
        case "empty-body":
            return Answer(headers=(JSON,))
        case "no-content":
            return Answer(status=204)
        case "bad-json":
            return Answer(headers=(JSON,), body=b'{"candidates": [}, upstream connect error or disconnect')
        case "redirect":
            return Answer(status=307, headers=((b"location", fault.text("location", "http://127.0.0.1:9/").encode()),))
        case "huge-headers":
            count = int(fault.number("bytes", 1_000_000)) // 8000 + 1
            padding = tuple((b"x-padding-%d" % number, b"x" * 8000) for number in range(count))
            return Answer(headers=(JSON, *padding), body=b"{}")
        case _:
            body = orjson.dumps(error_object(dialect, int(fault.number("status", 503))))
            return Answer(headers=(JSON,), body=body)


async def _reset(exchange: Exchange, fault: Fault) -> None:
    seconds = fault.number("seconds", 0)
    if seconds:
        await exchange.pause(seconds)
    await exchange.reset()


async def _empty_reply(exchange: Exchange, fault: Fault) -> None:
    await exchange.hang_up()


async def _slow_headers(exchange: Exchange, fault: Fault) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-slow: "
    position = 0
    while True:
        exchange.transport.write(head[position : position + 1] or b"x")
        position += 1
        await exchange.pause(fault.number("seconds", 0.2))


async def _endless_stream(exchange: Exchange, fault: Fault) -> None:
    await exchange.start(200, (_SSE,))
    chunk = orjson.dumps(
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "again "}]}, "index": 0}],
            "choices": [{"index": 0, "delta": {"content": "again "}, "finish_reason": None}],
            "object": "chat.completion.chunk",
        }
    )
    while True:
        await exchange.write(b"data: " + chunk + b"\n\n")
        await exchange.pause(fault.number("seconds", 0.01))


async def _long_line(exchange: Exchange, fault: Fault) -> None:
    await exchange.start(200, (_SSE,))
    await exchange.write(b'data: {"candidates": [{"content": {"parts": [{"text": "')
    piece = b"x" * 65536
    for _ in range(int(fault.number("bytes", 80_000_000)) // len(piece)):
        await exchange.write(piece)
    await exchange.write(b"", more=False)


async def _comments_only(exchange: Exchange, fault: Fault) -> None:
    await exchange.start(200, (_SSE,))
    while True:
        await exchange.write(b": keep-alive\n\n")
        await exchange.pause(fault.number("seconds", 0.05))


async def _gzip_bomb(exchange: Exchange, fault: Fault) -> None:
    await exchange.start(200, (JSON, (b"content-encoding", b"gzip")))
    head, block = _bomb()
    await exchange.write(head)
    for _ in range(int(fault.number("bytes", 1_000_000_000)) // _ZEROS):
        await exchange.write(block)
    await exchange.write(b"", more=False)


@lru_cache(maxsize=1)
def _bomb() -> tuple[bytes, bytes]:
    """A gzip head, and a block of 16 MB of zeros that may be repeated because it ends in a full flush."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    return head, packer.compress(bytes(_ZEROS)) + packer.flush(zlib.Z_FULL_FLUSH)


async def _stall_headers_only(exchange: Exchange, fault: Fault) -> None:
    await exchange.start(200, (_SSE,))
    await exchange.pause(fault.number("seconds", 3600))
    await exchange.write(b"", more=False)


_LINES: dict[str, Callable[[Exchange, Fault], Awaitable[None]]] = {
    "reset": _reset,
    "empty-reply": _empty_reply,
    "slow-headers": _slow_headers,
    "stall-first-byte": _stall_headers_only,
    "endless-stream": _endless_stream,
    "long-line": _long_line,
    "comments-only": _comments_only,
    "gzip-bomb": _gzip_bomb,
}
