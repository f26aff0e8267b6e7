"""ImageRequest -> a workflow's graph with the request in it, the server's answers -> its pictures. Pure.

Source: ComfyUI's `server.py`, `execution.py` and `nodes.py` (read 2026-11-28).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import urlencode

import orjson
from msgspec import Struct

from providers.answers import json_object, message_in
from providers.catalogue import ModelInfo
from providers.errors import (
    BadResponseError,
    ModelNotFoundError,
    ProviderError,
    UnavailableError,
    UnsupportedFieldError,
)
from providers.image_terms import losses_of, prompt_of, refuse_unable, require_lossless
from providers.jobs import Done, Pending
from providers.redact import redacted
from providers.sizes import Fit, fit
from providers.statuses import status_error
from providers.types import ImageRequest, JsonObject, JsonValue
from providers.workflows import Place, Workflow, abilities_of

_OWN_TEXTS = (b"prompt\0", b"workflow\0")  # PNG texts in which the server writes down its whole graph
_TEXT_CHUNKS = frozenset({b"tEXt", b"iTXt", b"zTXt"})
_SIGNED = b"caBX"  # holds C2PA's manifest, which any change would break
_PNG = b"\x89PNG\r\n\x1a\n"
_LONGEST = 200  # characters of what a node says is wrong


class Asked(Struct, frozen=True):
    """What a workflow is asked for: the size as it takes it, and what is lost."""

    fitted: Fit
    warnings: tuple[str, ...]


class Uploads(Struct, frozen=True, kw_only=True):
    """The caller's pictures and mask by their names on the server."""

    images: tuple[str, ...] = ()
    mask: str | None = None


class Queue(Struct, frozen=True):
    """The ids of the job under way and of those behind it."""

    running: tuple[str, ...]
    pending: tuple[str, ...]


def check(request: ImageRequest, workflow: Workflow, info: ModelInfo) -> Asked:
    """Raises UnsupportedFieldError for what the workflow has no place for, for what it needs and is not given, and in a
    strict request for whatever would be lost.
    """
    able = abilities_of(workflow, info.image)
    refuse_unable(request, able)
    if len(request.images) < len(workflow.images):
        raise UnsupportedFieldError(f"this workflow edits {len(workflow.images)} picture(s)", param="image")
    if workflow.mask and request.mask is None:
        raise UnsupportedFieldError("this workflow needs a mask", param="mask")
    takes = {"seed", *(("negative_prompt",) if workflow.negative_prompt else ())}
    fitted = fit(request.size, able)
    warnings = (*losses_of(request, takes), *fitted.warnings)
    require_lossless(request, warnings)
    return Asked(fitted, warnings)


def to_prompt(
    request: ImageRequest, workflow: Workflow, asked: Asked, uploads: Uploads, *, seed: int, serial: str
) -> bytes:
    """The body of `POST /prompt`.

    `seed` stands in where the request has none. The server answers from its cache, with nothing at all, when it has run
    the same graph before: `serial`, new for every call, goes into the names of the files, so that saving at least is
    done anew.
    """
    parts: list[tuple[tuple[Place, ...], JsonValue]] = [
        (workflow.prompt, request.prompt if workflow.negative_prompt else prompt_of(request)),
        (workflow.seed, seed if request.seed is None else request.seed),
        (workflow.mask, uploads.mask),
        *(((place,), name) for place, name in zip(workflow.images, uploads.images, strict=True)),
    ]
    if request.negative_prompt is not None:
        parts.append((workflow.negative_prompt, request.negative_prompt))
    if asked.fitted.width:
        parts += [(workflow.width, asked.fitted.width), (workflow.height, asked.fitted.height)]
    values = {(place.node, place.input): value for places, value in parts for place in places}
    graph = {name: _filled(name, node, values, serial) for name, node in workflow.graph.items()}
    return orjson.dumps({"prompt": graph, "client_id": "turnout"})


def upload_name(body: bytes) -> str:
    """What the graph calls an uploaded file. Raises BadResponseError."""
    answer = json_object(body)
    name, folder = answer.get("name"), answer.get("subfolder")
    if not isinstance(name, str) or not name:
        raise BadResponseError("the upstream did not take the picture", outcome="parse")
    return f"{folder}/{name}" if isinstance(folder, str) and folder else name


def job_id(body: bytes) -> str:
    """The id of a queued job. Raises BadResponseError when there is none that could stand in a path."""
    found = json_object(body, billed=True).get("prompt_id")
    if not isinstance(found, str) or not found.isascii() or not found.replace("-", "").isalnum():
        raise BadResponseError("the upstream queued nothing", outcome="parse", billed=True)
    return found


def state_of(body: bytes, job: str, workflow: Workflow) -> Pending | Done[tuple[str, ...]]:
    """The job by the server's history: where its pictures are seen (`/view?...`) once it has ended.

    Raises UnavailableError (`job_failed`) for one that failed or was interrupted, BadResponseError (`empty`) for one
    without pictures.
    """
    entry = json_object(body).get(job)
    status = entry.get("status") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(status, dict):
        return Pending()
    if status.get("status_str") == "error":
        raise UnavailableError("the image job failed", outcome="job_failed", dead=True)
    if status.get("completed") is not True:
        return Pending()
    outputs = entry.get("outputs")
    found = tuple(_views(outputs if isinstance(outputs, dict) else {}, workflow.output))
    if not found:
        raise BadResponseError("the image job gave no picture", outcome="empty", billed=True)
    return Done(found)


def queue_from(body: bytes) -> Queue:
    """Who is running and who waits; items are `[number, id, graph, ...]`."""
    answer = json_object(body)
    return Queue(_ids(answer.get("queue_running")), _ids(answer.get("queue_pending")))


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for a bad status. A refused graph is the configuration's fault, and says which node is wrong."""
    if status == 400:
        return ModelNotFoundError(f"the upstream refuses the workflow: {_refusal(body)}", status=status)
    return status_error(status, headers, message_in(body), now)


def view_error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for a finished picture that cannot be had."""
    return BadResponseError(
        "the upstream's picture could not be fetched", status=status, outcome="bad_image", billed=True
    )


def without_graph(data: bytes) -> bytes:
    """A PNG without the texts that hold the operator's graph; anything else, and a signed one, as it is."""
    if not data.startswith(_PNG):
        return data
    kept, place = [_PNG], len(_PNG)
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        kind, beginning = data[place + 4 : place + 8], data[place + 8 : place + 20]
        if kind == _SIGNED:
            return data
        if not (kind in _TEXT_CHUNKS and beginning.startswith(_OWN_TEXTS)):
            kept.append(data[place:end])
        place = end
    return b"".join(kept)


def _filled(name: str, node: JsonValue, values: Mapping[tuple[str, str], JsonValue], serial: str) -> JsonValue:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    if not isinstance(node, dict) or not isinstance(inputs, dict):
        return node
    filled = {key: values.get((name, key), value) for key, value in inputs.items()}
    prefix = filled.get("filename_prefix")
    if isinstance(prefix, str):
        filled["filename_prefix"] = f"{prefix}-{serial}"
    return {**node, "inputs": filled}


def _views(outputs: JsonObject, wanted: str) -> Iterable[str]:
    for name, output in outputs.items():
        images = output.get("images") if isinstance(output, dict) and wanted in ("", name) else None
        for image in images if isinstance(images, list) else ():
            if isinstance(image, dict) and image.get("type") == "output" and isinstance(image.get("filename"), str):
                query = {key: image.get(key) or "" for key in ("filename", "subfolder", "type")}
                yield f"/view?{urlencode(query)}"


def _ids(items: JsonValue) -> tuple[str, ...]:
    found = [item[1] for item in items if isinstance(item, list) and len(item) > 1] if isinstance(items, list) else []
    return tuple(each for each in found if isinstance(each, str))


def _refusal(body: bytes) -> str:
    """The first node's complaint, else the whole graph's; without the details, which list the server's files."""
    try:
        answer = json_object(body)
    except BadResponseError:
        return "without a reason"
    nodes = answer.get("node_errors")
    for name, fault in nodes.items() if isinstance(nodes, dict) else ():
        errors = fault.get("errors") if isinstance(fault, dict) else None
        first = errors[0] if isinstance(errors, list) and errors else None
        if isinstance(fault, dict) and isinstance(first, dict):
            extra = first.get("extra_info")
            where = extra.get("input_name") if isinstance(extra, dict) else None
            at = f"node {name} ({fault.get('class_type')})" + (f", {where}" if where else "")
            return redacted(f"{at}: {first.get('message')}"[:_LONGEST])
    return redacted(message_in(body)[:_LONGEST]) or "without a reason"
