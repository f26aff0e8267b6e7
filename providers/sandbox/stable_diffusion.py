"""A Stable Diffusion server's `/sdapi/v1`: pictures in the answer, black ones where the safety filter struck.

Below `/sd-server` it is stable-diffusion.cpp's: settings are read out of the prompt, errors have a shape of their own.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import orjson

from providers.sandbox import pictures
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.jobs import recipes
from providers.sandbox.refusals import RefusedError, error_answer, json_answer, json_payload

_DIALECT = "stable-diffusion"
_COMMON = frozenset(
    [
        *("prompt", "negative_prompt", "width", "height", "steps", "cfg_scale", "seed", "batch_size", "n_iter"),
        *("sampler_name", "scheduler", "override_settings", "denoising_strength"),
    ]
)
_EDIT = _COMMON | {"init_images", "mask", "inpainting_mask_invert", "inpainting_fill"}
_PATHS: Mapping[str, frozenset[str]] = {"/sdapi/v1/txt2img": _COMMON, "/sdapi/v1/img2img": _EDIT}
_CPP = "/sd-server"
_SMUGGLED = re.compile(r"<sd_cpp_extra_args>(.*?)</sd_cpp_extra_args>", re.DOTALL)
_FILTERED = frozenset({"black-image", "safety", "image-safety", "blocked-prompt"})
_EMPTY = frozenset({"no-image", "empty-candidate", "no-candidates"})


class StableDiffusion:
    """The dialect for one sandbox."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        if incoming.path.removeprefix(_CPP) not in _PATHS or incoming.method != "POST":
            raise RefusedError(error_answer(_DIALECT, 404, "Not Found"))
        payload = json_payload(_DIALECT, incoming.body)
        override = payload.get("override_settings") or {}
        model = str(override.get("sd_model_checkpoint") or "default")
        return Route(operation="submit", model=model, payload=payload, slow=True)

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content fault or None. Raises RefusedError."""
        key = incoming.header(b"authorization").partition(" ")[2]
        if self._config.api_keys and not self._config.takes(key):
            raise RefusedError(error_answer(_DIALECT, 401, "Incorrect username or password"))
        if incoming.path.startswith(_CPP):
            return self._told_by_cpp(incoming, route, fault)
        return self._told(incoming.path, route.payload, fault)

    def _told_by_cpp(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        given = dict(route.payload)
        if match := _SMUGGLED.search(str(given.get("prompt") or "")):
            given |= orjson.loads(match[1])
        try:
            return self._told(incoming.path.removeprefix(_CPP), given, fault)
        except RefusedError as refused:
            (detail,) = orjson.loads(refused.answer.body)["detail"]
            raise RefusedError(json_answer({"error": detail["msg"]}, refused.answer.status)) from refused

    def _told(self, path: str, given: Mapping[str, Any], fault: Fault | None) -> Answer:
        name = fault.name if fault else ""
        for field in given:
            if field not in _PATHS[path]:
                raise _refuse(f"extra fields not permitted: {field}")
        width, height = _size(given)
        count = 0 if name in _EMPTY else int(given.get("batch_size") or 1)
        drawn = recipes(
            str(given.get("prompt") or ""),
            "black-image" if name in _FILTERED else name,
            count,
            width=width,
            height=height,
        )
        images = [base64.b64encode(recipe.draw()).decode() for recipe in drawn]
        seed = int(given.get("seed") or 42)
        info = orjson.dumps({"seed": seed, "all_seeds": [seed + place for place in range(count)]}).decode()
        return json_answer({"images": images, "parameters": {}, "info": info})


def _size(given: Mapping[str, Any]) -> tuple[int, int]:
    width, height = given.get("width", 512), given.get("height", 512)
    if width % 8 or height % 8 or not 64 <= min(width, height) <= max(width, height) <= 2048:
        raise _refuse("width and height must be multiples of 8 from 64 to 2048")
    for field in (*(given.get("init_images") or ()), *([given["mask"]] if given.get("mask") else [])):
        try:
            known = pictures.size_of(base64.b64decode(field))
        except binascii.Error as exc:
            raise _refuse("Invalid encoded image") from exc
        if known is None:
            raise _refuse("Invalid encoded image")
    return width, height


def _refuse(message: str) -> RefusedError:
    return RefusedError(error_answer(_DIALECT, 422, message))
