"""A whole answer in one write leaves the wire and the connection as uvicorn's own `send` does."""

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from router.api.envelope import Headers
from router.api.whole import send_whole

HEADERS: Headers = [(b"x-request-id", b"req_1"), (b"content-type", b"application/json")]


class Wire:
    """What a cycle writes to."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def resume_reading(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass


class Connection:
    """One request under way at uvicorn, whose answer is looked at."""

    def __init__(self, *, method: str = "POST", keep_alive: bool = True) -> None:
        self.wire, self.ended = Wire(), 0
        transport: Any = self.wire
        self.cycle = RequestResponseCycle(
            scope={"type": "http", "method": method},  # type: ignore[typeddict-item]
            transport=transport,
            flow=FlowControl(transport),
            logger=logging.getLogger("test"),
            access_logger=logging.getLogger("test"),
            access_log=False,
            default_headers=[(b"date", b"today")],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=self._end,
        )

    def _end(self) -> None:
        self.ended += 1

    async def by_send(self, status: int, headers: Headers, body: bytes) -> None:
        await self.cycle.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.cycle.send({"type": "http.response.body", "body": body, "more_body": False})

    async def at_once(self, status: int, headers: Headers, body: bytes) -> None:
        await send_whole(self.cycle.send, status, headers, body)  # type: ignore[arg-type]

    def state(self) -> tuple[object, ...]:
        cycle = self.cycle
        flags = cycle.response_started, cycle.response_complete, cycle.keep_alive, cycle.waiting_for_100_continue
        return b"".join(self.wire.written), self.wire.closed, self.ended, cycle.message_event.is_set(), *flags


def sized(body: bytes) -> Headers:
    return [*HEADERS, (b"content-length", b"%d" % len(body))]


@pytest.mark.parametrize("status", [200, 202, 429])
@pytest.mark.parametrize("size", [0, 2, 200_000])
@pytest.mark.parametrize(("method", "keep_alive"), [("POST", True), ("POST", False), ("HEAD", True)])
async def test_the_same_bytes_and_the_same_end(status: int, size: int, method: str, keep_alive: bool) -> None:
    usual, quick = (Connection(method=method, keep_alive=keep_alive) for _ in range(2))
    body = b"x" * size if method == "POST" else b""
    await usual.by_send(status, sized(body), body)
    await quick.at_once(status, sized(body), body)
    assert quick.state() == usual.state()
    assert quick.ended == 1


async def test_it_is_one_write() -> None:
    connection = Connection()
    await connection.at_once(200, sized(b"{}"), b"{}")
    assert len(connection.wire.written) == 1


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\x00b", b"a\x7f"])
async def test_a_value_that_would_be_more_than_one_header_is_not_sent(value: bytes) -> None:
    connection = Connection()
    with pytest.raises(RuntimeError):
        await connection.at_once(200, [(b"x-odd", value), *sized(b"{}")], b"{}")
    assert connection.wire.written == []


async def test_a_client_that_left_is_not_written_to() -> None:
    connection = Connection()
    connection.cycle.disconnected = True
    await connection.at_once(200, sized(b"{}"), b"{}")
    assert connection.wire.written == []


async def test_another_server_gets_two_messages() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await send_whole(send, 200, sized(b"{}"), b"{}")
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["headers"] == sized(b"{}")
