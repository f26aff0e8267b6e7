"""Vectors that follow from the text alone: the same everywhere for one model, other numbers for another."""

import hashlib
import math
from array import array


def unit_vector(
    space: str, content: str, whole: int, dimensions: int | None = None, *, scaled: bool = True
) -> list[float]:
    """The vector of `content` in the vector space `space`: `whole` numbers of 32 bits, of length 1 together.

    Of a shorter one the first `dimensions` are left, as Matryoshka models do it, and not `scaled` to length 1 again
    where the real model does not do that either.
    """
    raw = array("h", hashlib.shake_256(f"{space}\0{content}".encode("utf-8", "surrogatepass")).digest(2 * whole))
    kept = raw[:dimensions] if dimensions and scaled else raw
    length = math.hypot(*kept) or 1.0
    return array("f", [number / length for number in kept[:dimensions]]).tolist()


def text_tokens(text: str) -> int:
    """Tokens of a text, at four bytes each."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)
