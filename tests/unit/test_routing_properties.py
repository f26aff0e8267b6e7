"""What holds for every history: blocks are kept, slower or dearer is never asked more, an unknown price least of all,
somebody is always left to ask, and the dry run tells what the request does."""

import math
from decimal import Decimal

from builders import DAY, Desk, info, model, settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from providers.errors import ProviderError, RateLimitedError, UnavailableError
from providers.types import Usage
from router.errors import RouterError
from router.routing.plan import Attempt, Directives, Features
from router.routing.planner import AllBlockedError
from router.settings.values import Slo

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


def allow_probes(found: Desk) -> None:
    """So many requests that some of the next may be spent on learning of an idle target."""
    first = found.plan(Features(model="chat")).candidates[0]
    for _ in range(300):
        assert found.health.admit(first)
        found.health.record(Attempt(candidate=first, duration_s=0.2))


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


# --- prices


def share_at(usd: float, lengths: list[int], slo: Slo) -> float:
    """The part of requests that ask `a/m` first under `sort: cost` when it costs `usd` a million tokens."""
    catalogue = {**CATALOGUE, "m": info("m", str(usd), ttft_ms=500.0), "n": info("n", "1"), "o": info("o", "2")}
    found, asked = Desk(settings(model("chat", *NAMES, sort="cost", slo=slo), catalogue=catalogue)), 0
    for place, tokens in enumerate(lengths):
        features = Features(
            model="chat", stream=True, prompt_tokens=tokens, conversation=place % 5, affinity=place / len(lengths)
        )
        first = found.plan(features).candidates[0]
        asked += first.name == "a/m" and not first.probe
        assert found.health.admit(first, streamed=True)
        found.clock.advance(0.4)
        found.health.record(Attempt(candidate=first, duration_s=0.4))
        found.health.observe_usage(first, features, Usage(prompt_tokens=tokens, completion_tokens=tokens // 10))
    return asked / len(lengths)


@hypothesis_settings(max_examples=30)
@given(
    st.lists(st.integers(1, 20_000), min_size=40, max_size=40),
    st.floats(0.1, 5.0),
    st.floats(1.0, 4.0),
    st.sampled_from([Slo(), Slo(ttft_p95_ms=1500.0)]),
)
def test_a_target_that_gets_dearer_never_gets_a_larger_share(
    lengths: list[int], usd: float, dearer: float, slo: Slo
) -> None:
    assert share_at(usd * dearer, lengths, slo) <= share_at(usd, lengths, slo)


PRICED = {"m": info("m", None, ttft_ms=100.0), "n": info("n", "1", ttft_ms=900.0), "o": info("o", "2", ttft_ms=500.0)}


@given(events, st.sampled_from([Slo(), Slo(ttft_p95_ms=1000.0), Slo(ttft_p95_ms=10.0)]))
def test_an_unknown_price_is_never_chosen_over_a_known_one_that_is_well(
    history: list[tuple[int, str, float]], slo: Slo
) -> None:
    found = Desk(settings(model("chat", *NAMES, sort="cost", slo=slo), catalogue=PRICED))
    allow_probes(found)
    for place, kind, later_s in history:
        try:
            plan = found.plan(Features(model="chat", stream=True, conversation=1))
        except AllBlockedError:
            found.clock.advance(later_s)
            continue
        if plan.candidates[0].name == "a/m":
            others = [each for each in plan.candidates if each.name != "a/m"]
            assert all(each.starting for each in others)  # they come back by degrees
        asked = plan.candidates[min(place, len(plan.candidates) - 1)]
        if found.health.admit(asked, streamed=True):
            found.health.record(Attempt(candidate=asked, duration_s=0.2, error=error(kind)))
            found.health.observe_usage(asked, Features(conversation=1), Usage(prompt_tokens=2000))
        found.clock.advance(later_s)


# --- the dry run

WINDOWS = {
    "m": info("m", "1", context_tokens=8000, ttft_ms=400.0),
    "n": info("n", "1.02", context_tokens=8000),
    "o": info("o", "3", context_tokens=8000),
    "p": info("p", "2", context_tokens=100_000, quality=3),
    "q": info("q", None, context_tokens=1_000_000),
}
asks = st.fixed_dictionaries(
    {
        "prompt_tokens": st.sampled_from([10, 1500, 3000, 7000, 20_000]),
        "max_tokens": st.sampled_from([0, 50]),
        "conversation": st.integers(0, 3),
        "tools": st.integers(0, 1),
        "stream": st.booleans(),
        "affinity": st.floats(0, 0.99),
    }
)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "sort": st.sampled_from(["cost", "latency", "quality"]),
        "max_cost_usd": st.sampled_from([Decimal("0.0003"), Decimal("0.01")]),
        "max_latency_ms": st.sampled_from([500.0, 5000.0]),
        "ignore": st.sampled_from([("a",), ("b/n",)]),
        "order": st.just(("c",)),
        "allow_fallbacks": st.booleans(),
        "stream_mode": st.sampled_from(["live", "buffered"]),
    },
)
turns = st.lists(
    st.tuples(asks, wishes, st.sampled_from(["ok", "down", "429"]), st.floats(0.0, 40.0)), min_size=1, max_size=25
)


@hypothesis_settings(max_examples=60)
@given(st.sampled_from(["cost", "latency", "order", "weighted", "quality"]), turns)
def test_the_dry_run_tells_what_the_request_does(sort: str, history: list[tuple[dict, dict, str, float]]) -> None:  # type: ignore[type-arg]
    chat = model("chat", "a/m", "b/n", "c/o", "d/p", sort=sort, fallbacks=("large",))
    found = Desk(settings(chat, model("large", "a/p", "b/q"), catalogue=WINDOWS))
    allow_probes(found)
    for ask, wish, kind, later_s in history:
        features, directives, now = Features(model="chat", **ask), Directives(**wish), found.clock.now
        told = []
        for full in (True, False):
            try:
                plan = found.planner.plan(features, directives, now, DAY, full=full)
                told.append([each.name for each in plan.candidates])
            except RouterError as exc:
                told.append([type(exc).__name__])
        assert told[0] == told[1]
        if told[1][0].endswith("Error"):
            found.clock.advance(later_s)
            continue
        asked = plan.candidates[0]
        if found.health.admit(asked, streamed=features.stream):
            found.health.record(Attempt(candidate=asked, duration_s=0.2, error=error(kind)))
            if kind == "ok":
                counted = Usage(prompt_tokens=2 * features.prompt_tokens, completion_tokens=80)
                found.health.observe_usage(asked, features, counted)
        found.clock.advance(later_s)
