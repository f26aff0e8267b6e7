"""Looking at a finished picture: its size, and whether there is anything on it."""

import io

import pytest
from pictures import picture
from PIL import Image

from providers.looks import is_black, pixel_size


def png(picture: Image.Image) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, "PNG")
    return sink.getvalue()


def test_black_is_black_all_over() -> None:
    assert is_black(png(Image.new("RGB", (8, 8))))
    assert not is_black(picture(8, 8))
    assert pixel_size(picture(8, 6)) == (8, 6)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", picture(8, 8)[:40]])
def test_what_cannot_be_read_is_left_to_others(data: bytes) -> None:
    assert not is_black(data)


def test_a_picture_beyond_pillows_limit_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    large = png(Image.new("RGB", (10, 10)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)  # beyond it a warning, an error in tests and in the router
    assert not is_black(large)
    assert pixel_size(large) is None
