"""A size as clients write it -> `ImageSize`. Pixels, ratio and tier travel together from here on."""

import math
import re

from providers.types import ImageSize
from router.errors import InvalidRequestError

_PIXELS = re.compile(r"([0-9]{2,5}) ?[xX*] ?([0-9]{2,5})")
_TIERS = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
_MIN_SIDE, _MAX_SIDE = 64, 8192
_MAX_PIXELS = 4096 * 4096 * 2


def parse_size(value: str | None) -> ImageSize | None:
    """`1536x1024`, `1024*1024`, `2K`, `auto`; None when the backend may choose. Raises 400 naming `size`."""
    if value is None or value in ("", "auto"):
        return None
    tier = value.upper()
    if tier in _TIERS:
        return ImageSize(width=_TIERS[tier], height=_TIERS[tier], tier=tier)
    match = _PIXELS.fullmatch(value)
    if match is None:
        raise InvalidRequestError(
            f"'size' must be 'auto', WIDTHxHEIGHT or one of {', '.join(_TIERS)}, got {value[:32]!r}", param="size"
        )
    width, height = int(match[1]), int(match[2])
    if not (_MIN_SIDE <= width <= _MAX_SIDE and _MIN_SIDE <= height <= _MAX_SIDE) or width * height > _MAX_PIXELS:
        raise InvalidRequestError(
            f"'size' must have sides of {_MIN_SIDE} to {_MAX_SIDE} pixels, got {value[:32]}", param="size"
        )
    return ImageSize(width=width, height=height, tier=tier_of(width, height))


def tier_of(width: int, height: int) -> str:
    """The tier whose square is nearest in area; the borders are the midpoints 768, 1536 and 3072."""
    side = math.sqrt(width * height)
    if side < 768:
        return "512"
    if side < 1536:
        return "1K"
    return "2K" if side < 3072 else "4K"
