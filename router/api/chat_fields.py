"""The optional fields of a chat request: type and range of each, by name. Unknown fields are not looked at."""

import re
from collections.abc import Callable, Mapping

from providers.types import JsonValue
from router.errors import InvalidRequestError

_NESTED = (dict, list)  # a union would be made anew for every field
_MAX_TOOLS = 1024
_MAX_DEPTH = 64
_MAX_N = 8
_MAX_STOP = 5
_TOOL_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\U0010ffff]{1,256}")


def check_fields(fields: Mapping[str, JsonValue]) -> None:
    """Raises InvalidRequestError (400) naming the first field that no upstream could take."""
    for name, value in fields.items():
        if isinstance(value, _NESTED):
            require_shallow(name[:64], value)
        check = _CHECKS.get(name)
        if check is not None:
            check(name, value)
    if "top_logprobs" in fields and fields.get("logprobs") is not True:
        raise InvalidRequestError("'top_logprobs' needs 'logprobs': true", param="top_logprobs")
    choice = fields.get("tool_choice")
    if isinstance(choice, dict):
        _check_named_tool(choice, fields.get("tools"))


def flag(value: JsonValue, name: str) -> bool:
    """A boolean that may be absent; 1 and "true" are not booleans."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return value


def wants_usage(options: JsonValue, *, stream: bool) -> bool:
    """Whether `stream_options` asks for the usage chunk; the field is only legal on a stream."""
    if options is None:
        return False
    if not isinstance(options, dict):
        raise _wrong("stream_options", "an object", options)
    if not stream:
        raise InvalidRequestError("'stream_options' is only allowed when 'stream' is true", param="stream_options")
    return flag(options.get("include_usage"), "stream_options.include_usage")


def _number(low: float, high: float) -> Callable[[str, JsonValue], None]:
    def check(name: str, value: JsonValue) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(name, "a number", value)
        if not low <= value <= high:
            raise InvalidRequestError(f"'{name}' must be between {low:g} and {high:g}, got {value}", param=name)

    return check


def _integer(low: int, high: int, *, loose: bool = False) -> Callable[[str, JsonValue], None]:
    """`loose` admits 100.0, which several clients send for 100."""

    def check(name: str, value: JsonValue) -> None:
        if type(value) is int and low <= value <= high:
            return
        whole = isinstance(value, int) or (loose and isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or not isinstance(value, int | float):
            raise _wrong(name, "an integer", value)
        if not low <= value <= high:
            raise InvalidRequestError(f"'{name}' must be between {low} and {high}, got {value}", param=name)

    return check


def _boolean(name: str, value: JsonValue) -> None:
    flag(value, name)


def _stop(name: str, value: JsonValue) -> None:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, "a string or a list of strings", value)
    if "" in value:
        raise InvalidRequestError("'stop' must not hold an empty string", param="stop")
    if len(value) > _MAX_STOP:
        raise InvalidRequestError(f"'stop' takes at most {_MAX_STOP} sequences, got {len(value)}", param="stop")


def _tools(name: str, value: JsonValue) -> None:
    if not isinstance(value, list):
        raise _wrong(name, "a list", value)
    if len(value) > _MAX_TOOLS:
        raise InvalidRequestError(f"more than {_MAX_TOOLS} tools", param=name)
    for position, tool in enumerate(value):
        where = f"{name}[{position}]"
        if not isinstance(tool, dict):
            raise _wrong(where, "an object", tool)
        kind = tool.get("type")
        if kind in ("function", "custom"):
            _check_tool_name(f"{where}.{kind}", tool.get(str(kind)))


def _check_tool_name(where: str, declared: JsonValue) -> None:
    if not isinstance(declared, dict):
        raise InvalidRequestError(f"'{where}' is required", param=where, code="missing_required_parameter")
    tool_name = declared.get("name")
    if not isinstance(tool_name, str) or not _TOOL_NAME.fullmatch(tool_name):
        raise InvalidRequestError(
            f"'{where}.name' must be a name of printable ASCII characters without spaces", param=f"{where}.name"
        )
    parameters = declared.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise _wrong(f"{where}.parameters", "an object", parameters)


def _check_named_tool(choice: Mapping[str, JsonValue], tools: JsonValue) -> None:
    declared = choice.get("function") or choice.get("custom")
    if not isinstance(declared, dict):
        return
    names = set()
    for tool in tools if isinstance(tools, list) else []:
        inner = (tool.get("function") or tool.get("custom")) if isinstance(tool, dict) else None
        names.add(inner.get("name") if isinstance(inner, dict) else None)
    if declared.get("name") not in names:
        raise InvalidRequestError(
            f"'tool_choice' names the tool {str(declared.get('name'))[:64]!r}, which is not declared",
            param="tool_choice",
        )


def _tool_choice(name: str, value: JsonValue) -> None:
    if isinstance(value, str):
        if value not in ("none", "auto", "required"):
            raise InvalidRequestError("'tool_choice' must be none, auto, required or an object", param=name)
    elif not isinstance(value, dict):
        raise _wrong(name, "a string or an object", value)


def _response_format(name: str, value: JsonValue) -> None:
    if not isinstance(value, dict):
        raise _wrong(name, "an object", value)
    kind = value.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise InvalidRequestError(
            "'response_format.type' must be text, json_object or json_schema", param=f"{name}.type"
        )
    if kind == "json_schema":
        inner = value.get("json_schema")
        if not isinstance(inner, dict) or not isinstance(inner.get("schema"), dict):
            raise InvalidRequestError(
                "'response_format.json_schema.schema' is required",
                param=f"{name}.json_schema.schema",
                code="missing_required_parameter",
            )


def _logit_bias(name: str, value: JsonValue) -> None:
    if not isinstance(value, dict) or len(value) > 1024:
        raise _wrong(name, "an object of at most 1024 entries", value)
    for token, bias in value.items():
        numeric = isinstance(bias, int | float) and not isinstance(bias, bool) and -100 <= bias <= 100
        if not token.isdecimal() or not numeric:
            raise InvalidRequestError("'logit_bias' maps token ids to numbers between -100 and 100", param=name)


def _metadata(name: str, value: JsonValue) -> None:
    if not isinstance(value, dict) or len(value) > 16:
        raise _wrong(name, "an object of at most 16 pairs", value)
    for key, text in value.items():
        if not isinstance(text, str) or len(text) > 512 or len(key) > 64 or not (key + text).isprintable():
            raise InvalidRequestError("'metadata' maps short strings to short strings", param=name)


def _short_text(name: str, value: JsonValue) -> None:
    if not isinstance(value, str) or len(value) > 1024 or not value.isprintable():
        raise _wrong(name, "a short printable string", value)


def _text_list(name: str, value: JsonValue) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, "a list of strings", value)


def require_shallow(name: str, value: JsonValue) -> None:
    """Refuse nesting that would exhaust somebody's stack; walks without recursion."""
    level: list[JsonValue] = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise InvalidRequestError(f"'{name}' is nested more than {_MAX_DEPTH} levels deep", param=name)


def _wrong(name: str, wanted: str, got: JsonValue) -> InvalidRequestError:
    kind = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(got), "a number"
    )
    return InvalidRequestError(f"'{name}' must be {wanted}, got {kind}", param=name, code="invalid_type")


_CHECKS: Mapping[str, Callable[[str, JsonValue], None]] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "max_tokens": _integer(1, 2**31 - 1, loose=True),
    "max_completion_tokens": _integer(1, 2**31 - 1, loose=True),
    "n": _integer(1, _MAX_N),
    "seed": _integer(-(2**63), 2**63 - 1),
    "top_logprobs": _integer(0, 20),
    "logprobs": _boolean,
    "parallel_tool_calls": _boolean,
    "store": _boolean,
    "stop": _stop,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "response_format": _response_format,
    "logit_bias": _logit_bias,
    "metadata": _metadata,
    "user": _short_text,
    "safety_identifier": _short_text,
    "reasoning_effort": _short_text,
    "modalities": _text_list,
}
