"""What each backend is asked for, for 14 shapes in 4 tiers, held against a search of all that its vendor offers.

`OFFERS` is written from the vendors' references (read 2026-11-20), not from the catalogue or the adapters: a row says
what the vendor takes, and everything else follows by trying all of it. Midjourney has no row: it reads every ratio, and
the shapes that its adapter keeps to are a choice of ours. Azure's translator is OpenAI's.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest
from image_backends import WORKFLOWS

from providers.bfl.translate import to_task
from providers.catalogue import ModelInfo, lookup
from providers.comfyui.translate import check as check_workflow
from providers.eachlabs.translate import to_prediction as to_eachlabs
from providers.eachlabs.translate import warnings_of as eachlabs_warnings
from providers.errors import UnsupportedFieldError
from providers.fal.translate import to_input
from providers.gemini.images import to_image_content
from providers.ideogram.translate import to_call as to_ideogram
from providers.litellm_sdk.arguments import image_arguments
from providers.openai.dialects import OPENROUTER, SEEDREAM, TOGETHER, XAI, ImageDialect, to_dialect
from providers.openai.images import image_fields, image_warnings, spoken
from providers.replicate.translate import to_prediction as to_replicate
from providers.stability.translate import to_form
from providers.stable_diffusion.translate import to_call as to_stable_diffusion
from providers.types import ImageRequest, ImageSize
from router.pictures.sizes import take_size
from router.settings import load_settings

CATALOGUE = load_settings(Path(__file__).parents[2] / "config" / "turnout.yaml", {}).catalogue

RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:4", "4:1", "1:8", "8:1")
SIDES = {"512": 512, "1K": 1024, "2K": 2048, "3K": 3072, "4K": 4096}
TIERS = ("512", "1K", "2K", "4K")
SHAPE_LOSS, AREA_LOSS = 0.05, 0.10


@dataclass(frozen=True)
class Shapes:
    """Ratios, in tiers where it has a word for them; one that has none makes `fixed`."""

    ratios: tuple[str, ...]
    tiers: tuple[str, ...] = ()
    fixed: str = "1K"


@dataclass(frozen=True)
class Pixels:
    """Any width and height within limits; in place of what is outside them, `listed` sizes where these are nearer."""

    step: int
    sides: tuple[int, int]
    areas: tuple[int, int] = (0, 10**9)
    steepest: float = math.inf
    listed: tuple[tuple[int, int], ...] = ()

    def has(self, width: int, height: int) -> bool:
        return (
            width % self.step == height % self.step == 0
            and self.sides[0] <= min(width, height) <= max(width, height) <= self.sides[1]
            and self.areas[0] <= width * height <= self.areas[1]
            and max(width, height) <= self.steepest * min(width, height)
        )


@dataclass(frozen=True)
class Anything:
    """Passes pixels on as they are, up to a longest side: what becomes of them is another's affair."""

    longest: float = math.inf


GEMINI = RATIOS[:10]
SEEDREAM_2K = ((2048, 2048), (1728, 2304), (2848, 1600), (1664, 2496), (3136, 1344))
SEEDREAM_4K = ((4096, 4096), (3520, 4704), (5504, 3040), (3328, 4992), (6240, 2656))
PRESETS = tuple({pair for w, h in (*SEEDREAM_2K, *SEEDREAM_4K) for pair in ((w, h), (h, w))})
SEEDREAM_SHAPES = ("1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9")
STABILITY = Shapes(("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21"))
KONTEXT = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16", "9:21")
IDEOGRAM = (
    "1:1",
    "16:9",
    "9:16",
    "4:3",
    "3:4",
    "3:2",
    "2:3",
    "4:5",
    "5:4",
    "16:10",
    "10:16",
    "2:1",
    "1:2",
    "3:1",
    "1:3",
)
XAI_EXTRA = ("1:2", "2:1", "9:19.5", "19.5:9", "9:20", "20:9")
GPT_IMAGE = Pixels(16, (1, 3840), (655_360, 8_294_400), steepest=3)
FLUX_2 = Pixels(16, (64, 4096), (0, 4_194_304))

Offer = Shapes | Pixels | Anything

OFFERS: Mapping[str, Offer] = {
    "google/gemini-3.1-flash-image": Shapes(RATIOS, TIERS),
    "google/gemini-3.1-flash-lite-image": Shapes(RATIOS, ("1K",)),
    "google/gemini-3-pro-image": Shapes(GEMINI, ("1K", "2K", "4K")),
    "google/gemini-nano-banana-2.1": Shapes(RATIOS, ("1K", "2K", "4K")),
    "openai/gpt-image-2": GPT_IMAGE,
    "openai/gpt-image-2.5-flare": GPT_IMAGE,
    "openai/gpt-image-2.5-sunburst": GPT_IMAGE,
    "openai/gpt-image-2.6-flare": GPT_IMAGE,
    "openai/gpt-image-2.6-sunburst": GPT_IMAGE,
    "eachlabs/flux-1-1-pro": Shapes(("1:1", "2:3", "3:2", "3:4", "4:3", "9:16", "16:9")),
    "bfl/flux-2-pro": FLUX_2,
    "bfl/flux-kontext-pro": Shapes(KONTEXT),
    "bfl/flux-pro-1.1-ultra": Shapes(KONTEXT, fixed="2K"),
    "bfl/flux-pro-1.1": Pixels(32, (256, 1440)),
    "stability/stable-image-core": STABILITY,
    "stability/sd3.5-large": STABILITY,
    "fal/fal-ai/flux/schnell": Pixels(16, (256, 2048)),
    "fal/fal-ai/nano-banana-2": Shapes(GEMINI, ("1K", "2K", "4K")),
    "replicate/black-forest-labs/flux-schnell": Shapes(KONTEXT),
    "replicate/bytedance/seedream-4": Shapes(SEEDREAM_SHAPES, ("1K", "2K", "4K")),
    "ideogram/ideogram-4-6": Shapes(IDEOGRAM),
    "ideogram/ideogram-v3": Shapes(IDEOGRAM),
    "stable-diffusion/default": Pixels(8, (64, 2048)),
    "together/black-forest-labs/FLUX.1-schnell": Pixels(16, (64, 2048)),
    "xai/grok-imagine-image-2.0": Shapes(("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", *XAI_EXTRA), ("1K", "2K")),
    "seedream/seedream-4-5-251128": Pixels(16, (240, 16384), (3_686_400, 16_777_216), 16, PRESETS),
    "seedream/seedream-5-0-lite-260128": Pixels(16, (240, 16384), (3_686_400, 16_777_216), 16, PRESETS),
    "seedream/seedream-4-0-250828": Pixels(16, (240, 16384), (921_600, 16_777_216), 16),
    "seedream/doubao-seedream-4-0-250828": Pixels(16, (240, 16384), (921_600, 16_777_216), 16),
    "seedream/seedream-5-0-260128": Pixels(16, (240, 16384), (921_600, 4_194_304), 16),
    "openrouter/some/model": Anything(8192),
    "comfyui/text": Pixels(8, (64, 4096)),
    "litellm/some-model": Anything(),
    "litellm/gpt-image-2": GPT_IMAGE,
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What went into the request for an upstream: its fields and the warnings beside it."""

    fields: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    size: tuple[int, int] | None = field(init=False)
    ratio: str = field(init=False)
    tier: str = field(init=False)

    def __post_init__(self) -> None:
        named = self.fields.get("image_size")
        sides = named if isinstance(named, dict) else self.fields
        match = re.fullmatch(r"(\d+)x(\d+)", str(self.fields.get("size", "")))
        size = (sides["width"], sides["height"]) if "width" in sides else None
        object.__setattr__(self, "size", (int(match[1]), int(match[2])) if match else size)
        ratio = self.fields.get("aspectRatio", self.fields.get("aspect_ratio", ""))
        object.__setattr__(self, "ratio", ratio.replace("x", ":"))
        tier = self.fields.get("imageSize") or self.fields.get("resolution") or self.fields.get("size") or ""
        object.__setattr__(self, "tier", "" if match else tier.upper())


Ask = Callable[[ImageRequest, str, ModelInfo], Asked]


def by_gemini(request: ImageRequest, model: str, info: ModelInfo) -> Asked:
    made = to_image_content(request, info)
    generation: Any = made.body["generationConfig"]
    return Asked(generation.get("imageConfig", {}), made.warnings)


def by_dialect(dialect: ImageDialect) -> Ask:
    def ask(request: ImageRequest, model: str, info: ModelInfo) -> Asked:
        made = to_dialect(request, model, info, dialect)
        return Asked(orjson.loads(made.body), made.warnings)

    return ask


def by_json(translate: Callable[..., Any], *, named: bool = False) -> Ask:
    """Of a translator whose result has a JSON `body`; `named`: it is told the model as well."""

    def ask(request: ImageRequest, model: str, info: ModelInfo) -> Asked:
        made = translate(request, model, info) if named else translate(request, info)
        fields = orjson.loads(made.body) if made.body is not None else dict(made.texts)
        return Asked(fields.get("input", fields), made.warnings)

    return ask


def by_stability(request: ImageRequest, model: str, info: ModelInfo) -> Asked:
    made = to_form(request, model, info)
    return Asked(dict(made.texts), made.warnings)


def by_litellm(request: ImageRequest, model: str, info: ModelInfo) -> Asked:
    made = image_arguments(request, info)
    return Asked(made.fields, made.warnings)


def by_comfyui(request: ImageRequest, model: str, info: ModelInfo) -> Asked:
    made = check_workflow(request, WORKFLOWS[model], info)
    return Asked({"width": made.fitted.width, "height": made.fitted.height}, made.warnings)


ASKING: Mapping[str, Ask] = {
    "google": by_gemini,
    "openai": lambda request, model, info: Asked(
        image_fields(request, spoken(model), info), image_warnings(request, spoken(model), info)
    ),
    "eachlabs": lambda request, model, info: Asked(
        orjson.loads(to_eachlabs(request, model, info))["input"], eachlabs_warnings(request, info)
    ),
    "bfl": by_json(to_task),
    "stability": by_stability,
    "fal": by_json(to_input),
    "replicate": by_json(to_replicate, named=True),
    "ideogram": by_json(to_ideogram, named=True),
    "stable-diffusion": lambda request, model, info: by_json(
        lambda *given: to_stable_diffusion(*given, None), named=True
    )(request, model, info),
    "together": by_dialect(TOGETHER),
    "xai": by_dialect(XAI),
    "seedream": by_dialect(SEEDREAM),
    "openrouter": by_dialect(OPENROUTER),
    "comfyui": by_comfyui,
    "litellm": by_litellm,
}


def wanted(ratio: str, tier: str) -> ImageSize:
    size, warnings = take_size({"aspect_ratio": ratio, "resolution": tier})
    assert size is not None
    assert not warnings
    return size


def ask(target: str, size: ImageSize, *, strict: bool = False) -> Asked:
    provider, _, model = target.partition("/")
    request = ImageRequest(model="public", prompt="a cat", size=size, strict=strict)
    return ASKING[provider](request, model, lookup(CATALOGUE, provider, model))


def of(ratio: str) -> float:
    width, _, height = ratio.partition(":")
    return float(width) / float(height)


def off(found: float, shape: float) -> float:
    """How wrong a shape is: 0.05 is a twentieth."""
    return math.exp(abs(math.log(found / shape))) - 1


def nearest_tier(tier: str, tiers: tuple[str, ...]) -> str:
    """By the midpoints between squares; of two equally far the larger."""
    return min(tiers, key=lambda each: (abs(math.log(SIDES[each] / SIDES[tier])), -SIDES[each]))


def check_shapes(offer: Shapes, asked: Asked, ratio: str, tier: str) -> None:
    best = min(off(of(each), of(ratio)) for each in offer.ratios)
    assert asked.ratio in offer.ratios
    assert off(of(asked.ratio), of(ratio)) == pytest.approx(best)
    made = nearest_tier(tier, offer.tiers or (offer.fixed,))
    assert asked.tier == (made if offer.tiers else "")
    if abs(best - SHAPE_LOSS) > 1e-9:  # 20:9 for 21:9: a twentieth to the digit
        assert (f"size=snapped:{asked.ratio}" in asked.warnings) == (best > SHAPE_LOSS)
    assert any(each.upper() == f"SIZE=TIER:{made}" for each in asked.warnings) == (made != tier)


def distance(size: ImageSize, width: int, height: int) -> float:
    shape, area = math.log(width / height / size.ratio), math.log(width * height / size.width / size.height)
    return 100 * shape**2 + area**2


def offered(offer: Pixels, size: ImageSize) -> list[tuple[int, int]]:
    """All legal pairs of about the nearest shape there is: with every height each width within some per cent of it."""
    near = 1.1 if offer.sides[1] <= 4096 else 1.04
    shape = min(max(size.ratio, 1 / offer.steepest), offer.steepest)
    found = []
    for height in range(offer.step, offer.sides[1] + 1, offer.step):
        low = min(height * shape, offer.sides[1]) / near
        high = max(height * shape, offer.sides[0]) * near
        first = max(int(low) // offer.step, 1) * offer.step
        widths = [first] if high < first else range(first, min(int(high), offer.sides[1]) + 1, offer.step)
        found += [(width, height) for width in widths if offer.has(width, height)]
    return found


def check_pixels(offer: Pixels, asked: Asked, size: ImageSize) -> None:
    assert asked.size is not None
    width, height = asked.size
    if offer.has(size.width, size.height):
        assert asked.size == (size.width, size.height), "what is legal stays as it is"
    else:
        fitting = [pair for pair in offer.listed if off(pair[0] / pair[1], size.ratio) <= SHAPE_LOSS]
        best = min(distance(size, *pair) for pair in fitting or offered(offer, size))
        assert asked.size in offer.listed or offer.has(width, height)
        assert distance(size, width, height) == pytest.approx(best, rel=0.01), "of two as good as equal either will do"
    name = f"{width}x{height}"
    assert (f"size=snapped:{name}" in asked.warnings) == (off(width / height, size.ratio) > SHAPE_LOSS)
    area = abs(width * height / (size.width * size.height) - 1)
    assert (f"size=scaled:{name}" in asked.warnings) == (area > AREA_LOSS)


@pytest.mark.parametrize("target", OFFERS)
def test_every_shape_in_every_tier_is_asked_for_as_the_nearest_there_is(target: str) -> None:
    offer = OFFERS[target]
    for ratio, tier in product(RATIOS, TIERS):
        size = wanted(ratio, tier)
        asked = ask(target, size)
        try:
            match offer:
                case Shapes():
                    check_shapes(offer, asked, ratio, tier)
                case Pixels():
                    check_pixels(offer, asked, size)
                case Anything() if max(size.width, size.height) <= offer.longest:
                    assert (asked.size, asked.warnings) == ((size.width, size.height), ())
                case Anything():
                    assert asked.size is not None
                    assert max(asked.size) == offer.longest
                    assert off(asked.size[0] / asked.size[1], size.ratio) < 0.01
                    assert asked.warnings == ("size=scaled:{}x{}".format(*asked.size),)
        except AssertionError as exc:
            exc.add_note(f"{ratio} at {tier} ({size}): {dict(asked.fields)} {asked.warnings}")
            raise


@pytest.mark.parametrize("target", OFFERS)
def test_a_strict_request_is_refused_exactly_where_a_loss_is_named(target: str) -> None:
    for ratio, tier in product(RATIOS, TIERS):
        size = wanted(ratio, tier)
        if not ask(target, size).warnings:
            ask(target, size, strict=True)
            continue
        with pytest.raises(UnsupportedFieldError) as caught:
            ask(target, size, strict=True)
        assert caught.value.param == "size"
