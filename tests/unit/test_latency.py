"""Predicted latency: what it learns from, how it forgets, and that slower never looks faster."""

import math

import pytest
from builders import info
from hypothesis import given
from hypothesis import strategies as st

from providers.types import ImageSize
from router.routing.latency import DecayedLogNormal, LatencyModel, prompt_factor
from router.routing.limits import Gate, Gradient
from router.routing.plan import Features, Prediction

CHAT = Features(model="chat", prompt_tokens=500)
PICTURE = Features(kind="image", size=ImageSize(width=1024, height=1024, tier="1K"))
seconds = st.floats(0.06, 15.0)  # within a factor of twenty of the prior of 0.9 s


def predicted(model: LatencyModel, features: Features, output_tokens: float, now: float) -> Prediction:
    return model.predict(features, (output_tokens, output_tokens), prompt_factor(features), now)


def learned(*samples: float, now: float = 1000.0, gap: float = 1.0, prior: float = 0.9) -> tuple[float, float]:
    model = DecayedLogNormal(prior)
    for position, sample in enumerate(samples):
        model.observe(sample, now + position * gap)
    return model.moments(now + len(samples) * gap)


def p95(moments: tuple[float, float]) -> float:
    return moments[0] + 1.645 * moments[1]


def test_with_no_samples_it_is_the_prior() -> None:
    mean, sigma = learned()
    assert math.exp(mean) == pytest.approx(0.9)
    assert sigma == pytest.approx(0.5)


def test_many_samples_outweigh_the_prior() -> None:
    mean, sigma = learned(*[3.0] * 500)
    assert math.exp(mean) == pytest.approx(3.0, rel=0.05)
    assert sigma < 0.2


def test_samples_fade_to_one_third_after_ten_minutes_and_to_the_prior_in_the_end() -> None:
    model = DecayedLogNormal(0.9)
    for _ in range(15):
        model.observe(3.0, 0.0)
    distance = math.log(3.0 / 0.9)
    for later in (0.0, 600.0, 1200.0):
        weight = 15 * math.exp(-later / 600.0)
        prior = 5 / (1 + distance**2 / (0.6**2 + 0.5**2 / weight))
        assert model.moments(later)[0] - math.log(0.9) == pytest.approx(distance * weight / (weight + prior))
    for later in (1e6, 1e9):
        assert math.exp(model.moments(later)[0]) == pytest.approx(0.9)


def test_a_catalogue_that_is_far_off_is_soon_forgotten_and_one_that_is_not_is_not() -> None:
    far, near = learned(*[2.0] * 15, prior=0.5), learned(*[0.6] * 15, prior=0.5)
    assert math.exp(far[0]) == pytest.approx(2.0, rel=0.1)
    assert math.log(0.6 / math.exp(near[0])) == pytest.approx(math.log(0.6 / 0.5) / 4, rel=0.1)


@given(st.lists(seconds, min_size=1, max_size=20), st.floats(0, 1e6))
def test_only_differences_of_time_matter(samples: list[float], shift: float) -> None:
    assert learned(*samples, now=1000.0 + shift) == pytest.approx(learned(*samples), rel=1e-6, abs=1e-6)


@given(seconds, seconds, st.integers(1, 50))
def test_a_slower_target_never_gets_a_lower_prediction(one: float, other: float, count: int) -> None:
    quick, slow = learned(*[min(one, other)] * count), learned(*[max(one, other)] * count)
    assert slow[0] >= quick[0] - 1e-9
    assert p95(slow) >= p95(quick) - 1e-9


@given(st.lists(st.floats(1e-9, 1e9), max_size=30))
def test_no_series_of_samples_breaks_it(samples: list[float]) -> None:
    mean, sigma = learned(*samples)
    assert math.isfinite(mean)
    assert math.isfinite(sigma)
    assert sigma > 0


def test_one_absurd_sample_cannot_carry_the_mean_away() -> None:
    calm, hit = learned(*[1.0] * 50), learned(*[1.0] * 50, 1e9)
    assert math.exp(hit[0] - calm[0]) < 1.1


@given(seconds, seconds, st.integers(0, 200_000), st.integers(1, 4000))
def test_predictions_keep_the_order_of_what_was_observed(one: float, other: float, prompt: int, output: int) -> None:
    features = Features(model="chat", prompt_tokens=prompt)
    quick, slow = LatencyModel(info()), LatencyModel(info())
    for step in range(10):
        quick.observe_first_token(features, min(one, other), float(step))
        slow.observe_first_token(features, max(one, other), float(step))
    fast, late = predicted(quick, features, output, 10.0), predicted(slow, features, output, 10.0)
    assert late.ttft_ms >= fast.ttft_ms - 1e-6
    assert late.total_ms >= fast.total_ms - 1e-6


@given(st.integers(0, 1_000_000), st.integers(0, 1_000_000), st.floats(1, 8000), st.floats(1, 8000))
def test_more_to_read_or_write_never_takes_less(few: int, many: int, short: float, long: float) -> None:
    model = LatencyModel(info())
    small = predicted(model, Features(prompt_tokens=min(few, many)), min(short, long), 0.0)
    large = predicted(model, Features(prompt_tokens=max(few, many)), max(short, long), 0.0)
    assert large.ttft_ms >= small.ttft_ms
    assert large.total_ms >= small.total_ms
    assert small.ttft_ms <= small.ttft_p95_ms
    assert small.total_ms <= small.total_p95_ms


def test_the_prior_is_the_catalogues() -> None:
    found = predicted(LatencyModel(info(ttft_ms=400.0, tpot_ms=10.0)), Features(), 100, 0.0)
    assert found.ttft_ms == pytest.approx(400.0)
    assert found.total_ms == pytest.approx(1400.0)
    assert predicted(LatencyModel(info(image_s=20.0)), PICTURE, 0, 0.0).total_ms == pytest.approx(20_000.0)


def test_a_long_prompt_is_learned_from_as_if_it_were_short() -> None:
    long = Features(prompt_tokens=100_000)
    model = LatencyModel(info())
    expected = predicted(model, long, 0, 0.0).ttft_ms
    for step in range(100):
        model.observe_first_token(long, expected / 1000, float(step))
    after_the_streams = 200.0
    assert predicted(model, Features(), 0, after_the_streams).ttft_ms == pytest.approx(900.0)


def test_the_rate_is_learned_from_answers_long_enough_to_tell() -> None:
    model = LatencyModel(info(tpot_ms=10.0))
    model.observe_rate(9.0, 7, 0, 0.0)
    assert predicted(model, Features(), 100, 0.0).total_ms == pytest.approx(900.0 + 1000.0)
    for step in range(500):
        model.observe_rate(2.0, 101, 0, step * 0.01)
    writing = predicted(model, Features(), 100, 5.0).total_ms - 900.0
    assert writing == pytest.approx(2000.0, rel=0.05)


def test_load_is_learned_from_the_pace_of_streams_that_began_under_it() -> None:
    model = LatencyModel(info(tpot_ms=10.0), Gate(Gradient()))
    supposed = model.load.slope
    for step in range(60):
        under_load = step % 2
        model.observe_rate(1.0 + 3.0 * under_load, 101, 6 * under_load, float(step))
    assert predicted(model, Features(), 100, 60.0).ttft_ms == pytest.approx(900.0), "nothing is under way"
    assert model.load.slope == pytest.approx(math.log(4.0) / 6**2, rel=0.2)
    assert model.load.slope < 0.5 * supposed


def test_a_whole_answer_teaches_the_wait_without_the_writing() -> None:
    model = LatencyModel(info(ttft_ms=900.0, tpot_ms=10.0))
    for step in range(500):
        model.observe_whole(CHAT, 2.0 + 100 * 0.010, 100, step * 0.01)
    assert predicted(model, CHAT, 100, 5.0).total_ms == pytest.approx(3000.0, rel=0.05)


def test_reasoning_is_learned_apart_and_so_are_picture_sizes() -> None:
    model = LatencyModel(info())
    for step in range(100):
        model.observe_first_token(Features(reasoning_effort="high"), 20.0, step * 0.1)
        model.observe_whole(PICTURE, 60.0, 0, step * 0.1)
    after_the_streams = 60.0
    assert predicted(model, Features(), 0, after_the_streams).ttft_ms == pytest.approx(900.0, rel=0.01)
    assert predicted(model, Features(reasoning_effort="high"), 0, after_the_streams).ttft_ms > 10_000
    assert predicted(model, PICTURE, 0, 10.0).total_ms > 50_000
    assert predicted(model, Features(kind="image", quality="high"), 0, 10.0).total_ms == pytest.approx(12_000.0)


def test_efforts_that_clients_make_up_share_one_class() -> None:
    model = LatencyModel(info())
    for number in range(1000):
        model.observe_first_token(Features(reasoning_effort=f"made-up-{number}"), 1.0, 0.0)
    assert len(model._ttft) == 1


def test_of_a_flood_of_answers_two_hundred_a_second_are_learned_from() -> None:
    flooded, sampled = LatencyModel(info()), LatencyModel(info())
    for step in range(8000):  # two seconds at four thousand a second: half a second of them slow
        seconds = 4.0 if 2000 < step < 4000 else 1.0
        flooded.observe_whole(CHAT, seconds, 100, step / 4000)
        if step % 20 == 0:
            sampled.observe_whole(CHAT, seconds, 100, step / 4000)
    everything = predicted(flooded, CHAT, 100, 2.0).total_ms
    assert everything == pytest.approx(predicted(sampled, CHAT, 100, 2.0).total_ms, rel=0.25)
