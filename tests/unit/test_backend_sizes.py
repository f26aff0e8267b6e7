"""A size a caller wants -> the nearest a backend offers: 14 shapes in 4 tiers, against a search of all it offers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.catalogue import ImageCapabilities, PixelLimits
from providers.sizes import fit, fit_listed, fit_pixels, fit_shape, nearest_tier
from providers.types import ImageSize
from router.pictures.sizes import parse_size, tier_of

RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:4", "4:1", "1:8", "8:1")
SIDES = (512, 1024, 2048, 4096)


def wanted(ratio: str, side: int) -> ImageSize:
    width, height = (int(number) for number in ratio.split(":"))
    scale = side / math.sqrt(width * height)
    pixels = round(width * scale), round(height * scale)
    return ImageSize(width=pixels[0], height=pixels[1], tier=tier_of(*pixels))


WANTED = [pytest.param(wanted(ratio, side), id=f"{ratio} at {side}") for ratio in RATIOS for side in SIDES]
FLUX_2 = PixelLimits(multiple=16, min_side=64, max_side=4096, max_area=4_194_304)
FLUX_1 = PixelLimits(multiple=32, min_side=256, max_side=1440)
LARGE = PixelLimits(min_area=3_686_400, max_area=16_777_216, min_side=480, max_side=16384, multiple=16)


def distance(size: ImageSize, width: int, height: int) -> float:
    shape, area = math.log(width / height / size.ratio), math.log(width * height / size.width / size.height)
    return 100 * shape**2 + area**2


@pytest.mark.parametrize("limits", [FLUX_2, FLUX_1], ids=["flux-2", "flux-1"])
@pytest.mark.parametrize("size", WANTED)
def test_pixels_are_the_nearest_within_the_limits(size: ImageSize, limits: PixelLimits) -> None:
    fit = fit_pixels(size, limits)
    sides = range(limits.min_side, limits.max_side + 1, limits.multiple)
    offered = ((w, h) for w in sides for h in sides if w * h <= (limits.max_area or math.inf))
    best = min(distance(size, *pair) for pair in offered)
    assert distance(size, fit.width, fit.height) == pytest.approx(best)


@pytest.mark.parametrize("limits", [FLUX_2, FLUX_1, LARGE], ids=["flux-2", "flux-1", "large"])
@pytest.mark.parametrize("size", WANTED)
def test_each_loss_is_named(size: ImageSize, limits: PixelLimits) -> None:
    fit = fit_pixels(size, limits)
    assert fit.width % limits.multiple == fit.height % limits.multiple == 0
    shape = math.exp(abs(math.log(fit.width / fit.height / size.ratio))) - 1
    area = abs(fit.width * fit.height / (size.width * size.height) - 1)
    name = f"{fit.width}x{fit.height}"
    assert (f"size=snapped:{name}" in fit.warnings) == (shape > 0.05)
    assert (f"size=scaled:{name}" in fit.warnings) == (area > 0.10)


@pytest.mark.parametrize(
    ("size", "limits", "pixels", "warnings"),
    [
        ("1024x1024", FLUX_2, "1024x1024", ()),
        ("1536x1024", FLUX_2, "1536x1024", ()),
        ("1920x1080", FLUX_2, "1936x1088", ()),
        ("4096x4096", FLUX_2, "2048x2048", ("size=scaled:2048x2048",)),
        ("1792x1024", FLUX_1, "1440x832", ("size=scaled:1440x832",)),
        ("1024x1024", LARGE, "1920x1920", ("size=scaled:1920x1920",)),
    ],
)
def test_what_is_legal_stays_as_it_is(size: str, limits: PixelLimits, pixels: str, warnings: tuple[str, ...]) -> None:
    asked = parse_size(size)
    assert asked is not None
    fit = fit_pixels(asked, limits)
    assert (f"{fit.width}x{fit.height}", fit.warnings) == (pixels, warnings)


STABILITY = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")


@pytest.mark.parametrize("size", WANTED)
def test_ratios_and_tiers_are_the_nearest_and_what_is_off_is_named(size: ImageSize) -> None:
    fit = fit_shape(size, STABILITY, ("1k", "2k"))

    def off(name: str) -> float:
        width, height = (float(number) for number in name.split(":"))
        return abs(math.log(width / height / size.ratio))

    assert off(fit.ratio) == min(off(name) for name in STABILITY)
    assert (f"size=snapped:{fit.ratio}" in fit.warnings) == (math.exp(off(fit.ratio)) - 1 > 0.05)
    assert fit.tier == ("1k" if size.tier in ("512", "1K") else "2k")
    assert (f"size=tier:{fit.tier}" in fit.warnings) == (size.tier in ("512", "4K"))


@pytest.mark.parametrize(
    ("tier", "tiers", "nearest"),
    [
        ("1K", ("2K", "4K"), "2K"),
        ("512", ("1K", "2K"), "1K"),
        ("4K", ("1K", "2K", "3K"), "3K"),
        ("2K", ("1K", "4K"), "4K"),
        ("1K", (), None),
        ("1K", ("auto",), None),
    ],
)
def test_a_tier_that_is_not_offered_goes_to_its_neighbour(
    tier: str, tiers: tuple[str, ...], nearest: str | None
) -> None:
    assert nearest_tier(ImageSize(width=1, height=1, tier=tier), tiers) == nearest


def test_a_listed_size_is_the_nearest_in_shape_first() -> None:
    sizes = ("1024x1024", "1536x768", "832x1344", "768x1344")
    fits = [fit_listed(wanted(ratio, 1024), sizes) for ratio in ("1:1", "21:9", "2:3", "9:16")]
    assert [f"{fit.width}x{fit.height}" for fit in fits] == ["1024x1024", "1536x768", "832x1344", "768x1344"]
    assert fits[1].warnings == ("size=snapped:1536x768", "size=scaled:1536x768")


@given(st.integers(64, 8192), st.integers(64, 8192))
def test_any_size_has_a_nearest(width: int, height: int) -> None:
    size = ImageSize(width=width, height=height, tier=tier_of(width, height))
    for limits in (FLUX_1, FLUX_2, LARGE):
        fit = fit_pixels(size, limits)
        assert limits.min_side <= min(fit.width, fit.height)
        assert max(fit.width, fit.height) <= limits.max_side
        assert limits.min_area <= fit.width * fit.height <= (limits.max_area or math.inf)


def test_the_models_row_says_which_way_a_size_is_told() -> None:
    size = parse_size("1792x1024")
    assert size is not None
    assert fit(None, ImageCapabilities(ratios=RATIOS)).warnings == ()
    assert fit(size, ImageCapabilities(ratios=("1:1", "16:9"), pixels=FLUX_2)).ratio == "16:9"
    legal_first = fit(size, ImageCapabilities(sizes=("2048x2048",), pixels=FLUX_2))
    assert (legal_first.width, legal_first.height, legal_first.warnings) == (1792, 1024, ())
    listed = fit(size, ImageCapabilities(sizes=("auto", "2048x2048", "2848x1600"), pixels=LARGE))
    assert (listed.width, listed.height) == (2848, 1600)
    assert fit(size, ImageCapabilities(pixels=FLUX_1)).width == 1440


@pytest.mark.parametrize(
    "able",
    [
        ImageCapabilities(),
        ImageCapabilities(sizes=("auto",)),
        ImageCapabilities(pixels=PixelLimits(max_side=100, min_area=1_000_000)),
    ],
)
def test_a_row_that_no_size_fulfils_leaves_it_to_the_model(able: ImageCapabilities) -> None:
    assert fit(parse_size("1024x1024"), able) == fit_listed(wanted("1:1", 1024), ())
    assert fit(parse_size("1024x1024"), able).warnings == ("size=ignored",)
