"""ImageRequest -> one Ideogram call, its answer -> the addresses of pictures and their prompts. Pure.

Two wires: the v2 API for generation 4 (JSON, a form once pictures go along), and that of v3 (always a form, with an
edit whose mask is black where it edits). Source: developer.ideogram.ai (read 2026-11-20). What is unsafe comes with
200 and without an address.
"""

from collections.abc import Mapping
from datetime import datetime

import orjson
from msgspec import Struct

from providers.answers import json_object, message_in
from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import BadResponseError, ProviderError
from providers.forms import FormFile, form_file
from providers.image_terms import losses_of, model_path, own_fields, prompt_of, refuse_unable, require_lossless
from providers.sizes import Fit, fit
from providers.statuses import moderation_error, status_error
from providers.types import ImageRequest, JsonObject

_V3 = "ideogram-v3"
_OWN = ("rendering_speed", "magic_prompt", "style_type", "style_codes", "style_preset", "color_palette")
_SPEEDS = {
    "low": "TURBO", "medium": "DEFAULT", "standard": "DEFAULT", "high": "QUALITY", "hd": "QUALITY", "xhigh": "QUALITY",
    "max": "QUALITY",
}  # fmt: skip
_RATIOS = (
    "1:1",
    "16:9",
    "9:16",
    "4:3",
    "3:4",
    "3:2",
    "2:3",
    "4:5",
    "5:4",
    "16:10",
    "10:16",
    "2:1",
    "1:2",
    "3:1",
    "1:3",
)
_USUAL = ImageCapabilities(ratios=_RATIOS, references=1)


class Outgoing(Struct, frozen=True, kw_only=True):
    """One call: `body` is JSON, or None for a form of `texts` and `files`."""

    path: str
    body: bytes | None
    texts: list[tuple[str, str]]
    files: list[FormFile]
    warnings: tuple[str, ...]


class Made(Struct, frozen=True, kw_only=True):
    """Addresses of pictures, each with the prompt it was drawn from, and a warning for each that was unsafe."""

    pictures: tuple[tuple[str, str | None], ...]
    warnings: tuple[str, ...] = ()


def is_v3(model: str) -> bool:
    """Whether a model is asked for on the older wire."""
    return model == _V3


def to_call(request: ImageRequest, model: str, info: ModelInfo) -> Outgoing:
    """One call for `request.n` pictures. `request.mask` is grey by now, black where it is to be edited.

    Raises UnsupportedFieldError for what the model cannot do, and in a strict request for whatever would be lost.
    """
    able, old = info.image or _USUAL, is_v3(model)
    refuse_unable(request, able)
    masked = request.mask is not None
    fitted = Fit(warnings=("size=ignored",)) if masked and request.size else fit(request.size, able)
    takes = {"seed", "quality", *_OWN, *(("negative_prompt",) if old else ())}
    warnings = (*losses_of(request, takes), *fitted.warnings)
    require_lossless(request, warnings)
    fields: JsonObject = {
        "prompt": request.prompt if old else prompt_of(request),
        "negative_prompt": request.negative_prompt if old else None,
        "num_images": request.n,
        "aspect_ratio": (fitted.ratio.replace(":", "x") if old else fitted.ratio) or None,
        "seed": request.seed,
        "rendering_speed": _SPEEDS.get(request.quality or ""),
        "magic_prompt": "OFF" if old and request.prompt_is_final else None,
        **own_fields(request, _OWN),
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    files = _files(request, old=old)
    path = _path(model, masked=masked, varied=bool(request.images))
    if not old and not files:
        return Outgoing(path=path, body=orjson.dumps(fields), texts=[], files=[], warnings=warnings)
    texts = [
        (name, value if isinstance(value, str) else orjson.dumps(value).decode()) for name, value in fields.items()
    ]
    return Outgoing(path=path, body=None, texts=texts, files=files, warnings=warnings)


def made_from(body: bytes) -> Made:
    """The pictures of an answer. Raises ContentBlockedError when all were unsafe, BadResponseError without any."""
    answer = json_object(body, billed=True)
    data = answer.get("data")
    pictures: list[tuple[str, str | None]] = []
    warnings: list[str] = []
    for place, item in enumerate(data if isinstance(data, list) else []):
        if not isinstance(item, dict):
            continue
        url, prompt = item.get("url"), item.get("prompt")
        if item.get("is_image_safe") is False:
            warnings.append(f"data[{place}]=moderated")
        elif isinstance(url, str) and url:
            pictures.append((url, prompt if isinstance(prompt, str) and prompt else None))
    if warnings and not pictures:
        raise moderation_error(billed=True)
    if not pictures:
        raise BadResponseError("the upstream's answer holds no picture", outcome="empty", billed=True)
    return Made(pictures=tuple(pictures), warnings=tuple(warnings))


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for `{"error": ...}` or `{"detail": ...}` with a bad status."""
    return status_error(status, headers, message_in(body), now)


def _path(model: str, *, masked: bool, varied: bool) -> str:
    if not is_v3(model):
        return f"/v2/image/generate/{model_path(model)}"
    return f"/v1/ideogram-v3/{'edit' if masked else 'remix' if varied else 'generate'}"


def _files(request: ImageRequest, *, old: bool) -> list[FormFile]:
    name = "image" if old else "images"
    files = [form_file(name, image, f"image-{place}") for place, image in enumerate(request.images)]
    if request.mask is not None:
        files.append(form_file("mask", request.mask, "mask"))
    return files
