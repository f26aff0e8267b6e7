"""Black Forest Labs' wire: submit to a model's own path, poll the address that came back, fetch a signed picture."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from providers.sandbox import pictures
from providers.sandbox.brain import identifier
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.files import Files
from providers.sandbox.jobs import Job, JobBook, Phase, ratio_size
from providers.sandbox.refusals import RefusedError, error_answer, json_answer, json_payload

_SUBMIT = re.compile(r"/v1/([a-z0-9.-]+)/?\Z")
_STATUSES: Mapping[Phase, str] = {
    "queued": "Pending",
    "running": "Pending",
    "done": "Ready",
    "failed": "Error",
    "moderated": "Content Moderated",
    "cancelled": "Failed",
}
_COST_CENTS = 4.0
_COMMON = frozenset(
    ["prompt", "seed", "output_format", "safety_tolerance", "prompt_upsampling", "webhook_url", "webhook_secret"]
)
_SIDES = _COMMON | {"width", "height"}
_SHAPE = _COMMON | {"aspect_ratio", "raw"}
_INPUTS = frozenset(["input_image", *(f"input_image_{number}" for number in range(2, 9))])


class Bfl:
    """The dialect for one sandbox."""

    def __init__(self, config: SandboxConfig, files: Files) -> None:
        self._config = config
        self._files = files
        self._jobs = JobBook()

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        if incoming.path.startswith("/v1/get_result") and incoming.method == "GET":
            name = incoming.query.decode("latin-1").removeprefix("id=")
            job = self._jobs.get(name)
            return Route(operation="poll", model=job.model if job else "", payload=name)
        match = _SUBMIT.match(incoming.path)
        if match is None or incoming.method != "POST":
            raise RefusedError(error_answer("bfl", 404, "Not Found"))
        return Route(operation="submit", model=match[1], payload=json_payload("bfl", incoming.body), slow=True)

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content or job fault or None. Raises RefusedError."""
        self._authenticate(incoming)
        if route.operation == "submit":
            return self._submit(incoming, route, fault)
        return self._poll(route.payload, incoming.base_url, fault)

    def _authenticate(self, incoming: Incoming) -> None:
        if not self._config.takes(incoming.header(b"x-key")):
            raise RefusedError(error_answer("bfl", 403, "Not authenticated - Invalid Authentication"))

    def _submit(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        _check(route.model, route.payload)
        name = identifier("", f"bfl/{incoming.key}", 32)
        self._jobs.add(name, Job(route.model, route.payload, fault.name if fault else "", self._config.job_s))
        polled = f"{incoming.base_url}/bfl/v1/get_result?id={name}"
        return json_answer({"id": name, "polling_url": polled, "cost": _COST_CENTS, "input_mp": 0.0, "output_mp": 1.0})

    def _poll(self, name: str, base_url: str, fault: Fault | None) -> Answer:
        job = self._jobs.get(name)
        if job is None or (fault and fault.name == "poll-404"):
            return json_answer({"id": name, "status": "Task not found", "result": None}, status=404)
        if fault and fault.name == "poll-500":
            raise RefusedError(error_answer("bfl", 500))
        struck = fault.name if fault and fault.kind == "job" else ""
        phase = job.phase(struck)
        return json_answer(
            {
                "id": name,
                "status": _STATUSES[phase],
                "result": self._result(job, struck, base_url) if phase == "done" else None,
                "progress": 1.0 if phase == "done" else 0.5,
                "details": {"Moderation Reasons": ["Safety Filter"]} if phase == "moderated" else None,
            }
        )

    def _result(self, job: Job, fault: str, base_url: str) -> dict[str, Any] | None:
        width, height = _size(job.given)
        kind = job.given.get("output_format") or "jpeg"
        urls = job.pictures(fault, self._files, base_url, width=width, height=height, output_format=kind)
        return {"sample": urls[0], "prompt": job.given["prompt"], "seed": job.given.get("seed", 42)} if urls else None


def _check(model: str, given: Mapping[str, Any]) -> None:
    """What each family of models takes. Raises RefusedError (422)."""
    if model.startswith("flux-2-"):
        known, step, lowest, most = _SIDES | _INPUTS, 16, 64, 4_194_304
    elif "kontext" in model:
        known, step, lowest, most = _SHAPE | {"input_image"}, 1, 1, 0
    elif model.endswith("-ultra"):
        known, step, lowest, most = _SHAPE | {"image_prompt"}, 1, 1, 0
    elif model.endswith("-fill"):
        known, step, lowest, most = _COMMON | {"image", "mask", "steps", "guidance"}, 1, 1, 0
        _check_mask(given)
    else:
        known, step, lowest, most = _SIDES | {"image_prompt"}, 32, 256, 1440 * 1440
    for name in given:
        if name not in known:
            raise _unprocessable(f"Extra inputs are not permitted: {name}")
    if not isinstance(given.get("prompt"), str):
        raise _unprocessable("Field required: prompt")
    if given.get("output_format", "jpeg") not in ("jpeg", "png"):
        raise _unprocessable("Input should be 'jpeg' or 'png'")
    sides = [given[name] for name in ("width", "height") if name in given]
    if any(side % step or side < lowest for side in sides) or (len(sides) == 2 and sides[0] * sides[1] > most):
        raise _unprocessable(f"Input should be a multiple of {step} from {lowest}")
    try:
        _size(given)
    except ValueError as exc:
        raise _unprocessable(str(exc)) from exc


def _check_mask(given: Mapping[str, Any]) -> None:
    """The mask is one grey or colour channel of the picture's size, without transparency."""
    image, mask = given.get("image"), given.get("mask")
    if not isinstance(image, str):
        raise _unprocessable("Field required: image")
    if mask is None:
        return
    if pictures.size_of(base64.b64decode(mask)) != pictures.size_of(base64.b64decode(image)):
        raise _unprocessable("Mask and image must have the same dimensions")
    if pictures.has_alpha(base64.b64decode(mask)):
        raise _unprocessable("Mask must be a black and white image")


def _size(given: Mapping[str, Any]) -> tuple[int, int]:
    if "width" in given or "height" in given:
        return int(given.get("width") or 1024), int(given.get("height") or 768)
    if isinstance(given.get("image"), str):
        return pictures.size_of(base64.b64decode(given["image"])) or (1024, 1024)
    return ratio_size(given.get("aspect_ratio") or "1:1")


def _unprocessable(message: str) -> RefusedError:
    return RefusedError(error_answer("bfl", 422, message))
