"""Who served a conversation, what its cache is worth, and when a conversation leaves all the same."""

from decimal import Decimal

import pytest
from builders import Desk, candidate, info, model, price, settings, target

from providers.catalogue import LongContext
from providers.errors import RateLimitedError
from providers.types import Usage
from router.routing.plan import Attempt, Features
from router.routing.warm_cache import _MAX_CONVERSATIONS, CacheHits, Conversations, Last
from router.settings.values import Slo

KEY = ("a", "m")
TALK = Features(model="chat", prompt_tokens=10_000, conversation=7)
CACHED = price("1", "1", cached_input=Decimal("0.1"))


def used(prompt: int = 10_000, cached: int = 0) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=250, cached_tokens=cached)


# --- what is remembered


@pytest.mark.parametrize(
    ("before", "after", "later_s", "expected"),
    [(10_000, 12_000, 60, 5000), (10_000, 4000, 60, 2000), (1000, 12_000, 60, 0), (10_000, 12_000, 301, 0)],
)
def test_half_of_what_is_repeated_soon_is_expected_in_the_cache(
    before: int, after: int, later_s: float, expected: int
) -> None:
    assert CacheHits().expected(Last(KEY, 1000.0, before), after, 1000.0 + later_s) == expected


def test_what_a_target_reads_from_its_cache_is_learned() -> None:
    for cached, share in ((0, 0.0), (9000, 0.9), (20_000, 1.0)):
        conversations, hits = Conversations(), CacheHits()
        for turn in range(300):
            conversations.served(7, KEY, hits, used(cached=cached), 1000.0 + turn)
        assert hits.share == pytest.approx(share, abs=0.01)


def test_nothing_is_learned_of_a_cache_that_could_not_have_held_anything() -> None:
    conversations, hits = Conversations(), CacheHits()
    conversations.served(7, KEY, hits, used(), 1000.0)
    conversations.served(8, KEY, hits, used(), 1000.0)  # another conversation
    conversations.served(7, ("b", "n"), hits, used(), 1001.0)  # another target
    conversations.served(7, KEY, hits, used(), 1002.0)
    conversations.served(7, KEY, hits, used(), 2000.0)  # much later
    conversations.served(7, KEY, hits, used(prompt=500), 2001.0)  # too short to be kept
    assert hits.share == 0.5


def test_conversations_are_forgotten_after_an_hour_and_when_there_are_too_many() -> None:
    conversations, hits = Conversations(), CacheHits()
    for number in range(1, 2 * _MAX_CONVERSATIONS):
        conversations.served(number, KEY, hits, used(), 1000.0)
        conversations.served(1, KEY, hits, used(), 1000.0)  # the one that goes on stays
    assert len(conversations._last) <= _MAX_CONVERSATIONS
    assert conversations.last(1, 1000.0) is not None
    assert conversations.last(2, 1000.0) is None
    assert conversations.last(1, 1000.0 + 3601) is None


# --- what plans make of it


def desk(dearer: str = "0.9", **more: object) -> Desk:
    """`a/m`, which keeps prompts, and a slightly cheaper `b/n`, which does not."""
    catalogue = {"m": info("m", prices=(CACHED,)), "n": info("n", dearer)}
    return Desk(settings(model("chat", "a/m", "b/n", **more), catalogue=catalogue))


def answer(found: Desk, name: str, usage: Usage, features: Features = TALK) -> None:
    asked = next(each for each in found.plan(features).candidates if each.name == name)
    found.health.observe_usage(asked, features, usage)
    found.clock.advance(1)


def test_a_conversation_stays_where_its_prompt_is_cached_and_others_go_to_the_cheaper_target() -> None:
    found = desk()
    assert found.names(TALK) == ["b/n", "a/m"]
    answer(found, "a/m", used())
    assert found.names(TALK) == ["a/m", "b/n"]
    assert found.names(Features(model="chat", prompt_tokens=10_000, conversation=8)) == ["b/n", "a/m"]
    assert found.names(Features(model="chat", prompt_tokens=10_000)) == ["b/n", "a/m"]


def test_leaving_costs_what_the_cache_would_have_saved() -> None:
    found = desk()
    answer(found, "a/m", used())
    warm, cold = found.plan(TALK).candidates
    assert warm.expected_cost_usd == Decimal(5000 * 1 + 250) / 10**6 + Decimal(5000) / 10**7
    assert cold.expected_cost_usd == Decimal("0.9") * (10_000 + 250) / 10**6
    assert warm.reason == "about 5000 tokens of the prompt in its cache"


def test_a_cache_that_is_cold_by_now_keeps_nobody() -> None:
    found = desk()
    answer(found, "a/m", used())
    found.clock.advance(300)
    assert found.names(TALK) == ["b/n", "a/m"]


def test_a_target_that_never_reads_from_its_cache_keeps_nobody() -> None:
    found = desk()
    for _ in range(200):
        answer(found, "a/m", used(cached=0))
    assert found.names(TALK) == ["b/n", "a/m"]


def test_a_conversation_leaves_for_more_than_the_cache_is_worth() -> None:
    found = desk(dearer="0.3")
    answer(found, "a/m", used())
    assert found.names(TALK) == ["b/n", "a/m"]


@pytest.mark.parametrize(("dearer", "first"), [("0.97", "a/m"), ("0.94", "b/n")])
def test_for_five_percent_nobody_moves(dearer: str, first: str) -> None:
    found = desk(dearer=dearer)
    short = Features(model="chat", prompt_tokens=500, conversation=7)  # too short for a cache
    assert found.names(short)[0] == "b/n"
    answer(found, "a/m", used(prompt=500), short)
    assert found.names(short)[0] == first


@pytest.mark.parametrize(("ms", "first"), [(960.0, "a/m"), (900.0, "b/n")])
def test_for_five_percent_of_the_wait_nobody_moves(ms: float, first: str) -> None:
    catalogue = {"m": info("m", ttft_ms=1000.0), "n": info("n", ttft_ms=ms)}
    found = Desk(settings(model("chat", "a/m", "b/n", sort="latency"), catalogue=catalogue))
    features = Features(model="chat", prompt_tokens=500, conversation=7, stream=True)
    assert found.names(features)[0] == "b/n"
    answer(found, "a/m", used(prompt=500), features)
    assert found.names(features)[0] == first


@pytest.mark.parametrize("sort", ["order", "weighted"])
def test_an_order_that_the_configuration_says_is_kept(sort: str) -> None:
    found = desk(sort=sort)
    first = found.names(TALK)
    answer(found, first[1], used())
    assert found.names(TALK) == first


def test_a_target_without_weight_keeps_no_conversation_that_failed_over_to_it() -> None:
    catalogue = {"m": info("m"), "n": info("n")}
    found = Desk(settings(model("chat", target("a/m", weight=0.0), "b/n"), catalogue=catalogue))
    answer(found, "a/m", used(prompt=500))
    assert found.names(TALK) == ["b/n", "a/m"]


def test_a_conversation_leaves_a_target_that_is_blocked_or_misses_the_slo() -> None:
    found = desk()
    answer(found, "a/m", used())
    asked = found.plan(TALK).candidates[0]
    found.health.admit(asked)
    found.health.record(Attempt(candidate=asked, duration_s=0.1, error=RateLimitedError("slow", retry_after_s=60)))
    assert found.names(TALK) == ["b/n"]
    catalogue = {"m": info("m", prices=(CACHED,), ttft_ms=9000.0), "n": info("n", "0.9", ttft_ms=100.0)}
    slow = Desk(settings(model("chat", "a/m", "b/n", slo=Slo(total_p95_ms=9000)), catalogue=catalogue))
    answer(slow, "a/m", used())
    assert slow.names(TALK) == ["b/n", "a/m"]


def test_cached_tokens_of_a_long_prompt_are_priced_in_their_tier() -> None:
    tier = LongContext(above_tokens=200_000, input=Decimal(2), output=Decimal(2), cached_input=Decimal("0.2"))
    long = price("1", "1", cached_input=Decimal("0.1"), long_context=tier)
    found = Desk(settings(model("chat", "a/m"), catalogue={"m": info("m", prices=(long,))}))
    features = Features(model="chat", prompt_tokens=300_000, conversation=7)
    answer(found, "a/m", used(prompt=300_000), features)
    expected = found.plan(features).candidates[0].expected_cost_usd
    assert expected == Decimal(150_000 * 2 + 250 * 2) / 10**6 + Decimal(150_000 * 2) / 10**7


def test_who_answers_is_remembered_by_whom_it_was() -> None:
    found = desk()
    found.health.observe_usage(candidate("b/n"), TALK, used())
    last = found.health.conversations.last(7, found.clock.now)
    assert last is not None
    assert last.key == ("b", "n")
