"""What Gemini and this router left in the client's history, taken out before another vendor sees it. Pure.

Clients echo our answers word for word, so a conversation that began on Gemini carries thought signatures and our own
extensions when it is continued elsewhere: OpenAI refuses unknown message keys and call ids over 40 characters.
"""

from hashlib import blake2b

import orjson

from providers.types import JsonObject, JsonValue

_MARKS = (
    b"extra_content",
    b"__thought__",
    b"thought_signature",
    b'"reasoning_content"',
    b'"images"',
    b'"annotations"',
    b"provider_specific_fields",
)
_SIGNATURE_MARK = "__thought__"  # LiteLLM's: call_<28 hex>__thought__<signature>, up to 4,572 characters
_MAX_ID = 40
_CALL_KEYS = frozenset({"extra_content", "provider_specific_fields", "thought_signature"})
_MESSAGE_KEYS = _CALL_KEYS | {"reasoning_content", "images", "annotations"}
_BODY_KEYS = ("content", "tool_calls", "function_call", "refusal", "audio")


def without_traces(messages_json: bytes) -> bytes:
    """`messages_json` itself when it holds no trace (a few byte searches), else a cleaned copy of it.

    Taken off assistant messages: `extra_content`, `thought_signature`, `provider_specific_fields` (also on their
    calls and parts), `reasoning_content`, `images`, `annotations`. Call ids lose LiteLLM's signature and are kept to
    40 characters, in the call and in the tool message alike.
    """
    if b'"assistant"' not in messages_json or not any(mark in messages_json for mark in _MARKS):
        return messages_json
    try:
        messages = orjson.loads(messages_json)
    except orjson.JSONDecodeError:
        return messages_json  # the edge has validated it; the upstream may say what it thinks
    if not isinstance(messages, list):
        return messages_json
    cleaned = [_message(message) for message in messages]
    return messages_json if cleaned == messages else orjson.dumps(cleaned)


def short_id(call_id: str) -> str:
    """The call id without an embedded signature, at most 40 characters; equal ids stay equal, different ones differ."""
    bare = call_id.partition(_SIGNATURE_MARK)[0] or call_id
    if len(bare) <= _MAX_ID:
        return bare
    return bare[: _MAX_ID - 17] + "_" + blake2b(bare.encode(errors="replace"), digest_size=8).hexdigest()


def _message(message: JsonValue) -> JsonValue:
    if not isinstance(message, dict):
        return message
    if message.get("role") == "assistant":
        return _assistant(message)
    call_id = message.get("tool_call_id")
    if isinstance(call_id, str):
        return _without(message, _CALL_KEYS) | {"tool_call_id": short_id(call_id)}
    return message


def _assistant(message: JsonObject) -> JsonObject:
    clean = _without(message, _MESSAGE_KEYS)
    calls, parts = clean.get("tool_calls"), clean.get("content")
    if isinstance(calls, list):
        clean["tool_calls"] = [_call(call) for call in calls]
    if isinstance(parts, list):
        clean["content"] = [_without(part, _CALL_KEYS) if isinstance(part, dict) else part for part in parts]
    if len(clean) < len(message) and not any(clean.get(key) for key in _BODY_KEYS):
        clean["content"] = ""  # a turn that was only a picture: an assistant message with nothing in it is a 400
    return clean


def _call(call: JsonValue) -> JsonValue:
    if not isinstance(call, dict):
        return call
    clean = _without(call, _CALL_KEYS)
    call_id, function = clean.get("id"), clean.get("function")
    if isinstance(call_id, str):
        clean["id"] = short_id(call_id)
    if isinstance(function, dict):
        clean["function"] = _without(function, _CALL_KEYS)
    return clean


def _without(value: JsonObject, keys: frozenset[str]) -> JsonObject:
    return {key: item for key, item in value.items() if key not in keys}
