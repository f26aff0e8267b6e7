"""What a caller says about routing: the body's `router` object, `x-router-*` headers, and the dialects users know."""

from collections.abc import Callable, Mapping, MutableMapping
from decimal import Decimal, InvalidOperation
from typing import get_args

import orjson
from starlette.types import Scope

from providers.types import JsonValue
from router.api.body import headers_of
from router.errors import InvalidRequestError
from router.routing.plan import Directives, Enhance
from router.settings.values import StreamMode

_MAX_NAMES = 50
_MAX_DIGITS = 40
_MAX_NAME_LENGTH = 256
_SORTS: tuple[str, ...] = ("cost", "latency", "quality")
_MAX_ROUNDS = 2  # each may cost another picture
_SUFFIXES: Mapping[str, tuple[str, object]] = {  # the first two are OpenRouter's
    ":nitro": ("sort", "latency"),
    ":floor": ("sort", "cost"),
    ":enhanced": ("enhance", Enhance()),
}
_FOR_PICTURES = frozenset({"enhance"})
_DIALECT_FIELDS = frozenset({"provider", "models", "fallbacks", "route"})
_OPENROUTER_SORT: Mapping[str, str] = {"price": "cost", "latency": "latency", "throughput": "latency"}


def take_directives(
    scope: Scope, fields: MutableMapping[str, JsonValue], model: str, *, pictures: bool = False
) -> tuple[str, Directives]:
    """Remove every routing field from `fields` and give the public model name and the directives.

    Precedence: body `router`, then headers, then OpenRouter's `provider`/`models`, LiteLLM's `fallbacks` and model
    suffixes. What only image requests know (`pictures`) is refused elsewhere in the body, and is no header or suffix
    there. Raises 400 naming the field.
    """
    found: dict[str, object] = {}
    if ":" in model:
        model = _take_suffixes(model, found, pictures=pictures)
    if not _DIALECT_FIELDS.isdisjoint(fields):
        _dialects(fields, found)
    headers = headers_of(scope)
    if not _HEADER_NAMES.isdisjoint(headers):
        for name, key in _HEADERS.items():
            if name in headers and (pictures or key not in _FOR_PICTURES):
                found[key] = _READERS[key](headers[name].decode("latin-1").strip(), f"header {name.decode()}")
    own = fields.pop("router", None)
    if own is not None:
        if not isinstance(own, dict):
            raise InvalidRequestError("'router' must be an object", param="router", code="invalid_type")
        for key, value in own.items():
            if key not in _READERS:
                raise InvalidRequestError(
                    f"unknown field 'router.{key[:64]}'; known: {', '.join(sorted(_READERS))}",
                    param=f"router.{key[:64]}",
                    code="unknown_parameter",
                )
            if key in _FOR_PICTURES and not pictures:
                raise InvalidRequestError(
                    f"'router.{key}' is for image requests", param=f"router.{key}", code="unsupported_parameter"
                )
            if value is not None:
                found[key] = _READERS[key](value, f"router.{key}")
    return model, Directives(**found) if found else _NONE  # type: ignore[arg-type]  # each reader gives its field's type


_NONE = Directives()


def _take_suffixes(model: str, found: dict[str, object], *, pictures: bool) -> str:
    """The name without its suffixes, which may stand in any order; what they mean goes into `found`."""
    while True:
        name, colon, word = model.rpartition(":")
        meant = _SUFFIXES.get(colon + word)
        if meant is None or (meant[0] in _FOR_PICTURES and not pictures):
            return model
        model, found[meant[0]] = name, meant[1]


def _dialects(fields: MutableMapping[str, JsonValue], found: dict[str, object]) -> None:
    """OpenRouter's and LiteLLM's fields. None of them travels upstream."""
    provider = fields.pop("provider", None)
    if isinstance(provider, dict):
        for key in ("order", "only", "ignore"):
            if provider.get(key) is not None:
                found[key] = _names(provider[key], f"provider.{key}")
        if provider.get("allow_fallbacks") is not None:
            found["allow_fallbacks"] = _flag(provider["allow_fallbacks"], "provider.allow_fallbacks")
        sort = provider.get("sort")
        if isinstance(sort, str) and sort in _OPENROUTER_SORT:
            found["sort"] = _OPENROUTER_SORT[sort]
    for key in ("models", "fallbacks"):
        value = fields.pop(key, None)
        if value is not None:
            found["fallbacks"] = _names(value, key)
    fields.pop("route", None)


def _sort(value: object, where: str) -> str:
    if value not in _SORTS:
        raise _invalid(where, f"one of {', '.join(_SORTS)}", value)
    return str(value)


def _stream_mode(value: object, where: str) -> str:
    modes = get_args(StreamMode)
    if value not in modes:
        raise _invalid(where, f"one of {', '.join(modes)}", value)
    return str(value)


def _positive(value: object, where: str) -> float:
    number = _number(value, where, "a positive number")
    if not 0 < number < 1e12:
        raise _invalid(where, "a positive number", value)
    return number


def _share(value: object, where: str) -> float:
    number = _number(value, where, "a number from 0 to 1")
    if not 0 <= number <= 1:
        raise _invalid(where, "a number from 0 to 1", value)
    return number


def _number(value: object, where: str, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _invalid(where, wanted, value)
    try:
        return float(value)
    except ValueError as exc:
        raise _invalid(where, wanted, value) from exc


def _dollars(value: object, where: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > _MAX_DIGITS:
        raise _invalid(where, "a price in USD", value)
    try:
        amount = Decimal(str(value))
    except InvalidOperation as exc:
        raise _invalid(where, "a price in USD", value) from exc
    if not amount.is_finite() or amount < 0:
        raise _invalid(where, "a price in USD, not negative", value)
    return amount


def _names(value: object, where: str) -> tuple[str, ...]:
    items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list) or len(items) > _MAX_NAMES:
        raise _invalid(where, f"a list of at most {_MAX_NAMES} names", value)
    for item in items:
        if not isinstance(item, str) or not 0 < len(item) <= _MAX_NAME_LENGTH:
            raise _invalid(where, "a list of names", item)
    return tuple(items)


def _flag(value: object, where: str) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise _invalid(where, "true or false", value)
    return value


def _enhance(value: object, where: str) -> Enhance | None:
    """True: all of it, as the operator has set it. An object: what it names. A header holds either as text."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as exc:
            raise _invalid(where, "true, false or an object", value) from exc
    if not isinstance(value, dict):
        return Enhance() if _flag(value, where) else None
    for key in value:
        if key not in ("rewrite", "critique"):
            raise InvalidRequestError(
                f"unknown field '{where}.{str(key)[:64]}'; known: critique, rewrite",
                param=f"{where}.{str(key)[:64]}",
                code="unknown_parameter",
            )
    rewrite, rounds = value.get("rewrite"), _rounds(value, f"{where}.critique")
    wish = Enhance(rewrite is not None and _flag(rewrite, f"{where}.rewrite"), rounds)
    return wish if wish.rewrite or rounds else None


def _rounds(value: Mapping[str, object], where: str) -> int:
    rounds = value.get("critique") or 0
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 0 <= rounds <= _MAX_ROUNDS:
        raise _invalid(where, f"a number of rounds from 0 to {_MAX_ROUNDS}", rounds)
    return rounds


def _invalid(where: str, wanted: str, got: object) -> InvalidRequestError:
    return InvalidRequestError(f"'{where}' must be {wanted}, got {str(got)[:64]!r}", param=where)


_READERS: Mapping[str, Callable[[object, str], object]] = {
    "sort": _sort,
    "max_cost_usd": _dollars,
    "max_latency_ms": _positive,
    "deadline_ms": _positive,
    "order": _names,
    "only": _names,
    "ignore": _names,
    "fallbacks": _names,
    "allow_fallbacks": _flag,
    "stream_mode": _stream_mode,
    "strict": _flag,
    "enhance": _enhance,
    "cost_quality": _share,
}
_HEADERS = {f"x-router-{key.replace('_', '-')}".encode(): key for key in _READERS}
_HEADER_NAMES = frozenset(_HEADERS)
