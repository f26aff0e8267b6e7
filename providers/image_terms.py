"""What an image request asks that a backend cannot do: refused by name, or served with a warning. Pure."""

import re
from collections.abc import Collection, Sequence

from providers.catalogue import ImageCapabilities
from providers.errors import ModelNotFoundError, UnsupportedFieldError
from providers.types import ImageRequest, JsonObject

_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_INDIFFERENT = frozenset({None, "", "auto"})


def refuse_unable(request: ImageRequest, able: ImageCapabilities) -> None:
    """Raises UnsupportedFieldError for a mask, transparency and references beyond what `able` says."""
    if request.mask is not None and not able.mask:
        raise UnsupportedFieldError("this model takes no mask", param="mask")
    if request.background == "transparent" and not able.transparent:
        raise UnsupportedFieldError("this model makes no transparent pictures", param="background")
    if len(request.images) > able.references:
        most = f"at most {able.references}" if able.references else "no"
        raise UnsupportedFieldError(f"this model takes {most} reference pictures", param="image")


def losses_of(request: ImageRequest, takes: Collection[str]) -> list[str]:
    """A warning for each field that is set and that the backend, by `takes`, has no place for.

    Negatives are folded into the prompt (see `prompt_of`); what the router does itself (format, delivery) and what
    changes no picture (`user`, `moderation: auto`) is not lost.
    """
    lost: list[str] = []
    for name, value in (
        ("quality", request.quality),
        ("moderation", request.moderation),
        ("input_fidelity", request.input_fidelity),
        ("seed", request.seed),
    ):
        if name not in takes and value not in _INDIFFERENT:
            lost.append(f"{name}=ignored")
    if request.negative_prompt and "negative_prompt" not in takes:
        lost.append("negative_prompt=folded into the prompt")
    return lost + [f"{name}=dropped" for name in request.extra if name not in takes]


def prompt_of(request: ImageRequest) -> str:
    """The prompt with the negatives at its end, for a backend that knows none."""
    return f"{request.prompt}\n\nAvoid: {request.negative_prompt}." if request.negative_prompt else request.prompt


def own_fields(request: ImageRequest, names: Collection[str]) -> JsonObject:
    """The caller's fields beyond OpenAI's that the backend knows by the same name."""
    return {name: value for name, value in request.extra.items() if name in names}


def require_lossless(request: ImageRequest, warnings: Sequence[str]) -> None:
    """Raises UnsupportedFieldError when a strict request would lose something."""
    if request.strict and warnings:
        name, _, what = warnings[0].partition("=")
        raise UnsupportedFieldError(f"this backend cannot serve '{name}' as asked ({what})", param=name)


def model_path(model: str) -> str:
    """The model as it may stand in a URL path, slashes included: nothing in it ends the path or climbs out of it.

    Raises ModelNotFoundError.
    """
    if not _PATH.fullmatch(model) or ".." in model:
        raise ModelNotFoundError("the configured model is not a name this upstream could have")
    return model
