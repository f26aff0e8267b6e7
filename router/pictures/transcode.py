"""Formats: what bytes are, how large the picture is, and turning one format into another. Pillow, with limits.

Bytes that already fit are never rewritten, nor are signed ones: saving drops what was signed into them. What is written
here says that a model made it.
"""

import asyncio
import io
import warnings
from functools import cache
from typing import TYPE_CHECKING

from providers.errors import BadResponseError
from providers.xmp import Origin, xmp_packet
from router.errors import InvalidRequestError
from router.pictures.provenance import is_signed

if TYPE_CHECKING:
    from types import ModuleType

    from PIL.Image import Image as Picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_MAX_PIXELS = 50_000_000
_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"})
_MIME = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


@cache
def _pillow() -> "ModuleType":
    """Pillow with its limits set; imported at the first picture, for it would slow down every start."""
    from PIL import Image

    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = _MAX_PIXELS
    return Image


def pixel_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the header alone; None for what is not a picture we know."""
    pillow = _pillow()
    try:
        return _header_size(data)
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning):
        return None


def _header_size(data: bytes) -> tuple[int, int] | None:
    try:
        with _pillow().open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            return width, height
    except (OSError, ValueError, SyntaxError):
        return None


def check_upload(data: bytes, param: str) -> tuple[int, int]:
    """The size of a picture a caller sent. Raises 400 for anything else; pixels are not decoded."""
    pillow = _pillow()
    try:
        size = _header_size(data)
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as exc:
        raise InvalidRequestError(
            f"'{param}' has more than {_MAX_PIXELS} pixels", param=param, code="image_too_large"
        ) from exc
    if size is None:
        raise InvalidRequestError(
            f"'{param}' must be a PNG, JPEG, WebP or GIF picture", param=param, code="invalid_image_file"
        )
    return size


async def to_format(
    data: bytes,
    mime: str,
    wanted: str,
    compression: int | None,
    origin: Origin = "generated",
    *,
    keep_signed: bool = True,
) -> tuple[bytes, str]:
    """The picture as `wanted` ("png", "jpeg", "webp"), and its MIME type; a rewritten one is marked by `origin`.

    One that is so already, or is signed, is given back untouched: its type may then be another. Without `keep_signed`,
    which is for those who sign the result, a signed one is rewritten as well. `compression` (0..100) is the quality of
    JPEG and WebP; nothing is gained by rewriting at 100. Raises BadResponseError for bytes that do not decode.
    """
    if mime == _MIME[wanted] and (compression in (None, 100) or wanted == "png"):
        return data, mime
    if keep_signed and mime in _MIME.values() and is_signed(data):
        return data, mime
    return await asyncio.to_thread(_encode, data, wanted, compression, origin), _MIME[wanted]


async def reduced(data: bytes, side: int) -> bytes:
    """A JPEG of the picture with sides of at most `side` pixels. Raises BadResponseError for what does not decode."""
    return await asyncio.to_thread(_reduced, data, side)


def _reduced(data: bytes, side: int) -> bytes:
    pillow = _pillow()
    try:
        with pillow.open(io.BytesIO(data), formats=FORMATS) as opened:
            opened.draft("RGB", (side, side))  # a JPEG is decoded at about that size to begin with
            picture = opened if opened.mode in _MODES else opened.convert("RGB")
            picture = _flat(picture)
            picture.thumbnail((side, side))
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=85)
            return out.getvalue()
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError, pillow.DecompressionBombWarning) as exc:
        raise BadResponseError("the upstream's picture does not decode", outcome="bad_image") from exc


def _encode(data: bytes, wanted: str, compression: int | None, origin: Origin) -> bytes:
    pillow = _pillow()
    from PIL import ImageOps

    try:
        with pillow.open(io.BytesIO(data), formats=FORMATS) as opened:
            out = io.BytesIO()
            picture, profile = ImageOps.exif_transpose(opened), opened.info.get("icc_profile")
            if picture.mode not in _MODES:  # print colours: no format of ours holds them, nor does their profile fit
                picture, profile = picture.convert("RGB"), None
            _save(picture, out, wanted, compression, profile, xmp_packet(origin))
            return out.getvalue()
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError, pillow.DecompressionBombWarning) as exc:
        raise BadResponseError("the upstream's picture does not decode", outcome="bad_image") from exc


def _save(
    picture: "Picture", out: io.BytesIO, wanted: str, compression: int | None, profile: bytes | None, xmp: str
) -> None:
    match wanted:
        case "jpeg":
            quality = 92 if compression is None else min(compression, 95)
            _flat(picture).save(out, "JPEG", quality=quality, icc_profile=profile, xmp=xmp.encode())
        case "webp":
            quality = 100 if compression is None else compression
            lossless = quality == 100
            picture.save(out, "WEBP", quality=quality, lossless=lossless, icc_profile=profile, xmp=xmp.encode())
        case _:
            from PIL.PngImagePlugin import PngInfo

            texts = PngInfo()
            texts.add_itxt("XML:com.adobe.xmp", xmp)  # Pillow's PNG writer knows no `xmp`
            picture.save(out, "PNG", icc_profile=profile, pnginfo=texts)


def _flat(picture: "Picture") -> "Picture":
    """JPEG has no transparency: what was transparent becomes white."""
    if picture.mode not in ("RGBA", "LA", "P"):
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    background: Picture = _pillow().new("RGB", layered.size, (255, 255, 255))
    background.paste(layered, mask=layered.getchannel("A"))
    return background
