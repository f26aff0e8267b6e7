"""ImageRequest -> one line for Midjourney: the words, then its parameters. Pure.

Everything but words is a parameter there, so nothing that a caller wrote may read as one. Source: docs.midjourney.com,
parameter list (read 2026-11-28).
"""

import re
import unicodedata

from msgspec import Struct, structs

from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import ModelNotFoundError, UnsupportedFieldError
from providers.image_terms import losses_of, refuse_unable, require_lossless
from providers.sizes import fit
from providers.types import ImageRequest

PICTURES = 4
"""What one job makes, in a grid of two by two."""
_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "9:21", "1:2", "2:1")
_USUAL = ImageCapabilities(ratios=_RATIOS, tiers=("1K",), per_call=PICTURES, references=4)
_OWN = {"stylize": 1000, "chaos": 100, "weird": 3000}  # from 0 up to these
_TAKES = frozenset({"seed", "quality", "negative_prompt", *_OWN})
_QUALITIES = {"low": 1, "medium": 1, "standard": 1, "high": 2, "hd": 2, "xhigh": 4, "max": 4}
_MODEL = re.compile(r"midjourney(?:-(v|niji-)([0-9]{1,2}(?:\.[0-9])?))?")
_DASHES = re.compile("[-\u2010-\u2015\u2043\u2212\ufe31\ufe32\ufe58\ufe63\uff0d]+")  # phones make one of two
_ADDRESS = re.compile(r":/{2,}")
_BRACES = str.maketrans("{}", "()")


class Asked(Struct, frozen=True):
    """The whole line, and what is lost."""

    text: str
    warnings: tuple[str, ...]


def to_line(request: ImageRequest, model: str, info: ModelInfo, references: int) -> Asked:
    """`references` is how many pictures the bridge takes along.

    Raises ModelNotFoundError for a name that is no version (`midjourney-v7`, `midjourney-niji-7`; `midjourney` is the
    account's own), UnsupportedFieldError for what cannot be done, and in a strict request for whatever would be lost.
    """
    able = info.image or _USUAL
    refuse_unable(request, structs.replace(able, references=min(able.references, references)))
    fitted = fit(request.size, able)
    words, smuggled = plain(request.prompt)
    unwanted, also_smuggled = plain(request.negative_prompt or "")
    warnings = [*losses_of(request, _TAKES), *fitted.warnings]
    if request.quality == "low":
        warnings.append("quality=medium")
    if smuggled or also_smuggled:
        warnings.append("prompt=settings removed")
    require_lossless(request, warnings)
    quality = _QUALITIES.get(request.quality or "")
    parameters = {
        "ar": fitted.ratio,
        "seed": request.seed,
        "q": quality,
        **{name: _own(request, name) for name in _OWN},
        "no": unwanted,
        **_version(model),
    }
    said = [f"--{name} {value}" for name, value in parameters.items() if value not in (None, "")]
    return Asked(" ".join([words, *said]), tuple(warnings))


def plain(text: str) -> tuple[str, bool]:
    """The words of a text alone, and whether more than words stood in it.

    A parameter begins with two dashes, or the one long dash that a phone makes of them; an address is a picture to be
    fetched; braces are permutations, each of them a job of its own. What hides between dashes goes first, so that
    nothing is put together by what is taken out.
    """
    visible = "".join(
        " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) not in ("Cc", "Cf")
    )
    worded = _ADDRESS.sub(":", visible).translate(_BRACES)
    bare = " ".join(_DASHES.sub("-", worded).split())
    return bare, worded != visible or any(len(run) > 1 for run in _DASHES.findall(worded))


def _own(request: ImageRequest, name: str) -> int | None:
    value = request.extra.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _OWN[name]:
        raise UnsupportedFieldError(f"'{name}' must be a whole number from 0 to {_OWN[name]}", param=name)
    return value


def _version(model: str) -> dict[str, str]:
    found = _MODEL.fullmatch(model)
    if found is None:
        raise ModelNotFoundError("the configured model is no version of Midjourney")
    return {"v" if found[1] == "v" else "niji": found[2]} if found[1] else {}
