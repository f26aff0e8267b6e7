"""Reading a body: bounded in size and time, and only of the kinds that are accepted."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from router.api.body import ClientGoneError, SlowBodyError, read_body, require_json
from router.errors import BodyTooLargeError, UnsupportedMediaTypeError


def scope(**headers: str) -> dict[str, Any]:
    return {"headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]}


def receiver(*parts: bytes | None) -> Callable[[], Awaitable[Any]]:
    """Gives the parts one by one; None is a client that leaves. What comes after the last never comes."""
    left = list(parts)

    async def receive() -> Any:
        if not left:
            await asyncio.Event().wait()
        part = left.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return receive


async def read(*parts: bytes | None, limit_bytes: int = 100, timeout_s: float = 1.0, **headers: str) -> bytes:
    return await read_body(scope(**headers), receiver(*parts), limit_bytes=limit_bytes, timeout_s=timeout_s)


@pytest.mark.parametrize("parts", [(b"abc",), (b"a", b"b", b"c"), (b"", b"abc"), (b"abc", b"")])
async def test_a_body_is_whole_however_it_comes(parts: tuple[bytes, ...]) -> None:
    assert await read(*parts) == b"abc"
    assert await read(*parts, content_length="3") == b"abc"


async def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert len(await read(b"x" * 100)) == 100
    with pytest.raises(BodyTooLargeError):
        await read(b"x" * 60, b"x" * 41, b"never read")


async def test_an_announced_excess_is_refused_unread() -> None:
    with pytest.raises(BodyTooLargeError):
        await read(content_length="101")


@pytest.mark.parametrize("length", ["\xb2", "9" * 5000, "-1", "abc", "1e9", ""])
async def test_an_odd_length_is_not_believed(length: str) -> None:
    assert await read(b"abc", content_length=length) == b"abc"


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "gzip, identity"])
async def test_compressed_bodies_are_refused(coding: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        await read(b"abc", content_encoding=coding)
    assert await read(b"abc", content_encoding="identity") == b"abc"


async def test_a_slow_body_is_given_up() -> None:
    async def receive() -> Any:
        await asyncio.sleep(1)

    with pytest.raises(SlowBodyError) as caught:
        await read_body(scope(), receive, limit_bytes=100, timeout_s=0.01)
    assert caught.value.status == 408


async def test_a_client_that_leaves_is_not_answered() -> None:
    with pytest.raises(ClientGoneError):
        await read(b"abc", None)


@pytest.mark.parametrize(
    "declared",
    ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8; x=y", "application/vnd.api+json"],
)
def test_json_may_be_declared_in_many_ways(declared: str) -> None:
    require_json(scope(content_type=declared))


@pytest.mark.parametrize(
    "declared", [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_a_browser_may_send_unasked_is_refused(declared: str | None) -> None:
    with pytest.raises(UnsupportedMediaTypeError) as caught:
        require_json(scope() if declared is None else scope(content_type=declared))
    assert caught.value.status == 415
