"""OpenAI content parts -> Google parts. What only a fetch could bring is refused by name, so that others are asked."""

import base64
import binascii
from urllib.parse import unquote_to_bytes, urlsplit

from providers.errors import UnsupportedFieldError
from providers.gemini.fields import refuse
from providers.gemini.lenient import as_object, as_text
from providers.pictures import sniff_mime
from providers.types import JsonObject, JsonValue

_FILES = "https://generativelanguage.googleapis.com/"
_FILES_ROOT = "https://generativelanguage.googleapis.com/v1beta/"
_YOUTUBE_HOSTS = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})
_AUDIO = {
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "mpeg": "audio/mpeg",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "pcm16": "audio/L16;rate=24000",
}
_BY_EXTENSION = {
    "pdf": "application/pdf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "mov": "video/mov",
    "webm": "video/webm",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "xml": "text/xml",
}
_RESOLUTIONS = {"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"}
# Reasoning of another model, echoed as content: not replayable, and no reason to refuse the conversation.
_NOT_REPLAYED = frozenset({"thinking", "redacted_thinking", "reasoning", "reasoning_content"})


def text_part(text: str) -> JsonObject:
    return {"text": text}


def plain_parts(text: str) -> list[JsonValue]:
    """The parts of a content that is one text; none for an empty one (Google refuses it)."""
    return [{"text": text}] if text else []


def content_parts(content: JsonValue, where: str, *, part_resolution: bool) -> list[JsonValue]:
    """The parts of one message's `content`, in order; empty texts are left out (Google refuses them).

    `where` is the path for error messages (`messages[0].content`); `part_resolution`: the model takes a media
    resolution per part. Raises BadRequestError, or UnsupportedFieldError for what another upstream may take.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return plain_parts(content)
    if not isinstance(content, list):
        raise refuse("message content must be a string or an array of parts", where, "invalid_type")
    parts: list[JsonValue] = []
    for position, part in enumerate(content):
        translated = _one(part, f"{where}[{position}]", part_resolution)
        if translated is not None:
            parts.append(translated)
    return parts


def text_parts(content: JsonValue, where: str) -> list[JsonValue]:
    """As `content_parts`, for messages that may hold text only (system, developer)."""
    parts = content_parts(content, where, part_resolution=False)
    if any("text" not in as_object(part) for part in parts):
        raise refuse("system and developer messages may hold text only", where)
    return parts


def _one(part: JsonValue, where: str, part_resolution: bool) -> JsonObject | None:
    if isinstance(part, str):
        return text_part(part) if part else None
    if not isinstance(part, dict):
        raise refuse("a content part must be an object", where, "invalid_type")
    kind = part.get("type")
    match kind:
        case "text" | "input_text" | "output_text":
            text = as_text(part.get("text"))
            return text_part(text) if text else None
        case "refusal":
            text = as_text(part.get("refusal"))
            return text_part(text) if text else None
        case "image_url" | "input_image" | "video_url":
            return _media(part, str(kind), where, part_resolution)
        case "input_audio":
            return _audio(as_object(part.get("input_audio")), where)
        case "file" | "input_file":
            return _file(as_object(part.get("file")) or part, where)
        case str() if kind in _NOT_REPLAYED:
            return None
        case _:
            raise refuse("this type of content part is not supported", where, "unsupported_value")


def _media(part: JsonObject, kind: str, where: str, part_resolution: bool) -> JsonObject:
    """A picture or video by URL: `{"url": ..., "detail": ...}`, or the bare string some clients send."""
    holder = part.get("video_url" if kind == "video_url" else "image_url")
    url = holder if isinstance(holder, str) else as_text(as_object(holder).get("url"))
    translated = by_url(url.strip(), where, "video/mp4" if kind == "video_url" else "image/png")
    detail = as_object(holder).get("detail") or part.get("detail")
    resolution = _RESOLUTIONS.get(as_text(detail))
    if resolution and part_resolution:
        translated["mediaResolution"] = {"level": resolution}
    return translated


def by_url(url: str, where: str, default_mime: str) -> JsonObject:
    """A part for anything named by URL: data URLs inline, what Google reads itself as a reference."""
    scheme = url[:5].lower()
    if scheme == "data:":
        return data_url(url, where, default_mime)
    if scheme == "gs://" or url.startswith(_FILES):
        return _reference(url)
    if is_remote(url):
        raise UnsupportedFieldError(
            "this provider takes media as data URLs; send the bytes inline", param=where, code="invalid_image_url"
        )
    if scheme in ("https", "http:"):
        return {"fileData": {"fileUri": url}}
    raise refuse("a media URL must be a data: or https: URL", where, "invalid_image_url")


def is_remote(url: str) -> bool:
    """Whether somebody has to fetch this: an http(s) URL that is neither a file at Google nor a film on YouTube."""
    if url[:5].lower() not in ("https", "http:") or url.startswith(_FILES):
        return False
    try:
        return urlsplit(url).hostname not in _YOUTUBE_HOSTS
    except ValueError:  # brackets that hold no IPv6 address
        return True


def data_url(url: str, where: str, default_mime: str) -> JsonObject:
    """`data:[<mime>][;charset=..][;base64],<data>` as an `inlineData` part."""
    header, comma, data = url[5:].partition(",")
    mime, *parameters = (item.strip() for item in header.split(";"))
    if not comma or not data:
        raise refuse("the data URL holds no data", where, "invalid_image_url")
    if "base64" in (item.lower() for item in parameters):
        data = "".join(data.split())  # line breaks inside base64 make Google answer "Base64 decoding failed"
    else:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return inline(mime.lower() or _sniffed(data) or default_mime, data)


def inline(mime: str, data: str) -> JsonObject:
    """An `inlineData` part; `data` is base64. `image/jpg`, which clients write and Google refuses, is corrected."""
    return {"inlineData": {"mimeType": "image/jpeg" if mime == "image/jpg" else mime, "data": data}}


def _sniffed(data: str) -> str | None:
    try:
        return sniff_mime(base64.b64decode(data[:64]))
    except (binascii.Error, ValueError):
        return None


def _audio(audio: JsonObject, where: str) -> JsonObject:
    data = as_text(audio.get("data"))
    if data[:5].lower() == "data:":
        return data_url(data, where, "audio/wav")
    mime = _AUDIO.get(as_text(audio.get("format")).lower())
    if mime is None:
        raise refuse("this audio format is not supported", where, "unsupported_value")
    if not data:
        raise refuse("the audio part holds no data", where)
    return inline(mime, "".join(data.split()))


def _file(file: JsonObject, where: str) -> JsonObject:
    data, file_id = as_text(file.get("file_data")), as_text(file.get("file_id"))
    filename = as_text(file.get("filename"))
    if data:
        if data[:5].lower() in ("data:", "https", "http:", "gs://"):
            return by_url(data, where, _guess(filename) or "application/pdf")
        return inline(_guess(filename) or "application/pdf", "".join(data.split()))
    if file_id.startswith("files/"):
        return _reference(_FILES_ROOT + file_id)
    if file_id.startswith(("gs://", _FILES)):
        return _reference(file_id)
    if file_id[:5] in ("https", "http:"):
        return by_url(file_id, where, "application/pdf")
    if file_id:
        raise UnsupportedFieldError("this provider does not hold that file", param=where)
    raise refuse("a file part needs 'file_data' or 'file_id'", where)


def _reference(uri: str) -> JsonObject:
    """A file Google reads itself: a Files API URI or an object in Cloud Storage. Never fetched here."""
    mime = _guess(uri)
    return {"fileData": {"mimeType": mime, "fileUri": uri} if mime else {"fileUri": uri}}


def _guess(filename: str) -> str | None:
    return _BY_EXTENSION.get(filename.rpartition(".")[2].lower())
