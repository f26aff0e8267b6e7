"""OpenAI images: generations, and edits as JSON or as a form; whole answers and event streams."""

import base64
import re
import time
from collections.abc import Mapping
from typing import Any

import orjson

from providers.sandbox import pictures
from providers.sandbox.brain import tokens_in
from providers.sandbox.exchange import Answer, Incoming
from providers.sandbox.faults import Fault
from providers.sandbox.files import Files, Recipe
from providers.sandbox.forms import Upload
from providers.sandbox.jobs import is_broken
from providers.sandbox.openai_rules import refuse
from providers.sandbox.refusals import JSON, RefusedError, openai_error

_FIELDS = frozenset(
    [
        "model",
        "prompt",
        "n",
        "size",
        "quality",
        "complexity",
        "background",
        "output_format",
        "output_compression",
        "moderation",
        "stream",
        "partial_images",
        "frame_count",
        "frame_duration_ms",
        "svg",
        "safety_identifier",
        "user",
    ]
)
_EDIT_FIELDS = _FIELDS | {"image", "images", "mask", "markup", "input_fidelity"}
_LEGACY_FIELDS = frozenset({"response_format", "style"})  # GPT models refuse them, others take them
_SIZES_1 = frozenset({"auto", "1024x1024", "1536x1024", "1024x1536"})
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})\Z")
# Of a square of 1024, by generation; other sizes are not told apart here.
_QUALITY_TOKENS = {
    "gpt-image-1": {"low": 272, "medium": 1056, "high": 4160},
    "gpt-image-2.": {"low": 196, "medium": 439, "high": 1756, "xhigh": 3122, "max": 7024},
    "gpt-image-2": {"low": 196, "medium": 1756, "high": 7024},
}
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})
_FORMATS = frozenset({"png", "jpeg", "webp"})

Json = dict[str, Any]


def images_answer(payload: Json, incoming: Incoming, files: Files, fault: Fault | None, *, edit: bool) -> Answer:
    """The answer to POST /v1/images/generations or /edits. Blocking: it draws. Raises RefusedError."""
    model = payload["model"]
    is_gpt = model.rpartition("/")[2].startswith("gpt-image")
    _check_fields(payload, is_gpt=is_gpt, edit=edit)
    if edit:
        _check_inputs(payload)
    if fault is not None and fault.name in ("blocked-prompt", "safety", "image-safety"):
        raise RefusedError(_moderated("input" if fault.name == "blocked-prompt" else "output"))
    recipes = _recipes(payload, model, fault, is_gpt=is_gpt)
    usage = _usage(payload, len(recipes), edit=edit)
    if _flag(payload.get("stream")):
        return _stream(payload, recipes, usage, edit=edit)
    made: Json = {"created": int(time.time()), "data": _data(payload, recipes, files, incoming)}
    if is_gpt:
        made.update(
            background=payload.get("background") or "opaque",
            output_format=recipes[0].output_format if recipes else "png",
            quality=_quality(payload),
            size=f"{recipes[0].width}x{recipes[0].height}" if recipes else "1024x1024",
            usage=usage,
        )
    return Answer(headers=(JSON,), body=orjson.dumps(made), image=True)


def _check_fields(payload: Json, *, is_gpt: bool, edit: bool) -> None:
    known = _EDIT_FIELDS if edit else _FIELDS
    if not is_gpt:
        known = known | _LEGACY_FIELDS | {"seed", "aspect_ratio", "negative_prompt"}
    for key in payload:
        if key.partition("[")[0] not in known:  # a form nests by brackets
            raise refuse(f"Unknown parameter: '{key}'.", code="unknown_parameter", param=key)
    prompt = payload.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise refuse("Missing required parameter: 'prompt'.", code="missing_required_parameter", param="prompt")
    if len(prompt) > 32_000:
        raise refuse("Invalid 'prompt': string too long.", code="string_above_max_length", param="prompt")
    n = _integer(payload, "n", 1)
    if not 1 <= n <= 10:
        raise refuse(f"Invalid 'n': expected a value between 1 and 10, got {n}.", param="n")
    if (payload.get("output_format") or "png") not in _FORMATS:
        raise refuse(f"Invalid value: '{payload['output_format']}'.", param="output_format")
    if (
        (quality := payload.get("quality")) is not None
        and is_gpt
        and quality not in {"auto", *_qualities(payload["model"])}
    ):
        raise refuse(f"Invalid value: '{quality}'.", param="quality")
    if payload.get("background") == "transparent" and payload.get("output_format") == "jpeg":
        raise refuse("Transparent background is not supported for jpeg output.", param="background")


def _check_inputs(payload: Json) -> None:
    images = payload.get("image") or payload.get("images")
    if not images:
        raise refuse("Missing required parameter: 'image'.", code="missing_required_parameter", param="image")
    if isinstance(images, str):
        raise refuse(
            "Invalid type for 'image[0]': expected a file, but got a string instead.",
            code="invalid_type",
            param="image[0]",
        )
    if len(images) > 16:
        raise refuse("Invalid 'image': array too long, at most 16.", code="array_above_max_length", param="image")
    sizes = [_input_size(image, f"image[{number}]") for number, image in enumerate(images)]
    mask = payload.get("mask")
    if mask:
        size = _input_size(mask[0] if isinstance(mask, list) else mask, "mask")
        if size != sizes[0]:
            raise refuse("Invalid mask image format - mask size does not match image size", code=None, param="mask")


def _input_size(image: Any, path: str) -> tuple[int, int] | None:
    """Width and height of an input picture; None for one behind a URL. Raises RefusedError for what is none."""
    if isinstance(image, Upload):
        if image.content_type not in _IMAGE_TYPES:
            raise refuse(
                f"Invalid file '{path}': unsupported mimetype ('{image.content_type}'). Supported file formats are "
                "'image/jpeg', 'image/png', and 'image/webp'.",
                code="unsupported_file_mimetype",
                param=path,
            )
        data = image.data
    else:
        url = image.get("image_url") if isinstance(image, dict) else None
        if not isinstance(url, str):
            raise refuse(f"Invalid value for '{path}'.", code="invalid_type", param=path)
        if not url.startswith("data:"):
            return None
        data = base64.b64decode(url.partition(",")[2])
    size = pictures.size_of(data)
    if size is None:
        raise refuse("Invalid image file or mode for image, please check your image file.", param=path)
    return size


def _recipes(payload: Json, model: str, fault: Fault | None, *, is_gpt: bool) -> list[Recipe]:
    name = fault.name if fault else ""
    if name in ("no-image", "empty-candidate", "no-candidates"):
        return []
    width, height = _size(payload.get("size") or "auto", model, is_gpt=is_gpt)
    return [
        Recipe(
            prompt=payload["prompt"],
            width=width,
            height=height,
            output_format=payload.get("output_format") or "png",
            quality=_integer(payload, "output_compression", 90),
            transparent=payload.get("background") == "transparent",
            black=name == "black-image",
            broken=is_broken(name, number),
            number=number,
        )
        for number in range(_integer(payload, "n", 1))
    ]


def _size(size: str, model: str, *, is_gpt: bool) -> tuple[int, int]:
    """Pixels of a size name, under the rules of the model's generation."""
    if size == "auto":
        return 1024, 1024
    match = _SIZE.match(size)
    if match is None:
        raise refuse(f"Invalid value: '{size}'.", param="size")
    width, height = int(match[1]), int(match[2])
    if is_gpt and "gpt-image-1" in model:
        if size not in _SIZES_1:
            raise refuse(f"Invalid value: '{size}'. Supported values are: {sorted(_SIZES_1)}.", param="size")
    elif is_gpt:
        area = width * height
        fits = width % 16 == 0 and height % 16 == 0 and max(width, height) <= 3840
        if not (fits and max(width, height) <= 3 * min(width, height) and 655_360 <= area <= 8_294_400):
            raise refuse(f"Invalid size '{size}': not supported by this model.", param="size")
    elif not (1 <= width <= 4096 and 1 <= height <= 4096):
        raise refuse(f"Invalid size '{size}'.", param="size")
    return width, height


def _data(payload: Json, recipes: list[Recipe], files: Files, incoming: Incoming) -> list[Json]:
    if payload.get("response_format") == "url":
        return [{"url": files.add(recipe, incoming.base_url)} for recipe in recipes]
    return [{"b64_json": base64.b64encode(recipe.draw()).decode()} for recipe in recipes]


def _stream(payload: Json, recipes: list[Recipe], usage: Json, *, edit: bool) -> Answer:
    """Partial pictures (the final one, as many times as asked), then one completed event per picture; no [DONE]."""
    name = "image_edit" if edit else "image_generation"
    frames: list[bytes] = []
    for recipe in recipes:
        common: Json = {
            "b64_json": base64.b64encode(recipe.draw()).decode(),
            "created_at": int(time.time()),
            "size": f"{recipe.width}x{recipe.height}",
            "quality": _quality(payload),
            "background": payload.get("background") or "opaque",
            "output_format": recipe.output_format,
        }
        frames += [
            _event(f"{name}.partial_image", {**common, "partial_image_index": number})
            for number in range(_integer(payload, "partial_images", 0))
        ]
        frames.append(_event(f"{name}.completed", {**common, "usage": usage}))
    return Answer(headers=((b"content-type", b"text/event-stream; charset=utf-8"),), frames=tuple(frames), image=True)


def _event(kind: str, data: Json) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **data}) + b"\n\n"


def _usage(payload: Json, count: int, *, edit: bool) -> Json:
    text = tokens_in(payload["prompt"])
    given = len(payload.get("image") or payload.get("images") or ()) * 323 if edit else 0
    made = count * _qualities(payload["model"]).get(_quality(payload), 1056)
    return {
        "input_tokens": text + given,
        "input_tokens_details": {"text_tokens": text, "image_tokens": given},
        "output_tokens": made,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": made},
        "total_tokens": text + given + made,
    }


def _qualities(model: str) -> Mapping[str, int]:
    """What the model's generation knows, and the tokens of each; those of the first where it is none of OpenAI's."""
    name = model.rpartition("/")[2]
    known = (table for start, table in _QUALITY_TOKENS.items() if name.startswith(start))
    return next(known, _QUALITY_TOKENS["gpt-image-1"])


def _quality(payload: Json) -> str:
    quality = payload.get("quality") or "auto"
    return "medium" if quality == "auto" else str(quality)


def _flag(value: Any) -> bool:
    return value is True or value == "true"


def _integer(payload: Json, key: str, default: int) -> int:
    """A whole number, which a form brings as text."""
    value = payload.get(key)
    if value is None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as exc:
        raise refuse(f"Invalid type for '{key}': expected an integer.", code="invalid_type", param=key) from exc


def _moderated(stage: str) -> Answer:
    error = {
        "message": "Your request was rejected by the safety system. If you believe this is an error, contact us at "
        "help.openai.com and include the request ID req_sandbox. safety_violations=[violence].",
        "type": "image_generation_user_error",
        "param": None,
        "code": "moderation_blocked",
        "moderation_details": {"moderation_stage": stage, "categories": ["violence"]},
    }
    plain = openai_error(400)
    return Answer(status=400, headers=plain.headers, body=orjson.dumps({"error": error}))
