"""Stability AI's wire: always a form, one picture, as bytes or in JSON by what `accept` says."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from providers.sandbox import pictures
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.forms import Upload, form_fields
from providers.sandbox.jobs import ratio_size, recipes
from providers.sandbox.refusals import RefusedError, error_answer, json_answer

_PATH = re.compile(r"/v2beta/stable-image/(generate/(?:core|ultra|sd3)|edit/inpaint)\Z")
_COMMON = {"prompt", "negative_prompt", "seed", "output_format", "style_preset"}
_FIELDS: Mapping[str, set[str]] = {
    "generate/core": _COMMON | {"aspect_ratio"},
    "generate/ultra": _COMMON | {"aspect_ratio", "image", "strength"},
    "generate/sd3": _COMMON | {"aspect_ratio", "image", "strength", "mode", "model", "cfg_scale"},
    "edit/inpaint": _COMMON | {"image", "mask", "grow_mask"},
}
_RATIOS = frozenset({"16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21"})
_MODELS = frozenset({"sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium"})


class Stability:
    """The dialect for one sandbox."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that is no form."""
        match = _PATH.match(incoming.path)
        if match is None or incoming.method != "POST":
            raise RefusedError(error_answer("stability", 404, "not found"))
        kind = incoming.header(b"content-type")
        if not kind.startswith("multipart/form-data"):
            raise _refuse("content-type: must be multipart/form-data")
        fields = form_fields(incoming.body, kind)
        return Route(
            operation="submit", model=str(fields.get("model") or match[1]), payload=(match[1], fields), slow=True
        )

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content fault or None. Raises RefusedError."""
        scheme, _, key = incoming.header(b"authorization").partition(" ")
        if scheme != "Bearer" or not self._config.takes(key):
            raise RefusedError(error_answer("stability", 401, "authorization: invalid or missing header value"))
        endpoint, fields = route.payload
        _check(endpoint, fields)
        name = fault.name if fault else ""
        if name == "blocked-prompt":
            raise RefusedError(error_answer("stability", 403, "Your request was flagged by our content moderation"))
        filtered = name in ("safety", "image-safety")
        kind = fields.get("output_format") or "png"
        width, height = _size(fields)
        made = recipes(fields["prompt"], name, 1, width=width, height=height, output_format=kind)[0].draw()
        if name in ("no-image", "empty-candidate", "no-candidates"):
            return json_answer({"finish_reason": "SUCCESS", "seed": 1})
        if "json" not in incoming.header(b"accept"):
            reason = b"CONTENT_FILTERED" if filtered else b"SUCCESS"
            return Answer(headers=((b"content-type", f"image/{kind}".encode()), (b"finish-reason", reason)), body=made)
        reason_text = "CONTENT_FILTERED" if filtered else "SUCCESS"
        seed = int(fields.get("seed") or 42)
        return json_answer({"image": base64.b64encode(made).decode(), "finish_reason": reason_text, "seed": seed})


def _check(endpoint: str, fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name not in _FIELDS[endpoint]:
            raise _refuse(f"{name}: is not allowed")
    if not isinstance(fields.get("prompt"), str) or len(fields["prompt"]) > 10_000:
        raise _refuse("prompt: required, at most 10000 characters")
    if not 0 <= int(fields.get("seed") or 0) <= 4_294_967_294:
        raise _refuse("seed: must be between 0 and 4294967294")
    if (fields.get("output_format") or "png") not in ("png", "jpeg", "webp"):
        raise _refuse("output_format: must be one of png, jpeg, webp")
    ratio, image = fields.get("aspect_ratio"), fields.get("image")
    if ratio is not None and ratio not in _RATIOS:
        raise _refuse(f"aspect_ratio: must be one of {', '.join(sorted(_RATIOS))}")
    if endpoint == "generate/sd3" and fields.get("model") not in _MODELS:
        raise _refuse(f"model: must be one of {', '.join(sorted(_MODELS))}")
    if image is not None and endpoint.startswith("generate/") and ("strength" not in fields or ratio is not None):
        raise _refuse("strength: required with an image, which aspect_ratio does not go with")
    if endpoint == "edit/inpaint" and image is None:
        raise _refuse("image: required")
    if "mask" in fields and pictures.size_of(fields["mask"][0].data) != pictures.size_of(fields["image"][0].data):
        raise _refuse("mask: must have the size of the image")


def _size(fields: Mapping[str, Any]) -> tuple[int, int]:
    image = fields.get("image")
    if image and isinstance(image[0], Upload):
        size = pictures.size_of(image[0].data)
        if size is None:
            raise _refuse("image: cannot be read")
        return size
    return ratio_size(fields.get("aspect_ratio") or "1:1")


def _refuse(message: str) -> RefusedError:
    return RefusedError(error_answer("stability", 400, message))
