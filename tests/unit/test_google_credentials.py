"""Google Cloud's tokens: when one is fetched, who waits, and (with google-auth) the exchange on a loopback socket."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from builders import Clock

from providers.errors import AuthenticationError, ProviderError, UnavailableError
from providers.gemini.credentials import KeptToken, Token, google_tokens

NO_LIBRARY = "google-auth is not installed (the extra `vertex`)"


class Source:
    """Tokens that live an hour on the test's clock; `errors` are raised first, `gate` holds a fetch up."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.fetched = 0
        self.errors: list[ProviderError] = []
        self.gate: threading.Event | None = None

    def __call__(self) -> Token:
        if self.gate is not None:
            assert self.gate.wait(5)
        if self.errors:
            raise self.errors.pop(0)
        self.fetched += 1
        return Token(f"t{self.fetched}", self.clock.now + 3600, "payer" if self.fetched == 1 else None)


async def test_a_token_is_fetched_once_and_kept_until_five_minutes_before_its_end() -> None:
    clock = Clock()
    source = Source(clock)
    kept = KeptToken(source, clock)
    assert await kept.headers() == {"authorization": "Bearer t1", "x-goog-user-project": "payer"}
    clock.now += 3299
    assert (await kept.headers())["authorization"] == "Bearer t1"
    clock.now += 1
    assert await kept.headers() == {"authorization": "Bearer t2"}


async def test_without_a_token_all_wait_for_the_same_one() -> None:
    clock = Clock()
    source = Source(clock)
    kept = KeptToken(source, clock)
    found = await asyncio.gather(*[kept.headers() for _ in range(20)])
    assert {each["authorization"] for each in found} == {"Bearer t1"}
    assert source.fetched == 1


async def test_while_one_renews_early_the_others_go_on_with_the_old_one() -> None:
    clock = Clock()
    source = Source(clock)
    kept = KeptToken(source, clock)
    await kept.headers()
    clock.now += 3400
    source.gate = threading.Event()
    renewing = asyncio.create_task(kept.headers())
    await asyncio.sleep(0.01)
    assert (await asyncio.wait_for(kept.headers(), 1))["authorization"] == "Bearer t1"
    source.gate.set()
    assert (await renewing)["authorization"] == "Bearer t2"


async def test_a_renewal_that_fails_harms_nobody_until_the_old_token_has_ended() -> None:
    clock = Clock()
    source = Source(clock)
    kept = KeptToken(source, clock)
    await kept.headers()
    clock.now += 3400
    source.errors = [UnavailableError("away"), UnavailableError("away")]
    assert (await kept.headers())["authorization"] == "Bearer t1"
    clock.now += 200
    with pytest.raises(UnavailableError):
        await kept.headers()
    assert (await kept.headers())["authorization"] == "Bearer t2"


async def test_a_refused_token_is_not_used_again() -> None:
    clock = Clock()
    kept = KeptToken(Source(clock), clock)
    await kept.headers()
    kept.forget()
    assert (await kept.headers())["authorization"] == "Bearer t2"


def test_a_token_does_not_show_itself() -> None:
    assert "secret" not in repr(Token("secret", 1.0))


# ---- with google-auth


class TokenEndpoint:
    """Google's token service: takes a signed assertion, gives `answers` in order."""

    def __init__(self) -> None:
        self.received: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                endpoint.received.append({name: values[0] for name, values in body.items()})
                status, answer = endpoint.answers.pop(0)
                payload = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    pytest.importorskip("google.auth", reason=NO_LIBRARY)
    found = TokenEndpoint()
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join(5)


@pytest.fixture(scope="module")
def private_key() -> Any:
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa", reason=NO_LIBRARY)
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def account(folder: Path, private_key: Any, token_uri: str) -> str:
    """A service account's file, with a key of the test's own."""
    from cryptography.hazmat.primitives import serialization

    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "account.json"
    content = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k1",
        "private_key": pem.decode(),
        "client_email": "router@p.iam.gserviceaccount.com",
        "token_uri": token_uri,
    }
    path.write_text(json.dumps(content))
    return str(path)


def granted(token: str) -> tuple[int, dict[str, Any]]:
    return 200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}


async def test_a_service_account_signs_an_assertion_and_gets_a_token(
    endpoint: TokenEndpoint, private_key: Any, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    endpoint.answers = [granted("ya29.first"), granted("ya29.second")]
    tokens = google_tokens(account(tmp_path, private_key, endpoint.url))
    found = await asyncio.gather(*[tokens.headers() for _ in range(5)])
    assert {each["authorization"] for each in found} == {"Bearer ya29.first"}
    (request,) = endpoint.received
    assert request["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    signed, _, signature = request["assertion"].rpartition(".")
    private_key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    claims = json.loads(_decoded(signed.split(".")[1]))
    request_issuer = "router@p.iam.gserviceaccount.com"
    assert (claims["iss"], claims["aud"]) == (request_issuer, "https://oauth2.googleapis.com/token")
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    tokens.forget()
    assert (await tokens.headers())["authorization"] == "Bearer ya29.second"


async def test_a_refused_account_is_our_credentials_and_names_nothing(
    endpoint: TokenEndpoint, private_key: Any, tmp_path: Path
) -> None:
    endpoint.answers = [(400, {"error": "invalid_grant", "error_description": "router@p is disabled"})]
    with pytest.raises(AuthenticationError) as caught:
        await google_tokens(account(tmp_path, private_key, endpoint.url)).headers()
    assert "router@p" not in caught.value.message


async def test_a_token_service_that_is_away_is_no_reason_to_doubt_the_account(
    endpoint: TokenEndpoint, private_key: Any, tmp_path: Path
) -> None:
    endpoint.server.server_close()
    with pytest.raises(UnavailableError):
        await google_tokens(account(tmp_path, private_key, endpoint.url)).headers()


@pytest.mark.parametrize("content", ["{}", "no json", '{"type": "service_account", "private_key": "x"}'])
async def test_an_unusable_file_is_our_credentials(content: str, tmp_path: Path) -> None:
    pytest.importorskip("google.auth", reason=NO_LIBRARY)
    path = tmp_path / "account.json"
    path.write_text(content)
    for file in (path, tmp_path / "missing.json"):
        with pytest.raises(AuthenticationError):
            await google_tokens(str(file)).headers()


async def test_without_the_library_the_error_says_what_to_install() -> None:
    try:
        import google.auth  # noqa: F401
    except ImportError:
        with pytest.raises(AuthenticationError, match="turnout\\[vertex\\]"):
            await google_tokens(None).headers()
    else:
        pytest.skip("google-auth is installed")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
