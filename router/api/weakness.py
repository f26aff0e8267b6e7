"""What is plainly wrong with an answer, so that a better model may be asked instead. Pure; judges form alone."""

from collections.abc import Mapping, Sequence

import orjson

from providers.types import JsonObject, JsonValue

_TAIL = 600  # characters that must repeat themselves
_MOST_PERIOD = 120  # so that there are five rounds of them at least
_NEEDLE = 40


def weakness(choices: Sequence[JsonObject], fields: Mapping[str, JsonValue]) -> str:
    """`cut_empty`, `invalid_arguments`, `invalid_json`, `missing_keys` or `repetition`; empty when nothing is wrong.

    `choices` are OpenAI's, `fields` those of the request. A refusal is an answer, and one that the length limit has cut
    is not blamed for JSON that has no end.
    """
    wanted = fields.get("response_format")
    shape: JsonObject = wanted if isinstance(wanted, dict) else {}
    for choice in choices:
        found = _fault(choice, shape)
        if found:
            return found
    return ""


def _fault(choice: JsonObject, shape: JsonObject) -> str:
    message, end = choice.get("message"), choice.get("finish_reason")
    if not isinstance(message, dict):
        return ""
    calls = message.get("tool_calls")
    if end == "stop" and not calls and not shape:  # nearly all: of what ended by itself only the shape can be wrong
        return ""
    if end == "content_filter" or message.get("refusal"):
        return ""
    cut, text = end == "length", message.get("content")
    if calls:
        return "" if cut or _callable(calls) else "invalid_arguments"
    if not isinstance(text, str) or not text.strip():
        return "cut_empty" if cut and not message.get("images") and not message.get("audio") else ""
    if cut:  # a model that cannot stop runs into the limit
        return "repetition" if _repeats(text) else ""
    return _misshapen(text, shape)


def _callable(calls: JsonValue) -> bool:
    """Whether the arguments of every function call are a JSON object."""
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            try:
                if not isinstance(orjson.loads(str(function.get("arguments") or "{}")), dict):
                    return False
            except orjson.JSONDecodeError:
                return False
    return True


def _misshapen(text: str, shape: JsonObject) -> str:
    kind = shape.get("type")
    if kind not in ("json_object", "json_schema"):
        return ""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "invalid_json"
    inner = shape.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, dict) else None
    wants_object = kind == "json_object" or (isinstance(schema, dict) and schema.get("type") == "object")
    if not isinstance(value, dict):
        return "invalid_json" if wants_object else ""
    required = schema.get("required") if isinstance(schema, dict) else None
    missing = isinstance(required, list) and any(isinstance(key, str) and key not in value for key in required)
    return "missing_keys" if missing else ""


def _repeats(text: str) -> bool:
    """Whether the end of a text says the same few words again and again."""
    tail = text[-_TAIL:]
    before = tail.rfind(tail[-_NEEDLE:], 0, -1)
    period = len(tail) - _NEEDLE - before
    return len(tail) == _TAIL and before >= 0 and period <= _MOST_PERIOD and tail[period:] == tail[:-period]
