"""Wires of OpenAI's shape whose images have words of their own: Together, xAI, Seedream, OpenRouter.

Each takes what its own reference lists and refuses the rest; all that is not images is the OpenAI dialect's.
"""

import base64
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.files import Files, Recipe
from providers.sandbox.jobs import ratio_size, recipes
from providers.sandbox.openai import OpenAI
from providers.sandbox.refusals import RefusedError, error_answer, json_answer, json_payload, openai_error

Json = dict[str, Any]
_EMPTY = frozenset({"no-image", "empty-candidate", "no-candidates"})
_MODERATED = frozenset({"safety", "image-safety", "blocked-prompt"})
_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})\Z")
_BASES = {"1k": 1, "2k": 2}


class Wire(Struct, frozen=True, kw_only=True):
    """One of them. `prefix` precedes its paths; `fields` are all it takes; `size_of` reads pixels from them.

    `item` writes one picture, `refusal` a moderated answer, `usage` what it counts; `usual_format` is that of pictures
    for which nobody chose one.
    """

    prefix: str
    paths: Mapping[str, str]
    fields: frozenset[str]
    size_of: Callable[[Json], tuple[int, int]]
    item: Callable[[str, int, Recipe], Json]
    refusal: Callable[[Json], Answer]
    usage: Callable[[int], Json]
    most: int
    usual_format: str = "png"


class Kin:
    """The dialect of one of them for one sandbox."""

    def __init__(self, name: str, config: SandboxConfig, files: Files) -> None:
        self._name = name
        self._wire = WIRES[name]
        self._config = config
        self._rest = OpenAI(config, files)

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        path = incoming.path.removeprefix(self._wire.prefix)
        operation = self._wire.paths.get(path)
        if operation is None or incoming.method != "POST":
            return self._rest.route(replace(incoming, path=f"/v1{path}"))
        payload = json_payload(self._name, incoming.body, 400)
        return Route(operation=operation, model=str(payload.get("model") or ""), payload=payload, slow=True)

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content fault or None. Raises RefusedError."""
        if route.operation not in self._wire.paths.values():
            return self._rest.answer(incoming, route, fault)
        scheme, _, key = incoming.header(b"authorization").partition(" ")
        if scheme != "Bearer" or not self._config.takes(key):
            raise RefusedError(error_answer(self._name, 401))
        given: Json = route.payload
        self._check(given)
        name = fault.name if fault else ""
        if name in _MODERATED:
            return self._wire.refusal(given)
        width, height = self._wire.size_of(given)
        kind = given.get("output_format") or self._wire.usual_format
        count = 0 if name in _EMPTY else int(given.get("n") or 1)
        drawn = recipes(given["prompt"], name, count, width=width, height=height, output_format=kind)
        items = [
            self._wire.item(base64.b64encode(recipe.draw()).decode(), place, recipe)
            for place, recipe in enumerate(drawn)
        ]
        made = {"created": int(time.time()), "model": route.model, "data": items, "usage": self._wire.usage(len(items))}
        return replace(json_answer(made), image=True)

    def _check(self, given: Json) -> None:
        for name in given:
            if name not in self._wire.fields:
                raise _refuse(f"Unrecognized request argument supplied: {name}", name)
        if not isinstance(given.get("prompt"), str) or not given.get("model"):
            raise _refuse("model and prompt are required", "prompt")
        if not 1 <= int(given.get("n") or 1) <= self._wire.most:
            raise _refuse(f"n must be from 1 to {self._wire.most}", "n")


def _refuse(message: str, param: str) -> RefusedError:
    return RefusedError(openai_error(400, message, param=param))


def _sides(given: Json) -> tuple[int, int]:
    width, height = given.get("width") or 1024, given.get("height") or 1024
    if width % 16 or height % 16:
        raise _refuse("width and height must be multiples of 16", "width")
    if given.get("response_format") not in ("base64", "url", None):
        raise _refuse("response_format must be base64 or url", "response_format")
    return width, height


def _shape(given: Json) -> tuple[int, int]:
    try:
        width, height = ratio_size(given.get("aspect_ratio") or "1:1")
    except ValueError as exc:
        raise _refuse(str(exc), "aspect_ratio") from exc
    if (base := _BASES.get(given.get("resolution") or "1k")) is None:
        raise _refuse("resolution must be 1k or 2k", "resolution")
    if given.get("quality") not in (None, "low", "medium", "high"):
        raise _refuse("quality must be low, medium or high", "quality")
    return width * base, height * base


def _area(given: Json) -> tuple[int, int]:
    width, height = _word(given)
    least = 3_686_400 if "4-5" in given["model"] or "lite" in given["model"] else 921_600
    if not least <= width * height <= 16_777_216:
        raise _refuse(f"The parameter `size` is not valid: the area must be from {least} to 16777216", "size")
    return width, height


def _word(given: Json) -> tuple[int, int]:
    size = given.get("size") or "2048x2048"
    match = _SIZE.match(size)
    if match is None:
        raise _refuse(f"size {size!r} is not valid", "size")
    return int(match[1]), int(match[2])


def _blocked(given: Json) -> Answer:
    return openai_error(400, "The prompt was flagged", code="content_policy_violation")


def _seedream_blocked(given: Json) -> Answer:
    error = {"code": "OutputImageSensitiveContentDetected", "message": "The image may contain sensitive information."}
    return json_answer({"created": int(time.time()), "data": [{"error": error}], "usage": {"generated_images": 0}})


def _openrouter_blocked(given: Json) -> Answer:
    metadata = {"reasons": ["violence"], "flagged_input": "...", "provider_name": "sandbox"}
    return json_answer({"error": {"code": 403, "message": "The input was flagged", "metadata": metadata}}, 403)


def _xai_blocked(given: Json) -> Answer:
    items = [{"url": "", "respect_moderation": False}] * int(given.get("n") or 1)
    return json_answer({"data": items, "usage": {"cost_in_usd_ticks": 0}})


_PLAIN_PATHS = {"/images/generations": "images"}
WIRES: Mapping[str, Wire] = {
    "together": Wire(
        prefix="/v1",
        paths=_PLAIN_PATHS,
        fields=frozenset(
            [
                *("model", "prompt", "width", "height", "n", "steps", "guidance_scale", "seed", "negative_prompt"),
                *("image_url", "reference_images", "image_loras", "disable_safety_checker", "output_format"),
                "response_format",
            ]
        ),
        size_of=_sides,
        item=lambda text, place, _: {"index": place, "type": "b64_json", "b64_json": text},
        refusal=_blocked,
        usage=lambda _: {},
        most=4,
    ),
    "xai": Wire(
        prefix="/v1",
        paths={"/images/generations": "images", "/images/edits": "edits"},
        fields=frozenset(
            [
                *("model", "prompt", "n", "response_format", "aspect_ratio", "resolution", "quality", "user"),
                *("image", "images"),
            ]
        ),
        size_of=_shape,
        item=lambda text, _place, recipe: {
            "b64_json": f"data:image/png;base64,{text}",
            "respect_moderation": True,
            "revised_prompt": recipe.prompt,
        },
        refusal=_xai_blocked,
        usage=lambda count: {"cost_in_usd_ticks": 600_000_000 * count},
        most=10,
    ),
    "seedream": Wire(
        prefix="/api/v3",
        paths=_PLAIN_PATHS,
        fields=frozenset(
            [
                *("model", "prompt", "image", "size", "seed", "guidance_scale", "watermark", "output_format", "stream"),
                *("optimize_prompt", "optimize_prompt_options", "sequential_image_generation", "response_format"),
                *("sequential_image_generation_options", "tools", "layer_decomposition"),
            ]
        ),
        size_of=_area,
        item=lambda text, _, recipe: {"b64_json": text, "size": f"{recipe.width}x{recipe.height}"},
        refusal=_seedream_blocked,
        usage=lambda count: {
            "generated_images": count,
            "output_tokens": 16_384 * count,
            "total_tokens": 16_384 * count,
        },
        most=1,
        usual_format="jpeg",
    ),
    "openrouter": Wire(
        prefix="/api/v1",
        paths={"/images": "images"},
        fields=frozenset(
            [
                *("model", "prompt", "n", "size", "resolution", "aspect_ratio", "quality", "background", "stream"),
                *("output_format", "output_compression", "seed", "input_references", "provider"),
            ]
        ),
        size_of=_word,
        item=lambda text, _, recipe: {"b64_json": text, "media_type": f"image/{recipe.output_format}"},
        refusal=_openrouter_blocked,
        usage=lambda count: {
            "prompt_tokens": 8,
            "completion_tokens": 1120 * count,
            "total_tokens": 8 + 1120 * count,
            "cost": 0.05 * count,
        },
        most=10,
    ),
}
