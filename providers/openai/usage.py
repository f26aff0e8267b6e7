"""An upstream's `usage` object -> Usage, whatever it looks like. Pure; never raises."""

from decimal import Decimal

from providers.answers import money_in
from providers.types import JsonObject, JsonValue, Usage

_MAX_COUNT = 1_000_000_000  # more tokens than any window: a broken counter, and it would be billed
_MAX_COST_USD = 10_000
_USD_PER_TICK = Decimal("1e-10")  # xAI's `cost_in_usd_ticks`
_COSTS = frozenset({"cost_in_usd_ticks", "cost"})
_OTHER_NAMES = frozenset({"input_tokens", "output_tokens"})


def usage_from(usage: JsonValue) -> Usage:
    """Token counts of a chat answer. Missing counts are 0; negative, huge or unreadable ones too, and `estimated`.

    `cached_tokens` is read from OpenAI's details, DeepSeek's `prompt_cache_hit_tokens` or a top-level field. Where
    `total_tokens` exceeds the sum, the rest is thinking that was left out of `completion_tokens` (Google's OpenAI
    layer, xAI): it is billed as output, so it is added there and to `reasoning_tokens`.
    """
    if not isinstance(usage, dict):
        return Usage(estimated=True)
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    completion = _first(usage, "completion_tokens", "output_tokens")
    read = _counts(usage, "prompt_tokens_details", "input_tokens_details")
    written = _counts(usage, "completion_tokens_details", "output_tokens_details")
    reasoning = written.get("reasoning_tokens", 0)
    left_out = max(0, _count(usage.get("total_tokens")) - prompt - completion) if prompt else 0
    cached = read.get("cached_tokens", 0) or _first(usage, "prompt_cache_hit_tokens", "cached_tokens")
    sound = prompt and completion and _OTHER_NAMES.isdisjoint(usage)  # as in nearly all
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion + left_out,
        cached_tokens=min(cached, prompt),
        reasoning_tokens=min(max(reasoning, left_out), completion + left_out),
        audio_prompt_tokens=read.get("audio_tokens", 0),
        image_prompt_tokens=read.get("image_tokens", 0),
        audio_completion_tokens=written.get("audio_tokens", 0),
        image_completion_tokens=written.get("image_tokens", 0),
        searches=_counts(usage, "server_tool_use").get("web_search_requests", 0) if "server_tool_use" in usage else 0,
        reported_cost_usd=cost_from(usage),
        estimated=not sound and _unusable(usage),
    )


def image_usage_from(usage: JsonValue) -> Usage | None:
    """Token counts of an image answer; None when it has none (a bare cost is not a count).

    OpenAI's Images API often omits `output_tokens_details`: then all output tokens are image tokens.
    """
    if not isinstance(usage, dict) or not any(name.endswith("_tokens") for name in usage):
        return None
    read = usage_from(usage)
    if any(isinstance(usage.get(f"{name}_tokens_details"), dict) for name in ("output", "completion")):
        return read
    return Usage(
        prompt_tokens=read.prompt_tokens,
        completion_tokens=read.completion_tokens,
        cached_tokens=read.cached_tokens,
        image_prompt_tokens=read.image_prompt_tokens,
        image_completion_tokens=read.completion_tokens,
        reported_cost_usd=read.reported_cost_usd,
        estimated=read.estimated,
    )


def cost_from(usage: JsonValue) -> Decimal | None:
    """The provider's own price in USD: OpenRouter's `cost`, xAI's `cost_in_usd_ticks`; None when it names none.

    With the operator's own vendor key behind OpenRouter (`is_byok`) `cost` is only the fee; the vendor's part is added.
    """
    if not isinstance(usage, dict) or _COSTS.isdisjoint(usage):
        return None
    ticks = money_in(usage.get("cost_in_usd_ticks"))
    if ticks is not None:
        return ticks * _USD_PER_TICK
    cost = money_in(usage.get("cost"))
    if cost is not None and usage.get("is_byok") is True:
        cost += money_in(_object(usage, "cost_details").get("upstream_inference_cost")) or 0
    return cost if cost is None or cost <= _MAX_COST_USD else None


def _first(usage: JsonObject, *names: str) -> int:
    for name in names:
        value = usage.get(name)
        if value is not None:
            return _count(value)
    return 0


def _counts(usage: JsonObject, *names: str) -> dict[str, int]:
    """What the first object under one of `names` counts. Only what it has any of: mostly that is nothing."""
    return {name: _count(value) for name, value in _object(usage, *names).items() if value}


def _object(usage: JsonObject, *names: str) -> JsonObject:
    for name in names:
        value = usage.get(name)
        if isinstance(value, dict):
            return value
    return {}


def _count(value: JsonValue) -> int:
    if type(value) is int:  # nearly all, and there are a dozen in every answer
        return value if 0 <= value <= _MAX_COUNT else 0
    if value is None:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_COUNT:
        return 0  # NaN compares false, so it ends here too
    return int(value)


def _unusable(usage: JsonObject) -> bool:
    """Whether neither count was sent, or one was and could not be read."""
    sent = False
    for name in ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"):
        value = usage.get(name)
        if value is not None:
            sent = True
            if _count(value) == 0 and value not in (0, "0"):
                return True
    return not sent
