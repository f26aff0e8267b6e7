"""Why a target may not serve a request although it could: what the caller forbade, and limits it would break."""

from collections.abc import Sequence
from decimal import Decimal

from router.routing.ordering import wait_ms
from router.routing.plan import Directives, Excluded, Features, Prediction
from router.routing.resolve import Target


def disallowed(target: Target, directives: Directives) -> Excluded | None:
    """The target as the caller's `only` or `ignore` keeps it out, if they do."""
    provider, model = target.key
    names = (provider, f"{provider}/{model}", model)
    if directives.only and not any(name in directives.only for name in names):
        return Excluded(provider=provider, model=model, reason="not among the caller's `only`")
    if any(name in directives.ignore for name in names):
        return Excluded(provider=provider, model=model, reason="among the caller's `ignore`")
    return None


def over_limit(expected: Decimal | None, prediction: Prediction, features: Features, directives: Directives) -> str:
    """Whether the target is expected to break a limit of the caller's."""
    limit = directives.max_cost_usd
    if limit is not None:
        if expected is None:
            return "its price is unknown, so max_cost_usd cannot be kept"
        if expected > limit:
            return f"expected to cost ${expected:.6f}, above max_cost_usd ${limit:.6f}"
    if directives.max_latency_ms is not None:
        wait = wait_ms(prediction, features)
        if wait > directives.max_latency_ms:
            return f"expected to take {wait:.0f} ms, above max_latency_ms {directives.max_latency_ms:.0f}"
    return ""


def limiting_field(directives: Directives, excluded: Sequence[Excluded]) -> str | None:
    """The request's field that kept targets out, for the error that says so."""
    if directives.max_cost_usd is not None and any("max_cost_usd" in entry.reason for entry in excluded):
        return "router.max_cost_usd"
    if directives.max_latency_ms is not None and any("max_latency_ms" in entry.reason for entry in excluded):
        return "router.max_latency_ms"
    return next((entry.param for entry in excluded if entry.param), "model")


def nearest_feasible(excluded: Sequence[Excluded], features: Features, directives: Directives) -> str:
    """The excluded target that comes closest to the caller's limit, with the limit that would admit it."""
    if directives.max_cost_usd is not None:
        priced = [
            (entry.expected_cost_usd, entry.name)
            for entry in excluded
            if entry.expected_cost_usd is not None and "max_cost_usd" in entry.reason
        ]
        if priced:
            price, name = min(priced)
            return f"{name} at about ${price:.6f}"
    if directives.max_latency_ms is not None:
        timed = [(wait_ms(entry.prediction, features), entry.name) for entry in excluded if entry.prediction]
        if timed:
            wait, name = min(timed)
            return f"{name} at about {wait:.0f} ms"
    return ""
