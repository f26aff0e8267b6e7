"""When an idle target is asked although another looks better: what is not asked is not learned.

A target is due after half a minute without a request; one that was slow, sooner, and at once while it answers in time
again. All probes together stay below a fiftieth of the requests. No chance is involved: the same state gives the same
answer, so a dry run tells what the request would do.
"""

import math
from collections.abc import Sequence

from router.routing.options import Option
from router.routing.state import TargetState

_IDLE_S = 30.0
_IDLE_SLOW_S = 8.0
_SLOW = 1.5
_DEAREST = 3  # times the best candidate's cost, and its wait where nothing is wrong: a probe is a caller's request
_UNSEEN = 3  # times more it may seem to wait while only its catalogue says so: what is not asked is not learned


def due(ordered: Sequence[Option], now: float, *, priced: bool) -> Option | None:
    """The option that this request should go to first to learn of it, if one is due; the one idle longest.

    `priced`: it is costs that count, so that nothing is learned at an unknown price.
    """
    if not ordered:
        return None
    best = ordered[0]
    priced = priced and best.pico_usd < math.inf
    chosen, longest = None, 0.0
    for option in ordered[1:]:
        state = option.row.state
        if state is None or (priced and option.pico_usd == math.inf):
            continue
        idle_s = now - state.asked_at
        if idle_s > longest and _is_due(state, idle_s, now) and _is_worth_it(option, best, state, now):
            chosen, longest = option, idle_s
    return chosen


def _is_due(state: TargetState, idle_s: float, now: float) -> bool:
    if state.in_flight or state.tripped:
        return False
    if state.latency.slowdown(now) <= _SLOW:
        return idle_s >= _IDLE_S
    return state.latency.recovering or idle_s >= _IDLE_SLOW_S


def _is_worth_it(option: Option, best: Option, state: TargetState, now: float) -> bool:
    """Whether the target could be the best one, and its answer costs no more than a few times the best one's."""
    if not option.comes_first:
        return False
    if math.inf > option.pico_usd > _DEAREST * best.pico_usd:
        return False
    usual_ms = option.wait_ms / state.latency.slowdown(now)
    return usual_ms <= _DEAREST * best.wait_ms * (1 if option.pace.known else _UNSEEN)
