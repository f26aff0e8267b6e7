"""The JSON Schema of turnout.yaml, for editors: the loader's own shapes, plus the shorthands it accepts."""

from pydantic.json_schema import JsonSchemaValue

from router.settings.fields import Shape
from router.settings.shapes import AliasShape, FetchShape, KeyShape, TargetShape, TierShape, TurnoutShape

_BRIEF: tuple[type[Shape], ...] = (AliasShape, FetchShape, KeyShape, TargetShape, TierShape)
_VARIABLE: JsonSchemaValue = {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}$"}
# pydantic writes a bound under its own name where something is converted before it is compared
_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
_SAID_ONCE = ("description", "default", "title")


def settings_schema() -> dict[str, object]:
    """The schema (draft 2020-12). Numbers, switches, choices and lists of text may also be one `${ENV}`."""
    schema = _with_variables(TurnoutShape.model_json_schema())
    for shape in _BRIEF:
        full = schema["$defs"][shape.__name__]
        bare = full["properties"][shape.brief]
        schema["$defs"][shape.__name__] = {"anyOf": [{**bare, "title": shape.__name__}, full]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Turnout configuration"}


def _with_variables(schema: JsonSchemaValue) -> JsonSchemaValue:
    """`schema` with `${ENV}` allowed wherever the loader reads one as something other than text."""
    inner = {_BOUNDS.get(key, key): _within(key, value) for key, value in schema.items()}
    texts = schema.get("type") == "array" and schema.get("items", {}).get("type") == "string"
    if not (texts or schema.get("type") in ("integer", "number", "boolean") or "enum" in schema):
        return inner
    said = {key: inner.pop(key) for key in _SAID_ONCE if key in inner}
    return {**said, "anyOf": [inner, _VARIABLE]}


def _within(key: str, value: object) -> object:
    if key in ("properties", "$defs") and isinstance(value, dict):
        return {name: _with_variables(part) for name, part in value.items()}
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return _with_variables(value)
    if key == "anyOf" and isinstance(value, list):
        return [_with_variables(part) for part in value]
    return value
