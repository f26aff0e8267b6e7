"""What a request will cost on a model, and what it did cost. USD as `Decimal`; None is *unknown*, never 0."""

import math
from datetime import date
from decimal import Decimal

from msgspec import Struct

from providers.catalogue import LongContext, ModelInfo, Price
from providers.types import Usage
from router.routing.picture_cost import picture_cost, pictures_cost
from router.routing.plan import Features
from router.routing.token_ratio import AUDIO_TOKENS, IMAGE_TOKENS

PICO_USD = 10**12
"""Picodollars in a dollar: what a token costs is a whole number of them if a million costs whole microdollars."""

_ZERO, _ONE = Decimal(0), Decimal(1)
_MILLION = Decimal(1_000_000)
_NEAR_EDGE = 0.95  # a prompt that may be longer than the tier's edge after all is priced as if it were
_MILLIONTH = Decimal("0.000001")
_MOST_TOKENS = 10**9  # more than any prompt has; a whole number, as it is compared with them


class Rates(Struct, frozen=True, gc=False):
    """What a token of a model costs on one day, in picodollars, read or written, of plain text.

    Holds for prompts of up to `edge` tokens; -1: for none, `expected_cost` has to be asked. `input_usd` and
    `output_usd` are the same in dollars: what `expected_cost` says, to the last digit, is a sum of their multiples.
    """

    input: int = 0
    output: int = 0
    edge: int = -1
    input_usd: Decimal = _ZERO
    output_usd: Decimal = _ZERO


def rates_on(day: date, info: ModelInfo) -> Rates:
    """The rates at which `expected_cost` prices text on `day`. Sums of whole numbers cost a tenth of decimals."""
    price = info.price_on(day)
    if price is None or price.input is None or price.output is None:
        return Rates()
    read, written = int(price.input * _MILLION), int(price.output * _MILLION)
    if read != price.input * _MILLION or written != price.output * _MILLION:
        return Rates()
    tier = price.long_context
    edge = _MOST_TOKENS if tier is None else math.floor(tier.above_tokens * _NEAR_EDGE)
    return Rates(read, written, edge, price.input * _MILLIONTH, price.output * _MILLIONTH)


def expected_cost(
    info: ModelInfo, features: Features, prompt_tokens: int, output_tokens: float, day: date, cached_tokens: int = 0
) -> Decimal | None:
    """The cost of this request on this model if it counts `prompt_tokens` and answers `output_tokens` (per choice).

    `cached_tokens` of the prompt it is expected to read from its cache. A prompt within 5 % of where the long-context
    tier begins is priced at the dearer side: its length is a guess.
    """
    price = info.price_on(day)
    if price is None:
        return None
    if features.kind == "image":
        return pictures_cost(info, price, features, features.n)
    completion_tokens = round(output_tokens * features.n)
    tier = price.long_context
    row = price if tier is None or prompt_tokens <= tier.above_tokens * _NEAR_EDGE else _row(price, tier, prompt_tokens)
    input_price, output_price = row.input, row.output
    if input_price is None or (output_price is None and completion_tokens):
        return None
    cost = prompt_tokens * input_price
    if output_price is not None:
        cost += completion_tokens * output_price
    if cached_tokens or features.media_tokens:
        cached_price = price.cached_input if row.cached_input is None else row.cached_input
        for tokens, rate in (
            (cached_tokens, cached_price),
            (features.audio * AUDIO_TOKENS, price.audio_input),
            (features.images * IMAGE_TOKENS, price.image_input),
        ):
            if tokens and rate is not None:
                cost += tokens * (rate - input_price)
    cost *= _MILLIONTH  # a product of decimals costs a sixth of a quotient
    if features.service_tier and features.service_tier in info.tiers:
        cost *= info.tiers[features.service_tier]
    if features.image_out:
        picture = picture_cost(info, price, features)
        return None if picture is None else cost + picture
    return cost


def _row(price: Price, tier: LongContext, prompt_tokens: int) -> Price | LongContext:
    """The prices of a guessed length near the tier's edge or beyond it."""
    beyond = prompt_tokens * _NEAR_EDGE > tier.above_tokens
    return tier if beyond or price.input is None or tier.input >= price.input else price


def actual_cost(
    info: ModelInfo,
    usage: Usage | None,
    day: date,
    *,
    images: int = 0,
    features: Features | None = None,
    reported: Decimal | None = None,
) -> tuple[Decimal | None, str]:
    """The cost of an answer and where the figure is from: "reported", "catalogue", "estimated" or "unknown".

    `images` were made of the request that `features` describe. Vectors are priced by their estimated tokens where the
    upstream counts none: input is all they cost.
    """
    if reported is None and usage is not None:
        reported = usage.reported_cost_usd
    if reported is not None and reported.is_finite() and reported >= 0:
        return reported, "reported"
    price = info.price_on(day)
    cost = None
    counted = usage is not None and not usage.estimated and (not images or usage.completion_tokens > 0)
    if price is not None and usage is not None and (counted or info.kind == "embedding"):
        cost = usage_cost(price, usage, info.tiers.get(usage.tier, _ONE))
        if cost is not None and not counted:
            return cost, "estimated"
    if price is not None and cost is None and images and features is not None:
        cost = pictures_cost(info, price, features, images)
    return (cost, "catalogue") if cost is not None else (None, "unknown")


def usage_cost(price: Price, usage: Usage, factor: Decimal = _ONE) -> Decimal | None:
    """Token counts at one price row. The whole request falls in the long-context tier or none of it does.

    `factor` is the service tier's; searches cost the same in all of them.

    None when a price that is needed is unknown. Counts that contradict each other never make it negative.
    """
    input_price, output_price, cached_price = _rates(price, usage.prompt_tokens)
    if input_price is None or (output_price is None and usage.completion_tokens > usage.image_completion_tokens):
        return None
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    text_in = usage.prompt_tokens - cached
    cost = cached * (cached_price if cached_price is not None else input_price)
    if price.audio_input is not None and usage.audio_prompt_tokens:
        audio = min(usage.audio_prompt_tokens, text_in)
        cost += audio * price.audio_input
        text_in -= audio
    if price.image_input is not None and usage.image_prompt_tokens:
        pictures = min(usage.image_prompt_tokens, text_in)
        cost += pictures * price.image_input
        text_in -= pictures
    cost += text_in * input_price
    text_out = usage.completion_tokens
    if usage.image_completion_tokens:
        if price.image_output is None:
            return None
        cost += usage.image_completion_tokens * price.image_output
        text_out = max(0, text_out - usage.image_completion_tokens)
    cost += text_out * (output_price or _ZERO)
    cost *= factor
    if usage.searches and price.search_per_1k is not None:
        cost += usage.searches * price.search_per_1k * 1000  # per thousand searches, on the per-million scale
    return cost / _MILLION


def _rates(price: Price, prompt_tokens: int) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Input, output and cached input price of the row's tier that a prompt of this length falls in."""
    tier = price.long_context
    if tier is None or prompt_tokens <= tier.above_tokens:
        return price.input, price.output, price.cached_input
    return tier.input, tier.output, price.cached_input if tier.cached_input is None else tier.cached_input
