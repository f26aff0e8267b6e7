"""What cleaning keeps of a schema: its meaning, what Gemini takes, and an end however its references lead around."""

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import BadRequestError
from providers.gemini.arguments import coerced
from providers.gemini.schema import ALLOWED, clean
from providers.gemini.schema_subset import to_subset
from providers.sandbox.gemini_fields import GENERATE, read
from providers.sandbox.gemini_rules import check_json_schema, check_openapi
from providers.sandbox.refusals import RefusedError

_NAMES = st.sampled_from(["a", "b", "title", "type"])
_SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1.0]) | st.text("ab", max_size=4)
VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=8
)
_TYPES = st.sampled_from(["string", "integer", "number", "object", "array", "boolean", "null"])
_SIZES = st.integers(0, 3)
_BOUNDS = st.integers(-3, 3)
_PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "type": _TYPES | st.lists(_TYPES, min_size=1, max_size=3, unique=True),
    "enum": st.lists(VALUES, min_size=1, max_size=3),
    "const": VALUES,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum"), _BOUNDS),
    "exclusiveMaximum": _BOUNDS | st.just(0.5),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _SIZES),
    "multipleOf": st.integers(1, 3),
    "pattern": st.sampled_from(["^a", "b$"]),
    "uniqueItems": st.booleans(),
    "required": st.lists(_NAMES, max_size=2, unique=True),
    "propertyNames": st.just({"pattern": "^a"}),
    "default": _SCALARS,
    "description": st.just("d"),
    "format": st.just("date-time"),
    "$ref": st.sampled_from(["#/$defs/a", "#/$defs/b", "#/properties/a", "#/allOf/0", "#/patternProperties/^a"]),
}


def _node(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=2)
    keywords = {
        **_PLAIN,
        **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), some),
        **dict.fromkeys(("not", "if", "then"), inner),
        **dict.fromkeys(("items", "additionalProperties"), inner | st.booleans()),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "^t"]), inner, max_size=1),
    }
    plain = st.fixed_dictionaries({}, optional=keywords)
    # who lists properties means an object, and says so: without a type such a schema is read as one
    properties = st.dictionaries(_NAMES, inner | st.booleans(), max_size=3)
    return plain | st.builds(lambda node, found: {**node, "type": "object", "properties": found}, plain, properties)


_SCHEMAS = st.recursive(st.just({}), _node, max_leaves=6)
DOCUMENTS = st.builds(
    lambda root, definitions: {**root, "$defs": definitions},
    _SCHEMAS,
    st.fixed_dictionaries({"a": _SCHEMAS, "b": _SCHEMAS}),
)


def as_google_reads_it(node: Any) -> Any:
    """`oneOf` is honoured as `anyOf`."""
    if isinstance(node, dict):
        return {"anyOf" if key == "oneOf" else key: as_google_reads_it(value) for key, value in node.items()}
    return [as_google_reads_it(item) for item in node] if isinstance(node, list) else node


def accepts(schema: Any, value: Any) -> bool:
    try:
        return bool(jsonschema.Draft202012Validator(schema).is_valid(value))
    except Exception:  # a reference in a circle, or to nowhere: no value fits
        return False


@given(DOCUMENTS, VALUES)
@settings(max_examples=600, deadline=None)
def test_every_value_a_schema_accepts_its_cleaned_form_accepts_too(schema: Any, value: Any) -> None:
    if accepts(schema, value):
        jsonschema.Draft202012Validator(as_google_reads_it(clean(schema, "x"))).validate(value)


@given(DOCUMENTS)
@settings(max_examples=250, deadline=None)
def test_gemini_refuses_no_cleaned_schema(schema: Any) -> None:
    try:
        cleaned = clean(schema, "x")
    except BadRequestError:  # its references lead around in a circle that cleaning would have to write out
        return
    check_json_schema(cleaned, "x")
    assert cleaned.keys() <= ALLOWED


@given(DOCUMENTS)
@settings(max_examples=250, deadline=None)
def test_gemini_refuses_no_schema_of_the_old_dialect_but_for_objects_without_properties(schema: Any) -> None:
    try:
        subset = to_subset(schema, "x")
    except BadRequestError:
        return
    spec = GENERATE["generationConfig"]["responseSchema"]
    try:
        check_openapi(read(subset, spec, "x"), "x")
    except RefusedError as refused:
        assert b"should be non-empty for OBJECT type" in refused.answer.body  # noqa: PT017  recursion ends in one


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "patternProperties": {"^x": {}}, "additionalProperties": False}, {"x1": 1}),
        ({"properties": {"a": {}}, "anyOf": [{"type": "string"}, {"type": "object"}]}, "x"),
        ({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}], "$ref": "#/allOf/0"}, {"a": "x"}),
        ({"$defs": {"a b": {"type": "string"}}, "allOf": [{"$ref": "#/$defs/a%20b"}, {}]}, "x"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "string"}}, "$ref": "#/$defs/a"}, "x"),
    ],
)
def test_what_is_taken_out_lets_more_in_and_never_less(schema: Any, value: Any) -> None:
    jsonschema.Draft202012Validator(clean(schema, "x")).validate(value)


def test_a_reference_that_may_be_null_stays_so() -> None:
    schema: Any = {"$defs": {"P": {"type": "string"}}, "properties": {"p": {"$ref": "#/$defs/P", "nullable": True}}}
    cleaned: Any = clean(schema, "x")
    assert cleaned["properties"]["p"] == {"anyOf": [{"$ref": "#/$defs/P"}, {"type": "null"}]}


def test_a_reference_to_a_place_that_goes_is_written_out_and_one_to_nowhere_takes_anything() -> None:
    schema: Any = {
        "properties": {
            "a": {"$ref": "#/patternProperties/^x/items"},
            "b": {"$ref": "#/nowhere"},
            "c": {"$ref": "#/properties/a/$ref"},
        },
        "patternProperties": {"^x": {"items": {"type": "integer"}}},
    }
    cleaned: Any = clean(schema, "x")
    assert cleaned["properties"] == {"a": {"type": "integer"}, "b": {}, "c": {}}


def test_a_reference_to_a_place_beside_another_reference_is_written_out() -> None:
    schema: Any = {
        "$defs": {"P": {"type": "string"}},
        "properties": {
            "a": {"$ref": "#/$defs/P", "properties": {"c": {"type": "integer"}}},
            "b": {"$ref": "#/properties/a/properties/c"},
        },
    }
    cleaned: Any = clean(schema, "x")
    assert cleaned["properties"] == {"a": {"$ref": "#/$defs/P"}, "b": {"type": "integer"}}


def test_limits_without_a_keyword_are_told() -> None:
    schema: Any = {"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "not": {"required": ["y"]}}
    assert clean(schema, "x")["description"] == (
        'properties by pattern: {"^x":{"type":"integer"}}; not: {"required":["y"]}'
    )


# ---- schemas made to keep a translator busy


def _chain(length: int) -> Any:
    """Every definition leads twice to the next: written out naively, 2**length subschemas."""
    links = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(length)}
    return {"$defs": {**links, f"d{length}": {"type": "string"}}, "allOf": [{"$ref": "#/$defs/d0"}, {}]}


def _ladder(length: int, key: str) -> Any:
    links = {f"d{n}": {key: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(length)}
    return {"$defs": {**links, f"d{length}": {"type": "integer"}}, "properties": {"v": {"$ref": "#/$defs/d0"}}}


_SELF: Any = {"$ref": "#/$defs/a"}
BUSY: dict[str, Any] = {
    "a circle of allOf": {"$defs": {"a": {"allOf": [_SELF, _SELF]}}, "properties": {"v": _SELF}},
    "a circle of anyOf": {
        "$defs": {"a": {"anyOf": [_SELF, _SELF, {"type": "integer"}]}},
        "properties": {"v": _SELF},
    },
    "a chain of allOf": _chain(60),
    "a ladder of anyOf": _ladder(60, "anyOf"),
    "a ladder of oneOf": _ladder(60, "oneOf"),
    "itself by a place that goes": {"allOf": [{"properties": {"v": {"$ref": "#/allOf/0"}}}, {"type": "object"}]},
    "an index of many digits": {"allOf": [{"$ref": "#/anyOf/" + "9" * 5000}, {"type": "object"}], "anyOf": [{}]},
    "a large part joined in many places": {
        "$defs": {"D": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(2_000)}}},
        "properties": {f"q{n}": {"allOf": [{"$ref": "#/$defs/D"}, {"title": "q"}]} for n in range(2_000)},
    },
    "many parts joined": {"allOf": [{"properties": {f"p{n}": {}}, "required": [f"p{n}"]} for n in range(9_000)]},
    "too many parts": {"allOf": [{} for _ in range(200_000)]},
}


@pytest.mark.parametrize("schema", BUSY.values(), ids=BUSY)
def test_no_schema_keeps_the_router_busy(schema: Any) -> None:
    started = time.process_time()
    for translate in (
        lambda: clean(schema, "x"),
        lambda: to_subset(schema, "x"),
        lambda: coerced({"v": 2.0, "w": [{"v": 3.0}] * 100}, schema),
    ):
        try:
            translate()
        except BadRequestError as refused:
            assert refused.param in ("x", "tools")  # noqa: PT017  whichever of them refuses
    assert time.process_time() - started < 1.5


def test_what_a_chain_of_references_joins_is_found_however_often_it_is_named() -> None:
    cleaned: Any = clean(BUSY["a chain of allOf"], "x")
    assert cleaned["type"] == "string"


def test_a_value_that_fits_nothing_does_not_use_up_the_patience_for_the_next() -> None:
    schema = _ladder(60, "anyOf")
    schema["properties"]["w"] = {"type": "integer"}
    assert json.dumps(coerced({"v": "text", "w": 3.0}, schema)) == '{"v": "text", "w": 3}'


def test_arguments_find_their_integer_through_any_number_of_unions() -> None:
    schema = BUSY["a ladder of anyOf"] | {"$defs": _ladder(20, "anyOf")["$defs"]}
    assert json.dumps(coerced({"v": 2.0}, schema)) == '{"v": 2}'
