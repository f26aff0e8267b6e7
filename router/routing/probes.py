"""When an idle target is asked although another looks better: what is not asked is not learned.

A target is due after half a minute without a request; one that was slow, sooner, and at once while it answers in time
again. All probes together stay below a fiftieth of the requests. No chance is involved: the same state gives the same
answer, so a dry run tells what the request would do.
"""

from collections.abc import Sequence

from router.routing.health import Health
from router.routing.ordering import wait_ms
from router.routing.plan import Candidate, Features
from router.routing.state import TargetState

_IDLE_S = 30.0
_IDLE_SLOW_S = 8.0
_SLOW = 1.5
_DEAREST = 3  # times the best candidate's cost, and its wait where nothing is wrong: a probe is a caller's request


def due(
    ordered: Sequence[Candidate], health: Health, features: Features, now: float, *, priced: bool
) -> Candidate | None:
    """The candidate that this request should go to first to learn of it, if one is due; the one idle longest.

    `priced`: it is costs that count, so that nothing is learned at an unknown price.
    """
    if not ordered:
        return None
    best = ordered[0]
    priced = priced and best.expected_cost_usd is not None
    chosen, longest = None, 0.0
    for candidate in ordered[1:]:
        if priced and candidate.expected_cost_usd is None:
            continue
        state = health.target(candidate.provider, candidate.model, candidate.info)
        idle_s = now - state.asked_at
        if idle_s > longest and _is_due(state, idle_s, now) and _is_worth_it(candidate, best, state, features, now):
            chosen, longest = candidate, idle_s
    return chosen


def _is_due(state: TargetState, idle_s: float, now: float) -> bool:
    if state.in_flight or state.tripped:
        return False
    if state.latency.slowdown(now) <= _SLOW:
        return idle_s >= _IDLE_S
    return state.latency.recovering or idle_s >= _IDLE_SLOW_S


def _is_worth_it(candidate: Candidate, best: Candidate, state: TargetState, features: Features, now: float) -> bool:
    """Whether the target could be the best one, and its answer costs no more than a few times the best one's."""
    if candidate.last_resort or candidate.full:
        return False
    cost, least = candidate.expected_cost_usd, best.expected_cost_usd
    if cost is not None and least is not None and cost > _DEAREST * least:
        return False
    usual_ms = wait_ms(candidate.prediction, features) / state.latency.slowdown(now)
    return usual_ms <= _DEAREST * wait_ms(best.prediction, features)
