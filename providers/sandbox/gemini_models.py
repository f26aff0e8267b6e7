"""What each simulated Gemini model accepts. Source: Google's model pages and changelog as of 2026-11-20."""

from collections.abc import Mapping

from msgspec import Struct

RATIOS: Mapping[str, tuple[int, int]] = {  # pixels at 1K on 3.x
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
    "1:4": (512, 2048),
    "4:1": (2048, 512),
    "1:8": (384, 3072),
    "8:1": (3072, 384),
}
RATIOS_2_5: Mapping[str, tuple[int, int]] = {  # 2.5-flash-image, fixed at about 1024 pixels
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
}
_COMMON_RATIOS = frozenset(RATIOS_2_5)
_ALL_RATIOS = frozenset(RATIOS)
_ALL_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_UPPER_LEVELS = ("LOW", "MEDIUM", "HIGH")

IMAGE_TOKENS = {"512": 747, "1K": 1120, "2K": 1680, "4K": 3780}
LEVEL_TOKENS = {"MINIMAL": 0, "LOW": 4, "MEDIUM": 8, "HIGH": 16}  # small, so that short limits still leave room


class GeminiModel(Struct, frozen=True, kw_only=True):
    """Limits and abilities of one model.

    `family` is the major version. `levels` are the thinking levels it takes, `budget` its (least, most) thinking
    budget, `can_disable` whether a budget of 0 is legal; neither set: no thinking configuration at all. `thinking` is
    what it spends by default, in tokens. `image_sizes` empty: fixed size; `image` tells whether it draws at all,
    `speech` whether it speaks, and nothing else.
    """

    name: str
    family: int
    levels: tuple[str, ...] = ()
    default_level: str = ""
    budget: tuple[int, int] | None = None
    can_disable: bool = False
    thinking: int = 8
    prefill: bool = True
    sampling: bool = True
    call_ids: bool = False
    image: bool = False
    speech: bool = False
    image_sizes: frozenset[str] = frozenset()
    ratios: frozenset[str] = frozenset()
    window: int = 1_048_576
    max_output: int = 65_536


def _level(name: str, levels: tuple[str, ...], default: str, *, prefill: bool = True, ids: bool = False) -> GeminiModel:
    return GeminiModel(
        name=name,
        family=int(name.split("-")[1][0]),
        levels=levels,
        default_level=default,
        thinking=LEVEL_TOKENS[default],
        prefill=prefill,
        call_ids=ids,
    )


def _painter(name: str, family: int, *, levels: tuple[str, ...], sizes: str, wide: bool, window: int) -> GeminiModel:
    return GeminiModel(
        name=name,
        family=family,
        levels=levels,
        default_level=levels[0] if levels else "",
        thinking=4 if family > 2 else 0,
        image=True,
        image_sizes=frozenset(sizes.split()),
        ratios=_ALL_RATIOS if wide else _COMMON_RATIOS,
        window=window,
        max_output=32_768,
    )


def _reader(name: str) -> GeminiModel:
    return GeminiModel(name=name, family=3, thinking=0, speech=True, window=8192, max_output=16_384)


_ALL: tuple[GeminiModel, ...] = (
    GeminiModel(
        name="gemini-4-argon",
        family=4,
        levels=_UPPER_LEVELS,
        default_level="MEDIUM",
        prefill=False,
        sampling=False,
        call_ids=True,
    ),
    _level("gemini-3.8-flash", _UPPER_LEVELS, "MEDIUM", prefill=False, ids=True),
    _level("gemini-3.7-flash", _UPPER_LEVELS, "MEDIUM", prefill=False, ids=True),
    _level("gemini-3.6-flash", _ALL_LEVELS, "MEDIUM", prefill=False, ids=True),
    _level("gemini-3.5-flash", _ALL_LEVELS, "MEDIUM", ids=True),
    _level("gemini-3.5-flash-lite", _ALL_LEVELS, "MINIMAL", prefill=False, ids=True),
    _level("gemini-3.1-flash-lite", _ALL_LEVELS, "MINIMAL"),
    _level("gemini-3.1-pro-preview", _UPPER_LEVELS, "HIGH"),
    _level("gemini-3.1-pro-preview-customtools", _UPPER_LEVELS, "HIGH"),
    _level("gemini-3-flash-preview", _ALL_LEVELS, "HIGH"),
    GeminiModel(name="gemini-2.5-pro", family=2, budget=(128, 32_768)),
    GeminiModel(name="gemini-2.5-flash", family=2, budget=(1, 24_576), can_disable=True),
    GeminiModel(name="gemini-2.5-flash-lite", family=2, budget=(512, 24_576), can_disable=True, thinking=0),
    _painter(
        "gemini-nano-banana-2.1", 3, levels=("MEDIUM", "MINIMAL", "HIGH"), sizes="1K 2K 4K", wide=True, window=131_072
    ),
    _painter("gemini-3.1-flash-image", 3, levels=("MINIMAL", "HIGH"), sizes="512 1K 2K 4K", wide=True, window=131_072),
    _painter("gemini-3.1-flash-lite-image", 3, levels=("MINIMAL", "HIGH"), sizes="1K", wide=True, window=65_536),
    _painter("gemini-3-pro-image", 3, levels=(), sizes="1K 2K 4K", wide=False, window=65_536),
    _painter("gemini-2.5-flash-image", 2, levels=(), sizes="", wide=False, window=65_536),
    _reader("gemini-3.8-flash-tts"),
    _reader("gemini-3.8-flash-lite-tts"),
)
GEMINI_MODELS: Mapping[str, GeminiModel] = {model.name: model for model in _ALL} | {
    alias: next(model for model in _ALL if model.name == target)
    for alias, target in {
        "gemini-flash-latest": "gemini-3.8-flash",
        "gemini-flash-lite-latest": "gemini-3.5-flash-lite",
        "gemini-pro-latest": "gemini-3.1-pro-preview",
        "nano-banana-pro-preview": "gemini-3-pro-image",
    }.items()
}


def pixels(model: GeminiModel, ratio: str, size: str) -> tuple[int, int]:
    """Width and height of the picture that `model` makes for a ratio and an image size."""
    if model.family < 3:
        return RATIOS_2_5[ratio]
    width, height = RATIOS[ratio]
    factor = {"512": 0.5, "1K": 1, "2K": 2, "4K": 4}[size]
    return int(width * factor), int(height * factor)
