"""Load for one endpoint: a fixed number of connections, each asking again as soon as its answer is whole.

    python load.py HOST PORT PATH BODY_FILE --seconds S [--connections N] [--header 'name: value'] [--events N]

Prints one JSON object: answers, failures, seconds, and latencies. An answer counts only when its status is 200, its
body is complete, and a stream held all its events and `[DONE]`.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import cast

import uvloop


class Tally:
    """What all connections saw together."""

    def __init__(self, request: bytes, events: int, deadline: float) -> None:
        self.request = request
        self.events = events
        self.deadline = deadline
        self.latencies: list[float] = []
        self.failures: list[str] = []


class Caller(asyncio.Protocol):
    """One keep-alive connection. `done` is set when it has stopped asking."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._stop(f"connection lost: {exc}")

    def _ask(self) -> None:
        self._head = b""
        self._left = -1  # bytes of the body still to come; -1: chunked
        self._tail = b""
        self._events = 0
        self._started = time.perf_counter()
        self._transport.write(self._tally.request)

    def data_received(self, data: bytes) -> None:
        if not self._head:
            data = self._read_head(self._tail + data)
            if not self._head:
                return
        if self._left >= 0:
            self._left -= len(data)
            if self._left <= 0:
                self._finish("" if self._left == 0 else "too long a body")
            return
        self._events += data.count(b"data: ")
        self._tail = (self._tail + data)[-32:]
        if self._tail.endswith(b"0\r\n\r\n"):
            whole = b"data: [DONE]\n\n" in self._tail and self._events >= self._tally.events
            self._finish("" if whole else f"an incomplete stream of {self._events} events")

    def _read_head(self, data: bytes) -> bytes:
        """The bytes after the head; keeps all of them in `_tail` while it is not whole."""
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            self._tail = data
            return b""
        self._head, self._tail = head.lower(), b""
        if not head.startswith(b"HTTP/1.1 200"):
            self._stop(f"status {head[:40]!r} {rest[:300]!r}")
            return b""
        at = self._head.find(b"content-length:")
        if at >= 0:
            self._left = int(self._head[at + 15 :].split(b"\r\n", 1)[0])
        return rest

    def _finish(self, failure: str) -> None:
        if failure:
            self._stop(failure)
            return
        now = time.perf_counter()
        self._tally.latencies.append(now - self._started)
        if now < self._tally.deadline:
            self._ask()
        else:
            self._stop("")

    def _stop(self, failure: str) -> None:
        if failure:
            self._tally.failures.append(failure)
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()


async def run(args: argparse.Namespace) -> dict[str, object]:
    body = args.body.read_bytes()
    lines = [
        f"POST {args.path} HTTP/1.1",
        f"host: {args.host}:{args.port}",
        "content-type: application/json",
        "accept: application/json",
        "user-agent: OpenAI/Python 3.0.0",
        f"content-length: {len(body)}",
        *args.header,
    ]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    started = time.perf_counter()
    tally = Tally(request, args.events, started + args.seconds)
    loop = asyncio.get_running_loop()
    callers = [
        (await loop.create_connection(lambda: Caller(tally), args.host, args.port))[1] for _ in range(args.connections)
    ]
    await asyncio.wait_for(asyncio.gather(*(caller.done for caller in callers)), args.seconds + 20)
    latencies = sorted(tally.latencies)
    return {
        "answers": len(latencies),
        "failures": tally.failures[:3],
        "seconds": time.perf_counter() - started,
        "p50_ms": latencies[len(latencies) // 2] * 1000 if latencies else None,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000 if latencies else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("body", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--events", type=int, default=0)
    print(json.dumps(uvloop.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
