"""Rules: CEL conditions over a request, compiled and checked once, evaluated in a few microseconds.

A rule that cannot be evaluated for a request (it reads a metadata key that is not there) does not match it.
"""

import logging
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from operator import attrgetter

from cel_expr_python import cel  # type: ignore[import-untyped]  # the wheel carries no types
from msgspec import Struct

from router.errors import Problem, SettingsError
from router.routing.plan import Features
from router.routing.rule_analysis import (
    Assignment,
    Classifier,
    Rule,
    Variable,
    always_true,
    analyse,
    classifier,
    never_true,
    shadows,
)
from router.settings import ModelSettings, RuleSettings, Settings
from router.settings.validate import nearest

_log = logging.getLogger(__name__)

_EFFORTS = ("", "none", "minimal", "low", "medium", "high", "xhigh", "max")
_QUALITIES = ("", "auto", "low", "medium", "high", "xhigh", "max", "standard", "hd")

VARIABLES: Mapping[str, Variable] = {
    "kind": Variable("string", ("chat", "image", "embedding")),
    "model": Variable("string"),
    "prompt_tokens": Variable("int"),
    "prompt_bytes": Variable("int"),
    "messages": Variable("int"),
    "max_tokens": Variable("int"),
    "images": Variable("int"),
    "audio": Variable("int"),
    "files": Variable("int"),
    "tools": Variable("int"),
    "parallel_tools": Variable("bool"),
    "json_schema": Variable("bool"),
    "reasoning_effort": Variable("string", _EFFORTS),
    "stream": Variable("bool"),
    "n": Variable("int"),
    "key_name": Variable("string"),
    "key_tags": Variable("strings"),
    "metadata": Variable("map"),
    "quality": Variable("string", _QUALITIES),
    "width": Variable("int"),
    "height": Variable("int"),
    "edit": Variable("bool"),
    "mask": Variable("bool"),
    "hour_utc": Variable("int", below=24),
}
"""What a condition may read: attributes of `Features`. Counts are natural numbers; an absent text is ""."""

_ERROR = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<text>[^\n]*)")
_UNDECLARED = re.compile(r"undeclared reference to '(?P<name>[^']*)'")
_WORD = re.compile(r"[A-Za-z_]\w*")
_LONGEST = 160


class ModelRules(Struct, frozen=True):
    """The rules of one model, compiled, and the names of the variables that they read, with what reads them.

    `place` gives the place of the first rule that holds, or -1: one call into CEL instead of one for each rule. It
    fails as a whole where one of them does, and is None where there are more than CEL nests. Where the conditions only
    compare, `classify` gives the class of a request and `known` the place for each class met so far: CEL is asked once
    for each, and there are few.
    """

    rules: tuple[tuple[RuleSettings, cel.Expression], ...]
    reads: tuple[str, ...]
    read: Callable[[Features], tuple[object, ...]]
    place: cel.Expression | None
    classify: Classifier | None = None
    known: dict[Hashable, int | None] = {}


class CompiledRules:
    """The rules of every model that has some."""

    def __init__(self, env: cel.Env, models: Mapping[str, ModelRules]) -> None:
        self._env = env
        self._models = models
        self._logged: set[RuleSettings] = set()

    def first_match(self, model: str, features: Features) -> int | None:
        """The place of the first rule of `model` that holds for a request; None when none does."""
        rules = self._models.get(model)
        if rules is None:
            return None
        values = rules.read(features)
        if rules.classify is None:
            return self._evaluate(rules, values)
        key = rules.classify.key(values)
        try:
            return rules.known[key]
        except KeyError:
            place = rules.known[key] = self._evaluate(rules, values)
            return place

    def _evaluate(self, rules: ModelRules, values: tuple[object, ...]) -> int | None:
        """CEL's verdict."""
        given = dict(zip(rules.reads, values, strict=True))
        if "key_tags" in given:
            given["key_tags"] = list(given["key_tags"])  # type: ignore[call-overload]  # CEL knows lists only
        activation = self._env.Activation(given)
        place = _place(rules.place, activation)
        if place is not None:
            return place if place >= 0 else None
        for number, (rule, expression) in enumerate(rules.rules):
            if self._holds(rule, expression, activation):
                return number
        return None

    def _holds(self, rule: RuleSettings, expression: cel.Expression, activation: cel.Activation) -> bool:
        try:
            value = expression.eval(activation)
            if value.type() == cel.Type.BOOL:
                return value.value() is True
            reason = str(value.value())
        except RuntimeError as exc:
            reason = str(exc)
        if rule not in self._logged:  # once: it may happen on every request
            self._logged.add(rule)
            _log.warning(
                "rule on line %d could not be evaluated, so it did not match: %s", rule.line, _one_line(reason)
            )
        return False


def compile_rules(settings: Settings) -> CompiledRules:
    """Every rule of `settings`, compiled. Raises SettingsError with a problem for each that is wrong or dead."""
    env = _environment()
    file = str(settings.sources[0]) if settings.sources else "settings"
    problems: list[Problem] = []
    compiled: dict[str, ModelRules] = {}
    for model in settings.models.values():
        expressions = [
            _compile(env, rule, file, f"models.{model.name}.rules[{index}].when", problems)
            for index, rule in enumerate(model.rules)
        ]
        pairs = [(rule, found) for rule, found in zip(model.rules, expressions, strict=True) if found is not None]
        problems += _dead_rules(model, expressions, file)
        if pairs:
            classify = _classifier(pairs)
            reads = classify.names if classify is not None else _read_by(pairs)
            compiled[model.name] = ModelRules(tuple(pairs), reads, _reader(reads), _chained(env, pairs), classify, {})
    if problems:
        raise SettingsError(sorted(problems))
    return CompiledRules(env, compiled)


def _place(expression: cel.Expression | None, activation: cel.Activation) -> int | None:
    """Which rule holds first, -1 for none; None when the chain cannot tell."""
    if expression is None:
        return None
    try:
        value = expression.eval(activation)
    except RuntimeError:
        return None
    return value.value() if value.type() == cel.Type.INT else None


def _chained(env: cel.Env, rules: Iterable[tuple[RuleSettings, object]]) -> cel.Expression | None:
    conditions = "".join(f"({rule.when}\n) ? {place} : " for place, (rule, _) in enumerate(rules))
    try:
        return env.compile(f"{conditions}-1")
    except RuntimeError:
        return None


def _classifier(rules: Iterable[tuple[RuleSettings, object]]) -> Classifier | None:
    conditions = [analyse(rule.when, VARIABLES) for rule, _ in rules]
    simple = [condition for condition in conditions if condition is not None]
    return classifier(simple, VARIABLES) if len(simple) == len(conditions) else None


def _read_by(rules: Iterable[tuple[RuleSettings, object]]) -> tuple[str, ...]:
    """The variables that the conditions name, perhaps in a literal only: handing over one too many does no harm."""
    words = {word for rule, _ in rules for word in _WORD.findall(rule.when)}
    return tuple(name for name in VARIABLES if name in words)


def _reader(names: tuple[str, ...]) -> Callable[[Features], tuple[object, ...]]:
    """What gives a request's values of the variables `names`, in that order."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda features: tuple([getattr(features, name) for name in names])


def _environment() -> cel.Env:
    types = {
        "int": cel.Type.INT,
        "string": cel.Type.STRING,
        "bool": cel.Type.BOOL,
        "strings": cel.Type.List(cel.Type.STRING),
        "map": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    }
    return cel.NewEnv(variables={name: types[variable.type] for name, variable in VARIABLES.items()})


def _compile(env: cel.Env, rule: RuleSettings, file: str, key: str, problems: list[Problem]) -> cel.Expression | None:
    try:
        expression = env.compile(rule.when)
    except RuntimeError as exc:
        problems.append(Problem(file, rule.line, key, f"{_reason(str(exc))} in {_short(rule.when)}"))
        return None
    if expression.return_type() != cel.Type.BOOL:
        kind = str(expression.return_type()).lower()
        problems.append(
            Problem(file, rule.line, key, f"must be true or false, but {_short(rule.when)} is of type {kind}")
        )
        return None
    return expression


def _dead_rules(model: ModelSettings, expressions: list[cel.Expression | None], file: str) -> Iterator[Problem]:
    """A problem for each rule that no request can reach."""
    rules = [_analysed(rule, expression) for rule, expression in zip(model.rules, expressions, strict=True)]
    for index, (settings, rule) in enumerate(zip(model.rules, rules, strict=True)):
        key = f"models.{model.name}.rules[{index}].when"
        if never_true(rule, VARIABLES):
            message = f"can never be true, so this rule is dead: {_short(settings.when)}{_legal(rule)}"
            yield Problem(file, settings.line, key, message)
            continue
        total = next((at for at, each in enumerate(rules[:index]) if always_true(each, VARIABLES)), None)
        before = (total,) if total is not None else shadows(rule, rules[:index], VARIABLES)
        if before:
            lines = " and ".join(f"line {model.rules[at].line}" for at in before)
            message = f"is never reached: whatever it could match is taken before, on {lines}"
            yield Problem(file, settings.line, key, message)


def _analysed(rule: RuleSettings, expression: cel.Expression | None) -> Rule:
    if expression is None:
        return Rule(lambda _: True, None)
    evaluate = expression

    def holds(assignment: Assignment) -> bool:
        return evaluate.eval(data=assignment).value() is True

    return Rule(holds, analyse(rule.when, VARIABLES))


def _legal(rule: Rule) -> str:
    """The values of the enumerated variables that the condition holds against something else."""
    for name, literals in (rule.condition.literals if rule.condition else {}).items():
        legal = VARIABLES[name].values
        if legal and not literals <= set(legal):
            return f" ({name} is one of {', '.join(repr(each) for each in legal)})"
    return ""


def _reason(error: str) -> str:
    """CEL's complaint, with its caret's place, in one line."""
    found = _ERROR.search(error)
    if found is None:
        return _one_line(error)
    place = f"column {found['column']}" if found["line"] == "1" else f"line {found['line']} column {found['column']}"
    undeclared = _UNDECLARED.match(found["text"])
    if undeclared:
        name = undeclared["name"]
        return f"{place}: unknown variable {name!r}{nearest(name, VARIABLES)}"
    return f"{place}: {_one_line(found['text'])}"


def _one_line(text: str) -> str:
    return _cut(" ".join(text.split()))


def _short(expression: str) -> str:
    return repr(_cut(" ".join(expression.split())))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
