"""The four pictures of one grid. Pillow, imported on the first grid. Blocking."""

import io
from typing import TYPE_CHECKING

from providers.errors import BadResponseError
from providers.xmp import Origin, xmp_packet

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_FORMATS = ("PNG", "JPEG", "WEBP")
_MAX_PIXELS = 50_000_000


def quarters(grid: bytes, count: int, origin: Origin) -> list[bytes]:
    """The first `count` pictures of a grid of two by two, row by row, as PNG with the mark of `origin`.

    Raises BadResponseError (`bad_image`) for bytes that are no picture, or one too large to decode.
    """
    from PIL import Image  # import time: see the module's docstring

    try:
        with Image.open(io.BytesIO(grid), formats=_FORMATS) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                raise ValueError("too large")
            profile, whole = opened.info.get("icc_profile"), opened.convert("RGB")
    except (
        OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning
    ) as exc:  # fmt: skip
        raise BadResponseError("the upstream's picture does not decode", outcome="bad_image", billed=True) from exc
    width, height = whole.width // 2, whole.height // 2
    corners = [(0, 0), (width, 0), (0, height), (width, height)][:count]
    return [_png(whole.crop((x, y, x + width, y + height)), profile, origin) for x, y in corners]


def _png(picture: "Picture", profile: bytes | None, origin: Origin) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    texts, sink = PngInfo(), io.BytesIO()
    texts.add_itxt("XML:com.adobe.xmp", xmp_packet(origin))  # cutting loses what the bridge's file said
    picture.save(sink, "PNG", icc_profile=profile, pnginfo=texts)
    return sink.getvalue()
