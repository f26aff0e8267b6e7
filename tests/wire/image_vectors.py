"""Image requests and what each backend must be sent for them, as data; and answers with what they mean.

`PIXEL` is a picture that callers send; every model is described as config/models.yaml describes it.
"""

from typing import Any

from msgspec import Struct

from providers.errors import ProviderError
from providers.types import ImageInput, ImageSize

PIXEL = ImageInput(b"\x89PNG\r\n\x1a\n-one", "image/png")
OTHER = ImageInput(b"\xff\xd8\xff-two", "image/jpeg")
MASK = ImageInput(b"\x89PNG\r\n\x1a\n-mask", "image/png", "mask.png")
PIXEL_64, OTHER_64, MASK_64 = "iVBORw0KGgotb25l", "/9j/LXR3bw==", "iVBORw0KGgotbWFzaw=="


def size(width: int, height: int, tier: str = "1K") -> ImageSize:
    return ImageSize(width=width, height=height, tier=tier)


class Sent(Struct, frozen=True, kw_only=True):
    """`given` are fields of an ImageRequest (prompt "a cat"); `body` is what goes out, `warnings` what is lost.

    `body` None: the request is refused, naming `param`.
    """

    backend: str
    name: str
    model: str
    given: dict[str, Any] = {}
    body: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    param: str = ""


class Told(Struct, frozen=True, kw_only=True):
    """An answer (a poll's, where the backend is polled) and what it means.

    `means` is "pending", the picture or pictures, or the class of the error with its outcome and whether it was billed.
    """

    backend: str
    name: str
    answer: Any
    means: Any = None
    error: type[ProviderError] | None = None
    outcome: str = ""
    billed: bool = False
