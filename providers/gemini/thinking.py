"""How much a model shall think: OpenAI's effort, OpenRouter's `reasoning`, Anthropic's `thinking`, Google's own field.

Budgets are the figures of Google's own OpenAI layer (https://ai.google.dev/gemini-api/docs/openai, read 2026-11-20).
A model takes a budget or a level, never both; a level it lacks is snapped to the nearest, ties upward.
"""

from collections.abc import Mapping

from providers.catalogue import ModelInfo, Thinking
from providers.gemini import fields
from providers.gemini.lenient import as_object
from providers.types import JsonObject, JsonValue

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_BUDGETS = {"low": 1024, "medium": 8192, "high": 24576}
_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_DYNAMIC = -1
_TELLING = frozenset({"reasoning", "thinking", "reasoning_effort", "include_reasoning"})


def thinking_config(
    request: Mapping[str, JsonValue], google: JsonObject, info: ModelInfo, max_output: int | None, warnings: list[str]
) -> JsonObject | None:
    """`thinkingConfig`, or None to leave the model's default. `max_output` is what will be sent as `maxOutputTokens`.

    Raises BadRequestError for an effort nobody knows.
    """
    if not google and _TELLING.isdisjoint(request):
        return None
    own = as_object(google.get("thinking_config") or google.get("thinkingConfig"))
    effort, budget = _asked(request, own)
    visible = _wants_thoughts(request, own)
    if effort is None and budget is None and not visible:
        return None
    if info.thinking is None or (info.thinking.kind == "level" and not info.thinking.levels):
        if effort is not None or budget is not None:
            warnings.append("reasoning_effort=dropped")
        return None
    if effort is None and budget is None:
        return {"includeThoughts": True}
    if info.thinking.kind == "budget":
        config = _by_budget(effort, budget, info.thinking, max_output)
    else:
        config = _by_level(effort, budget, info.thinking, warnings)
    if visible and effort != "none":
        config["includeThoughts"] = True
    return config


def _asked(request: Mapping[str, JsonValue], own: JsonObject) -> tuple[str | None, int | None]:
    """The effort and the token budget asked for, at most one of them set; the effort wins."""
    reasoning = fields.mapping(request, "reasoning")
    anthropic = fields.mapping(request, "thinking")
    effort = (
        fields.text(request, "reasoning_effort")
        or fields.text(reasoning, "effort")
        or fields.text(own, "thinking_level")
        or fields.text(own, "thinkingLevel")
    )
    if effort is None and (reasoning.get("enabled") is False or anthropic.get("type") == "disabled"):
        effort = "none"
    if effort is not None:
        if effort.lower() not in _EFFORTS:
            raise fields.refuse("'reasoning_effort' is not one of the known efforts", "reasoning_effort")
        return effort.lower(), None
    for holder, key in (
        (reasoning, "max_tokens"),
        (anthropic, "budget_tokens"),
        (own, "thinking_budget"),
        (own, "thinkingBudget"),
    ):
        budget = fields.integer(holder, key)
        if budget is not None:
            return None, budget
    return None, None


def _wants_thoughts(request: Mapping[str, JsonValue], own: JsonObject) -> bool:
    """Whether the caller asked to see the reasoning; hidden thoughts are billed all the same."""
    return (
        request.get("include_reasoning") is True
        or as_object(request.get("reasoning")).get("exclude") is False
        or own.get("include_thoughts") is True
        or own.get("includeThoughts") is True
    )


def _by_budget(effort: str | None, budget: int | None, thinking: Thinking, max_output: int | None) -> JsonObject:
    if effort == "none":
        if thinking.can_disable:
            return {"thinkingBudget": 0}
        return {"thinkingBudget": thinking.budget_min, "includeThoughts": False}
    tokens = budget if budget is not None else _budget_of(effort, thinking)
    if tokens == _DYNAMIC or (tokens == 0 and thinking.can_disable):
        return {"thinkingBudget": tokens}
    tokens = _bounded(tokens, thinking)
    if max_output is not None and tokens >= max_output:
        # the limit counts thoughts too: an equal budget would leave an empty answer
        tokens = _bounded(max_output // 2, thinking)
        if tokens >= max_output and thinking.can_disable:
            tokens = 0
    return {"thinkingBudget": tokens}


def _budget_of(effort: str | None, thinking: Thinking) -> int:
    if effort == "minimal":
        return _BUDGETS["low"] if thinking.can_disable else thinking.budget_min
    return _BUDGETS.get(effort or "", thinking.budget_max)


def _bounded(tokens: int, thinking: Thinking) -> int:
    return max(thinking.budget_min, min(tokens, thinking.budget_max or tokens))


def _by_level(effort: str | None, budget: int | None, thinking: Thinking, warnings: list[str]) -> JsonObject:
    offered = sorted(_LEVELS.index(level.upper()) for level in thinking.levels if level.upper() in _LEVELS)
    if not offered:
        return {}
    if budget is not None:
        effort = _effort_of(budget)
    if effort == "none":
        warnings.append(f"reasoning_effort=snapped:{_LEVELS[offered[0]].lower()}")
        return {"thinkingLevel": _LEVELS[offered[0]], "includeThoughts": False}
    wanted = min(_EFFORTS.index(effort or "medium") - 1, len(_LEVELS) - 1)
    nearest = min(offered, key=lambda level: (abs(level - wanted), -level))
    if _LEVELS[nearest].lower() != effort:
        warnings.append(f"reasoning_effort=snapped:{_LEVELS[nearest].lower()}")
    return {"thinkingLevel": _LEVELS[nearest]}


def _effort_of(budget: int) -> str:
    """The effort whose budget this is, for models that take levels; dynamic is the usual middle."""
    if budget == _DYNAMIC:
        return "medium"
    if budget <= 0:
        return "none"
    return next((effort for effort, tokens in _BUDGETS.items() if budget <= tokens), "high")
