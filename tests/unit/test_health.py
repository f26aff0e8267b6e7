"""What health remembers of a target: the circuit breaker, blocks, and how many answers to expect."""

from typing import Any

import pytest
from builders import Clock, candidate, health, info, most

from providers.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ContentBlockedError,
    ContextTooLongError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    StreamInterruptedError,
    UnavailableError,
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from router.routing.health import Health
from router.routing.plan import Attempt, Candidate

A = candidate("a/m")
DOWN = UnavailableError("down")


class Ward:
    """One health with its clock; `a/m` unless told otherwise."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.health = Health(self.clock, most)

    @property
    def state(self) -> Any:
        return self.health.target(A.provider, A.model, A.info)

    @property
    def breaker(self) -> str:
        return self.health.breaker(A.provider, A.model, A.info, self.clock.now)[0]

    def blocked(self, who: Candidate = A) -> tuple[float, str]:
        return self.health.blocked_s(who.provider, who.model, who.info, self.clock.now)

    def end(self, error: ProviderError | None = None, *, took: float = 0.0, who: Candidate = A, **more: Any) -> None:
        self.health.record(Attempt(candidate=who, duration_s=took, error=error, **more))

    def attempt(self, error: ProviderError | None = None, who: Candidate = A) -> bool:
        """Admit and end at once; gives whether it was admitted."""
        admitted = self.health.admit(who)
        if admitted:
            self.end(error, who=who)
        return admitted

    def trip(self) -> None:
        for _ in range(5):
            self.attempt(DOWN)
        assert self.breaker == "open"

    def half_open(self) -> None:
        self.trip()
        self.clock.advance(5.0)
        assert self.breaker == "half_open"


def test_five_failures_in_a_row_open_the_breaker() -> None:
    ward = Ward()
    for _ in range(4):
        ward.attempt(DOWN)
    assert ward.breaker == "closed"
    ward.attempt(DOWN)
    assert ward.breaker == "open"
    assert not ward.health.admit(A)


def test_a_success_in_between_starts_the_count_again() -> None:
    ward = Ward()
    for error in (DOWN, DOWN, DOWN, None, DOWN, DOWN, DOWN):
        ward.attempt(error)
    assert ward.breaker == "closed"


@pytest.mark.parametrize(("pattern", "opens"), [("ffsffsffs", True), ("sfsfsfsfsfsf", False), ("ssssffff", False)])
def test_more_than_half_failing_of_eight_opens_the_breaker(pattern: str, opens: bool) -> None:
    ward = Ward()
    for position, letter in enumerate(pattern * 2 if opens else pattern):
        if ward.breaker == "open":
            assert position >= 7
            break
        ward.attempt(DOWN if letter == "f" else None)
    assert (ward.breaker == "open") is opens


def test_seven_samples_are_too_few_for_a_rate() -> None:
    ward = Ward()
    for letter in "ffsffsf":
        ward.attempt(DOWN if letter == "f" else None)
    assert ward.breaker == "closed"


def test_old_failures_fade() -> None:
    ward = Ward()
    for letter in "ffffsff":
        ward.attempt(DOWN if letter == "f" else None)
    ward.clock.advance(300.0)
    for letter in "sf":
        ward.attempt(DOWN if letter == "f" else None)
    assert ward.breaker == "closed"


def test_half_open_lets_exactly_one_probe_through_under_a_hundred_arrivals() -> None:
    ward = Ward()
    ward.half_open()
    assert sum(ward.health.admit(A) for _ in range(100)) == 1
    ward.end(None)
    assert sum(ward.health.admit(A) for _ in range(100)) == 1


def test_a_probe_that_never_comes_back_does_not_wedge_the_breaker() -> None:
    ward = Ward()
    ward.half_open()
    assert ward.health.admit(A)
    ward.clock.advance(59.0)
    assert not ward.health.admit(A)
    ward.clock.advance(1.0)
    assert ward.health.admit(A)


@pytest.mark.parametrize("error", [BadRequestError("bad"), RateLimitedError("slow", retry_after_s=0.0), None])
def test_a_probe_that_ends_without_a_verdict_or_is_abandoned_makes_room(error: ProviderError | None) -> None:
    ward = Ward()
    ward.half_open()
    assert ward.health.admit(A)
    ward.end(error, abandoned=error is None)
    assert ward.breaker == "half_open"
    assert ward.health.admit(A)


def test_three_good_probes_close_the_breaker() -> None:
    ward = Ward()
    ward.half_open()
    for _ in range(2):
        assert ward.attempt(None)
        assert ward.breaker == "half_open"
    assert ward.attempt(None)
    assert ward.breaker == "closed"
    ward.attempt(DOWN)
    assert ward.breaker == "closed"  # it starts afresh


def test_a_failed_probe_reopens_for_longer_each_time_up_to_two_minutes() -> None:
    ward = Ward()
    ward.trip()
    spans = []
    for _ in range(8):
        spans.append(ward.state.open_until - ward.clock.now)
        ward.clock.now = ward.state.open_until
        assert ward.attempt(DOWN)
    assert spans == [5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 120.0, 120.0]


def test_the_span_is_short_again_after_a_recovery() -> None:
    ward = Ward()
    ward.half_open()
    ward.attempt(DOWN)
    ward.clock.now = ward.state.open_until
    for _ in range(3):
        ward.attempt(None)
    ward.trip()
    assert ward.state.open_until - ward.clock.now == 5.0


def test_late_failures_while_open_do_not_extend_it() -> None:
    ward = Ward()
    for _ in range(20):
        ward.health.admit(A)
    for _ in range(5):
        ward.end(DOWN)
    until = ward.state.open_until
    for _ in range(15):
        ward.clock.advance(0.1)
        ward.end(DOWN, took=1.0)
    assert ward.state.open_until == until


def test_failures_of_requests_sent_before_it_opened_do_not_reopen_it() -> None:
    ward = Ward()
    for _ in range(10):
        ward.health.admit(A)
    ward.clock.advance(1.0)
    for _ in range(5):
        ward.end(DOWN, took=1.0)
    ward.clock.advance(6.0)
    assert ward.breaker == "half_open"
    for _ in range(5):
        ward.end(UpstreamTimeoutError("late"), took=7.0)
    assert ward.breaker == "half_open"
    assert ward.state.opened == 1


@pytest.mark.parametrize("before_s", [1.0, 0.0], ids=["before it opened", "just as it opened"])
def test_a_late_success_neither_counts_as_a_probe_nor_lets_a_second_one_in(before_s: float) -> None:
    ward = Ward()
    ward.health.admit(A)
    ward.clock.advance(before_s)
    ward.trip()
    ward.clock.advance(5.0)
    assert ward.health.admit(A)  # the probe
    ward.end(None, took=before_s + 5.0)  # the late one
    assert not ward.health.admit(A)
    assert ward.state.probe_successes == 0


@pytest.mark.parametrize(
    "error",
    [
        BadRequestError("bad"),
        UnsupportedFieldError("no such field"),
        ContextTooLongError("long"),
        ContentBlockedError("no"),
        RateLimitedError("slow", retry_after_s=0.0),
    ],
    ids=lambda error: type(error).__name__,
)
def test_client_errors_and_429_never_count_as_failures(error: ProviderError) -> None:
    ward = Ward()
    for _ in range(100):
        ward.attempt(error)
    assert ward.breaker == "closed"


@pytest.mark.parametrize(
    "error",
    [DOWN, UpstreamTimeoutError("late"), BadResponseError("garbage"), StreamInterruptedError("cut")],
    ids=lambda error: type(error).__name__,
)
def test_upstream_failures_count(error: ProviderError) -> None:
    ward = Ward()
    for _ in range(5):
        ward.attempt(error)
    assert ward.breaker == "open"


def test_streams_that_break_off_count_although_they_began_well() -> None:
    ward = Ward()
    for _ in range(10):
        ward.attempt(None)
        ward.health.interrupted(A, StreamInterruptedError("cut"))
    assert ward.state.failures > 9


def test_abandoned_attempts_are_neutral() -> None:
    ward = Ward()
    for _ in range(100):
        ward.health.admit(A)
        ward.end(abandoned=True)
    assert ward.breaker == "closed"
    assert (ward.state.successes, ward.state.failures, ward.state.in_flight) == (0.0, 0.0, 0)


def test_a_429_blocks_exactly_until_it_said() -> None:
    ward = Ward()
    ward.attempt(RateLimitedError("slow", retry_after_s=7.0))
    assert ward.blocked() == (7.0, "rate limited")
    ward.clock.advance(6.9)
    assert not ward.health.admit(A)
    ward.clock.advance(0.1)
    assert ward.blocked() == (0.0, "")
    assert ward.health.admit(A)


def test_a_shorter_429_does_not_shorten_a_longer_one() -> None:
    ward = Ward()
    for _ in range(2):
        ward.health.admit(A)
    ward.end(RateLimitedError("slow", retry_after_s=30.0))
    ward.end(RateLimitedError("slow", retry_after_s=1.0))
    assert ward.blocked()[0] == 30.0


@pytest.mark.parametrize(("asked", "blocked"), [(1e12, 3600.0), (-5.0, 0.0), (0.0, 0.0)])
def test_absurd_waits_are_bounded(asked: float, blocked: float) -> None:
    ward = Ward()
    ward.attempt(QuotaExhaustedError("quota", retry_after_s=asked))
    assert ward.blocked()[0] == blocked


def test_a_429_without_a_word_backs_off_exponentially_and_a_success_forgets_it() -> None:
    ward = Ward()
    waits = []
    for _ in range(8):
        ward.attempt(RateLimitedError("slow"))
        waits.append(ward.blocked()[0])
        ward.clock.advance(waits[-1])
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0]
    ward.attempt(None)
    ward.attempt(RateLimitedError("slow"))
    assert ward.blocked()[0] == 2.0


def test_a_block_is_of_one_target_but_a_refused_key_of_the_whole_provider() -> None:
    sibling, other = candidate("a/n"), candidate("b/m")
    ward = Ward()
    ward.attempt(RateLimitedError("slow", retry_after_s=5.0))
    assert ward.blocked(sibling) == (0.0, "")
    ward.clock.advance(5.0)
    ward.attempt(AuthenticationError("bad key"))
    assert ward.blocked(sibling) == (120.0, "our key was refused")
    assert ward.blocked(other) == (0.0, "")
    assert ward.health.admit(candidate("a/n", last_resort=True))


def test_a_provider_without_credit_is_left_alone_for_minutes() -> None:
    sibling, other = candidate("a/n"), candidate("b/m")
    ward = Ward()
    ward.attempt(QuotaExhaustedError("pay", status=402))
    assert ward.blocked() == ward.blocked(sibling) == (300.0, "out of credit")
    assert ward.blocked(other) == (0.0, "")
    ward.clock.advance(300.0)
    ward.attempt(QuotaExhaustedError("pay", status=402, retry_after_s=5.0))
    assert (ward.blocked()[0], ward.blocked(sibling)[0]) == (5.0, 0.0)


def test_a_missing_model_blocks_that_target() -> None:
    ward = Ward()
    ward.attempt(ModelNotFoundError("who?"))
    assert ward.blocked() == (60.0, "the upstream does not know this model")


def test_a_last_resort_passes_the_breaker_but_not_a_rate_limit() -> None:
    ward = Ward()
    ward.trip()
    assert not ward.health.admit(A)
    assert ward.health.admit(candidate("a/m", last_resort=True))
    ward.end(RateLimitedError("slow", retry_after_s=5.0))
    assert not ward.health.admit(candidate("a/m", last_resort=True))


def test_in_flight_is_never_negative() -> None:
    ward = Ward()
    ward.health.admit(A)
    ward.health.admit(A)
    assert ward.state.in_flight == 2
    for _ in range(5):
        ward.end(None)
    assert ward.state.in_flight == 0


# --- names that clients make up must not fill the memory


def test_targets_nobody_configured_are_forgotten_when_there_are_too_many() -> None:
    keeper = health()
    keeper.target("a", "configured", info())
    for number in range(5000):
        keeper.target("a", f"made-up-{number}", info(known=False))
    assert len(keeper.targets()) < 1100
    assert ("a", "configured") in keeper.targets()


def test_a_made_up_target_that_is_being_asked_is_not_forgotten() -> None:
    keeper = health()
    asked = candidate("a/busy", info=info("busy", known=False))
    assert keeper.admit(asked)
    for number in range(3000):
        keeper.target("a", f"made-up-{number}", info(known=False))
    keeper.record(Attempt(candidate=asked, duration_s=1.0))
    assert keeper.target("a", "busy", asked.info).successes == 1.0
