"""Signing with the operator's key, from the configuration to what a client gets, and what `turnout check` says."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import ROOT, Turnout
from signing import write_identity
from typer.testing import CliRunner

from router.cli import app

c2pa = pytest.importorskip("c2pa", reason="c2pa-python is not to be had here")

CONFIG = """
providers: {google: {type: gemini, api_key: "k"}}
models: {image: {targets: [google/gemini-3.1-flash-image]}}
"""


def configured(folder: Path, key: str = "key.pem") -> str:
    write_identity(folder)
    return f'{CONFIG}images: {{c2pa: {{certificate: "{folder}/chain.pem", private_key: "{folder}/{key}"}}}}\n'


@pytest.mark.parametrize("delivery", ["b64_json", "url"])
def test_pictures_carry_the_operators_signature(turnout: Callable[..., Turnout], tmp_path: Path, delivery: str) -> None:
    router = turnout(configured(tmp_path))
    body = {"model": "image", "prompt": "a fox", "output_format": "webp", "response_format": delivery}
    answer = router.http.post("/v1/images/generations", json=body)
    assert answer.status_code == 200, answer.text
    item = answer.json()["data"][0]
    data = base64.b64decode(item["b64_json"]) if delivery == "b64_json" else router.http.get(item["url"]).content
    with c2pa.Reader("image/webp", io.BytesIO(data)) as reader:
        found = json.loads(reader.json())
    assert found["validation_state"] in ("Valid", "Trusted")
    assert "gemini-3.1-flash-image" in json.dumps(found["manifests"][found["active_manifest"]])


def test_check_names_the_line_of_a_key_that_cannot_sign(tmp_path: Path) -> None:
    file = tmp_path / "turnout.yaml"
    catalogue = f"catalogue: {ROOT}/config/models.yaml"
    for key, code in (("key.pem", 0), ("none.pem", 2)):
        file.write_text(catalogue + configured(tmp_path, key), "utf-8")
        result = CliRunner().invoke(app, ["check", "--config", str(file)])
        assert result.exit_code == code, result.output
    assert f"{file}:4: images.c2pa" in result.output
