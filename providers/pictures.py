"""What kind of picture some bytes are, and which shape comes nearest. Pure, and only what several adapters need."""

import math
from collections.abc import Sequence


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


def nearest_ratio(ratio: float, offered: Sequence[str]) -> tuple[str, float]:
    """The offered `W:H` closest to width/height, and the loss as a fraction (0.016 is 1.6 %); other names lose."""

    def distance(name: str) -> float:
        width, _, height = name.partition(":")
        try:
            return abs(math.log(float(width) / float(height) / ratio))
        except (ValueError, ZeroDivisionError):
            return math.inf

    best = min(offered, key=distance)
    return best, math.exp(distance(best)) - 1
