"""Signatures in pictures, which we must not break; for the mark that we write ourselves see `providers.xmp`. Pure.

Where manifests lie was read off pictures that c2pa-python 0.38.1 signed (tests/unit/signed).
"""

from collections.abc import Iterator


def is_signed(data: bytes) -> bool:
    """Whether a PNG, JPEG or WebP carries a C2PA manifest: any change of its bytes would break the signature."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return any(kind == b"caBX" for kind in _png_chunks(data))
    if data.startswith(b"\xff\xd8\xff"):
        return any(_holds_manifest(payload) for payload in _jpeg_segments(data, 0xEB))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return any(kind == b"C2PA" for kind in _riff_chunks(data))
    return False


def _png_chunks(data: bytes) -> Iterator[bytes]:
    place = 8
    while place + 8 <= len(data):
        yield data[place + 4 : place + 8]
        place += 12 + int.from_bytes(data[place : place + 4], "big")


def _riff_chunks(data: bytes) -> Iterator[bytes]:
    place = 12
    while place + 8 <= len(data):
        yield data[place : place + 4]
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + length + length % 2


def _jpeg_segments(data: bytes, wanted: int) -> Iterator[bytes]:
    """The payloads of the segments with one marker, up to the picture itself."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == 0xDA:
            return
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == wanted:
            yield data[place + 4 : place + 2 + length]
        place += 2 + max(length, 2)


def _holds_manifest(payload: bytes) -> bool:
    """Whether an APP11 segment begins a JUMBF box whose description has C2PA's type."""
    return payload[:2] == b"JP" and payload[12:16] == b"jumb" and payload[24:28] == b"c2pa"
