"""Whose request it is."""

from typing import Any

import pytest

from router.api.auth import Authenticator, MissingKeyError
from router.errors import ForbiddenError, UnauthorizedError
from router.settings.values import ClientKey

ONE = ClientKey(name="one", secret="sk-one-0123456789")
TWO = ClientKey(name="two", secret="sk-two-0123456789", tags=("batch",))
KEYS = Authenticator([ONE, TWO])
OPEN = Authenticator([])


def scope(*authorization: bytes, client: Any = ("203.0.113.9", 1), **more: Any) -> dict[str, Any]:
    headers = [(b"authorization", value) for value in authorization]
    return {"type": "http", "path": "/v1/models", "headers": headers, "client": client, **more}


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER"])
@pytest.mark.parametrize("key", [ONE, TWO], ids=lambda key: key.name)
def test_a_key_is_recognised(scheme: bytes, key: ClientKey) -> None:
    assert KEYS.identify(scope(scheme + b" " + key.secret.encode())) is key


def test_no_key_is_a_401_of_its_own() -> None:
    with pytest.raises(MissingKeyError) as caught:
        KEYS.identify(scope())
    assert (caught.value.status, caught.value.code) == (401, "missing_api_key")


SECRET = ONE.secret.encode()
WRONG = [
    b"", b"Bearer", b"Bearer ", b"bearer x", b"Basic " + SECRET, SECRET, b"Bearer" + SECRET, b"Bearer  " + SECRET,
    b"Bearer " + SECRET + b" ", b"Bearer " + SECRET + b"\x00", b"Bearer " + SECRET + b"x", b"Bearer " + SECRET[:-1],
    b"Bearer " + bytes([*SECRET[:-1], SECRET[-1] ^ 1]), b"Bearer " + SECRET.upper(), b"Bearer " + b"x" * 100_000,
    b"Bearer \xff\xfe", b"Bearer ' OR pg_sleep(8)--", b"Token " + SECRET, b"Bearer\t" + SECRET,
]  # fmt: skip


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value[:24]))
def test_anything_else_is_a_401_that_echoes_nothing(value: bytes) -> None:
    with pytest.raises(UnauthorizedError) as caught:
        KEYS.identify(scope(value))
    assert caught.value.status == 401
    assert caught.value.message == "Incorrect API key provided."


def test_two_authorization_headers_are_refused_even_if_both_are_right() -> None:
    with pytest.raises(UnauthorizedError):
        KEYS.identify(scope(b"Bearer " + SECRET, b"Bearer " + SECRET))


def test_a_key_elsewhere_does_not_count() -> None:
    elsewhere = scope(query_string=b"key=" + SECRET)
    elsewhere["headers"] = [(b"x-api-key", SECRET), (b"cookie", b"key=" + SECRET)]
    with pytest.raises(MissingKeyError):
        KEYS.identify(elsewhere)


@pytest.mark.parametrize("client", [("127.0.0.1", 5), ("127.9.9.9", 5), ("::1", 5), None])
def test_without_any_key_this_machine_is_let_in(client: Any) -> None:
    assert OPEN.identify(scope(client=client)).name == "anonymous"


@pytest.mark.parametrize("client", [("203.0.113.9", 5), ("10.0.0.1", 5), ("0.0.0.0", 5), ("localhost", 5), ("", 0)])
def test_without_any_key_everyone_else_is_refused(client: Any) -> None:
    with pytest.raises(ForbiddenError):
        OPEN.identify(scope(b"Bearer anything", client=client))


def test_with_keys_this_machine_needs_one_too() -> None:
    with pytest.raises(MissingKeyError):
        KEYS.identify(scope(client=("127.0.0.1", 5)))


def test_a_key_beyond_ascii_is_compared_by_its_bytes() -> None:
    keys = Authenticator([ClientKey(name="odd", secret="clé")])
    assert keys.identify(scope("Bearer clé".encode())).name == "odd"
    with pytest.raises(UnauthorizedError):
        keys.identify(scope("Bearer clé".encode("latin-1")))
