"""Real pictures drawn from a prompt: colours that depend on it, its text, and the word SANDBOX across the middle.

Pillow is imported on the first picture: text-only use of the sandbox should not pay for it.
"""

import hashlib
import io
from functools import lru_cache
from typing import Any

_MEDIA = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


def media_type(output_format: str) -> str:
    """The MIME type of a format name ("png", "jpeg", "webp")."""
    return _MEDIA[output_format]


@lru_cache(maxsize=64)
def draw(
    prompt: str,
    width: int,
    height: int,
    *,
    output_format: str = "png",
    quality: int = 90,
    transparent: bool = False,
    black: bool = False,
    number: int = 0,
    grid: bool = False,
) -> bytes:
    """An encoded picture of exactly `width` x `height` pixels; `number` tells the pictures of one prompt apart.

    A `grid` holds four of them, two by two.

    Blocking: some 20 ms for a megapixel. `transparent` needs png or webp; `black` gives nothing but black.
    """
    from PIL import Image  # import time: see the module's docstring

    if black:
        picture = Image.new("RGB", (width, height))
    elif grid:
        picture = Image.new("RGB", (2 * width, 2 * height))
        for place in range(4):
            part = _painted(prompt, width, height, place, transparent=False)
            picture.paste(part, (place % 2 * width, place // 2 * height))
    else:
        picture = _painted(prompt, width, height, number, transparent=transparent)
    if output_format == "jpeg":
        picture = picture.convert("RGB")
    return _encoded(picture, output_format, quality)


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height of an encoded picture; None when it cannot be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.size
    except (UnidentifiedImageError, OSError):
        return None


def has_alpha(data: bytes) -> bool:
    """Whether an encoded picture can be transparent anywhere."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        return "A" in picture.getbands() or "transparency" in picture.info


def _painted(prompt: str, width: int, height: int, number: int, *, transparent: bool) -> Any:
    from PIL import Image, ImageDraw

    shade = hashlib.blake2b(f"{prompt}/{number}".encode("utf-8", "surrogatepass"), digest_size=12).digest()
    top, bottom, ink = shade[0:3], shade[3:6], shade[6:9]
    # a two-pixel gradient scaled up is the cheapest full-size gradient there is
    column = Image.new("RGB", (1, 2))
    column.putpixel((0, 0), (top[0], top[1], top[2]))
    column.putpixel((0, 1), (bottom[0], bottom[1], bottom[2]))
    picture = column.resize((width, height), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(picture)
    unit = max(8, min(width, height) // 8)
    for step in range(3):
        left, upper = shade[9 + step] * width // 256, shade[step] * height // 256
        pen.ellipse((left - unit, upper - unit, left + unit, upper + unit), fill=(ink[0], ink[1], ink[2]))
    _letter(pen, prompt, width, height)
    if transparent:
        picture = picture.convert("RGBA")
        picture.putalpha(Image.new("L", (width, height), 200))
    return picture


def _letter(pen: Any, prompt: str, width: int, height: int) -> None:
    """SANDBOX on a band across the middle, the prompt in small letters at the foot."""
    from PIL import ImageFont

    size = max(10, min(width // 6, height // 3))
    font = ImageFont.load_default(size)
    middle = height // 2
    pen.rectangle((0, middle - size * 2 // 3, width, middle + size * 2 // 3), fill=(0, 0, 0))
    pen.text((width // 2, middle), "SANDBOX", fill=(255, 255, 255), font=font, anchor="mm")
    small = max(8, min(width, height) // 32)
    line = " ".join(prompt.split())[: max(4, 2 * width // small)]
    shown = line.encode("latin-1", "replace").decode("latin-1")  # the built-in font knows no other letters
    pen.rectangle((0, height - 2 * small, width, height), fill=(0, 0, 0))
    pen.text((small // 2, height - small), shown, fill=(255, 255, 255), font=ImageFont.load_default(small), anchor="lm")


def _encoded(picture: Any, output_format: str, quality: int) -> bytes:
    sink = io.BytesIO()
    if output_format == "png":
        from PIL.PngImagePlugin import PngInfo

        note = PngInfo()
        note.add_text("Software", "Turnout sandbox")
        picture.save(sink, "PNG", compress_level=1, pnginfo=note)  # level 1: speed matters, size does not
    else:
        picture.save(sink, output_format.upper(), quality=quality)
    return sink.getvalue()
