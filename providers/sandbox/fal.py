"""fal.ai's queue: submit to an app's path, ask for the status, read the result, put an end to it."""

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

_REQUEST = re.compile(r"/([a-z0-9-]+/[a-z0-9.-]+)/requests/([0-9a-z]+)(/status|/cancel)?\Z")
_APP = re.compile(r"/([a-z0-9-]+/[a-z0-9./-]+)\Z")
_STATUSES: Mapping[Phase, str] = {"queued": "IN_QUEUE", "running": "IN_PROGRESS"}
_NAMED = {  # what `image_size` may say in words
    "square_hd": (1024, 1024), "square": (512, 512), "portrait_4_3": (768, 1024), "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768), "landscape_16_9": (1024, 576),
}  # fmt: skip


class Fal:
    """The dialect for one sandbox."""

    def __init__(self, config: SandboxConfig, files: Files) -> None:
        self._config = config
        self._files = files
        self._jobs = JobBook()

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        if match := _REQUEST.match(incoming.path):
            job = self._jobs.get(match[2])
            operations = {("/status", "GET"): "poll", ("/cancel", "PUT"): "cancel", (None, "GET"): "result"}
            operation = operations.get((match[3], incoming.method))
            if operation is None:
                raise RefusedError(error_answer("fal", 405, "Method Not Allowed"))
            return Route(operation=operation, model=job.model if job else "", payload=match[2])
        match = _APP.match(incoming.path)
        if match is None or incoming.method != "POST":
            raise RefusedError(error_answer("fal", 404, "Application not found"))
        return Route(operation="submit", model=match[1], payload=json_payload("fal", incoming.body))

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content or job fault or None. Raises RefusedError."""
        scheme, _, key = incoming.header(b"authorization").partition(" ")
        if scheme != "Key" or not self._config.takes(key):
            raise RefusedError(error_answer("fal", 401, "No user found for Key ID and Secret"))
        if route.operation == "submit":
            return self._submit(incoming, route, fault)
        job = self._jobs.get(route.payload)
        if job is None or (fault and fault.name == "poll-404"):
            raise RefusedError(error_answer("fal", 404, "Request not found"))
        if fault and fault.name == "poll-500":
            raise RefusedError(error_answer("fal", 500))
        if route.operation == "cancel":
            job.cancelled = True
            return json_answer({"status": "CANCELLATION_REQUESTED"}, 202)
        phase = job.phase(fault.name if fault and fault.kind == "job" else "")
        if route.operation == "poll":
            return self._status(route.payload, phase)
        return self._result(route.payload, job, phase, incoming.base_url)

    def _submit(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        given = route.payload
        if not isinstance(given.get("prompt"), str):
            raise RefusedError(error_answer("fal", 422, "field required: prompt"))
        if not 1 <= given.get("num_images", 1) <= 4:
            raise RefusedError(error_answer("fal", 422, "num_images: ensure this value is from 1 to 4"))
        if fault and fault.name == "blocked-prompt":
            raise RefusedError(_policy())
        try:
            _size(given)
        except ValueError as exc:
            raise RefusedError(error_answer("fal", 422, str(exc))) from exc
        name = identifier("", f"fal/{incoming.key}", 32)
        self._jobs.add(name, Job(route.model, given, fault.name if fault else "", self._config.job_s))
        owner = "/".join(route.model.split("/")[:2])
        url = f"{incoming.base_url}/fal/{owner}/requests/{name}"
        return json_answer(
            {
                "status": "IN_QUEUE",
                "request_id": name,
                "response_url": url,
                "status_url": f"{url}/status",
                "cancel_url": f"{url}/cancel",
                "queue_position": 0,
            }
        )

    def _status(self, name: str, phase: Phase) -> Answer:
        made: dict[str, Any] = {"request_id": name, "status": _STATUSES.get(phase, "COMPLETED")}
        if phase == "queued":
            made["queue_position"] = 1
        if phase in ("failed", "cancelled"):
            made |= {"error": "The app failed", "error_type": "internal_error"}
        return json_answer(made)

    def _result(self, name: str, job: Job, phase: Phase, base_url: str) -> Answer:
        if phase not in ("done", "moderated"):
            raise RefusedError(error_answer("fal", 400, "Request is still in progress"))
        width, height = _size(job.given)
        count = int(job.given.get("num_images", 1))
        kind = job.given.get("output_format") or "png"
        spoilt = "black-image" if phase == "moderated" else ""
        urls = job.pictures(spoilt, self._files, base_url, count=count, width=width, height=height, output_format=kind)
        flagged = phase == "moderated" or job.fault == "black-image"
        images = [{"url": url, "width": width, "height": height, "content_type": f"image/{kind}"} for url in urls]
        seed = job.given.get("seed", 42)
        made = {"images": images, "seed": seed, "has_nsfw_concepts": [flagged] * len(images), "timings": {}}
        plain = json_answer(made)
        return Answer(headers=(*plain.headers, (b"x-fal-request-id", name.encode())), body=plain.body)


def _policy() -> Answer:
    detail = [
        {"loc": ["body", "prompt"], "msg": "The content could not be processed", "type": "content_policy_violation"}
    ]
    return json_answer({"detail": detail}, 422)


def _size(given: Mapping[str, Any]) -> tuple[int, int]:
    named = given.get("image_size")
    if isinstance(named, str):
        if named not in _NAMED:
            raise ValueError(f"image_size: {named!r} is not a permitted value")
        return _NAMED[named]
    return size_in(given)
