"""Which rules can never decide anything: conditions that are never true, or only when an earlier rule is.

A condition made of comparisons of one variable with literals, `in`, `.exists(x, x == 'lit')` and boolean operators
cuts each variable's values into few classes between which it cannot tell. One value of each class, in every
combination, is therefore as good as all values, and the answer is exact. Any other condition is taken for live.
"""

import itertools
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from operator import call
from typing import Any, Literal, TypeAlias

from msgspec import Struct

VariableType = Literal["int", "string", "bool", "strings", "map"]
Value: TypeAlias = "int | str | bool | list[str]"
Assignment: TypeAlias = Mapping[str, Value]

MAX_ASSIGNMENTS = 20_000  # at 5 us each a tenth of a second; beyond it a rule counts as live
_INT_END = 2**63  # CEL integers have 64 bits
_MAX_LIST_LITERALS = 5

_TOKEN = re.compile(
    r"\s+|(?P<s>'[^'\\\n]*'(?!')|\"[^\"\\\n]*\"(?!\"))|(?P<i>(?<![\w.])\d+(?![\w.]))|(?P<x>[A-Za-z_]\w*(?!['\"\w]))"
    r"|(?P<op>&&|\|\||[=!<>]=|[<>!()\[\],.])|(?P<other>.)",
    re.DOTALL,
)
_OPERATOR = {"&&": "&", "||": "|", "==": "=", "!=": "~", "<": "r", "<=": "r", ">": "r", ">=": "r", "in": "E"}
_VARIABLE: Mapping[VariableType, str] = {"int": "I", "string": "S", "bool": "B", "strings": "L", "map": "x"}
_ATOM = re.compile(
    r"(?P<var>I)[=~r]i|i[=~r](?P<var2>I)|(?P<var3>S)[=~]s|s[=~](?P<var4>S)"
    r"|(?P<var5>I)E\[i(?:,i)*\]|(?P<var6>S)E\[s(?:,s)*\]|sE(?P<var7>L)|(?P<var8>L)\.x\(x,(?:x=s|s=x)\)"
)
_BOOLEAN = re.compile(r"[Bb&|!()=~]+")


class Variable(Struct, frozen=True):
    """A variable of conditions. `values`: all it can be, where those are few; `below`: an int's exclusive bound."""

    type: VariableType
    values: tuple[str, ...] = ()
    below: int = _INT_END


class Condition(Struct, frozen=True):
    """A condition that can be decided by trying: the literals it holds each of its variables against."""

    literals: Mapping[str, frozenset[int | str]]


class Rule(Struct, frozen=True):
    """A rule as the analysis sees it: `holds` evaluates it; `condition` is None when it must count as live."""

    holds: Callable[[Assignment], bool]
    condition: Condition | None


def analyse(expression: str, variables: Mapping[str, Variable]) -> Condition | None:
    """What `expression` (which CEL has accepted) compares with what; None when it does more than compare."""
    tokens = list(_tokens(expression))
    if any(kind == "other" for kind, _ in tokens):
        return None
    shape = "".join(_letter(kind, text, variables) for kind, text in tokens)
    literals: dict[str, set[int | str]] = {text: set() for kind, text in tokens if kind == "x" and text in variables}
    for atom in _ATOM.finditer(shape):
        part = tokens[atom.start() : atom.end()]
        if "x" in atom[0] and not _is_exists([text for _, text in part]):
            return None
        index = next(start for start in (atom.start(name) for name in atom.groupdict()) if start >= 0)
        literals[tokens[index][1]].update(_literal(kind, text) for kind, text in part if kind in "si")
    if not _BOOLEAN.fullmatch(_ATOM.sub("B", shape)):
        return None
    return Condition({name: frozenset(found) for name, found in literals.items()})


def classifier(conditions: Sequence[Condition], variables: Mapping[str, Variable]) -> "Classifier":
    """What tells requests apart for these conditions: two of the same class meet the same of them."""
    literals: dict[str, set[int | str]] = {}
    for condition in conditions:
        for name, found in condition.literals.items():
            literals.setdefault(name, set()).update(found)
    return Classifier(
        tuple(literals), tuple(_class_of(variables[name].type, found) for name, found in literals.items())
    )


class Classifier(Struct, frozen=True):
    """The class of a request, as a hashable key, from the values of the variables `names`.

    There are few: they are cut by the literals alone.
    """

    names: tuple[str, ...]
    classes: tuple[Callable[[Any], Hashable], ...]

    def key(self, values: Sequence[object]) -> Hashable:
        return tuple(map(call, self.classes, values))


def _class_of(kind: VariableType, literals: set[int | str]) -> Callable[[Any], Hashable]:
    """Functions written in C: one is called for each variable of every request."""
    match kind:
        case "int":
            # below, at and above each literal are different places; between two integers there is nothing
            cuts = sorted({end for each in literals if isinstance(each, int) for end in (each, each + 1)})
            return partial(bisect_right, cuts)
        case "string":
            return {each: each for each in literals}.get
        case "strings":
            return frozenset(literals).intersection
        case _:
            return bool


def never_true(rule: Rule, variables: Mapping[str, Variable]) -> bool:
    """Whether no request at all can meet the rule's condition."""
    if rule.condition is None:
        return False
    assignments = _assignments([rule.condition], variables)
    return assignments is not None and not any(map(rule.holds, assignments))


def always_true(rule: Rule, variables: Mapping[str, Variable]) -> bool:
    """Whether every request meets the rule's condition."""
    if rule.condition is None:
        return False
    assignments = _assignments([rule.condition], variables)
    return assignments is not None and all(map(rule.holds, assignments))


def shadows(rule: Rule, earlier: Sequence[Rule], variables: Mapping[str, Variable]) -> tuple[int, ...]:
    """The places in `earlier` of rules that together take every request `rule` could take; () when none is known.

    As few as possible: what is dropped without harm is not among them.
    """
    known = [index for index, other in enumerate(earlier) if other.condition is not None]
    single = next((index for index in known if _covered(rule, [earlier[index]], variables)), None)
    if single is not None:
        return (single,)
    if not _covered(rule, [earlier[index] for index in known], variables):
        return ()
    for index in list(known):
        fewer = [each for each in known if each != index]
        if _covered(rule, [earlier[each] for each in fewer], variables):
            known = fewer
    return tuple(known)


def _covered(rule: Rule, earlier: Sequence[Rule], variables: Mapping[str, Variable]) -> bool:
    conditions = [each.condition for each in (rule, *earlier) if each.condition is not None]
    if rule.condition is None or len(conditions) <= len(earlier):
        return False
    assignments = _assignments(conditions, variables)
    if assignments is None:
        return False
    return all(any(other.holds(each) for other in earlier) for each in assignments if rule.holds(each))


def _assignments(conditions: Sequence[Condition], variables: Mapping[str, Variable]) -> Iterator[Assignment] | None:
    """One value of each class for each variable, in every combination; None when they are too many."""
    literals: dict[str, set[int | str]] = {}
    for condition in conditions:
        for name, found in condition.literals.items():
            literals.setdefault(name, set()).update(found)
    domains = {name: _domain(variables[name], found) for name, found in literals.items()}
    if any(not domain for domain in domains.values()) or math.prod(map(len, domains.values())) > MAX_ASSIGNMENTS:
        return None
    return (dict(zip(domains, values, strict=True)) for values in itertools.product(*domains.values()))


def _domain(variable: Variable, literals: set[int | str]) -> list[Value]:
    """A value of each class that `literals` cut this variable's values into; empty when there are too many."""
    texts = sorted(str(each) for each in literals)
    if variable.type == "int":  # below the least literal: 0; on each one; and between or above: one more than it
        numbers = {0} | {int(each) + step for each in literals for step in (0, 1)}
        return [each for each in sorted(numbers) if each < variable.below]
    if variable.type == "bool":
        return [False, True]
    if variable.type == "string":
        return list(variable.values or dict.fromkeys(["", *texts, _other(texts)]))
    if len(texts) > _MAX_LIST_LITERALS:
        return []
    members = [*texts, _other(texts)]
    return [list(each) for size in range(len(members) + 1) for each in itertools.combinations(members, size)]


def _other(texts: Sequence[str]) -> str:
    return "x" + "".join(texts)  # longer than each of them, so equal to none


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(expression):
        if match.lastgroup:
            yield match.lastgroup, match[0]


def _letter(kind: str, text: str, variables: Mapping[str, Variable]) -> str:
    """One letter per token, so that patterns of tokens can be matched as text."""
    if text in _OPERATOR:
        return _OPERATOR[text]
    if text in ("true", "false"):
        return "b"
    if kind == "x" and text in variables:
        return _VARIABLE[variables[text].type]
    return text if kind == "op" else kind


def _literal(kind: str, text: str) -> int | str:
    return int(text) if kind == "i" else text[1:-1]


def _is_exists(texts: Sequence[str]) -> bool:
    """Whether the tokens are `tags.exists(t, t == 'x')`, with the same `t` twice."""
    names = [text for text in texts[3:] if re.fullmatch(r"[A-Za-z_]\w*", text)]
    return texts[2] == "exists" and len(names) == 2 and names[0] == names[1]
