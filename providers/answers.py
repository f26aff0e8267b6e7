"""Reading the JSON answers of image backends, whatever they hold. Pure."""

from decimal import Decimal, InvalidOperation

import orjson

from providers.errors import BadResponseError
from providers.types import JsonObject, JsonValue

_KEYS = ("message", "msg", "detail", "error", "errors", "title")
_MAX_DEPTH = 4


def json_object(body: bytes, *, billed: bool = False) -> JsonObject:
    """The object in an answer. Raises BadResponseError (`parse`)."""
    try:
        decoded: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadResponseError("the upstream's answer is not JSON", outcome="parse", billed=billed) from exc
    if not isinstance(decoded, dict):
        raise BadResponseError("the upstream's answer is not an object", outcome="parse", billed=billed)
    return decoded


def message_in(body: bytes) -> str:
    """The words of an error body: `error`, `detail` (a text or FastAPI's list), `message`, `errors`; "" for HTML."""
    try:
        return _words(orjson.loads(body))
    except orjson.JSONDecodeError:
        return ""


def money_in(value: JsonValue) -> Decimal | None:
    """A number, or its digits, that can be an amount of money; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def _words(value: JsonValue, depth: int = 0) -> str:
    if isinstance(value, str):
        return value
    if depth >= _MAX_DEPTH:
        return ""
    inner = value if isinstance(value, list) else [value.get(key) for key in _KEYS] if isinstance(value, dict) else []
    return next((text for item in inner if (text := _words(item, depth + 1))), "")
