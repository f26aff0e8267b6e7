"""Further attempts stay within a tenth of the requests and one a second, in every sequence of them."""

from hypothesis import given
from hypothesis import strategies as st

from router.routing.budget import RetryBudget

SAVED = 10.0  # what ten quiet seconds bring

steps = st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(0, 30), st.integers(0, 40)), max_size=60)


@given(steps)
def test_further_attempts_never_exceed_a_tenth_of_requests_and_one_a_second(
    found: list[tuple[float, int, int]],
) -> None:
    now, requests, given_ = 1000.0, 0, 0
    budget = RetryBudget(0.1, now)
    for gap_s, asked, wanted in found:
        now += gap_s
        for _ in range(asked):
            budget.request(now)
        requests += asked
        given_ += sum(budget.take(now) for _ in range(wanted))
        assert given_ <= SAVED + 0.1 * requests + (now - 1000.0) + 1e-6


def test_an_outage_under_load_is_met_with_a_tenth_more_and_no_more() -> None:
    now, budget = 0.0, RetryBudget(0.1, 0.0)
    given_ = 0
    for _ in range(100_000):
        now += 0.001
        budget.request(now)
        given_ += budget.take(now)
    assert 0.9 < given_ / (100_000 * 0.1 + 100.0) <= 1.01


def test_a_quiet_model_may_always_fail_over() -> None:
    budget, now = RetryBudget(0.1, 0.0), 0.0
    for _ in range(100):
        now += 2.0
        budget.request(now)
        assert budget.take(now)


def test_what_a_burst_of_requests_earned_is_not_saved_for_long() -> None:
    budget = RetryBudget(0.1, 0.0)
    for _ in range(10_000):
        budget.request(0.0)
    assert sum(budget.take(100.0) for _ in range(2000)) <= 11
