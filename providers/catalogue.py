"""What is known of each upstream model: capabilities, limits, prices with dates, end of life.

Values only. `config/models.yaml` fills them through `router/settings.py`; adapters and planner read them. A model
that the catalogue does not know gets `ModelInfo(name=...)`: permissive capabilities, unknown price.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal

from msgspec import Struct

Kind = Literal["chat", "image", "embedding"]


class LongContext(Struct, frozen=True, kw_only=True):
    """Prices (USD per million tokens) for the whole request once the prompt exceeds `above_tokens`."""

    above_tokens: int
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None


class ImagePrice(Struct, frozen=True, kw_only=True):
    """USD for one picture of a tier ("1K") or pixel size ("1024x1024"), at a quality (None: any).

    Pixel sizes are samples: a size that no row names costs what the row of the nearest one says. `further_megapixel` is
    what every begun megapixel (1024 x 1024 pixels) after the first adds.
    """

    usd: Decimal
    tier: str | None = None
    size: str | None = None
    quality: str | None = None
    further_megapixel: Decimal = Decimal(0)


class Price(Struct, frozen=True, kw_only=True):
    """One price row. Token prices are USD per million tokens; None is *unknown*, never 0.

    `per_reference` is USD for each picture that an edit starts from, `per_preview` for each that is shown on the way.
    Valid on days `valid_from <= day < valid_to` (UTC); an absent bound is open.
    """

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    audio_input: Decimal | None = None
    image_input: Decimal | None = None
    image_output: Decimal | None = None
    search_per_1k: Decimal | None = None
    per_image: tuple[ImagePrice, ...] = ()
    per_reference: Decimal = Decimal(0)
    per_preview: Decimal = Decimal(0)
    long_context: LongContext | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    source: str = ""
    as_of: date | None = None


class Thinking(Struct, frozen=True, kw_only=True):
    """How a model's reasoning is controlled: by a token budget, by a named level, or not at all."""

    kind: Literal["budget", "level"]
    levels: tuple[str, ...] = ()
    budget_min: int = 0
    budget_max: int = 0
    can_disable: bool = False


class PixelLimits(Struct, frozen=True, kw_only=True):
    """The pixels an image model takes: both sides multiples of `multiple` within the sides, their product the areas.

    `max_area` 0: the sides alone bound it. One side is at most `max_ratio` times the other; 0: as long as it likes.
    """

    multiple: int = 1
    min_side: int = 64
    max_side: int = 4096
    min_area: int = 0
    max_area: int = 0
    max_ratio: int = 0


class ImageCapabilities(Struct, frozen=True, kw_only=True):
    """What an image model takes. `tiers`, `ratios`, `sizes` empty: pixels are sent, within `pixels` if that is known.

    `fixed_tier` is what a model of `ratios` makes that cannot be told a tier. `per_call` is how many pictures one
    upstream call can make; more than that is fanned out. `prompt_chars` is the longest prompt that it reads to the end,
    in characters; 0: nobody knows. `quality_tiers`: what `qualities` is to others, a tier is to this model, where the
    caller leaves the size open. `edits_only`: it makes nothing without a picture to start from. `seconds` are where
    predictions start at a quality, in place of `image_s`.
    """

    tiers: tuple[str, ...] = ()
    fixed_tier: str = "1K"
    ratios: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    pixels: PixelLimits | None = None
    per_call: int = 1
    max_n: int = 10
    references: int = 0
    mask: bool = False
    transparent: bool = False
    qualities: tuple[str, ...] = ()
    quality_tiers: bool = False
    edits_only: bool = False
    formats: tuple[str, ...] = ()
    prompt_chars: int = 0
    seconds: Mapping[str, float] = {}


class EmbeddingCapabilities(Struct, frozen=True, kw_only=True):
    """What an embedding model takes. `max_inputs` is per upstream call; more are sent in several.

    `dimensions` is the length of a whole vector and the most that may be asked for; 0 is unknown. `token_ids`: takes
    arrays of token ids in place of text. `unit_length`: a shortened vector comes with length 1, as a whole one does;
    where not, the adapter scales it.
    """

    max_inputs: int = 2048
    dimensions: int = 0
    token_ids: bool = False
    unit_length: bool = True


class ModelInfo(Struct, frozen=True, kw_only=True):
    """One upstream model. The defaults are those of a capable chat model nobody has described yet.

    `family` is the vendor's generation number (2.0, 2.5, 3.8); `ttft_ms`, `tpot_ms`, `image_s` are the priors that
    predictions start from; `quality` ranks models for `sort: quality` (higher is better). `space` names the vector
    space of an embedding model where its own name does not (see `vector_space`). `tiers`: by what token prices are
    multiplied in a service tier other than the usual.
    """

    name: str
    kind: Kind = "chat"
    family: float = 0.0
    context_tokens: int = 1_048_576
    max_output_tokens: int = 65_536
    inputs: frozenset[str] = frozenset({"text", "image", "audio", "file", "video"})
    outputs: frozenset[str] = frozenset({"text"})
    tools: bool = True
    json_schema: bool = True
    tools_with_json: bool = True
    system: bool = True
    thinking: Thinking | None = None
    sampling: bool = True
    penalties: bool = True
    prefill: bool = True
    call_ids: bool = False
    signatures: bool = False
    image: ImageCapabilities | None = None
    embedding: EmbeddingCapabilities | None = None
    space: str = ""
    prices: tuple[Price, ...] = ()
    tiers: Mapping[str, Decimal] = {}
    quality: int = 0
    ttft_ms: float = 900.0
    tpot_ms: float = 8.0
    image_s: float = 12.0
    retires: date | None = None
    successor: str | None = None
    known: bool = True

    def price_on(self, day: date) -> Price | None:
        """The price row valid on `day` (UTC); None when there is none, which means *unknown*."""
        for price in self.prices:
            since, until = price.valid_from, price.valid_to
            if (since is None or since <= day) and (until is None or day < until):
                return price
        return None


Catalogue = Mapping[str, ModelInfo]


def lookup(catalogue: Catalogue, provider: str, model: str) -> ModelInfo:
    """`model` as `provider` sells it: its own row first, then the model's, else the permissive default."""
    return catalogue.get(f"{provider}/{model}") or catalogue.get(model) or ModelInfo(name=model, known=False)


def vector_space(info: ModelInfo) -> str:
    """What an embedding model's vectors can be compared with: those of the same name, whoever sells the model.

    A reseller's prefix (`openai/text-embedding-3-small`) does not count. A deployment under a name of its own says in
    its catalogue row whose vectors it makes (`space`).
    """
    return (info.space or info.name.rpartition("/")[2]).lower()
