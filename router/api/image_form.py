"""A multipart image request -> its fields, as a JSON body would hold them."""

import re
from collections.abc import AsyncGenerator

import orjson
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Scope

from router.api.image_uploads import upload
from router.errors import InvalidRequestError

_PART_LIMIT = 70 * 1024 * 1024  # a picture may come as a data URL in a text part
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]{0,64}\]){0,4})")
_PICTURES = frozenset({"image", "images"})


async def form_fields(scope: Scope, body: bytes) -> dict[str, object]:
    """The fields of a form: pictures under `images` in their order, `svg[reasoning][effort]` nested, `arr[]` a list.

    Scalars stay text. Raises 400 for a body that is no form, and for a file where no file is known.
    """

    async def parts() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(Headers(scope=scope), parts(), max_files=64, max_fields=200, max_part_size=_PART_LIMIT)
    try:
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, FormParserError) as exc:
            raise InvalidRequestError("could not parse the multipart body", code="invalid_multipart") from exc
        return await _fields(form)
    finally:
        for file in parser._files_to_close_on_error:  # closing the form misses those of a form that broke off
            file.close()


async def _fields(form: FormData) -> dict[str, object]:
    fields: dict[str, object] = {}
    images: list[object] = []
    masks: list[object] = []
    for name, value in form.multi_items():
        base, keys = _split(name)
        if base in _PICTURES:
            images.append(await _content(value, f"image[{len(images)}]"))
        elif base == "mask":
            masks.append(await _content(value, "mask"))
        elif isinstance(value, UploadFile):
            raise InvalidRequestError(
                f"'{base[:64]}' must not be a file; pictures go into 'image' and 'mask'",
                param=base[:64],
                code="unsupported_parameter" if base == "markup" else "invalid_type",
            )
        elif base == "router" and not keys:
            fields[base] = _json(value, base)
        else:
            _put(fields, [base, *keys], value)
    return {**fields, "images": images, "mask": masks}


def _split(name: str) -> tuple[str, list[str]]:
    """`svg[reasoning][effort]` -> `svg` and its keys; an empty key stands for the end of a list."""
    match = _NAME.fullmatch(name)
    if match is None:
        return name, []
    return match[1], match[2][1:-1].split("][") if match[2] else []


def _put(fields: dict[str, object], path: list[str], value: str) -> None:
    """Set a text where its path leads. Raises 400 when the form says two different things about one name."""
    place: dict[str, object] = fields
    whole = path[0]
    last = path.pop() if len(path) > 1 and path[-1] == "" else None
    for key in path[:-1]:
        inner = place.setdefault(key, {})
        if not isinstance(inner, dict):
            raise InvalidRequestError(f"'{whole[:64]}' is given twice", param=whole[:64])
        place = inner
    if last is None:
        place[path[-1]] = value
        return
    items = place.setdefault(path[-1], [])
    if not isinstance(items, list):
        raise InvalidRequestError(f"'{whole[:64]}' is given twice", param=whole[:64])
    items.append(value)


async def _content(value: UploadFile | str, where: str) -> object:
    if not isinstance(value, UploadFile):
        return value
    return upload(await value.read(), where, value.filename or "image.png")


def _json(value: str, name: str) -> object:
    try:
        decoded: object = orjson.loads(value)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequestError(f"'{name}' must hold a JSON object", param=name, code="invalid_type") from exc
    return decoded
