"""An image request as clients send it (JSON or multipart) -> `ImageRequest`, features, directives, delivery."""

import base64
import re
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Literal

import orjson
from msgspec import Struct
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive, Scope

from providers.fetch import Fetcher
from providers.pictures import sniff_mime
from providers.types import ImageInput, ImageRequest, ImageSize, JsonValue
from router.api.body import header, read_body, require_json
from router.api.chat_fields import require_shallow
from router.api.chat_request import affinity, decode_object, refuse_forbidden
from router.api.directives import take_directives
from router.api.remote_pictures import fetch_pictures
from router.errors import InvalidRequestError, UnsupportedMediaTypeError
from router.pictures.sizes import parse_size
from router.pictures.transcode import check_upload
from router.routing.plan import Directives, Features
from router.settings.values import ClientKey, Settings

Delivery = Literal["b64_json", "url"]

_MAX_PROMPT = 32_000
_MAX_N = 10
_MAX_IMAGES = 16
_MAX_IMAGE_BYTES = 50 * 1024 * 1024
_DATA_URL_LIMIT = 70 * 1024 * 1024
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


class ParsedImage(Struct, frozen=True):
    """One image request as the edge hands it on; `delivery` is how the caller wants the pictures."""

    request: ImageRequest
    features: Features
    directives: Directives
    delivery: Delivery


async def parse_generation(scope: Scope, receive: Receive, settings: Settings, key: ClientKey) -> ParsedImage:
    """POST /v1/images/generations: always JSON."""
    require_json(scope)
    server = settings.server
    body = await read_body(scope, receive, limit_bytes=server.json_limit_bytes, timeout_s=server.body_timeout_s)
    return build_image_request(decode_json(body), scope, key, edit=False)


async def parse_edit(
    scope: Scope, receive: Receive, settings: Settings, key: ClientKey, fetcher: Fetcher | None = None
) -> ParsedImage:
    """POST /v1/images/edits: multipart (`image`, `image[]`, `image[0]`) or JSON (`images`).

    `fetcher` opens the URLs of pictures; None: they are refused.
    """
    declared = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    server = settings.server
    if declared == "application/json":
        body = await read_body(scope, receive, limit_bytes=server.json_limit_bytes, timeout_s=server.body_timeout_s)
        fields = await fetch_pictures(decode_json(body), fetcher, _MAX_IMAGES + 1)
        return build_image_request(fields, scope, key, edit=True)
    if declared != "multipart/form-data":
        raise UnsupportedMediaTypeError("send multipart/form-data or application/json")
    body = await read_body(scope, receive, limit_bytes=server.upload_limit_bytes, timeout_s=server.body_timeout_s)
    return build_image_request(await _multipart_fields(scope, body), scope, key, edit=True)


def decode_json(body: bytes) -> dict[str, object]:
    """The fields of a JSON body; explicit nulls mean absent."""
    raw = decode_object(body)
    try:
        decoded = {name: orjson.loads(memoryview(value)) for name, value in raw.items()}
    except orjson.JSONDecodeError as exc:
        raise InvalidRequestError(f"could not parse the JSON body: {exc.msg}", code="invalid_json") from exc
    return {name: value for name, value in decoded.items() if value is not None}


def build_image_request(fields: dict[str, object], scope: Scope, key: ClientKey, *, edit: bool) -> ParsedImage:
    """Validate the fields. Raises 400 naming the one at fault."""
    refuse_forbidden(fields)
    images = tuple(_pictures(fields)) if edit else ()
    if edit and not images:
        raise InvalidRequestError("'image' is required", param="image", code="missing_required_parameter")
    mask = _mask(fields.pop("mask", None), images)
    model = fields.pop("model", None) or "image"
    if not isinstance(model, str) or len(model) > 512 or not model.isprintable():
        raise InvalidRequestError("'model' must be a model name", param="model", code="invalid_type")
    model, directives = take_directives(scope, fields, model)  # type: ignore[arg-type]  # values are JSON or uploads
    size = parse_size(_text(fields, "size"))
    delivery = _choice(fields, "response_format", frozenset({"b64_json", "url"}), "b64_json")
    if fields.get("stream") in (True, "true"):
        raise InvalidRequestError(
            "streamed images are not served yet; ask without 'stream'", param="stream", code="unsupported_parameter"
        )
    request = ImageRequest(
        model=model,
        prompt=_prompt(fields),
        n=_integer(fields, "n", 1, _MAX_N, default=1) or 1,
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
        images=images,
        mask=mask,
        strict=directives.strict,
        extra=_extra(fields),
    )
    features = _features(request, key, edit=edit, size=size)
    return ParsedImage(request, features, directives, "url" if delivery == "url" else "b64_json")


def _features(request: ImageRequest, key: ClientKey, *, edit: bool, size: ImageSize | None) -> Features:
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
        edit=edit,
        mask=request.mask is not None,
        transparent=request.background == "transparent",
        hour_utc=int(time.time()) // 3600 % 24,
        key_name=key.name,
        key_tags=key.tags,
        affinity=affinity(request.model, prompt),
    )


async def _multipart_fields(scope: Scope, body: bytes) -> dict[str, object]:
    async def parts() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(Headers(scope=scope), parts(), max_files=64, max_fields=200, max_part_size=_DATA_URL_LIMIT)
    try:
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, FormParserError) as exc:
            raise InvalidRequestError("could not parse the multipart body", code="invalid_multipart") from exc
        return await _form_fields(form)
    finally:
        for file in parser._files_to_close_on_error:  # closing the form misses those of a form that broke off
            file.close()


async def _form_fields(form: FormData) -> dict[str, object]:
    """Form parts as fields: pictures gathered under `images`, in order; scalars as text."""
    fields: dict[str, object] = {}
    images: list[object] = []
    for name, value in form.multi_items():
        base = name.partition("[")[0]
        content: object = await _upload(value, base) if isinstance(value, UploadFile) else value
        if base in ("image", "images"):
            images.append(content)
        elif base == "mask":
            fields["mask"] = content
        elif name == "router":
            fields[name] = _form_object(content, name)
        else:
            fields[name] = content
    fields["images"] = images
    return fields


def _form_object(value: object, name: str) -> JsonValue:
    """A form field that holds JSON."""
    try:
        decoded: JsonValue = orjson.loads(value if isinstance(value, str) else b"")
    except orjson.JSONDecodeError as exc:
        raise InvalidRequestError(f"'{name}' must hold a JSON object", param=name, code="invalid_type") from exc
    return decoded


async def _upload(file: UploadFile, name: str) -> ImageInput:
    data = await file.read()
    return _picture(data, name, file.filename or "image.png")


def _pictures(fields: dict[str, object]) -> list[ImageInput]:
    one = fields.pop("image", None)
    value = fields.pop("images", None) or one or []
    items = value if isinstance(value, list) else [value]
    if len(items) > _MAX_IMAGES:
        raise InvalidRequestError(f"at most {_MAX_IMAGES} pictures are accepted", param="image")
    return [_given(item, f"image[{position}]") for position, item in enumerate(items)]


def _given(item: object, where: str) -> ImageInput:
    """One picture: an upload, bytes that were fetched, a data URL, or `{"image_url": ...}` around one."""
    if isinstance(item, ImageInput):
        return item
    if isinstance(item, bytes):
        return _picture(item, where, "image.png")
    if isinstance(item, Mapping):
        if item.get("file_id"):
            raise InvalidRequestError(f"'{where}.file_id' is not supported", param=where, code="unsupported_value")
        item = item.get("image_url") or item.get("url")
        item = item.get("url") if isinstance(item, Mapping) else item
    if not isinstance(item, str):
        raise InvalidRequestError(f"'{where}' must be a picture", param=where, code="invalid_type")
    if item[:8].lower().startswith(("http://", "https://")):
        raise InvalidRequestError(
            f"'{where}': pictures by URL are not fetched; send a data URL", param=where, code="invalid_image_url"
        )
    text = item.partition(",")[2] if item.startswith("data:") else item
    try:
        data = base64.b64decode(text.translate(_URL_SAFE) + "==", validate=False)  # more padding than needed is fine
    except ValueError as exc:
        raise InvalidRequestError(f"'{where}' is not valid base64", param=where) from exc
    return _picture(data, where, "image.png")


_URL_SAFE = str.maketrans("-_", "+/")


def _picture(data: bytes, where: str, filename: str) -> ImageInput:
    if len(data) > _MAX_IMAGE_BYTES:
        raise InvalidRequestError(f"'{where}' exceeds {_MAX_IMAGE_BYTES} bytes", param=where, code="image_too_large")
    check_upload(data, where)
    return ImageInput(data, sniff_mime(data) or "image/png", filename[-100:])


def _mask(value: object, images: tuple[ImageInput, ...]) -> ImageInput | None:
    if value is None:
        return None
    mask = _given(value, "mask")
    if not images:
        raise InvalidRequestError("'mask' needs a picture to edit", param="mask", code="invalid_value")
    if check_upload(mask.data, "mask") != check_upload(images[0].data, "image"):
        raise InvalidRequestError("'mask' must have the size of the first picture", param="mask", code="invalid_value")
    return mask


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
