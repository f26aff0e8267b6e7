"""A mask that is transparent where a picture is to be edited -> the grey one a backend reads, pixel by pixel."""

import io

import pytest
from pictures import bomb, picture
from PIL import Image

from providers.errors import BadRequestError
from providers.masks import black_is_edit, clear_white_is_edit, white_is_edit, with_mask
from providers.types import ImageInput, ImageRequest

ALPHAS = [0, 1, 127, 128, 254, 255]
EDITED = [True, True, True, False, False, False]


def mask(kind: str = "PNG") -> bytes:
    """One row of pixels of many colours, with these alphas."""
    image = Image.new("RGBA", (len(ALPHAS), 1))
    for place, alpha in enumerate(ALPHAS):
        image.putpixel((place, 0), (255 * (place % 2), 7, 99, alpha))
    sink = io.BytesIO()
    image.save(sink, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    return sink.getvalue()


def values(data: bytes) -> list[int]:
    with Image.open(io.BytesIO(data)) as made:
        assert (made.mode, made.size, made.format) == ("L", (len(ALPHAS), 1), "PNG")
        return [int(made.getpixel((place, 0))) for place in range(len(ALPHAS))]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_transparent_becomes_white_or_black_and_the_rest_the_other(kind: str) -> None:
    assert values(white_is_edit(mask(kind))) == [255 if edited else 0 for edited in EDITED]
    assert values(black_is_edit(mask(kind))) == [0 if edited else 255 for edited in EDITED]


def test_by_every_channel_that_comfyui_may_read_the_same_is_edited() -> None:
    with Image.open(io.BytesIO(clear_white_is_edit(mask()))) as made:
        assert (made.mode, made.size, made.format) == ("RGBA", (len(ALPHAS), 1), "PNG")
        for channel in "RGBA":
            band = made.getchannel(channel)
            levels = [int(band.getpixel((place, 0))) for place in range(len(ALPHAS))]  # type: ignore[arg-type]
            read = [255 - level for level in levels] if channel == "A" else levels  # as LoadImageMask does
            assert read == [255 if edited else 0 for edited in EDITED]


def test_a_palette_with_a_transparent_colour_counts_as_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.putpixel((1, 0), 1)
    sink = io.BytesIO()
    image.save(sink, "PNG", transparency=1)
    with Image.open(io.BytesIO(white_is_edit(sink.getvalue()))) as made:
        assert [made.getpixel((place, 0)) for place in range(2)] == [0, 255]


@pytest.mark.parametrize("data", [picture(), picture(mode="L"), picture(kind="JPEG"), b"no picture", bomb()])
def test_a_mask_that_says_nothing_is_the_callers_fault(data: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        white_is_edit(data)
    assert (caught.value.param, caught.value.code) == ("mask", "invalid_mask")


async def test_a_request_without_a_mask_stays_as_it_is() -> None:
    bare = ImageRequest(model="m", prompt="p")
    assert await with_mask(bare, white_is_edit) is bare
    turned = await with_mask(ImageRequest(model="m", prompt="p", mask=ImageInput(mask(), "image/png")), white_is_edit)
    assert turned.mask is not None
    assert values(turned.mask.data) == [255 if edited else 0 for edited in EDITED]
