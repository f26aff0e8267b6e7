"""ImageRequest -> the input of one fal.ai app, the queue's states -> the addresses of pictures. Pure.

Apps share a vocabulary and take what they know of it; which words, the catalogue's row says: `pixels` for `image_size`,
`ratios` (with `tiers`) for `aspect_ratio` (and `resolution`), one reference for `image_url`, more for `image_urls`.
Source: fal.ai, queue API and model pages (read 2026-11-20). A flagged picture comes black, with 200.
"""

import base64
from collections.abc import Mapping
from datetime import datetime

import orjson
from msgspec import Struct

from providers.answers import json_object, message_in
from providers.catalogue import ImageCapabilities, ModelInfo, PixelLimits
from providers.errors import BadResponseError, ProviderError, UnavailableError, UnsupportedFieldError
from providers.image_terms import losses_of, own_fields, prompt_of, refuse_unable, require_lossless
from providers.jobs import Done, Pending
from providers.sizes import Fit, fit
from providers.statuses import moderation_error, status_error
from providers.types import ImageInput, ImageRequest, JsonObject, JsonValue

_OWN = (
    "guidance_scale", "num_inference_steps", "enable_safety_checker", "safety_tolerance", "strength", "style",
    "acceleration", "rendering_speed", "expand_prompt",
)  # fmt: skip
_TAKES = frozenset({"seed", *_OWN})
_USUAL = ImageCapabilities(pixels=PixelLimits(min_side=64, max_side=4096), references=1, formats=("png", "jpeg"))
_POLICY = "content_policy_violation"


class Queued(Struct, frozen=True, kw_only=True):
    """A request in the queue: where its status, its result and its end are asked for."""

    status_url: str
    response_url: str
    cancel_url: str | None = None


class Result(Struct, frozen=True, kw_only=True):
    """The addresses of the pictures that were not flagged, and a warning for each that was."""

    urls: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Translated(Struct, frozen=True):
    body: bytes
    warnings: tuple[str, ...]


def to_input(request: ImageRequest, info: ModelInfo) -> Translated:
    """The body of `POST /{app}`. `request.mask` is grey by now, white where it is to be edited.

    Raises UnsupportedFieldError for what the app cannot do, and in a strict request for whatever would be lost.
    """
    able = info.image or _USUAL
    refuse_unable(request, able)
    if able.mask and not request.images:
        raise UnsupportedFieldError("this model only edits pictures", param="image")
    fitted = fit(request.size, able)
    warnings = (*losses_of(request, _TAKES), *fitted.warnings)
    require_lossless(request, warnings)
    fields: JsonObject = {
        "prompt": prompt_of(request),
        "num_images": request.n,
        **_size(fitted),
        "seed": request.seed,
        "output_format": _format(request, able),
        **_pictures(request, able),
        **own_fields(request, _OWN),
    }
    return Translated(orjson.dumps({name: value for name, value in fields.items() if value is not None}), warnings)


def queued_from(body: bytes) -> Queued:
    """The request as the queue took it. Raises BadResponseError when it names no addresses."""
    answer = json_object(body, billed=True)
    status, response, cancel = (answer.get(f"{name}_url") for name in ("status", "response", "cancel"))
    if not isinstance(status, str) or not isinstance(response, str) or not status or not response:
        raise BadResponseError("the upstream queued nothing", outcome="parse", billed=True)
    return Queued(
        status_url=status, response_url=response, cancel_url=cancel if isinstance(cancel, str) and cancel else None
    )


def status_of(body: bytes) -> Pending | Done[None]:
    """Whether the request is done; an unknown status counts as running.

    `COMPLETED` may carry an error: ContentBlockedError for a policy, else UnavailableError (`job_failed`), not billed.
    """
    answer = json_object(body)
    if answer.get("status") != "COMPLETED":
        return Pending()
    if answer.get("error_type") == _POLICY:
        raise moderation_error()
    if answer.get("error"):
        raise UnavailableError("the image job failed", outcome="job_failed", dead=True)
    return Done(None)


def result_from(body: bytes) -> Result:
    """The pictures of a result. Raises ContentBlockedError when all were flagged, BadResponseError without any."""
    answer = json_object(body)
    images = answer.get("images") or [answer.get("image")]
    flags = answer.get("has_nsfw_concepts")
    flagged = [flag is True for flag in flags] if isinstance(flags, list) else []
    urls: list[str] = []
    warnings: list[str] = []
    for place, image in enumerate(images if isinstance(images, list) else []):
        url = image.get("url") if isinstance(image, dict) else None
        if place < len(flagged) and flagged[place]:
            warnings.append(f"data[{place}]=moderated")
        elif isinstance(url, str) and url:
            urls.append(url)
    if warnings and not urls:
        raise moderation_error(billed=True)
    if not urls:
        raise BadResponseError("the image job gave no picture", outcome="empty", billed=True)
    return Result(urls=tuple(urls), warnings=tuple(warnings))


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for `{"detail": ...}` with a bad status, at the queue."""
    if headers.get("x-fal-error-type") == _POLICY or _POLICY in _types(body):
        return moderation_error(status=status)
    return status_error(status, headers, message_in(body), now)


def result_error_from(
    status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None
) -> ProviderError:
    """The same for a result: a 5xx that names the request is the app's own failure, and the job's end."""
    error = error_from(status, headers, body, now)
    if status >= 500 and "x-fal-request-id" in headers:
        return UnavailableError("the image job failed", status=status, outcome="job_failed", dead=True)
    return error


def _size(fitted: Fit) -> JsonObject:
    if fitted.ratio:
        return {"aspect_ratio": fitted.ratio, "resolution": fitted.tier}
    return {"image_size": {"width": fitted.width, "height": fitted.height}} if fitted.width else {}


def _format(request: ImageRequest, able: ImageCapabilities) -> str | None:
    """The caller's where the app has it, else a lossless one to make it from; None for an app without the choice."""
    if not able.formats or request.output_format in able.formats:
        return request.output_format if able.formats else None
    return "png" if "png" in able.formats else able.formats[0]


def _pictures(request: ImageRequest, able: ImageCapabilities) -> JsonObject:
    if not request.images:
        return {}
    given: list[JsonValue] = [_data_url(image) for image in request.images]
    named: JsonObject = {"image_urls": given} if able.references > 1 else {"image_url": given[0]}
    return {**named, "mask_url": _data_url(request.mask) if request.mask is not None else None}


def _data_url(image: ImageInput) -> str:
    return f"data:{image.mime};base64,{base64.b64encode(image.data).decode()}"


def _types(body: bytes) -> tuple[JsonValue, ...]:
    """The machine-readable types in FastAPI's list of details."""
    try:
        details = json_object(body).get("detail")
    except BadResponseError:
        return ()
    return tuple(item.get("type") for item in details if isinstance(item, dict)) if isinstance(details, list) else ()
