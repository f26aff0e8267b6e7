"""How many attempts may be under way at an upstream: what raises and lowers a limit, and what never does."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.routing.limits import Aimd, Fixed, Gate, Gradient, provider_gates
from router.settings.values import ProviderSettings


def refused_at(under_way: int, *, told: bool = True, now: float = 0.0) -> Aimd:
    rule = Aimd(now)
    rule.refused(under_way, now - 1.0, now, told=told)
    return rule


def test_the_first_refusal_leaves_seven_tenths_of_what_was_under_way() -> None:
    assert refused_at(20).limit(0.0) == pytest.approx(14.0)


def test_the_limit_falls_once_for_all_that_was_sent_before_it_fell() -> None:
    rule = refused_at(20)
    rule.refused(19, -0.5, 0.1, told=True)
    assert rule.limit(0.1) == pytest.approx(14.0)
    rule.refused(14, 0.2, 1.0, told=True)
    assert rule.limit(1.0) == pytest.approx(9.8)


def test_a_burst_that_is_refused_without_a_time_ends_at_what_is_being_answered() -> None:
    rule = Aimd(0.0)
    for under_way in range(50, 10, -1):
        rule.refused(under_way, -1.0, 0.0, told=False)
    assert rule.limit(0.0) == 10


def test_a_refusal_with_little_under_way_is_no_word_on_how_much_may_be() -> None:
    rule = refused_at(20)
    rule.refused(1, 30.0, 30.1, told=True)
    rule.refused(1, 31.0, 31.1, told=False)
    assert rule.limit(31.1) == pytest.approx(14.0)


def test_a_round_of_answers_raises_a_used_limit_by_one_and_an_unused_one_not_at_all() -> None:
    rule = refused_at(20)
    for _ in range(14):
        rule.answered(14, 1.0)
    assert rule.limit(1.0) == pytest.approx(15.0, abs=0.1)
    rule.answered(5, 1.0)
    assert rule.limit(1.0) == pytest.approx(15.0, abs=0.1)


def test_what_is_known_to_be_the_most_is_kept_for_half_a_minute_before_one_more_is_tried() -> None:
    rule = Aimd(0.0)
    rule.refused(11, -1.0, 0.0, told=False)
    for second in range(1, 30):
        for _ in range(10):
            rule.answered(10, second)
    assert rule.limit(29.0) == 10
    for _ in range(10):
        rule.answered(10, 30.0)
    assert rule.limit(30.0) == pytest.approx(11.0, abs=0.1)


def test_a_limit_that_nobody_uses_doubles_every_minute_until_it_is_forgotten() -> None:
    rule = refused_at(20)
    assert [round(rule.limit(minute * 60.0), 6) for minute in (1, 2, 3)] == [28.0, 56.0, 112.0]
    assert not rule.is_lifted(300.0)
    assert rule.is_lifted(600.0)


# (answered or refused, how many are under way, was a time named, seconds until the next)
histories = st.lists(
    st.tuples(st.booleans(), st.integers(1, 60), st.booleans(), st.floats(0.0, 100.0)), min_size=1, max_size=80
)


@given(histories)
def test_no_history_leaves_less_than_one(history: list[tuple[bool, int, bool, float]]) -> None:
    now = 0.0
    rules: list[Aimd | Gradient] = [Aimd(0.0), Gradient(30)]
    for answered, under_way, told, later_s in history:
        for rule in rules:
            if answered:
                rule.answered(under_way, now)
            else:
                rule.refused(under_way, now - 0.5, now, told=told)
            assert rule.limit(now) >= 1.0
        assert rules[1].limit(now) <= 30
        now += later_s


class Server:
    """A server of one's own that gets slower with load: by `slower(n)` with n under way, and by some chance."""

    def __init__(self, slower: object, sigma: float = 0.3, seed: int = 1) -> None:
        self.rule = Gradient(200)
        self._slower = slower
        self._sigma = sigma
        self._chance = random.Random(seed)

    def ask(self, wanted: int, times: int) -> None:
        """Keep `wanted` under way, or as many as the limit lets, for so many answers."""
        for _ in range(times):
            under_way = min(wanted, math.floor(self.rule.limit(0.0)))
            slower = self._slower(under_way)  # type: ignore[operator]
            self.rule.observe(math.log(slower) + self._chance.gauss(0.0, self._sigma), under_way)

    @property
    def limit(self) -> float:
        return self.rule.limit(0.0)


def test_a_server_that_works_on_one_thing_at_a_time_is_kept_busy_and_no_more() -> None:
    server = Server(lambda under_way: max(1, under_way))
    server.ask(1, 50)
    server.ask(100, 500)
    assert 2 <= server.limit <= 5


def test_a_server_with_room_for_many_gets_many() -> None:
    server = Server(lambda under_way: 1 + (under_way / 100) ** 3)
    server.ask(4, 50)
    server.ask(100, 2000)
    assert 60 <= server.limit <= 160


def test_an_overload_that_lasts_does_not_become_usual() -> None:
    server = Server(lambda under_way: 1 + (under_way / 10) ** 3)
    server.ask(2, 50)
    server.ask(100, 300)
    early = server.limit
    server.ask(100, 5000)
    assert server.limit < 1.5 * early < 30


def test_chance_alone_does_not_hold_back_who_is_not_loaded() -> None:
    server = Server(lambda under_way: 1.0, sigma=0.5)
    server.ask(10, 2000)
    assert server.limit >= 20


def test_a_server_that_recovers_gets_its_share_back() -> None:
    server = Server(lambda under_way: 1 + (under_way / 20) ** 3)
    server.ask(3, 50)
    server._slower = lambda under_way: 8.0
    server.ask(100, 100)
    assert server.limit < 8
    server._slower = lambda under_way: 1 + (under_way / 20) ** 3
    server.ask(100, 300)
    assert server.limit > 12


def test_a_timeout_of_a_loaded_server_cuts_its_limit_and_a_lone_one_does_not() -> None:
    rule = Gradient()
    rule.refused(3, -1.0, 0.0, told=True)
    assert rule.limit(0.0) == 20
    rule.refused(20, -1.0, 0.0, told=True)
    assert rule.limit(0.0) == pytest.approx(14.0)


def provider(name: str, **more: object) -> ProviderSettings:
    return ProviderSettings(name=name, type="openai", base_url="http://127.0.0.1:9/v1", **more)  # type: ignore[arg-type]


def test_a_gate_stands_where_the_configuration_says_so_and_nowhere_else() -> None:
    gates = provider_gates(
        [
            provider("public"),
            provider("counted", max_concurrency=3),
            provider("own", self_hosted=True),
            provider("own-counted", self_hosted=True, max_concurrency=8),
            provider("own-single", self_hosted=True, max_concurrency=1),
        ]
    )
    kinds = {name: type(gate.rule) for name, gate in gates.items()}
    assert kinds == {"counted": Fixed, "own": Gradient, "own-counted": Gradient, "own-single": Fixed}
    assert [gates[name].rule.limit(0.0) for name in ("counted", "own", "own-counted", "own-single")] == [3, 20, 8, 1]


@pytest.mark.parametrize(("capacity", "replicas", "each"), [(None, 8, 0.0), (12, 1, 12.0), (12, 8, 1.5), (4, 8, 1.0)])
def test_routers_share_what_a_server_takes_and_each_has_a_place(
    capacity: int | None, replicas: int, each: float
) -> None:
    own = provider("own", self_hosted=True, capacity=capacity)
    assert provider_gates([own], replicas)["own"].capacity == each


def test_a_gate_is_full_when_one_more_would_be_too_many() -> None:
    gate = Gate(refused_at(11), held=6)
    assert gate.rule.limit(0.0) == pytest.approx(7.7)
    assert not gate.is_full(0.0)
    gate.held = 7
    assert gate.is_full(0.0)
