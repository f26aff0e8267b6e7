"""A job is submitted once, polled with growing pauses, and cancelled upstream when nobody waits for it any more."""

import asyncio
import time
from collections.abc import Callable

import pytest

from providers.errors import (
    AuthenticationError,
    BadResponseError,
    ContentBlockedError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.jobs import Done, JobTimings, Pending, run_job

FAST = JobTimings(first_s=0.001, step_s=0.001, max_s=0.004, deadline_s=5.0)


class Job:
    """A fake upstream job: each poll takes the next of `states`, the last one for ever."""

    def __init__(self, *states: Pending | Done[str] | ProviderError) -> None:
        self.states = list(states)
        self.submitted = 0
        self.polls: list[float] = []
        self.cancelled: list[str] = []

    async def submit(self) -> str:
        self.submitted += 1
        return "job-1"

    async def poll(self, job_id: str) -> Pending | Done[str]:
        assert job_id == "job-1"
        self.polls.append(time.monotonic())
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, ProviderError):
            raise state
        return state

    async def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)

    async def run(self, timings: JobTimings = FAST) -> str:
        return await run_job(self.submit, self.poll, self.cancel, timings)


async def test_a_job_is_polled_until_done() -> None:
    job = Job(Pending(), Pending(), Done("picture"))
    assert await job.run() == "picture"
    assert (job.submitted, len(job.polls), job.cancelled) == (1, 3, [])


async def test_pauses_grow_up_to_their_limit() -> None:
    job = Job(*[Pending()] * 5, Done("x"))
    await job.run(JobTimings(first_s=0.01, step_s=0.02, max_s=0.05, deadline_s=5))
    gaps = [b - a for a, b in zip(job.polls, job.polls[1:], strict=False)]
    for gap, least in zip(gaps, [0.01, 0.03, 0.05, 0.05, 0.05], strict=True):
        assert least - 0.002 <= gap < least + 0.2


async def test_the_upstreams_own_pause_is_kept() -> None:
    job = Job(Pending(retry_after_s=0.05), RateLimitedError("slow down", retry_after_s=0.06), Done("x"))
    await job.run()
    assert job.polls[1] - job.polls[0] >= 0.045
    assert job.polls[2] - job.polls[1] >= 0.055


@pytest.mark.parametrize(
    "lost",
    [
        UnavailableError("500", status=500),
        UpstreamTimeoutError("slow"),
        RateLimitedError("429", status=429),
        ModelNotFoundError("404", status=404),
        BadResponseError("cut", outcome="truncated"),
        BadResponseError("html", outcome="bad_content_type"),
    ],
)
async def test_a_lost_poll_is_asked_again_and_the_job_not_submitted_again(lost: ProviderError) -> None:
    job = Job(Pending(), lost, lost, Done("picture"))
    assert await job.run() == "picture"
    assert (job.submitted, len(job.polls), job.cancelled) == (1, 4, [])


@pytest.mark.parametrize(
    "end",
    [
        UnavailableError("failed", outcome="job_failed"),
        ContentBlockedError("moderated"),
        BadResponseError("nothing", outcome="empty"),
        QuotaExhaustedError("empty purse"),
    ],
)
async def test_a_job_that_ended_badly_is_final(end: ProviderError) -> None:
    job = Job(Pending(), end)
    with pytest.raises(type(end)) as caught:
        await job.run()
    assert caught.value is end
    assert (len(job.polls), job.cancelled) == (2, [])


async def test_a_refused_key_gives_the_job_up_but_counts_it_as_billed() -> None:
    job = Job(AuthenticationError("401"))
    with pytest.raises(AuthenticationError) as caught:
        await job.run()
    assert caught.value.billed
    assert job.cancelled == ["job-1"]


async def test_the_deadline_cancels_the_job_upstream() -> None:
    lost = UnavailableError("500")
    job = Job(Pending(), lost)
    with pytest.raises(UpstreamTimeoutError) as caught:
        await job.run(JobTimings(first_s=0.001, step_s=0, max_s=0.001, deadline_s=0.05))
    assert (caught.value.outcome, caught.value.billed) == ("job_timeout", True)
    assert caught.value.__cause__ is lost
    assert job.cancelled == ["job-1"]


async def test_the_deadline_holds_while_a_poll_hangs() -> None:
    job = Job(Pending())

    async def hang(_: str) -> Pending:
        await asyncio.sleep(60)
        return Pending()

    with pytest.raises(UpstreamTimeoutError):
        await run_job(job.submit, hang, job.cancel, JobTimings(first_s=0.001, deadline_s=0.05))
    assert job.cancelled == ["job-1"]


async def test_a_caller_who_leaves_cancels_the_job_upstream() -> None:
    job = Job(Pending())
    task = asyncio.create_task(job.run())
    while not job.polls:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert job.cancelled == ["job-1"]


async def test_an_outer_timeout_is_not_mistaken_for_the_jobs() -> None:
    job = Job(Pending())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.03):
            await job.run()
    assert job.cancelled == ["job-1"]


async def _refused(_: str) -> None:
    raise UnavailableError("gone")


@pytest.mark.parametrize("cancel", [_refused])
async def test_a_failing_cancel_changes_nothing(cancel: Callable[[str], object]) -> None:
    job = Job(Pending())
    with pytest.raises(UpstreamTimeoutError):
        await run_job(job.submit, job.poll, _refused, JobTimings(first_s=0.001, deadline_s=0.02))


async def test_a_failed_submit_is_not_repeated() -> None:
    job = Job(Done("x"))

    async def submit() -> str:
        job.submitted += 1
        raise UnavailableError("503")

    with pytest.raises(UnavailableError):
        await run_job(submit, job.poll, job.cancel, FAST)
    assert (job.submitted, job.polls, job.cancelled) == (1, [], [])
