"""The attempt loop: order, one deadline, bookkeeping that is whole whatever happens."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable

import pytest
from builders import candidate, info, plan

from providers.errors import (
    REFUSED,
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ContentBlockedError,
    ContextTooLongError,
    ContinuationError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from router.routing.dispatch import AllAttemptsFailedError, dispatch
from router.routing.health import Health
from router.routing.plan import Attempt, Candidate, Plan
from router.settings.values import FailoverSettings
from router.simulate.virtual import VirtualLoop, run_virtual

A, B, C = candidate("a/m"), candidate("b/m"), candidate("c/m")
Step = ProviderError | float | str
DOWN = UnavailableError("down")


def upstreams(script: dict[str, list[Step]], asked: list[str]) -> Callable[[Candidate], Awaitable[str]]:
    """Upstreams that follow a script: raise an error, take some seconds, or answer a text."""

    async def call(who: Candidate) -> str:
        asked.append(who.name)
        step = script[who.name].pop(0)
        if isinstance(step, ProviderError):
            raise step
        if isinstance(step, float):
            await asyncio.sleep(step)
            return "slow"
        return step

    return call


def real_health() -> Health:
    return Health(time.monotonic)


async def test_the_first_answer_ends_the_loop() -> None:
    asked: list[str] = []
    attempts: list[Attempt] = []
    found = await dispatch(plan(A, B), upstreams({"a/m": ["hello"]}, asked), real_health(), attempts)
    assert (found.value, found.served_by, asked) == ("hello", A, ["a/m"])
    assert [each.outcome for each in attempts] == ["ok"]


@pytest.mark.parametrize(
    ("outcome", "attempts", "last"),
    [(REFUSED, 3, ["a/m", "b/m", "b/m"]), (REFUSED, 2, ["a/m", "b/m"]), ("overloaded", 3, ["a/m", "b/m"])],
)
async def test_who_refused_the_connection_is_asked_again_when_nobody_else_is_left(
    outcome: str, attempts: int, last: list[str]
) -> None:
    asked: list[str] = []
    script: dict[str, list[Step]] = {"a/m": [DOWN], "b/m": [UnavailableError("x", outcome=outcome) for _ in range(3)]}
    with pytest.raises(AllAttemptsFailedError):
        await dispatch(plan(A, B, attempts=attempts), upstreams(script, asked), real_health(), [])
    assert asked == last


FAILING_OVER = [
    UnsupportedFieldError("x"),
    ContextTooLongError("x"),
    AuthenticationError("x"),
    ModelNotFoundError("x"),
    RateLimitedError("x"),
    QuotaExhaustedError("x"),
    UnavailableError("x"),
    UpstreamTimeoutError("x"),
    BadResponseError("x"),
    ContinuationError("x"),
]


@pytest.mark.parametrize("error", FAILING_OVER, ids=lambda error: type(error).__name__)
async def test_failures_of_one_upstream_go_to_the_next_in_order(error: ProviderError) -> None:
    asked: list[str] = []
    attempts: list[Attempt] = []
    script: dict[str, list[Step]] = {"a/m": [error], "b/m": [DOWN], "c/m": ["hello"]}
    small = candidate("a/m", info=info(context_tokens=8000))
    found = await dispatch(plan(small, B, C), upstreams(script, asked), real_health(), attempts)
    assert asked == ["a/m", "b/m", "c/m"]
    assert found.served_by is C
    assert [each.outcome for each in attempts] == [error.outcome, "server_error", "ok"]
    assert found.attempts == tuple(attempts)


@pytest.mark.parametrize("error", [BadRequestError("x"), ContentBlockedError("x")], ids=lambda e: type(e).__name__)
async def test_what_fails_anywhere_is_raised_at_once(error: ProviderError) -> None:
    asked: list[str] = []
    attempts: list[Attempt] = []
    with pytest.raises(type(error)) as caught:
        await dispatch(plan(A, B), upstreams({"a/m": [error]}, asked), real_health(), attempts)
    assert caught.value is error
    assert asked == ["a/m"]
    assert [each.error for each in attempts] == [error]


async def test_when_all_fail_the_error_carries_every_attempt_and_the_shortest_wait() -> None:
    script: dict[str, list[Step]] = {
        "a/m": [RateLimitedError("x", retry_after_s=9.0)],
        "b/m": [RateLimitedError("y", retry_after_s=4.0)],
        "c/m": [UnavailableError("last", code="special")],
    }
    attempts: list[Attempt] = []
    with pytest.raises(AllAttemptsFailedError) as caught:
        await dispatch(plan(A, B, C), upstreams(script, []), real_health(), attempts)
    error = caught.value
    assert error.attempts == tuple(attempts)
    assert len(attempts) == 3
    assert (error.message, error.code, error.retry_after_s, error.billed) == ("last", "special", 4.0, False)


async def test_a_candidate_blocked_since_the_plan_was_made_is_skipped() -> None:
    health = real_health()
    health.admit(A)
    health.record(Attempt(candidate=A, duration_s=0.0, error=RateLimitedError("x", retry_after_s=60.0)))
    asked: list[str] = []
    attempts: list[Attempt] = []
    await dispatch(plan(A, B), upstreams({"b/m": ["hello"]}, asked), health, attempts)
    assert asked == ["b/m"]
    assert len(attempts) == 1


async def test_a_picture_that_may_have_been_billed_is_not_ordered_twice() -> None:
    error = UpstreamTimeoutError("x", billed=True)
    asked: list[str] = []
    with pytest.raises(AllAttemptsFailedError) as caught:
        await dispatch(plan(A, B, kind="image"), upstreams({"a/m": [error]}, asked), real_health(), [])
    assert asked == ["a/m"]
    assert caught.value.billed
    asked.clear()
    await dispatch(plan(A, B), upstreams({"a/m": [error], "b/m": ["hello"]}, asked), real_health(), [])
    assert asked == ["a/m", "b/m"]


SOLE = plan(A, candidate("a/m", retry=True))


@pytest.mark.parametrize(
    "error",
    [UnavailableError("x"), BadResponseError("x"), UpstreamTimeoutError("x")],
    ids=lambda error: type(error).__name__,
)
async def test_a_sole_candidate_that_failed_is_asked_once_more(error: ProviderError) -> None:
    attempts: list[Attempt] = []
    found = await dispatch(SOLE, upstreams({"a/m": [error, "hello"]}, []), real_health(), attempts)
    assert found.value == "hello"
    assert [each.outcome for each in attempts] == [error.outcome, "ok"]


@pytest.mark.parametrize(
    "error",
    [
        UnsupportedFieldError("x"),
        ContextTooLongError("x"),
        AuthenticationError("x"),
        ModelNotFoundError("x"),
        RateLimitedError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_sole_candidate_that_would_fail_again_is_not_asked_again(error: ProviderError) -> None:
    asked: list[str] = []
    with pytest.raises(AllAttemptsFailedError) as caught:
        await dispatch(SOLE, upstreams({"a/m": [error, error]}, asked), real_health(), [])
    assert asked == ["a/m"]
    assert caught.value.last is error


async def test_a_sole_candidate_has_the_whole_deadline_for_its_answer() -> None:
    found = await dispatch(
        plan(A, candidate("a/m", retry=True), deadline_s=0.3), upstreams({"a/m": [0.2]}, []), real_health(), []
    )
    assert found.value == "slow"


def in_virtual_time(of: Plan, script: dict[str, list[Step]]) -> list[Attempt]:
    """The attempts of a dispatch whose seconds are exact."""
    attempts: list[Attempt] = []
    loop = VirtualLoop()
    run_virtual(dispatch(of, upstreams(script, []), Health(loop.time), attempts), loop)
    return attempts


def test_while_others_could_be_asked_no_one_gets_all_the_time() -> None:
    attempts = in_virtual_time(plan(A, B, C, deadline_s=0.2), {"a/m": [5.0], "b/m": [5.0], "c/m": ["hello"]})
    assert [(each.candidate, each.outcome) for each in attempts] == [(A, "timeout"), (B, "timeout"), (C, "ok")]
    assert [each.duration_s for each in attempts] == pytest.approx([0.1, 0.05, 0.0])


def test_a_candidates_own_timeout_bounds_its_attempt() -> None:
    attempts = in_virtual_time(plan(candidate("a/m", timeout_s=0.02), B), {"a/m": [5.0], "b/m": ["hello"]})
    assert attempts[0].duration_s == pytest.approx(0.02)


async def test_without_time_for_a_single_attempt_it_is_a_timeout() -> None:
    with pytest.raises(AllAttemptsFailedError) as caught:
        await dispatch(plan(A, deadline_s=0.0), upstreams({}, []), real_health(), [])
    assert isinstance(caught.value.last, UpstreamTimeoutError)
    assert caught.value.attempts == ()


async def test_a_client_that_leaves_ends_the_loop_and_is_held_against_nobody() -> None:
    health = real_health()
    attempts: list[Attempt] = []
    asked: list[str] = []
    script: dict[str, list[Step]] = {"a/m": [DOWN], "b/m": [5.0], "c/m": ["hello"]}
    task = asyncio.create_task(dispatch(plan(A, B, C), upstreams(script, asked), health, attempts))
    while len(asked) < 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asked == ["a/m", "b/m"]
    assert [(each.candidate.name, each.outcome) for each in attempts] == [("a/m", "server_error"), ("b/m", "cancelled")]
    state = health.target("b", "m", B.info)
    assert (state.in_flight, state.failures, state.consecutive) == (0, 0.0, 0)


async def test_a_defect_of_ours_is_not_counted_against_the_upstream() -> None:
    async def call(who: Candidate) -> str:
        raise KeyError("ours")

    health = real_health()
    attempts: list[Attempt] = []
    with pytest.raises(KeyError):
        await dispatch(plan(A, B), call, health, attempts)
    assert [attempt.outcome for attempt in attempts] == ["internal_error"]
    state = health.target("a", "m", A.info)
    assert (state.in_flight, state.consecutive) == (0, 0)


STEPS: list[Step] = [DOWN, 9.0, 0.03]


async def overrun(first: Step, second: Step, third: Step, deadline_s: float, *, sole: bool) -> float:
    """By how many seconds the whole exceeds its deadline."""
    shape = (A, candidate("a/m", retry=True)) if sole else (A, B, C)
    script: dict[str, list[Step]] = {"a/m": [first, second], "b/m": [second], "c/m": [third]}
    started = time.monotonic()
    with contextlib.suppress(AllAttemptsFailedError):
        await dispatch(plan(*shape, deadline_s=deadline_s), upstreams(script, []), real_health(), [])
    return time.monotonic() - started - deadline_s


@pytest.mark.parametrize("sole", [False, True])
@pytest.mark.parametrize("deadline_s", [0.02, 0.06, 0.2])
async def test_one_deadline_covers_everything(deadline_s: float, sole: bool) -> None:
    grid = list(itertools.product(STEPS, repeat=3))
    for _ in range(4):  # a busy machine may be late once; the loop itself would be late every time
        overruns = await asyncio.gather(*(overrun(*steps, deadline_s, sole=sole) for steps in grid))
        grid = [steps for steps, late in zip(grid, overruns, strict=True) if late > 0.05]
    assert grid == []


async def test_the_pause_before_a_retry_counts_against_the_deadline() -> None:
    took = []
    for _ in range(8):  # the pause is drawn: eight draws are unlikely to be all short
        started = time.monotonic()
        with pytest.raises(AllAttemptsFailedError):
            await dispatch(
                plan(A, candidate("a/m", retry=True), deadline_s=0.03),
                upstreams({"a/m": [DOWN, 9.0]}, []),
                real_health(),
                [],
            )
        took.append(time.monotonic() - started)
    assert sorted(took)[len(took) // 2] < 0.08  # the median: one draw may fall into a pause of the machine


async def test_when_nobody_may_be_asked_the_failure_says_so_and_not_that_time_ran_out() -> None:
    health, asked = real_health(), list[str]()
    state = health.target(A.provider, A.model, A.info)
    state.blocked_until, state.blocked_reason = health.now() + 9, "rate limited"
    state.note()
    with pytest.raises(AllAttemptsFailedError) as caught:
        await dispatch(plan(A), upstreams({}, asked), health, [])
    assert (type(caught.value.last), caught.value.retry_after_s, asked) == (UnavailableError, 1.0, [])


SLIPPED = BadResponseError("slipped", outcome="malformed", resend="same")
SIGNATURE = UnsupportedFieldError("refused", outcome="signature", resend="unsigned")


async def test_an_upstream_that_slipped_is_asked_once_more_at_once_and_both_attempts_count() -> None:
    asked: list[str] = []
    attempts: list[Attempt] = []
    script: dict[str, list[Step]] = {"a/m": [SLIPPED, "hello"], "b/m": ["never"]}
    found = await dispatch(plan(A, B), upstreams(script, asked), real_health(), attempts)
    assert (found.value, asked) == ("hello", ["a/m", "a/m"])
    assert [(each.outcome, each.candidate.resend) for each in attempts] == [("malformed", None), ("ok", "same")]


async def test_the_error_says_how_the_second_request_differs() -> None:
    seen: list[str | None] = []

    async def call(who: Candidate) -> str:
        seen.append(who.resend)
        if who.resend is None:
            raise SIGNATURE
        return "hello"

    assert (await dispatch(plan(A), call, real_health(), [])).value == "hello"
    assert seen == [None, "unsigned"]


@pytest.mark.parametrize("error", [SLIPPED, SIGNATURE], ids=["slipped", "signature"])
async def test_what_fails_again_goes_to_the_next_and_nothing_is_sent_again_twice(error: ProviderError) -> None:
    asked: list[str] = []
    attempts: list[Attempt] = []
    script: dict[str, list[Step]] = {"a/m": [error, error], "b/m": [error], "c/m": ["hello"]}
    found = await dispatch(plan(A, B, C), upstreams(script, asked), real_health(), attempts)
    assert (found.value, asked) == ("hello", ["a/m", "a/m", "b/m", "c/m"])


async def test_a_sole_candidate_that_slips_twice_is_not_asked_a_third_time() -> None:
    asked: list[str] = []
    again = candidate("a/m", retry=True)
    with pytest.raises(AllAttemptsFailedError) as caught:
        await dispatch(plan(A, again), upstreams({"a/m": [SLIPPED, SLIPPED]}, asked), real_health(), [])
    assert asked == ["a/m", "a/m"]
    assert caught.value.last is SLIPPED


async def test_a_picture_that_did_not_come_is_asked_for_once_more_although_it_was_billed() -> None:
    asked: list[str] = []
    empty = BadResponseError("no picture", outcome="no_image", billed=True, resend="same")
    script: dict[str, list[Step]] = {"a/m": [empty, empty], "b/m": ["never"]}
    with pytest.raises(AllAttemptsFailedError):
        await dispatch(plan(A, B, kind="image"), upstreams(script, asked), real_health(), [])
    assert asked == ["a/m", "a/m"], "a third could be charged a third time"


async def test_a_picture_that_certainly_will_not_come_is_ordered_elsewhere() -> None:
    asked: list[str] = []
    words = BadResponseError("words", outcome="no_image", billed=True, dead=True, resend="insist")
    script: dict[str, list[Step]] = {"a/m": [words, words], "b/m": ["a picture"]}
    attempts: list[Attempt] = []
    outcome = await dispatch(plan(A, B, kind="image"), upstreams(script, asked), real_health(), attempts)
    assert (asked, outcome.value) == (["a/m", "a/m", "b/m"], "a picture")
    assert [attempt.candidate.resend for attempt in attempts] == [None, "insist", None]


async def test_a_picture_whose_time_is_up_has_all_of_it_and_is_not_ordered_elsewhere() -> None:
    asked: list[str] = []

    async def call(who: Candidate) -> str:
        asked.append(who.name)
        await asyncio.sleep(5)
        return "late"

    began = asyncio.get_running_loop().time()
    with pytest.raises(AllAttemptsFailedError) as caught:
        await dispatch(plan(A, B, kind="image", deadline_s=0.2), call, real_health(), [])
    assert asyncio.get_running_loop().time() - began > 0.15
    assert (asked, caught.value.billed) == (["a/m"], True)


SHOPPING = FailoverSettings(content_policy=True)


async def test_refusals_fail_over_only_where_the_operator_says_so() -> None:
    refused = ContentBlockedError("no", billed=True)
    for kind in ("chat", "image"):
        asked: list[str] = []
        with pytest.raises(ContentBlockedError):
            await dispatch(plan(A, B, kind=kind), upstreams({"a/m": [refused]}, asked), real_health(), [])
        assert asked == ["a/m"]
        asked.clear()
        shopping = plan(A, B, kind=kind, failover=SHOPPING)
        await dispatch(shopping, upstreams({"a/m": [refused], "b/m": ["yes"]}, asked), real_health(), [])
        assert asked == ["a/m", "b/m"]


async def test_a_refusal_is_told_before_a_failure() -> None:
    script: dict[str, list[Step]] = {"a/m": [ContentBlockedError("no")], "b/m": [UnavailableError("down")]}
    with pytest.raises(AllAttemptsFailedError) as caught:
        await dispatch(plan(A, B, failover=SHOPPING), upstreams(script, []), real_health(), [])
    assert isinstance(caught.value.last, ContentBlockedError)


async def test_there_is_no_second_request_without_time_for_it() -> None:
    asked: list[str] = []

    async def call(who: Candidate) -> str:
        asked.append(who.name)
        await asyncio.sleep(0.06)
        raise SLIPPED

    with pytest.raises(AllAttemptsFailedError):
        await dispatch(plan(A, deadline_s=0.05), call, real_health(), [])
    assert asked == ["a/m"]


async def test_when_everything_fails_over_further_attempts_stay_within_the_budget() -> None:
    health, asked = real_health(), list[str]()
    script: dict[str, list[Step]] = {"a/m": [RateLimitedError("x", retry_after_s=0.0)] * 300, "b/m": ["hello"] * 300}
    served = 0
    started = time.monotonic()
    for _ in range(300):
        with contextlib.suppress(AllAttemptsFailedError):
            await dispatch(plan(A, B), upstreams(script, asked), health, [])
            served += 1
    assert asked.count("a/m") == 300
    assert asked.count("b/m") == served
    assert 30 <= served <= 10 + 30 + (time.monotonic() - started) + 1
