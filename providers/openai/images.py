"""ImageRequest -> `/images/generations` JSON or `/images/edits` form, and the answer back. Pure; no fetching."""

from collections.abc import Iterator
from decimal import Decimal

import orjson
from msgspec import Struct

from providers.catalogue import ModelInfo
from providers.errors import BadResponseError, ContentBlockedError, ProviderError, UnsupportedFieldError
from providers.forms import FormFile, form_file
from providers.openai.errors import inner_error
from providers.openai.response import json_from
from providers.openai.usage import cost_from, image_usage_from
from providers.pictures import decoded_base64
from providers.qualities import nearest_quality, ranked
from providers.sizes import Fit, fit_if_known
from providers.types import ImageRequest, JsonObject, JsonValue, Usage

IGNORED = ("response_format", "style")
"""Caller's fields without a meaning for GPT image models: the edge delivers as asked by itself."""

# What else they know (openai-python 3.52.0). Anything more is answered with 400 `unknown_parameter`, and some clients
# send every model whatever any model takes.
_GPT_FIELDS = frozenset({"complexity", "svg", "frame_count", "frame_duration_ms"})
_COMPRESSED = ("jpeg", "webp")


class ImageItem(Struct, frozen=True, kw_only=True):
    """One item of the answer: bytes, or a URL somebody has to fetch; `refused` when the upstream filtered it.

    `error` is what the upstream says of this picture in its place (Seedream).
    """

    data: bytes | None = None
    url: str | None = None
    revised_prompt: str | None = None
    refused: bool = False
    error: ProviderError | None = None


class Spoken(Struct, frozen=True, kw_only=True):
    """How an upstream speaks of a model: `name` is what the body says ("": nothing), `gpt` whether OpenAI's own image
    parameters apply.
    """

    name: str
    gpt: bool


class ImageAnswer(Struct, frozen=True, kw_only=True):
    items: tuple[ImageItem, ...]
    model: str
    usage: Usage | None = None
    cost_usd: Decimal | None = None


def to_generation_body(request: ImageRequest, model: Spoken, info: ModelInfo, *, stream: bool = False) -> bytes:
    """The JSON body of `POST /images/generations`; with `stream` the request's previews are asked for as well."""
    return orjson.dumps(image_fields(request, model, info) | _streamed(request, stream=stream))


def to_edit_form(
    request: ImageRequest, model: Spoken, info: ModelInfo, *, stream: bool = False
) -> tuple[list[tuple[str, str]], list[FormFile]]:
    """Text fields and files of `POST /images/edits`, in the order the SDKs send them: text first.

    One picture is `image`, several are repeated `image[]`; nested values are `svg[model]`, lists `name[]`.
    """
    texts = list(_texts(image_fields(request, model, info) | _streamed(request, stream=stream)))
    field = "image" if len(request.images) == 1 else "image[]"
    files = [form_file(field, image, f"image-{place}") for place, image in enumerate(request.images)]
    if request.mask is not None:
        files.append(form_file("mask", request.mask, "mask"))
    return texts, files


def image_fields(request: ImageRequest, model: Spoken, info: ModelInfo) -> JsonObject:
    """Every field but the pictures. GPT image models get `quality` in their words and neither seed nor negatives.

    Other upstreams are asked for `b64_json`: they default to URLs, which would have to be fetched. Raises
    UnsupportedFieldError when a strict request has a field that would be lost.
    """
    if request.strict and (lost := image_warnings(request, model, info)):
        raise UnsupportedFieldError("this upstream does not take the field", param=lost[0].partition("=")[0])
    gpt = model.gpt
    fields: JsonObject = {name: value for name, value in request.extra.items() if not gpt or name in _GPT_FIELDS}
    compressed = request.output_format in _COMPRESSED or not gpt
    fields |= {
        "model": model.name or None,
        "prompt": _prompt(request) if gpt else request.prompt,
        "n": request.n,
        **_size(fit_if_known(request.size, info.image)),
        "quality": _gpt_quality(request.quality, info) if gpt else request.quality,
        "background": request.background,
        "output_format": request.output_format,
        "output_compression": request.output_compression if compressed else None,
        "moderation": request.moderation,
        "input_fidelity": request.input_fidelity if request.images else None,
        "user": request.user,
    }
    if not gpt:
        fields |= {"seed": request.seed, "negative_prompt": request.negative_prompt, "response_format": "b64_json"}
    return {name: value for name, value in fields.items() if value is not None}


def image_warnings(request: ImageRequest, model: Spoken, info: ModelInfo) -> tuple[str, ...]:
    """The lossy mappings of `request`: a size that the model does not have, and where it is a GPT image model a seed
    and others' fields, which it does not know, negatives, which it reads in the prompt only, and a quality better than
    those of its generation.
    """
    lost = list(fit_if_known(request.size, info.image).warnings)
    if not model.gpt:
        return tuple(lost)
    if request.seed is not None:
        lost.append("seed=ignored")
    if request.negative_prompt:
        lost.append("negative_prompt=folded into the prompt")
    wanted, quality = ranked(request.quality), _gpt_quality(request.quality, info)
    if wanted is not None and quality != wanted:
        lost.append(f"quality={quality}")
    lost += [f"{name}=dropped" for name in request.extra if name not in _GPT_FIELDS and name not in IGNORED]
    return tuple(lost)


def spoken(model: str) -> Spoken:
    """A model by its own name; OpenAI's parameters apply whoever resells it (`openai/gpt-image-2`)."""
    return Spoken(name=model, gpt=is_gpt_image(model))


def is_gpt_image(model: str) -> bool:
    """Whether a name is that of one of OpenAI's image models."""
    return model.rpartition("/")[2].startswith(("gpt-image", "chatgpt-image"))


def from_images(body: bytes, *, model: str) -> ImageAnswer:
    """The items of an images answer. Raises what an inner error means, ContentBlockedError when all were filtered,
    BadResponseError (`empty`) when there are none; all of that may have been billed.
    """
    answer = json_from(body)
    if answer.get("error"):
        error = inner_error(answer)
        error.billed = True
        raise error
    raw, usage, served = answer.get("data"), answer.get("usage"), answer.get("model")
    items = tuple(_item(item) for item in raw if isinstance(item, dict)) if isinstance(raw, list) else ()
    errors = [item.error for item in items if item.error is not None]
    if errors and len(errors) == len(items):
        raise errors[0]
    if items and all(item.refused for item in items):
        raise ContentBlockedError("the picture was refused by a safety filter", code="moderation_blocked", billed=True)
    if not any(item.data or item.url for item in items):
        outcome = "bad_image" if items else "empty"
        raise BadResponseError("the upstream's answer holds no picture", outcome=outcome, billed=True)
    return ImageAnswer(
        items=items,
        model=served if isinstance(served, str) and served else model,
        usage=image_usage_from(usage),
        cost_usd=cost_from(usage),
    )


def _gpt_quality(quality: str | None, info: ModelInfo) -> str | None:
    """The nearest one that the model has; `auto` is its own word."""
    offered = info.image.qualities if info.image is not None else ()
    return nearest_quality(quality, offered) or ranked(quality) or quality


def _streamed(request: ImageRequest, *, stream: bool) -> JsonObject:
    return {"stream": True, "partial_images": request.partial_images} if stream else {}


def _prompt(request: ImageRequest) -> str:
    return f"{request.prompt}\n\nAvoid: {request.negative_prompt}." if request.negative_prompt else request.prompt


def _size(fitted: Fit) -> JsonObject:
    if fitted.ratio:
        return {"aspect_ratio": fitted.ratio, "resolution": fitted.tier}
    return {"size": f"{fitted.width}x{fitted.height}"} if fitted.width else {}


def _texts(fields: JsonObject) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _texts({f"{name}[{key}]": item for key, item in value.items()})
        elif isinstance(value, list):
            yield from ((f"{name}[]", _text(item)) for item in value)
        elif value is not None:
            yield name, _text(value)


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _item(item: JsonObject) -> ImageItem:
    text, url, prompt = item.get("b64_json"), item.get("url"), item.get("revised_prompt")
    data = decoded_base64(text) if isinstance(text, str) and text else None
    if data is None and isinstance(url, str) and url.startswith("data:"):
        data, url = decoded_base64(url), None
    error = inner_error(item["error"]) if item.get("error") else None
    if error is not None:
        error.billed = True
    return ImageItem(
        error=error,
        data=data or None,
        url=url if isinstance(url, str) and url and not data else None,
        revised_prompt=prompt if isinstance(prompt, str) and prompt else None,
        refused=item.get("respect_moderation") is False,  # xAI
    )
