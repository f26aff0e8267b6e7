"""Costs: every kind of token at its own price, tiers, dates; unknown stays unknown."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from builders import DAY, price
from hypothesis import given
from hypothesis import strategies as st

from providers.catalogue import ImageCapabilities, ImagePrice, LongContext, ModelInfo
from providers.types import ImageSize, Usage
from router.routing.cost import actual_cost, expected_cost, usage_cost
from router.routing.plan import Features

M = Decimal(1_000_000)
LONG = LongContext(above_tokens=200_000, input=Decimal(2), output=Decimal(20), cached_input=Decimal("0.5"))
TIERED = price("1", "10", cached_input=Decimal("0.25"), long_context=LONG)


def asked(info: ModelInfo, features: Features, output_tokens: float, day: date = DAY) -> Decimal | None:
    """Expected of a request whose tokens the model counts as they were guessed."""
    return expected_cost(info, features, features.prompt_tokens, output_tokens, day)


def usage(prompt: int = 0, completion: int = 0, **more: Any) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=completion, **more)


COSTS: list[tuple[str, dict[str, Any], Usage, str]] = [
    ("input and output", {}, usage(1000, 100), "1000*1 + 100*10"),
    ("cached", {"cached_input": "0.25"}, usage(1000, 100, cached_tokens=400), "600*1 + 400*0.25 + 100*10"),
    ("cached for nothing", {"cached_input": "0"}, usage(1000, cached_tokens=400), "600*1"),
    ("cached without a price of its own", {}, usage(1000, cached_tokens=400), "1000*1"),
    ("more cached than sent", {"cached_input": "0.25"}, usage(100, cached_tokens=400), "100*0.25"),
    ("audio in", {"audio_input": "3"}, usage(1000, audio_prompt_tokens=200), "800*1 + 200*3"),
    ("audio without a price of its own", {}, usage(1000, audio_prompt_tokens=200), "1000*1"),
    ("pictures in", {"image_input": "8"}, usage(1000, image_prompt_tokens=300), "700*1 + 300*8"),
    (
        "everything in",
        {"audio_input": "3", "image_input": "8", "cached_input": "0.5"},
        usage(1000, cached_tokens=100, audio_prompt_tokens=200, image_prompt_tokens=300),
        "400*1 + 100*0.5 + 200*3 + 300*8",
    ),
    (
        "pictures out",
        {"image_output": "30"},
        usage(100, 1220, image_completion_tokens=1120),
        "100*1 + 100*10 + 1120*30",
    ),
    (
        "more pictures out than tokens",
        {"image_output": "30"},
        usage(100, 1000, image_completion_tokens=1120),
        "100*1 + 1120*30",
    ),
    ("reasoning is part of the output", {}, usage(0, 100, reasoning_tokens=90), "100*10"),
    ("searches", {"search_per_1k": "14"}, usage(0, 0, searches=3), "3*14000"),
]


@pytest.mark.parametrize(("more", "used", "formula"), [row[1:] for row in COSTS], ids=[row[0] for row in COSTS])
def test_every_kind_of_token_has_its_price(more: dict[str, str], used: Usage, formula: str) -> None:
    terms = [Decimal(left) * Decimal(right) for left, right in (term.split("*") for term in formula.split(" + "))]
    row = price("1", "10", **{name: Decimal(amount) for name, amount in more.items()})
    assert usage_cost(row, used) == sum(terms) / M


@pytest.mark.parametrize(
    ("prompt", "cached", "millionths"),
    [
        (200_000, 0, 200_000 * 1 + 100 * 10),
        (200_001, 0, 200_001 * 2 + 100 * 20),
        (200_000, 100_000, Decimal("125000") + 100 * 10),
        (200_001, 100_000, 100_001 * 2 + Decimal(50_000) + 100 * 20),
    ],
)
def test_one_token_above_the_border_reprices_the_whole_request(prompt: int, cached: int, millionths: Decimal) -> None:
    assert usage_cost(TIERED, usage(prompt, 100, cached_tokens=cached)) == Decimal(millionths) / M


def test_a_free_cache_of_the_long_tier_is_free() -> None:
    free = LongContext(above_tokens=10, input=Decimal(2), output=Decimal(20), cached_input=Decimal(0))
    row = price("1", "10", cached_input=Decimal(1), long_context=free)
    assert usage_cost(row, usage(100, 0, cached_tokens=100)) == 0


def test_unknown_prices_stay_unknown_and_are_never_nothing() -> None:
    assert usage_cost(price(None, "1"), usage(1, 1)) is None
    assert usage_cost(price("1", None), usage(1, 1)) is None
    assert usage_cost(price("1", "1"), usage(1, 1120, image_completion_tokens=1120)) is None
    assert usage_cost(price("1", None), usage(1000, 0)) == Decimal("0.001")
    assert asked(ModelInfo(name="m"), Features(), 100) is None
    assert actual_cost(ModelInfo(name="m"), usage(1, 1), DAY) == (None, "unknown")
    free = ModelInfo(name="m", prices=(price("0", "0"),))
    assert asked(free, Features(prompt_tokens=10), 100) == 0
    assert actual_cost(free, usage(1, 1), DAY) == (0, "catalogue")


def test_a_price_counts_from_its_first_day_until_the_day_before_its_last() -> None:
    model = ModelInfo(
        name="m",
        prices=(
            price("1", "1", valid_to=date(2026, 11, 1)),
            price("5", "5", valid_from=date(2026, 11, 1), valid_to=date(2026, 12, 1)),
        ),
    )
    features = Features(prompt_tokens=1_000_000)
    days = {date(2026, 10, 31): 1, date(2026, 11, 1): 5, date(2026, 11, 30): 5, date(2026, 12, 1): None}
    for day, expected in days.items():
        assert asked(model, features, 0, day) == expected


MEDIA = [
    ("sound", {"audio_input": "3"}, {"audio": 2, "media_tokens": 2000}, "3000*1 + 2000*3"),
    ("pictures", {"image_input": "8"}, {"images": 1, "media_tokens": 1120}, "3880*1 + 1120*8"),
    ("sound at the usual price", {}, {"audio": 2, "media_tokens": 2000}, "5000*1"),
    ("cheap pictures", {"image_input": "0.5"}, {"images": 1, "media_tokens": 1120}, "3880*1 + 1120*0.5"),
]


@pytest.mark.parametrize(("more", "given", "formula"), [row[1:] for row in MEDIA], ids=[row[0] for row in MEDIA])
def test_sound_and_pictures_in_a_prompt_are_expected_at_their_own_price(
    more: dict[str, str], given: dict[str, int], formula: str
) -> None:
    terms = [Decimal(left) * Decimal(right) for left, right in (term.split("*") for term in formula.split(" + "))]
    model = ModelInfo(name="m", prices=(price("1", "1", **{name: Decimal(usd) for name, usd in more.items()}),))
    assert asked(model, Features(prompt_tokens=5000, **given), 0) == sum(terms) / M


def test_cached_tokens_are_expected_at_their_own_price_where_there_is_one() -> None:
    features = Features(prompt_tokens=5000)
    for cached, usd in (("0.1", Decimal(1000) + 400), (None, Decimal(5000))):
        row = price("1", "1", cached_input=None if cached is None else Decimal(cached))
        assert expected_cost(ModelInfo(name="m", prices=(row,)), features, 5000, 0, DAY, 4000) == usd / M


def test_the_pictures_that_an_edit_starts_from_cost_tokens_where_tokens_cost() -> None:
    by_tokens = ModelInfo(
        name="m", kind="image", prices=(price("5", None, image_input=Decimal(8), image_output=Decimal(30)),)
    )
    whole = ModelInfo(name="m", kind="image", prices=(price(None, None, per_image=FLAT),))
    edit = Features(kind="image", edit=True, images=2)
    assert asked(by_tokens, edit, 0) == Decimal(1120 * 30 + 2 * 1120 * 8) / M
    assert asked(whole, edit, 0) == Decimal("0.05")


def test_every_choice_of_an_answer_is_written_but_the_prompt_is_read_once() -> None:
    model = ModelInfo(name="m", prices=(price("1", "10"),))
    assert asked(model, Features(prompt_tokens=1000, n=3), 100) == Decimal(1000 + 3 * 100 * 10) / M


# --- pictures


def size(width: int, height: int, tier: str) -> ImageSize:
    return ImageSize(width=width, height=height, tier=tier)


SQUARE, WIDE, LARGE = size(1024, 1024, "1K"), size(1536, 1024, "1K"), size(4096, 4096, "4K")
BY_TIER = (ImagePrice(usd=Decimal("0.03"), tier="1K"), ImagePrice(usd=Decimal("0.11"), tier="4K"))
BY_SIZE = (
    ImagePrice(usd=Decimal("0.04"), size="1024x1024", quality="medium"),
    ImagePrice(usd=Decimal("0.16"), size="1024x1024", quality="high"),
    ImagePrice(usd=Decimal("0.06"), size="1536x1024", quality="medium"),
)
FLAT = (ImagePrice(usd=Decimal("0.05")),)
BY_MEGAPIXEL = (ImagePrice(usd=Decimal("0.03"), further_megapixel=Decimal("0.015")),)
PICTURES = [
    ("tier", BY_TIER, SQUARE, "", "0.03"),
    ("larger tier", BY_TIER, LARGE, "", "0.11"),
    ("no size is 1K", BY_TIER, None, "", "0.03"),
    ("tier nobody priced", BY_TIER, size(2048, 2048, "2K"), "", None),
    ("pixels", BY_SIZE, WIDE, "", "0.06"),
    ("quality", BY_SIZE, SQUARE, "high", "0.16"),
    ("auto is medium", BY_SIZE, SQUARE, "auto", "0.04"),
    ("no size is the square", BY_SIZE, None, "", "0.04"),
    ("pixels nobody priced are the nearest", BY_SIZE, WIDE, "high", "0.16"),
    ("pixels the other way up", BY_SIZE, size(1024, 1536, "1K"), "", "0.06"),
    ("quality nobody priced", BY_SIZE, WIDE, "low", None),
    ("an old word for a quality", BY_SIZE, SQUARE, "hd", "0.16"),
    ("a tier before pixels of another", (*BY_TIER, *BY_SIZE), LARGE, "", "0.11"),
    ("one begun megapixel", BY_MEGAPIXEL, SQUARE, "", "0.03"),
    ("a second begun megapixel", BY_MEGAPIXEL, size(1040, 1024, "1K"), "", "0.045"),
    ("sixteen megapixels", BY_MEGAPIXEL, LARGE, "", "0.255"),
    ("one price for all", FLAT, LARGE, "high", "0.05"),
    ("the most exact row wins", (*FLAT, *BY_TIER, *BY_SIZE), SQUARE, "", "0.04"),
    ("else the less exact", (*FLAT, *BY_TIER, *BY_SIZE), SQUARE, "low", "0.03"),
    ("no rows", (), SQUARE, "", None),
]


@pytest.mark.parametrize(
    ("prompt", "input_usd", "output_usd"),
    [(190_000, 1, 10), (190_001, 2, 20), (199_999, 2, 20), (200_001, 2, 20), (300_000, 2, 20)],
)
def test_a_guessed_length_near_the_border_is_priced_at_its_dearer_side(
    prompt: int, input_usd: int, output_usd: int
) -> None:
    model = ModelInfo(name="m", prices=(TIERED,))
    assert asked(model, Features(prompt_tokens=prompt), 100) == Decimal(prompt * input_usd + 100 * output_usd) / M


def test_near_the_border_of_a_cheaper_tier_the_first_price_counts() -> None:
    cheaper = LongContext(above_tokens=1000, input=Decimal("0.5"), output=Decimal(1))
    model = ModelInfo(name="m", prices=(price("1", "10", long_context=cheaper),))
    costs = [asked(model, Features(prompt_tokens=tokens), 0) for tokens in (1040, 1060)]
    assert costs == [Decimal("0.00104"), Decimal("0.00053")]


@pytest.mark.parametrize(
    ("rows", "wanted", "quality", "usd"), [row[1:] for row in PICTURES], ids=[row[0] for row in PICTURES]
)
def test_a_picture_costs_what_its_row_says(
    rows: tuple[ImagePrice, ...], wanted: ImageSize | None, quality: str, usd: str | None
) -> None:
    model = ModelInfo(name="m", kind="image", prices=(price(None, None, per_image=rows),))
    each = None if usd is None else Decimal(usd)
    features = Features(kind="image", size=wanted, quality=quality, n=3)
    assert asked(model, features, 0) == (None if each is None else 3 * each)
    found = actual_cost(model, None, DAY, images=3, features=features)
    assert found == ((None, "unknown") if each is None else (3 * each, "catalogue"))


def test_a_picture_without_a_row_is_priced_by_its_tokens() -> None:
    model = ModelInfo(name="m", kind="image", prices=(price("1", "1", image_output=Decimal(30)),))
    assert asked(model, Features(kind="image", prompt_tokens=100), 0) == Decimal(1120 * 30 + 100) / M
    assert asked(model, Features(kind="image", size=LARGE), 0) == Decimal(2520 * 30) / M


ABLE = ImageCapabilities(tiers=("1K", "2K"), quality_tiers=True, ratios=("1:1",))
TIERS = tuple(ImagePrice(usd=Decimal(usd), tier=tier) for tier, usd in (("1K", "0.03"), ("2K", "0.05")))


@pytest.mark.parametrize(
    ("wanted", "quality", "usd"),
    [
        (size(512, 512, "512"), "", "0.03"),
        (LARGE, "", "0.05"),
        (None, "high", "0.05"),
        (None, "low", "0.03"),
        (SQUARE, "high", "0.03"),
        (ImageSize(width=1024, height=1024, tier="1K", explicit=False), "hd", "0.05"),
    ],
)
def test_what_is_made_is_priced_not_what_was_wished(wanted: ImageSize | None, quality: str, usd: str) -> None:
    model = ModelInfo(name="m", kind="image", image=ABLE, prices=(price("1", None, per_image=TIERS),))
    assert asked(model, Features(kind="image", size=wanted, quality=quality), 0) == Decimal(usd)


def test_a_quality_beyond_what_the_model_has_is_priced_as_its_best() -> None:
    model = ModelInfo(
        name="m",
        kind="image",
        image=ImageCapabilities(qualities=("low", "medium", "high")),
        prices=(price(None, None, per_image=BY_SIZE),),
    )
    assert asked(model, Features(kind="image", quality="max"), 0) == Decimal("0.16")


def test_prompt_and_references_are_billed_with_every_call_and_previews_once() -> None:
    row = price("5", None, per_image=FLAT, per_reference=Decimal("0.008"), per_preview=Decimal("0.003"))
    one, ten = (
        ModelInfo(name="m", kind="image", image=ImageCapabilities(per_call=per_call, references=4), prices=(row,))
        for per_call in (1, 10)
    )
    features = Features(kind="image", n=3, images=2, edit=True, prompt_tokens=1000)
    given = Decimal("0.016") + Decimal("0.005")
    assert asked(one, features, 0) == 3 * Decimal("0.05") + 3 * given
    assert asked(ten, features, 0) == 3 * Decimal("0.05") + given
    assert asked(one, Features(kind="image", partial_images=2), 0) == Decimal("0.056")


def test_a_chat_answer_with_a_picture_costs_both() -> None:
    model = ModelInfo(name="m", prices=(price("1", "10", per_image=FLAT),))
    features = Features(prompt_tokens=1000, image_out=True)
    assert asked(model, features, 100) == Decimal(1000 + 100 * 10) / M + Decimal("0.05")
    assert asked(ModelInfo(name="m", prices=(price("1", "10"),)), features, 100) is None


# --- what it did cost

PAINTER = ModelInfo(name="m", kind="image", prices=(price("5", None, per_image=FLAT),))


def test_the_providers_own_figure_wins() -> None:
    model = ModelInfo(name="m", prices=(price("1", "1"),))
    used = usage(1, 1, reported_cost_usd=Decimal("0.5"))
    assert actual_cost(model, used, DAY) == (Decimal("0.5"), "reported")
    assert actual_cost(model, used, DAY, reported=Decimal("0.7")) == (Decimal("0.7"), "reported")
    assert actual_cost(model, usage(0, 0, reported_cost_usd=Decimal(0)), DAY) == (Decimal(0), "reported")


@pytest.mark.parametrize("figure", ["-0.1", "NaN", "Infinity"])
def test_a_figure_that_cannot_be_is_not_believed(figure: str) -> None:
    model = ModelInfo(name="m", prices=(price("1", "1"),))
    assert actual_cost(model, usage(1000, 0), DAY, reported=Decimal(figure)) == (Decimal("0.001"), "catalogue")


def test_estimated_tokens_have_no_cost() -> None:
    model = ModelInfo(name="m", prices=(price("1", "1"),))
    assert actual_cost(model, usage(estimated=True), DAY) == (None, "unknown")
    assert actual_cost(model, None, DAY) == (None, "unknown")


def test_pictures_whose_tokens_have_no_price_cost_what_their_row_says() -> None:
    used = usage(100, 1120, image_completion_tokens=1120)
    assert actual_cost(PAINTER, used, DAY, images=2, features=Features(kind="image")) == (Decimal("0.10"), "catalogue")
    assert actual_cost(PAINTER, usage(100, 1120), DAY, images=2, features=Features(kind="image")) == (
        Decimal("0.10"),
        "catalogue",
    )


def test_pictures_whose_tokens_nobody_counted_are_not_free() -> None:
    assert actual_cost(PAINTER, usage(100, 0), DAY, images=2, features=Features(kind="image")) == (
        Decimal("0.10"),
        "catalogue",
    )


# --- whatever the numbers

counts = st.integers(0, 2_000_000)


@given(counts, counts, counts, counts, counts, counts)
def test_no_count_makes_a_cost_negative(
    prompt: int, completion: int, cached: int, audio: int, seen: int, made: int
) -> None:
    row = price("1", "10", cached_input=Decimal("0.1"), audio_input=Decimal(2), image_input=Decimal(3),
                image_output=Decimal(30), long_context=LONG)  # fmt: skip
    used = usage(prompt, completion, cached_tokens=cached, audio_prompt_tokens=audio, image_prompt_tokens=seen,
                 image_completion_tokens=made)  # fmt: skip
    cost = usage_cost(row, used)
    assert cost is not None
    assert cost >= 0


@given(counts, counts, st.integers(0, 1000), st.integers(0, 1000))
def test_more_tokens_never_cost_less(prompt: int, completion: int, more_in: int, more_out: int) -> None:
    less, more = (
        usage_cost(TIERED, usage(prompt, completion)),
        usage_cost(TIERED, usage(prompt + more_in, completion + more_out)),
    )
    assert less is not None
    assert more is not None
    assert less <= more


@pytest.mark.parametrize(("tier", "factor"), [("", "1"), ("default", "1"), ("flex", "0.5"), ("priority", "1.8")])
def test_a_tier_multiplies_the_price_of_tokens_and_not_of_searches(tier: str, factor: str) -> None:
    row = price("1", "10", search_per_1k=Decimal(14))
    info = ModelInfo(name="m", prices=(row,), tiers={"flex": Decimal("0.5"), "priority": Decimal("1.8")})
    cost, source = actual_cost(info, usage(1000, 100, searches=1, tier=tier), DAY)
    assert (cost, source) == ((2000 * Decimal(factor) + 14_000) / M, "catalogue")
    expected = asked(info, Features(prompt_tokens=1000, service_tier=tier), 100)
    assert expected == 2000 * Decimal(factor) / M
