"""A YAML file as plain data in which every value still knows its line, with `${ENV}` filled in.

`${NAME}` and `${NAME:-default}` work in every value (not in keys); `$${NAME}` is a literal `${NAME}`. YAML that means
two things at once (a key twice, an anchor inside itself) is a problem, not a choice.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import yaml
from msgspec import Struct

from router.errors import Problem

Loc: TypeAlias = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<bad>\$\{)")
_MAX_NODES = 100_000  # anchors can make a small file mean a huge one; ours have a few thousand nodes
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same grammar, ten times faster where libyaml is there
_KINDS = {"int": "a number", "float": "a number", "bool": "true or false", "null": "empty", "timestamp": "a date"}


class EnvText(str):
    """Text that came from the environment: a number or switch may be read out of it, and it is never shown."""

    __slots__ = ()


class Document(Struct, frozen=True):
    """What one file says. `lines` has an entry for every key and list item.

    `unset` names, for each value that is empty because of it, the environment variable that is not set (or empty).
    """

    file: str
    data: object
    lines: Mapping[Loc, int]
    unset: Mapping[Loc, str]
    problems: tuple[Problem, ...]

    def line(self, loc: Loc) -> int:
        """The line of the value at `loc`, or of the nearest value around it; 1 for the whole file."""
        return self.lines.get(self.nearest(loc), 1)

    def nearest(self, loc: Loc) -> Loc:
        """The longest beginning of `loc` that the file really has."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return loc

    def problem(self, loc: Loc, message: str) -> Problem:
        return Problem(self.file, self.line(loc), dotted(loc), message)


def dotted(loc: Loc) -> str:
    """`("models", "auto", "rules", 0)` as people write it: `models.auto.rules[0]`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(path: Path, environ: Mapping[str, str]) -> Document:
    """The file at `path`. Raises nothing for what stands in it: `problems` says it, `data` is what could be read."""
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=_Loader)
    except OSError as exc:
        return _unreadable(file, 0, f"cannot be read: {exc.strerror or exc}")
    except UnicodeDecodeError as exc:
        return _unreadable(file, 0, f"is not UTF-8 text (byte {exc.start})")
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        return _unreadable(file, mark.line + 1 if mark else 1, f"not YAML: {exc.problem or exc.context}")
    except (yaml.YAMLError, ValueError) as exc:
        return _unreadable(file, 1, f"not YAML: {' '.join(str(exc).split())}")
    reader = _Reader(file, environ)
    data = reader.value(node, ()) if node is not None else {}
    return Document(file, data, reader.lines, reader.unset, tuple(reader.problems))


def _unreadable(file: str, line: int, message: str) -> Document:
    return Document(file, None, {}, {}, (Problem(file, line, "", message),))


class _Reader:
    """One walk over a node tree."""

    def __init__(self, file: str, environ: Mapping[str, str]) -> None:
        self.lines: dict[Loc, int] = {}
        self.unset: dict[Loc, str] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._environ = environ
        self._scalars = yaml.constructor.SafeConstructor()
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: yaml.Node, loc: Loc) -> object:
        self._count += 1
        if id(node) in self._open or self._count > _MAX_NODES:
            self._problem(node, loc, "an anchor stands inside itself" if id(node) in self._open else "too many values")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, loc)
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, loc)
            return self._scalar(node, loc)
        finally:
            self._open.discard(id(node))

    def _problem(self, node: yaml.Node, loc: Loc, message: str) -> None:
        # the key's own line where there is one: a node that an anchor repeats knows only where it first stood
        self.problems.append(Problem(self._file, self.lines.get(loc, node.start_mark.line + 1), dotted(loc), message))

    def _sequence(self, node: yaml.SequenceNode, loc: Loc) -> list[object]:
        items: list[object] = []
        for index, child in enumerate(node.value):
            self.lines[*loc, index] = child.start_mark.line + 1
            items.append(self.value(child, (*loc, index)))
        return items

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, object]:
        data: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, loc, "a key must be plain text")
                continue
            key = str(key_node.value)
            at = (*loc, key)
            if key == "<<":
                self._problem(key_node, at, "merge keys are not supported: write the values out")
            elif key in data:
                message = f"{key!r} stands here twice (first on line {self.lines[at]})"
                self.problems.append(Problem(self._file, key_node.start_mark.line + 1, dotted(at), message))
            else:
                self.lines[at] = key_node.start_mark.line + 1
                data[key] = self.value(value_node, at)
        return data

    def _scalar(self, node: yaml.Node, loc: Loc) -> object:
        text = str(node.value)
        if "${" in text:
            return self._substituted(node, text, loc)
        try:
            value: object = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as exc:
            kind = _KINDS.get(node.tag.rpartition(":")[2], "a known kind of value")
            reason = exc.problem if isinstance(exc, yaml.MarkedYAMLError) else None
            self._problem(node, loc, reason or f"{text!r} is not {kind}")
            return None
        return value

    def _substituted(self, node: yaml.Node, text: str, loc: Loc) -> EnvText:
        def fill(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            if match["bad"]:
                self._problem(node, loc, f"malformed variable in {text!r}: write ${{NAME}} or ${{NAME:-default}}")
            elif name is None:
                return "${"
            elif self._environ.get(name):
                return self._environ[name]
            elif default is not None:
                return default
            else:
                self.unset[loc] = name
            return ""

        return EnvText(_VARIABLE.sub(fill, text))
