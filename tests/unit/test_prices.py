"""The price file of the installed litellm: read by its path, and only for what the catalogue lacks."""

import subprocess
import sys
from decimal import Decimal

import pytest

from providers.catalogue import Catalogue, ModelInfo, Price, lookup
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
