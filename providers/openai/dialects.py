"""Upstreams whose images wire has OpenAI's shape but words of its own: data, and the one function that reads it. Pure.

Sources, read 2026-11-20: docs.together.ai, docs.x.ai, the Ark and ModelArk references of Seedream, openrouter.ai's
`POST /images`.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Literal

import orjson
from msgspec import Struct

from providers.catalogue import ImageCapabilities, ModelInfo, PixelLimits
from providers.image_terms import losses_of, own_fields, prompt_of, refuse_unable, require_lossless
from providers.qualities import nearest_quality, ranked
from providers.sizes import Fit, fit
from providers.types import ImageInput, ImageRequest, JsonObject, JsonValue

Place = Callable[[tuple[ImageInput, ...]], JsonObject]


class ImageDialect(Struct, frozen=True, kw_only=True):
    """How an upstream's images wire departs from OpenAI's.

    `edit_path` is where pictures go along ("": the same), as `pictures` places them. `fixed` is sent always unless the
    caller sets it. `size` names how it is told: two sides, a shape (`aspect_ratio`, `resolution`) or one word. `takes`
    are OpenAI's optional fields that it knows, `own` its others that callers may set. `formats` are those it makes,
    where it lets one choose. `unrewritten` is sent beside a prompt that is not to be rewritten once more. `usual`
    describes a model that the catalogue does not.
    """

    path: str = "/images/generations"
    edit_path: str = ""
    fixed: Mapping[str, JsonValue]
    size: Literal["sides", "shape", "word"]
    takes: frozenset[str]
    own: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    unrewritten: Mapping[str, JsonValue] = {}
    pictures: Place
    usual: ImageCapabilities


class Outgoing(Struct, frozen=True, kw_only=True):
    path: str
    body: bytes
    warnings: tuple[str, ...]


def to_dialect(request: ImageRequest, model: str, info: ModelInfo, dialect: ImageDialect) -> Outgoing:
    """Path and JSON body of one request. Raises UnsupportedFieldError for what the model cannot do, and in a strict
    request for whatever would be lost.
    """
    able = info.image or dialect.usual
    refuse_unable(request, able)
    fitted = fit(request.size, able)
    quality, changed = _quality(request.quality, able) if "quality" in dialect.takes else (None, ())
    warnings = (*losses_of(request, {*dialect.takes, *dialect.own}), *changed, *fitted.warnings)
    require_lossless(request, warnings)
    optional: JsonObject = {
        "n": request.n,
        "quality": quality,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        "background": request.background,
        "output_compression": request.output_compression,
        "user": request.user,
    }
    fields: JsonObject = {
        **dialect.fixed,
        **(dialect.unrewritten if request.prompt_is_final else {}),
        **own_fields(request, dialect.own),
        "model": model,
        "prompt": request.prompt if "negative_prompt" in dialect.takes else prompt_of(request),
        **_size(fitted, dialect),
        **{name: value for name, value in optional.items() if name in dialect.takes},
        "output_format": _format(request, able, dialect),
        **(dialect.pictures(request.images) if request.images else {}),
    }
    body = orjson.dumps({name: value for name, value in fields.items() if value is not None})
    path = dialect.edit_path if request.images and dialect.edit_path else dialect.path
    return Outgoing(path=path, body=body, warnings=warnings)


def _size(fitted: Fit, dialect: ImageDialect) -> JsonObject:
    if fitted.ratio:
        return {"aspect_ratio": fitted.ratio, "resolution": fitted.tier}
    if not fitted.width:
        return {}
    if dialect.size == "sides":
        return {"width": fitted.width, "height": fitted.height}
    return {"size": f"{fitted.width}x{fitted.height}"}


def _quality(quality: str | None, able: ImageCapabilities) -> tuple[str | None, tuple[str, ...]]:
    """The nearest quality that the model has, and a warning where it is another."""
    wanted = ranked(quality)
    if wanted is None:
        return None, ()
    nearest = nearest_quality(quality, able.qualities)
    if nearest is None:
        return None, ("quality=ignored",)
    return nearest, () if nearest == wanted else (f"quality={nearest}",)


def _format(request: ImageRequest, able: ImageCapabilities, dialect: ImageDialect) -> str | None:
    """The caller's where the model makes it, else a lossless one to make it from; None where there is no choice."""
    offered = [name for name in dialect.formats if not able.formats or name in able.formats]
    if not offered:
        return None
    return request.output_format if request.output_format in offered else offered[0]


def _data_url(image: ImageInput) -> str:
    return f"data:{image.mime};base64,{base64.b64encode(image.data).decode()}"


def _one_url(images: tuple[ImageInput, ...]) -> JsonObject:
    if len(images) == 1:
        return {"image_url": _data_url(images[0])}
    return {"reference_images": [_data_url(image) for image in images]}


def _typed_urls(images: tuple[ImageInput, ...]) -> JsonObject:
    typed: list[JsonValue] = [{"url": _data_url(image), "type": "image_url"} for image in images]
    return {"image": typed[0]} if len(typed) == 1 else {"images": typed}


def _list(images: tuple[ImageInput, ...]) -> JsonObject:
    return {"image": [_data_url(image) for image in images]}


def _references(images: tuple[ImageInput, ...]) -> JsonObject:
    return {"input_references": [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in images]}


TOGETHER = ImageDialect(
    fixed={"response_format": "base64"},  # not OpenAI's word for it
    size="sides",
    takes=frozenset({"n", "seed", "negative_prompt"}),
    own=("steps", "guidance_scale", "image_loras", "disable_safety_checker"),
    formats=("png", "jpeg"),
    pictures=_one_url,
    usual=ImageCapabilities(pixels=PixelLimits(multiple=16, min_side=64, max_side=2048), references=1),
)
XAI = ImageDialect(
    edit_path="/images/edits",
    fixed={"response_format": "b64_json"},
    size="shape",
    takes=frozenset({"n", "quality", "user"}),
    pictures=_typed_urls,
    usual=ImageCapabilities(
        ratios=("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"), tiers=("1k", "2k"), references=1
    ),
)
SEEDREAM = ImageDialect(
    fixed={  # without a word a mark is drawn into the picture
        "response_format": "b64_json", "watermark": False, "sequential_image_generation": "disabled",
    },
    size="word",
    takes=frozenset(),
    own=(
        "watermark", "sequential_image_generation", "sequential_image_generation_options", "optimize_prompt",
        "optimize_prompt_options", "tools", "guidance_scale",
    ),
    formats=(),
    unrewritten={"optimize_prompt": False},
    pictures=_list,
    usual=ImageCapabilities(
        pixels=PixelLimits(multiple=16, min_side=240, max_side=16384, min_area=3_686_400, max_area=16_777_216),
        references=14,
    ),
)  # fmt: skip
OPENROUTER = ImageDialect(
    path="/images",
    fixed={},
    size="word",
    takes=frozenset({"n", "quality", "seed", "background", "output_compression"}),
    own=("provider",),
    formats=("png", "jpeg", "webp"),
    pictures=_references,
    usual=ImageCapabilities(
        pixels=PixelLimits(min_side=64, max_side=8192),
        references=16,
        transparent=True,
        qualities=("low", "medium", "high"),
    ),
)
