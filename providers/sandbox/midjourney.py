"""Midjourney behind two bridges: lines with parameters, jobs, one grid of four or four pictures."""

import re
from collections.abc import Mapping
from typing import Any

from providers.sandbox.brain import identifier
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.files import Files, Recipe
from providers.sandbox.jobs import Job, JobBook, Phase, ratio_size
from providers.sandbox.refusals import RefusedError, error_answer, json_answer, json_payload

_PARAMETER = re.compile(r"\s--([a-z]+)(?:\s+((?:(?!\s--).)+))?")
_KNOWN = frozenset({"ar", "seed", "q", "no", "v", "niji", "stylize", "chaos", "weird"})
_PROXY = re.compile(r"/mj/task/([A-Za-z0-9]+)/(fetch|cancel)\Z")
_LEGNEXT = re.compile(r"/api/v1/job/([A-Za-z0-9]+)\Z")
_PROXY_STATUSES: Mapping[Phase, str] = {
    "queued": "SUBMITTED",
    "running": "IN_PROGRESS",
    "done": "SUCCESS",
    "failed": "FAILURE",
    "moderated": "FAILURE",
    "cancelled": "FAILURE",
}
_LEGNEXT_STATUSES: Mapping[Phase, str] = {
    "queued": "pending",
    "running": "processing",
    "done": "completed",
    "failed": "failed",
    "moderated": "failed",
    "cancelled": "failed",
}
_REASONS: Mapping[Phase, str] = {"moderated": "Banned prompt detected", "cancelled": "cancelled"}


class Midjourney:
    """midjourney-proxy for one sandbox; its address while a job runs is that of a sketch which is no picture."""

    def __init__(self, config: SandboxConfig, files: Files) -> None:
        self._config = config
        self._files = files
        self._jobs = JobBook()

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        if incoming.path == "/mj/submit/imagine" and incoming.method == "POST":
            return Route(operation="submit", payload=json_payload("midjourney", incoming.body, 400))
        match = _PROXY.match(incoming.path)
        wanted = {"fetch": ("GET", "poll"), "cancel": ("POST", "cancel")}.get(match[2] if match else "")
        if match is None or wanted is None or incoming.method != wanted[0]:
            raise RefusedError(error_answer("midjourney", 404, "Not Found"))
        return Route(operation=wanted[1], payload=match[1])

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content or job fault or None. Raises RefusedError."""
        if not self._config.takes(incoming.header(b"mj-api-secret")):
            raise RefusedError(error_answer("midjourney", 401, "Unauthorized"))
        if route.operation == "submit":
            return self._submit(route.payload, incoming.key, fault)
        if fault and fault.name == "poll-404":
            raise RefusedError(error_answer("midjourney", 404, "Not Found"))
        if fault and fault.name == "poll-500":
            raise RefusedError(error_answer("midjourney", 500))
        job = self._jobs.get(route.payload)
        if job is None:
            return Answer(body=b"")
        if route.operation == "cancel":
            job.cancelled = True
            return Answer()
        return self._fetch(route.payload, job, incoming.base_url, fault)

    def _submit(self, payload: Mapping[str, Any], key: str, fault: Fault | None) -> Answer:
        line = payload.get("prompt")
        if not isinstance(line, str) or not line:
            return json_answer({"code": 4, "description": "prompt must not be empty", "properties": {}})
        if fault and fault.name == "blocked-prompt":
            banned = {"promptEn": line, "bannedWord": "word"}
            return json_answer({"code": 24, "description": "may contain sensitive words", "properties": banned})
        name = identifier("", f"midjourney/{key}", 16)
        self._jobs.add(name, _job(line, fault, self._config.job_s))
        return json_answer({"code": 1, "description": "Submit success", "result": name, "properties": {}})

    def _fetch(self, name: str, job: Job, base_url: str, fault: Fault | None) -> Answer:
        struck = fault.name if fault and fault.kind == "job" else ""
        phase = job.phase(struck)
        url = None
        if phase == "running":
            url = self._files.add(Recipe(prompt="sketch", width=16, height=16, broken=True), base_url)
        elif phase == "done":
            url = next(iter(_pictures(job, struck, self._files, base_url, grid=True)), None)
        made: dict[str, Any] = {
            "id": name,
            "action": "IMAGINE",
            "status": _PROXY_STATUSES[phase],
            "progress": "100%" if phase == "done" else "60%",
            "imageUrl": url,
            "failReason": _reason(job, phase),
            "properties": {},
        }
        return json_answer(made)


class Legnext:
    """Legnext for one sandbox."""

    def __init__(self, config: SandboxConfig, files: Files) -> None:
        self._config = config
        self._files = files
        self._jobs = JobBook()

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        if incoming.path == "/api/v1/diffusion" and incoming.method == "POST":
            return Route(operation="submit", payload=json_payload("legnext", incoming.body, 400))
        match = _LEGNEXT.match(incoming.path)
        if match is None or incoming.method != "GET":
            raise RefusedError(error_answer("legnext", 404, "Not Found"))
        return Route(operation="poll", payload=match[1])

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content or job fault or None. Raises RefusedError."""
        if not self._config.takes(incoming.header(b"x-api-key")):
            raise RefusedError(error_answer("legnext", 401, "invalid api key"))
        if route.operation == "submit":
            line = route.payload.get("text")
            if not isinstance(line, str) or not line:
                raise RefusedError(error_answer("legnext", 400, "text is required"))
            name = identifier("", f"legnext/{incoming.key}", 32)
            self._jobs.add(name, _job(line, fault, self._config.job_s))
            return json_answer({"job_id": name, "model": "midjourney", "task_type": "diffusion", "status": "pending"})
        job = self._jobs.get(route.payload)
        if job is None or (fault and fault.name == "poll-404"):
            raise RefusedError(error_answer("legnext", 404, "job not found"))
        if fault and fault.name == "poll-500":
            raise RefusedError(error_answer("legnext", 500))
        return self._state(route.payload, job, incoming.base_url, fault)

    def _state(self, name: str, job: Job, base_url: str, fault: Fault | None) -> Answer:
        struck = fault.name if fault and fault.kind == "job" else ""
        phase = job.phase(struck)
        urls = _pictures(job, struck, self._files, base_url, grid=False) if phase == "done" else []
        reason = _reason(job, phase)
        made: dict[str, Any] = {
            "job_id": name,
            "status": _LEGNEXT_STATUSES[phase],
            "output": {"image_url": "", "image_urls": urls or None},
            "error": {"code": 10000 if reason else 0, "message": reason or ""},
            "meta": {"usage": {"type": "point", "frozen": 80, "consume": 80}},
        }
        return json_answer(made)


def _job(line: str, fault: Fault | None, took_s: float) -> Job:
    words, _, rest = f"{line} ".partition(" --")
    said = dict(_PARAMETER.findall(f" --{rest}")) if rest else {}
    width, height = ratio_size(said.get("ar", "1:1").strip())
    unknown = sorted(said.keys() - _KNOWN)
    given = {"prompt": words.strip(), "width": width, "height": height, "unknown": unknown}
    return Job("", given, "job-fails" if unknown else fault.name if fault else "", took_s)


def _reason(job: Job, phase: Phase) -> str | None:
    if job.given["unknown"]:
        return f"[Invalid parameter] Unrecognized parameter(s): {', '.join(job.given['unknown'])}"
    return _REASONS.get(phase, "The job failed") if phase in ("failed", "moderated", "cancelled") else None


def _pictures(job: Job, fault: str, files: Files, base_url: str, *, grid: bool) -> list[str]:
    look = {"width": job.given["width"], "height": job.given["height"]}
    return job.pictures(fault, files, base_url, count=1 if grid else 4, grid=grid, **look)
