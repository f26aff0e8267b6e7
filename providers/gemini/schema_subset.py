"""JSON Schema -> the OpenAPI 3.0 subset of `parameters` and `responseSchema`, for models without the JSON dialect.

References are written out, unions stand alone, enums are strings. Recursion ends in `{"type": "object"}`.
Source: https://ai.google.dev/api/caching#Schema (read 2026-11-20).
"""

from providers.errors import BadRequestError
from providers.gemini.lenient import as_list, as_object
from providers.gemini.schema import MAX_DEPTH, Cleaner, described
from providers.types import JsonObject, JsonValue

ALLOWED = frozenset(
    {
        "type", "format", "title", "description", "nullable", "enum", "items", "minItems", "maxItems", "properties",
        "required", "minProperties", "maxProperties", "minimum", "maximum", "minLength", "maxLength", "pattern",
        "example", "default", "anyOf", "propertyOrdering",
    }
)  # fmt: skip

_FORMATS = {
    "string": frozenset({"enum", "date-time"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}
_LIMITS = ("minItems", "maxItems", "minProperties", "maxProperties", "minimum", "maximum", "minLength", "maxLength")
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_MAX_NODES = 4_000  # written-out references can grow exponentially; no served schema is near this


def to_subset(schema: JsonValue, param: str) -> JsonObject:
    """A new schema in the OpenAPI subset. Raises BadRequestError for references to other documents."""
    return _Converter(schema, param).node(schema, (), 0)


class _Converter:
    def __init__(self, root: JsonValue, param: str) -> None:
        self._cleaner = Cleaner(root, param)
        self._param = param
        self._nodes = 0

    def node(self, schema: JsonValue, open_refs: tuple[str, ...], depth: int) -> JsonObject:
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise BadRequestError("the schema is nested too deeply", param=self._param, code="invalid_value")
        if self._nodes > _MAX_NODES:
            return {"type": "object"}
        source = as_object(schema)
        reference = source.get("$ref")
        if isinstance(reference, str):
            if reference in open_refs:
                return {"type": "object"}
            rest = {key: value for key, value in source.items() if key != "$ref"}
            return self.node({**self._cleaner.target(reference), **rest}, (*open_refs, reference), depth + 1)
        if "allOf" in source:
            source = self._cleaner.merged(source)
            if "$ref" in source:
                return self.node(source, open_refs, depth + 1)
        return self._union(source, open_refs, depth) or self._single(source, open_refs, depth)

    def _union(self, source: JsonObject, open_refs: tuple[str, ...], depth: int) -> JsonObject | None:
        """`anyOf`, `oneOf` and lists of types. A union stands alone; its neighbours move into the branches."""
        kinds = as_list(source.get("type"))
        branches: list[JsonValue] = as_list(source.get("anyOf")) or as_list(source.get("oneOf"))
        rest = {key: value for key, value in source.items() if key not in ("anyOf", "oneOf", "description", "title")}
        if not branches and kinds:
            branches = [{**rest, "type": kind} for kind in kinds]
            rest = {}
        if not branches:
            return None
        concrete = [branch for branch in branches if not _is_null(branch)]
        options: list[JsonValue] = [
            self.node({**rest, **as_object(branch)}, open_refs, depth + 1) for branch in concrete
        ]
        result: JsonObject = {"anyOf": options} if len(options) != 1 else as_object(options[0])
        if not options:
            result = {"type": "string"}
        if len(concrete) < len(branches):
            result["nullable"] = True
        if source.get("description") and isinstance(source["description"], str):
            result["description"] = source["description"]
        return result

    def _single(self, source: JsonObject, open_refs: tuple[str, ...], depth: int) -> JsonObject:
        kind = _kind(source)
        result: JsonObject = {"type": kind}
        description = described(source)
        if description:
            result["description"] = description
        if source.get("nullable") is True:
            result["nullable"] = True
        for key in _LIMITS:
            value = source.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                result[key] = value
        form = source.get("format")
        if isinstance(form, str) and form in _FORMATS.get(kind, frozenset()):
            result["format"] = form
        _enum(source, result)
        if kind == "array":
            self._items(source, result, open_refs, depth)
        if kind == "object":
            self._properties(source, result, open_refs, depth)
        return result

    def _items(self, source: JsonObject, result: JsonObject, open_refs: tuple[str, ...], depth: int) -> None:
        items = source.get("items")
        places = as_list(source.get("prefixItems")) or as_list(items)
        if places:
            options: list[JsonValue] = []
            for place in places:
                option = self.node(place, open_refs, depth + 1)
                if option not in options:
                    options.append(option)
            result["items"] = {"anyOf": options} if len(options) > 1 else options[0]
            result["minItems"] = result["maxItems"] = len(places)
        elif as_object(items):
            result["items"] = self.node(items, open_refs, depth + 1)
        else:
            result["items"] = {"type": "string"}  # a list of nothing is refused: "items: missing field"

    def _properties(self, source: JsonObject, result: JsonObject, open_refs: tuple[str, ...], depth: int) -> None:
        properties = {
            name: self.node(value, open_refs, depth + 1)
            for name, value in as_object(source.get("properties")).items()
            if value is not False
        }
        if not properties:
            return
        result["properties"] = dict(properties)
        result["propertyOrdering"] = list(properties)
        required: list[JsonValue] = [name for name in as_list(source.get("required")) if name in properties]
        if required:
            result["required"] = list(dict.fromkeys(str(name) for name in required))


def _kind(source: JsonObject) -> str:
    kind = source.get("type")
    if isinstance(kind, str) and kind.lower() in _TYPES:
        return kind.lower()
    if "properties" in source:
        return "object"
    if "items" in source or "prefixItems" in source:
        return "array"
    return "string"


def _enum(source: JsonObject, result: JsonObject) -> None:
    """Enums are strings here; the answer is turned back by the caller's own schema."""
    values = [source["const"]] if "const" in source else as_list(source.get("enum"))
    if None in values:
        result["nullable"] = True
    written: list[JsonValue] = [spelled(value) for value in values if value is not None and value != ""]
    if not written:
        return
    for limit in ("minimum", "maximum"):
        result.pop(limit, None)
    if any(not isinstance(value, str) for value in values if value is not None):
        result["format"] = "enum"
    result["type"] = "string"
    result["enum"] = written


def spelled(value: JsonValue) -> str:
    """A JSON scalar as an enum string: `true`, `2`, `2.5`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _is_null(branch: JsonValue) -> bool:
    node = as_object(branch)
    return node.get("type") == "null" or (node.get("enum") == [None]) or ("const" in node and node["const"] is None)
