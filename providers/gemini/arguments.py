"""The arguments of calls: of the history's as clients wrote them, and of new ones as the caller's schema has them.

Google sends integers as floats and, in the old dialect, enums as strings.
"""

import orjson

from providers.gemini.lenient import as_list, as_object
from providers.gemini.schema import MAX_DEPTH, Cleaner
from providers.gemini.schema_subset import spelled
from providers.types import JsonObject, JsonValue

_MAX_STEPS = 50_000  # a schema may lead to itself in many ways, and arguments may be megabytes


def written_arguments(text: str) -> JsonObject:
    """The object a client wrote as text. One bad call in the history must not make the whole conversation unusable."""
    if not text.strip():
        return {}
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"_raw": text}
    return parsed if isinstance(parsed, dict) else {"_raw": text}


def coerced(args: JsonObject, schema: JsonObject) -> JsonObject:
    """New arguments where each value fits its schema where that loses nothing (`3.0` -> `3`, `"2"` -> `2`)."""
    return as_object(_Fitting(schema).value(args, schema, 0, set()))


class _Fitting:
    """One pass over one call's arguments. After `_MAX_STEPS` the rest stays as it came."""

    def __init__(self, schema: JsonObject) -> None:
        self._root = Cleaner(schema, "tools")
        self._left = _MAX_STEPS

    def value(self, value: JsonValue, schema: JsonValue, depth: int, seen: set[int]) -> JsonValue:
        """`seen`: the schemas this value has already been held against, on its way through unions."""
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH or value is None or isinstance(value, bool):
            return value
        node = self._root.resolve(as_object(schema))
        if id(node) in seen:
            return value
        seen.add(id(node))
        if isinstance(value, dict):
            properties, others = as_object(node.get("properties")), node.get("additionalProperties")
            value = {
                name: self.value(item, properties.get(name, others), depth + 1, set()) for name, item in value.items()
            }
        elif isinstance(value, list):
            items, places = node.get("items"), as_list(node.get("prefixItems"))
            value = [
                self.value(item, places[position] if position < len(places) else items, depth + 1, set())
                for position, item in enumerate(value)
            ]
        else:
            value = _scalar(value, node)
        return self._branches(value, node, depth, seen)

    def _branches(self, value: JsonValue, node: JsonObject, depth: int, seen: set[int]) -> JsonValue:
        """Through `anyOf` and its kin, unless one branch takes the value as it is."""
        branches = [branch for key in ("anyOf", "oneOf", "allOf") for branch in as_list(node.get(key))]
        if isinstance(value, float) and any(
            "number" in _types(self._root.resolve(as_object(branch))) for branch in branches
        ):
            return value
        for branch in branches:
            value = self.value(value, branch, depth + 1, seen)
        return value


def _types(node: JsonObject) -> list[JsonValue]:
    kind = node.get("type")
    return kind if isinstance(kind, list) else [kind]


def _scalar(value: JsonValue, node: JsonObject) -> JsonValue:
    types = _types(node)
    if isinstance(value, float) and value.is_integer() and "integer" in types and "number" not in types:
        return int(value)
    if isinstance(value, str):
        options = as_list(node.get("enum"))
        if options and value not in options:
            return next((option for option in options if option is not None and spelled(option) == value), value)
    return value
