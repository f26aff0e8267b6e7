"""What another model is asked, so that it goes on with a text that was cut. Pure.

A model that takes a prefill (`ModelInfo.prefill`, for models the catalogue describes) is handed the text as the
beginning of its own turn. Any other is shown it as its last message and told, in the words of `INSTRUCTION`, to begin
with the last words of it: a reply that does not has not understood, and no client sees it.
"""

from collections.abc import Mapping

import orjson
from msgspec import Struct
from msgspec.structs import replace

from providers.catalogue import ModelInfo
from providers.types import ChatRequest, JsonObject, JsonValue
from router.accounting.record import Joint
from router.api.streaming.seam import Seam, anchor_of
from router.routing.plan import Features

INSTRUCTION = (
    "Your last message broke off before it was finished. Write the rest of it, so that both read as one text without a "
    "gap. Begin with the last words of it, copied exactly, and go straight on from there. Repeat nothing that stands "
    "before them, do not begin again, and say nothing about this.\nContinue from: "
)
_LIMITS = ("max_completion_tokens", "max_tokens")
_CHARACTERS_PER_TOKEN = 4


class Continuation(Struct, frozen=True):
    """How one model is asked to go on, and what its answer is joined with."""

    request: ChatRequest
    seam: Seam
    joint: Joint


def obstacle(features: Features, fields: Mapping[str, JsonValue]) -> str:
    """The field of a request whose answer no other model could go on with; empty when there is none."""
    if features.tools or "functions" in fields:
        return "tools"
    shape = fields.get("response_format")
    if isinstance(shape, dict) and shape.get("type", "text") != "text":
        return "response_format"
    if features.n > 1:
        return "n"
    if features.image_out or features.audio_out:
        return "modalities"
    if fields.get("logprobs"):
        return "logprobs"
    return "web_search_options" if "web_search_options" in fields else ""


def continuation(request: ChatRequest, info: ModelInfo, sent: str, gap: str) -> Continuation:
    """The request that makes a model go on behind `sent` and its `gap`; the request itself while nothing was sent."""
    if not sent:
        return Continuation(request, Seam("", "", anchored=False), "afresh")
    if info.known and info.prefill:
        asked = _with_messages(request, {"role": "assistant", "content": sent + gap})
        return Continuation(_shortened(asked, sent), Seam(sent, gap, anchored=False), "prefill")
    anchor = anchor_of(sent)
    asked = _with_messages(
        request, {"role": "assistant", "content": sent}, {"role": "user", "content": INSTRUCTION + anchor}
    )
    return Continuation(_shortened(asked, sent.removesuffix(anchor)), Seam(sent, gap, anchored=True), "instruction")


def tokens_of(characters: int) -> int:
    """About how many tokens a text has."""
    return -(-characters // _CHARACTERS_PER_TOKEN)


def _with_messages(request: ChatRequest, *more: JsonObject) -> ChatRequest:
    """`messages_json` is an array with at least one message in it: the edge has seen to that."""
    head = request.messages_json.rstrip()[:-1]
    return replace(request, messages_json=head + b"," + orjson.dumps(list(more))[1:])


def _shortened(request: ChatRequest, written: str) -> ChatRequest:
    """The caller's limit on the answer, less about what is written already."""
    limits = {name: limit for name in _LIMITS if isinstance(limit := request.fields.get(name), int)}
    if not limits:
        return request
    spent = tokens_of(len(written))
    left: dict[str, JsonValue] = {name: max(1, limit - spent) for name, limit in limits.items()}
    return replace(request, fields={**request.fields, **left})
