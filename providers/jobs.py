"""Create-and-poll backends: submit once, poll with a growing interval, cancel upstream when nobody waits any more."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

from providers.errors import (
    AuthenticationError,
    BadResponseError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.statuses import is_answer_lost

T = TypeVar("T")


class Pending(Struct, frozen=True):
    """The job is not done; `retry_after_s` is what the upstream asked us to wait, if anything."""

    retry_after_s: float | None = None


class Done(Struct, Generic[T], frozen=True):
    """The job is done and this is its result."""

    value: T


class JobTimings(Struct, frozen=True, kw_only=True):
    """Seconds. Polling starts at `first_s` and grows by `step_s` up to `max_s`; `deadline_s` bounds the whole job.

    Several upstreams count polls against their request quota, hence the growth. For `unknown_s` after its submission
    an upstream may not know the job yet; later that means it is gone.
    """

    first_s: float = 1.0
    step_s: float = 1.0
    max_s: float = 5.0
    deadline_s: float = 300.0
    unknown_s: float = math.inf


# Of a poll: nothing about the job, only that this question was not answered.
_UNREADABLE = frozenset({"parse", "truncated", "empty_body", "bad_content_type"})


async def run_job(
    submit: Callable[[], Awaitable[str]],
    poll: Callable[[str], Awaitable[Pending | Done[T]]],
    cancel: Callable[[str], Awaitable[None]],
    timings: JobTimings,
) -> T:
    """Submit, then poll until done. A lost poll is asked again inside the deadline; submit is never repeated.

    `poll` raises a ProviderError for a job that ended badly; `is_lost_poll` tells which ones are not about the job.
    When the caller is cancelled, the deadline passes or polling cannot go on, the upstream job is cancelled too, so
    that it stops costing.
    """
    try:
        job_id = await submit()
    except ProviderError as exc:
        exc.billed = exc.billed or is_answer_lost(exc)  # the job may run
        raise
    lost: ProviderError | None = None
    interval_s = timings.first_s
    submitted = time.monotonic()
    try:
        async with asyncio.timeout(timings.deadline_s):
            while True:
                try:
                    state = await poll(job_id)
                except ProviderError as exc:
                    if not is_lost_poll(exc):
                        raise
                    if isinstance(exc, ModelNotFoundError) and time.monotonic() - submitted > timings.unknown_s:
                        raise UnavailableError("the image job is gone", outcome="job_failed", billed=True) from exc
                    lost, asked_s = exc, exc.retry_after_s
                else:
                    if isinstance(state, Done):
                        return state.value
                    asked_s = state.retry_after_s
                await asyncio.sleep(max(interval_s, asked_s or 0.0))
                interval_s = min(interval_s + timings.step_s, timings.max_s)
    except TimeoutError as exc:
        await _cancel_quietly(cancel, job_id)
        raise UpstreamTimeoutError(
            f"the image job did not finish in {timings.deadline_s:.0f} s", outcome="job_timeout", billed=True
        ) from (lost or exc)
    except AuthenticationError as exc:
        await _cancel_quietly(cancel, job_id)
        exc.billed = True  # the job was accepted, whoever may look at it now
        raise
    except asyncio.CancelledError:
        await asyncio.shield(_cancel_quietly(cancel, job_id))
        raise


def is_lost_poll(error: ProviderError) -> bool:
    """Whether a failed poll says nothing about the job: overload, rate limit, a lost or unreadable answer.

    404 counts too: some upstreams know a job only some time after they accepted it. An adapter says that the job
    itself failed with the outcome "job_failed".
    """
    match error:
        case QuotaExhaustedError():
            return False
        case UnavailableError() | UpstreamTimeoutError() | RateLimitedError() | ModelNotFoundError():
            return error.outcome != "job_failed"
        case BadResponseError():
            return error.outcome in _UNREADABLE
    return False


async def _cancel_quietly(cancel: Callable[[str], Awaitable[None]], job_id: str) -> None:
    try:
        async with asyncio.timeout(2.0):
            await cancel(job_id)
    except (ProviderError, TimeoutError):
        return  # the job runs on and is billed; there is nobody left to tell
