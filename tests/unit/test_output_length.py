"""How long answers are expected to be: by kind of request and model, with a limit, coarser where samples are few."""

import random

import pytest
from builders import Desk, candidate, info, model, settings
from hypothesis import given
from hypothesis import strategies as st

from providers.types import Usage
from router.routing.output_length import _MAX_KINDS, _MAX_OUTLOOKS, OutputLengths
from router.routing.plan import Features

CHAT = Features(model="chat", prompt_tokens=300)
NOW = 1000.0


def taught(*lengths: int, model: str = "m", features: Features = CHAT, route: str = "chat") -> OutputLengths:
    found = OutputLengths()
    for place, tokens in enumerate(lengths):
        found.observe(route, model, features, tokens, NOW + (place - len(lengths)) / 10)
    return found


def expected(
    lengths: OutputLengths, features: Features = CHAT, model: str = "m", route: str = "chat", now: float = NOW + 1
) -> tuple[float, float]:
    return lengths.outlook(route, features, now).of(model)


def capped(max_tokens: int) -> Features:
    return Features(model="chat", prompt_tokens=300, max_tokens=max_tokens)


def test_before_anything_is_known_answers_are_exponential() -> None:
    assert expected(OutputLengths()) == (250.0, pytest.approx(346.6, abs=0.1))
    usual, long = expected(OutputLengths(), capped(100))
    assert usual == pytest.approx(82.4, abs=0.1)
    assert long == 100.0


def test_lengths_are_learned() -> None:
    usual, long = expected(taught(*[1000] * 200))
    assert usual == pytest.approx(1000)
    assert 512 < long <= 1024


def test_a_few_samples_move_what_is_supposed_a_little() -> None:
    usual, _ = expected(taught(*[1000] * 5))
    assert usual == pytest.approx((1000 * 5 + 250 * 5) / 10, rel=0.01)


@given(st.integers(1, 4000), st.integers(0, 2**32))
def test_what_a_limit_cuts_off_is_not_expected(limit: int, seed: int) -> None:
    chance = random.Random(seed)
    drawn = [round(chance.expovariate(1 / 400)) for _ in range(600)]
    usual, long = expected(taught(*drawn), capped(limit))
    assert usual == pytest.approx(sum(min(each, limit) for each in drawn) / 600, rel=0.1, abs=1)
    assert usual <= long <= limit


def test_three_of_four_answers_are_no_longer_than_the_long_one() -> None:
    chance = random.Random(3)
    drawn = sorted(round(chance.expovariate(1 / 400)) for _ in range(2000))
    _, long = expected(taught(*drawn))
    assert long == pytest.approx(drawn[1500], rel=0.1)


def test_an_answer_that_its_limit_cut_off_counts_as_longer() -> None:
    found = taught(*[400] * 100)
    for _ in range(100):
        found.observe("chat", "m", capped(50), 50, NOW)
    assert expected(found)[0] == pytest.approx(400, rel=0.01)
    alone = OutputLengths()
    for _ in range(1000):
        alone.observe("chat", "m", capped(50), 50, NOW)
    assert expected(alone)[0] == pytest.approx(100, rel=0.01)
    assert expected(alone, capped(50)) == (50.0, 50.0)


KINDS = [
    ("another size of prompt", Features(model="chat", prompt_tokens=5000), "m"),
    ("tools", Features(model="chat", prompt_tokens=300, tools=2), "m"),
    ("another effort", Features(model="chat", prompt_tokens=300, reasoning_effort="high"), "m"),
    ("another model", CHAT, "n"),
]


@pytest.mark.parametrize(("features", "model"), [row[1:] for row in KINDS], ids=[row[0] for row in KINDS])
def test_each_kind_is_learned_by_itself_and_until_then_by_its_likes(features: Features, model: str) -> None:
    found = taught(*[1000] * 200)
    assert expected(found, features, model)[0] == pytest.approx(1000, rel=0.03)
    for _ in range(20):
        found.observe("chat", model, features, 100, NOW)
    assert expected(found, features, model, now=NOW + 2)[0] > 900
    found.observe("chat", model, features, 100, NOW)
    assert expected(found, features, model, now=NOW + 3)[0] == pytest.approx(100)
    assert expected(found, now=NOW + 4)[0] == pytest.approx(1000)


def test_routes_teach_each_other_nothing() -> None:
    assert expected(taught(*[1000] * 200), route="other")[0] == 250.0


def test_what_was_learned_fades_to_what_is_supposed() -> None:
    found = taught(*[1000] * 200)
    assert expected(found, now=NOW + 20 * 3600)[0] == pytest.approx(250, abs=1)


def test_new_lengths_outweigh_old_ones_however_long_it_runs() -> None:
    found = taught(*[1000] * 200)
    for day in range(1, 30):  # the weights of new samples have to be taken back again and again
        for number in range(50):
            found.observe("chat", "m", CHAT, 100, NOW + day * 86400.0 + number)
    assert expected(found, now=NOW + 29 * 86400.0 + 60)[0] == pytest.approx(100, rel=0.01)


def test_of_many_samples_at_once_a_few_are_enough() -> None:
    found = taught(*[1000] * 300)
    for _ in range(10_000):
        found.observe("chat", "m", CHAT, 10, NOW)  # all within a moment
    assert expected(found)[0] > 990


def test_a_long_silence_hurts_nobody() -> None:
    found = taught(*[1000] * 200)
    far = NOW + 1000 * 86400.0
    assert expected(found, now=far)[0] == pytest.approx(250)
    found.observe("chat", "m", CHAT, 100, far)
    assert 200 < expected(found, now=far + 1)[0] < 250


def test_efforts_and_limits_and_names_that_clients_make_up_do_not_fill_the_memory() -> None:
    found = OutputLengths()
    for number in range(2 * _MAX_KINDS):
        features = Features(reasoning_effort=f"made up {number}", max_tokens=number + 1000)
        found.observe(f"route-{number}", "m", features, 10, NOW)
        found.outlook("chat", features, NOW).of("m")
    assert len(found._histograms) <= _MAX_KINDS
    assert len(found._outlooks) <= _MAX_OUTLOOKS


# --- what plans make of it


def desk(talkative: int = 0) -> Desk:
    """Two models at almost one price, of which the first has written so many tokens an answer."""
    found = Desk(settings(model("chat", "a/m", "b/n"), catalogue={"m": info("m", "1"), "n": info("n", "1.2")}))
    for _ in range(50 if talkative else 0):
        asked = candidate("a/m")
        found.health.observe_usage(asked, CHAT, Usage(prompt_tokens=300, completion_tokens=talkative))
        asked = candidate("b/n")
        found.health.observe_usage(asked, CHAT, Usage(prompt_tokens=300, completion_tokens=250))
    found.clock.advance(1)
    return found


def test_a_model_that_writes_more_is_expected_to_cost_more() -> None:
    assert desk().names(CHAT) == ["a/m", "b/n"]
    assert desk(talkative=900).names(CHAT) == ["b/n", "a/m"]
    assert desk(talkative=900).plan(CHAT).candidates[1].prediction.output_tokens == pytest.approx(900)


def test_a_model_that_cannot_write_so_much_is_not_expected_to() -> None:
    found = Desk(settings(model("chat", "a/m"), catalogue={"m": info("m", max_output_tokens=100)}))
    assert found.plan(CHAT).candidates[0].prediction.output_tokens == 100


def test_direct_targets_that_clients_make_up_teach_nothing() -> None:
    found = desk()
    asked = candidate("a/made-up", route="a/made-up", info=info(known=False))
    found.health.observe_usage(asked, CHAT, Usage(prompt_tokens=300, completion_tokens=900))
    assert not found.health.lengths._histograms
