"""What kind of picture or medium some bytes are, and which shape comes nearest. Pure; only what several places need."""

import binascii
import math
from collections.abc import Sequence

from providers.errors import BadResponseError
from providers.types import GeneratedImage


def sniff_mime(data: bytes) -> str | None:
    """The MIME type by the first bytes: png, jpeg, webp, gif or avif; None for anything else.

    The declared type of a picture is never trusted: upstreams answer JPEG where PNG was asked for, and callers rename.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return "image/avif"
    return None


_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"FLV\x01", "video/x-flv"),
)
_BRANDS = {  # of ISO base media files: four letters after `ftyp`
    b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4", b"heic": "image/heic",
    b"heix": "image/heic", b"hevc": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif",
}  # fmt: skip
_CONTAINED = {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo", b"AIFF": "audio/aiff", b"AIFC": "audio/aiff"}
SNIFF_BYTES = 16
"""How many bytes `sniff_media` looks at."""


def sniff_media(data: bytes) -> str | None:
    """Like `sniff_mime`, and also for PDF, sound and film; None for anything else, text among it."""
    picture = sniff_mime(data)
    if picture is not None:
        return picture
    for magic, mime in _MAGIC:
        if data.startswith(magic):
            return mime
    if data[:4] in (b"RIFF", b"FORM"):
        return _CONTAINED.get(data[8:12])
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        return "video/3gpp" if brand.startswith(b"3g") else _BRANDS.get(brand, "video/mp4")
    return _frame(data)


def _frame(data: bytes) -> str | None:
    """Sound without a container begins with a frame: eleven set bits, then version and layer."""
    if len(data) < 4 or data[0] != 0xFF:
        return None
    if data[1] in (0xF0, 0xF1, 0xF8, 0xF9):
        return "audio/aac"
    return "audio/mpeg" if data[1] in (0xE2, 0xE3, 0xF2, 0xF3, 0xFA, 0xFB) and data[2] >> 4 not in (0, 15) else None


def nearest_ratio(ratio: float, offered: Sequence[str]) -> tuple[str, float]:
    """The offered `W:H` closest to width/height, and the loss as a fraction (0.016: 1.6 %); names like `auto` lose."""

    def distance(name: str) -> float:
        width, _, height = name.partition(":")
        try:
            return abs(math.log(float(width) / float(height) / ratio))
        except (ValueError, ZeroDivisionError):
            return math.inf

    best = min(offered, key=distance)
    return best, math.exp(distance(best)) - 1


def decoded_base64(text: str) -> bytes:
    """Bytes of base64 as it comes: `data:` prefix, line breaks, URL-safe letters, no padding; b"" when it is none."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    if "-" in text or "_" in text:
        text = text.replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        bare = "".join(text.split()).rstrip("=")
    except ValueError:
        return b""  # not ASCII
    bare = bare[: len(bare) - 1] if len(bare) % 4 == 1 else bare
    try:
        return binascii.a2b_base64(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return b""


def to_picture(data: bytes, revised_prompt: str | None = None) -> GeneratedImage:
    """The picture with the type its bytes show. Raises BadResponseError (`bad_image`) when they are none."""
    mime = sniff_mime(data)
    if mime is None:
        raise BadResponseError("the upstream's picture is not an image", outcome="bad_image", billed=True)
    return GeneratedImage(data=data, mime=mime, revised_prompt=revised_prompt)
