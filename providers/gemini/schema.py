"""JSON Schema as clients send it -> the keywords Gemini's `parametersJsonSchema` and `responseJsonSchema` honour.

Everything else is taken out, because it is ignored or refused; a limit that is lost so is told to the model in the
description. Keywords are known by position: a property that is called `title` or `type` is a name.
Source: https://ai.google.dev/gemini-api/docs/structured-output (read 2026-11-20).
"""

from collections.abc import Iterator

import orjson

from providers.errors import BadRequestError
from providers.gemini import pointers
from providers.gemini.lenient import as_list, as_object
from providers.types import JsonObject, JsonValue

ALLOWED = frozenset(
    {
        "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems",
        "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties",
        "required", "propertyOrdering",
    }
)  # fmt: skip
MAX_DEPTH = 64
_MAX_NODES = 10_000  # what a reference names may be written out many times; no served schema is near this

_TEXTS = ("$id", "$anchor", "format", "title")
_NUMBERS = ("minItems", "maxItems", "minimum", "maximum")
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_TOLD = {
    "minLength": "minimum length",
    "maxLength": "maximum length",
    "pattern": "pattern",
    "uniqueItems": "unique items",
    "multipleOf": "multiple of",
    "exclusiveMinimum": "greater than",
    "exclusiveMaximum": "less than",
    "minProperties": "minimum number of properties",
    "maxProperties": "maximum number of properties",
    "patternProperties": "properties by pattern",
    "propertyNames": "property names",
    "dependentRequired": "required together",
    "not": "not",
    "contentEncoding": "encoding",
    "contentMediaType": "content type",
    "default": "default",
}
_MAX_TOLD = 200  # characters: a default may be a whole document
_TABLES = frozenset({"properties", "$defs", "definitions"})


def clean(schema: JsonValue, param: str) -> JsonObject:
    """A new schema with allowed keywords only. `param` names the schema in errors.

    What the schema accepts, the new one accepts too; it may accept more. Raises BadRequestError for a reference to
    another document, for nesting past 64 levels, and for more than 10,000 subschemas once `allOf` is written out.
    """
    return Cleaner(schema, param).node(schema, 0)


def has_parameters(schema: JsonValue) -> bool:
    """Whether a tool's schema says anything. A call without arguments is declared without any schema at all."""
    node = as_object(schema)
    return any(node.get(key) for key in ("properties", "$ref", "anyOf", "oneOf", "allOf", "patternProperties")) or bool(
        as_object(node.get("additionalProperties"))
    )


class Cleaner:
    """One pass over one schema; `root` is what its references point into."""

    def __init__(self, root: JsonValue, param: str) -> None:
        self._root = as_object(root)
        self._param = param
        self._nodes = 0

    def node(self, schema: JsonValue, depth: int) -> JsonObject:
        if depth > MAX_DEPTH:
            raise self._refused("the schema is nested too deeply")
        self._count()
        source = as_object(schema)  # `true` is the schema that takes anything
        if "allOf" in source:
            source = self.merged(source)
        if isinstance(source.get("$ref"), str):
            return self._reference(source, depth)
        cleaned = self._plain(source)
        self._nested(source, cleaned, depth)
        return cleaned

    def _plain(self, source: JsonObject) -> JsonObject:
        """The keywords that hold no schema."""
        cleaned: JsonObject = {}
        for key in _TEXTS:
            if isinstance(source.get(key), str):
                cleaned[key] = source[key]
        kind = _kind(source)
        if kind is not None:
            cleaned["type"] = kind
        for key in _NUMBERS:
            value = source.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                cleaned[key] = value
        if "const" in source:
            cleaned["enum"] = [source["const"]]
        elif as_list(source.get("enum")):
            cleaned["enum"] = source["enum"]
        _tighten(source, cleaned)
        description = described(source)
        if description:
            cleaned["description"] = description
        return cleaned

    def _nested(self, source: JsonObject, cleaned: JsonObject, depth: int) -> None:
        for key in ("anyOf", "oneOf"):
            branches: list[JsonValue] = [
                self.node(item, depth + 1) for item in as_list(source.get(key)) if item is not False
            ]
            if branches:
                cleaned[key] = branches
        items = source.get("items")
        prefix = source.get("prefixItems", items if isinstance(items, list) else None)
        if as_list(prefix):
            cleaned["prefixItems"] = [self.node(item, depth + 1) for item in as_list(prefix)]
        if isinstance(items, dict) or items is True:
            cleaned["items"] = self.node(items, depth + 1)
        extra = source.get("additionalProperties")
        if as_object(source.get("patternProperties")):
            pass  # what a lost pattern lets in is no longer told from what it does not
        elif isinstance(extra, bool):
            cleaned["additionalProperties"] = extra
        elif isinstance(extra, dict):
            cleaned["additionalProperties"] = self.node(extra, depth + 1)
        self._properties(source, cleaned, depth)
        definitions = self._definitions(source, depth)
        if definitions:
            cleaned["$defs"] = definitions

    def _properties(self, source: JsonObject, cleaned: JsonObject, depth: int) -> None:
        properties = as_object(source.get("properties"))
        if properties:
            cleaned["properties"] = {
                name: self.node(value, depth + 1) for name, value in properties.items() if value is not False
            }
            if not cleaned.keys() & {"anyOf", "oneOf", "enum"}:  # else they say what it may be
                cleaned.setdefault("type", "object")
        for key in ("required", "propertyOrdering"):
            asked = dict.fromkeys(name for name in as_list(source.get(key)) if isinstance(name, str))
            names: list[JsonValue] = [name for name in asked if properties.get(name) is not False]
            if names:
                cleaned[key] = names

    def _definitions(self, source: JsonObject, depth: int) -> JsonObject:
        found = {**as_object(source.get("definitions")), **as_object(source.get("$defs"))}
        return {name: self.node(value, depth + 1) for name, value in found.items()}

    def _reference(self, source: JsonObject, depth: int) -> JsonObject:
        """A reference may have no neighbours but `$` ones; a description moves around it, the rest goes.

        One to a place that cleaning takes away is written out.
        """
        pointer = str(source["$ref"])
        target = self.target(pointer)
        description = described(source)
        reference: JsonObject = (
            {"$ref": pointers.renamed(pointer)} if pointers.stays(self._root, pointer) else self.node(target, depth + 1)
        )
        branches: list[JsonValue] = [reference]
        if source.get("nullable") is True:
            branches.append({"type": "null"})
        cleaned: JsonObject = {"anyOf": branches} if description or len(branches) > 1 else reference
        if description:
            cleaned["description"] = description
        definitions = self._definitions(source, depth)
        if definitions:
            cleaned["$defs"] = definitions
        return cleaned

    def merged(self, source: JsonObject) -> JsonObject:
        """`allOf` folded into its parent: properties and required names joined, otherwise the parent wins."""
        branches = as_list(source["allOf"])
        merged = {key: value for key, value in source.items() if key != "allOf"}
        if len(branches) == 1 and "$ref" in as_object(branches[0]) and not _shapes(merged):
            return {**merged, **as_object(branches[0])}
        for key in _TABLES & merged.keys():
            merged[key] = dict(as_object(merged[key]))
        if "required" in merged:
            merged["required"] = list(as_list(merged["required"]))
        for branch in self._joined(branches):
            _fold(merged, branch)
        return merged

    def _joined(self, branches: list[JsonValue]) -> Iterator[JsonObject]:
        """Everything that `allOf` joins, through references and further ones; each reference is followed once."""
        followed: set[str] = set()
        waiting = branches[::-1]
        while waiting:
            self._count()
            branch = as_object(waiting.pop())
            pointer = branch.get("$ref")
            if not isinstance(pointer, str):
                yield branch
                waiting.extend(reversed(as_list(branch.get("allOf"))))
            elif pointer not in followed:
                followed.add(pointer)
                waiting.append(self.target(pointer))

    def resolve(self, node: JsonObject) -> JsonObject:
        """What a local reference points at; the node itself when it is none, and {} when it points nowhere."""
        for _ in range(MAX_DEPTH):
            reference = node.get("$ref")
            if not isinstance(reference, str):
                return node
            node = self.target(reference)
        return {}

    def target(self, reference: str) -> JsonObject:
        """The subschema at a `#/...` pointer, as the client wrote it; {} when there is none."""
        if not reference.startswith("#"):
            raise self._refused("the schema refers to another document")
        return pointers.target(self._root, reference)

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise self._refused("the schema is too large")

    def _refused(self, message: str) -> BadRequestError:
        return BadRequestError(message, param=self._param, code="invalid_value")


def described(source: JsonObject) -> str:
    """The description with the limits that the wire cannot carry appended."""
    description = source.get("description")
    told = [_told(key, label, source[key]) for key, label in _TOLD.items() if key in source]
    limits = "; ".join(item for item in told if item)
    if not isinstance(description, str) or not description:
        return limits
    return f"{description} ({limits})" if limits else description


def _told(key: str, label: str, value: JsonValue) -> str:
    if value is None or (isinstance(value, bool) and key != "default"):
        return label if value is True and key == "uniqueItems" else ""  # draft 4 has boolean exclusive limits
    shown = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f"{label}: {shown}" if len(shown) <= _MAX_TOLD else ""


def _kind(source: JsonObject) -> JsonValue:
    kind = source.get("type")
    if isinstance(kind, list):
        kinds: list[JsonValue] = [item for item in kind if isinstance(item, str) and item in _TYPES]
        return kinds or None
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        return None
    lowered = kind.lower()
    if source.get("nullable") is True and lowered != "null":
        return [lowered, "null"]
    return lowered


def _tighten(source: JsonObject, cleaned: JsonObject) -> None:
    """For integers an exclusive limit is an inclusive one, one further in."""
    if cleaned.get("type") != "integer":
        return
    low, high = source.get("exclusiveMinimum"), source.get("exclusiveMaximum")
    if isinstance(low, int) and not isinstance(low, bool) and "minimum" not in cleaned:
        cleaned["minimum"] = low + 1
    if isinstance(high, int) and not isinstance(high, bool) and "maximum" not in cleaned:
        cleaned["maximum"] = high - 1


def _shapes(node: JsonObject) -> bool:
    """Whether a node says more than annotations and definitions."""
    return any(key not in ("description", "title", "default", "$defs", "definitions", "$schema") for key in node)


def _fold(merged: JsonObject, branch: JsonObject) -> None:
    """Add to `merged`, in place, what it does not say yet. Its tables and its list of names are its own."""
    for key, value in branch.items():
        if key in _TABLES:
            table = as_object(merged.setdefault(key, {}))
            for name, item in as_object(value).items():
                table.setdefault(name, item)
        elif key == "required":
            as_list(merged.setdefault(key, [])).extend(as_list(value))
        elif key != "allOf":
            merged.setdefault(key, value)
