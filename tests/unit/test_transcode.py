"""Formats: untouched when they fit, rewritten when they must be, refused when they are none."""

import io

import pytest
from pictures import bomb, picture
from PIL import Image

from providers.errors import BadResponseError
from providers.pictures import sniff_mime
from router.errors import InvalidRequestError
from router.pictures.transcode import check_upload, pixel_size, reduced, to_format

MIME = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_size_stands_in_the_header(kind: str) -> None:
    assert pixel_size(picture(12, 7, kind)) == (12, 7)
    assert check_upload(picture(12, 7, kind), "image") == (12, 7)


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "TGA", "ICO", "PPM", "PDF", "EPS", "PCX"])
def test_exotic_formats_are_not_opened(kind: str) -> None:
    assert pixel_size(picture(16, 16, kind)) is None


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\x89PNG\r\n\x1a\n", b"<svg/>", b"GIF89a", b"RIFF1234WEBP", b"\xff\xd8\xff"]
)
def test_what_is_no_picture_is_refused_by_name(data: bytes) -> None:
    assert pixel_size(data) is None
    with pytest.raises(InvalidRequestError) as caught:
        check_upload(data, "mask")
    assert (caught.value.param, caught.value.code) == ("mask", "invalid_image_file")


@pytest.mark.parametrize("side", [7100, 9000, 12_000, 65_000])
def test_too_many_pixels_are_told_by_the_header_alone(side: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_upload(bomb(side, side), "image")
    assert caught.value.code == "image_too_large"
    assert "pixels" in caught.value.message


@pytest.mark.parametrize("wanted", ["png", "jpeg", "webp"])
async def test_bytes_that_fit_are_not_touched(wanted: str) -> None:
    data = picture(kind=wanted.upper()) + b"signed provenance"
    assert await to_format(data, MIME[wanted], wanted, None) == (data, MIME[wanted])


async def test_png_has_no_compression_to_change() -> None:
    data = picture()
    assert await to_format(data, "image/png", "png", 50) == (data, "image/png")


@pytest.mark.parametrize("wanted", ["jpeg", "webp"])
async def test_the_best_quality_rewrites_nothing(wanted: str) -> None:
    data = picture(kind=wanted.upper()) + b"as it came"
    assert await to_format(data, MIME[wanted], wanted, 100) == (data, MIME[wanted])
    assert await to_format(data, MIME[wanted], wanted, 99) != (data, MIME[wanted])


@pytest.mark.parametrize("wanted", ["png", "jpeg", "webp"])
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("PNG", "LA"), ("PNG", "P"), ("PNG", "1"), ("PNG", "I;16"),
        ("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("WEBP", "RGBA"), ("GIF", "P"),
    ],
)  # fmt: skip
async def test_every_mode_becomes_every_format(kind: str, mode: str, wanted: str) -> None:
    data = picture(kind=kind, mode=mode)
    made, mime = await to_format(data, str(sniff_mime(data)), wanted, None)
    assert (sniff_mime(made), mime) == (MIME[wanted], MIME[wanted])
    assert pixel_size(made) == (8, 8)


async def test_what_was_transparent_becomes_white_in_jpeg() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(out, "PNG")
    made, _ = await to_format(out.getvalue(), "image/png", "jpeg", None)
    with Image.open(io.BytesIO(made)) as opened:
        assert opened.getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize("wanted", ["jpeg", "webp"])
async def test_compression_is_quality(wanted: str) -> None:
    noise = Image.effect_noise((64, 64), 90)
    out = io.BytesIO()
    noise.save(out, "PNG")
    sizes = [len((await to_format(out.getvalue(), "image/png", wanted, quality))[0]) for quality in (0, 50, 100)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


async def test_a_picture_lying_on_its_side_is_turned() -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (10, 4)).save(out, "JPEG", exif=exif)
    made, _ = await to_format(out.getvalue(), "image/jpeg", "png", None)
    assert pixel_size(made) == (4, 10)


@pytest.mark.parametrize(
    "data", [b"", b"hello", picture(64, 64, "JPEG")[:200], bomb(), bomb(65_000, 65_000)], ids=range(5)
)
async def test_what_an_upstream_sent_and_does_not_decode_is_its_failure(data: bytes) -> None:
    with pytest.raises(BadResponseError) as caught:
        await to_format(data, "image/gif", "png", None)
    assert caught.value.outcome == "bad_image"


@pytest.mark.parametrize(
    ("size", "kind", "mode", "becomes"),
    [
        ((1536, 768), "PNG", "RGBA", (768, 384)), ((300, 900), "JPEG", "RGB", (256, 768)),
        ((8, 8), "WEBP", "RGB", (8, 8)), ((2000, 2000), "JPEG", "CMYK", (768, 768)), ((800, 10), "GIF", "P", (768, 10)),
    ],
)  # fmt: skip
async def test_a_reduced_picture_is_a_jpeg_that_fits(
    size: tuple[int, int], kind: str, mode: str, becomes: tuple[int, int]
) -> None:
    small = await reduced(picture(*size, kind, mode), 768)
    assert (sniff_mime(small), pixel_size(small)) == ("image/jpeg", becomes)


@pytest.mark.parametrize("data", [b"", b"<svg/>", picture(64, 64, "JPEG")[:200], bomb()], ids=range(4))
async def test_what_does_not_decode_is_not_reduced(data: bytes) -> None:
    with pytest.raises(BadResponseError):
        await reduced(data, 768)
