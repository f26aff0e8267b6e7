"""What holds for every history: blocks are kept, slower is never asked more, somebody is always left to ask."""

import math

from builders import Desk, info, model, settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from providers.errors import ProviderError, RateLimitedError, UnavailableError
from router.routing.plan import Attempt, Features
from router.routing.planner import AllBlockedError

NAMES = ("a/m", "b/n", "c/o")
CATALOGUE = {each[2:]: info(each[2:], ttft_ms=500.0 + 100 * place) for place, each in enumerate(NAMES)}

# who is asked (by its place in the plan), what comes of it, and how many seconds pass
events = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["ok", "down", "429"]), st.floats(0.0, 40.0)), max_size=60
)


def desk() -> Desk:
    return Desk(settings(model("chat", *NAMES, sort="latency"), catalogue=CATALOGUE))


def error(kind: str) -> ProviderError | None:
    return {"ok": None, "down": UnavailableError("down"), "429": RateLimitedError("slow", retry_after_s=25.0)}[kind]


@given(events)
def test_a_blocked_target_gets_no_attempt_before_its_time_and_somebody_is_left_unless_all_are_blocked(
    history: list[tuple[int, str, float]],
) -> None:
    found, blocked_until = desk(), dict.fromkeys(NAMES, -math.inf)
    for place, kind, later_s in history:
        now = found.clock.now
        try:
            plan = found.plan(Features(model="chat", stream=True))
        except AllBlockedError:
            assert all(until > now for until in blocked_until.values())
            found.clock.advance(later_s)
            continue
        assert plan.candidates
        assert all(blocked_until[each.name] <= now for each in plan.candidates)
        asked = plan.candidates[min(place, len(plan.candidates) - 1)]
        if found.health.admit(asked, streamed=True):
            found.health.record(Attempt(candidate=asked, duration_s=0.2, error=error(kind)))
            if kind == "429":
                blocked_until[asked.name] = max(blocked_until[asked.name], now + 25.0)
        found.clock.advance(later_s)


def share(slowness: float, base_s: list[float]) -> float:
    """The part of requests that ask `a/m` first when it takes `slowness` times what it took."""
    found, asked = desk(), 0
    for place, seconds in enumerate(base_s):
        features = Features(model="chat", stream=True, affinity=place / len(base_s))
        first = found.plan(features).candidates[0]
        mine = first.name == "a/m"
        asked += mine
        took_s = seconds * (slowness if mine else 1.0)
        assert found.health.admit(first, streamed=True)
        found.clock.advance(took_s)
        found.health.record(Attempt(candidate=first, duration_s=took_s))
        state = found.health.target(first.provider, first.model, first.info)
        state.latency.observe_first_token(features, took_s, found.clock.now)
    return asked / len(base_s)


@hypothesis_settings(max_examples=30)
@given(st.lists(st.floats(0.4, 0.6), min_size=60, max_size=60), st.sampled_from([1.5, 3.0, 8.0]))
def test_a_target_that_gets_slower_never_gets_a_larger_share(base_s: list[float], slower: float) -> None:
    probes = 1 + 60 * 5 / 30 / 60  # a probe or two may fall differently, because time passes differently
    assert share(slower, base_s) <= share(1.0, base_s) + probes / 60
