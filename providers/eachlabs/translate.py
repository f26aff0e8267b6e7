"""ImageRequest -> Eachlabs prediction, its states -> the picture's address and price. Pure.

Source: docs.eachlabs.ai, prediction endpoints (read 2026-11-20). `status: success` of the create answer means created.
"""

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import orjson
from msgspec import Struct

from providers.answers import json_object, message_in, money_in
from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import (
    BadResponseError,
    ProviderError,
    UnavailableError,
)
from providers.image_terms import losses_of, refuse_unable, require_lossless
from providers.jobs import Done, Pending
from providers.sizes import fit_if_known
from providers.statuses import status_error
from providers.types import ImageRequest, ImageSize, JsonObject, JsonValue

_TAKES = frozenset({"seed", "negative_prompt"})
_FAILED = frozenset({"error", "failed", "cancelled", "canceled"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_OUTPUT_KEYS = ("url", "image", "image_url", "images", "output", "outputs", "result")
_ABLE = ImageCapabilities(references=1)
_MAX_DEPTH = 6  # an output is a URL in a list in an object, not a tree


class Result(Struct, frozen=True, kw_only=True):
    """A finished prediction: where its first picture lies and what it cost."""

    url: str
    cost_usd: Decimal | None = None


def to_prediction(request: ImageRequest, model: str, info: ModelInfo) -> bytes:
    """The body of `POST /prediction`: one picture per call.

    Raises UnsupportedFieldError for a mask, a transparent background, more than one reference picture, and in a
    strict request for whatever would be lost.
    """
    refuse_unable(request, _ABLE)
    require_lossless(request, warnings_of(request, info))
    fields: JsonObject = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        **size_fields(request.size, info.image),
    }
    for image in request.images:
        fields["image_url"] = f"data:{image.mime};base64,{base64.b64encode(image.data).decode()}"
    inputs = {name: value for name, value in fields.items() if value is not None}
    return orjson.dumps({"model": model, "version": "0.0.1", "input": inputs})  # version: deprecated, not yet optional


def size_fields(size: ImageSize | None, able: ImageCapabilities | None) -> JsonObject:
    """`aspect_ratio` (the nearest one) for a model whose row lists ratios, else `width` and `height`."""
    fitted = fit_if_known(size, able)
    if fitted.ratio:
        return {"aspect_ratio": fitted.ratio}
    return {"width": fitted.width, "height": fitted.height} if fitted.width else {}


def warnings_of(request: ImageRequest, info: ModelInfo) -> tuple[str, ...]:
    """What of the request has no place here, and what a size loses."""
    return (*losses_of(request, _TAKES), *fit_if_known(request.size, info.image).warnings)


def prediction_id(body: bytes) -> str:
    """The id of a created prediction. Raises BadResponseError when there is none that could stand in a path."""
    answer = json_object(body)
    found = answer.get("predictionID") or answer.get("prediction_id") or answer.get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise BadResponseError("the upstream created no prediction", outcome="parse", billed=True)
    return found


def cancel_url(body: bytes) -> str | None:
    """Where the prediction can be cancelled, by its own word; the caller checks the origin."""
    try:
        urls = json_object(body).get("urls")
    except BadResponseError:
        return None
    url = urls.get("cancel") if isinstance(urls, dict) else None
    return url if isinstance(url, str) and url else None


def state_of(body: bytes) -> Pending | Done[Result]:
    """The state of a polled prediction; an unknown status counts as running, the deadline bounds it.

    Raises UnavailableError (`job_failed`) for one that failed, BadResponseError (`empty`) for one without a picture.
    """
    answer = json_object(body)
    status = answer.get("status")
    metrics = answer.get("metrics")
    cost_usd = money_in(metrics.get("cost")) if isinstance(metrics, dict) else None
    if isinstance(status, str) and status.lower() in _FAILED:
        error = UnavailableError("the image job failed", outcome="job_failed", billed=bool(cost_usd), dead=True)
        error.cost_usd = cost_usd or None
        raise error
    if not isinstance(status, str) or status.lower() != "success":
        return Pending()
    url = _first_url(answer.get("output"))
    if url is None:
        raise BadResponseError("the image job gave no picture", outcome="empty", billed=True)
    return Done(Result(url=url, cost_usd=cost_usd))


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for `{"error": "..."}` with a bad status. `now` (aware) is for a `retry-after` that is a date."""
    return status_error(status, headers, message_in(body), now)


def _first_url(output: JsonValue, depth: int = 0) -> str | None:
    """The first address in a string, a list or an object, by the keys under which models put it."""
    if isinstance(output, str):
        return output if output.startswith(("https://", "http://", "data:image/")) else None
    if depth >= _MAX_DEPTH:
        return None
    if isinstance(output, dict):
        output = [output[key] for key in _OUTPUT_KEYS if key in output]
    if not isinstance(output, list):
        return None
    return next((url for item in output if (url := _first_url(item, depth + 1))), None)
