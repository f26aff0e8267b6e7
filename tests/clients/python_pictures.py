"""The cases of image_matrix.py, proved with OpenAI's Python SDK for every row.

    python python_pictures.py BASE_URL API_KEY ROWS

ROWS is a JSON list. Prints one JSON object per cell: `claim` (`ROW: CASE`), and `error` (null, or what went wrong).
Nothing of the SDK is changed but the base URL and the key; every answer and event passes its strict validation.
"""

import base64
import json
import struct
import sys
import traceback
import urllib.request
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
from openai import OpenAI
from raising import raised

BASE_URL, API_KEY, ROWS = sys.argv[1:4]
SIDE, SIZE = 64, "1024x1024"
# as it comes: with its own retries, which would show as more than one request upstream
client = OpenAI(base_url=BASE_URL, api_key=API_KEY, timeout=30, _strict_response_validation=True)

Row = dict[str, Any]


def png(*pixel: int) -> bytes:
    """A square of one colour: three numbers, four with alpha."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2 if len(pixel) == 3 else 6, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(pixel) * SIDE) * SIDE)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PICTURE, MASK = ("a.png", png(200, 80, 120)), ("mask.png", png(0, 0, 0, 0))


def measured(data: bytes) -> str:
    """Width and height of a PNG, from its header."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n"), data[:12]
    assert len(data) > 500
    return "{}x{}".format(*struct.unpack(">II", data[16:24]))


def check(answer: Any, count: int) -> None:
    """`count` pictures as base64 alone, the first of the size that the answer tells."""
    assert len(answer.data) == count, len(answer.data)
    assert all(item.url is None for item in answer.data)
    sizes = [measured(base64.b64decode(item.b64_json, validate=True)) for item in answer.data]
    assert answer.size == sizes[0], (answer.size, sizes)
    assert answer.output_format == "png"


def refused(ask: Callable[[], Any], code: str, *params: str | None) -> None:
    error = raised(openai.BadRequestError, ask)
    assert (error.code, error.type) == (code, "invalid_request_error"), error.body
    assert error.param in params, error.body
    assert error.body["message"]


def b64_json(row: Row) -> None:
    check(client.images.generate(model=row["model"], prompt="a barn", size=SIZE), 1)


def url(row: Row) -> None:
    (item,) = client.images.generate(model=row["model"], prompt="a barn", size=SIZE, response_format="url").data
    assert item.b64_json is None
    with urllib.request.urlopen(item.url, timeout=10) as fetched:
        assert fetched.headers["content-type"] == "image/png"
        measured(fetched.read())


def three(row: Row) -> None:
    check(client.images.generate(model=row["model"], prompt="a barn", n=3, size=SIZE), 3)


def edit(row: Row) -> None:
    def ask() -> Any:
        return client.images.edit(model=row["edits"] or row["model"], prompt="at dusk", size=SIZE, image=PICTURE)

    if row["edits"]:
        check(ask(), 1)
    else:
        refused(ask, "unsupported_parameter", "image")


def mask(row: Row) -> None:
    model = row["masked"] or row["edits"] or row["model"]

    def ask() -> Any:
        return client.images.edit(model=model, prompt="a door", image=PICTURE, mask=MASK)

    if row["masked"]:
        check(ask(), 1)
    else:
        refused(ask, "unsupported_parameter", "mask", *(() if row["edits"] else ("image",)))


def moderation(row: Row) -> None:
    def ask() -> Any:
        return client.images.generate(model=row["model"], prompt="sandbox-fault: image-safety")

    if row["moderates"]:
        refused(ask, "moderation_blocked", None, "prompt")
    else:
        assert raised(openai.InternalServerError, ask).response.headers["x-should-retry"] == "false"


def stream(row: Row) -> None:
    asked = client.images.generate(model=row["model"], prompt="a barn", size=SIZE, stream=True, partial_images=2)
    *shown, last = list(asked)
    assert [event.type for event in shown] == ["image_generation.partial_image"] * (2 if row["previews"] else 0)
    assert [event.partial_image_index for event in shown] == list(range(len(shown)))
    assert last.type == "image_generation.completed"
    for event in (*shown, last):
        assert event.size == measured(base64.b64decode(event.b64_json, validate=True))
    assert last.usage.total_tokens == last.usage.input_tokens + last.usage.output_tokens


CASES = (b64_json, url, three, edit, mask, moderation, stream)


def prove(cell: tuple[Row, Callable[[Row], None]]) -> None:
    row, case = cell
    error = None
    try:
        case(row)
    except Exception:
        error = traceback.format_exc(limit=-4)
    print(json.dumps({"claim": f"{row['name']}: {case.__name__}", "error": error}) + "\n", end="", flush=True)


if __name__ == "__main__":
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prove, [(row, case) for row in json.loads(ROWS) for case in CASES]))
