"""The Eachlabs wire: submit a prediction, poll it, cancel it, fetch the result from a URL."""

import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from providers.sandbox.brain import identifier
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.files import Files, Recipe
from providers.sandbox.gemini_models import RATIOS
from providers.sandbox.refusals import JSON, RefusedError, eachlabs_error

_PATH = re.compile(r"/v1/prediction(?:/([0-9A-Za-z-]+)(/cancel)?)?/?\Z")
_SIZE = re.compile(r"(\d{2,4})\s*[x*]\s*(\d{2,4})\Z")
_RATIO = re.compile(r"([1-9]\d{0,3}):([1-9]\d{0,3})\Z")
_KEPT = 1000
_COST_USD = 0.011
_INTERNAL_URL = "http://169.254.169.254/latest/meta-data/result.png"


class Job:
    """One prediction: what was asked, when, and how it is meant to end."""

    def __init__(self, model: str, given: Mapping[str, Any], fault: str, ends_s: float) -> None:
        self.model = model
        self.given = given
        self.fault = fault
        self.begun_s = time.monotonic()
        self.took_s = ends_s
        self.cancelled = False
        self.stepped_back = False
        self.output: Any = None


class Jobs:
    """The dialect for one sandbox: its newest 1,000 jobs. A job's state follows from the time since its submission."""

    def __init__(self, config: SandboxConfig, files: Files) -> None:
        self._config = config
        self._files = files
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        match = _PATH.match(incoming.path)
        if match is None:
            raise RefusedError(eachlabs_error(404, "not found"))
        if match[1] is None:
            if incoming.method != "POST":
                raise RefusedError(eachlabs_error(405, "method not allowed"))
            payload = _payload(incoming.body)
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
            return _json({"id": route.payload, "status": "cancelled"})
        return self._poll(route.payload, job, incoming.base_url, fault)

    def _authenticate(self, incoming: Incoming) -> None:
        key = incoming.header(b"x-api-key")
        if not key or (self._config.api_keys and key not in self._config.api_keys) or key.startswith("invalid"):
            raise RefusedError(eachlabs_error(401, "Unauthorized: invalid API key"))

    def _submit(self, route: Route, key: str, fault: Fault | None) -> Answer:
        given = route.payload.get("input")
        if not route.model:
            raise RefusedError(eachlabs_error(400, "model is required"))
        if not isinstance(given, dict) or not isinstance(given.get("prompt"), str):
            raise RefusedError(eachlabs_error(400, "input.prompt is required"))
        _size(given)
        job_id = identifier("", f"job/{key}", 32)
        self._jobs[job_id] = Job(route.model, given, fault.name if fault else "", self._config.job_s)
        while len(self._jobs) > _KEPT:
            self._jobs.popitem(last=False)
        return _json({"status": "success", "message": "Prediction created successfully", "predictionID": job_id})

    def _poll(self, job_id: str, job: Job, base_url: str, fault: Fault | None) -> Answer:
        name = fault.name if fault and fault.kind == "job" else job.fault
        if fault and fault.name == "poll-404":
            raise RefusedError(eachlabs_error(404, "prediction not found"))
        if fault and fault.name == "poll-500":
            raise RefusedError(eachlabs_error(500, "internal error"))
        status = self._status(job, name)
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
        return _json(made)

    def _status(self, job: Job, fault: str) -> str:
        if job.cancelled:
            return "cancelled"
        done = (time.monotonic() - job.begun_s) / job.took_s if job.took_s > 0 else 1.0
        if done < 1 / 3:
            return "starting"
        if fault == "backwards" and not job.stepped_back:
            job.stepped_back = True
            return "starting"
        if done < 1 or fault == "job-never-ends":
            return "processing"
        return "error" if fault in ("job-fails", "image-safety", "safety", "blocked-prompt") else "success"

    def _output(self, job: Job, fault: str, base_url: str) -> Any:
        """The result's URL, a list of them when several were asked for; the same at every poll."""
        if fault == "job-internal-url":
            return _INTERNAL_URL
        if fault in ("no-image", "empty-candidate", "no-candidates"):
            return []
        if job.output is None:
            width, height = _size(job.given)
            recipes = [
                Recipe(
                    prompt=str(job.given["prompt"]),
                    width=width,
                    height=height,
                    black=fault == "black-image",
                    broken=fault == "bad-image",
                    number=number,
                )
                for number in range(_count(job.given))
            ]
            urls = [self._files.add(recipe, base_url) for recipe in recipes]
            job.output = urls if len(urls) > 1 else urls[0]
        return job.output


def _json(value: Mapping[str, Any]) -> Answer:
    return Answer(headers=(JSON,), body=orjson.dumps(value))


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise RefusedError(eachlabs_error(400, "invalid JSON body")) from exc
    if not isinstance(payload, dict):
        raise RefusedError(eachlabs_error(400, "invalid JSON body"))
    return payload


def _count(given: Mapping[str, Any]) -> int:
    value = given.get("num_images") or given.get("num_outputs") or 1
    return max(1, min(int(value), 8))


def _size(given: Mapping[str, Any]) -> tuple[int, int]:
    """Pixels from whatever the model's input calls them; 1024 x 1024 when it says nothing. Raises RefusedError."""
    if "width" in given and "height" in given:
        width, height = given["width"], given["height"]
        if not all(isinstance(side, int) and 16 <= side <= 4096 for side in (width, height)):
            raise RefusedError(eachlabs_error(400, "width and height must be integers from 16 to 4096"))
        return width, height
    for key in ("image_size", "size", "resolution"):
        value = given.get(key)
        if isinstance(value, dict):
            return _size(value)
        if isinstance(value, str) and (match := _SIZE.match(value)):
            return int(match[1]), int(match[2])
    return _ratio_size(given.get("aspect_ratio") or "1:1")


def _ratio_size(ratio: Any) -> tuple[int, int]:
    """About a megapixel of a ratio such as "16:9", both sides multiples of 16."""
    if ratio in RATIOS:
        return RATIOS[ratio]
    match = _RATIO.match(ratio) if isinstance(ratio, str) else None
    if match is None:
        raise RefusedError(eachlabs_error(400, f"unsupported aspect_ratio {ratio!r}"))
    proportion = int(match[1]) / int(match[2])
    if not 0.1 <= proportion <= 10:
        raise RefusedError(eachlabs_error(400, f"unsupported aspect_ratio {ratio!r}"))
    return round(64 * proportion**0.5) * 16, round(64 / proportion**0.5) * 16
