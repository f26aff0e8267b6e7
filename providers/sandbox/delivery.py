"""Getting an answer onto the wire: at the model's speed, or in one of the ways that deliveries go wrong."""

import math
import random
import time
from collections.abc import Awaitable, Callable

import orjson

from providers.sandbox.config import Latency
from providers.sandbox.exchange import Answer, Exchange, Header
from providers.sandbox.faults import Fault
from providers.sandbox.refusals import error_object

_SHORTEST_SLEEP_S = 0.001  # below this the event loop's own jitter is larger than the wait
_DONE = b"[DONE]"


async def deliver(exchange: Exchange, answer: Answer, latency: Latency, chance: random.Random) -> None:
    """Send a good answer after the model's time to first token, paced at its speed."""
    wait_s = answer.wait_s + first_token_s(latency, chance, image=answer.image)
    rate = latency.tokens_per_s
    if answer.frames is None:
        if rate > 0:
            wait_s += answer.tokens / rate
        if wait_s > 0:
            await exchange.pause(wait_s)
        await send_whole(exchange, answer)
        return
    if wait_s > 0:
        await exchange.pause(wait_s)
    await exchange.start(answer.status, answer.headers)
    await send_frames(exchange, answer.frames, answer.tokens / rate if rate > 0 else 0.0)


def first_token_s(latency: Latency, chance: random.Random, *, image: bool) -> float:
    """Seconds to the first token (or the picture): log-normal around the median, sigma 0 giving the median."""
    median_s = (latency.image_ms if image else latency.ttft_ms) / 1000
    return median_s * math.exp(latency.sigma * chance.gauss(0, 1)) if latency.sigma else median_s


async def send_whole(exchange: Exchange, answer: Answer) -> None:
    """The body in one write, with its length declared."""
    length: Header = (b"content-length", b"%d" % len(answer.body))
    await exchange.start(answer.status, (*answer.headers, length))
    await exchange.write(answer.body, more=False)


async def send_frames(exchange: Exchange, frames: tuple[bytes, ...] | list[bytes], seconds: float) -> None:
    """Frames spread evenly over `seconds`; those due together leave in one write, as they do from a real server."""
    if seconds <= 0:
        await exchange.write(b"".join(frames), more=False)
        return
    step = seconds / len(frames)
    begun = time.monotonic()
    due: list[bytes] = []
    for number, frame in enumerate(frames, 1):
        due.append(frame)
        ahead_s = begun + number * step - time.monotonic()
        if ahead_s > _SHORTEST_SLEEP_S:
            await exchange.write(b"".join(due))
            due.clear()
            await exchange.pause(ahead_s)
    await exchange.write(b"".join(due), more=False)


async def deliver_badly(
    exchange: Exchange, answer: Answer, latency: Latency, chance: random.Random, fault: Fault, dialect: str
) -> None:
    """Send a good answer in the way the delivery fault `fault` describes."""
    if fault.name == "brown-out":
        await deliver(exchange, answer, _slower(latency, fault.number("factor", 10)), chance)
        return
    await exchange.pause(answer.wait_s + first_token_s(latency, chance, image=answer.image))
    rate = latency.tokens_per_s
    seconds = answer.tokens / rate if rate > 0 else 0.0
    if fault.name in _CUTS:
        await _cut(exchange, answer, seconds, fault, dialect)
    elif fault.name in _BYTES:
        await _BYTES[fault.name](exchange, answer, fault)
    else:
        changed = _reworded(answer, fault, dialect)
        if changed.frames is None:
            await send_whole(exchange, changed)
        else:
            await exchange.start(changed.status, changed.headers)
            await send_frames(exchange, changed.frames, seconds)


def _slower(latency: Latency, factor: float) -> Latency:
    return Latency(
        ttft_ms=latency.ttft_ms * factor,
        sigma=latency.sigma,
        tokens_per_s=latency.tokens_per_s / factor,
        image_ms=latency.image_ms * factor,
    )


def _reworded(answer: Answer, fault: Fault, dialect: str) -> Answer:
    """Faults that only change the bytes: the answer with other headers, body or frames."""
    headers, body, frames = answer.headers, answer.body, answer.frames
    match fault.name:
        case "wrong-content-type":
            kind = fault.text("type", "text/plain").encode()
            headers = tuple((key, kind if key == b"content-type" else value) for key, value in headers)
        case "truncated-json":
            body = body[: len(body) // 2]
            frames = frames and (*frames[:2], frames[2 % len(frames)][:-12])
        case "invalid-utf8":
            body = _spoil(body)
            frames = frames and tuple(map(_spoil, frames))
        case "no-done":
            frames = frames and tuple(frame for frame in frames if _DONE not in frame)
        case "data-after-done":
            frames = frames and (*frames, frames[0])
        case "error-first-event":
            return _error_only(answer, fault, dialect)
        case "crlf" | "lf" | "cr" | "odd-framing":
            frames = frames and _reframed(frames, fault.name)
    return Answer(status=answer.status, headers=headers, body=body, frames=frames or None, tokens=answer.tokens)


def _spoil(data: bytes) -> bytes:
    for key in (b'"text":"', b'"content":"'):
        data = data.replace(key, key + b"\xff\xfe")
    return data


def _reframed(frames: tuple[bytes, ...], style: str) -> tuple[bytes, ...]:
    ends = {"crlf": b"\r\n", "lf": b"\n", "cr": b"\r"}
    plain = [frame.replace(b"\r\n", b"\n") for frame in frames]
    if style in ends:
        return tuple(frame.replace(b"\n", ends[style]) for frame in plain)
    odd = [b": ping\n\nevent: message\n" + frame.replace(b"data: ", b"data:", 1) for frame in plain]
    return (b"\xef\xbb\xbf" + odd[0], *odd[1:])


def _error_frame(fault: Fault, dialect: str, frames: tuple[bytes, ...]) -> bytes:
    error = error_object(dialect, int(fault.number("status", 503)))
    if fault.name == "error-unframed":
        return orjson.dumps(error, option=orjson.OPT_INDENT_2) + b"\n"
    end = b"\r\n\r\n" if frames and frames[0].endswith(b"\r\n\r\n") else b"\n\n"
    return b"data: " + orjson.dumps(error) + end


def _error_only(answer: Answer, fault: Fault, dialect: str) -> Answer:
    if answer.frames is None:
        body = orjson.dumps(error_object(dialect, int(fault.number("status", 503))))
        return Answer(headers=answer.headers, body=body)
    return Answer(headers=answer.headers, frames=(_error_frame(fault, dialect, answer.frames),))


_CUTS = frozenset(
    {"stall-mid-stream", "reset-mid-stream", "truncate", "error-mid-stream", "error-unframed"}
)  # faults that strike after some of the answer has gone out


async def _cut(exchange: Exchange, answer: Answer, seconds: float, fault: Fault, dialect: str) -> None:
    pieces = list(answer.frames) if answer.frames is not None else _eighths(answer.body)
    # never far enough to show the finish: OpenAI's finish, usage and [DONE] are the last three
    after = min(int(fault.number("after", 3)), max(1, len(pieces) - 3))
    await exchange.start(answer.status, answer.headers)
    for piece in pieces[:after]:
        await exchange.write(piece)
        await exchange.pause(max(seconds / len(pieces), _SHORTEST_SLEEP_S))
    match fault.name:
        case "stall-mid-stream":
            await exchange.pause(fault.number("seconds", 3600))
            await exchange.write(b"".join(pieces[after:]), more=False)
        case "reset-mid-stream":
            await exchange.pause(0.02)  # let the client read what it got: a reset may overtake it
            await exchange.reset()
        case "truncate":
            await exchange.write(b"", more=False)
        case _:
            await exchange.write(_error_frame(fault, dialect, answer.frames or ()), more=False)


def _eighths(body: bytes) -> list[bytes]:
    size = max(1, len(body) // 8)
    return [body[start : start + size] for start in range(0, len(body), size)]


async def _short_body(exchange: Exchange, answer: Answer, fault: Fault) -> None:
    body = answer.body or b"".join(answer.frames or ())
    await exchange.start(answer.status, (*answer.headers, (b"content-length", b"%d" % (len(body) + 100))))
    await exchange.write(body)
    await exchange.hang_up()


async def _extra_bytes(exchange: Exchange, answer: Answer, fault: Fault) -> None:
    body = answer.body or b"".join(answer.frames or ())
    await exchange.start(answer.status, (*answer.headers, (b"content-length", b"%d" % len(body))))
    await exchange.write(body)
    exchange.transport.write(b'{"smuggled": true}')
    await exchange.write(b"", more=False)


async def _early_hints(exchange: Exchange, answer: Answer, fault: Fault) -> None:
    exchange.transport.write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n")
    if answer.frames is None:
        await send_whole(exchange, answer)
        return
    await exchange.start(answer.status, answer.headers)
    await send_frames(exchange, answer.frames, 0)


async def _slow_chunks(exchange: Exchange, answer: Answer, fault: Fault) -> None:
    await exchange.start(answer.status, answer.headers)
    for piece in answer.frames if answer.frames is not None else _eighths(answer.body):
        await exchange.write(piece)
        await exchange.pause(fault.number("seconds", 0.2))
    await exchange.write(b"", more=False)


async def _one_byte_chunks(exchange: Exchange, answer: Answer, fault: Fault) -> None:
    await exchange.start(answer.status, answer.headers)
    body = answer.body or b"".join(answer.frames or ())
    for position in range(len(body)):
        await exchange.write(body[position : position + 1])
    await exchange.write(b"", more=False)


_BYTES: dict[str, Callable[[Exchange, Answer, Fault], Awaitable[None]]] = {
    "short-body": _short_body,
    "extra-bytes": _extra_bytes,
    "early-hints": _early_hints,
    "slow-chunks": _slow_chunks,
    "one-byte-chunks": _one_byte_chunks,
}
