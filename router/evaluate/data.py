"""Prompts with the correctness of a weak and a strong model's answer, read from a CSV, plain or gzipped."""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path

import orjson
from msgspec import Struct

from router.api.chat_request import parse_chat
from router.routing.score import score_of
from router.settings.values import ClientKey

_NEEDED = ("source", "pair", "pid", "category", "weak", "strong", "prompt")
_SCOPE = {"type": "http", "headers": []}
_KEY = ClientKey(name="eval", secret="")
_LONGEST_FIELD = 64 * 1024 * 1024


class DataError(ValueError):
    """The file cannot be read as what it should be; the message names the line."""


class Sample(Struct, frozen=True, gc=False):
    """One prompt. `weak` and `strong` are 1.0 for a right answer; the characters of an answer are None where unknown.

    `score` is the router's own, of a chat request with this prompt as its only message.
    """

    source: str
    pair: str
    pid: str
    category: str
    weak: float
    strong: float
    weak_out: float | None
    strong_out: float | None
    length: int
    score: float


def read_samples(file: Path, pair: str = "") -> Iterator[Sample]:
    """The rows of `file` whose pair of models has `pair` in its name. Raises DataError, OSError."""
    csv.field_size_limit(_LONGEST_FIELD)
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8", newline="") as text:
        rows = csv.DictReader(text)
        try:
            missing = [name for name in _NEEDED if name not in (rows.fieldnames or ())]
            if missing:
                raise DataError(f"{file}: the columns {', '.join(missing)} are missing")
            for row in rows:
                if pair in (row["pair"] or ""):
                    yield _sample(row, f"{file}:{rows.line_num}")
        except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile) as exc:
            raise DataError(f"{file}:{rows.line_num}: {exc}") from exc


def score_prompt(prompt: str) -> float:
    """What the router's score is for a chat request with this prompt: the request is written and read as any other."""
    body = orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": prompt}]})
    return score_of(parse_chat(body, _SCOPE, _KEY).features).value


def _sample(row: dict[str, str | None], where: str) -> Sample:
    prompt = row["prompt"]
    if prompt is None:
        raise DataError(f"{where}: the row has fewer columns than the head")
    return Sample(
        source=row["source"] or "",
        pair=row["pair"] or "",
        pid=row["pid"] or "",
        category=row["category"] or "",
        weak=_share(row["weak"], f"{where}: weak"),
        strong=_share(row["strong"], f"{where}: strong"),
        weak_out=_count(row.get("weak_out_chars"), f"{where}: weak_out_chars"),
        strong_out=_count(row.get("strong_out_chars"), f"{where}: strong_out_chars"),
        length=len(prompt.encode("utf-8", "surrogatepass")),
        score=score_prompt(prompt),
    )


def _share(text: str | None, where: str) -> float:
    value = _number(text, where)
    if value is None or not 0 <= value <= 1:
        raise DataError(f"{where} must be between 0 and 1, got {text!r}")
    return value


def _count(text: str | None, where: str) -> float | None:
    value = _number(text, where) if text else None
    if value is not None and not 0 <= value < 1e12:
        raise DataError(f"{where} must be a number of characters, got {text!r}")
    return value


def _number(text: str | None, where: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError as exc:
        raise DataError(f"{where} must be a number, got {text!r}") from exc
