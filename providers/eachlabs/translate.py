"""ImageRequest -> Eachlabs prediction, its states -> the picture's address and price. Pure.

Source: docs.eachlabs.ai, prediction endpoints (read 2026-11-20). `status: success` of the create answer means created.
"""

import base64
import math
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation

import orjson
from msgspec import Struct

from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from providers.jobs import Done, Pending
from providers.pictures import nearest_ratio, sniff_mime
from providers.redact import redacted
from providers.retry_after import parse_retry_after
from providers.types import GeneratedImage, ImageRequest, ImageSize, JsonObject, JsonValue

IGNORED = ("user", "moderation", "output_compression", "output_format", "quality", "input_fidelity", "extra")
"""Request fields without a counterpart. The router transcodes to `output_format` itself; `quality` is warned about."""

_FAILED = frozenset({"error", "failed", "cancelled", "canceled"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_OUTPUT_KEYS = ("url", "image", "image_url", "images", "output", "outputs", "result")
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
    _refuse(request)
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


def size_fields(size: ImageSize | None, can: ImageCapabilities | None) -> JsonObject:
    """`aspect_ratio` (the nearest one) for a model whose row lists ratios or tiers, else `width` and `height`."""
    if size is None:
        return {}
    if can is None or not (can.ratios or can.tiers):
        return {"width": size.width, "height": size.height}
    if not can.ratios:
        divisor = math.gcd(size.width, size.height)
        return {"aspect_ratio": f"{size.width // divisor}:{size.height // divisor}"}
    return {"aspect_ratio": nearest_ratio(size.ratio, can.ratios)[0]}


def warnings_of(request: ImageRequest) -> tuple[str, ...]:
    return ("quality=ignored",) if request.quality not in (None, "auto") else ()


def prediction_id(body: bytes) -> str:
    """The id of a created prediction. Raises BadResponseError when there is none that could stand in a path."""
    answer = _object(body)
    found = answer.get("predictionID") or answer.get("prediction_id") or answer.get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise BadResponseError("the upstream created no prediction", outcome="parse", billed=True)
    return found


def cancel_url(body: bytes) -> str | None:
    """Where the prediction can be cancelled, by its own word; the caller checks the origin."""
    try:
        urls = _object(body).get("urls")
    except BadResponseError:
        return None
    url = urls.get("cancel") if isinstance(urls, dict) else None
    return url if isinstance(url, str) and url else None


def state_of(body: bytes) -> Pending | Done[Result]:
    """The state of a polled prediction; an unknown status counts as running, the deadline bounds it.

    Raises UnavailableError (`job_failed`) for one that failed, BadResponseError (`empty`) for one without a picture.
    """
    answer = _object(body)
    status = answer.get("status")
    metrics = answer.get("metrics")
    cost_usd = _cost(metrics.get("cost")) if isinstance(metrics, dict) else None
    if isinstance(status, str) and status.lower() in _FAILED:
        raise UnavailableError("the image job failed", outcome="job_failed", billed=bool(cost_usd))
    if not isinstance(status, str) or status.lower() != "success":
        return Pending()
    url = _first_url(answer.get("output"))
    if url is None:
        raise BadResponseError("the image job gave no picture", outcome="empty", billed=True)
    return Done(Result(url=url, cost_usd=cost_usd))


def picture_of(data: bytes) -> GeneratedImage:
    mime = sniff_mime(data)
    if mime is None:
        raise BadResponseError("the upstream's picture is not an image", outcome="bad_image", billed=True)
    return GeneratedImage(data=data, mime=mime)


def data_url_bytes(url: str) -> bytes:
    """The bytes of a base64 `data:` URL; b"" when they cannot be read, which no picture is."""
    try:
        return base64.b64decode(url.partition(",")[2])
    except ValueError:
        return b""


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for `{"error": "..."}` with a bad status. `now` (aware) is for a `retry-after` that is a date."""
    wait_s = parse_retry_after(headers, now)
    match status:
        case 401 | 403:
            return AuthenticationError("the upstream refused the router's key", status=status)
        case 402:
            return QuotaExhaustedError("the upstream's quota is used up", status=status, retry_after_s=wait_s)
        case 404 | 405:
            return ModelNotFoundError("the upstream does not know the configured model", status=status)
        case 408 | 504 | 524:
            return UpstreamTimeoutError("the upstream took too long", status=status)
        case 429:
            return RateLimitedError("the upstream's rate limit is reached", status=status, retry_after_s=wait_s)
    if 400 <= status < 500:
        return BadRequestError(_message(body) or "the upstream refused the request", status=status)
    return UnavailableError("the upstream is unavailable", status=status, retry_after_s=wait_s)


def _refuse(request: ImageRequest) -> None:
    if request.mask is not None:
        raise UnsupportedFieldError("this backend takes no mask", param="mask")
    if request.background == "transparent":
        raise UnsupportedFieldError("this backend makes no transparent pictures", param="background")
    if len(request.images) > 1:
        raise UnsupportedFieldError("this backend takes one reference picture", param="image")
    if request.strict and warnings_of(request):
        raise UnsupportedFieldError("this backend has no quality setting", param="quality")


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


def _cost(value: JsonValue) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        cost = Decimal(str(value))
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and cost >= 0 else None


def _message(body: bytes) -> str:
    try:
        error = _object(body).get("error")
    except BadResponseError:
        return ""
    text = error.get("message") if isinstance(error, dict) else error
    return redacted(text) if isinstance(text, str) else ""


def _object(body: bytes) -> JsonObject:
    try:
        decoded: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadResponseError("the upstream's answer is not JSON", outcome="parse") from exc
    if not isinstance(decoded, dict):
        raise BadResponseError("the upstream's answer is not an object", outcome="parse")
    return decoded
