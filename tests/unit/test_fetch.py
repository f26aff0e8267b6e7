"""The fetcher over real sockets: what may be fetched arrives, and nothing ever connects to what may not.

Names resolve to what a test says. The loop's `sock_connect` notes every address dialled and then connects to a loopback
server instead: a TLS server in place of any public address, a canary in place of the web ports of every other one.
"""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from certificates import client_tls, server_tls
from loopback import Reply, Seen, Server, serving, until_gone
from pictures import picture

from providers.addresses import is_public
from providers.errors import BadRequestError, BadResponseError, FetchError
from providers.fetch import Fetcher, _public_socket, fetch_for_caller, fetch_result
from providers.types import Fetched

PNG = picture()
PUBLIC = "93.184.216.34"
IMAGES = ("image/",)
URL = "https://pictures.example/a/cat.png"


class Names(AbstractResolver):
    """Resolves each name to the next of its answers, the last one for ever; names without one do not exist."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError(-2, "Name or service not known")
        given = self.answers[host]
        found = given.pop(0) if len(given) > 1 else given[0]
        return [_resolved(host, each, port) for each in found]

    async def close(self) -> None:
        return


def _resolved(host: str, address: str, port: int) -> ResolveResult:
    family = 10 if ":" in address else 2
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)


@dataclass
class Internet:
    """`server` stands for all public addresses, `canary` for all others; `dialled` holds the addresses as meant."""

    fetcher: Fetcher
    names: Names
    server: Server
    canary: Server
    dialled: list[tuple[str, int]] = field(default_factory=list)

    async def fetch(self, url: str = URL, **more: Any) -> Fetched:
        return await self.fetcher.fetch(url, **{"accept": IMAGES, **more})

    async def refused(self, url: str = URL, **more: Any) -> FetchError:
        with pytest.raises(FetchError) as caught:
            await self.fetch(url, **more)
        return caught.value


@asynccontextmanager
async def internet(
    script: Callable[[Seen, Reply], Awaitable[None]] | None = None, names: Names | None = None, **options: Any
) -> AsyncIterator[Internet]:
    names = names or Names(pictures_example=[[PUBLIC]], other_example=[["8.8.8.8"]])
    loop: Any = asyncio.get_running_loop()
    connect = loop.sock_connect
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(script or delivering(PNG), server_tls()))
        canary = await stack.enter_async_context(serving(delivering(PNG)))
        fetcher = Fetcher(**{"resolver": names, "tls": client_tls(), **options})
        net = Internet(fetcher, names, server, canary)

        async def sock_connect(sock: Any, address: Any) -> None:
            net.dialled.append(address[:2])
            if is_public(address[0]):
                address = ("127.0.0.1", server.port)
            elif address[1] in (80, 443):  # no test may listen there
                address = ("127.0.0.1", canary.port)
            await connect(sock, address)

        await fetcher.open()
        stack.push_async_callback(fetcher.aclose)
        loop.sock_connect = sock_connect
        stack.callback(setattr, loop, "sock_connect", connect)
        yield net


def delivering(body: bytes, status: int = 200, content_type: str = "image/png", **headers: str) -> Any:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(body, status, content_type, **headers)

    return script


def redirecting(*locations: str, status: int = 302) -> Any:
    """Sends the n-th request to the n-th location, and everything after that the picture."""
    left = list(locations)

    async def script(_: Seen, reply: Reply) -> None:
        if left:
            await reply.whole(b"", status, location=left.pop(0), set_cookie="a=b")
        else:
            await reply.whole(PNG)

    return script


async def test_a_public_picture_comes_over_tls_from_the_address_that_was_vetted() -> None:
    async with internet(delivering(PNG, content_type="text/html")) as net:
        found = await net.fetch(f"{URL}?sig=a%2Fb")
        assert (found.data, found.mime, found.final_url) == (PNG, "image/png", f"{URL}?sig=a%2Fb")
        assert net.dialled == [(PUBLIC, 443)]
        assert net.names.asked == ["pictures.example"]
        assert net.server.names == ["pictures.example"]
        (seen,) = net.server.seen
        assert (seen.method, seen.path) == ("GET", "/a/cat.png?sig=a%2Fb")
        assert seen.headers == {
            "host": "pictures.example",
            "accept": "image/*",
            "accept-encoding": "identity",
            "user-agent": "Turnout",
            "connection": "close",
        }


# What stands in the address itself. Those that the parser refuses are in test_fetch_addresses.py.
BLOCKED = [
    *("http://169.254.169.254/latest/meta-data/", "https://169.254.169.254/", "http://metadata.google.internal/"),
    *(
        "https://metadata.google.internal/",
        "http://[fd00:ec2::254]/",
        "https://[fd00:ec2::254]/",
        "https://100.100.100.200/",
    ),
    *(
        "http://localhost/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0/",
        "https://0.0.0.0/",
    ),
    *("https://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/"),
    *(
        "https://１２７.0.0.1/",
        "https://localhost./",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
    ),
    *("https://198.18.0.1/", "https://192.0.0.1/", "https://[fc00::1]/", "https://[fe80::1%25eth0]/"),
    *("https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://224.0.0.1/", "https://240.0.0.1/"),
    *("file:///etc/passwd", "gopher://pictures.example/", "ftp://pictures.example/", "data:image/png;base64,AA=="),
    *("jar:https://pictures.example!/", "//pictures.example/x", "http:\\\\pictures.example", "http://a@b/"),
    *("https://a:b@pictures.example/", "http://host#@evil/", "https://pictures.example#@127.0.0.1/"),
    *("https://pictures.exa\tmple/", "https://pictures.example/\nx", "https://pictures.example:22/"),
    *("https://pictures.example:6379/", "http://pictures.example/", "https://pictures。example/"),
]


@pytest.mark.parametrize("url", BLOCKED)
async def test_nothing_connects_for_an_address_that_is_not_public_https(url: str) -> None:
    async with internet() as net:
        assert (await net.refused(url)).blocked
        assert (net.dialled, net.names.asked, net.canary.connections) == ([], [], 0)


@pytest.mark.parametrize("path", ["/", "/x.png"])
async def test_a_listener_on_loopback_sees_nobody(path: str) -> None:
    async with internet(resolver=None) as net:  # the system's own resolver
        for host in ("localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]"):
            for scheme in ("http", "https"):
                assert (await net.refused(f"{scheme}://{host}:{net.canary.port}{path}")).blocked
        assert (net.dialled, net.canary.connections) == ([], 0)


@pytest.mark.parametrize(
    "addresses",
    [
        *(["127.0.0.1"], ["::1"], ["169.254.169.254"], ["10.0.0.1"], ["100.64.0.1"], ["0.0.0.0"], ["224.0.0.1"]),
        *(["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["2002:7f00:1::"], ["fe80::1%eth0"], ["fc00::1"]),
        *([PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "::1"], []),
    ],
    ids=str,
)
async def test_a_name_is_refused_as_a_whole_when_any_of_its_addresses_is_not_public(addresses: list[str]) -> None:
    async with internet(names=Names(pictures_example=[addresses])) as net:
        error = await net.refused()
        assert (error.blocked, error.message) == (True, "'pictures.example' has no public address")
        assert (net.dialled, net.canary.connections) == ([], 0)


async def test_a_name_that_does_not_resolve_reads_like_a_private_one() -> None:
    async with internet() as net:
        error = await net.refused("https://nowhere.example/")
        assert (error.blocked, error.message) == (False, "'nowhere.example' has no public address")


async def test_a_name_that_is_rebound_after_the_check_leads_nowhere_new() -> None:
    async with internet(names=Names(pictures_example=[[PUBLIC], ["127.0.0.1"]])) as net:
        assert (await net.fetch()).data == PNG
        assert net.names.asked == ["pictures.example"]
        assert net.dialled == [(PUBLIC, 443)]
        assert (await net.refused()).blocked  # asked anew: no connection, no answer is kept
        assert (net.dialled, net.canary.connections) == ([(PUBLIC, 443)], 0)


async def test_of_several_public_addresses_one_that_answers_is_enough() -> None:
    async with internet(names=Names(pictures_example=[[PUBLIC, "8.8.8.8"]])) as net:
        assert (await net.fetch()).mime == "image/png"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        *(
            "https://169.254.169.254/",
            "https://127.0.0.1/",
            "http://127.0.0.1/",
            "http://pictures.example/",
            "https://[::1]/",
        ),
        *(
            "file:///etc/passwd",
            "gopher://x/",
            "https://inside.example/",
            "//127.0.0.1/",
            "https://a@pictures.example/",
        ),
    ],
)
async def test_a_redirect_to_an_address_that_is_not_public_is_not_followed(location: str, status: int) -> None:
    names = Names(pictures_example=[[PUBLIC]], inside_example=[["127.0.0.1"]])
    async with internet(redirecting(location, status=status), names) as net:
        assert (await net.refused()).blocked
        assert (net.dialled, net.canary.connections) == ([(PUBLIC, 443)], 0)


async def test_a_chain_of_redirects_is_vetted_to_its_end() -> None:
    async with internet(redirecting("/b", "https://other.example/c", "https://127.0.0.1/d")) as net:
        assert (await net.refused()).blocked
        assert [seen.path for seen in net.server.seen] == ["/a/cat.png", "/b", "/c"]
        assert net.canary.connections == 0


async def test_three_redirects_are_followed_without_cookies_and_a_fourth_is_not() -> None:
    async with internet(redirecting("b.png", "https://other.example/c", "/d")) as net:
        found = await net.fetch()
        assert (found.data, found.final_url) == (PNG, "https://other.example/d")
        assert [seen.path for seen in net.server.seen] == ["/a/cat.png", "/a/b.png", "/c", "/d"]
        assert not any({"cookie", "referer", "authorization"} & seen.headers.keys() for seen in net.server.seen)
        assert net.dialled == [(PUBLIC, 443)] * 2 + [("8.8.8.8", 443)] * 2
    async with internet(redirecting("/1", "/2", "/3", "/4")) as net:
        assert (await net.refused()).message == "'pictures.example' redirects too often"


async def endless(_: Seen, reply: Reply) -> None:
    await reply.open_stream("image/png")
    await reply.chunk(PNG)
    while True:
        await reply.chunk(bytes(65536))


async def announced(_: Seen, reply: Reply) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 10000000000\r\n\r\n" + PNG)
    await until_gone(reply)


async def dripping(_: Seen, reply: Reply) -> None:
    await reply.open_stream("image/png")
    for byte in PNG * 100:
        await reply.chunk(bytes([byte]))
        await asyncio.sleep(0.01)


async def silent(_: Seen, reply: Reply) -> None:
    await until_gone(reply)


async def truncated(_: Seen, reply: Reply) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + PNG)
    reply.reset()


async def not_http(_: Seen, reply: Reply) -> None:
    await reply.raw(b"+PONG\r\n" * 5)
    reply.reset()


BOMB = zlib.compress(bytes(20_000_000), wbits=31)
FAILURES = [
    ("endless body", endless, "exceeds 100000 bytes"),
    ("large announcement", announced, "exceeds 100000 bytes"),
    ("one byte too many", delivering(PNG + bytes(100_001 - len(PNG))), "exceeds 100000 bytes"),
    ("slow body", dripping, "did not deliver within 0.3 s"),
    ("no answer", silent, "did not deliver within 0.3 s"),
    ("gzip bomb", delivering(BOMB, content_encoding="gzip"), "compressed its answer unasked"),
    ("gzip bomb unannounced", delivering(BOMB), "not of an accepted type"),
    ("HTML", delivering(b"<!doctype html><script>alert(1)</script>"), "not of an accepted type"),
    (
        "SVG",
        delivering(b'<svg xmlns="http://www.w3.org/2000/svg"/>', content_type="image/svg+xml"),
        "not of an accepted",
    ),
    ("PDF where a picture is wanted", delivering(b"%PDF-1.7\n" + bytes(99)), "not of an accepted type (image/)"),
    ("nothing", delivering(b""), "not of an accepted type"),
    ("login", delivering(PNG, 401, www_authenticate='Basic realm="x"'), "answered with status 401"),
    ("missing", delivering(PNG, 404), "answered with status 404"),
    ("a part", delivering(PNG, 206), "answered with status 206"),
    ("redirect to nowhere", delivering(b"", 302), "redirects too often"),
    ("broken off", truncated, "broke off"),
    ("another protocol", not_http, "did not answer"),
]


@pytest.mark.parametrize(("script", "message"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
async def test_what_a_host_delivers_is_bounded_and_known_by_its_bytes(script: Any, message: str) -> None:
    timeout_s = 0.3 if "within" in message else 30.0  # a busy machine is no slow host
    async with internet(script, max_bytes=100_000, timeout_s=timeout_s) as net:
        error = await net.refused(f"{URL}?token=s3cret")
        assert message in error.message
        assert error.message.count("'pictures.example'") == 1
        assert not any(part in str(error) for part in ("s3cret", "token", "cat", "https:"))
        assert all("authorization" not in seen.headers for seen in net.server.seen)
        assert net.server.seen[1:] == [] or "redirects" in message


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    async with internet(max_bytes=len(PNG)) as net:
        assert len((await net.fetch()).data) == len(PNG)


async def test_a_host_that_cannot_prove_its_name_is_not_read() -> None:
    async with internet(names=Names(evil_example=[[PUBLIC]])) as net:
        assert "TLS with 'evil.example' failed" in (await net.refused("https://evil.example/")).message
        assert net.server.seen == []


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with internet() as net:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, net.canary.url)
        await net.fetch()
        assert net.dialled == [(PUBLIC, 443)]


async def test_a_fetch_that_is_cancelled_drops_its_connection() -> None:
    async with internet(silent) as net:
        task = asyncio.create_task(net.fetch())
        while not net.server.seen:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await net.server.seen[0].gone.wait()


async def test_an_origin_that_the_operator_named_may_be_private_and_plain() -> None:
    async with serving(delivering(PNG)) as mine, internet(trusted_origins=[mine.url]) as net:
        assert (await net.fetch(f"{mine.url}/cat.png")).data == PNG
        for other in (
            f"http://localhost:{mine.port}/",
            f"https://127.0.0.1:{mine.port}/",
            f"http://127.0.0.1:{mine.port + 1}/",
            net.canary.url + "/",
        ):
            assert (await net.refused(other)).blocked
        assert (len(mine.seen), net.canary.connections) == (1, 0)


async def test_an_origin_trusted_for_one_call_is_not_trusted_for_the_next() -> None:
    async with internet() as net:
        origin = f"http://127.0.0.1:{net.canary.port}"
        assert (await net.fetch(f"{origin}/x", trusted=(origin,))).data == PNG
        assert (await net.refused(f"{origin}/x")).blocked
        assert net.canary.connections == 1


async def test_a_trusted_origin_cannot_send_the_router_to_another_private_one() -> None:
    async with internet() as net, serving(redirecting(f"{net.canary.url}/x")) as mine:
        origin = f"http://127.0.0.1:{mine.port}"
        assert (await net.refused(f"{origin}/", trusted=(origin,))).blocked
        assert (len(mine.seen), net.canary.connections) == (1, 0)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "localhost"])
def test_no_socket_is_made_for_an_address_that_is_not_public_whoever_asks(address: str) -> None:
    with pytest.raises(OSError):
        _public_socket((2, 1, 6, "", (address, 443)))


async def test_a_callers_address_is_the_callers_fault() -> None:
    async with internet(delivering(b"", 404)) as net:
        for url in (URL, "https://127.0.0.1/"):
            with pytest.raises(BadRequestError) as caught:
                await fetch_for_caller(net.fetcher, url, param="messages[0].content[1]", accept=IMAGES)
            assert (caught.value.param, caught.value.code) == ("messages[0].content[1]", "invalid_image_url")


@pytest.mark.parametrize(
    ("url", "hosts", "outcome"),
    [
        ("https://169.254.169.254/x.png", (), "ssrf_block"),
        ("http://pictures.example/x.png", (), "ssrf_block"),
        ("file:///etc/passwd", (), "ssrf_block"),
        (URL, ("cdn.example",), "ssrf_block"),
        ("https://evil-pictures.example/", ("pictures.example",), "ssrf_block"),
        ("https://nowhere.example/x.png", (), "bad_image"),
        ("", (), "ssrf_block"),
    ],
)
async def test_a_result_that_must_not_be_fetched_was_billed_all_the_same(
    url: str, hosts: tuple[str, ...], outcome: str
) -> None:
    async with internet() as net:
        with pytest.raises(BadResponseError) as caught:
            await fetch_result(net.fetcher, url, base_url="https://api.example/v1", hosts=hosts)
        assert (caught.value.outcome, caught.value.billed) == (outcome, True)
        assert "example" not in caught.value.message
        assert (net.dialled, net.canary.connections) == ([], 0)


async def test_a_result_lies_at_the_upstreams_own_origin_or_at_a_public_host() -> None:
    async with internet() as net:
        own = f"http://127.0.0.1:{net.canary.port}"
        for url, hosts in (
            (f"{own}/out.png", ()),
            (f"{own}/out.png", ("cdn.example",)),
            (URL, ()),
            (URL, ("*.pictures.example",)),
        ):
            assert await fetch_result(net.fetcher, url, base_url=f"{own}/v1", hosts=hosts) == PNG


async def test_a_fetcher_that_was_not_opened_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await Fetcher().fetch(URL, accept=IMAGES)


def test_an_origin_that_is_none_is_refused_when_the_fetcher_is_made() -> None:
    with pytest.raises(FetchError):
        Fetcher(trusted_origins=["127.0.0.1:9000"])


def test_the_client_side_of_these_tests_trusts_one_authority_only() -> None:
    assert len(client_tls().get_ca_certs()) == 1
    assert client_tls().verify_mode == ssl.CERT_REQUIRED
