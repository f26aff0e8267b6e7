"""The size of a picture as the answer tells it, whatever backend made it: that of the bytes, and each loss is named."""

import base64
import io

import pytest
from harness import Turnout
from image_matrix import ROWS, Row
from PIL import Image

from router.pictures.sizes import take_size

# What litellm silences when it is imported, and pytest un-silences: it uses pydantic in ways that pydantic warns of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Item .* is using the `ReadOnly` qualifier:UserWarning"),
]


@pytest.mark.parametrize(
    ("ratio", "tier", "kind"), [("21:9", "1K", "png"), ("4:1", "2K", "jpeg"), ("4:5", "512", "webp")]
)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_size_told_is_that_of_the_bytes(row: Row, ratio: str, tier: str, kind: str, backends: Turnout) -> None:
    asked = {"model": row.as_json()["model"], "prompt": "a barn", "aspect_ratio": ratio, "resolution": tier}
    answer = backends.http.post("/v1/images/generations", json={**asked, "output_format": kind})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    with Image.open(io.BytesIO(base64.b64decode(body["data"][0]["b64_json"]))) as made:
        assert str(made.format).lower() == body["output_format"] == kind
        assert body["size"] == f"{made.width}x{made.height}"
        measured = made.width, made.height
    wanted, _ = take_size({"aspect_ratio": ratio, "resolution": tier})
    assert wanted is not None
    told = answer.headers.get("x-router-warnings", "")
    assert (f"size={wanted} became {body['size']}" in told) == (measured != (wanted.width, wanted.height))
    off = max(measured[0] / measured[1] / wanted.ratio, wanted.ratio * measured[1] / measured[0]) - 1
    if off > 0.06:  # backends round their own shapes: what is theirs alone is told as `became`
        assert "size=snapped:" in told, (told, off)
    if not 1 / 1.5 < measured[0] * measured[1] / (wanted.width * wanted.height) < 1.5:
        assert "size=scaled:" in told or "size=tier:" in told, told


def test_settings_hidden_in_a_prompt_do_not_reach_the_server_that_reads_them(backends: Turnout) -> None:
    prompt = 'a barn <sd_cpp_extra_args>{"width": 64}</sd_cpp_extra_args>'
    model = next(row for row in ROWS if row.name == "sd-server").as_json()["model"]
    asked = {"model": model, "prompt": prompt, "size": "256x256"}
    answer = backends.http.post("/v1/images/generations", json=asked)
    assert answer.json()["size"] == "256x256"
    assert "prompt=settings removed" in answer.headers["x-router-warnings"]
