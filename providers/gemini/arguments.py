"""The arguments of a call as the caller's schema has them: Google sends integers as floats and, in the old dialect,
enums as strings."""

from providers.gemini.lenient import as_list, as_object
from providers.gemini.schema import MAX_DEPTH, Cleaner
from providers.gemini.schema_subset import spelled
from providers.types import JsonObject, JsonValue


def coerced(args: JsonObject, schema: JsonObject) -> JsonObject:
    """New arguments where each value fits its schema where that loses nothing (`3.0` -> `3`, `"2"` -> `2`)."""
    return as_object(_value(args, schema, Cleaner(schema, "tools"), 0))


def _value(value: JsonValue, schema: JsonValue, root: Cleaner, depth: int) -> JsonValue:
    if depth > MAX_DEPTH or value is None or isinstance(value, bool):
        return value
    node = root.resolve(as_object(schema))
    if isinstance(value, dict):
        properties, others = as_object(node.get("properties")), node.get("additionalProperties")
        value = {name: _value(item, properties.get(name, others), root, depth + 1) for name, item in value.items()}
    elif isinstance(value, list):
        items, places = node.get("items"), as_list(node.get("prefixItems"))
        value = [
            _value(item, places[position] if position < len(places) else items, root, depth + 1)
            for position, item in enumerate(value)
        ]
    else:
        value = _scalar(value, node)
    return _branches(value, node, root, depth)


def _branches(value: JsonValue, node: JsonObject, root: Cleaner, depth: int) -> JsonValue:
    """Through `anyOf` and its kin, unless one branch takes the value as it is."""
    branches = [branch for key in ("anyOf", "oneOf", "allOf") for branch in as_list(node.get(key))]
    if any("number" in _types(root.resolve(as_object(branch))) for branch in branches) and isinstance(value, float):
        return value
    for branch in branches:
        value = _value(value, branch, root, depth + 1)
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
