"""Rules: which one is taken, what a bad one is told, and that no rule is called dead that is not."""

import itertools
import logging
from collections.abc import Iterator

import pytest
from cel_expr_python import cel
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.types import ImageSize
from router.errors import Problem, SettingsError
from router.routing.plan import Features
from router.routing.rules import VARIABLES, CompiledRules, compile_rules
from router.settings import ModelSettings, RuleSettings, Settings


def with_rules(*conditions: str) -> Settings:
    rules = tuple(RuleSettings(when=when, use=f"use{line}", line=line) for line, when in enumerate(conditions, 1))
    return Settings(models={"auto": ModelSettings(name="auto", rules=rules, use="rest")})


def compiled(*conditions: str) -> CompiledRules:
    return compile_rules(with_rules(*conditions))


def problems(*conditions: str) -> dict[int, str]:
    """The message of each refused rule by its number (from 1)."""
    found: tuple[Problem, ...] = ()
    try:
        compiled(*conditions)
    except SettingsError as exc:
        found = exc.problems
    messages = {each.line: each.message for each in found}
    assert len(messages) == len(found)
    assert [each.key for each in found] == [f"models.auto.rules[{line - 1}].when" for line in messages]
    assert not any("\n" in str(each) for each in found)
    return messages


def test_the_first_rule_that_holds_is_taken() -> None:
    rules = compiled(
        "prompt_tokens > 200000 || reasoning_effort == 'high'", "tools > 0 && key_tags.exists(t, t == 'b')"
    )
    assert rules.first_match("auto", Features(prompt_tokens=200_001)) == 0
    assert rules.first_match("auto", Features(tools=1, key_tags=("a", "b"))) == 1
    assert rules.first_match("auto", Features(prompt_tokens=200_000, tools=1)) is None
    assert rules.first_match("other", Features(prompt_tokens=200_001)) is None


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_can_be_read_and_may_be_absent(name: str) -> None:
    kind = VARIABLES[name].type
    condition, value = {
        "int": (f"{name} == 7", 7),
        "bool": (name, True),
        "string": (f"{name} == '{(*VARIABLES[name].values[-1:], 'x')[0]}'", (*VARIABLES[name].values[-1:], "x")[0]),
        "strings": (f"'x' in {name}", ("x",)),
        "map": (f"{name}['a'] == 'x'", {"a": "x"}),
    }[kind]
    rules = compiled(condition)
    size = ImageSize(width=7, height=7, tier="1K")
    said = {"size": size} if name in ("width", "height") else {name: value}
    assert rules.first_match("auto", Features(**said)) == 0  # type: ignore[arg-type]
    assert rules.first_match("auto", Features()) is None


def test_a_rule_that_fails_does_not_match_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    rules = compiled("metadata['team'] == 'x'", "stream")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert rules.first_match("auto", Features(metadata={}, stream=True)) == 1
        assert rules.first_match("auto", Features(metadata={"team": "x"})) == 0
    assert len(caplog.records) == 1
    assert "line 1" in caplog.text
    assert "team" in caplog.text


def test_a_value_of_the_wrong_type_does_not_match() -> None:
    assert compiled("stream && metadata['a'] == 'x'").first_match("auto", Features(stream=5)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("prompt_tokens > 20 ||", "column 22: Syntax error: mismatched input '<EOF>'"),
        ("promt_tokens > 3", "column 1: unknown variable 'promt_tokens'; did you mean 'prompt_tokens'?"),
        ("prompt_tokens > 'a'", "column 15: found no matching overload for '_>_' applied to '(int, string)'"),
        ("stream &&\n\n  promt", "line 3 column 3: unknown variable 'promt'"),
        ("prompt_tokens + 1", "must be true or false, but 'prompt_tokens + 1' is of type int"),
        ("size(key_tags) > 'x'", "column 16: found no matching overload"),
        ("'" + "x" * 500, "column 1: Syntax error"),
    ],
)
def test_a_wrong_condition_is_told_where_and_why(condition: str, message: str) -> None:
    found = problems("images > 0", condition)
    assert list(found) == [2]
    assert message in found[2]
    assert len(found[2]) < 400


@pytest.mark.parametrize(
    ("conditions", "dead", "message"),
    [
        (["false"], [1], "can never be true"),
        (["prompt_tokens < 0"], [1], "can never be true"),
        (["prompt_tokens > 5 && prompt_tokens < 6"], [1], "can never be true"),
        (["hour_utc > 23"], [1], "can never be true"),
        (["hour_utc == 24 || stream && !stream"], [1], "can never be true"),
        (["reasoning_effort == 'hihg'"], [1], "one of '', 'none', 'minimal', 'low', 'medium'"),
        (["kind == 'chat' && kind == 'image'"], [1], "can never be true"),
        (["kind == 'img'"], [1], "(kind is one of 'chat', 'image', 'embedding')"),
        (["model == 'a' && model == 'b'"], [1], "can never be true"),
        (["'a' in key_tags && !key_tags.exists(t, t == 'a')"], [1], "can never be true"),
        (["true", "stream", "metadata.a == 'b'"], [2, 3], "on line 1"),
        (["prompt_tokens >= 0", "prompt_tokens + 1 > 4"], [2], "on line 1"),
        (["prompt_tokens > 100", "stream", "prompt_tokens > 200 && tools > 0"], [3], "on line 1"),
        (["prompt_tokens > 100", "tools > 3", "prompt_tokens <= 100", "stream"], [4], "on line 1 and line 3"),
        (["stream", "!stream", "edit", "mask"], [3, 4], "on line 1 and line 2"),
        (["kind == 'chat'", "kind in ['image', 'embedding']", "n > 3"], [3], "on line 1 and line 2"),
        (["metadata.a == 'b'", "stream", "stream"], [3], "on line 2"),
        (["5 < prompt_tokens", "prompt_tokens in [6, 7]"], [2], "on line 1"),
    ],
)
def test_a_dead_rule_is_refused(conditions: list[str], dead: list[int], message: str) -> None:
    found = problems(*conditions)
    assert list(found) == dead
    assert message in found[dead[-1]]


@pytest.mark.parametrize(
    "conditions",
    [
        ["prompt_tokens > 200", "prompt_tokens > 100"],
        ["true"],
        ["stream", "true"],
        ["prompt_tokens > 0 && prompt_tokens < 2"],
        ["prompt_tokens - 5 < 0"],
        ["prompt_tokens < -1 + 3"],
        ["prompt_tokens < max_tokens", "prompt_tokens > max_tokens"],
        ["metadata.a == 'b'", "metadata.a == 'c'"],
        ["has(metadata.a)", "!has(metadata.a)", "stream"],
        ["model == 'a'", "model != 'a' && model != 'b'", "model == 'b'"],
        ["model.startsWith('a')", "model == 'ab'"],
        ["stream ? tools > 3 : tools > 5", "tools > 4"],
        ["'a' in key_tags && 'b' in key_tags", "'a' in key_tags"],
        ["key_tags.exists(t, t == 'a')", "key_tags.exists(t, t != 'a')"],
        ["key_tags.exists(t, t.startsWith('a'))", "'ab' in key_tags"],
        ["key_tags.exists(model, model == 'a')", "'a' in key_tags"],
        ["key_tags.all(t, t == 'a')", "key_tags == ['a']"],
        ["model == 'it\\'s'", "model == 'it'"],
        ["model == r'a\\b'", "model == 'b'"],
        ["model == '''a'''", "model == 'b'"],
        ["prompt_tokens < 0x10", "prompt_tokens < 20"],
        ["prompt_tokens == 9223372036854775807"],
        ["stream == (tools > 3)", "stream"],
        ["(tools > 3) == stream", "tools > 3"],
        ["model in ['a', key_name]", "model == 'b'"],
        [" || ".join(f"prompt_tokens == {n} || model == 'm{n}' || tools == {n}" for n in range(0, 60, 2)), "stream"],
    ],
)
def test_a_live_rule_is_accepted(conditions: list[str]) -> None:
    assert problems(*conditions) == {}


# --- the same decided by brute force: literals up to 3, so values up to 4 show every difference

_NUMBERS = range(5)
_EFFORTS = VARIABLES["reasoning_effort"].values
_TAGS = [[], ["a"], ["zz"], ["a", "zz"]]
_MODELS = ["", "a", "b", "zz"]


def _atoms() -> st.SearchStrategy[str]:
    number = st.integers(0, 3)
    comparison = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    equality = st.sampled_from(["==", "!="])
    effort = st.sampled_from(["", "low", "high", "hihg"])
    return st.one_of(
        st.builds("tools {} {}".format, comparison, number),
        st.builds("{} {} tools".format, number, comparison),
        st.builds("tools in {}".format, st.lists(number, min_size=1, max_size=3)),
        st.builds("reasoning_effort {} '{}'".format, equality, effort),
        st.builds("reasoning_effort in {}".format, st.lists(effort, min_size=1, max_size=2)),
        st.builds("model {} '{}'".format, equality, st.sampled_from(["a", "b"])),
        st.sampled_from(["stream", "true", "false", "'a' in key_tags", "key_tags.exists(t, t == 'a')"]),
        st.sampled_from(["tools + 1 > 2", "tools < tools", "model.size() > 1", "stream == (tools > 1)"]),
    )


def _conditions() -> st.SearchStrategy[str]:
    return st.recursive(
        _atoms(),
        lambda inner: st.one_of(
            st.builds("({} && {})".format, inner, inner),
            st.builds("({} || {})".format, inner, inner),
            st.builds("!({})".format, inner),
            st.builds("{} && {} || {}".format, inner, inner, inner),
        ),
        max_leaves=5,
    )


def _everything() -> Iterator[dict[str, object]]:
    names = ("tools", "reasoning_effort", "model", "stream", "key_tags")
    for values in itertools.product(_NUMBERS, _EFFORTS, _MODELS, (False, True), _TAGS):
        yield dict(zip(names, values, strict=True))


def _reached(conditions: list[str]) -> set[int]:
    """The rules (from 1) that at least one request takes."""
    env = cel.NewEnv(
        variables={
            "tools": cel.Type.INT,
            "reasoning_effort": cel.Type.STRING,
            "model": cel.Type.STRING,
            "stream": cel.Type.BOOL,
            "key_tags": cel.Type.List(cel.Type.STRING),
        }
    )
    expressions = [env.compile(each) for each in conditions]
    reached = set()
    for request in _everything():
        activation = env.Activation(request)
        taken = next((at for at, each in enumerate(expressions, 1) if each.eval(activation).value() is True), None)
        if taken is not None:
            reached.add(taken)
    return reached


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(_conditions(), min_size=1, max_size=4))
def test_no_live_rule_is_ever_refused(conditions: list[str]) -> None:
    refused = set(problems(*conditions))
    assert not refused & _reached(conditions)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(_conditions(), min_size=1, max_size=3))
def test_every_dead_rule_of_plain_comparisons_is_refused(conditions: list[str]) -> None:
    plain = [each for each in conditions if "+" not in each and "size" not in each and "tools < tools" not in each]
    plain = [each for each in plain if "stream == (" not in each]
    if plain:
        assert set(problems(*plain)) == set(range(1, len(plain) + 1)) - _reached(plain)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(_conditions(), min_size=1, max_size=3))
def test_the_verdict_for_a_class_of_requests_is_that_for_each_of_them(conditions: list[str]) -> None:
    env = cel.NewEnv(
        variables={
            "tools": cel.Type.INT,
            "reasoning_effort": cel.Type.STRING,
            "model": cel.Type.STRING,
            "stream": cel.Type.BOOL,
            "key_tags": cel.Type.List(cel.Type.STRING),
        }
    )
    alive = [each for at, each in enumerate(conditions, 1) if at not in problems(*conditions)]
    if not alive or problems(*alive):
        return
    rules, expressions = compiled(*alive), [env.compile(each) for each in alive]
    for request in _everything():
        activation = env.Activation(request)
        verdict = next((at for at, each in enumerate(expressions) if each.eval(activation).value() is True), None)
        assert rules.first_match("auto", Features(**request)) == verdict, request  # type: ignore[arg-type]
