"""What enhancement of a request would come to, without asking anybody: for dry runs."""

from decimal import Decimal

from providers.types import JsonObject
from router.api.enhancing.aside import plan_aside
from router.api.gateway import Gateway
from router.api.image_request import ParsedImage
from router.errors import RouterError
from router.pictures.enhancement.judging import judge_chat
from router.pictures.enhancement.rewriting import NoRewriteError, rewrite_chat, rewriter_for, time_for
from router.pictures.enhancement.rounds import dearest, left_usd, rounds_allowed
from router.routing.plan import Plan
from router.settings.values import ClientKey

_Shown = tuple[JsonObject, Decimal | None]
"""What is shown of a step, and its expected cost: None is unknown."""


def preview(gateway: Gateway, key: ClientKey, parsed: ParsedImage, plan: Plan) -> JsonObject | None:
    """Who would be asked, at what expected cost; None where nothing of it was asked for.

    `expected_cost_usd` is that of the rewrite and of a mark for each picture. A further round costs
    `expected_round_cost_usd` more, and is made only where a mark asks for it. A remembered rewrite costs nothing.
    """
    wish = parsed.directives.enhance
    if wish is None:
        return None
    limits = parsed.directives.max_cost_usd, gateway.settings.images.enhance.max_cost_usd
    left = left_usd(*limits, dearest(plan), Decimal(0))
    rewrite, first = _rewrite(gateway, key, parsed, plan, left) if wish.rewrite else _none("not asked for")
    critique, second = _critique(gateway, key, parsed, plan, left)
    total = None if first is None or second is None else float(first + second)
    return {"rewrite": rewrite, "critique": critique, "expected_cost_usd": total}


def _rewrite(gateway: Gateway, key: ClientKey, parsed: ParsedImage, plan: Plan, left: Decimal | None) -> _Shown:
    settings, patience_ms = gateway.settings.images.enhance, parsed.directives.max_latency_ms
    left_s = plan.deadline_s if patience_ms is None else min(plan.deadline_s, patience_ms / 1000)
    try:
        model = rewriter_for(parsed.request, settings)
        limit_s = time_for(settings.rewrite_timeout_s, left_s, plan)
    except NoRewriteError as exc:
        return _none(exc.message)
    return _helper(gateway, key, rewrite_chat(parsed.request, model), limit_s, left)


def _critique(gateway: Gateway, key: ClientKey, parsed: ParsedImage, plan: Plan, left: Decimal | None) -> _Shown:
    settings, wish, n = gateway.settings.images.enhance, parsed.directives.enhance, parsed.request.n
    rounds, less = rounds_allowed(wish.rounds if wish else 0, settings)
    if not rounds:
        return _none(less or "not asked for")
    body = judge_chat(str(settings.critique_model), parsed.request.prompt, (), (), b"", 1)
    shown, cost = _helper(gateway, key, body, settings.critique_timeout_s, None if left is None else left / n)
    picture = plan.candidates[0].expected_cost_usd
    if shown["runs"]:
        once_more = None if cost is None or picture is None else float(picture / n + cost)
        shown |= {"rounds": rounds, "threshold": settings.threshold, "expected_round_cost_usd": once_more}
    return shown, None if cost is None else cost * n


def _none(reason: str) -> _Shown:
    return {"runs": False, "reason": reason}, Decimal(0)


def _helper(gateway: Gateway, key: ClientKey, body: JsonObject, limit_s: float, limit_usd: Decimal | None) -> _Shown:
    model = body["model"]
    try:
        aside = plan_aside(gateway, key, body, limit_s, limit_usd)
    except RouterError as exc:
        return {"runs": False, "reason": exc.message, "model": model}, Decimal(0)
    cost, target = aside.expected_cost_usd, aside.plan.candidates[0].name
    shown = None if cost is None else float(cost)
    return {"runs": True, "model": model, "target": target, "expected_cost_usd": shown}, cost
