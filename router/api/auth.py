"""Bearer keys of this router's clients, compared in constant time."""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterable

from starlette.types import Scope

from router.api.body import headers_of, repeats
from router.errors import ForbiddenError, UnauthorizedError
from router.settings.values import ClientKey

_MAX_TOKEN_BYTES = 4096
_ANYONE = ClientKey(name="anonymous", secret="")


class MissingKeyError(UnauthorizedError):
    code = "missing_api_key"


class Authenticator:
    """Knows the configured keys by a keyed digest, so that looking one up tells nothing about the others.

    Without any key, callers on this machine are let in and all others refused.
    """

    def __init__(self, keys: Iterable[ClientKey]) -> None:
        self._salt = secrets.token_bytes(32)
        self._keys = {self._digest(secret := key.secret.encode()): (secret, key) for key in keys}

    def identify(self, scope: Scope) -> ClientKey:
        """Whose request this is. Raises UnauthorizedError (401) or ForbiddenError (403)."""
        if not self._keys:
            if _is_local(scope):
                return _ANYONE
            raise ForbiddenError("no client key is configured, so only callers on this machine are served")
        headers = headers_of(scope)
        given = headers.get(b"authorization")
        if given is None:
            raise MissingKeyError("You didn't provide an API key: send 'Authorization: Bearer <key>'.")
        if len(headers) < len(scope["headers"]) and repeats(scope, b"authorization"):
            raise UnauthorizedError("more than one Authorization header")
        scheme, _, token = given.partition(b" ")
        if scheme.lower() != b"bearer" or not token or len(token) > _MAX_TOKEN_BYTES:
            raise UnauthorizedError("Incorrect API key provided.")
        found = self._keys.get(self._digest(token))
        if found is None or not hmac.compare_digest(found[0], token):
            raise UnauthorizedError("Incorrect API key provided.")
        return found[1]

    def _digest(self, secret: bytes) -> bytes:
        return hashlib.blake2b(secret, key=self._salt, digest_size=32).digest()


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    if client is None:  # a unix socket
        return True
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False
