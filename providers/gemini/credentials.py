"""Google Cloud's access tokens: fetched by google-auth in a thread, kept until five minutes before they end.

google-auth is an optional dependency (`pip install 'turnout[vertex]'`) and imported when the first token is needed:
it costs 0.1 s and most installations never need one.
Source: https://google-auth.readthedocs.io/en/latest/user-guide.html (read 2026-11-20).
"""

import asyncio
import importlib
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from msgspec import Struct

from providers.errors import AuthenticationError, UnavailableError

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_EARLY_S = 300.0  # a token must outlive the request it goes out with
_USUAL_LIFE_S = 3600.0


class Token(Struct, frozen=True):
    """An access token, when it ends (seconds since 1970), and the project that pays where the credentials name one."""

    value: str
    ends_s: float
    quota_project: str | None = None

    def __repr__(self) -> str:
        return f"Token(ends_s={self.ends_s})"


class TokenSource(Protocol):
    """Gives the headers that prove who asks. Raises AuthenticationError or UnavailableError."""

    async def headers(self) -> Mapping[str, str]: ...

    def forget(self) -> None:
        """The upstream has refused the last ones."""
        ...


class KeptToken:
    """A token source that asks `fetch` (in a thread) only when it must. `clock` gives seconds since 1970.

    While a token is still good one caller renews it and the others go on with it; without one all wait for the same
    renewal. A renewal that fails harms nobody as long as the old token lasts.
    """

    def __init__(self, fetch: Callable[[], Token], clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._clock = clock
        self._renewal = asyncio.Lock()
        self._token: Token | None = None
        self._headers: Mapping[str, str] = {}

    async def headers(self) -> Mapping[str, str]:
        left_s = self._left_s()
        if left_s <= _EARLY_S and not (left_s > 0 and self._renewal.locked()):
            async with self._renewal:
                if self._left_s() <= _EARLY_S:
                    await self._renew()
        return self._headers

    def forget(self) -> None:
        self._token = None

    async def _renew(self) -> None:
        try:
            token = await asyncio.to_thread(self._fetch)
        except (AuthenticationError, UnavailableError):
            if self._left_s() <= 0:
                raise
            return
        self._token = token
        self._headers = {"authorization": f"Bearer {token.value}"}
        if token.quota_project:
            self._headers = {**self._headers, "x-goog-user-project": token.quota_project}

    def _left_s(self) -> float:
        return 0.0 if self._token is None else self._token.ends_s - self._clock()


def google_tokens(credentials_file: str | None) -> KeptToken:
    """Tokens of a service account, or of Application Default Credentials. Reads nothing before the first is needed."""
    return KeptToken(_GoogleAuth(credentials_file).fetch)


class _GoogleAuth:
    """google-auth's credentials, loaded once. Called from threads, one at a time: its objects are not made for more."""

    def __init__(self, credentials_file: str | None) -> None:
        self._file = credentials_file
        self._lock = threading.Lock()
        self._credentials: Any = None

    def fetch(self) -> Token:
        """A new token. Raises AuthenticationError or UnavailableError; their text names no account."""
        with self._lock:
            try:
                errors = importlib.import_module("google.auth.exceptions")
            except ImportError as exc:
                message = "google-auth is not installed: pip install 'turnout[vertex]'"
                raise AuthenticationError(message, outcome="config") from exc
            try:
                return self._fetched()
            except errors.TransportError as exc:
                raise UnavailableError("Google's token service is not available", outcome="auth") from exc
            except (errors.GoogleAuthError, OSError, ValueError) as exc:
                raise AuthenticationError("the router has no usable Google credentials") from exc

    def _fetched(self) -> Token:
        requests = importlib.import_module("requests")
        transport = importlib.import_module("google.auth.transport.requests")
        if self._credentials is None:
            self._credentials = self._loaded()
        credentials = self._credentials
        with requests.Session() as session:
            credentials.refresh(transport.Request(session=session))
        expiry: datetime | None = credentials.expiry  # UTC, but naive
        ends_s = expiry.replace(tzinfo=UTC).timestamp() if expiry else time.time() + _USUAL_LIFE_S
        return Token(str(credentials.token), ends_s, getattr(credentials, "quota_project_id", None))

    def _loaded(self) -> Any:
        if self._file is not None:
            accounts = importlib.import_module("google.oauth2.service_account")
            return accounts.Credentials.from_service_account_file(self._file, scopes=[_SCOPE])
        credentials, _ = importlib.import_module("google.auth").default(scopes=[_SCOPE])
        return credentials
