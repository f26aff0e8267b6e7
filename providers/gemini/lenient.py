"""Reading JSON that may be missing, null or of another type: every reader falls to a named default, none raises."""

from providers.types import JsonObject, JsonValue


def as_object(value: object) -> JsonObject:
    """`value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[JsonValue]:
    """`value` when it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str:
    """`value` when it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def as_count(value: object) -> int:
    """A count: an integer from 0 up. Protobuf JSON may write a 64-bit integer as a string; anything else is 0."""
    if type(value) is int:  # by far the usual case, and on the path of every chunk; bool is another type
        return value if value > 0 else 0
    if value is None or isinstance(value, bool):
        return 0
    if isinstance(value, float):
        return int(value) if 0 <= value < 2**53 else 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        return int(value)
    return 0
