"""Media by URL through the whole router: fetched for Gemini, passed on to others, and nothing for addresses inside.

A loopback shelf stands for the host of the pictures; the configuration trusts its origin and no other. A second one,
which nothing may reach, is the canary.
"""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from harness import Turnout
from pictures import picture

from providers.sandbox.config import FaultRule

PNG = picture()
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(32)
PDF = b"%PDF-1.7\n" + bytes(64)
CONFIG = """
providers:
  google: {{type: gemini, api_key: k, base_url: "{{sandbox}}/p/google/gemini/v1beta"}}
  other: {{type: openai, api_key: k, base_url: "{{sandbox}}/p/other/openai/v1"}}
  jobs: {{type: eachlabs, api_key: k, base_url: "{{sandbox}}/p/jobs/eachlabs/v1"}}
models:
  seen: {{targets: [google/gemini-3.8-flash]}}
  passed: {{targets: [other/gemini-3.8-flash]}}
  twice: {{targets: [google/gemini-3.8-flash, google/gemini-3.5-flash-lite, other/gemini-3.8-flash], sort: order}}
  turned: {{targets: [other/gemini-3.8-flash, google/gemini-3.8-flash], sort: order}}
  drawn: {{targets: [google/gemini-3.1-flash-image]}}
  jobbed: {{targets: [jobs/flux-1-1-pro]}}
fetch: {fetch}
"""


@dataclass
class Shelf:
    """A plain HTTP server; `paths` are those asked for. `/slow...` answers after two seconds, unknown ones with 404."""

    url: str
    files: dict[str, bytes]
    paths: list[str] = field(default_factory=list)


@contextmanager
def shelf() -> Iterator[Shelf]:
    files = {"/cat.png": PNG, "/dog.png": picture(4, 4, "JPEG"), "/a.wav": WAV, "/a.pdf": PDF, "/a.html": b"<html>"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.paths.append(self.path)
            if self.path.startswith("/slow"):
                time.sleep(2)
            body = files.get(self.path.partition("?")[0])
            self.send_response(404 if body is None else 200)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Shelf(f"http://127.0.0.1:{server.server_address[1]}", files)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join(5)


@pytest.fixture(scope="module")
def pictures() -> Iterator[Shelf]:
    with shelf() as found:
        yield found


@pytest.fixture(scope="module")
def canary() -> Iterator[Shelf]:
    with shelf() as found:
        yield found


@pytest.fixture(scope="module")
def running(pictures: Shelf) -> Iterator[Turnout]:
    fetch = f'{{allow_origins: ["{pictures.url}"], max_mib: 0.1, timeout_ms: 1500}}'
    with Turnout(CONFIG.format(fetch=fetch)) as turnout:
        yield turnout


@pytest.fixture
def router(running: Turnout, pictures: Shelf) -> Turnout:
    running.clear()
    pictures.paths.clear()
    return running


def ask(model: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, *parts]}], **more}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def received(turnout: Turnout) -> list[dict[str, Any]]:
    """The parts of the last conversation that Gemini got, without the texts."""
    body = turnout.requests(label="google")[-1]["body"]
    return [part for content in body["contents"] for part in content["parts"] if "text" not in part]


def inline(mime: str, data: bytes) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}


@pytest.mark.parametrize("stream", [False, True])
def test_a_picture_by_url_arrives_inline_at_gemini_with_the_type_of_its_bytes(
    router: Turnout, pictures: Shelf, stream: bool
) -> None:
    answer = router.http.post("/v1/chat/completions", json=ask("seen", image(f"{pictures.url}/cat.png"), stream=stream))
    assert answer.status_code == 200
    assert answer.headers["x-router-attempts"] == "1"
    assert received(router) == [inline("image/png", PNG)]
    assert pictures.paths == ["/cat.png"]


def test_every_form_in_which_clients_name_media_by_url_is_fetched_each_address_once(
    router: Turnout, pictures: Shelf
) -> None:
    cat, dog, sound, paper = (f"{pictures.url}/{name}" for name in ("cat.png", "dog.png", "a.wav", "a.pdf"))
    parts = [
        image(cat),
        {"type": "image_url", "image_url": dog},
        {"type": "input_image", "image_url": f" {cat} "},
        {"type": "video_url", "video_url": {"url": sound}},
        {"type": "file", "file": {"file_data": paper, "filename": "x.txt"}},
        {"type": "file", "file": {"file_id": paper}},
    ]
    assert router.http.post("/v1/chat/completions", json=ask("seen", *parts)).status_code == 200
    kinds = [part["inlineData"]["mimeType"] for part in received(router)]
    assert kinds == ["image/png", "image/jpeg", "image/png", "audio/wav", "application/pdf", "application/pdf"]
    assert sorted(pictures.paths) == ["/a.pdf", "/a.wav", "/cat.png", "/dog.png"]


def test_what_google_reads_itself_is_neither_fetched_nor_changed(router: Turnout) -> None:
    uris = [
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "gs://bucket/o.pdf",
        "https://www.youtube.com/watch?v=x",
    ]
    assert router.http.post("/v1/chat/completions", json=ask("seen", *map(image, uris))).status_code == 200
    assert [part["fileData"]["fileUri"] for part in received(router)] == uris


@pytest.mark.parametrize("model", ["seen", "twice"])
@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "https://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "https://localhost/"),
        *("https://2130706433/", "https://[::1]/", "https://10.0.0.1/x.png", "https://user:pass@example.com/x.png"),
        *("https://example.com:22/", "https://[x/", "CANARY/cat.png", "https://metadata.google.internal/"),
    ],
)
def test_an_address_inside_is_refused_by_name_and_nobody_is_asked(
    router: Turnout, canary: Shelf, url: str, model: str
) -> None:
    url = url.replace("CANARY", canary.url)
    answer = router.http.post("/v1/chat/completions", json=ask(model, image(url)))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"], error["type"]) == (
        400,
        "messages[0].content[1]",
        "invalid_image_url",
        "invalid_request_error",
    )
    assert answer.headers["x-router-attempts"] == "0"
    assert router.requests() == []
    assert canary.paths == []


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/missing.png?token=s3cret", "answered with status 404"),
        ("/a.html", "is not of an accepted type"),
        ("/slow.png", "did not deliver within 1.5 s"),
        ("/large.png", "exceeds 104857 bytes"),
    ],
)
def test_a_url_that_gives_no_medium_is_the_callers_fault_and_says_why(
    router: Turnout, pictures: Shelf, path: str, message: str
) -> None:
    pictures.files["/large.png"] = PNG + bytes(200_000)
    answer = router.http.post("/v1/chat/completions", json=ask("seen", image(pictures.url + path)))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "messages[0].content[1]", "invalid_image_url")
    assert message in error["message"]
    assert "s3cret" not in answer.text
    assert path[1:5] not in error["message"]
    assert router.requests() == []


def test_more_addresses_than_a_request_may_name_are_refused_before_any_is_fetched(
    router: Turnout, pictures: Shelf
) -> None:
    parts = [image(f"{pictures.url}/cat.png?{number}") for number in range(33)]
    answer = router.http.post("/v1/chat/completions", json=ask("seen", *parts))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages[0].content[33]")
    assert pictures.paths == []


def test_an_openai_compatible_upstream_gets_the_url_as_it_is(router: Turnout, pictures: Shelf) -> None:
    for url in (f"{pictures.url}/cat.png", "https://127.0.0.1/x.png"):
        assert router.http.post("/v1/chat/completions", json=ask("passed", image(url))).status_code == 200
        assert router.requests(label="other")[-1]["body"]["messages"][0]["content"][1] == image(url)
    assert pictures.paths == []


def test_failover_does_not_fetch_again(router: Turnout, pictures: Shelf) -> None:
    router.faults(FaultRule(fault="status-503", label="google", model="gemini-3.8-flash"))
    body = ask("twice", image(f"{pictures.url}/cat.png"))
    answer = router.http.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.headers["x-router-attempts"]) == (200, "2")
    assert received(router) == [inline("image/png", PNG)]
    assert pictures.paths == ["/cat.png"]


def test_failover_from_an_upstream_that_needs_no_bytes_fetches_then(router: Turnout, pictures: Shelf) -> None:
    router.faults(FaultRule(fault="status-503", label="other"))
    answer = router.http.post("/v1/chat/completions", json=ask("turned", image(f"{pictures.url}/cat.png")))
    assert (answer.status_code, answer.headers["x-router-attempts"]) == (200, "2")
    assert received(router) == [inline("image/png", PNG)]


def test_a_slow_picture_uses_up_the_callers_own_deadline_and_is_no_upstreams_failure(
    router: Turnout, pictures: Shelf
) -> None:
    body = ask("seen", image(f"{pictures.url}/slow.png"), router={"deadline_ms": 200})
    answer = router.http.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.headers["x-router-attempts"]) == (504, "0")
    assert float(answer.headers["x-router-overhead-ms"]) < 150
    assert router.requests() == []


def test_switched_off_nothing_is_fetched_and_the_next_provider_may_take_the_url(pictures: Shelf) -> None:
    pictures.paths.clear()
    url = f"{pictures.url}/cat.png"
    with Turnout(CONFIG.format(fetch=f'{{enabled: false, allow_origins: ["{pictures.url}"]}}')) as turnout:
        answer = turnout.http.post("/v1/chat/completions", json=ask("seen", image(url)))
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (
            400,
            "messages[0].content[1]",
            "invalid_image_url",
        )
        edit = {"model": "drawn", "prompt": "x", "images": [{"image_url": url}]}
        answer = turnout.http.post("/v1/images/edits", json=edit)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_image_url")
        assert turnout.requests() == []
        assert turnout.http.post("/v1/chat/completions", json=ask("twice", image(url))).status_code == 200
        assert turnout.requests()[-1]["label"] == "other"
    assert pictures.paths == []


@pytest.mark.parametrize("form", ["string", "object", "nested", "single"])
def test_pictures_of_an_edit_may_be_urls(router: Turnout, pictures: Shelf, form: str) -> None:
    url = f"{pictures.url}/cat.png"
    given: dict[str, Any] = {
        "string": {"images": [url]},
        "object": {"images": [{"image_url": url}]},
        "nested": {"images": [{"image_url": {"url": url}}]},
        "single": {"image": url},
    }[form]
    answer = router.http.post("/v1/images/edits", json={"model": "drawn", "prompt": "x", **given})
    assert answer.status_code == 200, answer.text
    assert received(router) == [inline("image/png", PNG)]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"images": ["PICTURES/cat.png", "http://127.0.0.1/x.png"]}, "image[1]"),
        ({"image": "https://169.254.169.254/x.png"}, "image[0]"),
        ({"image": "PICTURES/cat.png", "mask": "CANARY/cat.png"}, "mask"),
        ({"image": "PICTURES/missing.png"}, "image[0]"),
        ({"image": "PICTURES/a.pdf"}, "image[0]"),
    ],
)
def test_an_edit_names_the_picture_that_cannot_be_had(
    router: Turnout, pictures: Shelf, canary: Shelf, fields: dict[str, Any], param: str
) -> None:
    def placed(value: Any) -> Any:
        if isinstance(value, list):
            return [placed(item) for item in value]
        return value.replace("PICTURES", pictures.url).replace("CANARY", canary.url)

    body = {"model": "drawn", "prompt": "x", **{name: placed(value) for name, value in fields.items()}}
    answer = router.http.post("/v1/images/edits", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, "invalid_image_url")
    assert (router.requests(), canary.paths) == ([], [])


def test_a_mask_by_url_is_held_against_the_picture(router: Turnout, pictures: Shelf) -> None:
    body = {"model": "drawn", "prompt": "x", "image": f"{pictures.url}/cat.png", "mask": f"{pictures.url}/dog.png"}
    answer = router.http.post("/v1/images/edits", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "mask")
    assert "size" in answer.json()["error"]["message"]


def test_a_result_that_points_inside_is_not_fetched(router: Turnout) -> None:
    router.faults(FaultRule(fault="job-internal-url", label="jobs"))
    answer = router.http.post("/v1/images/generations", json={"model": "jobbed", "prompt": "x"})
    assert answer.status_code == 502
    assert answer.headers["x-should-retry"] == "false"
    metrics = router.http.get("/metrics").text
    assert 'outcome="ssrf_block"' in metrics


def test_a_result_at_the_upstreams_own_origin_is_fetched_without_the_key(router: Turnout) -> None:
    answer = router.http.post("/v1/images/generations", json={"model": "jobbed", "prompt": "x"})
    assert answer.status_code == 200
    (entry,) = router.requests(operation="file")
    assert not {"x-api-key", "authorization"} & {name.lower() for name in dict(entry["headers"])}
