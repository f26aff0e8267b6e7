"""Contact sheets: all pictures of a batch small, with their prompts below them."""

import contextlib
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from providers.xmp import xmp_packet
from router.batch.journal import Done

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as PlainFont

_MOST = 60  # on one sheet
_CELL, _GAP, _MARGIN = 256, 16, 24
_LINE, _LINES, _TEXT = 17, 3, 13
_PAPER, _INK, _FAINT = (255, 255, 255), (24, 24, 27), (113, 113, 122)
_COLUMNS = 6
_FONTS = ("NotoSansCJK-Regular.ttc", "NotoSans-Regular.ttf", "DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf")


def draw_sheets(entries: Sequence[Done], folder: Path) -> list[Path]:
    """Write `contact-sheet.jpg` (`-2`, `-3` when there are many) for the pictures of a batch; gives the files."""
    shown = [(entry, name) for entry in entries for name in entry.files if (folder / name).is_file()]
    sheets = []
    for page, start in enumerate(range(0, len(shown), _MOST), 1):
        path = folder / f"contact-sheet{'' if page == 1 else f'-{page}'}.jpg"
        _sheet(shown[start : start + _MOST], folder).save(
            path, "JPEG", quality=88, xmp=xmp_packet("generated").encode()
        )
        sheets.append(path)
    return sheets


def _sheet(shown: Sequence[tuple[Done, str]], folder: Path) -> "Picture":
    from PIL import Image, ImageDraw  # Pillow takes its time to import

    columns = min(_COLUMNS, math.ceil(math.sqrt(len(shown))))
    rows = math.ceil(len(shown) / columns)
    wide, high = _CELL + _GAP, _CELL + _GAP + (_LINES + 1) * _LINE
    sheet = Image.new("RGB", (2 * _MARGIN + columns * wide - _GAP, 2 * _MARGIN + rows * high - _GAP), _PAPER)
    draw, font = ImageDraw.Draw(sheet), _font()
    for place, (entry, name) in enumerate(shown):
        left, top = _MARGIN + place % columns * wide, _MARGIN + place // columns * high
        small = _thumbnail(folder / name)
        sheet.paste(small, (left + (_CELL - small.width) // 2, top + _CELL - small.height))
        lines = _caption(entry, name, font)
        for line, text in enumerate(lines):
            colour = _FAINT if line == len(lines) - 1 else _INK
            draw.text((left, top + _CELL + 6 + line * _LINE), text, fill=colour, font=font)
    return sheet


def _font() -> "FreeTypeFont | PlainFont":
    """A font of the system that knows many letters, else Pillow's own, which knows few."""
    from PIL import ImageFont

    for name in _FONTS:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, _TEXT)
    return ImageFont.load_default(_TEXT)


def _thumbnail(path: Path) -> "Picture":
    """The picture within a cell; a grey card in the place of one that Pillow cannot read (SVG)."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, ValueError, SyntaxError):
        return Image.new("RGB", (_CELL, _CELL), (228, 228, 231))
    picture.thumbnail((_CELL, _CELL))
    paper = Image.new("RGB", picture.size, _PAPER)
    paper.paste(picture, mask=picture.getchannel("A"))
    return paper


def _caption(entry: Done, name: str, font: "FreeTypeFont | PlainFont") -> list[str]:
    """The prompt on up to three lines, and a line on where the picture is from."""
    text = entry.prompt if _drawable(entry.prompt, font) else name
    width = max(10, int(_CELL / font.getlength("n")))
    lines = textwrap.wrap(f"{entry.number}. {text}", width, max_lines=_LINES, placeholder=" …") or [str(entry.number)]
    while any(font.getlength(line) > _CELL for line in lines) and width > 10:
        width -= 2
        lines = textwrap.wrap(f"{entry.number}. {text}", width, max_lines=_LINES, placeholder=" …")
    cost = "" if entry.cost_usd is None else f"  ${entry.cost_usd / len(entry.files):.4f}"
    return [*lines, f"{entry.model}{cost}"]


def _drawable(text: str, font: "FreeTypeFont | PlainFont") -> bool:
    """Whether the font has the letters; a sheet of empty boxes tells less than the names of the files."""
    missing = bytes(font.getmask("\uffff"))
    return all(char.isspace() or bytes(font.getmask(char)) != missing for char in set(text))
