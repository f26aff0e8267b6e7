"""What kind of picture some bytes are. Pure, and only as much as adapters need: no decoding."""


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
