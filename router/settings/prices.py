"""Prices that the catalogue lacks, from the price file inside the installed litellm package.

The file is read by its path: importing litellm costs two seconds and goes to the network. Only a vendor's own
endpoint is looked up; what a reseller asks is not what the vendor asks. A price that is absent, or 0, is *unknown*.
"""

import importlib.metadata
import importlib.util
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
import orjson

from providers.catalogue import Catalogue, EmbeddingCapabilities, Kind, LongContext, ModelInfo, Price, lookup
from router.settings.catalogue_file import needs_price
from router.settings.image_prices import IMAGE_MODES, Rows, image_prices
from router.settings.values import DEFAULT_BASE_URLS, ProviderSettings, TargetSettings

_FILE = "model_prices_and_context_window_backup.json"
_PREFIX = {
    "gemini": "gemini/", "openai": "", "xai": "xai/", "bfl": "black_forest_labs/", "fal": "fal_ai/",
    "stability": "stability/",
}  # fmt: skip
_KINDS: Mapping[str, Kind] = {**dict.fromkeys(IMAGE_MODES, "image"), "embedding": "embedding"}
_MILLION = Decimal(1_000_000)
_STEPS = (128_000, 200_000, 272_000)  # the prompt sizes at which the file knows a second price


def with_fallback_prices(
    catalogue: Catalogue, providers: Mapping[str, ProviderSettings], targets: Iterable[TargetSettings]
) -> Catalogue:
    """`catalogue` plus `provider/model` rows for those `targets` whose price it lacks and the price file knows.

    The file (3 MB) is read only if one of them is sold by its vendor directly.
    """
    wanted = {
        f"{target.provider}/{target.model}": (target, _key(providers[target.provider], target.model))
        for target in targets
        if target.provider in providers and needs_price(catalogue, target)
    }
    looked_up = {name: (target, key) for name, (target, key) in wanted.items() if key}
    if not looked_up:
        return catalogue
    rows = read_price_file()
    found = {}
    for name, (target, key) in looked_up.items():
        info = _priced(lookup(catalogue, target.provider, target.model), rows, _listed(rows, key))
        if info is not None:
            found[name] = info
    return {**catalogue, **found}


def price_file_path() -> Path | None:
    """Where the installed litellm keeps its price file; None when there is none. Imports nothing of it."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name(_FILE)
    return path if path.is_file() else None


def read_price_file() -> Rows:
    """All rows by key; empty when litellm is not installed or its file cannot be read."""
    path = price_file_path()
    if path is None:
        return {}
    try:
        rows = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return {key: row for key, row in rows.items() if isinstance(row, dict)} if isinstance(rows, dict) else {}


def price_from_row(row: Mapping[str, object], source: str) -> Price | None:
    """The price in one row of the file (USD per token there, per million here); None when it holds none."""
    price = Price(
        input=_per_million(row, "input_cost_per_token"),
        output=_per_million(row, "output_cost_per_token"),
        cached_input=_per_million(row, "cache_read_input_token_cost"),
        audio_input=_per_million(row, "input_cost_per_audio_token"),
        image_input=_per_million(row, "input_cost_per_image_token"),
        image_output=_per_million(row, "output_cost_per_image_token"),
        long_context=_long_context(row),
        source=source,
    )
    return price if any((price.input, price.output, price.image_output)) else None


def _key(provider: ProviderSettings, model: str) -> str:
    """The file's key for `model` sold by its vendor, else ""."""
    prefix = provider.options.model_prefix if provider.type == "litellm" else _PREFIX.get(provider.type)
    direct = provider.base_url == DEFAULT_BASE_URLS[provider.type]
    return f"{prefix}{model}" if direct and prefix is not None else ""


def _listed(rows: Rows, key: str) -> str | None:
    """The key as the file has it; the models of some vendors stand there without the vendor (`claude-...`)."""
    vendor, _, model = key.partition("/")
    if key not in rows and (bare := rows.get(model)) is not None and bare.get("litellm_provider") == vendor:
        return model
    return key if key in rows else None


def _priced(info: ModelInfo, rows: Rows, key: str | None) -> ModelInfo | None:
    if key is None:
        return None
    row = rows[key]
    price = _price(rows, key, f"litellm {importlib.metadata.version('litellm')} price file")
    if price is None:
        return None
    if info.known:
        return msgspec.structs.replace(info, prices=(price,))
    mode = str(row.get("mode"))
    return msgspec.structs.replace(
        info,
        kind=_KINDS.get(mode, "chat"),
        embedding=_embedding(row) if mode == "embedding" else None,
        context_tokens=_count(row, "max_input_tokens", info.context_tokens),
        max_output_tokens=_count(row, "max_output_tokens", info.max_output_tokens),
        prices=(price,),
    )


def _price(rows: Rows, key: str, source: str) -> Price | None:
    price, pictures = price_from_row(rows[key], source), image_prices(rows, key)
    if rows[key].get("mode") in IMAGE_MODES and (price is None or price.image_output is None):
        return Price(per_image=pictures, source=source) if pictures else None
    return msgspec.structs.replace(price, per_image=pictures) if price is not None and pictures else price


def _embedding(row: Mapping[str, object]) -> EmbeddingCapabilities:
    token_ids = row.get("litellm_provider") == "openai"
    return EmbeddingCapabilities(dimensions=_count(row, "output_vector_size", 0), token_ids=token_ids)


def _long_context(row: Mapping[str, object]) -> LongContext | None:
    for above in _STEPS:
        suffix = f"_above_{above // 1000}k_tokens"
        price_in = _per_million(row, f"input_cost_per_token{suffix}")
        price_out = _per_million(row, f"output_cost_per_token{suffix}")
        if price_in is not None and price_out is not None:
            cached = _per_million(row, f"cache_read_input_token_cost{suffix}")
            return LongContext(above_tokens=above, input=price_in, output=price_out, cached_input=cached)
    return None


def _per_million(row: Mapping[str, object], key: str) -> Decimal | None:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return (Decimal(repr(value)) * _MILLION).normalize()


def _count(row: Mapping[str, object], key: str, default: int) -> int:
    value = row.get(key)
    return int(value) if isinstance(value, int | float) and value > 0 else default
