"""The upstream client over real sockets: every way a connection can go wrong has a class and a label."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from loopback import Reply, Seen, Server, serving, until_gone

from providers.errors import (
    BadResponseError,
    ProviderError,
    RateLimitedError,
    StreamInterruptedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.upstream import Upstream


def error_from(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    return RateLimitedError(f"{headers['X-Reason']} {body.decode()}", status=status)


@asynccontextmanager
async def upstream(url: str, **options: Any) -> AsyncIterator[Upstream]:
    client = Upstream(provider="p", base_url=url, headers={"authorization": "Bearer secret"}, **options)
    await client.open()
    try:
        yield client
    finally:
        await client.aclose()


async def failure(url: str, **options: Any) -> ProviderError:
    async with upstream(url, **options) as client:
        with pytest.raises(ProviderError) as caught:
            await client.post("/x", b"{}", error_from)
    assert caught.value.provider == "p"
    assert "127.0.0.1" not in caught.value.message
    return caught.value


def label(error: ProviderError) -> tuple[type[ProviderError], str]:
    return type(error), error.outcome


async def test_a_body_goes_out_and_comes_back() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(b'{"ok":1}', x_thing="7")

    async with serving(script) as server, upstream(server.url + "/v1/") as client:
        answer = await client.post("/chat", b'{"a":1}', error_from, headers={"x-extra": "e"})
    assert (answer.status, answer.headers["X-Thing"], answer.body) == (200, "7", b'{"ok":1}')
    seen = server.seen[0]
    assert (seen.method, seen.path, seen.body) == ("POST", "/v1/chat", b'{"a":1}')
    assert seen.headers["authorization"] == "Bearer secret"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["x-extra"] == "e"
    assert "user-agent" not in seen.headers


async def test_a_bad_status_becomes_what_the_adapter_says() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(b"slow down", status=429, x_reason="because")

    async with serving(script) as server, upstream(server.url) as client:
        for call in (
            client.post("/x", b"", error_from),
            client.get("/x", error_from),
            client.stream("/x", b"", error_from),
        ):
            with pytest.raises(RateLimitedError, match="because slow down") as caught:
                await call
            assert (caught.value.status, caught.value.provider) == (429, "p")
    assert server.connections == 1


async def test_refused() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert label(await failure(url)) == (UnavailableError, "connect_refused")


async def test_reset_after_the_request() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        reply.reset()

    async with serving(script) as server:
        kind, outcome = label(await failure(server.url))
    assert kind is UnavailableError
    assert outcome in ("reset", "empty_reply")


async def test_closed_without_an_answer() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        reply.writer.close()

    async with serving(script) as server:
        assert label(await failure(server.url)) == (UnavailableError, "empty_reply")


async def test_a_body_shorter_than_declared() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")
        reply.writer.close()

    async with serving(script) as server:
        assert label(await failure(server.url)) == (BadResponseError, "truncated")


async def test_not_http_at_all() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
        reply.writer.close()

    async with serving(script) as server:
        assert label(await failure(server.url)) == (UnavailableError, "protocol")


async def test_tls_spoken_to_a_plain_port() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with listener:
        url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        assert label(await failure(url)) == (UnavailableError, "tls")


async def test_no_answer_in_time() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await until_gone(reply)

    async with serving(script) as server:
        assert label(await failure(server.url, idle_timeout_s=0.05)) == (UpstreamTimeoutError, "ttfb_timeout")


async def test_a_name_that_does_not_resolve() -> None:
    async with upstream("http://nowhere.invalid") as client:
        with pytest.raises(UnavailableError) as caught:
            await client.post("/x", b"{}", error_from)
    assert caught.value.outcome == "dns"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.whole(b"", status=status, location="/elsewhere")

    async with serving(script) as server:
        assert label(await failure(server.url)) == (UnavailableError, "protocol")
    assert [seen.path for seen in server.seen] == ["/x"]


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(b"{}")

    async with serving(script) as server, upstream(server.url) as client:
        assert (await client.post("/x", b"{}", error_from)).body == b"{}"


async def test_a_body_beyond_the_cap_is_refused_while_it_is_read() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream("application/json")
        for _ in range(1000):
            await reply.chunk(b"x" * 1000)

    async with serving(script) as server:
        assert label(await failure(server.url, max_body_bytes=10_000)) == (BadResponseError, "too_large")


async def test_a_huge_error_body_still_gives_the_status() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(b"x" * 1_000_000, status=500, x_reason="big")

    async with serving(script) as server:
        assert (await failure(server.url)).status == 500


async def test_a_stream_brings_its_slices_as_they_come() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        for part in (b"one", b"two", b"three"):
            await reply.chunk(part)
        await reply.end()

    async with serving(script) as server, upstream(server.url) as client:
        for _ in range(3):
            async with await client.stream("/x", b"{}", error_from) as stream:
                assert b"".join([data async for data in stream]) == b"onetwothree"
    assert server.connections == 1


async def _interrupted(client: Upstream) -> tuple[bytes, StreamInterruptedError]:
    got: list[bytes] = []

    async def read() -> None:
        async with await client.stream("/x", b"{}", error_from) as stream:
            async for data in stream:
                got.append(data)  # noqa: PERF401 - what came before the failure is wanted

    with pytest.raises(StreamInterruptedError) as caught:
        await read()
    assert caught.value.provider == "p"
    return b"".join(got), caught.value


async def test_a_stream_that_stalls_is_interrupted() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(b"one")
        await until_gone(reply)

    async with serving(script) as server, upstream(server.url, idle_timeout_s=0.1) as client:
        got, error = await _interrupted(client)
    assert (got, error.outcome) == (b"one", "stream_stall")


async def test_a_stream_that_breaks_off_is_interrupted() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(b"one")
        await asyncio.sleep(0.05)
        reply.reset()

    async with serving(script) as server, upstream(server.url) as client:
        got, error = await _interrupted(client)
    assert (got, error.outcome) == (b"one", "stream_reset")


async def test_a_stream_without_end_is_cut_at_the_cap() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        while True:
            await reply.chunk(b"x" * 1000)

    async with serving(script) as server, upstream(server.url, max_body_bytes=20_000) as client:
        got, error = await _interrupted(client)
    assert len(got) <= 20_000
    assert error.outcome == "limit"


async def _gone_within_a_second(server: Server) -> None:
    async with asyncio.timeout(1.0):
        await server.seen[-1].gone.wait()


async def test_closing_a_stream_closes_the_connection_upstream() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.open_stream()
        await reply.chunk(b"one")
        await until_gone(reply)

    async with serving(script) as server, upstream(server.url) as client:
        stream = await client.stream("/x", b"{}", error_from)
        assert await stream.read() == b"one"
        await stream.aclose()
        await stream.aclose()
        await _gone_within_a_second(server)


async def test_cancelling_a_request_closes_the_connection_upstream() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await until_gone(reply)

    async with serving(script) as server, upstream(server.url) as client:
        task = asyncio.create_task(client.post("/x", b"{}", error_from))
        while not server.seen:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _gone_within_a_second(server)


async def test_two_hundred_cancelled_requests_leave_nothing_behind() -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        match seen.path:
            case "/silent":
                await until_gone(reply)
            case "/half":
                await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
                await until_gone(reply)
            case "/stream":
                await reply.open_stream()
                await reply.chunk(b"one")
                await until_gone(reply)
            case _:
                await reply.whole(b"{}")

    async def cancelled(client: Upstream, number: int) -> None:
        path = ("/silent", "/half", "/stream")[number % 3]
        opening = client.stream if path == "/stream" else client.post
        try:
            async with asyncio.timeout(0.001 * (number % 40)):
                answer = await opening(path, b"{}", error_from)
                try:
                    await asyncio.sleep(1)
                finally:
                    await answer.aclose()
        except TimeoutError:
            return
        raise AssertionError("the request was not cancelled")

    async with serving(script) as server, upstream(server.url) as client:
        await asyncio.gather(*(cancelled(client, number) for number in range(200)))
        async with asyncio.timeout(1.0):
            while server.open:
                await asyncio.sleep(0.01)
        connections = server.connections
        for _ in range(20):
            assert (await client.post("/fine", b"{}", error_from)).body == b"{}"
        assert server.connections == connections + 1


async def test_using_a_client_that_is_not_open_is_a_programming_error() -> None:
    client = Upstream(provider="p", base_url="http://127.0.0.1:9", headers={})
    with pytest.raises(RuntimeError, match="not open"):
        await client.post("/x", b"{}", error_from)
    await client.aclose()
