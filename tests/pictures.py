"""Real little pictures, and some that are not what they say."""

import io
import struct
import zlib

from PIL import Image


def picture(width: int = 8, height: int = 8, kind: str = "PNG", mode: str = "RGB", **more: object) -> bytes:
    """An encoded picture of one colour."""
    out = io.BytesIO()
    Image.new(mode, (width, height), 0 if mode in ("L", "P", "1", "I;16") else (9,) * len(mode)).save(out, kind, **more)
    return out.getvalue()


def bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A PNG of a few bytes whose header announces far too many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
