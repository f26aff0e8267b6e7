"""How what was learned fades: by half in tau * ln 2, whatever the spacing of samples."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.routing.budget import RetryBudget
from router.routing.latency import DecayedLogNormal
from router.routing.slowdown import Slowdown

TAU_S, TREND_TAU_S, BUDGET_TAU_S = 600.0, 8.0, 10.0
CHANCE = 0.2 * 0.5  # a trend nearer to nothing is taken for none

spaced = st.lists(st.tuples(st.floats(0.0, 900.0), st.floats(0.5, 1.8)), min_size=1, max_size=60)


def prior_weight(samples: float, off: float) -> float:
    """For how many samples the catalogue's figure counts, beside so many that are `off` by a factor of e to that."""
    return 5.0 / (1 + off**2 / (0.6**2 + 0.5**2 / samples))


def weight(model: DecayedLogNormal, now: float, prior: float, sample: float) -> float:
    """For how many samples those count that were all alike and near the prior."""
    pulled = (model.moments(now)[0] - math.log(prior)) / math.log(sample / prior)
    return 5.0 * pulled / (1 - pulled)


@given(spaced, st.floats(0.0, 3000.0))
def test_a_mean_weighs_every_sample_by_its_age_however_they_came(
    samples: list[tuple[float, float]], later: float
) -> None:
    model, now, seen = DecayedLogNormal(0.9), 1000.0, []
    for gap_s, value in samples:
        now += gap_s
        model.observe(value, now)
        seen.append((now, math.log(value)))
    now += later
    weights = [math.exp((at - now) / TAU_S) for at, _ in seen]
    mean = sum(each * y for each, (_, y) in zip(weights, seen, strict=True)) / sum(weights)
    prior = prior_weight(sum(weights), mean - math.log(0.9))
    direct = (sum(weights) * mean + prior * math.log(0.9)) / (sum(weights) + prior)
    assert model.moments(now + 0.2)[0] == pytest.approx(direct, abs=1e-3)


@given(st.integers(1, 200), st.floats(0.0, 2000.0))
def test_samples_count_half_after_their_half_life(count: int, later: float) -> None:
    model = DecayedLogNormal(1.0)
    for _ in range(count):
        model.observe(1.01, 0.0)
    later += 0.2  # what is shown is worked out at most ten times a second
    before = weight(model, later, 1.0, 1.01)
    assert weight(model, later + TAU_S * math.log(2), 1.0, 1.01) == pytest.approx(before / 2, rel=1e-3)


@given(st.lists(st.floats(-0.9, 0.9), min_size=1, max_size=20), st.floats(2.0, 60.0))
def test_a_trend_is_half_after_its_half_life_and_nothing_in_the_end(ratios: list[float], later: float) -> None:
    found = Slowdown()
    for place, ratio in enumerate(ratios):
        found.observe(ratio, 0.5, float(place), float(place))
    last = float(len(ratios) - 1)
    trend = abs(math.log(found.factor((), last + later)))
    half = abs(math.log(found.factor((), last + later + TREND_TAU_S * math.log(2))))
    assert half == pytest.approx(max(0.0, (trend + CHANCE) / 2 - CHANCE) if trend else 0.0, abs=1e-9)
    assert found.factor((), last + 1000.0) == pytest.approx(1.0)


def test_what_requests_earned_is_half_after_its_half_life() -> None:
    def given_after(idle_s: float) -> int:
        budget = RetryBudget(0.1, 0.0)
        for _ in range(10_000):
            budget.request(0.0)
        return sum(budget.take(idle_s) for _ in range(2000)) - 10  # ten are those of the time, never more saved

    assert given_after(0.0) == 1000
    assert given_after(BUDGET_TAU_S * math.log(2)) == 500
