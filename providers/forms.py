"""multipart/form-data as image backends take it."""

from collections.abc import Iterable

import aiohttp
from msgspec import Struct

from providers.types import ImageInput

_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif", "image/avif": "avif"}


class FormFile(Struct, frozen=True, kw_only=True):
    """One file part of an edit: field name, bytes, MIME type and a file name that agrees with it."""

    field: str
    data: bytes
    mime: str
    filename: str


def form_file(field: str, image: ImageInput, stem: str) -> FormFile:
    name = f"{stem}.{_EXTENSIONS.get(image.mime, 'png')}"  # ours: a caller's file name could carry anything
    return FormFile(field=field, data=image.data, mime=image.mime, filename=name)


def form_of(texts: Iterable[tuple[str, str]], files: Iterable[FormFile]) -> aiohttp.FormData:
    """The body, multipart also where it holds no file."""
    form = aiohttp.FormData(default_to_multipart=True)
    for name, text in texts:
        form.add_field(name, text)
    for file in files:
        form.add_field(file.field, file.data, filename=file.filename, content_type=file.mime)
    return form
