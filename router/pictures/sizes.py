"""A size as clients write it -> `ImageSize`. Pixels, ratio and tier travel together from here on."""

import math
import re
from collections.abc import Mapping, MutableMapping

from providers.types import ImageSize
from router.errors import InvalidRequestError

_PIXELS = re.compile(r"([0-9]{2,5}) ?[xX*] ?([0-9]{2,5})")
_TIERS = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
_RATIO = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?):([0-9]{1,3}(?:\.[0-9]{1,2})?)")
_EXTREME_RATIO = 8.0
_STEP = 16  # the sides of several models must be multiples of it
_MIN_SIDE, _MAX_SIDE = 64, 8192
_MAX_PIXELS = 4096 * 4096 * 2


def take_size(fields: MutableMapping[str, object]) -> tuple[ImageSize | None, tuple[str, ...]]:
    """The size that `size`, `aspect_ratio` and `resolution` ask for (the latter also in `image_config`), and warnings.

    Removes all but `size` from `fields`: upstreams are told in their own words. Pixels win over a ratio. Raises 400
    naming the field.
    """
    config = fields.pop("image_config", None)
    inner = config if isinstance(config, Mapping) else {}
    ratio = _word("aspect_ratio", fields.pop("aspect_ratio", None) or inner.get("aspect_ratio"))
    tier = _word("resolution", fields.pop("resolution", None) or inner.get("image_size"))
    asked = _word("size", fields.get("size"))
    if asked.upper() in _TIERS:
        asked, tier = "", asked
    if size := parse_size(asked):
        lost = [name for name, value in (("aspect_ratio", ratio), ("resolution", tier)) if value]
        return size, tuple(f"{name}=ignored: size says it" for name in lost)
    if tier and tier.upper() not in _TIERS:
        raise InvalidRequestError(f"'resolution' must be one of {', '.join(_TIERS)}", param="resolution")
    if not ratio:
        return parse_size(tier), ()
    return _shaped(ratio, tier.upper() or "1K"), ()


def _word(name: str, value: object) -> str:
    """A text; "" for none, and for `auto`."""
    if value is None or value == "auto":
        return ""
    if not isinstance(value, str):
        raise InvalidRequestError(f"'{name}' must be a string", param=name, code="invalid_type")
    return value


def _shaped(ratio: str, tier: str) -> ImageSize:
    """About as many pixels as the tier's square, in the shape of `W:H`."""
    match = _RATIO.fullmatch(ratio)
    shape = float(match[1]) / float(match[2]) if match and float(match[2]) else 0.0
    if not 1 / _EXTREME_RATIO <= shape <= _EXTREME_RATIO:
        raise InvalidRequestError(f"'aspect_ratio' must be W:H, got {ratio[:32]!r}", param="aspect_ratio")
    side = _TIERS[tier]
    width, height = (round(side * factor / _STEP) * _STEP for factor in (math.sqrt(shape), 1 / math.sqrt(shape)))
    return ImageSize(width=width, height=height, tier=tier)


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
