"""What enhancement of a request would come to, without asking anybody: for dry runs."""

from decimal import Decimal

from providers.types import JsonObject
from router.api.enhancing.aside import plan_aside
from router.api.gateway import Gateway
from router.api.image_request import ParsedImage
from router.errors import RouterError
from router.pictures.enhancement.judging import judge_chat
from router.pictures.enhancement.rewriting import obstacle, rewrite_chat
from router.pictures.enhancement.rounds import dearest, left_usd, rounds_allowed
from router.routing.plan import Plan
from router.settings.values import ClientKey


def preview(gateway: Gateway, key: ClientKey, parsed: ParsedImage, plan: Plan) -> JsonObject | None:
    """Who would be asked, at what expected cost; None where nothing of it was asked for.

    `expected_cost_usd` is that of the rewrite and of a mark for each picture. A further round costs
    `expected_round_cost_usd` more, and is made only where a mark asks for it. A remembered rewrite costs nothing.
    """
    wish, settings, request = parsed.directives.enhance, gateway.settings.images.enhance, parsed.request
    if wish is None:
        return None
    left = left_usd(parsed.directives.max_cost_usd, settings.max_cost_usd, dearest(plan), Decimal(0))
    rounds, less = rounds_allowed(wish.rounds, settings)
    rewrite: JsonObject = {"runs": False, "reason": "not asked for"}
    critique: JsonObject = {"runs": False, "reason": less or "not asked for"}
    costs: list[Decimal | None] = []
    if wish.rewrite:
        refused = "no model is configured to rewrite it" if settings.rewrite_model is None else obstacle(request)
        rewrite = {"runs": False, "reason": refused}
        if settings.rewrite_model is not None and not refused:
            body = rewrite_chat(request, settings.rewrite_model)
            rewrite, cost = _helper(gateway, key, body, settings.rewrite_timeout_s, left)
            costs.append(cost)
    if rounds and settings.critique_model is not None:
        body = judge_chat(settings.critique_model, request.prompt, (), (), b"", 1)
        share = None if left is None else left / request.n
        critique, cost = _helper(gateway, key, body, settings.critique_timeout_s, share)
        costs.append(None if cost is None else cost * request.n)
        picture = plan.candidates[0].expected_cost_usd
        once_more = None if cost is None or picture is None else float(picture / request.n + cost)
        if critique["runs"]:
            critique |= {
                "rounds": rounds,
                "threshold": settings.threshold,
                "expected_round_cost_usd": once_more,
            }
    known = [cost for cost in costs if cost is not None]
    total = float(sum(known)) if len(known) == len(costs) else None
    return {"rewrite": rewrite, "critique": critique, "expected_cost_usd": total}


def _helper(
    gateway: Gateway, key: ClientKey, body: JsonObject, limit_s: float, limit_usd: Decimal | None
) -> tuple[JsonObject, Decimal | None]:
    """What is shown of one helping call, and its expected cost: nothing where it would not be made."""
    model = body["model"]
    try:
        aside = plan_aside(gateway, key, body, limit_s, limit_usd)
    except RouterError as exc:
        return {"runs": False, "reason": exc.message, "model": model}, Decimal(0)
    cost, target = aside.expected_cost_usd, aside.plan.candidates[0].name
    shown = None if cost is None else float(cost)
    return {"runs": True, "model": model, "target": target, "expected_cost_usd": shown}, cost
