"""Replicate's wire: create a prediction of a model or of a version, watch it, take it back, fetch its output."""

import re
from collections.abc import Mapping
from typing import Any

from providers.sandbox.brain import identifier
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.files import Files
from providers.sandbox.jobs import Job, JobBook, Phase, size_in
from providers.sandbox.refusals import RefusedError, error_answer, json_answer, json_payload

_MODEL = re.compile(r"/v1/models/([\w.-]+/[\w.-]+)/predictions\Z")
_JOB = re.compile(r"/v1/predictions/([0-9a-z]+)(/cancel)?\Z")
_STATUSES: Mapping[Phase, str] = {
    "queued": "starting",
    "running": "processing",
    "done": "succeeded",
    "failed": "failed",
    "moderated": "failed",
    "cancelled": "canceled",
}
_ERRORS: Mapping[Phase, str] = {
    "failed": "Prediction failed.",
    "moderated": "NSFW content detected. Try running it again, or try a different prompt.",
}
_FORMATS = {"png": "png", "jpg": "jpeg", "webp": "webp"}


class Replicate:
    """The dialect for one sandbox."""

    def __init__(self, config: SandboxConfig, files: Files) -> None:
        self._config = config
        self._files = files
        self._jobs = JobBook()

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        if match := _JOB.match(incoming.path):
            job = self._jobs.get(match[1])
            operation = {(None, "GET"): "poll", ("/cancel", "POST"): "cancel"}.get((match[2], incoming.method))
            if operation is None:
                raise RefusedError(error_answer("replicate", 405, "Method not allowed"))
            return Route(operation=operation, model=job.model if job else "", payload=match[1])
        match = _MODEL.match(incoming.path)
        if incoming.method != "POST" or (match is None and incoming.path != "/v1/predictions"):
            raise RefusedError(error_answer("replicate", 404, "The requested resource could not be found."))
        payload = json_payload("replicate", incoming.body)
        return Route(operation="submit", model=match[1] if match else str(payload.get("version", "")), payload=payload)

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content or job fault or None. Raises RefusedError."""
        scheme, _, key = incoming.header(b"authorization").partition(" ")
        if scheme != "Bearer" or not self._config.takes(key):
            raise RefusedError(error_answer("replicate", 401, "You did not pass a valid authentication token"))
        if route.operation == "submit":
            return self._submit(incoming, route, fault)
        job = self._jobs.get(route.payload)
        if job is None or (fault and fault.name == "poll-404"):
            raise RefusedError(error_answer("replicate", 404, "Prediction not found"))
        if fault and fault.name == "poll-500":
            raise RefusedError(error_answer("replicate", 500))
        if route.operation == "cancel":
            job.cancelled = True
        struck = fault.name if fault and fault.kind == "job" else ""
        return json_answer(self._described(route.payload, job, struck, incoming.base_url))

    def _submit(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        given = route.payload.get("input")
        if not isinstance(given, dict) or not isinstance(given.get("prompt"), str) or not route.model:
            raise RefusedError(error_answer("replicate", 422, "- input.prompt: is required"))
        if not 1 <= given.get("num_outputs", 1) <= 4:
            raise RefusedError(error_answer("replicate", 422, "- input.num_outputs: Must be less than or equal to 4"))
        if given.get("output_format", "webp") not in _FORMATS:
            raise RefusedError(error_answer("replicate", 422, "- input.output_format: must be one of webp, jpg, png"))
        try:
            _size(given)
        except ValueError as exc:
            raise RefusedError(error_answer("replicate", 422, f"- input: {exc}")) from exc
        name = identifier("", f"replicate/{incoming.key}", 26)
        job = Job(route.model, given, fault.name if fault else "", self._config.job_s)
        self._jobs.add(name, job)
        return json_answer({**self._described(name, job, "", incoming.base_url), "status": "starting"}, 201)

    def _described(self, name: str, job: Job, fault: str, base_url: str) -> dict[str, Any]:
        phase = job.phase(fault)
        url = f"{base_url}/replicate/v1/predictions/{name}"
        return {
            "id": name,
            "model": job.model,
            "input": {"prompt": job.given["prompt"]},
            "status": _STATUSES[phase],
            "output": self._output(job, fault, base_url) if phase == "done" else None,
            "error": _ERRORS.get(phase),
            "metrics": {"predict_time": job.took_s} if phase == "done" else {},
            "urls": {"get": url, "cancel": f"{url}/cancel"},
        }

    def _output(self, job: Job, fault: str, base_url: str) -> Any:
        width, height = _size(job.given)
        kind = _FORMATS[job.given.get("output_format", "webp")]
        count = int(job.given.get("num_outputs", 1))
        urls = job.pictures(fault, self._files, base_url, count=count, width=width, height=height, output_format=kind)
        return urls if "num_outputs" in job.given or not urls else urls[0]


def _size(given: Mapping[str, Any]) -> tuple[int, int]:
    return size_in({name: value for name, value in given.items() if name != "size"})
