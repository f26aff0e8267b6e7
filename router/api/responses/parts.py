"""Content parts of input items -> chat content parts."""

from collections.abc import Callable

from providers.types import JsonObject, JsonValue
from router.errors import InvalidRequestError

Placed = tuple[JsonObject, str]
"""A chat part, and where it stands in the caller's body."""

_DETAILS = ("auto", "low", "high", "original")


def refuse(message: str, where: str, code: str = "invalid_value") -> InvalidRequestError:
    """A 400 about the field at `where`."""
    return InvalidRequestError(message, param=where, code=code)


def text_of(holder: JsonObject, key: str, where: str) -> str:
    """A required string."""
    value = holder.get(key)
    if value is None:
        raise refuse(f"'{where}.{key}' is required", f"{where}.{key}", "missing_required_parameter")
    if not isinstance(value, str):
        raise refuse(f"'{where}.{key}' must be a string", f"{where}.{key}", "invalid_type")
    return value


def parts_of(content: JsonValue, where: str) -> list[Placed]:
    """The chat parts of one item's content, a string or a list. Raises 400 naming the part."""
    if isinstance(content, str):
        return [({"type": "text", "text": content}, where)]
    if content is None:
        raise refuse(f"'{where}' is required", where, "missing_required_parameter")
    if not isinstance(content, list):
        raise refuse(f"'{where}' must be a string or a list of parts", where, "invalid_type")
    return [(_part(part, f"{where}[{index}]"), f"{where}[{index}]") for index, part in enumerate(content)]


def content_of(parts: list[Placed]) -> JsonValue:
    """Chat content: a lone text as a string, which every upstream takes."""
    if len(parts) == 1 and parts[0][0]["type"] == "text":
        return parts[0][0]["text"]
    return [part for part, _ in parts]


def _part(part: JsonValue, where: str) -> JsonObject:
    if not isinstance(part, dict):
        raise refuse(f"'{where}' must be an object", where, "invalid_type")
    kind = part.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        known = ", ".join(sorted(_READERS))
        raise refuse(f"'{where}.type' must be one of {known}, got {str(kind)[:32]!r}", where)
    return read(part, where)


def _text(part: JsonObject, where: str) -> JsonObject:
    return {"type": "text", "text": text_of(part, "text", where)}


def _refusal(part: JsonObject, where: str) -> JsonObject:
    return {"type": "refusal", "refusal": text_of(part, "refusal", where)}


def _image(part: JsonObject, where: str) -> JsonObject:
    if part.get("file_id") is not None:
        raise _no_files(f"{where}.file_id")
    image: JsonObject = {"url": text_of(part, "image_url", where)}
    detail = part.get("detail")
    if detail is not None:
        if detail not in _DETAILS:
            raise refuse(f"'{where}.detail' must be one of {', '.join(_DETAILS)}", f"{where}.detail")
        image["detail"] = detail
    return {"type": "image_url", "image_url": image}


def _file(part: JsonObject, where: str) -> JsonObject:
    """A file by its data (base64 or a data URL) or by a URL, which travels in the place of the data."""
    if part.get("file_id") is not None:
        raise _no_files(f"{where}.file_id")
    key = "file_url" if part.get("file_url") is not None else "file_data"
    file: JsonObject = {"file_data": text_of(part, key, where)}
    if part.get("filename") is not None:
        file["filename"] = text_of(part, "filename", where)
    return {"type": "file", "file": file}


def _audio(part: JsonObject, where: str) -> JsonObject:
    audio = part.get("input_audio")
    if not isinstance(audio, dict):
        raise refuse(f"'{where}.input_audio' must be an object", f"{where}.input_audio", "invalid_type")
    return {"type": "input_audio", "input_audio": audio}


def _no_files(where: str) -> InvalidRequestError:
    return refuse(f"'{where}': the router keeps no files; send the data, or a URL", where, "unsupported_parameter")


_READERS: dict[str, Callable[[JsonObject, str], JsonObject]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "summary_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
