"""The only code that opens a URL somebody else wrote: a caller's picture, or the result an upstream points at.

Such an address can aim the router at its own network. So: https on port 443, every name resolved once and every one of
its addresses public, the connection pinned to those, redirects vetted like the first address, no credentials, no
cookies, no environment proxies, bounded bytes and seconds, and the content known by its first bytes alone. Exceptions
are origins that an operator named.
"""

import asyncio
import socket
import ssl
from collections.abc import Collection, Iterable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from providers.addresses import (
    Address,
    follow,
    host_matches,
    is_public,
    no_public_address,
    origin_of,
    parse_address,
    require_public,
)
from providers.errors import BadRequestError, BadResponseError, FetchError
from providers.pictures import SNIFF_BYTES, sniff_media
from providers.types import Fetched

MIB = 1024 * 1024
_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_S = 5.0
# Strangers name these hosts: a queue here keeps the router from being aimed at somebody as a crowd.
_CONNECTIONS, _PER_HOST = 128, 16
_RESULT_BYTES = 128 * MIB
_RESULT_S = 60.0  # a paid picture is worth a longer wait than a stranger's address


class Fetcher:
    """Fetches addresses that somebody else wrote; `open()` and `aclose()` as for an `Upstream`.

    `trusted_origins` (`http://127.0.0.1:9000`) may be plain http and private, on any port: whoever may ask this router
    may make it GET there. `timeout_s` bounds one address, name resolution and redirects included; `max_bytes` its body.
    `resolver` and `tls` replace the system's own name resolution and certificates.
    """

    def __init__(
        self,
        *,
        trusted_origins: Iterable[str] = (),
        timeout_s: float = 10.0,
        max_bytes: int = 20 * MIB,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.max_bytes = max_bytes
        self._trusted_origins = frozenset(origin_of(origin) for origin in trusted_origins)
        self._resolver = resolver
        self._tls: ssl.SSLContext | bool = tls or True
        self._public: aiohttp.ClientSession | None = None
        self._trusted: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the sessions; called once, inside the event loop that will use them."""
        resolver = _PublicResolver(self._resolver or aiohttp.ThreadedResolver())
        self._public = _session(self._connector(resolver=resolver, socket_factory=_public_socket))
        self._trusted = _session(self._connector())

    async def aclose(self) -> None:
        for session in (self._public, self._trusted):
            if session is not None:
                await session.close()
        self._public = self._trusted = None

    async def fetch(
        self,
        url: str,
        *,
        accept: Collection[str],
        max_bytes: int | None = None,
        timeout_s: float | None = None,
        trusted: Collection[str] = (),
    ) -> Fetched:
        """What lies at `url`, if its first bytes show a type that begins with one of `accept` (`image/`).

        `trusted` are further origins, in the form of `origin_of`, that only this call may reach. Raises FetchError and
        nothing else: `blocked` when the address must not be fetched, else when it gave nothing acceptable.
        """
        address = parse_address(url)
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._follow(address, accept, self.max_bytes if max_bytes is None else max_bytes, trusted)
        except TimeoutError as exc:
            raise FetchError(f"'{address.host}' did not deliver within {limit_s:g} s") from exc

    async def _follow(
        self, address: Address, accept: Collection[str], max_bytes: int, trusted: Collection[str]
    ) -> Fetched:
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._get(address, accept, trusted)
            try:
                if response.status not in _REDIRECTS:
                    return await _read(response, address, accept, max_bytes)
                address = follow(address, response.headers.get("location", ""))
            except (aiohttp.ClientError, OSError) as exc:
                raise _failure(exc, address.host) from exc
            finally:
                response.close()
        raise FetchError(f"'{address.host}' redirects too often")

    async def _get(self, address: Address, accept: Collection[str], trusted: Collection[str]) -> aiohttp.ClientResponse:
        session = self._session_for(address, trusted)
        kinds = ", ".join(f"{kind}*" if kind.endswith("/") else kind for kind in sorted(accept))
        try:
            return await session.get(URL(address.url, encoded=True), allow_redirects=False, headers={"accept": kinds})
        except (aiohttp.ClientError, OSError) as exc:
            raise _failure(exc, address.host) from exc

    def _session_for(self, address: Address, trusted: Collection[str]) -> aiohttp.ClientSession:
        if self._public is None or self._trusted is None:
            raise RuntimeError("the fetcher is not open")
        if address.origin in self._trusted_origins or address.origin in trusted:
            return self._trusted
        require_public(address)
        return self._public

    def _connector(self, **options: object) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            limit=_CONNECTIONS,
            limit_per_host=_PER_HOST,
            use_dns_cache=False,
            force_close=True,  # nothing of one caller's fetch stays for the next, and every fetch is vetted anew
            ssl=self._tls,
            **options,  # type: ignore[arg-type]  # of this class alone
        )


class _PublicResolver(AbstractResolver):
    """Resolves a name once and lets its addresses through when all of them are public; the connection uses only these.

    What decides is the resolved address: `getaddrinfo` takes 2130706433, 0x7f.1 and full-width digits for 127.0.0.1.
    """

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not found or not all(is_public(each["host"]) for each in found):
            raise _NotPublicError
        return found

    async def close(self) -> None:
        await self._inner.close()


class _NotPublicError(OSError):
    """A name leads, perhaps among others, to an address that is not public."""


def _public_socket(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    """The last line: whatever was decided before, no socket is made for an address that is not public."""
    family, kind, proto, _, where = info
    if not is_public(str(where[0])):
        raise _NotPublicError
    return socket.socket(family, kind, proto)


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,  # a compressed body could grow without bound
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        headers={"accept-encoding": "identity", "user-agent": "Turnout"},  # some hosts refuse a request without one
    )


async def _read(response: aiohttp.ClientResponse, address: Address, accept: Collection[str], max_bytes: int) -> Fetched:
    """The body, given up as soon as it is too long or of the wrong kind."""
    host = address.host
    if response.status != 200:
        raise FetchError(f"'{host}' answered with status {response.status}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError(f"'{host}' compressed its answer unasked")
    if (response.content_length or 0) > max_bytes:
        raise _too_long(host, max_bytes)
    data = bytearray()
    mime: str | None = None
    while part := await response.content.readany():
        data += part
        if len(data) > max_bytes:
            raise _too_long(host, max_bytes)
        if mime is None and len(data) >= SNIFF_BYTES:
            mime = _kind(data, accept, host)
    return Fetched(data=bytes(data), mime=mime or _kind(data, accept, host), final_url=address.url)


def _kind(data: bytearray, accept: Collection[str], host: str) -> str:
    mime = sniff_media(bytes(data[:SNIFF_BYTES]))
    if mime is None or not mime.startswith(tuple(accept)):
        raise FetchError(f"what '{host}' delivered is not of an accepted type ({', '.join(sorted(accept))})")
    return mime


def _too_long(host: str, max_bytes: int) -> FetchError:
    return FetchError(f"what '{host}' delivers exceeds {max_bytes} bytes")


def _failure(exc: BaseException, host: str) -> FetchError:
    """A client library's exception as ours. Its text is not used: it may hold the URL."""
    match exc:
        case aiohttp.ClientConnectorDNSError():
            return no_public_address(host, blocked=isinstance(exc.__cause__, _NotPublicError))
        case aiohttp.ConnectionTimeoutError():
            return FetchError(f"'{host}' did not accept a connection in time")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return FetchError(f"TLS with '{host}' failed")
        case aiohttp.ClientConnectorError():
            return FetchError(f"'{host}' refused the connection")
        case aiohttp.ClientPayloadError():
            return FetchError(f"the answer of '{host}' broke off")
    return FetchError(f"'{host}' did not answer")


async def fetch_for_caller(
    fetcher: Fetcher, url: str, *, param: str, accept: Collection[str], max_bytes: int | None = None
) -> Fetched:
    """What lies at an address that a caller wrote at `param`. Raises BadRequestError (`invalid_image_url`)."""
    try:
        return await fetcher.fetch(url, accept=accept, max_bytes=max_bytes)
    except FetchError as exc:
        raise BadRequestError(exc.message, param=param, code="invalid_image_url") from exc


async def fetch_result(fetcher: Fetcher, url: str, *, base_url: str, hosts: Collection[str] = ()) -> bytes:
    """The finished picture that an upstream at `base_url` points to. No key of ours goes along.

    It may lie at the upstream's own origin, wherever that is, or at a public host; with `hosts`, at those only.
    Raises BadResponseError: `ssrf_block` for an address that must not be fetched, else `bad_image`. It was billed.
    """
    try:
        own, address = origin_of(base_url), parse_address(url)
        if hosts and address.origin != own and not host_matches(address.host, hosts):
            raise FetchError("the upstream's picture lies on a host that is not configured", blocked=True)
        found = await fetcher.fetch(
            url, accept=("image/",), max_bytes=_RESULT_BYTES, timeout_s=_RESULT_S, trusted=(own,)
        )
    except FetchError as exc:
        outcome = "ssrf_block" if exc.blocked else "bad_image"
        message = "the upstream's picture could not be fetched"
        raise BadResponseError(message, outcome=outcome, billed=True) from exc
    return found.data
