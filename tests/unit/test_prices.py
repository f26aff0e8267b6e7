"""The price file of the installed litellm: read by its path, and only for what the catalogue lacks."""

import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from builders import DAY

from providers.catalogue import Catalogue, ModelInfo, Price, lookup
from providers.types import ImageSize
from router.routing.cost import expected_cost
from router.routing.plan import Features
from router.settings import ProviderOptions, ProviderSettings, TargetSettings
from router.settings.prices import price_file_path, price_from_row, read_price_file, with_fallback_prices
from router.settings.values import DEFAULT_BASE_URLS

PROVIDERS = {
    "google": ProviderSettings(name="google", type="gemini", base_url=DEFAULT_BASE_URLS["gemini"]),
    "openai": ProviderSettings(name="openai", type="openai", base_url=DEFAULT_BASE_URLS["openai"]),
    "reseller": ProviderSettings(name="reseller", type="openai", base_url="https://reseller.example/v1"),
    "claude": ProviderSettings(
        name="claude", type="litellm", base_url="", options=ProviderOptions(model_prefix="anthropic/")
    ),
    "groq": ProviderSettings(name="groq", type="litellm", base_url="", options=ProviderOptions(model_prefix="groq/")),
    "bare": ProviderSettings(name="bare", type="litellm", base_url=""),
    "elsewhere": ProviderSettings(
        name="elsewhere",
        type="litellm",
        base_url="http://127.0.0.1:9",
        options=ProviderOptions(model_prefix="anthropic/"),
    ),
    "grok": ProviderSettings(name="grok", type="xai", base_url=DEFAULT_BASE_URLS["xai"]),
    "fal": ProviderSettings(name="fal", type="fal", base_url=DEFAULT_BASE_URLS["fal"]),
    "flux": ProviderSettings(name="flux", type="bfl", base_url=DEFAULT_BASE_URLS["bfl"]),
    "stab": ProviderSettings(name="stab", type="stability", base_url=DEFAULT_BASE_URLS["stability"]),
    "fireworks": ProviderSettings(
        name="fireworks", type="litellm", base_url="", options=ProviderOptions(model_prefix="fireworks_ai/")
    ),
    "each": ProviderSettings(name="each", type="eachlabs", base_url=DEFAULT_BASE_URLS["eachlabs"]),
}


def priced(target: str, catalogue: Catalogue | None = None) -> ModelInfo:
    provider, _, model = target.partition("/")
    wanted = [TargetSettings(provider=provider, model=model)]
    return lookup(with_fallback_prices(catalogue or {}, PROVIDERS, wanted), provider, model)


def test_the_file_is_read_without_importing_litellm() -> None:
    code = (
        "import sys; from router.settings.prices import price_file_path, read_price_file;"
        "assert price_file_path() is not None and len(read_price_file()) > 1000; assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_model_the_catalogue_lacks_gets_its_price() -> None:
    info = priced("openai/gpt-5.4")
    price = info.prices[0]
    assert (price.input, price.output, price.cached_input) == (Decimal("2.5"), Decimal("15"), Decimal("0.25"))
    assert price.long_context is not None
    assert (price.long_context.above_tokens, price.long_context.output) == (272_000, Decimal("22.5"))
    assert price.source.startswith("litellm ")
    assert (info.kind, info.context_tokens, info.max_output_tokens, info.known) == ("chat", 1_050_000, 128_000, False)


def test_gemini_models_stand_under_their_prefix() -> None:
    assert priced("google/gemini-3.5-flash-lite").prices[0].input == Decimal("0.3")


def test_an_image_model_is_an_image_model() -> None:
    info = priced("openai/gpt-image-2")
    assert (info.kind, info.prices[0].image_output) == ("image", Decimal("30"))


@pytest.mark.parametrize(
    ("target", "asked", "usd"),
    [
        # OpenAI's stand in the column of input prices, under keys of size and quality
        ("openai/gpt-image-1.5", {"quality": "low"}, "0.009"),
        ("openai/gpt-image-1.5", {"size": ImageSize(width=1536, height=1024, tier="1K"), "quality": "high"}, "0.2"),
        ("openai/gpt-image-1.5", {"quality": "auto"}, "0.034"),
        # Google's flat price is that of the smallest tier
        ("google/gemini-3.1-flash-image", {}, "0.0672"),
        ("google/gemini-3.1-flash-image", {"size": ImageSize(width=4096, height=4096, tier="4K")}, "0.1512"),
        # xAI's output price stands as input, that of low quality under a key without the vendor
        ("grok/grok-imagine-image", {}, "0.02"),
        ("grok/grok-imagine-image-2.0", {}, "0.06"),
        ("fal/fal-ai/nano-banana-2", {"size": ImageSize(width=2048, height=2048, tier="2K")}, "0.12"),
        # a price per pixel is one per begun megapixel
        ("fal/fal-ai/flux/dev", {}, "0.025"),
        ("fal/fal-ai/flux/dev", {"size": ImageSize(width=1280, height=1024, tier="1K")}, "0.05"),
        ("fal/openai/gpt-image-2", {"quality": "high"}, "0.211"),
        ("flux/flux-dev", {}, "0.025"),
        ("stab/stable-image-core", {}, "0.03"),
    ],
)
def test_pictures_are_priced_by_what_the_columns_mean(target: str, asked: dict[str, Any], usd: str) -> None:
    info = priced(target)
    assert info.kind == "image"
    assert expected_cost(info, Features(kind="image", **asked), 0, 0, DAY) == Decimal(usd)


@pytest.mark.parametrize(
    "target",
    [
        "stab/inpaint",  # a tenth of the truth
        "fireworks/accounts/fireworks/models/flux-1-schnell-fp8",  # a price of text tokens
    ],
)
def test_what_cannot_be_the_price_of_a_picture_is_unknown(target: str) -> None:
    assert f"{PROVIDERS[target.partition('/')[0]].options.model_prefix or 'stability/'}{target.partition('/')[2]}" in (
        read_price_file()
    )
    assert priced(target).prices == ()


def test_an_embedding_model_is_an_embedding_model() -> None:
    info = priced("google/gemini-embedding-001")
    assert (info.kind, info.prices[0].input, info.prices[0].output) == ("embedding", Decimal("0.15"), None)
    assert info.embedding is not None
    assert (info.embedding.dimensions, info.embedding.token_ids) == (3072, False)
    own = priced("openai/text-embedding-ada-002").embedding
    assert own is not None
    assert (own.dimensions, own.token_ids) == (1536, True)


@pytest.mark.parametrize(
    "target", ["claude/claude-sonnet-4-5", "bare/anthropic/claude-sonnet-4-5", "groq/openai/gpt-oss-120b"]
)
def test_models_by_way_of_litellm_are_found_with_or_without_their_vendor(target: str) -> None:
    assert priced(target).prices[0].input


def test_a_litellm_provider_at_another_address_is_a_reseller() -> None:
    assert priced("elsewhere/claude-sonnet-4-5").prices == ()


@pytest.mark.parametrize("target", ["reseller/gpt-5.4", "each/flux-1-1-pro", "openai/no-such-model"])
def test_what_is_not_sold_by_its_vendor_stays_unknown(target: str) -> None:
    assert priced(target).prices == ()


def test_the_catalogue_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("the file was read although every price is known")

    monkeypatch.setattr("router.settings.prices.read_price_file", refuse)
    own = Price(input=Decimal(1))
    catalogue = {"gpt-5.4": ModelInfo(name="gpt-5.4", prices=(own,))}
    assert priced("openai/gpt-5.4", catalogue).prices == (own,)


def test_a_known_model_without_price_keeps_its_abilities() -> None:
    info = priced("openai/gpt-5.4", {"gpt-5.4": ModelInfo(name="gpt-5.4", tools=False, context_tokens=5)})
    assert (info.tools, info.context_tokens, info.known) == (False, 5, True)
    assert info.prices[0].input == Decimal("2.5")


def test_zero_and_absent_are_unknown() -> None:
    assert price_from_row({"input_cost_per_token": 0.0, "output_cost_per_token": 0}, "x") is None
    assert price_from_row({"mode": "chat"}, "x") is None
    price = price_from_row({"input_cost_per_token": 7.5e-08, "output_cost_per_token": 0, "rpm": True}, "x")
    assert price is not None
    assert (price.input, price.output) == (Decimal("0.075"), None)


def test_without_litellm_there_are_no_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert price_file_path() is None
    assert read_price_file() == {}
