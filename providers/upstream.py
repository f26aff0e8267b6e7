"""The only upstream HTTP code: send, stream, time out, and turn every client error into a ProviderError."""

import io
import math
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType

import aiohttp
from msgspec import Struct
from yarl import URL

from providers.errors import (
    REFUSED,
    BadResponseError,
    ProviderError,
    StreamInterruptedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.timer import Limit

_JSON = "application/json"

ErrorFrom = Callable[[int, Mapping[str, str], bytes], ProviderError]

_MAX_BODY_BYTES = 128 * 1024 * 1024
_MAX_ERROR_BYTES = 256 * 1024
_WRITE_WHOLE_BYTES = 1024 * 1024  # a larger body is written in pieces, so that it does not hold up the event loop


def dated(read: Callable[[int, Mapping[str, str], bytes, datetime], ProviderError]) -> ErrorFrom:
    """A reader of errors that is told the time: a `retry-after` may be a date."""
    return lambda status, headers, body: read(status, headers, body, datetime.now(UTC))


class UpstreamResponse(Struct, frozen=True):
    """A whole upstream answer with a 2xx status. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Upstream:
    """One provider's HTTP client: a session of its own, fixed headers, timeouts and byte caps.

    `idle_timeout_s` bounds every gap between bytes, the wait for the first one included; the caller's deadline bounds
    the whole. Environment proxies and redirects are off. Raises only ProviderError (and lets cancellation through).
    """

    def __init__(
        self,
        *,
        provider: str,
        base_url: str,
        headers: Mapping[str, str],
        connect_timeout_s: float = 3.0,
        idle_timeout_s: float = 300.0,
        max_body_bytes: int = _MAX_BODY_BYTES,
    ) -> None:
        self.provider = provider
        self.base_url = base_url.rstrip("/")
        # identity: a compressed body could grow without bound, and decompressing costs more than loopback saves.
        self._headers = {"accept-encoding": "identity", **headers}
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
        # counts from the end of the upload on, but arms a timer anew whenever bytes come: for large bodies only
        self._upload_timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_timeout_s, sock_read=idle_timeout_s
        )
        self._idle_timeout_s = idle_timeout_s
        self._max_body_bytes = max_body_bytes
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the session; called once, inside the event loop that will use it."""
        # limit=0: a queue inside the pool would turn our own load into upstream timeouts.
        connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, keepalive_timeout=30)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept"),
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def post(
        self,
        path: str,
        body: bytes | aiohttp.FormData,
        error_from: ErrorFrom,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Awaitable[UpstreamResponse]:
        """POST and read the whole answer. `path` is joined to the base URL, or absolute."""
        return self._whole("POST", path, body, error_from, headers)

    def get(
        self, path: str, error_from: ErrorFrom, *, headers: Mapping[str, str] | None = None
    ) -> Awaitable[UpstreamResponse]:
        return self._whole("GET", path, None, error_from, headers)

    async def put(self, path: str, body: bytes, error_from: ErrorFrom) -> UpstreamResponse:
        return await self._whole("PUT", path, body, error_from, None)

    async def stream(
        self,
        path: str,
        body: bytes | aiohttp.FormData,
        error_from: ErrorFrom,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> "ByteStream":
        """POST and return once the status is known to be good. The caller closes the stream."""
        response = await self._send("POST", path, body, headers)
        if response.status >= 300:
            raise await self._error(response, error_from)
        return ByteStream(response, self.provider, self._max_body_bytes, self._idle_timeout_s)

    async def _whole(
        self,
        method: str,
        path: str,
        body: bytes | aiohttp.FormData | None,
        error_from: ErrorFrom,
        headers: Mapping[str, str] | None,
    ) -> UpstreamResponse:
        response = await self._send(method, path, body, headers)
        if response.status >= 300:
            raise await self._error(response, error_from)
        try:
            content = await _read_capped(response, self._max_body_bytes, self._idle_timeout_s)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            response.close()
            raise _transport_error(exc, self.provider) from exc
        except ProviderError as exc:
            response.close()
            exc.provider = self.provider
            raise
        except BaseException:
            response.close()
            raise
        return UpstreamResponse(response.status, response.headers, content)

    async def _send(
        self,
        method: str,
        path: str,
        body: bytes | aiohttp.FormData | None,
        headers: Mapping[str, str] | None,
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError(f"the upstream client of {self.provider} is not open")
        data: aiohttp.BytesPayload | io.BytesIO | aiohttp.FormData | None
        limit_s, timeout = self._idle_timeout_s, self._timeout
        if isinstance(body, bytes):
            if len(body) > _WRITE_WHOLE_BYTES:
                data, limit_s, timeout = io.BytesIO(body), math.inf, self._upload_timeout
                headers = {"content-type": _JSON, **(headers or {})}
            else:  # told its type here, the client need not guess one, nor merge headers for it
                data = aiohttp.BytesPayload(body, content_type=_JSON)
        else:
            data = body
            if body is not None:
                limit_s, timeout = math.inf, self._upload_timeout
        url = _url(self.base_url, path)
        try:
            with Limit(limit_s):
                return await self._session.request(
                    method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise _transport_error(exc, self.provider) from exc

    async def _error(self, response: aiohttp.ClientResponse, error_from: ErrorFrom) -> ProviderError:
        try:
            body = await _read_capped(response, _MAX_ERROR_BYTES, self._idle_timeout_s)
        except (aiohttp.ClientError, TimeoutError, OSError, ProviderError):
            body = b""  # the status alone decides
        finally:
            response.release()
        if 300 <= response.status < 400:
            return UnavailableError(
                "the upstream answered with a redirect",
                provider=self.provider,
                status=response.status,
                outcome="protocol",
            )
        error = error_from(response.status, response.headers, body)
        error.provider = self.provider
        return error


class ByteStream:
    """The body of an open answer, in the slices the network brings. Iterate once; `aclose()` any time.

    An object with state, not a generator: one that is dropped half-way leaves no generator for the loop to finalise.
    """

    def __init__(self, response: aiohttp.ClientResponse, provider: str, max_bytes: int, idle_timeout_s: float) -> None:
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._provider = provider
        self._left = max_bytes
        self._idle_timeout_s = idle_timeout_s

    def __aiter__(self) -> "ByteStream":
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data

    async def read(self) -> bytes:
        """The next slice; b"" at the end. Raises StreamInterruptedError when it breaks off, stalls or is too long."""
        try:
            data = await _read(self._response.content, self._idle_timeout_s)
        except TimeoutError as exc:
            raise self._interrupted("the upstream stopped sending", "stream_stall") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise self._interrupted("the upstream's connection broke off", "stream_reset") from exc
        self._left -= len(data)
        if self._left < 0:
            raise self._interrupted("the upstream's stream exceeds the byte limit", "limit")
        return data

    def _interrupted(self, message: str, outcome: str) -> StreamInterruptedError:
        self._response.close()
        return StreamInterruptedError(message, provider=self._provider, outcome=outcome)

    async def aclose(self) -> None:
        """Drop the connection: an answer given up half-way must stop costing tokens."""
        self._response.close()

    async def __aenter__(self) -> "ByteStream":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


@lru_cache(maxsize=1024)
def _url(base_url: str, path: str) -> URL:
    return URL(path if path.startswith(("http://", "https://")) else base_url + path, encoded=True)


async def _read(content: aiohttp.StreamReader, idle_s: float) -> bytes:
    """What has come; b"" at the end. Raises TimeoutError when nothing comes for `idle_s`."""
    data = content.read_nowait()
    if data or content.is_eof():
        return data
    with Limit(idle_s):
        return await content.readany()


async def _read_capped(response: aiohttp.ClientResponse, limit: int, idle_s: float) -> bytes:
    content = response.content
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        data = content.read_nowait() or await _read(content, idle_s)
        size += len(data)
        if size > limit:
            raise BadResponseError("the upstream's answer exceeds the byte limit", outcome="too_large")
        parts.append(data)
        more = bool(data) and (not content.at_eof() or content.exception() is not None)  # the next read raises it
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _transport_error(exc: BaseException, provider: str) -> ProviderError:
    """A client library's exception as ours. Its text is not used: it may hold the URL."""
    match exc:
        case aiohttp.ClientConnectorDNSError():
            message, outcome = "the upstream's name does not resolve", "dns"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            message, outcome = "TLS with the upstream failed", "tls"
        case aiohttp.ConnectionTimeoutError():
            return UpstreamTimeoutError(
                "no connection to the upstream in time", provider=provider, outcome="connect_timeout"
            )
        case aiohttp.ClientConnectorError():
            message, outcome = "the upstream refused the connection", REFUSED
        case TimeoutError():
            return UpstreamTimeoutError(
                "no answer from the upstream in time", provider=provider, outcome="ttfb_timeout"
            )
        case aiohttp.ServerDisconnectedError():
            message, outcome = "the upstream closed the connection without an answer", "empty_reply"
        case aiohttp.ClientPayloadError():
            return BadResponseError("the upstream's answer broke off", provider=provider, outcome="truncated")
        case aiohttp.ClientOSError() | OSError():
            message, outcome = "the connection to the upstream was reset", "reset"
        case aiohttp.InvalidURL():
            return BadResponseError("the upstream's address is not usable", provider=provider, outcome="config")
        case _:
            message, outcome = "the upstream did not speak HTTP", "protocol"
    return UnavailableError(message, provider=provider, outcome=outcome)
