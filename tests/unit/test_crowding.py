"""What one more request takes from the others: nobody is sent to a target that serves fewer the more are sent there."""

import math

import pytest
from builders import Desk, answered, info, model, settings

from router.routing.load import Load
from router.routing.plan import Features, Prediction
from router.settings.values import Slo

CAPACITY = 12.0  # at which answers take twice as long
USUAL = Prediction(ttft_ms=500.0, ttft_p95_ms=1100.0, total_ms=1750.0, total_p95_ms=2600.0, known=True)
STREAM = Features(model="chat", stream=True)
CATALOGUE = {"quick": info("quick", "1", ttft_ms=400.0), "calm": info("calm", "4", ttft_ms=600.0)}


def crowded(under_way: int) -> Load:
    """So many under way where congestion has been learned."""
    load = Load(own=True)
    for _ in range(60):
        for before in (0, 4, 8, 12, 16, 20):
            answered(load, before, 1 + (before / CAPACITY) ** 3, USUAL)
    load.work_out()
    for key in range(under_way):
        load.began(key, USUAL, True, 1000.0)
    return load


def desk(under_way: int, **more: object) -> Desk:
    """`a/quick` has so many under way, `b/calm` none."""
    found = Desk(settings(model("chat", "a/quick", "b/calm", **more), catalogue=CATALOGUE))
    found.health.target("a", "quick", CATALOGUE["quick"]).latency.load = crowded(under_way)
    return found


def first(under_way: int, **more: object) -> str:
    return desk(under_way, **more).names(STREAM)[0]


def test_a_target_is_left_before_a_request_would_wait_as_long_there_as_elsewhere() -> None:
    chosen = {under_way: first(under_way, sort="latency") for under_way in range(15)}
    left_at = next(under_way for under_way, name in chosen.items() if name == "b/calm")
    found = desk(left_at, sort="latency")
    quick, calm = (each.prediction for each in found.plan(STREAM).candidates[::-1])
    crowd = found.health.target("a", "quick", CATALOGUE["quick"]).latency.pace(STREAM, found.clock.now).crowd
    assert quick.ttft_ms < calm.ttft_ms, "the caller alone would wait less there"
    assert quick.ttft_ms * (1 + crowd) > calm.ttft_ms
    assert all(name == "b/calm" for under_way, name in chosen.items() if under_way >= left_at)


def test_under_an_slo_the_cheapest_is_asked_only_while_more_requests_are_served_the_more_are_sent() -> None:
    slo = Slo(ttft_p95_ms=60_000.0)
    chosen = [first(under_way, sort="cost", slo=slo) for under_way in range(20)]
    most = max(range(20), key=lambda under_way: under_way / (1 + (under_way / CAPACITY) ** 3))
    assert abs(chosen.index("b/calm") - most) <= 2
    assert set(chosen[: most - 2]) == {"a/quick"}


def test_without_an_slo_time_does_not_matter_and_the_cheapest_is_asked() -> None:
    assert {first(under_way, sort="cost") for under_way in range(0, 40, 5)} == {"a/quick"}


def told(capacity: float, under_way: int) -> float:
    """How many times slower the next answer of a server is expected to be of which nothing else is known."""
    load = Load(own=True, capacity=capacity)
    for key in range(under_way):
        load.began(key, USUAL, True, 0.0)
    return math.exp(load.strain())


def test_a_server_is_expected_to_be_twice_as_slow_at_the_capacity_that_was_told() -> None:
    assert [told(capacity, int(capacity)) for capacity in (1.0, 5.0, 40.0)] == pytest.approx([2.0, 2.0, 2.0])
    assert told(40.0, 4) < 1.01 < 1.5 < told(5.0, 4)


def test_the_roomier_of_two_servers_gets_more_of_the_first_burst_when_it_is_told() -> None:
    def burst(**capacities: int) -> list[int]:
        found = Desk(settings(model("chat", "a/quick", "b/calm", sort="latency"), catalogue=CATALOGUE))
        for name, (provider, target) in {"quick": ("a", "quick"), "calm": ("b", "calm")}.items():
            latency = found.health.target(provider, target, CATALOGUE[name]).latency
            latency.load = Load(own=True, capacity=float(capacities.get(name, 0)))
        asked = []
        for _ in range(20):
            asked.append(found.plan(STREAM).candidates[0])  # an attempt is known by its candidate while that lives
            found.health.admit(asked[-1], streamed=True)
        models = [candidate.model for candidate in asked]
        return [models.count("quick"), models.count("calm")]

    roomy, narrow = burst(quick=16, calm=4), burst(quick=4, calm=16)
    assert roomy[0] > roomy[1] > 0
    assert narrow[1] > narrow[0] > 0
    assert burst() == [20, 0], "who is told nothing fills the quicker one"


def test_answers_outweigh_a_capacity_that_was_told_wrong() -> None:
    load = Load(own=True, capacity=3.0)
    for before in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9) * 6:
        answered(load, before, 1 + (before / CAPACITY) ** 3, USUAL)
    load.work_out()
    assert load.slope == pytest.approx(math.log(2) / CAPACITY**2, rel=0.5)


def test_what_is_only_supposed_of_load_never_makes_a_target_full() -> None:
    found = Desk(settings(model("chat", "a/quick", "b/calm", slo=Slo(ttft_p95_ms=60_000.0)), catalogue=CATALOGUE))
    load = found.health.target("a", "quick", CATALOGUE["quick"]).latency.load
    for key in range(100):
        load.began(key, USUAL, True, 1000.0)
    assert found.names(STREAM)[0] == "a/quick"


def after_a_few(*, own: bool) -> Load:
    """A load that saw six answers, the later the slower: by chance or not."""
    load = Load(own=own)
    for before, ratio in ((0, 0.7), (1, 1.0), (2, 0.9), (3, 1.6), (4, 1.4), (5, 2.0)):
        answered(load, before, ratio, USUAL)
    load.work_out()
    return load


def test_a_few_answers_that_chance_may_have_made_slower_spare_a_server_in_part_and_a_public_one_not() -> None:
    public, own = after_a_few(own=False), after_a_few(own=True)
    assert public.slope == public.crowd(3.0) == 0.0
    assert own.slope > 0.01
    assert 0.5 < own.crowd(3.0) < 0.9 * 2 * 3.0


def test_a_long_prompt_is_not_held_against_a_target_whose_usual_answers_keep_the_slo() -> None:
    found = desk(0, sort="cost", slo=Slo(ttft_p95_ms=1400.0))
    long = found.plan(Features(model="chat", stream=True, prompt_tokens=100_000))
    assert long.candidates[0].name == "a/quick"
    assert long.candidates[0].prediction.ttft_p95_ms > 1400.0


@pytest.mark.parametrize(("took_s", "asked"), [(0.8, "a/quick"), (1.5, "b/calm")])
def test_where_prompts_are_usually_long_the_slo_is_kept_for_long_ones(took_s: float, asked: str) -> None:
    slo = Slo(ttft_p95_ms=1400.0)
    found = Desk(settings(model("chat", "a/quick", "b/calm", sort="cost", slo=slo), catalogue=CATALOGUE))
    state, long = found.health.target("a", "quick", CATALOGUE["quick"]), Features(stream=True, prompt_tokens=100_000)
    for _ in range(200):
        found.clock.advance(1.0)
        state.latency.observe_first_token(long, took_s, found.clock.now)
    assert found.names(STREAM)[0] == asked
