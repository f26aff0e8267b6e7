"""The shipped records of Gemini models, held against a table of their own: thinking, abilities, prices by day, ends."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from providers.catalogue import ModelInfo
from providers.gemini.thinking import thinking_config
from router.settings import Settings, load_settings

CONFIG = Path(__file__).parents[2] / "config" / "turnout.yaml"
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@pytest.fixture(scope="module")
def shipped() -> Settings:
    return load_settings(CONFIG, {"GEMINI_API_KEY": "k"})


def levels(lowest: str, *others: str) -> list[Any]:
    """By effort, beginning with `none`, which is the lowest level with its thoughts hidden."""
    return [{"thinkingLevel": lowest, "includeThoughts": False}, *({"thinkingLevel": level} for level in others)]


def budgets(off: Any, *others: int) -> list[Any]:
    return [off, *({"thinkingBudget": tokens} for tokens in others)]


UPPER = levels("LOW", "LOW", "LOW", "MEDIUM", "HIGH", "HIGH", "HIGH")
ALL = levels("MINIMAL", "MINIMAL", "LOW", "MEDIUM", "HIGH", "HIGH", "HIGH")
ENDS = levels("MINIMAL", "MINIMAL", "MINIMAL", "HIGH", "HIGH", "HIGH", "HIGH")
NO_LOW = levels("MINIMAL", "MINIMAL", "MEDIUM", "MEDIUM", "HIGH", "HIGH", "HIGH")
PRO_25 = budgets({"thinkingBudget": 128, "includeThoughts": False}, 128, 1024, 8192, 24576, 32768, 32768)
FLASH_25 = budgets({"thinkingBudget": 0}, 1024, 1024, 8192, 24576, 24576, 24576)
THINKING: dict[str, list[Any]] = {
    "gemini-4-argon": UPPER,
    "gemini-3.8-flash": UPPER,
    "gemini-3.7-flash": UPPER,
    "gemini-3.6-flash": ALL,
    "gemini-3.5-flash": ALL,
    "gemini-3.5-flash-lite": ALL,
    "gemini-3.1-flash-lite": ALL,
    "gemini-3.1-pro-preview": UPPER,
    "gemini-3.1-pro-preview-customtools": UPPER,
    "gemini-3-flash-preview": ALL,
    "gemini-2.5-pro": PRO_25,
    "gemini-2.5-flash": FLASH_25,
    "gemini-2.5-flash-lite": FLASH_25,
    "gemma-4-31b-it": ENDS,
    "gemma-4-26b-a4b-it": ENDS,
    "gemini-nano-banana-2.1": NO_LOW,
    "gemini-3.1-flash-image": ENDS,
    "gemini-3.1-flash-lite-image": ENDS,
    "gemini-3-pro-image": [None] * 7,
}
PREFILL = frozenset(
    {
        "gemini-3.5-flash", "gemini-3.1-flash-lite", "gemini-3.1-pro-preview", "gemini-3.1-pro-preview-customtools",
        "gemini-3-flash-preview", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite",
    }
)  # fmt: skip


def gemini_models(shipped: Settings) -> dict[str, ModelInfo]:
    return {
        name: shipped.catalogue[name]
        for name, targets in shipped.catalogue_targets.items()
        if name.startswith(("gemini-", "gemma-")) and any(target.provider == "google" for target in targets)
    }


def test_every_model_that_talks_or_draws_is_in_the_table(shipped: Settings) -> None:
    speakers = {f"gemini-3.8-flash-{name}" for name in ("tts", "lite-tts")}
    assert {name for name, info in gemini_models(shipped).items() if info.kind != "embedding"} == {*THINKING, *speakers}
    for name in speakers:
        info = shipped.catalogue[name]
        assert (info.outputs, info.context_tokens, info.max_output_tokens) == ({"audio"}, 8192, 16_384)
        assert not any((info.tools, info.json_schema, info.signatures, info.thinking))


@pytest.mark.parametrize("model", THINKING)
def test_v42_every_effort_is_this_on_every_model(shipped: Settings, model: str) -> None:
    info = shipped.catalogue[model]
    for effort, want in zip(EFFORTS, THINKING[model], strict=True):
        got = thinking_config({"reasoning_effort": effort}, {}, info, None, [])
        assert got == want, effort
    assert thinking_config({}, {}, info, None, []) is None, "unasked, the model's own default"


@pytest.mark.parametrize("model", THINKING)
def test_a_models_abilities_are_those_of_its_generation(shipped: Settings, model: str) -> None:
    info = shipped.catalogue[model]
    new = info.family >= 3 and model.startswith("gemini")
    assert info.known
    assert info.signatures is new, "generation 3 signs and checks"
    assert info.penalties is False, "refused since 2.5"
    if model.startswith("gemini"):
        assert info.sampling is not new
        assert info.tools_with_json is new
    if info.kind == "chat" and model.startswith("gemini"):
        assert info.prefill is (model in PREFILL)
        assert (info.context_tokens, info.max_output_tokens) == (1_048_576, 65_536)
        assert {"flex", "priority"} <= info.tiers.keys()
    if info.kind == "image":
        assert info.image is not None
        assert "image" in info.outputs
        assert not info.tools


PRICES: list[tuple[str, str, str, str, str | None]] = [  # model, day, USD per million: input, output, cached input
    ("gemini-4-argon", "2026-11-30", "2", "10", "0.10"),
    ("gemini-4-argon", "2026-12-01", "4", "20", "0.20"),
    *((f"gemini-{n}-flash", "2026-12-31", "0.75", "3.75", "0.075") for n in ("3.6", "3.7", "3.8")),
    *((f"gemini-{n}-flash", "2027-01-01", "1.5", "7.5", "0.15") for n in ("3.6", "3.7", "3.8")),
    ("gemini-2.5-pro", "2026-11-30", "1.25", "10", "0.125"),
    ("gemini-2.5-flash", "2026-11-30", "0.30", "2.50", "0.03"),
    ("gemini-2.5-flash-lite", "2026-12-01", "0.10", "0.40", "0.01"),
    ("gemini-3.5-flash", "2026-12-01", "1.5", "9", "0.15"),
    ("gemini-3.5-flash-lite", "2026-12-01", "0.30", "2.50", "0.03"),
    ("gemini-3.1-flash-lite", "2026-12-01", "0.25", "1.50", "0.025"),
    ("gemini-3.1-pro-preview", "2026-12-01", "2", "12", "0.20"),
    ("gemini-3-flash-preview", "2026-12-01", "0.50", "3", "0.05"),
    ("gemini-3.8-flash-tts", "2026-12-31", "0.5", "9", None),
    ("gemini-3.8-flash-tts", "2027-01-01", "1", "18", None),
    ("gemini-3.8-flash-lite-tts", "2026-12-31", "0.5", "6", None),
    ("gemini-3.8-flash-lite-tts", "2027-01-01", "1", "12", None),
]


@pytest.mark.parametrize(("model", "day", "input_", "output", "cached"), PRICES)
def test_a_price_holds_on_its_days(
    shipped: Settings, model: str, day: str, input_: str, output: str, cached: str | None
) -> None:
    price = shipped.catalogue[model].price_on(date.fromisoformat(day))
    assert price is not None
    assert (price.input, price.output) == (Decimal(input_), Decimal(output))
    assert price.cached_input == (None if cached is None else Decimal(cached))


def test_a_long_prompt_is_dearer_on_pro_models_only(shipped: Settings) -> None:
    day = date(2026, 11, 30)
    long = {
        name: price.long_context
        for name, info in gemini_models(shipped).items()
        if (price := info.price_on(day)) is not None and price.long_context is not None
    }
    assert {name: (step.above_tokens, step.input, step.output) for name, step in long.items()} == {
        "gemini-2.5-pro": (200_000, Decimal("2.5"), Decimal(15)),
        "gemini-3.1-pro-preview": (200_000, Decimal(4), Decimal(18)),
        "gemini-3.1-pro-preview-customtools": (200_000, Decimal(4), Decimal(18)),
    }


@pytest.mark.parametrize(
    ("model", "end", "successor"),
    [
        ("gemini-2.5-pro", "2026-12-01", "gemini-3.8-flash"),
        ("gemini-2.5-flash", "2026-12-01", "gemini-3.5-flash-lite"),
        ("gemini-3.1-flash-lite", "2027-05-07", "gemini-3.5-flash-lite"),
    ],
)
def test_a_model_ends_on_its_day_and_has_a_successor(shipped: Settings, model: str, end: str, successor: str) -> None:
    info = shipped.catalogue[model]
    assert (str(info.retires), info.successor) == (end, successor)


def test_the_sizes_of_pictures_are_those_each_model_makes(shipped: Settings) -> None:
    found = {name: info.image for name, info in gemini_models(shipped).items() if info.image is not None}
    assert {name: (image.tiers, len(image.ratios), image.references) for name, image in found.items()} == {
        "gemini-nano-banana-2.1": (("1K", "2K", "4K"), 14, 14),
        "gemini-3.1-flash-image": (("512", "1K", "2K", "4K"), 14, 14),
        "gemini-3.1-flash-lite-image": (("1K",), 14, 14),
        "gemini-3-pro-image": (("1K", "2K", "4K"), 10, 14),
    }
