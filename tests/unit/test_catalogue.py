"""models.yaml: values, prices by date, and what is refused."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from providers.catalogue import EmbeddingCapabilities, ModelInfo, Price, lookup, vector_space
from router.settings.catalogue_file import LoadedCatalogue, load_catalogue
from router.settings.document import read_document

SHIPPED = Path(__file__).parents[2] / "config" / "models.yaml"


def load(path: Path) -> LoadedCatalogue:
    document = read_document(path, {})
    assert document.problems == ()
    return load_catalogue(document)


@pytest.fixture(scope="module")
def shipped() -> LoadedCatalogue:
    return load(SHIPPED)


def row(shipped: LoadedCatalogue, model: str, day: date) -> Price:
    price = lookup(shipped.models, "google", model).price_on(day)
    assert price is not None
    return price


@pytest.mark.parametrize(
    ("model", "day", "prices"),
    [
        ("gemini-4-argon", date(2026, 11, 30), ("2", "10", "0.10")),
        ("gemini-4-argon", date(2026, 12, 1), ("4", "20", "0.20")),
        ("gemini-3.8-flash", date(2026, 12, 31), ("0.75", "3.75", "0.075")),
        ("gemini-3.8-flash", date(2027, 1, 1), ("1.5", "7.5", "0.15")),
        ("gemini-3.7-flash", date(2027, 1, 1), ("1.5", "7.5", "0.15")),
        ("gemini-2.5-pro", date(2026, 11, 30), ("1.25", "10", "0.125")),
        ("gemini-2.5-pro", date(2026, 12, 1), ("0.75", "3.75", "0.075")),
        ("gemini-2.5-pro", date(2027, 1, 1), ("1.5", "7.5", "0.15")),
        ("gemini-2.5-flash", date(2026, 12, 1), ("0.30", "2.50", "0.03")),
        ("gemini-3.1-pro-preview", date(2026, 11, 20), ("2", "12", "0.20")),
        ("gemma-4-31b-it", date(2026, 11, 20), ("0", "0", None)),
    ],
)
def test_prices_change_on_their_day(
    shipped: LoadedCatalogue, model: str, day: date, prices: tuple[str | None, ...]
) -> None:
    price = row(shipped, model, day)
    expected = tuple(None if each is None else Decimal(each) for each in prices)
    assert (price.input, price.output, price.cached_input) == expected


def test_the_long_context_price_is_the_whole_requests(shipped: LoadedCatalogue) -> None:
    long = row(shipped, "gemini-3.1-pro-preview", date(2026, 11, 20)).long_context
    assert long is not None
    assert (long.above_tokens, long.input, long.output, long.cached_input) == (200_000, 4, 18, Decimal("0.40"))


def test_prices_are_exact(shipped: LoadedCatalogue) -> None:
    per_image = row(shipped, "gemini-nano-banana-2.1", date(2026, 11, 20)).per_image
    assert {each.tier: str(each.usd) for each in per_image} == {"1K": "0.0336", "2K": "0.0504", "4K": "0.113"}


def test_every_shipped_price_says_where_it_is_from(shipped: LoadedCatalogue) -> None:
    assert shipped.problems == ()
    for model in shipped.models.values():
        for price in model.prices:
            assert price.source.startswith("https://"), model.name
            assert price.as_of == date(2026, 11, 20), model.name


def test_what_a_reseller_asks_is_unknown_not_zero(shipped: LoadedCatalogue) -> None:
    sold = lookup(shipped.models, "xroute", "gemini-3.8-flash")
    assert sold.known
    assert sold.price_on(date(2026, 11, 20)) is None
    assert sold.thinking == shipped.models["gemini-3.8-flash"].thinking


@pytest.mark.parametrize(
    ("model", "levels", "budget", "can_disable"),
    [
        ("gemini-2.5-pro", (), (128, 32_768), False),
        ("gemini-2.5-flash", (), (1, 24_576), True),
        ("gemini-2.5-flash-lite", (), (512, 24_576), True),
        ("gemini-3-flash-preview", ("MINIMAL", "LOW", "MEDIUM", "HIGH"), (0, 0), False),
        ("gemini-3.1-pro-preview", ("LOW", "MEDIUM", "HIGH"), (0, 0), False),
        ("gemini-3.6-flash", ("MINIMAL", "LOW", "MEDIUM", "HIGH"), (0, 0), False),
        ("gemini-3.8-flash", ("LOW", "MEDIUM", "HIGH"), (0, 0), False),
        ("gemini-3.1-flash-image", ("MINIMAL", "HIGH"), (0, 0), False),
        ("gemini-nano-banana-2.1", ("MINIMAL", "MEDIUM", "HIGH"), (0, 0), False),
    ],
)
def test_thinking_is_controlled_as_the_family_does(
    shipped: LoadedCatalogue, model: str, levels: tuple[str, ...], budget: tuple[int, int], can_disable: bool
) -> None:
    thinking = shipped.models[model].thinking
    assert thinking is not None
    assert (thinking.levels, (thinking.budget_min, thinking.budget_max)) == (levels, budget)
    assert thinking.can_disable == can_disable


def chat_models(shipped: LoadedCatalogue) -> dict[str, ModelInfo]:
    """Gemini's models that write."""
    return {
        name: info
        for name, info in shipped.models.items()
        if name.startswith("gemini-") and info.kind == "chat" and "text" in info.outputs
    }


def test_families_differ_in_what_they_refuse(shipped: LoadedCatalogue) -> None:
    gemini = chat_models(shipped)
    assert {name for name, info in gemini.items() if info.sampling} == {
        "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite",
    }  # fmt: skip
    assert not any(info.penalties for info in gemini.values())
    assert {name for name, info in gemini.items() if not info.prefill} == {
        "gemini-4-argon", "gemini-3.8-flash", "gemini-3.7-flash", "gemini-3.6-flash", "gemini-3.5-flash-lite",
    }  # fmt: skip
    assert all(
        info.signatures == info.call_ids == info.tools_with_json == (info.family >= 3) for info in gemini.values()
    )


def test_pro_ranks_before_flash_before_lite(shipped: LoadedCatalogue) -> None:
    chat = chat_models(shipped).values()
    pro = [info.quality for info in chat if "pro" in info.name or "argon" in info.name]
    lite = [info.quality for info in chat if "lite" in info.name]
    flash = [info.quality for info in chat if "flash" in info.name and "lite" not in info.name]
    assert min(pro) > max(flash)
    assert min(flash) > max(lite)


def test_every_image_model_says_what_it_takes(shipped: LoadedCatalogue) -> None:
    for info in shipped.models.values():
        assert (info.kind == "image") == (info.image is not None), info.name
    flash = shipped.models["gemini-3.1-flash-image"].image
    assert flash is not None
    assert flash.tiers == ("512", "1K", "2K", "4K")
    assert len(flash.ratios) == 14


BAD = [
    ("unknown key", "models:\n  m: {famly: 1}\n", 2, "models.m.famly", "did you mean 'family'?"),
    ("price is text", "models:\n  m:\n    prices:\n    - {input: x}\n", 4, "models.m.prices[0].input", "got 'x'"),
    ("negative price", "models:\n  m:\n    prices: [{input: -1}]\n", 3, "models.m.prices[0].input", "greater than"),
    ("price is a switch", "models:\n  m:\n    prices: [{input: yes}]\n", 3, "models.m.prices[0].input", "number"),
    ("not a date", "models:\n  m:\n    retires: soon\n", 3, "models.m.retires", "date, got 'soon'"),
    ("ratio read as a number", "models:\n  m: {image: {ratios: [16:9]}}\n", 2, "models.m.image.ratios[0]", "quote it"),
    ("unknown modality", "models:\n  m: {inputs: [pdf]}\n", 2, "models.m.inputs[0]", "got 'pdf'"),
    ("unknown like", "models:\n  m: {like: n}\n", 2, "models.m.like", "no model 'n'"),
    ("like of like", "models:\n  a: {}\n  b: {like: a}\n  c: {like: b}\n", 4, "models.c.like", "is itself like"),
    ("unknown successor", "models:\n  gem: {successor: gme}\n", 2, "models.gem.successor", "did you mean 'gem'?"),
    ("image without image", "models:\n  m: {kind: image}\n", 2, "models.m.kind", "needs 'image'"),
    ("embedding without embedding", "models:\n  m: {kind: embedding}\n", 2, "models.m.kind", "needs 'embedding'"),
    ("no dimensions", "models:\n  m: {embedding: {dimensions: 0}}\n", 2, "models.m.embedding.dimensions", "greater"),
    ("empty period", "models:\n  m:\n    prices:\n    - {valid_from: 2026-01-02, valid_to: 2026-01-02}\n", 4,
     "models.m.prices[0]", "is not before"),
    ("two prices a day",
     "models:\n  m:\n    prices:\n    - {valid_to: 2026-01-02}\n    - {valid_from: 2026-01-01}\n", 5,
     "models.m.prices[1]", "shares days with prices[0]"),
    ("provider twice", "models:\n  p/m: {providers: [p]}\n", 2, "models.p/m.providers", "already stands in the name"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "message"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_a_fault_is_one_problem_with_line_and_key(tmp_path: Path, text: str, line: int, key: str, message: str) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    found = load(path).problems
    assert [(each.line, each.key) for each in found] == [(line, key)], found
    assert message in found[0].message
    assert "\n" not in str(found[0])


def test_like_takes_abilities_but_not_the_vector_space(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    able = "kind: embedding, space: s, embedding: {dimensions: 8}"
    path.write_text(f"models:\n  a: {{{able}}}\n  p/b: {{like: a}}\n  p/c: {{like: a, space: s}}\n")
    models = load(path).models
    assert [vector_space(models[name]) for name in ("a", "p/b", "p/c")] == ["s", "b", "s"]
    assert models["p/b"].embedding == EmbeddingCapabilities(dimensions=8)


def test_like_takes_abilities_but_neither_price_nor_end(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(
        "models:\n"
        "  p/b: {like: a, quality: 2}\n"
        "  a: {tools: false, quality: 1, retires: 2026-01-01, prices: [{input: 1.10}]}\n"
    )
    models = load(path).models
    assert (models["p/b"].name, models["p/b"].tools, models["p/b"].quality) == ("b", False, 2)
    assert (models["p/b"].prices, models["p/b"].retires) == ((), None)
    assert str(models["a"].prices[0].input) == "1.1"
