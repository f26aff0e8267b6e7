"""ImageRequest -> the form of one Stability AI call, its JSON answer -> the picture. Pure.

Source: platform.stability.ai, v2beta `stable-image` (read 2026-11-20). A filtered picture comes blurred, with 200.
"""

from collections.abc import Mapping
from datetime import datetime

import orjson
from msgspec import Struct

from providers.answers import json_object, message_in
from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import (
    BadResponseError,
    ModelNotFoundError,
    ProviderError,
    RateLimitedError,
    UnsupportedFieldError,
)
from providers.forms import FormFile, form_file
from providers.image_terms import losses_of, own_fields, prompt_of, refuse_unable, require_lossless
from providers.pictures import decoded_base64, to_picture
from providers.sizes import Fit, fit_shape
from providers.statuses import moderation_error, status_error
from providers.types import GeneratedImage, ImageRequest, JsonObject

_OWN = ("style_preset", "cfg_scale", "strength", "grow_mask")
_RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
_USUAL = ImageCapabilities(ratios=_RATIOS, references=1)
_MAX_SEED = 4_294_967_294
_STRENGTH = "0.7"  # how far from its picture an edit may go, where the caller says nothing: the field is required
_BLOCK_S = 60.0  # who exceeds the rate is locked out for a minute, and no header says so


class Endpoint(Struct, frozen=True):
    """Where a model is asked for; `model` is its name in the form, where one endpoint has several."""

    path: str
    model: str | None = None
    negative: bool = True


_ENDPOINTS = {
    "stable-image-core": Endpoint("/stable-image/generate/core"),
    "stable-image-ultra": Endpoint("/stable-image/generate/ultra"),
    "stable-image-inpaint": Endpoint("/stable-image/edit/inpaint"),
    "sd3.5-large": Endpoint("/stable-image/generate/sd3", "sd3.5-large"),
    "sd3.5-large-turbo": Endpoint("/stable-image/generate/sd3", "sd3.5-large-turbo", negative=False),
    "sd3.5-medium": Endpoint("/stable-image/generate/sd3", "sd3.5-medium"),
}


class Translated(Struct, frozen=True, kw_only=True):
    path: str
    texts: list[tuple[str, str]]
    files: list[FormFile]
    warnings: tuple[str, ...]


def to_form(request: ImageRequest, model: str, info: ModelInfo) -> Translated:
    """Path and form of one call: one picture. `request.mask` is grey by now, white where it is to be drawn anew.

    Raises ModelNotFoundError for a model without an endpoint, UnsupportedFieldError for what the model cannot do, and
    in a strict request for whatever would be lost.
    """
    endpoint = _ENDPOINTS.get(model)
    if endpoint is None:
        raise ModelNotFoundError("the upstream has no such model")
    able = info.image or _USUAL
    refuse_unable(request, able)
    if able.mask and not request.images:
        raise UnsupportedFieldError("this model only edits pictures", param="image")
    fit, lost = _fit(request, able)
    takes = {"seed", *_OWN, *(("negative_prompt",) if endpoint.negative else ())}
    warnings = (*losses_of(request, takes), *lost)
    require_lossless(request, warnings)
    texts = [(name, _text(value)) for name, value in _fields(request, endpoint, fit).items() if value is not None]
    files = [form_file("image", image, "image") for image in request.images]
    if request.mask is not None:
        files.append(form_file("mask", request.mask, "mask"))
    return Translated(path=endpoint.path, texts=texts, files=files, warnings=warnings)


def picture_from(body: bytes) -> GeneratedImage:
    """The picture of an answer. Raises ContentBlockedError for a filtered one, BadResponseError for one without any.

    Whether a filtered picture is charged is not documented: it counts as billed.
    """
    answer = json_object(body, billed=True)
    if answer.get("finish_reason") == "CONTENT_FILTERED":
        raise moderation_error(billed=True)
    image = answer.get("image")
    if not isinstance(image, str) or not image:
        raise BadResponseError("the upstream's answer holds no picture", outcome="empty", billed=True)
    return to_picture(decoded_base64(image))


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for `{"name", "errors": [...]}` with a bad status; 403 is the prompt's moderation, free of charge."""
    if status == 403:
        return moderation_error(status=status)
    error = status_error(status, headers, message_in(body), now)
    if isinstance(error, RateLimitedError) and status == 429 and error.retry_after_s is None:
        error.retry_after_s = _BLOCK_S
    return error


def _fields(request: ImageRequest, endpoint: Endpoint, fit: Fit) -> JsonObject:
    own = own_fields(request, _OWN)
    varied = bool(request.images) and request.mask is None and "/generate/" in endpoint.path
    fields: JsonObject = {
        "prompt": request.prompt if endpoint.negative else prompt_of(request),
        "negative_prompt": request.negative_prompt if endpoint.negative else None,
        "model": endpoint.model,
        "aspect_ratio": fit.ratio or None,
        "seed": None if request.seed is None else request.seed % (_MAX_SEED + 1),
        "output_format": request.output_format or "png",
        **own,
    }
    if varied:
        fields |= {"mode": "image-to-image" if endpoint.model else None, "strength": own.get("strength", _STRENGTH)}
    return fields


def _fit(request: ImageRequest, able: ImageCapabilities) -> tuple[Fit, tuple[str, ...]]:
    """An edited picture keeps its size."""
    if request.size is None:
        return Fit(), ()
    if request.images or not able.ratios:
        return Fit(), ("size=ignored",)
    fit = fit_shape(request.size, able.ratios, (), able.fixed_tier)
    return fit, fit.warnings


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
