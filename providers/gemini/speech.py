"""Spoken answers: OpenAI's voices by Google's names, and bare samples as a WAV file. Pure.

Source: https://ai.google.dev/gemini-api/docs/speech-generation#voices and
https://platform.openai.com/docs/guides/text-to-speech (read 2026-11-20).
"""

import base64
import binascii
import re
import struct

from providers.errors import BadResponseError

# No mapping is official: each is the voice that Google describes most like it. Google's own names pass as they are.
VOICES = {
    "alloy": "Kore",  # even, firm
    "ash": "Orus",  # firm, low
    "ballad": "Enceladus",  # soft, breathy
    "cedar": "Charon",  # calm, informing
    "coral": "Aoede",  # breezy, warm
    "echo": "Iapetus",  # clear
    "fable": "Puck",  # upbeat, telling
    "marin": "Sulafat",  # warm
    "nova": "Zephyr",  # bright
    "onyx": "Algenib",  # deep, gravelly
    "sage": "Vindemiatrix",  # gentle
    "shimmer": "Leda",  # young, light
    "verse": "Fenrir",  # lively
}
_RATE = re.compile(r"rate=(\d{4,6})")
_USUAL_RATE = 24000


def as_wav(pieces: list[str], mime: str) -> str:
    """Base64 of one WAV file from base64 pieces of 16-bit mono samples; the rate stands in `mime`.

    Audio that is no bare samples (`audio/wav`) is passed on. Raises BadResponseError for what is no base64.
    """
    samples = joined_audio(pieces)
    if not mime.lower().startswith(("audio/l16", "audio/pcm")):
        return base64.b64encode(samples).decode()
    found = _RATE.search(mime)
    return base64.b64encode(_wav_header(len(samples), int(found[1]) if found else _USUAL_RATE) + samples).decode()


def joined_audio(pieces: list[str]) -> bytes:
    """The bytes of all pieces; each is padded on its own, so that their texts cannot be joined."""
    try:
        return b"".join(base64.b64decode(piece) for piece in pieces)
    except (binascii.Error, ValueError) as exc:
        raise BadResponseError("the provider's audio cannot be read", billed=True) from exc


def _wav_header(size: int, rate: int) -> bytes:
    """The 44 bytes in front of `size` bytes of 16-bit mono samples."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", size,
    )  # fmt: skip
