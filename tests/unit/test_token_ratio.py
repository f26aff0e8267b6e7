"""Tokens per byte, learned for each model from what its upstream counts."""

import random
from decimal import Decimal

import pytest
from builders import DAY, Desk, candidate, info, model, price, settings
from hypothesis import given
from hypothesis import strategies as st

from providers.catalogue import LongContext
from providers.types import Usage
from router.routing.plan import Directives, Features
from router.routing.planner import NoCandidateError
from router.routing.token_ratio import MOST, TokenRatio

TEXT = Features(model="chat", prompt_tokens=1000)


def learned(share: float, prompts: int = 400, guessed: int = 1000) -> TokenRatio:
    """A model that counts `share` tokens for each one guessed, after some prompts."""
    ratio = TokenRatio()
    for _ in range(prompts):
        ratio.observe(Features(prompt_tokens=guessed), round(guessed * share))
    return ratio


def test_before_anything_is_known_the_guess_counts() -> None:
    assert TokenRatio().prompt_tokens(TEXT) == 1000


@pytest.mark.parametrize("share", [0.5, 0.8, 1.3, 3.0])
def test_a_model_that_counts_otherwise_is_soon_known_by_it(share: float) -> None:
    assert learned(share, prompts=20).prompt_tokens(TEXT) == pytest.approx(1000 * share, rel=0.08)
    assert learned(share).prompt_tokens(TEXT) == pytest.approx(1000 * share, rel=0.01)


def test_what_was_learned_long_ago_fades() -> None:
    ratio = learned(2.0)
    for _ in range(300):
        ratio.observe(TEXT, 1000)
    assert ratio.prompt_tokens(TEXT) == pytest.approx(1000, rel=0.06)


def test_noise_of_single_prompts_averages_out() -> None:
    ratio, chance = TokenRatio(), random.Random(7)
    for _ in range(1000):
        guessed = chance.choice((200, 800, 5000, 60_000))
        ratio.observe(Features(prompt_tokens=guessed), round(guessed * chance.uniform(0.9, 1.5)))
    assert ratio.factor == pytest.approx(1.2, abs=0.06)


def test_pictures_count_as_they_did() -> None:
    ratio = learned(1.5)
    assert ratio.prompt_tokens(Features(prompt_tokens=3000, media_tokens=2000)) == pytest.approx(3500, abs=5)


def test_prompts_that_say_nothing_of_text_teach_nothing() -> None:
    ratio = TokenRatio()
    ratio.observe(Features(prompt_tokens=2000, media_tokens=1000), 3000)
    ratio.observe(Features(prompt_tokens=20), 60)  # the frame around it
    ratio.observe(Features(prompt_tokens=1000), 90_000)  # a cache that was named
    ratio.observe(Features(prompt_tokens=1000), 0)
    assert ratio.factor == 1.0


@given(st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 2_000_000)), max_size=50))
def test_the_ratio_stays_within_its_bounds(prompts: list[tuple[int, int]]) -> None:
    ratio = TokenRatio()
    for guessed, counted in prompts:
        ratio.observe(Features(prompt_tokens=guessed), counted)
        assert 1 / MOST <= ratio.factor <= MOST


# --- what plans make of it

TIER = LongContext(above_tokens=200_000, input=Decimal(4), output=Decimal(4))
CATALOGUE = {"m": info("m", prices=(price("2", "2", long_context=TIER),)), "n": info("n", "3"), "o": info("o", "1")}


def desk(*names: str, share: float, **catalogue: object) -> Desk:
    """Of the targets the first one counts `share` tokens for each one guessed."""
    found = Desk(settings(model("chat", *names), catalogue=CATALOGUE | catalogue))  # type: ignore[operator]
    asked = candidate(names[0], info=CATALOGUE[names[0][2:]])
    for _ in range(400):
        found.health.observe_usage(asked, TEXT, Usage(prompt_tokens=round(1000 * share), completion_tokens=250))
    return found


def test_a_prompt_is_priced_by_the_tokens_its_model_counts() -> None:
    features = Features(model="chat", prompt_tokens=4000)
    assert desk("a/n", "b/o", share=1.0).names(features) == ["b/o", "a/n"]
    found = desk("a/n", "b/o", share=0.25).plan(features).candidates
    assert [each.name for each in found] == ["a/n", "b/o"]
    assert float(found[0].expected_cost_usd or 0) == pytest.approx((1000 * 3 + 250 * 3) / 1e6, rel=0.02)


def test_the_long_context_tier_is_found_by_the_tokens_its_model_counts() -> None:
    long = Features(model="chat", prompt_tokens=150_000)
    assert desk("a/m", "b/n", share=1.0).names(long) == ["a/m", "b/n"]
    assert desk("a/m", "b/n", share=1.6).names(long) == ["b/n", "a/m"]  # 240,000 there, at twice the price


@pytest.mark.parametrize(("share", "fits"), [(1.0, True), (0.8, True), (1.2, False)])
def test_a_window_is_judged_by_the_tokens_its_model_counts(share: float, fits: bool) -> None:
    small = info("n", "3", context_tokens=10_000)
    found = desk("a/n", share=share, n=small)
    features = Features(model="chat", prompt_tokens=9_500)
    if fits:
        assert found.names(features) == ["a/n"]
        return
    with pytest.raises(NoCandidateError, match=r"holds 10000 tokens, the prompt has about 11[34]"):
        found.planner.plan(features, Directives(), found.clock.now, DAY)


def test_a_window_that_looks_too_small_may_do_after_all() -> None:
    small = info("n", "3", context_tokens=10_000)
    features = Features(model="chat", prompt_tokens=12_000)
    with pytest.raises(NoCandidateError):
        desk("a/n", share=1.0, n=small).plan(features)
    assert desk("a/n", share=0.8, n=small).names(features) == ["a/n"]
