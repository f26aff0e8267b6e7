"""Sizes as clients write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import InvalidRequestError
from router.pictures.sizes import parse_size, tier_of

GOOD = [
    ("1024x1024", 1024, 1024, "1K"),
    ("1536x1024", 1536, 1024, "1K"),
    ("1024X1024", 1024, 1024, "1K"),
    ("1024*1024", 1024, 1024, "1K"),
    ("1024 x 1024", 1024, 1024, "1K"),
    ("512x512", 512, 512, "512"),
    ("64x64", 64, 64, "512"),
    ("2048x2048", 2048, 2048, "2K"),
    ("3840x2160", 3840, 2160, "2K"),
    ("4096x4096", 4096, 4096, "4K"),
    ("512", 512, 512, "512"),
    ("1K", 1024, 1024, "1K"),
    ("2k", 2048, 2048, "2K"),
    ("4K", 4096, 4096, "4K"),
]


@pytest.mark.parametrize(("text", "width", "height", "tier"), GOOD)
def test_pixels_and_tiers_travel_together(text: str, width: int, height: int, tier: str) -> None:
    size = parse_size(text)
    assert size is not None
    assert (size.width, size.height, size.tier, size.explicit) == (width, height, tier, True)
    assert str(size) == f"{width}x{height}"


@pytest.mark.parametrize("text", [None, "", "auto"])
def test_no_size_leaves_it_to_the_backend(text: str | None) -> None:
    assert parse_size(text) is None


BAD = [
    "0x0", "999999x999999", "-1x1", "auto ", "AUTO", "1024", "1024x", "x1024", "1024x1024x3", "1024 1024", "9x9",
    "63x64", "8193x64", "8192x8192", "1e3x1e3", "1024x1024\n", "large", "3K", "1024.0x1024.0",
    "\u0661\u0662\u0663x128", "1" * 9999,
]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:20].encode("unicode_escape").decode())
def test_a_bad_size_is_a_400_that_names_it(text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_size(text)
    assert (caught.value.status, caught.value.param) == (400, "size")
    assert len(caught.value.message) < 200


@given(st.text(max_size=30))
def test_any_text_is_a_size_or_a_400(text: str) -> None:
    with contextlib.suppress(InvalidRequestError):
        parse_size(text)


@pytest.mark.parametrize(
    ("side", "tier"),
    [(767, "512"), (768, "1K"), (1535, "1K"), (1536, "2K"), (3071, "2K"), (3072, "4K"), (8192, "4K")],
)
def test_the_nearest_tier_in_area(side: int, tier: str) -> None:
    assert tier_of(side, side) == tier
    assert tier_of(side * 4, side // 4 or 1) in (tier, tier_of(side - 4, side))
