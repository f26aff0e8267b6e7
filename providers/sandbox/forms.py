"""multipart/form-data as OpenAI's image endpoints take it."""

from typing import Any

from msgspec import Struct
from python_multipart.multipart import MultipartParser, parse_options_header

from providers.sandbox.refusals import RefusedError, openai_error


class Upload(Struct, frozen=True):
    """One uploaded file: the declared name and type, and the bytes."""

    filename: str
    content_type: str
    data: bytes


def form_fields(body: bytes, content_type: str) -> dict[str, Any]:
    """Fields by name: text as str, files as a list of Upload (`image[]` counts as `image`). Raises RefusedError."""
    _, options = parse_options_header(content_type.encode("latin-1"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise RefusedError(openai_error(400, "The multipart body has no boundary."))
    collector = _Collector()
    parser = MultipartParser(boundary, collector.callbacks())  # type: ignore[arg-type]  # its TypedDict wants all keys
    try:
        parser.write(body)
        parser.finalize()
    except ValueError as exc:
        raise RefusedError(openai_error(400, "We could not parse the multipart body of your request.")) from exc
    return collector.fields


class _Collector:
    """Gathers the parser's callbacks into fields."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._value = b""
        self._data = bytearray()

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._header,
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._headers, self._data = {}, bytearray()

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace").removesuffix("[]")
        if b"filename" not in options:
            self.fields[name] = self._data.decode("utf-8", "replace")
            return
        upload = Upload(
            options[b"filename"].decode("utf-8", "replace"),
            self._headers.get(b"content-type", b"").decode("latin-1"),
            bytes(self._data),
        )
        self.fields.setdefault(name, []).append(upload)
