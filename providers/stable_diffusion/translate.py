"""ImageRequest -> `txt2img` or `img2img`, the answer -> encoded pictures. Pure.

Source: the `/sdapi/v1` schema of AUTOMATIC1111 and Forge, and stable-diffusion.cpp's server documentation (read
2026-11-20), which speaks the same.
"""

import base64
import re
from collections.abc import Mapping
from datetime import datetime

import orjson
from msgspec import Struct

from providers.answers import json_object, message_in
from providers.catalogue import ImageCapabilities, ModelInfo, PixelLimits
from providers.errors import BadResponseError, ProviderError
from providers.image_terms import losses_of, own_fields, refuse_unable, require_lossless
from providers.pictures import decoded_base64
from providers.sizes import fit
from providers.statuses import status_error
from providers.types import ImageInput, ImageRequest, ImageSize, JsonObject

_OWN = ("steps", "cfg_scale", "sampler_name", "scheduler", "denoising_strength")
_TAKES = frozenset({"seed", "negative_prompt", "quality", *_OWN})
_STEPS = {"low": 12, "medium": 20, "standard": 20, "high": 32, "hd": 32, "xhigh": 40, "max": 50}
_PIXELS = PixelLimits(multiple=8, min_side=64, max_side=2048)
_USUAL = ImageCapabilities(pixels=_PIXELS, references=1, mask=True)
# sd-server reads settings out of the prompt; a caller must not reach them.
_WORD = re.compile("sd_cpp_extra_args", re.IGNORECASE)
_BLOCK = re.compile(r"<\s*sd_cpp_extra_args\s*>.*?(?:<\s*/\s*sd_cpp_extra_args\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_SERVED = "default"  # the name of a target that takes whatever checkpoint the server has loaded


class Outgoing(Struct, frozen=True, kw_only=True):
    path: str
    body: bytes
    warnings: tuple[str, ...]


def to_call(request: ImageRequest, model: str, info: ModelInfo, measured: tuple[int, int] | None = None) -> Outgoing:
    """Path and body of one call. `measured` is the size of the first picture: an edit keeps it unless told otherwise.

    `model` is a checkpoint, chosen for this call alone, because the server's own setting is everybody's; `default` is
    the loaded one. `request.mask` is grey by now, white where it is to be drawn anew. Raises UnsupportedFieldError for
    what cannot be done, and in a strict request for whatever would be lost.
    """
    able = info.image or _USUAL
    refuse_unable(request, able)
    fitted = fit(request.size or _kept(measured), able)
    prompt, negative = (_plain(text) for text in (request.prompt, request.negative_prompt or ""))
    smuggled = (prompt, negative) != (request.prompt, request.negative_prompt or "")
    warnings = (*losses_of(request, _TAKES), *fitted.warnings, *(("prompt=settings removed",) if smuggled else ()))
    require_lossless(request, warnings)
    override: JsonObject = {"return_grid": False}
    if model != _SERVED:
        override["sd_model_checkpoint"] = model
    fields: JsonObject = {
        "prompt": prompt,
        "negative_prompt": negative or None,
        "width": fitted.width or None,
        "height": fitted.height or None,
        "steps": _STEPS.get(request.quality or ""),
        "seed": request.seed,
        "batch_size": request.n,
        "override_settings": override,
        **_pictures(request),
        **own_fields(request, _OWN),
    }
    body = orjson.dumps({name: value for name, value in fields.items() if value is not None})
    path = "/sdapi/v1/img2img" if request.images else "/sdapi/v1/txt2img"
    return Outgoing(path=path, body=body, warnings=warnings)


def pictures_from(body: bytes, n: int) -> list[bytes]:
    """The encoded pictures, a grid of them all left out. Raises BadResponseError (`empty`) when there are none."""
    images = json_object(body, billed=True).get("images")
    found = [decoded_base64(each) for each in images if isinstance(each, str)] if isinstance(images, list) else []
    if not found:
        raise BadResponseError("the upstream's answer holds no picture", outcome="empty", billed=True)
    return found[-n:]  # where a grid is made in spite of the setting, it comes first


def error_from(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ProviderError:
    """The error for `{"detail": ...}` (A1111) or `{"error": "..."}` (sd-server) with a bad status."""
    return status_error(status, headers, message_in(body), now)


def _kept(measured: tuple[int, int] | None) -> ImageSize | None:
    return None if measured is None else ImageSize(width=measured[0], height=measured[1], tier="1K", explicit=False)


def _plain(text: str) -> str:
    """The text without settings. Tags that the removal has put together no longer spell their name."""
    return _WORD.sub("sd cpp extra args", _BLOCK.sub("", text))


def _pictures(request: ImageRequest) -> JsonObject:
    if not request.images:
        return {}
    fields: JsonObject = {"init_images": [_base64(image) for image in request.images]}
    if request.mask is not None:
        fields |= {"mask": _base64(request.mask), "inpainting_mask_invert": 0, "inpainting_fill": 1}
    return fields


def _base64(image: ImageInput) -> str:
    return base64.b64encode(image.data).decode()
