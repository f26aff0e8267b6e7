"""What known clients send for pictures, byte for byte through the router: each gets what it reads."""

import base64
from collections.abc import Sequence

import httpx
import pytest
from client_image_vectors import EDITS, GENERATIONS, PNG, VECTORS, Part, Vector, file, texts
from harness import Turnout

from providers.pictures import sniff_mime
from providers.sandbox.forms import form_fields

BOUNDARY = "----turnoutboundary7MA4YWxkTrZu0gW"


def form(parts: Sequence[Part]) -> bytes:
    """The parts as they stand on the wire."""
    written = b""
    for part in parts:
        named = f'; filename="{part.filename}"' if part.filename else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{part.name}"{named}\r\n'
        if part.kind:
            head += f"Content-Type: {part.kind}\r\n"
        written += head.encode() + b"\r\n" + part.data + b"\r\n"
    return written + f"--{BOUNDARY}--\r\n".encode()


def post(router: Turnout, vector: Vector) -> httpx.Response:
    if vector.body is not None:
        return router.http.post(vector.path, json=vector.body, headers=vector.headers)
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **vector.headers}
    return router.http.post(vector.path, content=form(vector.parts), headers=headers)


def upstream_fields(router: Turnout) -> dict[str, object]:
    """The fields of the one request that went out, JSON or form."""
    (entry,), (body,) = router.requests(), router.bodies()
    kind = entry["headers"].get("content-type", "")
    fields: dict[str, object] = form_fields(body, kind) if "multipart" in kind else entry["body"]
    return fields


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: each.client)
def test_the_client_gets_what_it_reads(vector: Vector, router: Turnout) -> None:
    answer = post(router, vector)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert len(body["data"]) == vector.count
    for item in body["data"]:
        assert item.keys() & {"url", "b64_json"} == {vector.reads}
        assert None not in item.values()
        data = base64.b64decode(item["b64_json"], validate=True) if vector.reads == "b64_json" else linked(item["url"])
        assert sniff_mime(data) == vector.mime
    warnings = answer.headers.get("x-router-warnings", "").split("; ")
    missing = [told for told in vector.told if not any(warning.startswith(told) for warning in warnings)]
    assert not missing, warnings
    if vector.sent or vector.kept_back:
        fields = upstream_fields(router)
        assert {name: fields.get(name) for name in vector.sent} == vector.sent
        assert not fields.keys() & set(vector.kept_back)


def linked(url: str) -> bytes:
    """What lies there, asked for with the caller's key as Open WebUI does."""
    assert url.startswith("http://127.0.0.1:")
    answer = httpx.get(url, headers={"authorization": "Bearer sk-webui"}, trust_env=False)
    assert answer.headers["content-type"].startswith("image/")
    return answer.content


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_stream_is_asked_for_in_the_body_whatever_is_accepted(accept: str, router: Turnout) -> None:
    asked = {"model": "gpt-image-2", "prompt": "a cat", "stream": True}
    answer = router.http.post(GENERATIONS, json=asked, headers={"accept": accept})
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_seventeen_pictures_are_one_too_many(router: Turnout) -> None:
    parts = [*texts(model="gpt-image-2", prompt="a hat"), *[file("image[]")] * 17]
    answer = post(router, Vector(client="", path=EDITS, parts=parts))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")
    assert not router.requests()


def test_the_pictures_of_a_form_reach_the_upstream_in_their_order(router: Turnout) -> None:
    vector = next(each for each in VECTORS if each.client == "openai-node, files before texts")
    assert post(router, vector).status_code == 200
    sent = upstream_fields(router)["image"]
    assert [one.data for one in sent] == [part.data for part in vector.parts if part.filename]  # type: ignore[attr-defined]
    assert PNG in [one.data for one in sent]  # type: ignore[attr-defined]
