"""Why a target may not serve a request although it could: what the caller forbade, and limits it would break."""

import math
from collections.abc import Sequence
from decimal import Decimal

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
    limit, broken = directives.max_cost_usd, []
    if limit is not None and expected is None:
        broken.append("its price is unknown, so max_cost_usd cannot be kept")
    elif limit is not None and expected is not None and expected > limit:
        broken.append(f"expected to cost ${expected:.6f}, above max_cost_usd ${limit:.6f}")
    if directives.max_latency_ms is not None:
        wait = _wait_ms(prediction, features)
        if wait > directives.max_latency_ms:
            broken.append(f"expected to take {wait:.0f} ms, above max_latency_ms {directives.max_latency_ms:.0f}")
    return " and ".join(broken)


def _wait_ms(prediction: Prediction, features: Features) -> float:
    """What the caller waits for: a stream's first content, or the whole answer."""
    return prediction.ttft_ms if features.stream else prediction.total_ms


def limiting_field(directives: Directives, excluded: Sequence[Excluded]) -> str | None:
    """The request's field that kept targets out, for the error that says so."""
    for field in ("max_cost_usd", "max_latency_ms"):
        if getattr(directives, field) is not None and any(field in entry.reason for entry in excluded):
            return f"router.{field}"
    return next((entry.param for entry in excluded if entry.param), "model")


def nearest_feasible(excluded: Sequence[Excluded], features: Features, directives: Directives) -> tuple[str, str]:
    """The target that comes closest to the caller's limits among those they alone keep out, with what it would take,
    and the request's field that keeps it out; ("", "") where there is none.

    One that breaks a single limit comes before those that break both.
    """
    found: list[tuple[bool, float, str, str]] = []  # does it break both, by which factor, in words, which
    for entry in excluded:
        cost, limit = entry.expected_cost_usd, directives.max_cost_usd
        if entry.prediction is None or (cost is None and limit is not None):
            continue
        excess, words, fields = [], [], []
        if limit is not None and cost is not None and cost > limit:
            excess.append(float(cost / limit) if limit else math.inf)
            words.append(f"${cost:.6f}")
            fields.append("router.max_cost_usd")
        wait, most = _wait_ms(entry.prediction, features), directives.max_latency_ms
        if most is not None and wait > most:
            excess.append(wait / most)
            words.append(f"{wait:.0f} ms")
            fields.append("router.max_latency_ms")
        if words:
            told = f"{entry.name} at about {' and '.join(words)}"
            found.append((len(words) > 1, math.prod(excess), told, fields[0]))
    return min(found)[2:] if found else ("", "")
