"""Reading what a caller sent: a wrong type is refused by name. Null means absent, as it does at OpenAI."""

from collections.abc import Mapping

from providers.errors import BadRequestError
from providers.types import JsonObject, JsonValue


def refuse(message: str, param: str, code: str = "invalid_value") -> BadRequestError:
    """The error for a value that no upstream would take; the caller raises it."""
    return BadRequestError(message, param=param, code=code)


def number(fields: Mapping[str, JsonValue], key: str) -> float | None:
    """A number, or None when absent."""
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse(f"'{key}' must be a number", key, "invalid_type")
    return value


def integer(fields: Mapping[str, JsonValue], key: str) -> int | None:
    """An integer, or None when absent. Integral floats pass: clients send `100.0`."""
    value = number(fields, key)
    if value is None:
        return None
    if isinstance(value, float) and not value.is_integer():
        raise refuse(f"'{key}' must be an integer", key, "invalid_type")
    return int(value)


def text(fields: Mapping[str, JsonValue], key: str) -> str | None:
    """A string, or None when absent."""
    value = fields.get(key)
    if value is None or isinstance(value, str):
        return value
    raise refuse(f"'{key}' must be a string", key, "invalid_type")


def mapping(fields: Mapping[str, JsonValue], key: str, param: str | None = None) -> JsonObject:
    """An object, or an empty one when absent."""
    value = fields.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse(f"'{param or key}' must be an object", param or key, "invalid_type")
    return value


def sequence(fields: Mapping[str, JsonValue], key: str, param: str | None = None) -> list[JsonValue]:
    """An array, or an empty one when absent."""
    value = fields.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise refuse(f"'{param or key}' must be an array", param or key, "invalid_type")
    return value
