"""The Eachlabs wire: submit a prediction, poll it, cancel it, fetch the result from a URL."""

import re
from collections.abc import Mapping
from typing import Any

from providers.sandbox.brain import identifier
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.files import Files
from providers.sandbox.jobs import Job, JobBook, Phase, size_in
from providers.sandbox.refusals import RefusedError, eachlabs_error, json_answer, json_payload

_PATH = re.compile(r"/v1/prediction(?:/([0-9A-Za-z-]+)(/cancel)?)?/?\Z")
_COST_USD = 0.011
_STATUSES: Mapping[Phase, str] = {
    "queued": "starting",
    "running": "processing",
    "done": "success",
    "failed": "error",
    "moderated": "error",
    "cancelled": "cancelled",
}


class Eachlabs:
    """The dialect for one sandbox."""

    def __init__(self, config: SandboxConfig, files: Files) -> None:
        self._config = config
        self._files = files
        self._jobs = JobBook()

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        match = _PATH.match(incoming.path)
        if match is None:
            raise RefusedError(eachlabs_error(404, "not found"))
        if match[1] is None:
            if incoming.method != "POST":
                raise RefusedError(eachlabs_error(405, "method not allowed"))
            payload = json_payload("eachlabs", incoming.body, 400)
            return Route(operation="submit", model=str(payload.get("model") or ""), payload=payload)
        job = self._jobs.get(match[1])
        cancels = match[2] is not None or incoming.method == "DELETE"
        return Route(operation="cancel" if cancels else "poll", model=job.model if job else "", payload=match[1])

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content or job fault or None. Raises RefusedError."""
        self._authenticate(incoming)
        if route.operation == "submit":
            return self._submit(route, incoming.key, fault)
        job = self._jobs.get(route.payload)
        if job is None:
            raise RefusedError(eachlabs_error(404, "prediction not found"))
        if route.operation == "cancel":
            job.cancelled = True
            return json_answer({"id": route.payload, "status": "cancelled"})
        return self._poll(route.payload, job, incoming.base_url, fault)

    def _authenticate(self, incoming: Incoming) -> None:
        if not self._config.takes(incoming.header(b"x-api-key")):
            raise RefusedError(eachlabs_error(401, "Unauthorized: invalid API key"))

    def _submit(self, route: Route, key: str, fault: Fault | None) -> Answer:
        given = route.payload.get("input")
        if not route.model:
            raise RefusedError(eachlabs_error(400, "model is required"))
        if not isinstance(given, dict) or not isinstance(given.get("prompt"), str):
            raise RefusedError(eachlabs_error(400, "input.prompt is required"))
        _size(given)
        job_id = identifier("", f"job/{key}", 32)
        self._jobs.add(job_id, Job(route.model, given, fault.name if fault else "", self._config.job_s))
        return json_answer({"status": "success", "message": "Prediction created successfully", "predictionID": job_id})

    def _poll(self, job_id: str, job: Job, base_url: str, fault: Fault | None) -> Answer:
        name = fault.name if fault and fault.kind == "job" else ""
        if fault and fault.name == "poll-404":
            raise RefusedError(eachlabs_error(404, "prediction not found"))
        if fault and fault.name == "poll-500":
            raise RefusedError(eachlabs_error(500, "internal error"))
        status = _STATUSES[job.phase(name)]
        made: dict[str, Any] = {
            "id": job_id,
            "status": status,
            "output": self._output(job, name, base_url) if status == "success" else "",
            "logs": "prompt rejected by the model" if status == "error" else "",
            "metrics": {"predict_time": job.took_s if status == "success" else 0, "cost": 0},
            "urls": {
                "get": f"{base_url}/eachlabs/v1/prediction/{job_id}",
                "cancel": f"{base_url}/eachlabs/v1/prediction/{job_id}/cancel",
            },
        }
        if status == "success":
            made["metrics"]["cost"] = _COST_USD * _count(job.given)
        return json_answer(made)

    def _output(self, job: Job, fault: str, base_url: str) -> Any:
        """The result's URL, a list of them when several were asked for."""
        width, height = _size(job.given)
        urls = job.pictures(fault, self._files, base_url, count=_count(job.given), width=width, height=height)
        return urls[0] if len(urls) == 1 else urls


def _count(given: Mapping[str, Any]) -> int:
    value = given.get("num_images") or given.get("num_outputs") or 1
    return max(1, min(int(value), 8))


def _size(given: Mapping[str, Any]) -> tuple[int, int]:
    try:
        return size_in(given)
    except ValueError as exc:
        raise RefusedError(eachlabs_error(400, str(exc))) from exc
