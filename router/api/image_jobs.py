"""`Prefer: respond-async`: 202 at once, the picture later, at GET /v1/images/jobs/{id}; DELETE ends it."""

import asyncio
import secrets
import time
from collections.abc import Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from providers.types import JsonObject
from router.api.body import header
from router.api.detached import Answer
from router.api.gateway import Gateway
from router.errors import NotFoundError, OverloadedError

_MAX_UNDER_WAY = 16  # of one client
_MAX_KEPT = 200  # of one client; results are links, so each is small
POLL_S = 2
"""How soon it is worth asking again, in seconds."""


class Job:
    """One picture under way, or what became of it. Only its owner, a client key, may see it."""

    __slots__ = ("created", "expires", "id", "owner", "request_id", "task")

    def __init__(self, owner: str, request_id: str, task: asyncio.Task[Answer]) -> None:
        self.id = f"imgjob_{secrets.token_hex(16)}"
        self.owner = owner
        self.request_id = request_id
        self.task = task
        self.created = int(time.time())
        self.expires: int | None = None

    @property
    def status(self) -> str:
        if not self.task.done():
            return "in_progress"
        if self.task.cancelled():
            return "cancelled"
        return "completed" if self.task.result().status == 200 else "failed"

    def as_json(self) -> JsonObject:
        """`result` is the answer of a plain request, `error` the error object of one that failed."""
        status = self.status
        answer = orjson.loads(self.task.result().body) if status in ("completed", "failed") else {}
        return {
            "id": self.id,
            "object": "image.job",
            "status": status,
            "created_at": self.created,
            "expires_at": self.expires,
            "request_id": self.request_id,
            "result": answer if status == "completed" else None,
            "error": answer.get("error"),
        }


class ImageJobs:
    """All jobs of this process. One that has ended is kept for `ttl_s`, as long as its links work."""

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._jobs: dict[str, Job] = {}  # in the order they were begun

    def begin(self, owner: str, request_id: str, start: Callable[[], asyncio.Task[Answer]]) -> Job:
        """A new job. Raises OverloadedError before `start` when there are too many."""
        mine = [job for job in self._jobs.values() if job.owner == owner]
        ended = [job for job in mine if job.task.done()]
        if len(mine) - len(ended) >= _MAX_UNDER_WAY:
            raise OverloadedError(f"at most {_MAX_UNDER_WAY} jobs may be under way")
        if len(mine) >= _MAX_KEPT:
            self.forget(ended[0])
        job = Job(owner, request_id, start())
        self._jobs[job.id] = job
        job.task.add_done_callback(lambda _: self._ended(job))
        return job

    def find(self, owner: str, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None or job.owner != owner:
            raise NotFoundError("no such job, or it has expired")
        return job

    def forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)

    def _ended(self, job: Job) -> None:
        job.expires = int(time.time() + self._ttl_s)
        asyncio.get_running_loop().call_later(self._ttl_s, self.forget, job)


class JobsHandler:
    """GET and DELETE of one job."""

    def __init__(self, gateway: Gateway, jobs: ImageJobs) -> None:
        self._gateway = gateway
        self._jobs = jobs

    async def show(self, request: Request) -> Response:
        return _rendered(self._job(request))

    async def cancel(self, request: Request) -> Response:
        """Cancel a job under way, with its upstream call; forget one that has ended."""
        job = self._job(request)
        if job.task.done():
            self._jobs.forget(job)
            return _json({"id": job.id, "object": "image.job", "deleted": True})
        job.task.cancel()
        await asyncio.wait([job.task])
        return _rendered(job)

    def _job(self, request: Request) -> Job:
        key = self._gateway.auth.identify(request.scope)
        return self._jobs.find(key.name, str(request.path_params["id"]))


def prefers_async(scope: Scope) -> bool:
    """Whether the request says `Prefer: respond-async` (RFC 7240)."""
    words = (header(scope, b"prefer") or "").lower().split(",")
    return any(word.partition(";")[0].strip() == "respond-async" for word in words)


def _rendered(job: Job) -> Response:
    answer = _json(job.as_json())
    if not job.task.done():
        answer.headers["retry-after"] = str(POLL_S)
    return answer


def _json(body: JsonObject) -> Response:
    return Response(orjson.dumps(body), media_type="application/json", headers={"cache-control": "no-store"})
