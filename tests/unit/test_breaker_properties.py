"""What a breaker never does, in whatever order attempts begin and end and time passes."""

import math

from builders import Clock, candidate, info, most
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from providers.errors import ProviderError, UnavailableError
from router.routing.health import Health
from router.routing.plan import Attempt, Candidate
from router.routing.state import SLOW_START_S

DOWN = UnavailableError("down")


class Breaker(RuleBasedStateMachine):
    """One target. `sent` holds the attempts under way: (candidate, when it began, whether it is a probe)."""

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.health = Health(self.clock, most)
        self.state = self.health.target("a", "m", info("m"))
        self.sent: list[tuple[Candidate, float, bool]] = []
        self.in_a_row = 0  # failures since the last success
        self.opened_until = -math.inf
        self.successes = 0  # of probes since it opened

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 4.0, 6.0, 20.0, 130.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def a_request_asks(self) -> None:
        now, before = self.clock.now, self.state.breaker(self.clock.now)
        asked = candidate("a/m")
        probing = any(probe and now - since < 60.0 for _, since, probe in self.sent)
        admitted = self.health.admit(asked)
        if before == "open":
            assert not admitted, "nobody passes an open breaker"
        elif before == "half_open":
            assert admitted == (not probing), "one probe at a time, and always one"
        else:
            assert admitted
        if admitted:
            self.sent.append((asked, now, before == "half_open"))

    @precondition(lambda self: self.state.breaker(self.clock.now) == "closed")
    @rule()
    def five_in_a_row_fail(self) -> None:
        for _ in range(5):
            if self.state.breaker(self.clock.now) == "closed":
                self.a_request_asks()
                self.an_attempt_ends(len(self.sent) - 1, "down")
        assert self.state.breaker(self.clock.now) == "open"

    @precondition(lambda self: self.sent)
    @rule(place=st.integers(0, 50), ends=st.sampled_from(["ok", "down", "abandoned"]))
    def an_attempt_ends(self, place: int, ends: str) -> None:
        asked, since, probe = self.sent.pop(place % len(self.sent))
        before = self.state.breaker(self.clock.now)
        error: ProviderError | None = DOWN if ends == "down" else None
        attempt = Attempt(
            candidate=asked, duration_s=self.clock.now - since, error=error, abandoned=ends == "abandoned"
        )
        self.health.record(attempt)
        after = self.state.breaker(self.clock.now)
        self.successes += ends == "ok" and probe and since >= self.state.opened_at
        if ends == "ok":
            self.in_a_row = 0
        elif ends == "down":
            self.in_a_row += 1
        if before == "closed":
            assert after != "open" or ends == "down", "only a failure opens it"
            assert after == "open" or self.in_a_row < 5, "five failures in a row open it"
        elif after == "closed":
            assert ends == "ok"
            assert self.successes == 3, "it takes three good probes to close it"
            assert self.state.closed_at == self.clock.now
        if before != "open" and after == "open":
            self.successes = 0
            self.opened_until = self.state.open_until
            assert 0 < self.opened_until - self.clock.now <= 120.0

    @invariant()
    def it_is_open_no_longer_than_it_said(self) -> None:
        if self.state.breaker(self.clock.now) == "open":
            assert self.clock.now < self.opened_until

    @invariant()
    def after_it_closed_its_share_grows_with_time_to_all(self) -> None:
        since = self.clock.now - self.state.closed_at
        assert self.state.share(self.clock.now) == min(1.0, since / SLOW_START_S)
        assert 0.0 <= self.state.share(self.clock.now) <= 1.0

    @invariant()
    def what_is_under_way_is_counted(self) -> None:
        assert self.state.in_flight == len(self.sent)


class TestBreaker(Breaker.TestCase):
    settings = hypothesis_settings(max_examples=60, stateful_step_count=40)
