"""A ComfyUI server: graphs are checked, queued one behind the other, kept in a history, and answered from a cache."""

import itertools
import zlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from providers.sandbox import pictures
from providers.sandbox.brain import identifier
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.files import Recipe
from providers.sandbox.forms import form_fields
from providers.sandbox.jobs import Job, recipes
from providers.sandbox.refusals import RefusedError, error_answer, json_answer, json_payload

_DIALECT = "comfyui"
_OPERATIONS = {
    ("POST", "/prompt"): "submit",
    ("GET", "/queue"): "queue",
    ("POST", "/queue"): "cancel",
    ("POST", "/interrupt"): "cancel",
    ("POST", "/upload/image"): "upload",
    ("GET", "/view"): "view",
}
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "KSampler": ("model", "seed", "positive", "negative", "latent_image"),
    "CLIPTextEncode": ("text", "clip"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "LoadImage": ("image",),
    "LoadImageMask": ("image", "channel"),
    "SaveImage": ("images", "filename_prefix"),
    "CheckpointLoaderSimple": ("ckpt_name",),
}
_ENDED = ("done", "failed", "moderated", "cancelled")
_ANY_KEY = "sandbox"
_KEPT = 1000
_HEADER = 33  # bytes of a PNG up to the end of its first chunk

Graph = dict[str, Any]


class ComfyUI:
    """The dialect for one sandbox. Of a key it only asks that it be one of the configured, if any are."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._jobs: dict[str, Job] = {}  # in the order of the queue
        self._made: dict[str, tuple[Recipe, Graph]] = {}
        self._uploads: dict[str, bytes] = {}
        self._ran: set[bytes] = set()
        self._cached: set[str] = set()
        self._numbers = itertools.count(1)

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        if incoming.method == "GET" and incoming.path.startswith("/history/"):
            return Route(operation="poll", payload=incoming.path.removeprefix("/history/"))
        operation = _OPERATIONS.get((incoming.method, incoming.path))
        if operation is None:
            raise RefusedError(error_answer(_DIALECT, 404, "Not Found"))
        if operation in ("submit", "cancel"):
            return Route(operation=operation, payload=json_payload(_DIALECT, incoming.body, 400))
        return Route(operation=operation, slow=operation == "view")

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content or job fault or None. Raises RefusedError."""
        key = incoming.header(b"authorization").partition(" ")[2]
        if not self._config.takes(key or _ANY_KEY):
            raise RefusedError(error_answer(_DIALECT, 401, "Unauthorized"))
        match route.operation:
            case "submit":
                return self._submit(route.payload, incoming.key, fault)
            case "poll":
                return self._history(route.payload, fault)
            case "queue":
                return self._queue()
            case "cancel" if incoming.path == "/queue":
                for name in route.payload.get("delete", ()):
                    if self._phase(name) == "queued":
                        self._jobs[name].cancelled = True
                return Answer()
            case "cancel":
                return self._interrupt(route.payload.get("prompt_id"))
            case "upload":
                return self._upload(incoming)
        return self._view(incoming)

    def _submit(self, payload: Mapping[str, Any], key: str, fault: Fault | None) -> Answer:
        graph = payload.get("prompt")
        if not isinstance(graph, dict) or not graph:
            raise RefusedError(error_answer(_DIALECT, 400, "no prompt"))
        faults = {name: each for name, node in graph.items() if (each := self._complaint(graph, node))}
        if faults:
            raise RefusedError(_refused("prompt_outputs_failed_validation", "Prompt outputs failed validation", faults))
        if not any(node["class_type"] == "SaveImage" for node in graph.values()):
            raise RefusedError(_refused("prompt_no_outputs", "Prompt has no outputs", {}))
        name = identifier("", f"comfyui/{key}", 32)
        given = {"prompt": _prompt(graph), "size": self._size(graph), "graph": graph}
        self._jobs[name] = Job("", given, fault.name if fault else "", self._config.job_s)
        content = orjson.dumps(graph)
        if content in self._ran:
            self._cached.add(name)
        self._ran.add(content)
        while len(self._jobs) > _KEPT:
            del self._jobs[next(iter(self._jobs))]
        return json_answer({"prompt_id": name, "number": next(self._numbers), "node_errors": {}})

    def _complaint(self, graph: Graph, node: Any) -> dict[str, Any] | None:
        """What is wrong with a node, in the words of `node_errors`."""
        kind, inputs = node["class_type"], node["inputs"]
        for name in _NEEDS.get(kind, ()):
            if name not in inputs:
                return _node_error(kind, "required_input_missing", "Required input is missing", name)
        for name, value in inputs.items():
            if isinstance(value, list) and value[0] not in graph:
                return _node_error(kind, "bad_linked_input", "Bad linked input", name)
        if kind == "CheckpointLoaderSimple" and inputs["ckpt_name"].startswith("missing"):
            return _node_error(kind, "value_not_in_list", "Value not in list", "ckpt_name")
        if kind.startswith("LoadImage") and inputs["image"] not in self._uploads:
            return _node_error(kind, "custom_validation_failed", "Custom validation failed for node", "image")
        numbers = [inputs[name] for name in ("seed", "width", "height") if name in inputs]
        if not all(isinstance(number, int) and 0 <= number < 2**64 for number in numbers):
            return _node_error(kind, "invalid_input_type", "Failed to convert an input value to a INT value", "seed")
        return None

    def _size(self, graph: Graph) -> tuple[int, int]:
        for node in graph.values():
            if node["class_type"] == "EmptyLatentImage":
                return node["inputs"]["width"], node["inputs"]["height"]
        loaded = [node["inputs"]["image"] for node in graph.values() if node["class_type"] == "LoadImage"]
        return (pictures.size_of(self._uploads[loaded[0]]) if loaded else None) or (512, 512)

    def _phase(self, name: str, fault: str = "") -> str:
        """A job waits until all before it have ended."""
        job = self._jobs.get(name)
        if job is None:
            return "gone"
        before = itertools.takewhile(lambda other: other != name, self._jobs)
        if not job.cancelled and any(self._jobs[other].phase() not in _ENDED for other in before):
            return "queued"
        phase = job.phase(fault)
        return "running" if phase == "queued" and fault != "backwards" else phase

    def _history(self, name: str, fault: Fault | None) -> Answer:
        if fault and fault.name == "poll-404":
            raise RefusedError(error_answer(_DIALECT, 404, "Not Found"))
        if fault and fault.name == "poll-500":
            raise RefusedError(error_answer(_DIALECT, 500))
        struck = fault.name if fault and fault.kind == "job" else ""
        phase = self._phase(name, struck)
        if phase not in _ENDED:
            return json_answer({})
        job = self._jobs[name]
        entry: dict[str, Any] = {"prompt": [1, name, job.given["graph"], {}, []], "outputs": {}, "meta": {}}
        if phase in ("failed", "cancelled"):
            message = "execution_interrupted" if phase == "cancelled" else "execution_error"
            entry["status"] = {"status_str": "error", "completed": False, "messages": [[message, {"prompt_id": name}]]}
        else:
            entry["status"] = {"status_str": "success", "completed": True, "messages": []}
            entry["outputs"] = dict(self._outputs(name, job, "black-image" if phase == "moderated" else job.fault))
        return json_answer({name: entry})

    def _outputs(self, name: str, job: Job, fault: str) -> Iterator[tuple[str, Any]]:
        """Of each node that saves, its files; nothing at all for a graph that has run before."""
        if name in self._cached or fault in ("no-image", "empty-candidate", "no-candidates"):
            return
        width, height = job.given["size"]
        for node, each in job.given["graph"].items():
            if each["class_type"] == "SaveImage":
                (recipe,) = recipes(job.given["prompt"], fault, 1, width=width, height=height)
                filename = f"{each['inputs']['filename_prefix']}_{name[:8]}_00001_.png"
                self._made[filename] = recipe, job.given["graph"]
                yield node, {"images": [{"filename": filename, "subfolder": "", "type": "output"}]}
            elif each["class_type"] == "PreviewImage":
                yield node, {"images": [{"filename": "preview.png", "subfolder": "", "type": "temp"}]}

    def _queue(self) -> Answer:
        phases = {name: self._phase(name) for name in self._jobs}
        running, pending = (
            [[1, name, self._jobs[name].given["graph"], {}, []] for name, phase in phases.items() if phase == wanted]
            for wanted in ("running", "queued")
        )
        return json_answer({"queue_running": running, "queue_pending": pending})

    def _interrupt(self, name: str | None) -> Answer:
        """Stops whatever is running; with an id only that."""
        for each, job in self._jobs.items():
            if name in (None, each) and self._phase(each) == "running":
                job.cancelled = True
        return Answer()

    def _upload(self, incoming: Incoming) -> Answer:
        fields = form_fields(incoming.body, incoming.header(b"content-type"))
        (file,) = fields["image"]
        if pictures.size_of(file.data) is None:
            raise RefusedError(error_answer(_DIALECT, 400, "not a picture"))
        folder = str(fields.get("subfolder") or "")
        self._uploads[f"{folder}/{file.filename}" if folder else file.filename] = file.data
        return json_answer({"name": file.filename, "subfolder": folder, "type": fields.get("type") or "input"})

    def _view(self, incoming: Incoming) -> Answer:
        filename = parse_qs(incoming.query.decode("latin-1")).get("filename", [""])[0]
        if filename not in self._made:
            raise RefusedError(error_answer(_DIALECT, 404, "Not Found"))
        recipe, graph = self._made[filename]
        return Answer(headers=((b"content-type", b"image/png"),), body=_with_graph(recipe.draw(), graph))


def _with_graph(picture: bytes, graph: Graph) -> bytes:
    """A PNG with the graph it was made by in a text of its own, behind the header."""
    text = b"tEXtprompt\0" + orjson.dumps(graph)
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    return picture[:_HEADER] + chunk + picture[_HEADER:] if picture.startswith(b"\x89PNG") else picture


def _prompt(graph: Graph) -> str:
    """The text of the node that a sampler's `positive` leads to."""
    for node in graph.values():
        wire = node["inputs"].get("positive")
        if isinstance(wire, list):
            return str(graph[wire[0]]["inputs"].get("text") or "")
    return ""


def _node_error(kind: str, fault: str, message: str, name: str) -> dict[str, Any]:
    error = {"type": fault, "message": message, "details": name, "extra_info": {"input_name": name}}
    return {"errors": [error], "dependent_outputs": ["9"], "class_type": kind}


def _refused(fault: str, message: str, nodes: Mapping[str, Any]) -> Answer:
    error = {"type": fault, "message": message, "details": "", "extra_info": {}}
    return json_answer({"error": error, "node_errors": nodes}, 400)
