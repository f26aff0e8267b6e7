"""An image request as clients send it (JSON or multipart) -> `ImageRequest`, features, directives, delivery."""

import re
import time
from collections.abc import Mapping
from typing import Literal

import orjson
from msgspec import Struct
from starlette.types import Receive, Scope

from providers.fetch import Fetcher
from providers.types import ImageRequest, ImageSize, JsonValue
from router.api.body import header, read_body, require_json
from router.api.chat_fields import require_shallow
from router.api.chat_request import affinity, decode_object, refuse_forbidden
from router.api.directives import take_directives
from router.api.image_form import form_fields
from router.api.image_uploads import MAX_IMAGES, take_uploads
from router.api.remote_pictures import fetch_pictures
from router.errors import InvalidRequestError, RouterError, UnsupportedMediaTypeError
from router.pictures.sizes import take_size
from router.routing.plan import Directives, Features
from router.settings.values import ClientKey, Settings

Delivery = Literal["b64_json", "url"]

_MAX_PROMPT = 32_000
_MAX_N = 10
_QUALITIES = frozenset({"auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"})
_FORMATS = frozenset({"png", "jpeg", "webp"})
_BACKGROUNDS = frozenset({"auto", "transparent", "opaque"})
_DIGITS = re.compile(r"-?[0-9]{1,11}")
_KNOWN = frozenset(
    {
        "background", "input_fidelity", "moderation", "n", "negative_prompt", "output_compression",
        "output_format", "prompt", "quality", "response_format", "safety_identifier", "seed", "size",
        "stream", "style", "user", "partial_images",
    }
)  # fmt: skip


class RetiredError(RouterError):
    """An endpoint that OpenAI has taken away and the operator has not mapped."""

    status = 410
    type = "invalid_request_error"
    code = "endpoint_retired"


class ParsedImage(Struct, frozen=True):
    """One image request as the edge hands it on; `delivery` is how the caller wants the pictures.

    `warnings` names what of the request nobody will see.
    """

    request: ImageRequest
    features: Features
    directives: Directives
    delivery: Delivery
    stream: bool = False
    warnings: tuple[str, ...] = ()


async def parse_generation(
    scope: Scope, receive: Receive, settings: Settings, key: ClientKey, fetcher: Fetcher | None = None
) -> ParsedImage:
    """POST /v1/images/generations: always JSON. With pictures (as Seedream's clients send them) it is an edit."""
    require_json(scope)
    return build_image_request(await _json_fields(scope, receive, settings, fetcher), scope, key)


async def parse_edit(
    scope: Scope, receive: Receive, settings: Settings, key: ClientKey, fetcher: Fetcher | None = None
) -> ParsedImage:
    """POST /v1/images/edits: multipart (`image`, `image[]`, `image[0]`) or JSON (`image`, `images`).

    `fetcher` opens the URLs of pictures; None: they are refused.
    """
    fields = await _edit_fields(scope, receive, settings, fetcher)
    return build_image_request(fields, scope, key, edit=True)


async def parse_variation(
    scope: Scope, receive: Receive, settings: Settings, key: ClientKey, fetcher: Fetcher | None = None
) -> ParsedImage:
    """POST /v1/images/variations: an edit by the operator's instruction. Raises 410 when there is none."""
    instruction = settings.images.variation_prompt
    if instruction is None:
        raise RetiredError("variations went with dall-e-2; send an edit to /v1/images/edits, or set variation_prompt")
    fields = await _edit_fields(scope, receive, settings, fetcher)
    return build_image_request({**fields, "prompt": fields.get("prompt") or instruction}, scope, key, edit=True)


async def _edit_fields(
    scope: Scope, receive: Receive, settings: Settings, fetcher: Fetcher | None
) -> dict[str, object]:
    declared = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if declared == "application/json":
        return await _json_fields(scope, receive, settings, fetcher)
    if declared != "multipart/form-data":
        raise UnsupportedMediaTypeError("send multipart/form-data or application/json")
    server = settings.server
    body = await read_body(scope, receive, limit_bytes=server.upload_limit_bytes, timeout_s=server.body_timeout_s)
    return await fetch_pictures(await form_fields(scope, body), fetcher, MAX_IMAGES + 1)


async def _json_fields(
    scope: Scope, receive: Receive, settings: Settings, fetcher: Fetcher | None
) -> dict[str, object]:
    server = settings.server
    body = await read_body(scope, receive, limit_bytes=server.json_limit_bytes, timeout_s=server.body_timeout_s)
    return await fetch_pictures(decode_json(body), fetcher, MAX_IMAGES + 1)


def decode_json(body: bytes) -> dict[str, object]:
    """The fields of a JSON body; explicit nulls mean absent."""
    raw = decode_object(body)
    try:
        decoded = {name: orjson.loads(memoryview(value)) for name, value in raw.items()}
    except orjson.JSONDecodeError as exc:
        raise InvalidRequestError(f"could not parse the JSON body: {exc.msg}", code="invalid_json") from exc
    return {name: value for name, value in decoded.items() if value is not None}


def build_image_request(fields: dict[str, object], scope: Scope, key: ClientKey, *, edit: bool = False) -> ParsedImage:
    """Validate the fields; an `edit` must have a picture. Raises 400 naming the one at fault."""
    refuse_forbidden(fields)
    given = take_uploads(fields)
    if edit and not given.images:
        raise InvalidRequestError("'image' is required", param="image", code="missing_required_parameter")
    if fields.get("markup") is not None:
        raise InvalidRequestError("'markup' is not supported", param="markup", code="unsupported_parameter")
    model = fields.pop("model", None) or "image"
    if not isinstance(model, str) or len(model) > 512 or not model.isprintable():
        raise InvalidRequestError("'model' must be a model name", param="model", code="invalid_type")
    model, directives = take_directives(scope, fields, model, pictures=True)  # type: ignore[arg-type]  # values are JSON or uploads
    size, warnings = take_size(fields)
    delivery = _choice(fields, "response_format", frozenset({"b64_json", "url"}), "b64_json")
    stream = _flag(fields, "stream")
    previews = _integer(fields, "partial_images", 0, 3) or 0
    n = _integer(fields, "n", 1, _MAX_N, default=1) or 1
    if previews and (not stream or n > 1):
        warnings += (f"partial_images=ignored: {'n is above 1' if stream else 'not a stream'}",)
        previews = 0
    request = ImageRequest(
        model=model,
        prompt=_prompt(fields),
        n=n,
        size=size,
        quality=_choice(fields, "quality", _QUALITIES, None),
        background=_choice(fields, "background", _BACKGROUNDS, None),
        output_format=_choice(fields, "output_format", _FORMATS, None),
        output_compression=_integer(fields, "output_compression", 0, 100),
        moderation=_text(fields, "moderation"),
        seed=_integer(fields, "seed", 0, 2**32 - 1),
        negative_prompt=_text(fields, "negative_prompt"),
        input_fidelity=_text(fields, "input_fidelity"),
        user=_text(fields, "safety_identifier") or _text(fields, "user"),
        images=given.images,
        mask=given.mask,
        partial_images=previews,
        strict=directives.strict,
        extra=_extra(fields),
    )
    features = _features(request, key, size=size)
    return ParsedImage(request, features, directives, "url" if delivery == "url" else "b64_json", stream, warnings)


def _features(request: ImageRequest, key: ClientKey, *, size: ImageSize | None) -> Features:
    prompt = request.prompt.encode("utf-8", "replace")
    return Features(
        kind="image",
        model=request.model,
        prompt_bytes=len(prompt),
        prompt_tokens=-(-len(prompt) // 4),
        images=len(request.images),
        n=request.n,
        image_out=True,
        quality=request.quality or "",
        size=size,
        edit=bool(request.images),
        mask=request.mask is not None,
        transparent=request.background == "transparent",
        partial_images=request.partial_images,
        hour_utc=int(time.time()) // 3600 % 24,
        key_name=key.name,
        key_tags=key.tags,
        affinity=affinity(request.model, prompt),
    )


def _prompt(fields: Mapping[str, object]) -> str:
    prompt = fields.get("prompt")
    if prompt is None or prompt == "":
        raise InvalidRequestError("'prompt' is required", param="prompt", code="missing_required_parameter")
    if not isinstance(prompt, str):
        raise InvalidRequestError("'prompt' must be a string", param="prompt", code="invalid_type")
    if len(prompt) > _MAX_PROMPT:
        raise InvalidRequestError(f"'prompt' exceeds {_MAX_PROMPT} characters", param="prompt")
    return prompt


def _text(fields: Mapping[str, object], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 4096:
        raise InvalidRequestError(f"'{name}' must be a string", param=name, code="invalid_type")
    return value


def _choice(fields: Mapping[str, object], name: str, allowed: frozenset[str], default: str | None) -> str | None:
    value = _text(fields, name)
    if value is None or value == "":
        return default
    if value not in allowed:
        raise InvalidRequestError(
            f"'{name}' must be one of {', '.join(sorted(allowed))}, got {value[:32]!r}", param=name
        )
    return value


def _flag(fields: Mapping[str, object], name: str) -> bool:
    """A boolean, or its word as a form carries it."""
    value = fields.get(name)
    if value is not None and value not in (True, False, "true", "false", ""):
        raise InvalidRequestError(f"'{name}' must be true or false", param=name, code="invalid_type")
    return value in (True, "true")


def _integer(fields: Mapping[str, object], name: str, low: int, high: int, default: int | None = None) -> int | None:
    """An integer, or its digits as a form carries them."""
    value = fields.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequestError(f"'{name}' must be an integer", param=name, code="invalid_type")
    if not low <= value <= high:
        raise InvalidRequestError(f"'{name}' must be between {low} and {high}, got {value}", param=name)
    return value


def _extra(fields: Mapping[str, object]) -> dict[str, JsonValue]:
    """The caller's unknown fields, for backends that may know them."""
    extra: dict[str, JsonValue] = {}
    for name, value in fields.items():
        if name not in _KNOWN and isinstance(value, str | int | float | bool | list | dict):
            require_shallow(name[:64], value)
            extra[name] = value
    return extra
