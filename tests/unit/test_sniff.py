"""Types by first bytes: what callers and upstreams declare is never asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import picture

from providers.pictures import SNIFF_BYTES, sniff_media, sniff_mime

KNOWN = [
    (picture(), "image/png"),
    (picture(kind="JPEG"), "image/jpeg"),
    (picture(kind="GIF"), "image/gif"),
    (picture(kind="WEBP"), "image/webp"),
    (b"\0\0\0\x1cftypavif\0\0\0\0", "image/avif"),
    (b"\0\0\0\x1cftypheic\0\0\0\0", "image/heic"),
    (b"\0\0\0\x1cftypmif1\0\0\0\0", "image/heif"),
    (b"\0\0\0\x20ftypisom\0\0\2\0", "video/mp4"),
    (b"\0\0\0\x14ftypqt  \0\0\0\0", "video/quicktime"),
    (b"\0\0\0\x14ftyp3gp4\0\0\0\0", "video/3gpp"),
    (b"\0\0\0\x20ftypM4A \0\0\0\0", "audio/mp4"),
    (b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B", "video/webm"),
    (b"\0\0\1\xba!\0\1\0\1", "video/mpeg"),
    (b"FLV\1\5\0\0\0\t", "video/x-flv"),
    (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
    (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
    (b"FORM\0\0\0\0AIFFCOMM", "audio/aiff"),
    (b"ID3\4\0\0\0\0\0#TSSE", "audio/mpeg"),
    (b"\xff\xfb\x90\x64\0\0\0\0", "audio/mpeg"),
    (b"\xff\xf1\x50\x80\0\x1f\xfc\0", "audio/aac"),
    (b"fLaC\0\0\0\x22", "audio/flac"),
    (b"OggS\0\2\0\0\0\0", "audio/ogg"),
    (b"%PDF-1.7\n", "application/pdf"),
]
UNKNOWN = [
    *(b"", b"\xff", b"\xff\xfe<\0h\0t\0m\0l", b"\xff\xff\xff\xff", b"\xff\xfb\xff\xff", b"\xff\xfb\0\0"),
    *(b"<!doctype html>", b"<svg xmlns=", b"<?xml version", b'{"a": 1}', b"hello", b"GIF8", b"RIFF\0\0\0\0XXXX"),
    *(b"PK\3\4", b"\x7fELF", b"MZ", b"\x1f\x8b\x08", b"BM\0\0", b"II*\0", b" %PDF-1.7", b"\xef\xbb\xbf%PDF-1.7"),
]


@pytest.mark.parametrize(("data", "mime"), KNOWN, ids=[row[1] for row in KNOWN])
def test_media_are_known_by_their_first_bytes(data: bytes, mime: str) -> None:
    assert sniff_media(data) == mime
    assert sniff_media(data[:SNIFF_BYTES]) == mime


@pytest.mark.parametrize("data", UNKNOWN)
def test_anything_else_is_unknown(data: bytes) -> None:
    assert sniff_media(data) is None


@given(st.binary(max_size=40))
def test_the_first_bytes_decide_and_every_picture_is_a_medium(data: bytes) -> None:
    assert sniff_media(data) == sniff_media(data[:SNIFF_BYTES])
    assert sniff_mime(data) in (None, sniff_media(data))
