"""Spoken answers: a tone for each word, of the length that the word would take. 16-bit mono samples at 24 kHz."""

import array
import math

RATE = 24_000
TOKENS_PER_S = 25  # as Google counts audio that its models make
_WORD_S = 0.08
_LONGEST_S = 10.0
_LOWEST_HZ = 180


def speak(text: str) -> tuple[bytes, int]:
    """The samples, little-endian, and how many tokens they count for."""
    words = (text.split() or ["hm"])[: int(_LONGEST_S / _WORD_S)]
    each = int(RATE * _WORD_S)
    samples = array.array("h")
    for word in words:
        step = 2 * math.pi * (_LOWEST_HZ + 20 * (sum(word.encode()) % 16)) / RATE
        samples.extend(int(9000 * math.sin(step * position)) for position in range(each))
    return samples.tobytes(), max(1, round(len(words) * _WORD_S * TOKENS_PER_S))
