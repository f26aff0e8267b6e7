"""ImageRequest -> a prediction's input, its states -> the addresses of pictures. Pure.

Source: replicate.com, HTTP API reference (read 2026-11-20). Hardware is billed by the second, also for what fails.
"""

import base64
from collections.abc import Mapping
from datetime import datetime

import orjson
from msgspec import Struct

from providers.answers import json_object, message_in
from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import BadResponseError, ProviderError, UnavailableError, UnsupportedFieldError
from providers.image_terms import (
    losses_of,
    model_path,
    own_fields,
    prompt_of,
    refuse_unable,
    require_lossless,
)
from providers.jobs import Done, Pending
from providers.replicate.words import Words, words_for
from providers.sizes import Fit, fit_pixels, fit_shape
from providers.statuses import moderation_error, status_error
from providers.types import ImageInput, ImageRequest, JsonObject, JsonValue

_FAILED = frozenset({"failed", "canceled", "aborted"})
# A failure has no code, only a sentence, and this is how the models' filters word theirs.
_MODERATED = ("nsfw", "flagged as sensitive", "content moderated")


class Prediction(Struct, frozen=True, kw_only=True):
    """A prediction that was accepted: where it is watched and taken back."""

    get_url: str
    cancel_url: str | None = None


class Translated(Struct, frozen=True, kw_only=True):
    path: str
    body: bytes
    warnings: tuple[str, ...]


def to_prediction(request: ImageRequest, model: str, info: ModelInfo) -> Translated:
    """Path and body of one prediction; `owner/name` is the newest version, `owner/name:version` that one.

    `request.mask` is grey by now, white where it is to be drawn anew. Raises UnsupportedFieldError for what the model
    cannot do, and in a strict request for whatever would be lost.
    """
    words, able = words_for(model), info.image or ImageCapabilities(references=1)
    refuse_unable(request, able)
    if words.mask and not request.images:
        raise UnsupportedFieldError("this model only edits pictures", param="image")
    fit = _fit(request, able, words)
    takes = {*words.own, *(("seed",) if words.seed else ()), *(("negative_prompt",) if words.negative else ())}
    warnings = (*losses_of(request, takes), *fit.warnings)
    require_lossless(request, warnings)
    fields: JsonObject = {
        "prompt": request.prompt if words.negative else prompt_of(request),
        words.negative: request.negative_prompt,
        words.count: request.n,
        words.seed: request.seed,
        words.ratio: fit.ratio or None,
        words.tier: fit.tier,
        words.format: _format(request, words),
        **({"width": fit.width, "height": fit.height} if words.pixels and fit.width else {}),
        **_pictures(request, words),
        **own_fields(request, words.own),
    }
    inputs = {name: value for name, value in fields.items() if name and value is not None}
    name, _, version = model.partition(":")
    if version:
        return Translated(
            path="/predictions", body=orjson.dumps({"version": version, "input": inputs}), warnings=warnings
        )
    path = f"/models/{model_path(name)}/predictions"
    return Translated(path=path, body=orjson.dumps({"input": inputs}), warnings=warnings)


def prediction_from(body: bytes) -> Prediction:
    """The prediction as it was accepted. Raises BadResponseError when it names no address to watch."""
    urls = json_object(body, billed=True).get("urls")
    get, cancel = (urls.get("get"), urls.get("cancel")) if isinstance(urls, dict) else (None, None)
    if not isinstance(get, str) or not get:
        raise BadResponseError("the upstream accepted no prediction", outcome="parse", billed=True)
    return Prediction(get_url=get, cancel_url=cancel if isinstance(cancel, str) and cancel else None)


def state_of(body: bytes) -> Pending | Done[tuple[str, ...]]:
    """The state of a watched prediction: its pictures' addresses once it succeeded. Unknown states count as running.

    Raises ContentBlockedError where a model's filter says so, UnavailableError (`job_failed`) for any other failure,
    BadResponseError (`empty`) for a success without a picture. All of them were billed.
    """
    answer = json_object(body)
    status, error = answer.get("status"), answer.get("error")
    if status in _FAILED:
        words = error.casefold() if isinstance(error, str) else ""
        if any(sign in words for sign in _MODERATED):
            raise moderation_error(billed=True)
        raise UnavailableError("the image job failed", outcome="job_failed", billed=True, dead=True)
    if status != "succeeded":
        return Pending()
    output = answer.get("output")
    urls = tuple(each for each in (output if isinstance(output, list) else [output]) if isinstance(each, str) and each)
    if not urls:
        raise BadResponseError("the image job gave no picture", outcome="empty", billed=True)
    return Done(urls)


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for `{"title", "detail", "status"}` with a bad status."""
    return status_error(status, headers, message_in(body), now)


def _fit(request: ImageRequest, able: ImageCapabilities, words: Words) -> Fit:
    if request.size is None:
        return Fit()
    if words.ratio and able.ratios:
        return fit_shape(request.size, able.ratios, able.tiers if words.tier else (), able.fixed_tier)
    if words.pixels and able.pixels is not None:
        return fit_pixels(request.size, able.pixels)
    return Fit(warnings=("size=ignored",))


def _format(request: ImageRequest, words: Words) -> str:
    """The caller's where the model makes it, else the lossless one to make it from."""
    wanted = request.output_format if request.output_format in words.formats else "png"
    return "jpg" if wanted == "jpeg" else wanted


def _pictures(request: ImageRequest, words: Words) -> JsonObject:
    if not request.images:
        return {}
    given: list[JsonValue] = [_data_url(image) for image in request.images]
    if words.images:
        return {words.images: given}
    if not words.image:
        raise UnsupportedFieldError("this model takes no reference pictures", param="image")
    return {words.image: given[0], words.mask: _data_url(request.mask) if request.mask is not None else None}


def _data_url(image: ImageInput) -> str:
    return f"data:{image.mime};base64,{base64.b64encode(image.data).decode()}"
