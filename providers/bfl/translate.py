"""ImageRequest -> the body of one FLUX task, the task's states -> the picture's address. Pure.

Source: docs.bfl.ai, per-model endpoints and `get_result` (read 2026-11-20). Tasks are priced in cents when accepted.
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import orjson
from msgspec import Struct

from providers.answers import json_object, message_in, money_in
from providers.catalogue import ImageCapabilities, ModelInfo, PixelLimits
from providers.errors import (
    BadResponseError,
    ModelNotFoundError,
    ProviderError,
    UnavailableError,
    UnsupportedFieldError,
)
from providers.image_terms import losses_of, own_fields, prompt_of, refuse_unable, require_lossless
from providers.jobs import Done, Pending
from providers.sizes import Fit, fit
from providers.statuses import moderation_error, status_error
from providers.types import ImageInput, ImageRequest, JsonObject

_OWN = ("safety_tolerance", "prompt_upsampling", "steps", "guidance", "raw", "grounding")
_TAKES = frozenset({"seed", *_OWN})
_FORMATS = ("png", "jpeg")  # anything else is made from the lossless one
# An undescribed model is taken for one of the second generation.
_USUAL = ImageCapabilities(
    pixels=PixelLimits(multiple=16, min_side=64, max_side=4096, max_area=4_194_304), references=8
)
_MODERATED = frozenset({"Request Moderated", "Content Moderated"})
_FAILED = frozenset({"Error", "Failed"})


class Task(Struct, frozen=True, kw_only=True):
    """An accepted task: its id, where it is polled (by its own word), and what it costs in any case."""

    id: str
    polling_url: str
    cost_usd: Decimal | None = None


class Translated(Struct, frozen=True):
    body: bytes
    warnings: tuple[str, ...]


def to_task(request: ImageRequest, info: ModelInfo) -> Translated:
    """The body of `POST /{model}`: one picture per call. `request.mask` is grey by now, white where it is to be edited.

    Raises UnsupportedFieldError for what the model cannot do, and in a strict request for whatever would be lost.
    """
    able = info.image or (_USUAL if not info.known else ImageCapabilities())
    refuse_unable(request, able)
    if able.mask and not request.images:
        raise UnsupportedFieldError("this model only edits pictures", param="image")
    fitted = fit(request.size, able)
    warnings = (*losses_of(request, _TAKES), *fitted.warnings)
    require_lossless(request, warnings)
    fields: JsonObject = {
        "prompt": prompt_of(request),
        **_size(fitted),
        "seed": request.seed,
        "output_format": request.output_format if request.output_format in _FORMATS else "png",
        **_pictures(request, able),
        "prompt_upsampling": False if request.prompt_is_final else None,
        **own_fields(request, _OWN),
    }
    return Translated(orjson.dumps({name: value for name, value in fields.items() if value is not None}), warnings)


def task_of(body: bytes) -> Task:
    """The task that was accepted. Raises BadResponseError when the answer names none; it may cost nonetheless."""
    answer = json_object(body, billed=True)
    name, url, cents = answer.get("id"), answer.get("polling_url"), money_in(answer.get("cost"))
    if not isinstance(name, str) or not isinstance(url, str) or not name or not url:
        raise BadResponseError("the upstream accepted no task", outcome="parse", billed=True)
    if "id=" not in url:
        url += f"{'&' if '?' in url else '?'}id={name}"
    return Task(id=name, polling_url=url, cost_usd=None if cents is None else cents / 100)


def state_of(body: bytes) -> Pending | Done[str]:
    """The state of a polled task: its picture's address once it is ready. An unknown status counts as running.

    Raises ContentBlockedError for a moderated one, UnavailableError (`job_failed`) for one that failed,
    ModelNotFoundError for one that is not known (yet), BadResponseError (`empty`) for one without a picture.
    """
    answer = json_object(body)
    status = answer.get("status")
    if status in _MODERATED:
        raise moderation_error(billed=True)
    if status in _FAILED:
        raise UnavailableError("the image job failed", outcome="job_failed", billed=True, dead=True)
    if status == "Task not found":
        raise ModelNotFoundError("the upstream does not know the task", status=404)
    if status != "Ready":
        return Pending()
    result = answer.get("result")
    sample = result.get("sample") if isinstance(result, dict) else None
    if not isinstance(sample, str) or not sample:
        raise BadResponseError("the image job gave no picture", outcome="empty", billed=True)
    return Done(sample)


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for `{"detail": ...}` with a bad status. `now` (aware) is for a `retry-after` that is a date."""
    return status_error(status, headers, message_in(body), now)


def _size(fitted: Fit) -> JsonObject:
    if fitted.ratio:
        return {"aspect_ratio": fitted.ratio, "resolution": fitted.tier}
    return {"width": fitted.width, "height": fitted.height} if fitted.width else {}


def _pictures(request: ImageRequest, able: ImageCapabilities) -> JsonObject:
    """A model with a mask has one picture, `image`; others have `input_image`, `input_image_2` and so on."""
    if able.mask:
        mask = _base64(request.mask) if request.mask is not None else None
        return {"image": _base64(request.images[0]), "mask": mask}
    names = ("input_image", *(f"input_image_{place}" for place in range(2, len(request.images) + 1)))
    return {name: _base64(image) for name, image in zip(names, request.images, strict=False)}


def _base64(image: ImageInput) -> str:
    return base64.b64encode(image.data).decode()
