"""Requests -> the arguments of litellm's functions, from an allow-list of OpenAI's fields. Pure.

Nothing a client sends can name an address, a key, a callback or a mock: what is not listed here does not travel.
"""

import base64
from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from providers.catalogue import ModelInfo
from providers.errors import UnsupportedFieldError
from providers.sizes import fit_if_known
from providers.types import ChatRequest, EmbeddingRequest, Fetched, ImageRequest, JsonObject, JsonValue

# Without these the answer would not be what was asked for: another candidate may do better.
_NEEDED = frozenset(
    {
        "audio", "function_call", "functions", "logprobs", "max_completion_tokens", "max_tokens", "modalities", "n",
        "response_format", "stop", "tool_choice", "tools", "top_logprobs", "web_search_options",
    }
)  # fmt: skip
# Without these it is served, with a warning.
_LOSSY = frozenset(
    {
        "frequency_penalty", "logit_bias", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
        "reasoning_effort", "safety_identifier", "seed", "service_tier", "store", "temperature", "top_p", "user",
        "verbosity",
    }
)  # fmt: skip
_LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_USUAL: Mapping[str, JsonValue] = {"n": 1, "logprobs": False, "tool_choice": "auto"}  # as good as not sent
_REMOTE = ("http://", "https://")
_TEXTS = frozenset({"text", "input_text", "output_text", "refusal"})


class Arguments(Struct, frozen=True):
    """What goes to litellm, and each lossy mapping as `field=what happened`."""

    fields: JsonObject
    warnings: tuple[str, ...] = ()


class RemotePicture(Struct, frozen=True):
    """A place in the messages that names a picture by URL: `holder[key]`, at the path `where`."""

    holder: JsonObject
    key: str
    url: str
    where: str


def chat_arguments(request: ChatRequest, supported: Collection[str] | None) -> Arguments:
    """The fields of a chat request but model and messages. `supported` names the fields that this model's provider
    takes; None: litellm does not know.

    Raises UnsupportedFieldError for a field without which the answer would be another, and for any loss when strict.
    """
    fields: JsonObject = {}
    warnings: list[str] = []
    for name, value in request.fields.items():
        known = name in _NEEDED or name in _LOSSY
        taken = name if supported is None or name in supported else _LIMITS.get(name, "")
        if known and (supported is None or taken in supported):
            fields.setdefault(taken, value)
        elif name in _USUAL and value == _USUAL[name]:
            continue
        elif name in _NEEDED:
            raise UnsupportedFieldError(f"this provider does not take '{name}'", param=name)
        else:
            warnings.append(f"{name}=ignored")
    _refuse_losses(warnings, strict=request.strict)
    return Arguments(fields, tuple(warnings))


def image_arguments(request: ImageRequest, info: ModelInfo) -> Arguments:
    """The fields of an image request but model; a size is always pixels, which litellm turns into the vendor's words.

    Raises UnsupportedFieldError for edits, masks and transparency.
    """
    if request.images or request.mask is not None:
        raise UnsupportedFieldError("this provider makes pictures and edits none", param="image")
    if request.background == "transparent":
        raise UnsupportedFieldError("this provider draws no transparent background", param="background")
    lost = ("seed", "negative_prompt", "moderation", "input_fidelity")
    warnings = [f"{name}=ignored" for name in lost if getattr(request, name) is not None]
    warnings += [f"{name}=ignored" for name in request.extra]
    fitted = fit_if_known(request.size, info.image)
    warnings += fitted.warnings
    _refuse_losses(warnings, strict=request.strict)
    size = f"{fitted.width}x{fitted.height}" if fitted.width else str(request.size) if request.size else None
    fields: JsonObject = {"n": request.n, "size": size, "quality": request.quality, "user": request.user}
    given = {name: value for name, value in fields.items() if value is not None}
    return Arguments({"prompt": request.prompt, **given}, tuple(warnings))


def embedding_arguments(request: EmbeddingRequest) -> Arguments:
    """The fields of an embeddings request but model and input. Vectors are taken as they come and converted here."""
    warnings = [f"{name}=ignored" for name in request.extra]
    _refuse_losses(warnings, strict=request.strict)
    fields: JsonObject = {"dimensions": request.dimensions, "user": request.user}
    return Arguments({name: value for name, value in fields.items() if value is not None}, tuple(warnings))


def remote_pictures(messages: list[JsonObject]) -> Iterator[RemotePicture]:
    """Every picture that the messages name by URL. litellm would fetch some of them itself, from wherever they point.

    Raises UnsupportedFieldError for other media by URL.
    """
    for position, message in enumerate(messages):
        for name in ("content", "images"):
            parts = message.get(name)
            for place, part in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(part, dict) and part.get("type") not in _TEXTS:
                    yield from _remote_in(part, f"messages[{position}].{name}[{place}]")


def put_inline(picture: RemotePicture, found: Fetched) -> None:
    """Replace the URL by the bytes that lie there."""
    picture.holder[picture.key] = f"data:{found.mime};base64,{base64.b64encode(found.data).decode()}"


def _remote_in(part: JsonObject, where: str) -> Iterator[RemotePicture]:
    picture = part.get("image_url")
    holder, key = (picture, "url") if isinstance(picture, dict) else (part, "image_url")
    url = holder.get(key)
    if isinstance(url, str) and _is_remote(url):
        yield RemotePicture(holder, key, url.strip(), where)
        return
    inner = [leaf for value in part.values() for leaf in (value.values() if isinstance(value, dict) else (value,))]
    if any(isinstance(leaf, str) and _is_remote(leaf) for leaf in inner):
        raise UnsupportedFieldError("this provider takes no files by URL, only pictures", param=where)


def _is_remote(url: str) -> bool:
    return url.lstrip().lower().startswith(_REMOTE)


def _refuse_losses(warnings: list[str], *, strict: bool) -> None:
    if strict and warnings:
        name = warnings[0].partition("=")[0]
        raise UnsupportedFieldError(f"this provider does not take '{name}'", param=name)
