"""The HTTP edge over a real socket: what is refused and how, what every answer carries, and who may ask."""

import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from harness import Turnout, chat

JSON = {"content-type": "application/json"}
TEXT, GZIP = {"content-type": "text/plain"}, {"content-encoding": "gzip"}
CHAT, MEDIA_TYPE = "/v1/chat/completions", "unsupported_media_type"
NO_IMAGE = {"image": b"GIF no"}
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
ONE = "\nproviders:\n  p: {type: gemini, api_key: k}\nmodels:\n  m: {targets: [p/gemini-3.8-flash]}\n"


def raw(router: Turnout, request: bytes) -> bytes:
    """Exactly these bytes, and everything that comes back until the server closes or falls silent."""
    host, port = router.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.settimeout(2)
        connection.sendall(request)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except TimeoutError:
            pass
        return received


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/v1/nothing", {}, 404, "unknown_url"),
        ("POST", "/v1/responses", {"json": {}}, 400, "missing_required_parameter"),
        ("GET", "/v1/responses/resp_1", {}, 404, "not_found"),
        ("POST", "/openai/deployments/x/chat/completions", {"json": {}}, 404, "unknown_url"),
        ("PUT", CHAT, {"json": {}}, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", {}, 405, "method_not_allowed"),
        ("POST", CHAT, {"content": b"", "headers": JSON}, 400, "invalid_json"),
        ("POST", CHAT, {"content": b"{", "headers": JSON}, 400, "invalid_json"),
        ("POST", CHAT, {"content": b"[1]", "headers": JSON}, 400, "invalid_json"),
        ("POST", CHAT, {"content": b'{"a": NaN}', "headers": JSON}, 400, "invalid_json"),
        ("POST", CHAT, {"content": b'{"a": "\xff"}', "headers": JSON}, 400, "invalid_json"),
        ("POST", CHAT, {"content": b"[" * 100_000, "headers": JSON}, 400, "invalid_json"),
        ("POST", CHAT, {"content": b"{}", "headers": TEXT}, 415, MEDIA_TYPE),
        ("POST", CHAT, {"content": b"{}", "headers": JSON | GZIP}, 415, MEDIA_TYPE),
        ("POST", CHAT, {"json": {"model": "auto"}}, 400, "missing_required_parameter"),
        ("POST", CHAT, {"json": chat("hi", "no-such-model")}, 404, "model_not_found"),
        ("POST", CHAT, {"json": chat("hi", temperature=3)}, 400, "invalid_value"),
        ("POST", CHAT, {"json": chat("hi", api_base="http://127.0.0.1:1")}, 400, "unsupported_parameter"),
        ("POST", CHAT, {"json": chat("hi", router={"sort": "best"})}, 400, "invalid_value"),
        ("POST", CHAT, {"json": chat("hi", router={"srot": "cost"})}, 400, "unknown_parameter"),
        ("POST", "/v1/images/generations", {"json": {"model": "image"}}, 400, "missing_required_parameter"),
        ("POST", "/v1/images/generations", {"json": {"prompt": "x", "size": "0x0"}}, 400, "invalid_value"),
        ("POST", "/v1/images/generations", {"json": {"prompt": "x", "n": 100}}, 400, "invalid_value"),
        ("POST", "/v1/images/edits", {"data": {"prompt": "x"}, "files": NO_IMAGE}, 400, "invalid_image_file"),
        ("GET", "/v1/models/no-such-model", {}, 404, "model_not_found"),
        ("GET", "/v1/images/files/../../etc/passwd", {}, 404, None),
        ("GET", "/v1/images/files/00000000000000000000000000000000.png?exp=9&sig=0", {}, 404, "not_found"),
    ],
)  # fmt: skip
def test_every_refusal_is_an_openai_error_body(
    router: Turnout, method: str, path: str, options: dict[str, Any], status: int, code: str | None
) -> None:
    answer = router.http.request(method, path, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    error = answer.json()["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert error["type"] == "invalid_request_error"
    if code:
        assert error["code"] == code
    assert router.requests() == [], "nothing goes upstream for a request that is refused"


def test_a_refusal_names_the_field(router: Turnout) -> None:
    body = chat("hi") | {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": 5}]}
    error = router.http.post("/v1/chat/completions", json=body).json()["error"]
    assert error["param"] == "messages[1].content"


@pytest.mark.parametrize("prefix", ["/v1", "", "/openai/v1"])
def test_paths_answer_with_and_without_their_prefix(router: Turnout, prefix: str) -> None:
    assert router.http.post(f"{prefix}/chat/completions", json=chat("say: yes")).status_code == 200
    assert router.http.get(f"{prefix}/models").json()["object"] == "list"
    assert router.http.head(f"{prefix}/models").status_code == 200


def test_every_answer_says_how_it_came_about(router: Turnout) -> None:
    answer = router.http.post("/v1/chat/completions", json=chat("hi"), headers={"x-request-id": "mine-1"})
    headers = answer.headers
    assert headers["x-request-id"] == "mine-1"
    assert headers["x-router-sandbox"] == "true"
    assert headers["x-router-attempts"] == "1"
    assert headers["x-router-provider"] == "google"
    assert headers["x-router-model"] == answer.json()["model"]
    assert float(headers["x-router-cost-usd"]) == answer.json()["usage"]["cost"] > 0
    assert 0 < float(headers["x-router-overhead-ms"]) < 1000
    assert "gemini-flash" in headers["x-router-reason"]


@pytest.mark.parametrize("bad", ["a" * 200, "x y", "ünï"])
def test_a_request_id_that_could_do_harm_is_replaced(router: Turnout, bad: str) -> None:
    answer = router.http.get("/healthz", headers=[(b"x-request-id", bad.encode("latin-1"))])
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(("model", "survive"), [("xroute/gemini-3.8-flash", True), ("google/gemini-3.8-flash", False)])
def test_unknown_fields_reach_openai_compatible_upstreams_and_never_gemini(
    router: Turnout, model: str, survive: bool
) -> None:
    fields = {"top_k": 40, "made_up": {"deep": [1, 2]}}
    router.http.post("/v1/chat/completions", json=chat("hi", model, router={"sort": "cost"}, **fields))
    sent = router.requests()[0]["body"]
    assert {key: sent.get(key) for key in fields} == (fields if survive else dict.fromkeys(fields))
    assert "router" not in sent


def test_messages_reach_an_openai_compatible_upstream_byte_for_byte(router: Turnout) -> None:
    messages = '[ {"role":"user",  "content":"caf\\u00e9 \\ud83d\\ude00 1.0e3"} ]'
    body = f'{{"model": "xroute/gemini-3.8-flash", "messages": {messages}}}'
    answer = router.http.post("/v1/chat/completions", content=body, headers=JSON)
    assert answer.status_code == 200
    (sent,) = router.requests()
    assert sent["body"]["messages"] == json.loads(messages)


def test_a_body_that_announces_too_much_is_refused_before_it_is_read(turnout: Callable[..., Turnout]) -> None:
    router = turnout("server: {json_limit_mib: 1}" + ONE)
    answer = raw(router, HEAD + b"content-length: 99999999\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"code":"request_too_large"' in answer
    body = json.dumps(chat("x" * 2_000_000, "m")).encode()
    chunked = raw(router, HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    assert chunked.startswith(b"HTTP/1.1 413")


def test_a_body_that_never_arrives_is_a_408(turnout: Callable[..., Turnout]) -> None:
    router = turnout("server: {body_timeout_ms: 300}" + ONE)
    answer = raw(
        router,
        HEAD + b"content-length: 50\r\n\r\n{",
    )
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nhost: a\r\n" + b"x-h: 1\r\n" * 200 + b"\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-h: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"POST /v1/route HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}", 400),
    ],
)
def test_requests_that_parsers_disagree_about_are_refused(router: Turnout, request_bytes: bytes, status: int) -> None:
    assert raw(router, request_bytes).startswith(b"HTTP/1.1 %d" % status)


def test_with_keys_configured_only_they_are_let_in(turnout: Callable[..., Turnout]) -> None:
    router = turnout(keys={"app": "s3cret-key"})

    def ask(value: str | None) -> httpx.Response:
        headers = {} if value is None else {"authorization": value}
        return router.http.post("/v1/chat/completions", json=chat("hi"), headers=headers)

    assert ask("Bearer s3cret-key").status_code == 200
    assert ask("bearer s3cret-key").status_code == 200
    router.clear()
    for value in (None, "Bearer", "Bearer s3cret-ke", "Bearer s3cret-keyy", "Basic s3cret-key", "s3cret-key"):
        answer = ask(value)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "s3cret" not in answer.text
    assert router.requests() == []
    for path in ("/v1/models", "/v1/requests/x"):
        assert router.http.get(path).status_code == 401
    assert router.http.post("/v1/route", json=chat("hi")).status_code == 401
    for path in ("/healthz", "/readyz", "/metrics"):
        assert router.http.get(path).status_code == 200


def test_one_key_does_not_see_the_requests_of_another(turnout: Callable[..., Turnout]) -> None:
    router = turnout(keys={"a": "key-a", "b": "key-b"})
    mine, theirs = {"authorization": "Bearer key-a"}, {"authorization": "Bearer key-b"}
    request_id = router.http.post("/v1/chat/completions", json=chat("hi"), headers=mine).headers["x-request-id"]
    assert router.http.get(f"/v1/requests/{request_id}", headers=mine).status_code == 200
    assert router.http.get(f"/v1/requests/{request_id}", headers=theirs).status_code == 404


def test_cors_is_off_unless_configured_and_then_reflects_what_sdks_ask(
    turnout: Callable[..., Turnout], router: Turnout
) -> None:
    asked = {
        "origin": "https://app.example.com",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-new-header",
    }
    assert "access-control-allow-origin" not in router.http.options("/v1/chat/completions", headers=asked).headers
    open_ = turnout('server: {cors_origins: ["https://app.example.com"]}' + ONE, keys={"app": "k"})
    preflight = open_.http.options("/v1/chat/completions", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "x-stainless-new-header" in preflight.headers["access-control-allow-headers"]
    refused = open_.http.post("/v1/chat/completions", json=chat("hi", "m"), headers={"origin": asked["origin"]})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, asked["origin"])
    assert "x-request-id" in refused.headers["access-control-expose-headers"]
    other = open_.http.options("/v1/chat/completions", headers=asked | {"origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in other.headers


def test_no_secret_of_ours_leaves_in_errors_headers_metrics_or_logs(
    turnout: Callable[..., Turnout], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    config = (
        'providers:\n  p: {type: gemini, api_key: "canary-upstream-key", base_url: "{sandbox}/p/p/gemini/v1beta"}\n'
        "models:\n  m: {targets: [p/gemini-3.8-flash]}\n"
    )
    router = turnout(config, keys={"app": "canary-client-key"})
    seen = ""
    for fault in ("status-500", "bad-key", "html-200", "reset", "429-per-day"):
        body = chat(f"canary-prompt sandbox-fault: {fault}", "m")
        answer = router.http.post(
            "/v1/chat/completions", json=body, headers={"authorization": "Bearer canary-client-key"}
        )
        seen += answer.text + str(answer.headers)
    seen += router.http.get("/metrics").text + caplog.text + repr(router.settings)
    assert "canary" not in seen
    assert router.sandbox_url not in seen.replace(repr(router.settings), "")
