"""The two wires by which bridges take a line and give pictures back, as values. Pure.

`midjourney-proxy` (github.com/novicezk/midjourney-proxy and its kin; new-api speaks it too) gives one grid of four,
Legnext (docs.legnext.ai) four pictures. Both read 2026-11-28. Neither is Midjourney's own.
"""

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime

import orjson
from msgspec import Struct

from providers.answers import json_object, message_in
from providers.errors import (
    BadResponseError,
    ModelNotFoundError,
    ProviderError,
    RateLimitedError,
    UnavailableError,
)
from providers.jobs import Done, Pending
from providers.statuses import moderation_error, status_error
from providers.types import ImageInput, JsonObject, JsonValue

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_ACCEPTED = frozenset({1, 21, 22})  # taken, there already, queued
_QUEUE_FULL, _BANNED_WORD = 23, 24
# What Midjourney's bot says, word for word, of a refusal: bridges pass it on and have no code for it.
_REFUSALS = ("banned prompt", "ai moderator", "content moderated", "image filtered", "blocked prompt")


class Made(Struct, frozen=True):
    """Where a job's pictures lie; a `grid` is one picture that holds all four."""

    urls: tuple[str, ...]
    grid: bool


class Bridge(Struct, frozen=True, kw_only=True):
    """How a bridge is spoken to. `cancel` "" says that it cannot take a job back; `{}` stands for the job's id."""

    key_header: str
    submit: str
    watch: str
    cancel: str = ""
    references: int
    body: Callable[[str, tuple[ImageInput, ...]], JsonObject]
    job_of: Callable[[JsonObject], str]
    state_of: Callable[[JsonObject], Pending | Done[Made]]

    def to_job(self, line: str, images: tuple[ImageInput, ...]) -> bytes:
        return orjson.dumps(self.body(line, images))

    def job_from(self, answer: bytes) -> str:
        """The accepted job's id. Raises what the refusal means, BadResponseError when the answer names no job."""
        found = self.job_of(json_object(answer, billed=True))
        if not _ID.fullmatch(found):
            raise BadResponseError("the upstream accepted no job", outcome="parse", billed=True)
        return found

    def state_from(self, answer: bytes) -> Pending | Done[Made]:
        """The state of a job. An unknown status counts as running; addresses count only when it is done.

        Raises ContentBlockedError, UnavailableError (`job_failed`), BadResponseError (`empty`), and ModelNotFoundError
        for a job that is not known (yet).
        """
        if answer.strip() in (b"", b"null"):
            raise ModelNotFoundError("the upstream does not know the job", status=404)
        return self.state_of(json_object(answer))


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for a bad status of either bridge."""
    return status_error(status, headers, message_in(body), now)


def _proxy_body(line: str, images: tuple[ImageInput, ...]) -> JsonObject:
    urls: list[JsonValue] = [f"data:{image.mime};base64,{base64.b64encode(image.data).decode()}" for image in images]
    return {"prompt": line, "base64Array": urls}


def _proxy_job(answer: JsonObject) -> str:
    code, job = answer.get("code"), answer.get("result")
    if code in _ACCEPTED:
        return str(job) if isinstance(job, str | int) else ""
    if code == _QUEUE_FULL:
        raise RateLimitedError("the upstream's queue is full")
    if code == _BANNED_WORD:
        raise moderation_error()
    if isinstance(code, int):
        raise UnavailableError("the upstream did not take the job")
    return ""


def _proxy_state(answer: JsonObject) -> Pending | Done[Made]:
    status, url = answer.get("status"), answer.get("imageUrl")
    if status in ("FAILURE", "CANCEL"):
        properties = answer.get("properties")
        banned = isinstance(properties, dict) and bool(properties.get("bannedWord"))
        raise _failure(answer.get("failReason"), moderated=banned)
    if status != "SUCCESS":  # while it is under way the address is that of a sketch
        return Pending()
    if not isinstance(url, str) or not url:
        raise _empty()
    return Done(Made((url,), grid=True))


def _legnext_job(answer: JsonObject) -> str:
    job = answer.get("job_id")
    return job if isinstance(job, str) else ""


def _legnext_state(answer: JsonObject) -> Pending | Done[Made]:
    status, output, error = answer.get("status"), answer.get("output"), answer.get("error")
    if status == "failed":
        raise _failure(error.get("message") if isinstance(error, dict) else None)
    if status != "completed":
        return Pending()
    given = output if isinstance(output, dict) else {}
    urls, grid = given.get("image_urls"), given.get("image_url")
    found = tuple(url for url in urls if isinstance(url, str) and url) if isinstance(urls, list) else ()
    if found:
        return Done(Made(found, grid=False))
    if isinstance(grid, str) and grid:
        return Done(Made((grid,), grid=True))
    raise _empty()


def _failure(reason: JsonValue, *, moderated: bool = False) -> ProviderError:
    said = reason.lower() if isinstance(reason, str) else ""
    if moderated or any(words in said for words in _REFUSALS):
        return moderation_error(billed=True)
    return UnavailableError("the image job failed", outcome="job_failed", billed=True, dead=True)


def _empty() -> BadResponseError:
    return BadResponseError("the image job gave no picture", outcome="empty", billed=True)


BRIDGES: Mapping[str, Bridge] = {
    "midjourney-proxy": Bridge(
        key_header="mj-api-secret",
        submit="/mj/submit/imagine",
        watch="/mj/task/{}/fetch",
        cancel="/mj/task/{}/cancel",  # some of its kin have none, and answer 404
        references=4,
        body=_proxy_body,
        job_of=_proxy_job,
        state_of=_proxy_state,
    ),
    "legnext": Bridge(
        key_header="x-api-key",
        submit="/diffusion",
        watch="/job/{}",
        references=0,  # it would have to fetch them
        body=lambda line, _: {"text": line},
        job_of=_legnext_job,
        state_of=_legnext_state,
    ),
}
