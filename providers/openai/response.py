"""A whole `chat.completion` body -> ChatResponse, and what may be wrong with it. Pure."""

from collections.abc import Callable, Mapping

import orjson

from providers.errors import BadResponseError, UnavailableError
from providers.openai.errors import error_from, inner_error
from providers.openai.usage import usage_from
from providers.types import ChatResponse, JsonObject, JsonValue

__all__ = ["FAILED_FINISHES", "error_from", "finish_of", "from_chat_completion", "json_from"]

NewId = Callable[[], str]
"""Gives a fresh id without its prefix: 24 letters and digits."""

FAILED_FINISHES = frozenset({"error", "abort", "insufficient_system_resource"})
"""Finish reasons that mean the upstream gave up: OpenRouter, vLLM, DeepSeek."""

_FINISHES = {name: name for name in ("stop", "length", "tool_calls", "content_filter", "function_call")} | {
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "max_output_tokens": "length",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
    "content-filter": "content_filter",
    "refusal": "content_filter",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "tool-calls": "tool_calls",
}
_EXTRA = ("service_tier", "system_fingerprint", "citations", "moderation")
_SHOWN = ("content", "tool_calls", "function_call", "refusal", "audio", "images", "reasoning_content")


def from_chat_completion(
    body: bytes, *, model: str, new_id: NewId, headers: Mapping[str, str] | None = None, warnings: tuple[str, ...] = ()
) -> ChatResponse:
    """The answer in `body`. `model` stands in where the upstream names none, `new_id` where an id is missing.

    Raises what an `error` object inside the 200 means, and BadResponseError for a body that cannot be read
    (`parse`, `empty_body`, `bad_content_type`), without choices or with nothing in them (`empty`; an answer that was
    cut by length or by a filter may be empty).
    """
    answer = json_from(body)
    if answer.get("error") or answer.get("object") == "error":
        raise inner_error(answer, headers)
    raw = answer.get("choices")
    choices = [_choice(choice, place, new_id) for place, choice in enumerate(raw if isinstance(raw, list) else ())]
    if not any(choice["finish_reason"] in ("length", "content_filter") or _shows(choice) for choice in choices):
        raise BadResponseError("the upstream's answer is empty", outcome="empty", billed=True)
    answer_id, served = answer.get("id"), answer.get("model")
    return ChatResponse(
        id=answer_id if isinstance(answer_id, str) and answer_id else f"chatcmpl-{new_id()}",
        model=served if isinstance(served, str) and served else model,
        choices=choices,
        usage=usage_from(answer.get("usage")),
        warnings=warnings,
        extra={name: value for name in _EXTRA if (value := answer.get(name)) is not None},
    )


def json_from(body: bytes) -> JsonObject:
    """The JSON object in a 200, an array of one unwrapped. Raises BadResponseError for anything else."""
    try:
        decoded: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        text = body.lstrip()
        if not text:
            raise BadResponseError("the upstream's answer has no body", outcome="empty_body") from exc
        if text.startswith(b"<"):
            raise BadResponseError("the upstream answered with a page", outcome="bad_content_type") from exc
        raise BadResponseError("the upstream's answer is not JSON", outcome="parse", billed=True) from exc
    if isinstance(decoded, list) and len(decoded) == 1:
        decoded = decoded[0]
    if not isinstance(decoded, dict):
        raise BadResponseError("the upstream's answer is not an object", outcome="parse", billed=True)
    return decoded


def finish_of(reason: JsonValue, *, calls: bool) -> str:
    """`reason` in OpenAI's closed set. Unknown ones are `stop`; `stop` with tool calls is `tool_calls`."""
    name = _FINISHES.get(reason.lower(), "stop") if isinstance(reason, str) else "stop"
    return "tool_calls" if calls and name == "stop" else name


def arguments_of(value: JsonValue) -> str:
    """Call arguments as the JSON text OpenAI wants: objects are written out, nothing becomes `{}`."""
    if isinstance(value, str):
        return value if value.strip() else "{}"
    return "{}" if value is None else orjson.dumps(value).decode()


def _choice(choice: JsonValue, place: int, new_id: NewId) -> JsonObject:
    if not isinstance(choice, dict):
        raise BadResponseError("the upstream's choice is not an object", outcome="parse", billed=True)
    if choice.get("error"):
        raise inner_error(choice)
    native, index = choice.get("finish_reason"), choice.get("index")
    if isinstance(native, str) and native in FAILED_FINISHES:
        raise UnavailableError("the upstream gave up on the answer", billed=True)
    message = _message(choice.get("message"), new_id)
    finish = finish_of(native, calls="tool_calls" in message)
    clean: JsonObject = {
        **choice,
        "index": index if type(index) is int and index >= 0 else place,
        "message": message,
        "logprobs": choice.get("logprobs"),
        "finish_reason": finish,
    }
    if isinstance(native, str) and native != finish:
        clean.setdefault("native_finish_reason", native)
    return clean


def _message(message: JsonValue, new_id: NewId) -> JsonObject:
    raw = message if isinstance(message, dict) else {}
    clean: JsonObject = {**raw, "role": "assistant", "content": content_of(raw.get("content"))}
    clean["refusal"] = raw.get("refusal")
    reasoning = clean.pop("reasoning", None)
    if isinstance(reasoning, str) and reasoning and not raw.get("reasoning_content"):
        clean["reasoning_content"] = reasoning  # one name for it: clients that read both would show it twice
    calls = clean.pop("tool_calls", None)
    if isinstance(calls, list) and calls:
        clean["tool_calls"] = _calls(calls, new_id)
    if clean.get("function_call") is None:
        clean.pop("function_call", None)
    return clean


def content_of(content: JsonValue) -> str | None:
    """Message content as a string or None; a list of parts (Mistral) gives its text."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        return str(content)
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _calls(calls: list[JsonValue], new_id: NewId) -> list[JsonValue]:
    seen: set[str] = set()
    clean: list[JsonValue] = []
    for call in calls:
        body = call.get("function") or call.get("custom") if isinstance(call, dict) else None
        if not isinstance(call, dict) or not isinstance(body, dict) or not body.get("name"):
            raise BadResponseError("the upstream's tool call has no name", outcome="bad_tool_call", billed=True)
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id or call_id in seen:
            call_id = f"call_{new_id()}"  # Google's OpenAI layer sends "": agents then cannot answer the call
        seen.add(call_id)
        fixed: JsonObject = {**call, "id": call_id, "type": "custom" if "custom" in call else "function"}
        if "custom" not in call:
            fixed["function"] = {**body, "arguments": arguments_of(body.get("arguments"))}
        clean.append(fixed)
    return clean


def _shows(choice: JsonObject) -> bool:
    message = choice["message"]
    return isinstance(message, dict) and any(message.get(key) for key in _SHOWN)
