"""ChatRequest -> the body of `POST /chat/completions`. Pure; the messages are spliced in, not decoded."""

from collections.abc import Callable, Mapping

import orjson

from providers.catalogue import ModelInfo
from providers.errors import UnsupportedFieldError
from providers.openai.history import without_foreign_signatures, without_traces
from providers.types import ChatRequest, JsonValue

IGNORED: Mapping[str, str] = {
    "google": "addressed to Gemini",
    "extra_body": "addressed to Google's OpenAI layer; the SDKs merge theirs into the root before sending",
}
"""Fields a client may send that this backend does not get, and why; each is reported as a warning.

A model row with `signatures: true` says that Gemini answers behind this upstream: then they pass. Every other unknown
field passes always (`top_k`, `provider`, `image_config`, `thinking`, ...).
"""

_FORBIDDEN = frozenset(
    {
        "api_base",
        "api_key",
        "api_version",
        "base_url",
        "custom_llm_provider",
        "extra_headers",
        "mock_response",
        # ours to set; a second copy further on would win over the first
        "messages",
        "model",
        "stream",
        "stream_options",
    }
)
"""Fields that would let a client redirect an upstream that is itself a proxy, or contradict what is written here."""

_WITHHELD = _FORBIDDEN | IGNORED.keys()
_STREAM = b',"stream":true,"stream_options":{"include_usage":true}}'


def to_chat_body(
    request: ChatRequest, model: str, info: ModelInfo, is_foreign: Callable[[str, str], bool] | None = None
) -> bytes:
    """The JSON body for the upstream's `model`. `is_foreign` says of a caller and a call's id whether Google signed it.

    `messages_json` goes in byte for byte unless it holds traces of Gemini. A stream always asks for usage, whatever
    the client asked for: the accounting needs it. Parameters a reasoning model refuses are not mapped; the upstream
    names them in its 400 and the next candidate is asked. Raises UnsupportedFieldError when a strict request has a
    field of `IGNORED`.
    """
    if request.strict and (lost := request_warnings(request, info)):
        raise UnsupportedFieldError("this upstream does not take the field", param=lost[0].partition("=")[0])
    messages = request.messages_json
    if not info.signatures:
        messages = without_traces(messages)
    elif is_foreign is not None:
        messages = without_foreign_signatures(messages, request.caller, is_foreign)
    fields = _fields(request.fields, info)
    parts = [b'{"model":', orjson.dumps(model), b',"messages":', messages]
    if fields:
        parts += (b",", orjson.dumps(fields)[1:-1])
    parts.append(_STREAM if request.stream else b"}")
    return b"".join(parts)


def request_warnings(request: ChatRequest, info: ModelInfo) -> tuple[str, ...]:
    """`field=ignored` for every field of `IGNORED` that the request carries and this model does not get."""
    if info.signatures or IGNORED.keys().isdisjoint(request.fields):
        return ()
    return tuple(f"{name}=ignored" for name in IGNORED if name in request.fields)


def _fields(fields: Mapping[str, JsonValue], info: ModelInfo) -> dict[str, JsonValue]:
    withheld = _FORBIDDEN if info.signatures else _WITHHELD
    if withheld.isdisjoint(fields):
        return fields if isinstance(fields, dict) else dict(fields)
    return {name: value for name, value in fields.items() if name not in withheld}
