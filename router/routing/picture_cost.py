"""What pictures cost by the catalogue, and which tier and quality a model is asked for. USD; None is *unknown*.

What is priced is what the backend will make: the tier nearest to the wish, the nearest quality that it knows, the
pixels that it takes.
"""

import math
from decimal import Decimal

from msgspec import Struct

from providers.catalogue import ImageCapabilities, ImagePrice, ModelInfo, Price
from providers.qualities import nearest_quality, ranked
from providers.sizes import QUALITY_TIERS, fit, nearest_tier
from providers.types import ImageSize
from router.routing.plan import Features
from router.routing.token_ratio import IMAGE_TOKENS

_ANYTHING = ImageCapabilities()
_USUAL_TIER, _USUAL_QUALITY = "1K", "medium"  # what backends make when nobody asked for anything
_USUAL_SIDES = (1024, 1024)
_MEGAPIXEL = 1024 * 1024  # as the vendors count: a square of 1024 is one, and no more
_TOKENS = {"512": 747, "1K": 1120, "2K": 1680, "4K": 2520}  # Gemini 3.x output tokens per picture, by tier
_MILLION = Decimal(1_000_000)


class Asked(Struct, frozen=True):
    """What a model is asked for in place of what the caller wants."""

    tier: str
    quality: str


def asked_of(info: ModelInfo, size: ImageSize | None, quality: str) -> Asked:
    able = info.image or _ANYTHING
    tier = size.tier if size is not None else _USUAL_TIER
    if able.quality_tiers and (size is None or not size.explicit):
        tier = QUALITY_TIERS.get(quality, tier)
    offered = nearest_tier(ImageSize(width=1, height=1, tier=tier), able.tiers)
    wanted = ranked(quality) or _USUAL_QUALITY
    return Asked((offered or tier).upper(), nearest_quality(wanted, able.qualities) or wanted)


def pictures_cost(info: ModelInfo, price: Price, features: Features, n: int) -> Decimal | None:
    """What `n` pictures cost. Prompt and references are billed with every upstream call, however many it makes."""
    one = picture_cost(info, price, features)
    if one is None:
        return None
    calls = -(-n // (info.image or _ANYTHING).per_call)
    reference = price.per_reference or IMAGE_TOKENS * (price.image_input or 0) / _MILLION
    given = features.images * reference + features.prompt_tokens * (price.input or 0) / _MILLION
    return n * one + calls * given + features.partial_images * price.per_preview


def picture_cost(info: ModelInfo, price: Price, features: Features) -> Decimal | None:
    """What one picture costs, without what is sent along."""
    asked = asked_of(info, features.size, features.quality)
    rows = [
        row
        for row in price.per_image
        if (row.tier is None or row.tier == asked.tier) and (row.quality is None or row.quality == asked.quality)
    ]
    if rows:
        sides = _sides_of(info, features.size)
        row = _nearest(rows, sides)
        return row.usd + (-(-sides[0] * sides[1] // _MEGAPIXEL) - 1) * row.further_megapixel
    if price.image_output is not None:
        return _TOKENS.get(asked.tier, _TOKENS[_USUAL_TIER]) * price.image_output / _MILLION
    return None


def _sides_of(info: ModelInfo, size: ImageSize | None) -> tuple[int, int]:
    """The pixels that will be made, where the model is told pixels; else those that are wanted."""
    if size is None:
        return _USUAL_SIDES
    fitted = fit(size, info.image) if info.image is not None and not info.image.ratios else None
    return (fitted.width, fitted.height) if fitted is not None and fitted.width else (size.width, size.height)


def _nearest(rows: list[ImagePrice], sides: tuple[int, int]) -> ImagePrice:
    """The most telling row: of exactly this size (either way up), of its tier, of the nearest size, of any."""

    def rank(row: ImagePrice) -> tuple[int, float, bool]:
        away = _distance(row.size, sides) if row.size is not None else 0.0
        kind = 3 if row.size is None and row.tier is None else 1 if row.size is None else 2 if away else 0
        return kind, away, row.quality is None

    return min(rows, key=rank)


def _distance(size: str, sides: tuple[int, int]) -> float:
    """How far a sample is away, in logarithms of shape and area; a picture costs the same lying and standing."""
    width, _, height = size.partition("x")
    (short, long), (low, high) = sorted(sides), sorted((int(width), int(height)))
    shape, area = math.log(long / short * low / high), math.log(long * short / (low * high))
    return shape * shape + area * area
