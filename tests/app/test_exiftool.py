"""The mark on pictures that the router has written, read back out of its answers by exiftool."""

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clients import prepare
from harness import Turnout
from pictures import picture

from providers.sandbox.config import SandboxConfig

# Seedream makes JPEG, Gemini PNG: what is asked for is in each case another
CASES = [
    ("seedream/seedream-4-0-250828", "png"),
    ("google/gemini-3.1-flash-image", "jpeg"),
    ("google/gemini-3.1-flash-image", "webp"),
]
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED, EDITED = TERM + "trainedAlgorithmicMedia", TERM + "compositeWithTrainedAlgorithmicMedia"
CONFIG = """
providers:
  google:   {type: gemini,   api_key: k, base_url: "{sandbox}/p/google/gemini/v1beta"}
  seedream: {type: seedream, api_key: k, base_url: "{sandbox}/p/seedream/seedream/api/v3"}
"""
Read = Callable[[bytes], dict[str, str]]


@pytest.fixture(scope="module")
def router() -> Iterator[Turnout]:
    with Turnout(CONFIG, sandbox=SandboxConfig(job_s=0.0)) as turnout:
        yield turnout


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """What exiftool says of a picture: its type, the mark, and anything it finds wrong."""
    command, reason = prepare.exiftool()
    if command is None:
        pytest.skip(reason)
    fields = ("-MIMEType", "-XMP-iptcExt:DigitalSourceType", "-validate", "-warning", "-error")

    def read(data: bytes) -> dict[str, str]:
        file = tmp_path / "picture"
        file.write_bytes(data)
        line = [*command, "-n", "-json", *fields, str(file)]
        done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=30)
        (told,) = json.loads(done.stdout)
        return {name: value for name, value in told.items() if name != "SourceFile"}

    return read


def told(kind: str, mark: str) -> dict[str, str]:
    return {"MIMEType": f"image/{kind}", "DigitalSourceType": mark, "Validate": "0 0 0"}


@pytest.mark.parametrize(("model", "kind"), CASES)
def test_a_generated_picture_says_so_in_base64_and_behind_its_link(
    model: str, kind: str, router: Turnout, read: Read
) -> None:
    asked = {"model": model, "prompt": "a barn", "output_format": kind}
    (item,) = router.http.post("/v1/images/generations", json=asked).json()["data"]
    assert read(base64.b64decode(item["b64_json"])) == told(kind, GENERATED)
    (item,) = router.http.post("/v1/images/generations", json={**asked, "response_format": "url"}).json()["data"]
    assert read(router.http.get(item["url"]).content) == told(kind, GENERATED)


@pytest.mark.parametrize(("model", "kind"), CASES)
def test_an_edited_picture_says_that_it_was_one(model: str, kind: str, router: Turnout, read: Read) -> None:
    fields = {"model": model, "prompt": "at dusk", "output_format": kind}
    answer = router.http.post("/v1/images/edits", data=fields, files={"image": ("a.png", picture(64, 64), "image/png")})
    (item,) = answer.json()["data"]
    assert read(base64.b64decode(item["b64_json"])) == told(kind, EDITED)
