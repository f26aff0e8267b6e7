"""The words for how much work goes into a picture, and which of those a model knows stands for another. Pure."""

from collections.abc import Collection

RANKS = ("low", "medium", "high", "xhigh", "max")
_NAMED = {"standard": "medium", "hd": "high"}  # what they were called before


def ranked(quality: str | None) -> str | None:
    """The quality by today's word; None where the backend may choose (`auto`) or the word is unknown."""
    wanted = _NAMED.get(quality or "", quality)
    return wanted if wanted in RANKS else None


def nearest_quality(quality: str | None, offered: Collection[str]) -> str | None:
    """The one of `offered` that is nearest to what was asked for; None where nothing was, or nothing is offered."""
    wanted = ranked(quality)
    known = [name for name in RANKS if name in offered]
    if wanted is None or not known:
        return None
    place = RANKS.index(wanted)
    return min(known, key=lambda name: abs(RANKS.index(name) - place))
