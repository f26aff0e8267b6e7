"""A mask as OpenAI's callers send it (transparent where the picture is to be edited) -> the one a backend reads.

Pillow is imported on the first mask, and works beside the event loop.
"""

import asyncio
import io
from collections.abc import Callable

from msgspec.structs import replace

from providers.errors import BadRequestError
from providers.types import ImageInput, ImageRequest

_HALF = 128
_FORMATS = ("PNG", "WEBP", "GIF")


def white_is_edit(mask: bytes) -> bytes:
    """A grey PNG of the same size: white where `mask` is (more than half) transparent, black elsewhere. Blocking.

    Raises BadRequestError for a mask without transparency: nobody could say what is to be edited.
    """
    return _grey(mask, 255, 0)


def black_is_edit(mask: bytes) -> bytes:
    """The same the other way round."""
    return _grey(mask, 0, 255)


def clear_white_is_edit(mask: bytes) -> bytes:
    """An RGBA PNG of the same size: white and transparent where `mask` is, black and opaque elsewhere. Blocking.

    ComfyUI's nodes take one channel of a mask, whichever the workflow names, and turn alpha round: by each of them this
    one says the same. Raises BadRequestError as `white_is_edit` does.
    """
    from PIL import Image

    with Image.open(io.BytesIO(white_is_edit(mask))) as grey:
        alpha = grey.point([255 - value for value in range(256)])
        sink = io.BytesIO()
        Image.merge("RGBA", (grey, grey, grey, alpha)).save(sink, "PNG")
    return sink.getvalue()


async def with_mask(request: ImageRequest, turn: Callable[[bytes], bytes]) -> ImageRequest:
    """The request with its mask, if any, as `turn` makes it."""
    if request.mask is None:
        return request
    data = await asyncio.to_thread(turn, request.mask.data)
    return replace(request, mask=ImageInput(data, "image/png", "mask.png"))


def _grey(mask: bytes, edited: int, kept: int) -> bytes:
    from PIL import Image  # import time: see the module's docstring

    try:
        with Image.open(io.BytesIO(mask), formats=_FORMATS) as opened:
            if "A" not in opened.getbands() and "transparency" not in opened.info:
                raise BadRequestError("'mask' has no transparency", param="mask", code="invalid_mask")
            alpha = opened.convert("RGBA").getchannel("A")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise BadRequestError(
            "'mask' must be a PNG picture with transparency", param="mask", code="invalid_mask"
        ) from exc
    sink = io.BytesIO()
    alpha.point([edited if value < _HALF else kept for value in range(256)]).save(sink, "PNG")
    return sink.getvalue()
