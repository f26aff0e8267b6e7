"""The simulated model: commands, tools, structured answers, limits."""

import jsonschema
import orjson
import pytest
from msgspec.structs import replace

from providers.sandbox.brain import Prompt, Tool, answer_to, tokens_in
from providers.sandbox.instances import NoInstanceError, instance_of

WEATHER = Tool(
    "get_weather",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
        "required": ["city", "unit"],
    },
)
CLOCK = Tool("get_time", {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]})

SCHEMAS = [
    {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 18}}},
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"], "additionalProperties": True},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "boolean"}], "items": False},
    {"enum": ["red", 2, None]},
    {"const": {"fixed": 1}},
    {"anyOf": [{"type": "null"}, {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}]},
    {"oneOf": [{"type": "string", "maxLength": 4}, {"type": "array", "items": {"type": "string"}}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
               {"properties": {"b": {"type": "string"}}, "required": ["b"]}]},
    {"type": ["string", "null"], "minLength": 60},
    {"type": "integer", "multipleOf": 7, "minimum": 15, "maximum": 30},
    {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
    {"type": "string", "format": "date-time"},
    {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    {"type": "string", "pattern": "^[A-Z]{3}$"},
    {"type": "object", "additionalProperties": {"type": "number"}},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "boolean"}},
    {"type": "object", "properties": {"kind": {"$ref": "#/$defs/Kind"}}, "required": ["kind"],
     "additionalProperties": False, "$defs": {"Kind": {"type": "string", "enum": ["x", "y"]}}},
    {"$ref": "#/definitions/Node", "definitions": {"Node": {"type": "object", "properties": {
        "value": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#/definitions/Node"}, {"type": "null"}]},
        "children": {"type": "array", "items": {"$ref": "#/definitions/Node"}}},
        "required": ["value", "next", "children"], "additionalProperties": False}}},
    {"type": "object", "properties": {"self": {"$ref": "#"}, "n": {"type": "number"}}, "required": ["n"]},
    {"type": "object", "properties": {"title": {"type": "string"}, "type": {"type": "string"},
                                      "$ref": {"type": "string"}}, "required": ["title", "type"]},
    {"type": "object", "properties": {"deep": {"type": "object", "properties": {"deep": {"type": "object",
     "properties": {"deep": {"type": "object", "properties": {"deep": {"type": "object", "properties": {
         "end": {"type": "boolean"}}, "required": ["end"]}}, "required": ["deep"]}}, "required": ["deep"]}},
         "required": ["deep"]}}, "required": ["deep"]},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
@pytest.mark.parametrize("seed", ["", "another", "third"])
def test_an_instance_is_valid_against_its_schema(schema: dict[str, object], seed: str) -> None:
    jsonschema.Draft202012Validator(schema).validate(instance_of(schema, seed=seed))


def test_an_instance_of_the_openapi_subset_knows_upper_case_types_and_nullable() -> None:
    schema = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}, "s": {"type": "STRING", "nullable": True}}}
    made = instance_of(schema)
    assert isinstance(made["n"], int)
    assert isinstance(made["s"], str)


def test_a_wide_recursive_schema_stays_small() -> None:
    node = {"type": "array", "items": {"$ref": "#"}}
    schema = {"type": "object", "properties": {f"p{number}": node for number in range(20)}}
    made = instance_of(schema)
    jsonschema.validate(made, schema)
    assert len(orjson.dumps(made)) < 50_000


def test_endless_recursion_is_refused_not_followed() -> None:
    with pytest.raises(NoInstanceError):
        instance_of({"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]})
    twins = {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]}
    wrapped = {"type": "object", "properties": {"x": twins}, "required": ["x"]}
    with pytest.raises(NoInstanceError):
        instance_of({**wrapped, "$defs": {"a": wrapped, "b": wrapped}})
    with pytest.raises(NoInstanceError):
        instance_of({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})


def test_a_plain_answer_names_the_sandbox_and_quotes_the_prompt() -> None:
    reply = answer_to(Prompt(model="m", text="Where is the milk?"))
    assert "sandbox" in reply.text
    assert "Where is the milk?" in reply.text
    assert reply == answer_to(Prompt(model="m", text="Where is the milk?"))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("say: Grüße, Welt!", "Grüße, Welt!"),
        ("Please words: 3", "word1 word2 word3"),
        ("say: two\nlines", "two\nlines"),
    ],
)
def test_commands_decide_the_text(text: str, answer: str) -> None:
    assert answer_to(Prompt(model="m", text=text)).text == answer


def test_wait_and_think_are_obeyed() -> None:
    reply = answer_to(Prompt(model="m", text="wait: 1.5 think: 40", thinking=8))
    assert (reply.wait_s, reply.thought_tokens) == (1.5, 40)
    assert answer_to(Prompt(model="m", text="think: 40")).thought_tokens == 0


def test_a_named_tool_is_called_with_valid_arguments() -> None:
    reply = answer_to(Prompt(model="m", text="please get_weather in Oslo", tools=(CLOCK, WEATHER)))
    assert [call.name for call in reply.calls] == ["get_weather"]
    assert reply.calls[0].arguments["city"] == "Oslo"
    jsonschema.validate(reply.calls[0].arguments, WEATHER.schema or {})
    assert reply.finish == "calls"
    assert reply.text == ""


def test_two_places_or_two_tools_give_parallel_calls() -> None:
    places = answer_to(Prompt(model="m", text="Weather in Oslo and Rome?", tools=(WEATHER,)))
    assert [call.arguments["city"] for call in places.calls] == ["Oslo", "Rome"]
    tools = answer_to(Prompt(model="m", text="get_weather, then get_time", tools=(CLOCK, WEATHER)))
    assert sorted(call.name for call in tools.calls) == ["get_time", "get_weather"]
    many = answer_to(Prompt(model="m", text="parallel: 5", tools=(WEATHER,)))
    assert len(many.calls) == 5
    one = answer_to(Prompt(model="m", text="parallel: 5", tools=(WEATHER,), parallel=False))
    assert len(one.calls) == 1


def test_a_tool_named_like_a_class_is_not_an_argument() -> None:
    journey = Tool("Journey", WEATHER.schema)
    (call,) = answer_to(Prompt(model="m", text="plan a Journey to Rome", tools=(journey,))).calls
    assert call.arguments["city"] == "Rome"


@pytest.mark.parametrize(
    "prompt", [{"mode": "none"}, {"text": "no tools please"}, {"steps": ((("get_weather", "3"),),)}]
)
def test_no_call_is_made(prompt: dict[str, object]) -> None:
    reply = answer_to(Prompt(**{"model": "m", "tools": (WEATHER,), **prompt}))  # type: ignore[arg-type]
    assert reply.calls == ()
    assert reply.text


def test_mode_any_always_calls_and_only_what_is_allowed() -> None:
    prompt = Prompt(model="m", text="no tools", tools=(WEATHER, CLOCK), mode="any", allowed=frozenset({"get_time"}))
    assert [call.name for call in answer_to(prompt).calls] == ["get_time"]


def test_tool_results_are_quoted() -> None:
    reply = answer_to(Prompt(model="m", steps=((("get_weather", '{"t":3}'),),), tools=(WEATHER,)))
    assert 'get_weather returned {"t":3}' in reply.text


def test_calls_that_are_spelled_out_are_made_exactly() -> None:
    text = (
        'call: get_time {"zone": "a } b"} call: get_weather {"city": "Oslo", "x": [1]} call: other {} call: get_time {'
    )
    reply = answer_to(Prompt(model="m", text=text, tools=(WEATHER, CLOCK)))
    assert [(call.name, call.arguments) for call in reply.calls] == [
        ("get_time", {"zone": "a } b"}),
        ("get_weather", {"city": "Oslo", "x": [1]}),
    ]


def test_steps_are_taken_one_after_another_and_answered_from_all_their_results() -> None:
    prompt = Prompt(model="m", text="get_weather in Oslo and Rome then: get_time of Lima", tools=(WEATHER, CLOCK))
    assert [call.arguments["city"] for call in answer_to(prompt).calls] == ["Oslo", "Rome"]
    first = (("get_weather", "3"), ("get_weather", "9"))
    (call,) = answer_to(replace(prompt, steps=(first,))).calls
    assert (call.name, call.arguments) == ("get_time", {"zone": "Lima"})
    last = answer_to(replace(prompt, steps=(first, (("get_time", "noon"),))))
    assert last.calls == ()
    assert last.text == "Sandbox: get_weather returned 3; get_weather returned 9; get_time returned noon."


def test_a_schema_makes_the_text_json() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    jsonschema.validate(orjson.loads(answer_to(Prompt(model="m", schema=schema)).text), schema)
    assert isinstance(orjson.loads(answer_to(Prompt(model="m", json_object=True)).text), dict)


def test_stop_sequences_end_the_text() -> None:
    assert answer_to(Prompt(model="m", text="words: 9", stop=(" word4",))).text == "word1 word2 word3"


def test_the_limit_counts_thinking_and_cuts_the_text() -> None:
    reply = answer_to(Prompt(model="m", text="words: 50", max_tokens=10, thinking=4))
    assert reply.finish == "length"
    assert (reply.thought_tokens, reply.tokens) == (4, tokens_in(reply.text))
    assert reply.tokens <= 6
    silent = answer_to(Prompt(model="m", text="words: 50", max_tokens=3, thinking=4))
    assert (silent.text, silent.thought_tokens, silent.finish) == ("", 3, "length")


def test_inspect_tells_what_arrived() -> None:
    seen = orjson.loads(answer_to(Prompt(model="m", text="inspect: all", system="Be terse.", images=2)).text)
    assert (seen["system"], seen["images"]) == ("Be terse.", 2)


SAID = "word1 word2 word3 "
ANCHORED = "Go on.\nContinue from: word2 word3"
RESUMED = [
    ("", SAID, "word4 word5"),
    ("", SAID.rstrip(), " word4 word5"),
    ("", "word1 wo", "rd2 word3 word4 word5"),
    ("resume: repeat 2", SAID, "word2 word3 word4 word5"),
    ("resume: restart", SAID, "word1 word2 word3 word4 word5"),
    ("resume: tight", SAID.rstrip(), "word4 word5"),
    ("resume: chatter", SAID, "Sure, here is the rest: word4 word5"),
    ("", "something else", "word1 word2 word3 word4 word5"),
]


@pytest.mark.parametrize(("how", "begun", "rest"), RESUMED)
def test_a_model_goes_on_with_what_it_has_begun(how: str, begun: str, rest: str) -> None:
    assert answer_to(Prompt(model="m", text=f"{how} words: 5", begun=begun)).text == rest


@pytest.mark.parametrize(
    ("told", "said", "rest"),
    [
        (ANCHORED, SAID, "word2 word3 word4 word5"),
        ("Continue from: word1", SAID, "word1 word2 word3 word4 word5"),  # not the end of what it said
        (ANCHORED, "word2 word3", "word1 word2 word3 word4 word5"),  # never said by it
    ],
)
def test_a_model_that_is_told_to_begins_with_its_last_words(told: str, said: str, rest: str) -> None:
    assert answer_to(Prompt(model="m", text=told, before=("words: 5", said))).text == rest


def test_without_words_of_its_own_before_there_is_nothing_to_go_on_with() -> None:
    assert "Continue from" in answer_to(Prompt(model="m", text=ANCHORED)).text
