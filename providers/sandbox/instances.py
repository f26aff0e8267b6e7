"""Values made to fit a JSON Schema: tool arguments and structured answers. Deterministic; recursion is bounded."""

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

_DEEP = 4  # below this level only what the schema requires is filled in
_LONGEST = 10_000  # items or characters
_MANY_VALUES = 300  # beyond this a wide schema, too, gets only what it requires
_MOST_VALUES = 20_000
_BOTTOM = 40  # a schema that still recurses here has no finite instance
_STRINGS = {
    "date-time": "2026-11-20T12:00:00Z",
    "date": "2026-11-20",
    "time": "12:00:00Z",
    "duration": "PT5M",
    "email": "sandbox@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/sandbox",
    "url": "https://example.com/sandbox",
    "hostname": "sandbox.example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}
_PATTERN_GUESSES = ("sandbox", "SANDBOX", "1", "123", "12345", "A", "a1", "AB12", "2026-11-20", "12:00", "#a1b2c3",
                    "+15550100", "sandbox@example.com", "10.5", "A-1", "")  # fmt: skip

Schema = Mapping[str, Any]


class NoInstanceError(ValueError):
    """The schema recurses without end or points to a definition that does not exist."""


def instance_of(schema: Any, *, seed: str = "", item: str = "") -> Any:
    """A value valid against `schema`: JSON Schema, or the OpenAPI subset with upper-case types and `nullable`.

    `item` becomes the value of the first free string. Raises NoInstanceError.
    """
    return _Maker(schema, seed, item).make(schema, "value", 0)


class _Maker:
    def __init__(self, root: Any, seed: str, item: str) -> None:
        self._root = root
        self._seed = seed
        self._item = item
        self._made = 0

    def make(self, schema: Any, name: str, depth: int) -> Any:
        self._made += 1
        if depth > _BOTTOM or self._made > _MOST_VALUES:
            raise NoInstanceError("the schema recurses without end")
        if not isinstance(schema, Mapping) or not schema:
            return f"sandbox {name}"
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._enum(schema, name)
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                return self._branch(schema, schema[key], name, depth)
        if schema.get("allOf"):
            return self.make(self._merged(schema), name, depth + 1)
        return self._typed(schema, _type_of(schema), name, depth)

    def _enum(self, schema: Schema, name: str) -> Any:
        values = schema["enum"]
        return values[self._number(name) % len(values)]

    def _typed(self, schema: Schema, kind: str, name: str, depth: int) -> Any:
        match kind:
            case "object":
                return self._object(schema, name, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer":
                return self._integer(schema, name)
            case "number":
                return self._float(schema, name)
            case "boolean":
                return self._number(name) % 2 == 0
            case "null":
                return None
            case _:
                return self._string(schema, name)

    def _object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties") or {}
        required = schema.get("required") or []
        made: dict[str, Any] = {}
        for key, sub in properties.items():
            if key in required:
                made[key] = self.make(sub, key, depth + 1)
            elif sub is not False and not self._is_deep(depth):
                try:
                    made[key] = self.make(sub, key, depth + 1)
                except NoInstanceError:
                    continue  # optional, and it has no finite instance
        for key in required:
            made.setdefault(key, f"sandbox {key}")
        extra = schema.get("additionalProperties")
        wanted = max(schema.get("minProperties", 0), 1 if isinstance(extra, Mapping) and not properties else 0)
        if wanted > _LONGEST:
            raise NoInstanceError("the schema asks for a huge object")
        number = 0
        while len(made) < wanted:
            number += 1
            made[f"key{number}"] = self.make(extra, f"{name}{number}", depth + 1)
        return made

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        prefix: Sequence[Any] = schema.get("prefixItems") or []
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", 1 << 30))
        made = [self.make(sub, f"{name}{number}", depth + 1) for number, sub in enumerate(prefix[:most])]
        items = schema.get("items")
        if items is False:
            return made
        if least > _LONGEST:
            raise NoInstanceError("the schema asks for a huge array")
        wanted = max(least, min(most, 0 if prefix else 2)) if not self._is_deep(depth) else least
        while len(made) < wanted:
            try:
                made.append(self.make(items, f"{name}{len(made) + 1}", depth + 1))
            except NoInstanceError:
                if len(made) < least:
                    raise
                break
        return _distinct(made, least) if schema.get("uniqueItems") else made

    def _integer(self, schema: Schema, name: str) -> int:
        low, high = _bounds(schema)
        step = int(schema.get("multipleOf", 1)) or 1
        first = math.ceil(low) if low is not None else (math.floor(high) - 99 if high is not None else 1)
        last = math.floor(high) if high is not None else first + 99
        if low is not None and schema.get("exclusiveMinimum") == first:
            first += 1
        if high is not None and schema.get("exclusiveMaximum") == last:
            last -= 1
        value = first + self._number(name) % max(1, last - first + 1)
        value += -value % step
        return value if value <= last else value - step

    def _float(self, schema: Schema, name: str) -> float:
        low, high = _bounds(schema)
        step = schema.get("multipleOf")
        if step:
            return float(math.ceil((low or 0.0) / step) * step)
        first = low if low is not None else (high - 1 if high is not None else 0.0)
        last = high if high is not None else first + 1
        return first + (last - first) * (1 + self._number(name) % 7) / 8  # strictly inside

    def _string(self, schema: Schema, name: str) -> str:
        least = int(schema.get("minLength", 0))
        most = int(schema.get("maxLength", 1 << 30))
        if least > _LONGEST:
            raise NoInstanceError("the schema asks for a huge string")
        if pattern := schema.get("pattern"):
            guess = _matching(pattern, least, most)
            if guess is not None:
                return guess
        if text := _STRINGS.get(schema.get("format", "")):
            return text
        text = f"sandbox {name}"
        if self._item:
            text, self._item = self._item, ""
        return text.ljust(least, "x")[:most]

    def _resolved(self, schema: Schema) -> Schema:
        for _ in range(_BOTTOM):
            reference = schema.get("$ref")
            if reference is None:
                return schema
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self._target(reference), **rest}
        raise NoInstanceError("a $ref refers to itself")

    def _target(self, reference: str) -> Schema:
        node: Any = self._root
        for piece in reference.lstrip("#").strip("/").split("/"):
            key = piece.replace("~1", "/").replace("~0", "~")
            if key:
                if not isinstance(node, Mapping) or key not in node:
                    raise NoInstanceError(f"no definition for {reference}")
                node = node[key]
        if not isinstance(node, Mapping):
            raise NoInstanceError(f"no definition for {reference}")
        return node

    def _branch(self, schema: Schema, branches: Sequence[Any], name: str, depth: int) -> Any:
        """The first branch that has an instance; once deep, the shortest way out (null, then scalars) goes first."""
        outer = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        order = list(branches)
        if self._is_deep(depth):
            order.sort(key=lambda branch: _weight(branch if isinstance(branch, Mapping) else {}))
        elif len(order) > 1:
            order.sort(key=lambda branch: isinstance(branch, Mapping) and branch.get("type") in ("null", "NULL"))
        failure = NoInstanceError("an empty anyOf")
        for branch in order:
            try:
                resolved = self._resolved(branch) if isinstance(branch, Mapping) else {}
                return self.make(_combined(outer, resolved), name, depth + 1)
            except NoInstanceError as exc:
                failure = exc
        raise failure

    def _merged(self, schema: Schema) -> Schema:
        merged: Schema = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            merged = _combined(merged, self._resolved(part))
        return merged

    def _is_deep(self, depth: int) -> bool:
        """Whether only the necessary is still made: far down, or after many values already."""
        return depth >= _DEEP or self._made > _MANY_VALUES

    def _number(self, name: str) -> int:
        return zlib.crc32(f"{self._seed}/{name}".encode())


def _type_of(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((entry for entry in kind if entry != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "number" if "minimum" in schema or "maximum" in schema else "string"


def _bounds(schema: Schema) -> tuple[float | None, float | None]:
    lows = [schema[key] for key in ("minimum", "exclusiveMinimum") if isinstance(schema.get(key), int | float)]
    highs = [schema[key] for key in ("maximum", "exclusiveMaximum") if isinstance(schema.get(key), int | float)]
    return (max(lows) if lows else None), (min(highs) if highs else None)


def _matching(pattern: str, least: int, most: int) -> str | None:
    """A string that matches, from a short list of guesses and repetitions of them; None when none does."""
    try:
        compiled = re.compile(pattern)
    except re.error:
        return None
    singles = [guess * times for times in range(1, 41) for guess in ("1", "a", "A", "f")]
    for guess in (*_PATTERN_GUESSES, *singles):
        if least <= len(guess) <= most and compiled.search(guess):
            return guess
    return None


def _distinct(values: list[Any], least: int) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        while value in kept and isinstance(value, int | str):
            value = value + 1 if isinstance(value, int) else value + "x"
        if value not in kept or len(kept) < least:
            kept.append(value)
    return kept


def _combined(outer: Schema, inner: Schema) -> Schema:
    merged = {**outer, **inner}
    if "properties" in outer and "properties" in inner:
        merged["properties"] = {**outer["properties"], **inner["properties"]}
    if "required" in outer and "required" in inner:
        merged["required"] = [*outer["required"], *inner["required"]]
    return merged


def _weight(branch: Schema) -> int:
    if "$ref" in branch:
        return 3
    kind = _type_of(branch)
    return 0 if kind == "null" else 2 if kind in ("object", "array") else 1
