"""Masks as OpenAI's clients send them, through the router to every backend that takes one: compared pixel by pixel."""

import io
from collections.abc import Callable

import pytest
from harness import Turnout
from image_backends import BACKENDS
from image_matrix import ROWS
from pictures import picture
from PIL import Image

from providers.sandbox.forms import form_fields

WIDTH, HEIGHT = 256, 64  # a flatter picture would look black to those who look for black ones
EDIT = "/v1/images/edits"
GREY = {row.name: row for row in ROWS if row.masked and row.kind in BACKENDS}
ALPHA = {row.name: row for row in ROWS if row.masked and row.kind not in BACKENDS}


def encoded(image: Image.Image, **more: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "PNG", **more)
    return sink.getvalue()


def of_every_alpha(mode: str) -> bytes:
    """Each column is of another alpha, from wholly transparent to opaque; the colours mean nothing."""
    image = Image.new(mode, (WIDTH, HEIGHT))
    for x in range(WIDTH):
        for y in range(HEIGHT):
            colours = (255 * (x % 2), 99, 7)[: len(image.getbands()) - 1]
            image.putpixel((x, y), (*colours, x))
    return encoded(image)


def of_a_palette() -> bytes:
    """Five colours, of which the file says how transparent each is (tRNS); the rest is opaque."""
    image = Image.new("P", (WIDTH, HEIGHT))
    image.putpalette([value for entry in range(256) for value in (entry, 0, 255 - entry)])
    for x in range(WIDTH):
        for y in range(HEIGHT):
            image.putpixel((x, y), (x // 8 + y) % 7)
    return encoded(image, transparency=bytes([0, 127, 128, 254, 255]))


def of_one_colour() -> bytes:
    """No alpha at all, but one colour that stands for transparent (tRNS)."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (255, 255, 255))
    image.paste((1, 2, 3), (10, 1, 200, 3))
    return encoded(image, transparency=(1, 2, 3))


# each mask with the alpha that it has at a place
MASKS: dict[str, tuple[bytes, Callable[[int, int], int]]] = {
    "RGBA": (of_every_alpha("RGBA"), lambda x, y: x),
    "LA": (of_every_alpha("LA"), lambda x, y: x),
    "palette": (of_a_palette(), lambda x, y: (0, 127, 128, 254, 255, 255, 255)[(x // 8 + y) % 7]),
    "one colour": (of_one_colour(), lambda x, y: 0 if 10 <= x < 200 and 1 <= y < 3 else 255),
}


def edit(backends: Turnout, name: str, mask: bytes, size: tuple[int, int] = (WIDTH, HEIGHT)) -> int:
    """The status of an edit with this mask, of a picture of this size."""
    row = {**GREY, **ALPHA}[name]
    files = {"image": ("a.png", picture(*size), "image/png"), "mask": ("m.png", mask, "image/png")}
    asked = {"model": str(row.as_json()["masked"]), "prompt": "a door"}
    return backends.http.post(EDIT, data=asked, files=files).status_code


def sent(backends: Turnout, operation: str) -> tuple[bytes, str]:
    """The body of the last request for this operation, and its content type."""
    pairs = zip(backends.requests(), backends.bodies(), strict=True)
    *_, (entry, body) = [(entry, body) for entry, body in pairs if entry["operation"] == operation]
    return body, entry["headers"].get("content-type", "")


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", GREY)
def test_what_is_transparent_is_edited_and_nothing_else(name: str, kind: str, backends: Turnout) -> None:
    backend, (mask, alpha) = BACKENDS[GREY[name].kind], MASKS[kind]
    assert edit(backends, name, mask) == 200
    with Image.open(io.BytesIO(backend.mask_sent(*sent(backends, backend.mask_in or backend.submit)))) as opened:
        assert (opened.format, opened.size) == ("PNG", (WIDTH, HEIGHT))
        channels = [channel.tobytes() for channel in opened.split()]
    edited, kept = (255, 0) if backend.white else (0, 255)
    places = [(x, y) for y in range(HEIGHT) for x in range(WIDTH)]
    wanted = bytes(edited if alpha(*place) < 128 else kept for place in places)
    if backend.type == "comfyui":  # a graph reads any of the channels, and alpha the other way round
        assert channels == [wanted] * 3 + [bytes(255 - value for value in wanted)]
    else:
        assert channels == [wanted]


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", ALPHA)
def test_a_backend_that_reads_alpha_gets_the_mask_byte_for_byte(name: str, kind: str, backends: Turnout) -> None:
    mask, _ = MASKS[kind]
    assert edit(backends, name, mask) == 200
    (arrived,) = form_fields(*sent(backends, "edits"))["mask"]
    assert (arrived.data, arrived.content_type) == (mask, "image/png")


@pytest.mark.parametrize("name", [*GREY, *ALPHA])
def test_a_mask_of_another_size_is_refused_before_anybody_is_asked(name: str, backends: Turnout) -> None:
    assert edit(backends, name, MASKS["RGBA"][0], (WIDTH, HEIGHT + 1)) == 400
    assert not backends.requests()


@pytest.mark.parametrize("name", GREY)
def test_a_mask_that_is_nowhere_transparent_by_its_nature_is_refused(name: str, backends: Turnout) -> None:
    assert edit(backends, name, picture(WIDTH, HEIGHT)) == 400
    assert not backends.requests()
