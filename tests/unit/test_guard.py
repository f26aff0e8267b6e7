"""The outermost layer: what never reaches an endpoint."""

from typing import Any

import pytest

from router.api.guard import Guard


async def through(headers: list[tuple[bytes, bytes]], path: str = "/v1/models", hosts: tuple[str, ...] = ()) -> int:
    """The status a GET gets; 200 when it passed."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError("the guard reads no body")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
    await Guard(app, hot=(), hosts=hosts)(scope, receive, send)
    assert any(name == b"x-request-id" for name, _ in sent[0]["headers"])
    status: int = sent[0]["status"]
    return status


ONE = ("router.example.com",)
HOSTS = [
    (b"router.example.com", ONE, 200),
    (b"router.example.com:8080", ONE, 200),
    (b"ROUTER.Example.com", ONE, 200),
    (b"evil.example", ONE, 400),
    (b"evil.example:8080", ONE, 400),
    (b"", ONE, 400),
    (b":8080", ONE, 400),
    (b"router.example.com.evil", ONE, 400),
    (b"evil/router.example.com", ONE, 400),
    (b"router.example.com:80:80", ONE, 400),
    (b"127.0.0.1", ("127.0.0.1",), 200),
    (b"[::1]", ("[::1]",), 200),
    (b"[::1]:8080", ("[::1]",), 200),
    (b"anything", (), 200),
]


@pytest.mark.parametrize(("host", "hosts", "status"), HOSTS)
async def test_only_trusted_hosts_are_served(host: bytes, hosts: tuple[str, ...], status: int) -> None:
    assert await through([(b"host", host)], hosts=hosts) == status


async def test_hosts_must_be_one() -> None:
    assert await through([(b"host", b"a"), (b"host", b"a")]) == 400
    assert await through([], hosts=ONE) == 400


async def test_headers_and_paths_are_bounded() -> None:
    assert await through([(b"x", b"y")] * 100) == 200
    assert await through([(b"x", b"y")] * 101) == 431
    assert await through([(b"x", b"y" * 40_000)]) == 431
    assert await through([], path="/" + "x" * 5000) == 400
