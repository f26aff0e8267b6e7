"""Whether a target is slow right now: three of five late, overdue attempts included; and how load is learned."""

import math
import random
from statistics import fmean

import pytest
from builders import Desk, answered, info, model, settings
from hypothesis import given
from hypothesis import strategies as st

from router.routing.latency import LatencyModel, prompt_factor
from router.routing.load import Load
from router.routing.plan import Attempt, Features, Prediction
from router.routing.slowdown import Slowdown

SIGMA = 0.5
STREAM = Features(model="chat", stream=True)
USUAL = Prediction(ttft_ms=500.0, ttft_p95_ms=1100.0, total_ms=1750.0, total_p95_ms=2600.0, known=True)


def told(*ratios: float, now: float = 100.0) -> Slowdown:
    found = Slowdown()
    for place, ratio in enumerate(ratios):
        found.observe(math.log(ratio), SIGMA, now - 10 + place, now)
    return found


def test_one_or_two_stalls_are_no_brown_out() -> None:
    assert told(1.0, 1.0, 8.0, 1.0, 8.0).factor((), 100.0) < 2.0


def test_three_late_answers_of_five_are() -> None:
    assert told(1.0, 8.0, 1.0, 8.0, 9.0).factor((), 100.0) == pytest.approx(8.0)


def test_the_last_five_are_told_by_when_they_were_sent_not_by_when_they_came() -> None:
    found = told(1.0, 1.0, 1.0, 1.0, 1.0)
    for started in (50.0, 51.0, 52.0):
        found.observe(math.log(8.0), SIGMA, started, 101.0)
    assert found.factor((), 101.0) < 2.0


def test_attempts_that_are_overdue_count_before_they_end() -> None:
    found = told(1.0, 1.0, 1.0, 1.0, 1.0)
    overdue = [(95.0 + place, math.log(6.0)) for place in range(3)]
    assert found.factor(overdue[:2], 100.0) < 2.0
    assert found.factor(overdue, 100.0) == pytest.approx(6.0)


def test_without_a_word_a_slow_target_is_slowly_forgiven() -> None:
    found = told(8.0, 8.0, 8.0)
    factors = [found.factor((), 100.0 + idle) for idle in (0.0, 30.0, 60.0, 600.0)]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] == pytest.approx(8.0)
    assert factors[-1] == pytest.approx(1.0, abs=0.01)


def test_answers_in_time_end_it() -> None:
    found = told(8.0, 8.0, 8.0)
    for step in range(3):
        assert found.factor((), 101.0) > 2.0
        found.observe(0.0, SIGMA, 100.0 + step, 101.0)
    assert found.factor((), 101.0) < 2.0


@given(st.lists(st.floats(0.05, 50.0), max_size=12), st.floats(1.0, 10.0))
def test_slower_answers_never_make_it_less(ratios: list[float], slower: float) -> None:
    quick, slow = told(*ratios), told(*[ratio * slower for ratio in ratios])
    assert slow.factor((), 100.0) >= quick.factor((), 100.0) - 1e-9
    assert 0.1 < slow.factor((), 100.0) <= 20.0


# --- in the model of a target


def sent(model: LatencyModel, count: int, now: float) -> None:
    for key in range(count):
        model.began(key, USUAL, True, now)


def test_a_target_that_hangs_is_known_to_before_it_answers() -> None:
    model = LatencyModel(info(ttft_ms=500.0))
    sent(model, 4, 10.0)
    early = model.predict(STREAM, (100.0, 100.0), prompt_factor(STREAM), 10.5).ttft_ms
    late = model.predict(STREAM, (100.0, 100.0), prompt_factor(STREAM), 14.0).ttft_ms
    assert late > 3 * early
    assert model.slowdown(14.0) > 3


def test_a_whole_answer_is_not_overdue_while_it_may_be_a_long_one() -> None:
    model = LatencyModel(info(ttft_ms=500.0))
    for key in range(5):
        model.began(key, USUAL, False, 10.0)
    assert model.slowdown(13.0) == 1.0
    assert model.slowdown(40.0) > 2.0


def test_what_is_over_is_not_overdue() -> None:
    model = LatencyModel(info(ttft_ms=500.0))
    sent(model, 5, 10.0)
    for key in range(5):
        model.over(key)
    assert model.slowdown(1000.0) == 1.0


def told_quickly(ratio: float, count: int) -> Slowdown:
    """So many answers within a second, by chance spread around `ratio`."""
    found, chance = told(1.0, 1.0, 1.0, 1.0, 1.0, now=90.0), random.Random(1)
    for place in range(count):
        now = 100.0 + place / count
        found.observe(math.log(ratio) + chance.gauss(0.0, SIGMA), SIGMA, now, now)
    return found


def test_of_many_answers_a_second_the_trend_does_not_follow_chance() -> None:
    factors = [told_quickly(1.0, count).factor((), 101.0) for count in range(10, 400, 10)]
    assert math.exp(-0.1) < min(factors) <= max(factors) < math.exp(0.1)


def test_a_target_that_is_half_as_quick_again_is_noticed_within_seconds() -> None:
    found = told(1.0, 1.0, 1.0, 1.0, 1.0)
    for place in range(100):
        found.observe(math.log(1.5), SIGMA, 100.0 + place / 10, 100.0 + place / 10)
    assert found.factor((), 110.0) > 1.25


# --- load


def learned(times: dict[int, float], *, own: bool = True) -> Load:
    """A load that saw answers at each number under way take so many times as long as at none."""
    found = Load(own=own)
    for _ in range(100):
        for under_way, ratio in times.items():
            answered(found, under_way, ratio, USUAL)
    found.work_out()
    return found


def test_a_target_that_does_not_mind_load_is_learned_to() -> None:
    assert learned({0: 1.0, 3: 1.0, 6: 1.0, 10: 1.0}).slope < 0.001


def test_congestion_is_learned_from_what_was_under_way_at_the_start() -> None:
    found = learned({0: 1.0, 4: 1.04, 8: 1.3, 12: 2.0, 16: 3.4, 24: 9.0})
    for key in range(12):
        found.began(key, USUAL, True, 0.0)
    assert math.exp(found.strain()) == pytest.approx(2.0, rel=0.25)


def test_as_many_are_served_as_can_be_where_one_more_takes_its_own_time_from_the_others() -> None:
    found = learned({0: 1.0, 4: 1.04, 8: 1.3, 12: 2.0, 16: 3.4, 24: 9.0})
    served = {}
    for key in range(25):
        strain = found.strain()
        served[key / math.exp(strain)] = found.crowd(strain)
        found.began(key, USUAL, True, 0.0)
    assert served[max(served)] == pytest.approx(1.0, abs=0.2)


def test_a_public_target_is_not_supposed_to_mind_load_until_it_shows_that_it_does() -> None:
    found = Load(own=False)
    for key in range(50):
        found.began(key, USUAL, True, 0.0)
    assert found.strain() == 0.0
    assert learned({0: 1.0, 12: 2.0, 24: 9.0}, own=False).slope > 0.001


def test_what_is_only_supposed_of_load_does_not_make_a_slow_answer_look_quick() -> None:
    """Or whoever is slow from the start, and asked by a burst, is taken for the quickest."""
    for own, most in ((False, 1.0), (True, 1.5)):
        found = Load(own=own)
        for key in range(8):
            found.began(key, USUAL, True, 0.0)
        found.over(7)
        assert math.exp(found.eased()) <= most


def test_a_stream_counts_until_it_has_been_written() -> None:
    found = Desk(settings(model("chat", "a/m")))
    load = found.health.target("a", "m", info("m")).latency.load
    candidate, counts = found.plan(STREAM).candidates[0], [load.under_way]
    found.health.admit(candidate, streamed=True)
    counts.append(load.under_way)
    found.health.record(Attempt(candidate=candidate, duration_s=0.5), streamed=True)
    counts.append(load.under_way)
    found.clock.advance(3600.0)
    counts.append(load.under_way)
    found.health.written(candidate)
    assert [*counts, load.under_way] == [0, 1, 1, 1, 0]


def slope_error(seed: int, *, rates: bool) -> float:
    """By how much a slope of 0.1 is missed after forty answers with up to four under way."""
    found, chance = Load(own=True), random.Random(seed)
    for _ in range(40):
        begun = chance.randrange(5)
        found.observe(0.1 * begun**2 + chance.gauss(0.0, 0.7), begun)
        if rates:
            found.observe(0.1 * begun**2 + chance.gauss(0.0, 0.2), begun, rate=True)
    found.work_out()
    return abs(found.slope - 0.1)


def test_load_is_known_far_better_where_the_pace_of_streams_is_seen_as_well() -> None:
    with_rates, without = (fmean(slope_error(seed, rates=rates) for seed in range(50)) for rates in (True, False))
    assert with_rates < 0.5 * without


def test_paces_that_turn_out_to_scatter_count_for_less() -> None:
    steady, scattered, chance = Load(own=True), Load(own=True), random.Random(1)
    for _ in range(100):
        z = chance.gauss(0.0, 1.0)
        steady.observe(0.2 * z, 0, rate=True)
        scattered.observe(0.8 * z, 0, rate=True)
    for load in (steady, scattered):
        for begun in (0, 2, 0, 2):
            load.observe(0.2 * begun**2, begun, rate=True)
        load.work_out()
    assert 0.1 < scattered.slope < steady.slope - 0.02


def test_before_anything_is_learned_load_counts_a_little_and_never_much() -> None:
    found = Load(own=True)
    factors = [math.exp(found.strain())]
    for key in range(50):
        found.began(key, USUAL, True, 0.0)
        factors.append(math.exp(found.strain()))
    assert factors[0] == 1.0
    assert factors == sorted(factors)
    assert 1.05 < factors[1] < factors[-1] < 2.0


def test_who_hangs_before_the_first_token_is_not_expected_to_write_at_the_usual_pace() -> None:
    model = LatencyModel(info(ttft_ms=500.0, tpot_ms=10.0))
    sent(model, 4, 10.0)
    calm, hung = (model.predict(STREAM, (100.0, 100.0), prompt_factor(STREAM), now) for now in (10.5, 14.0))
    assert hung.total_ms - hung.ttft_ms > 3 * (calm.total_ms - calm.ttft_ms)
