"""References inside one JSON schema: `#/...` pointers, followed, respelled, and held against what cleaning leaves."""

from urllib.parse import unquote

from providers.gemini.lenient import as_object
from providers.types import JsonObject, JsonValue

_TABLES = frozenset({"properties", "$defs", "definitions"})  # of subschemas by name; they stay
_LISTS = frozenset({"anyOf", "oneOf", "prefixItems"})
_LONE = frozenset({"items", "additionalProperties"})
_NAMED = _TABLES | {"patternProperties", "dependentSchemas"}
_LONGEST_INDEX = 6  # digits; Python refuses to read thousands


def target(root: JsonObject, pointer: str) -> JsonObject:
    """The subschema that `pointer` names; {} when there is none. Anchors (`#name`) are not looked for."""
    if pointer == "#":
        return root
    found: JsonValue = root if pointer.startswith("#/") else None
    for segment in pointer[2:].split("/"):
        found = _step(found, segment)
    return as_object(found)


def stays(root: JsonObject, pointer: str) -> bool:
    """Whether what `pointer` names has a place in the cleaned schema: beside a reference nothing is left, and of the
    keywords only some are."""
    if not pointer.startswith("#/"):
        return True  # the root, or an anchor
    found: JsonValue = root
    segments = iter(pointer[2:].split("/"))
    for keyword in segments:
        node = as_object(found)
        if "$ref" in node and keyword not in ("$defs", "definitions"):
            return False
        found = node.get(keyword)
        if keyword in _TABLES or keyword in _LISTS:
            found = _step(found, next(segments, ""))
        elif keyword not in _LONE:
            return False
    return isinstance(found, dict)


def renamed(pointer: str) -> str:
    """A `#/...` pointer with `definitions` written `$defs`, by position: a property may bear that name."""
    segments = pointer.split("/")
    is_name = False
    for position, segment in enumerate(segments):
        if not is_name and segment == "definitions":
            segments[position] = "$defs"
        is_name = not is_name and segment in _NAMED
    return "/".join(segments)


def _step(found: JsonValue, segment: str) -> JsonValue:
    """One segment of a pointer, which stands in a URL fragment and may be escaped twice."""
    if isinstance(found, list):
        index = int(segment) if segment.isdecimal() and len(segment) <= _LONGEST_INDEX else len(found)
        return found[index] if index < len(found) else None
    node, name = as_object(found), _unescaped(segment)
    return node[name] if name in node else node.get(_unescaped(unquote(segment)))


def _unescaped(segment: str) -> str:
    return segment.replace("~1", "/").replace("~0", "~")
