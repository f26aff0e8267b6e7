"""What OpenAI refuses in a chat request, in its own words."""

import base64
import binascii
from typing import Any

from providers.sandbox.refusals import RefusedError, openai_error

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_FIELDS = frozenset(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "n",
        "stop",
        "max_tokens",
        "max_completion_tokens",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "seed",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "metadata",
        "store",
        "service_tier",
        "reasoning_effort",
        "verbosity",
        "response_format",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "functions",
        "function_call",
        "modalities",
        "audio",
        "prediction",
        "web_search_options",
        "moderation",
    ]
)
_PARTS = frozenset({"text", "image_url", "input_audio", "file", "refusal"})
_RANGES = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)}

Json = dict[str, Any]


def refuse(message: str, *, code: str | None = "invalid_value", param: str | None = None) -> RefusedError:
    """A 400 invalid_request_error, to be raised."""
    return RefusedError(openai_error(400, message, code=code, param=param))


def check_chat(payload: Json, *, strict: bool) -> None:
    """Raises RefusedError for the first thing that OpenAI would not take."""
    if strict:
        for key in payload:
            if key not in _FIELDS:
                raise refuse(f"Unknown parameter: '{key}'.", code="unknown_parameter", param=key)
    _messages(payload.get("messages"))
    _numbers(payload)
    _tools(payload)
    _shape(payload)


def _messages(messages: Any) -> None:
    if messages is None:
        raise refuse("Missing required parameter: 'messages'.", code="missing_required_parameter", param="messages")
    if not isinstance(messages, list):
        raise refuse(
            "Invalid type for 'messages': expected an array of objects.", code="invalid_type", param="messages"
        )
    if not messages:
        raise refuse(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            code="empty_array",
            param="messages",
        )
    for number, message in enumerate(messages):
        _message(message, f"messages[{number}]")
    _answered(messages)


def _message(message: Any, path: str) -> None:
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(role, str) or role not in _ROLES:
        raise refuse(f"Invalid value: '{role}'. Supported values are: {sorted(_ROLES)}.", param=f"{path}.role")
    content = message.get("content")
    if content is None and role != "assistant":
        raise refuse(f"Invalid value for 'content': expected a string, got null. {path}", param=f"{path}.content")
    if isinstance(content, str) or content is None:
        return
    if not isinstance(content, list):
        raise refuse(f"Invalid type for '{path}.content'.", code="invalid_type", param=f"{path}.content")
    for number, part in enumerate(content):
        _part(part, f"{path}.content[{number}]")


def _part(part: Any, path: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise refuse(
            f"Missing required parameter: '{path}.type'.", code="missing_required_parameter", param=f"{path}.type"
        )
    if kind not in _PARTS:
        raise refuse(f"Invalid value: '{kind}'. Supported values are: {sorted(_PARTS)}.", param=f"{path}.type")
    if kind == "text" and not isinstance(part.get("text"), str):
        raise refuse(f"Invalid type for '{path}.text': expected a string.", code="invalid_type", param=f"{path}.text")
    if kind == "image_url":
        _image(part.get("image_url"), path)


def _image(image: Any, path: str) -> None:
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(url, str):
        raise refuse(f"Invalid type for '{path}.image_url': expected an object.", code="invalid_type", param=path)
    if url.startswith(("http://", "https://")):
        return
    head, comma, data = url.partition(",")
    try:
        valid = head.startswith("data:image/") and head.endswith(";base64") and comma
        base64.b64decode(data if valid else "?", validate=True)
    except binascii.Error as exc:
        text = f"Invalid '{path}.image_url.url'. Expected a valid URL, but got a value with an invalid format."
        raise refuse(text, code="invalid_image_url", param=f"{path}.image_url.url") from exc


def _answered(messages: list[Json]) -> None:
    """Every call of an assistant message is answered right after it, and nothing else is."""
    waiting: list[str] = []
    seen_calls = False
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            if not seen_calls:
                raise refuse(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    code=None,
                    param=f"messages.[{number}].role",
                )
            if message.get("tool_call_id") in waiting:
                waiting.remove(message["tool_call_id"])
            continue
        _none_waiting(waiting, number)
        calls = message.get("tool_calls") or []
        for place, call in enumerate(calls):
            _call(call, f"messages[{number}].tool_calls[{place}]")
        waiting = [call["id"] for call in calls]
        seen_calls = bool(calls)
    _none_waiting(waiting, len(messages))


def _none_waiting(waiting: list[str], number: int) -> None:
    if waiting:
        raise refuse(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}",
            code=None,
            param=f"messages.[{number}].role",
        )


def _call(call: Any, path: str) -> None:
    function = call.get("function") if isinstance(call, dict) else None
    fine = isinstance(function, dict) and isinstance(call.get("id"), str) and isinstance(function.get("arguments"), str)
    if not fine:
        raise refuse(f"Invalid type for '{path}'.", code="invalid_type", param=path)


def _numbers(payload: Json) -> None:
    for key, (low, high) in _RANGES.items():
        value = payload.get(key)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise refuse(f"Invalid type for '{key}': expected a decimal.", code="invalid_type", param=key)
        if not low <= value <= high:
            word, sign, limit = ("below_min", ">=", low) if value < low else ("above_max", "<=", high)
            text = f"Invalid '{key}': decimal {word} value. Expected a value {sign} {limit}, but got {value} instead."
            raise refuse(text, code=f"decimal_{word}_value", param=key)
    for key, high in (("n", 128), ("max_tokens", 1 << 31), ("max_completion_tokens", 1 << 31), ("seed", 1 << 63)):
        value = payload.get(key)
        low = -high if key == "seed" else 1
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high):
            raise refuse(f"Invalid '{key}': {value!r}.", code="integer_out_of_range", param=key)
    if payload.get("top_logprobs") is not None and not payload.get("logprobs"):
        raise refuse("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs")
    stop = payload.get("stop")
    if isinstance(stop, list) and len(stop) > 4:
        raise refuse(
            "Invalid 'stop': array too long. Expected an array with maximum length 4.",
            code="array_above_max_length",
            param="stop",
        )
    if payload.get("stream_options") is not None and not payload.get("stream"):
        raise refuse(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            code=None,
            param="stream_options",
        )


def _tools(payload: Json) -> None:
    tools = payload.get("tools")
    if tools is not None and (not isinstance(tools, list) or not tools):
        raise refuse(
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            code="empty_array",
            param="tools",
        )
    for number, tool in enumerate(tools or ()):
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(tool, dict) and tool.get("type") == "custom":
            continue
        if not isinstance(function, dict) or not function.get("name"):
            path = f"tools[{number}].function"
            raise refuse(f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path)
    choice = payload.get("tool_choice")
    if choice is None:
        return
    if not tools:
        raise refuse(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
            code=None,
            param="tool_choice",
        )
    name = (choice.get("function") or {}).get("name") if isinstance(choice, dict) else None
    names = {(tool.get("function") or {}).get("name") for tool in tools}
    if name is not None and name not in names:
        raise refuse(f"Tool choice '{name}' not found in 'tools' parameter.", code=None, param="tool_choice")


def _shape(payload: Json) -> None:
    shape = payload.get("response_format")
    if shape is None:
        return
    kind = shape.get("type") if isinstance(shape, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        raise refuse(
            f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'.",
            param="response_format.type",
        )
    if kind == "json_schema" and not (shape.get("json_schema") or {}).get("name"):
        raise refuse(
            "Missing required parameter: 'response_format.json_schema.name'.",
            code="missing_required_parameter",
            param="response_format.json_schema.name",
        )
