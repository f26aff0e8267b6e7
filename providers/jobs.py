"""Create-and-poll backends: submit once, poll with a growing interval, cancel upstream when nobody waits any more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

from providers.errors import ProviderError, UnavailableError, UpstreamTimeoutError

T = TypeVar("T")


class Pending(Struct, frozen=True):
    """The job is not done; `retry_after_s` is what the upstream asked us to wait, if anything."""

    retry_after_s: float | None = None


class Done(Struct, Generic[T], frozen=True):
    """The job is done and this is its result."""

    value: T


class JobTimings(Struct, frozen=True, kw_only=True):
    """Seconds. Polling starts at `first_s` and grows by `step_s` up to `max_s`; `deadline_s` bounds the whole job.

    Several upstreams count polls against their request quota, hence the growth.
    """

    first_s: float = 1.0
    step_s: float = 1.0
    max_s: float = 5.0
    deadline_s: float = 300.0


async def run_job(
    submit: Callable[[], Awaitable[str]],
    poll: Callable[[str], Awaitable[Pending | Done[T]]],
    cancel: Callable[[str], Awaitable[None]],
    timings: JobTimings,
) -> T:
    """Submit, then poll until done. A failed poll is asked again inside the deadline; submit is never repeated.

    `poll` raises a ProviderError for a job that ended badly: UnavailableError and UpstreamTimeoutError are taken as
    a lost poll, anything else is final. When the caller is cancelled or the deadline passes, the upstream job is
    cancelled too, so that it stops costing.
    """
    job_id = await submit()
    interval_s = timings.first_s
    lost: ProviderError | None = None
    try:
        async with asyncio.timeout(timings.deadline_s):
            while True:
                wait_s = interval_s
                try:
                    state = await poll(job_id)
                except (UnavailableError, UpstreamTimeoutError) as exc:
                    if exc.outcome == "job_failed":
                        raise
                    lost = exc
                else:
                    if isinstance(state, Done):
                        return state.value
                    wait_s = max(interval_s, state.retry_after_s or 0.0)
                await asyncio.sleep(wait_s)
                interval_s = min(interval_s + timings.step_s, timings.max_s)
    except TimeoutError as exc:
        await _cancel_quietly(cancel, job_id)
        raise UpstreamTimeoutError(
            f"the image job did not finish in {timings.deadline_s:.0f} s", outcome="job_timeout", billed=True
        ) from (lost or exc)
    except asyncio.CancelledError:
        await asyncio.shield(_cancel_quietly(cancel, job_id))
        raise


async def _cancel_quietly(cancel: Callable[[str], Awaitable[None]], job_id: str) -> None:
    try:
        async with asyncio.timeout(2.0):
            await cancel(job_id)
    except (ProviderError, TimeoutError):
        return  # the job runs on and is billed; there is nobody left to tell
