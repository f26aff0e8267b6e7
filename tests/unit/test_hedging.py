"""A second attempt beside a late one: who wins, what the loser leaves behind, and how many there may be."""

import asyncio
import contextlib
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

import pytest
from builders import candidate, plan, prediction
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import BadRequestError, ProviderError, UnavailableError
from router.routing.budget import HedgeBudget
from router.routing.dispatch import AllAttemptsFailedError, dispatch
from router.routing.health import Health
from router.routing.plan import Attempt, Candidate, Outcome, Plan
from router.simulate.virtual import VirtualLoop, run_virtual

CENT = Decimal("0.01")
FAST = prediction(100.0)  # late after 0.2 s: twice the usual wait
A = candidate("a/m", prediction=FAST, expected_cost_usd=CENT)
B = candidate("b/m", prediction=FAST, expected_cost_usd=CENT)
C = candidate("c/m", prediction=FAST, expected_cost_usd=CENT)
SAME = candidate("a/other", prediction=FAST, expected_cost_usd=CENT)
Step = tuple[float, str | ProviderError]


class World:
    """Upstreams that take as long as the script says, in virtual seconds, and what became of their answers."""

    def __init__(self, script: dict[str, Step], *, share: float = 1.0) -> None:
        self.loop = VirtualLoop()
        self.health = Health(self.loop.time, lambda low, high: high, hedge_share=share)
        self.script = script
        self.asked: list[tuple[str, float]] = []
        self.under_way = 0
        self.attempts: list[Attempt] = []
        self.discarded: list[tuple[str, str | None]] = []

    async def call(self, who: Candidate) -> str:
        self.asked.append((who.name, self.loop.time()))
        seconds, answer = self.script[who.name]
        self.under_way += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.under_way -= 1
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    async def discard(self, place: int, answer: str | None) -> None:
        self.discarded.append((self.attempts[place].candidate.name, answer))

    def dispatch(self, of: Plan) -> Coroutine[Any, Any, Outcome[str]]:
        return dispatch(of, self.call, self.health, self.attempts, self.discard)

    def run(self, of: Plan) -> Outcome[str]:
        return run_virtual(self.dispatch(of), self.loop)

    def outcomes(self) -> list[tuple[str, str, bool]]:
        return [(each.candidate.name, each.outcome, each.hedge) for each in self.attempts]

    def in_flight(self) -> int:
        return sum(state.in_flight for state in self.health.targets().values())


def hedged(*candidates: Candidate) -> Plan:
    return plan(*candidates, hedged=True)


def test_an_answer_in_time_is_not_hedged() -> None:
    world = World({"a/m": (0.19, "quick")})
    assert world.run(hedged(A, B)).value == "quick"
    assert world.outcomes() == [("a/m", "ok", False)]
    assert world.discarded == []


def test_a_late_first_attempt_is_outrun_by_the_second() -> None:
    world = World({"a/m": (9.0, "late"), "b/m": (0.3, "in time")})
    found = world.run(hedged(A, B))
    assert (found.value, found.served_by.name) == ("in time", "b/m")
    assert world.asked == [("a/m", 0.0), ("b/m", 0.2)]
    assert world.outcomes() == [("a/m", "outrun", False), ("b/m", "ok", True)]
    assert [each.duration_s for each in world.attempts] == pytest.approx([0.5, 0.3])
    assert world.discarded == [("a/m", None)]
    assert (world.under_way, world.in_flight()) == (0, 0)


def test_a_first_attempt_that_answers_after_all_outruns_the_hedge() -> None:
    world = World({"a/m": (0.4, "first"), "b/m": (9.0, "second")})
    assert world.run(hedged(A, B)).served_by.name == "a/m"
    assert world.outcomes() == [("b/m", "outrun", True), ("a/m", "ok", False)]
    assert world.discarded == [("b/m", None)]
    assert world.under_way == 0


def test_the_time_that_both_were_under_way_is_known() -> None:
    world = World({"a/m": (0.4, "first"), "b/m": (9.0, "second")})
    world.run(hedged(A, B))
    hedge, first = world.attempts
    assert hedge.duration_s - hedge.beside_s + first.duration_s - first.beside_s == pytest.approx(0.4)
    outlived = World({"a/m": (0.3, UnavailableError("down")), "b/m": (0.5, "second")})
    outlived.run(hedged(A, B))
    assert sum(each.duration_s - each.beside_s for each in outlived.attempts) == pytest.approx(0.7)


def test_two_answers_in_the_same_moment_are_one_answer_and_one_discarded() -> None:
    world = World({"a/m": (0.5, "first"), "b/m": (0.3, "second")})
    assert world.run(hedged(A, B)).value == "first"
    assert world.outcomes() == [("b/m", "outrun", True), ("a/m", "ok", False)]
    assert world.discarded == [("b/m", "second")]
    assert world.in_flight() == 0


def test_when_one_of_two_fails_the_other_is_waited_for() -> None:
    world = World({"a/m": (0.3, UnavailableError("down")), "b/m": (0.5, "second")})
    assert world.run(hedged(A, B, C)).value == "second"
    assert world.outcomes() == [("a/m", "server_error", False), ("b/m", "ok", True)]
    failing = World({"a/m": (0.5, "first"), "b/m": (0.1, UnavailableError("down"))})
    assert failing.run(hedged(A, B, C)).value == "first"
    assert failing.outcomes() == [("b/m", "server_error", True), ("a/m", "ok", False)]


def test_when_both_fail_the_next_is_asked_and_not_hedged_again() -> None:
    down = UnavailableError("down")
    world = World({"a/m": (0.3, down), "b/m": (0.5, down), "c/m": (5.0, "third")})
    assert world.run(hedged(A, B, C)).value == "third"
    assert [name for name, _ in world.asked] == ["a/m", "b/m", "c/m"]
    lost = World({"a/m": (0.3, down), "b/m": (0.5, down)})
    with pytest.raises(AllAttemptsFailedError) as caught:
        lost.run(hedged(A, B))
    assert len(caught.value.attempts) == 2


def test_an_error_of_the_request_itself_ends_both() -> None:
    world = World({"a/m": (9.0, "late"), "b/m": (0.1, BadRequestError("no"))})
    with pytest.raises(BadRequestError):
        world.run(hedged(A, B))
    assert sorted(world.outcomes()) == [("a/m", "outrun", False), ("b/m", BadRequestError("x").outcome, True)]
    assert (world.under_way, world.in_flight()) == (0, 0)


def test_a_client_that_leaves_ends_both_and_neither_is_held_against_anybody() -> None:
    world = World({"a/m": (9.0, "late"), "b/m": (9.0, "late too")})

    async def leave() -> None:
        task = asyncio.ensure_future(world.dispatch(hedged(A, B)))
        await asyncio.sleep(1.0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run_virtual(leave(), world.loop)
    assert world.outcomes() == [("a/m", "cancelled", False), ("b/m", "cancelled", True)]
    assert (world.under_way, world.in_flight()) == (0, 0)


@pytest.mark.parametrize(
    "others",
    [(), (SAME,), (candidate("b/m", retry=True),), (candidate("b/m", last_resort=True, expected_cost_usd=CENT),)],
    ids=["nobody", "the same provider", "a retry", "a last resort"],
)
def test_nobody_races_who_should_not(others: tuple[Candidate, ...]) -> None:
    world = World({"a/m": (5.0, "late")})
    assert world.run(hedged(A, *others)).value == "late"
    assert world.asked == [("a/m", 0.0)]


def test_a_plan_that_is_not_hedged_waits() -> None:
    world = World({"a/m": (5.0, "late"), "b/m": (0.1, "x")})
    assert world.run(plan(A, B)).value == "late"
    assert world.asked == [("a/m", 0.0)]


def test_who_is_late_often_counts_as_slow_although_its_answers_are_never_seen() -> None:
    world = World({"a/m": (9.0, "late"), "b/m": (0.1, "x")})
    known = candidate(
        "a/m", prediction=prediction(100.0).__class__(100, 200, 100, 200, known=True), expected_cost_usd=CENT
    )

    async def often() -> None:
        for _ in range(4):
            world.attempts.clear()
            await world.dispatch(hedged(known, B))

    run_virtual(often(), world.loop)
    state = world.health.target("a", "m", A.info)
    assert state.latency.slowdown(world.loop.time()) > 2.0


# --- the budget


COSTS = st.sampled_from([Decimal("0.001"), Decimal("0.01"), Decimal("0.3"), None])


@given(share=st.sampled_from([0.02, 0.1, 0.5]), story=st.lists(st.tuples(COSTS, st.none() | COSTS), max_size=300))
def test_hedges_never_exceed_their_share_of_requests_nor_of_money(
    share: float, story: list[tuple[Decimal | None, Decimal | None]]
) -> None:
    budget = HedgeBudget(share)
    requests = hedges = 0
    spent = spent_on_hedges = Decimal(0)
    for cost, hedge in story:
        budget.request(cost)
        requests, spent = requests + 1, spent + (cost or 0)
        if budget.take(hedge):
            hedges, spent_on_hedges = hedges + 1, spent_on_hedges + (hedge or 0)
        assert hedges <= share * requests + 1e-9
        assert spent_on_hedges <= spent * Decimal(str(share))


def test_what_nobody_knows_the_price_of_is_not_started() -> None:
    budget = HedgeBudget(1.0)
    for _ in range(5):
        budget.request(CENT)
    assert not budget.take(None)
    assert budget.take(CENT)


def test_quiet_hours_do_not_pay_for_a_burst_of_hedges() -> None:
    budget = HedgeBudget(0.5)
    for _ in range(1000):
        budget.request(CENT)
    assert sum(budget.take(CENT) for _ in range(100)) <= 5


def test_while_too_many_are_late_only_the_latest_are_hedged() -> None:
    budget = HedgeBudget(0.02)
    for _ in range(1000):
        budget.request(CENT)
        budget.take(CENT)
    strained = budget.patience
    assert strained > 1.2
    for _ in range(3000):
        budget.request(CENT)
    assert 1.0 <= budget.patience < 1.01
