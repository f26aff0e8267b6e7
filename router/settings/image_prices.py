"""What pictures cost by the price file, whose columns say other things of pictures than their names.

OpenAI's and xAI's output prices stand as input; those by size and quality under keys of their own; Google's flat price
is its smallest tier; a price per pixel is one per begun megapixel; Stability's edits are ten times too cheap; and where
only text tokens have a price (Fireworks), that is none of a picture.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from providers.catalogue import ImagePrice

Rows = Mapping[str, Mapping[str, object]]

IMAGE_MODES = frozenset({"image_generation", "image_edit"})
_TIERS = {"0.5K": "512", "1K": "1K", "2K": "2K", "4K": "4K"}
_SIZED = re.compile(r"(?:[a-z_]+/)?([a-z]+)/([0-9]+)-x-([0-9]+)/(.+)")
_MEGAPIXEL = 1024 * 1024
_CENTS = Decimal("0.000001")


def image_prices(rows: Rows, key: str) -> tuple[ImagePrice, ...]:
    """The prices of `key`'s pictures, the ones by size, tier and quality before the one for all."""
    row = rows[key]
    vendor = row.get("litellm_provider")
    if row.get("mode") not in IMAGE_MODES or (vendor == "stability" and row["mode"] == "image_edit"):
        return ()
    return (*_sized(rows, key, vendor), *_tiered(row), *_flat(row))


def _sized(rows: Rows, key: str, vendor: object) -> Iterator[ImagePrice]:
    model = key.removeprefix(f"{vendor}/")
    for name, row in rows.items():
        match = _SIZED.fullmatch(name)
        if match is not None and match[4] == model and row.get("litellm_provider") == vendor:
            usd = _money(row, "output_cost_per_image") or _money(row, "input_cost_per_image")
            if usd is not None:
                yield ImagePrice(usd=usd, size=f"{match[2]}x{match[3]}", quality=match[1])


def _tiered(row: Mapping[str, object]) -> Iterator[ImagePrice]:
    for suffix, tier in _TIERS.items():
        usd = _money(row, f"output_cost_per_image_{suffix}")
        if usd is not None:
            yield ImagePrice(usd=usd, tier=tier)


def _flat(row: Mapping[str, object]) -> Iterator[ImagePrice]:
    pixel = _money(row, "output_cost_per_pixel")
    if pixel is not None:
        usd = (pixel * _MEGAPIXEL).quantize(_CENTS).normalize()
        yield ImagePrice(usd=usd, further_megapixel=usd)
        return
    if "output_cost_per_image_token" in row:
        return
    xai = row.get("litellm_provider") == "xai"
    usd_each = _money(row, "input_cost_per_image" if xai else "output_cost_per_image")
    if usd_each is not None:
        yield ImagePrice(usd=usd_each)


def _money(row: Mapping[str, object], key: str) -> Decimal | None:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return Decimal(repr(value))
