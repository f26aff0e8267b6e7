"""What a backend is asked for in place of the size a caller wants: the nearest it offers, and what that loses. Pure.

Backends differ in what they take: a ratio (with or without a tier), one of a list of sizes, or pixels within limits.
Near is measured in logarithms, so that twice and half are equally far; a wrong shape counts ten times a wrong area.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from providers.catalogue import ImageCapabilities, PixelLimits
from providers.pictures import nearest_ratio
from providers.types import ImageSize

_SHAPE_LOSS = 0.05  # a twentieth of the shape is what nobody sees; beyond it the caller is told
_AREA_LOSS = 0.10
_SHAPE_WEIGHT = 100.0  # of squares
_PIXELS = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")
QUALITY_TIERS = {"low": "1K", "standard": "1K", "medium": "1K", "high": "2K", "hd": "2K"}
"""The tier that stands for a quality, at models that have tiers and no qualities."""
_SIDES = {"512": 512, "1K": 1024, "2K": 2048, "3K": 3072, "4K": 4096}


class Fit(Struct, frozen=True, kw_only=True):
    """What is asked for: `ratio` and `tier` as the backend spells them, or `width` and `height`; and what is lost."""

    ratio: str = ""
    tier: str | None = None
    width: int = 0
    height: int = 0
    warnings: tuple[str, ...] = ()


def fit(size: ImageSize | None, able: ImageCapabilities) -> Fit:
    """What a model is asked for by its row: a shape, pixels as they are where they are legal, or the nearest.

    Of a model that has both, the listed sizes go before other pixels, unless none of them has the shape.
    """
    if size is None:
        return Fit()
    if able.ratios:
        return fit_shape(size, able.ratios, able.tiers, able.fixed_tier)
    if able.pixels is not None and _is_legal(size.width, size.height, able.pixels):
        return Fit(width=size.width, height=size.height)
    listed = fit_listed(size, able.sizes)
    if able.pixels is None or (listed.width and _shape_loss(size, listed.width, listed.height) <= _SHAPE_LOSS):
        return listed
    return fit_pixels(size, able.pixels)


def fit_if_known(size: ImageSize | None, able: ImageCapabilities | None) -> Fit:
    """The same, and pixels as they are for a model whose row (if it has one) says nothing of sizes."""
    if size is not None and (able is None or not (able.ratios or able.sizes or able.pixels)):
        return Fit(width=size.width, height=size.height)
    return fit(size, able or ImageCapabilities())


def fit_shape(size: ImageSize, ratios: Sequence[str], tiers: Sequence[str] = (), fixed_tier: str = "1K") -> Fit:
    """The nearest of `ratios` (`16:9`), and of `tiers` (`1K`, `2k`); without any the pictures are of `fixed_tier`."""
    ratio, loss = nearest_ratio(size.ratio, ratios)
    warnings = [f"size=snapped:{ratio}"] if loss > _SHAPE_LOSS else []
    tier = nearest_tier(size, tiers)
    made = tier or fixed_tier
    if made.upper() != size.tier and size.explicit:
        warnings.append(f"size=tier:{made}")
    return Fit(ratio=ratio, tier=tier, warnings=tuple(warnings))


def nearest_tier(size: ImageSize, tiers: Sequence[str]) -> str | None:
    """The tier whose square is nearest in area, by its name; of two equally near ones the larger. None: no tiers."""
    known = [tier for tier in tiers if tier.upper() in _SIDES]
    side = _SIDES.get(size.tier, 1024)
    return min(
        known,
        key=lambda tier: (abs(math.log(_SIDES[tier.upper()] / side)), -_SIDES[tier.upper()]),
        default=None,
    )


def fit_listed(size: ImageSize, sizes: Iterable[str]) -> Fit:
    """The nearest of `sizes` (`1536x1024`); names that are no pixels (`auto`) lose."""
    return _nearest(size, [(int(found[1]), int(found[2])) for name in sizes if (found := _PIXELS.fullmatch(name))])


def fit_pixels(size: ImageSize, limits: PixelLimits) -> Fit:
    """The nearest pixels within `limits`."""
    return _nearest(size, _legal(size, limits))


def _legal(size: ImageSize, limits: PixelLimits) -> Iterator[tuple[int, int]]:
    if _is_legal(size.width, size.height, limits):
        yield size.width, size.height
        return
    yield from _around(size, limits)


def _is_legal(width: int, height: int, limits: PixelLimits) -> bool:
    return (
        width % limits.multiple == height % limits.multiple == 0
        and limits.min_side <= min(width, height)
        and max(width, height) <= limits.max_side
        and limits.min_area <= width * height <= (limits.max_area or math.inf)
        and max(width, height) <= (limits.max_ratio or math.inf) * min(width, height)
    )


def _around(size: ImageSize, limits: PixelLimits) -> Iterator[tuple[int, int]]:
    """For every legal height the few legal widths around the wanted shape; there are a thousand at most."""
    step, steepest = limits.multiple, limits.max_ratio or math.inf
    shape = min(max(size.ratio, 1 / steepest), steepest)
    low, high = -(-limits.min_side // step), limits.max_side // step
    for rows in range(low, high + 1):
        near = round(rows * shape)
        for columns in range(near - 2, near + 3):
            width, height = min(max(columns, low), high) * step, rows * step
            if _is_legal(width, height, limits):
                yield width, height


def _distance(size: ImageSize, width: int, height: int) -> float:
    shape = math.log(width / height / size.ratio)
    area = math.log(width * height / (size.width * size.height))
    return _SHAPE_WEIGHT * shape * shape + area * area


def _shape_loss(size: ImageSize, width: int, height: int) -> float:
    return math.exp(abs(math.log(width / height / size.ratio))) - 1


def _nearest(size: ImageSize, offered: Iterable[tuple[int, int]]) -> Fit:
    best = min(offered, key=lambda pair: _distance(size, *pair), default=None)
    if best is None:  # a row of the catalogue that no size fulfils
        return Fit(warnings=("size=ignored",))
    width, height = best
    warnings = []
    if _shape_loss(size, width, height) > _SHAPE_LOSS:
        warnings.append(f"size=snapped:{width}x{height}")
    if abs(width * height / (size.width * size.height) - 1) > _AREA_LOSS:
        warnings.append(f"size=scaled:{width}x{height}")
    return Fit(width=width, height=height, warnings=tuple(warnings))
