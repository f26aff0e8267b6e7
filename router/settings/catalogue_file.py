"""models.yaml: the shape of the catalogue file, and the `ModelInfo` values made from it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Struct
from pydantic import Field

from providers.catalogue import Catalogue, ModelInfo, Price, lookup
from router.errors import Problem
from router.settings.document import Document, Loc
from router.settings.fields import Bool, Float, Int, Money, Shape, Text
from router.settings.validate import nearest, validate
from router.settings.values import TargetSettings

_Count = Annotated[Int, Field(ge=0)]
_Positive = Annotated[Int, Field(ge=1)]
_Modality = Literal["text", "image", "audio", "file", "video", "embedding"]


class LongContextShape(Shape):
    above_tokens: _Positive
    input: Money
    output: Money
    cached_input: Money | None = None


class ImagePriceShape(Shape):
    usd: Money
    tier: Text | None = None
    size: Text | None = None
    quality: Text | None = None
    further_megapixel: Money | None = None


class PriceShape(Shape):
    input: Money | None = None
    output: Money | None = None
    cached_input: Money | None = None
    audio_input: Money | None = None
    image_input: Money | None = None
    image_output: Money | None = None
    search_per_1k: Money | None = None
    per_image: list[ImagePriceShape] = Field(default=[])
    per_reference: Money | None = None
    per_preview: Money | None = None
    long_context: LongContextShape | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    source: Text | None = None
    as_of: date | None = None


class ThinkingShape(Shape):
    kind: Literal["budget", "level"]
    levels: list[Text] = Field(default=[])
    budget_min: _Count | None = None
    budget_max: _Count | None = None
    can_disable: Bool | None = None


class PixelsShape(Shape):
    multiple: _Positive | None = None
    min_side: _Positive | None = None
    max_side: _Positive | None = None
    min_area: _Count | None = None
    max_area: _Count | None = None
    max_ratio: _Positive | None = None


class ImageShape(Shape):
    tiers: list[Text] = Field(default=[])
    fixed_tier: Literal["512", "1K", "2K", "4K"] | None = None
    ratios: list[Text] = Field(default=[])
    sizes: list[Text] = Field(default=[])
    pixels: PixelsShape | None = None
    per_call: _Positive | None = None
    max_n: _Positive | None = None
    references: _Count | None = None
    mask: Bool | None = None
    transparent: Bool | None = None
    qualities: list[Text] = Field(default=[])
    quality_tiers: Bool | None = None
    edits_only: Bool | None = None
    formats: list[Text] = Field(default=[])
    prompt_chars: _Count | None = None
    seconds: Mapping[str, Annotated[Float, Field(gt=0)]] = {}


class EmbeddingShape(Shape):
    max_inputs: _Positive | None = None
    dimensions: _Positive | None = None
    token_ids: Bool | None = None
    unit_length: Bool | None = None


class CatalogueModelShape(Shape):
    providers: list[Text] = Field(default=[])
    like: Text | None = None
    kind: Literal["chat", "image", "embedding"] | None = None
    family: Float | None = None
    context_tokens: _Positive | None = None
    max_output_tokens: _Positive | None = None
    inputs: list[_Modality] = Field(default=[])
    outputs: list[_Modality] = Field(default=[])
    tools: Bool | None = None
    json_schema: Bool | None = None
    tools_with_json: Bool | None = None
    system: Bool | None = None
    thinking: ThinkingShape | None = None
    sampling: Bool | None = None
    penalties: Bool | None = None
    prefill: Bool | None = None
    call_ids: Bool | None = None
    signatures: Bool | None = None
    image: ImageShape | None = None
    embedding: EmbeddingShape | None = None
    space: Text | None = None
    prices: list[PriceShape] = Field(default=[])
    tiers: Mapping[str, Money] = {}
    quality: Int | None = None
    ttft_ms: Annotated[Float, Field(gt=0)] | None = None
    tpot_ms: Annotated[Float, Field(gt=0)] | None = None
    image_s: Annotated[Float, Field(gt=0)] | None = None
    retires: date | None = None
    successor: Text | None = None


class CatalogueShape(Shape):
    """The whole file. `source` and `as_of` hold for every price row that does not say its own."""

    source: Text | None = None
    as_of: date | None = None
    models: Mapping[str, CatalogueModelShape] = {}


class LoadedCatalogue(Struct, frozen=True):
    """The catalogue, and which providers (by name) sell each public model of it."""

    models: Catalogue
    providers: Mapping[str, tuple[str, ...]]
    problems: tuple[Problem, ...]


def load_catalogue(document: Document) -> LoadedCatalogue:
    """The models that `document` describes; what is wrong with it stands in `problems`."""
    shape, document, problems = validate(CatalogueShape, document)
    problems += _checks(shape, document)
    models: dict[str, ModelInfo] = {}
    # a row that is `like` another comes after it: one level only, so that what a model can do is seen in one look
    for name, row in sorted(shape.models.items(), key=lambda item: item[1].like is not None):
        base = models.get(row.like) if row.like else None
        models[name] = _model(name, row, shape, base)
    providers = {name: tuple(row.providers) for name, row in shape.models.items() if row.providers}
    return LoadedCatalogue(models, providers, tuple(problems))


def catalogue_targets(loaded: LoadedCatalogue, known_providers: Sequence[str]) -> dict[str, tuple[TargetSettings, ...]]:
    """The targets of each catalogue name that one of `known_providers` sells."""
    targets = {
        name: tuple(
            TargetSettings(provider=provider, model=name) for provider in sellers if provider in known_providers
        )
        for name, sellers in loaded.providers.items()
    }
    return {name: found for name, found in targets.items() if found}


def needs_price(catalogue: Catalogue, target: TargetSettings) -> bool:
    """Whether nothing is known of what `target` costs."""
    return not lookup(catalogue, target.provider, target.model).prices


def _model(name: str, row: CatalogueModelShape, file: CatalogueShape, base: ModelInfo | None) -> ModelInfo:
    given = row.model_dump(exclude_unset=True, exclude={"providers", "like", "prices"})
    own = {"prices": (), "retires": None, "successor": None, "space": ""}  # the row's alone, whatever it is like
    inherited = msgspec.structs.asdict(base) | own if base else {}
    prices = tuple(_price(price, file) for price in row.prices)
    return msgspec.convert(inherited | given | {"name": name.rpartition("/")[2], "prices": prices}, ModelInfo)


def _price(row: PriceShape, file: CatalogueShape) -> Price:
    given = {"source": file.source or "", "as_of": file.as_of} | row.model_dump(exclude_unset=True)
    return msgspec.convert(given, Price)


def _checks(shape: CatalogueShape, document: Document) -> list[Problem]:
    problems: list[Problem] = []
    for name, row in shape.models.items():
        loc: Loc = ("models", name)
        for key, other in (("like", row.like), ("successor", row.successor)):
            if other and other not in shape.models:
                message = f"no model {other!r} in the catalogue{nearest(other, shape.models)}"
                problems.append(document.problem((*loc, key), message))
        if row.like and row.like in shape.models and shape.models[row.like].like:
            problems.append(document.problem((*loc, "like"), f"{row.like!r} is itself like another: name that one"))
        if "/" in name and row.providers:
            problems.append(document.problem((*loc, "providers"), "the provider already stands in the name"))
        if row.kind == "image" and row.image is None:
            problems.append(document.problem((*loc, "kind"), "an image model needs 'image'"))
        if row.kind == "embedding" and row.embedding is None:
            problems.append(document.problem((*loc, "kind"), "an embedding model needs 'embedding'"))
        problems += _date_checks(row, document, loc)
    return problems


def _date_checks(row: CatalogueModelShape, document: Document, loc: Loc) -> list[Problem]:
    """Price rows must be periods, and no day may have two prices."""
    problems: list[Problem] = []
    spans = [(price.valid_from or date.min, price.valid_to or date.max) for price in row.prices]
    for index, (start, end) in enumerate(spans):
        at = (*loc, "prices", index)
        if start >= end:
            problems.append(document.problem(at, f"valid_from {start} is not before valid_to {end}"))
        clash = next((other for other in range(index) if start < spans[other][1] and spans[other][0] < end), None)
        if clash is not None:
            problems.append(document.problem(at, f"shares days with prices[{clash}]: a day has one price"))
    return problems
