"""Holding a document against its shape: every misfit as one line that names place, value and nearest valid name.

What does not fit is reported and left out, so that the rest can be checked in the same run.
"""

import copy
import difflib
import re
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from router.errors import Problem
from router.settings.document import Document, EnvText, Loc, dotted

S = TypeVar("S", bound=BaseModel)

_SECRET = {"api_key", "secret", "keys", "secret_access_key"}
_QUOTED = re.compile(r"'([^']*)'")
_PLAIN = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "decimal_type": "must be a number",
    "is_instance_of": "must be a number",
    "string_type": "must be text (quote it)",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
    "mapping_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "string_too_short": "must not be empty",
}


def validate(shape: type[S], document: Document) -> tuple[S, Document, list[Problem]]:
    """What of `document` fits `shape`, the document without the rest, and a problem for each part that does not fit."""
    data: object = {} if document.data is None else copy.deepcopy(document.data)
    if not isinstance(data, dict):
        return shape(), document, [document.problem((), f"must be a mapping, got {shown((), data)}")]
    problems: list[Problem] | None = None
    lines = dict(document.lines)
    while True:
        try:
            found = shape.model_validate(data)
        except ValidationError as exc:
            errors = exc.errors(include_url=False)
            if problems is None:
                problems = [_problem(shape, document, error) for error in errors]
            for loc in _misfits(data, errors):
                _remove(data, lines, loc)
        else:
            return found, Document(document.file, data, lines, document.unset, document.problems), problems or []


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name most like `name`, else a list of a few, else nothing."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name.lower(), [each.lower() for each in names], n=1, cutoff=0.5)
    if close:
        found = next(each for each in names if each.lower() == close[0])
        return f"; did you mean {found!r}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 12 else ""


def shown(loc: Loc, value: object) -> str:
    """`value` for a message: never a secret, never more than one short line."""
    if isinstance(value, EnvText):
        return "a value from the environment"
    if _SECRET.intersection(part for part in loc if isinstance(part, str)) and not isinstance(value, bool):
        return "a value that is not shown"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()  # as YAML writes it
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _problem(shape: type[BaseModel], document: Document, error: ErrorDetails) -> Problem:
    loc = tuple(error["loc"])
    if error["type"] == "missing":
        where = document.nearest(loc)
        return Problem(document.file, document.line(where), dotted(where), f"{loc[-1]!r} is missing")
    if error["type"] == "extra_forbidden":
        return document.problem(loc, f"unknown key {loc[-1]!r}{nearest(str(loc[-1]), _keys(shape, loc[:-1]))}")
    return document.problem(document.nearest(loc), _message(loc, error))


def _message(loc: Loc, error: ErrorDetails) -> str:
    kind, value = error["type"], error["input"]
    got = f", got {shown(loc, value)}"
    if kind == "literal_error":
        legal = _QUOTED.findall(str(error.get("ctx", {}).get("expected", "")))
        hint = nearest(value, legal) if isinstance(value, str) and not isinstance(value, EnvText) else ""
        return f"must be one of {', '.join(legal)}{got}{hint if 'did you mean' in hint else ''}"
    if kind == "two_units":
        return error["msg"]
    text = _PLAIN.get(kind) or error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return text + got


def _keys(shape: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the mapping at `loc` may have."""
    at: object = shape
    for part in loc:
        at = _model_in(at)
        if isinstance(at, type) and issubclass(at, BaseModel):
            field = at.model_fields.get(str(part))
            at = field.annotation if field else None
        else:
            arguments = get_args(at)
            at = arguments[-1] if arguments else None
    at = _model_in(at)
    return list(at.model_fields) if isinstance(at, type) and issubclass(at, BaseModel) else []


def _model_in(annotation: object) -> object:
    """`annotation` without the `Annotated[...]` and `... | None` around it."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        arguments = [each for each in get_args(annotation) if each is not type(None)]
        annotation = arguments[0]
    return annotation


def _misfits(data: dict[str, object], errors: Iterable[ErrorDetails]) -> list[Loc]:
    """The places to remove, last first: the value itself, or for a missing one the mapping that lacks it."""
    locs = {_existing(data, error["loc"][:-1] if error["type"] == "missing" else error["loc"]) for error in errors}
    outermost = [loc for loc in locs if not any(loc[:size] in locs for size in range(len(loc)))]
    return sorted(outermost, key=lambda loc: [(part if isinstance(part, int) else 0, str(part)) for part in loc])[::-1]


def _existing(data: object, loc: Loc) -> Loc:
    """The longest beginning of `loc` that leads to something in `data`."""
    for size, part in enumerate(loc):
        inside = _child(data, part)
        if inside is None:
            return loc[: size + 1] if isinstance(data, dict) and part in data else loc[:size]
        data = inside
    return loc


def _remove(data: dict[str, object], lines: dict[Loc, int], loc: Loc) -> None:
    """Takes the value at `loc` out; in a list the items behind it move up, and their lines with them."""
    if not loc:
        data.clear()
        return
    holder: Any = data
    for part in loc[:-1]:
        holder = holder[part]
    del holder[loc[-1]]
    index = loc[-1]
    if isinstance(index, int):
        depth = len(loc) - 1
        behind = sorted(
            (each for each in lines if each[:depth] == loc[:-1] and len(each) > depth and _after(each[depth], index)),
            key=len,
        )
        moved = {(*each[:depth], int(each[depth]) - 1, *each[depth + 1 :]): lines.pop(each) for each in behind}
        lines.update(moved)


def _after(part: str | int, index: int) -> bool:
    return isinstance(part, int) and part > index


def _child(holder: object, part: str | int) -> object:
    if isinstance(holder, dict):
        return holder.get(part)
    if isinstance(holder, list) and isinstance(part, int) and part < len(holder):
        return holder[part]
    return None
