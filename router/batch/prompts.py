"""A file of prompts -> what is to be asked for, each with a key that stays the same from run to run. Pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import orjson
from msgspec import Struct

from providers.types import JsonValue
from router.errors import Problem, SettingsError

_SLUG = re.compile(r"[^a-z0-9]+")
_SLUG_LENGTH = 40


class Item(Struct, frozen=True):
    """One request. `number` counts from 1 in the order of the file, `fields` is the whole body.

    `key` is the same for the same body in the same batch: what is done is known by it, however lines move.
    """

    number: int
    fields: Mapping[str, JsonValue]
    key: str

    @property
    def prompt(self) -> str:
        return str(self.fields["prompt"])

    @property
    def stem(self) -> str:
        """The name of its files without their ending: readable, and unique in a batch."""
        slug = _SLUG.sub("-", self.prompt.lower())[:_SLUG_LENGTH].strip("-")
        return "-".join(part for part in (f"{self.number:04d}", slug, self.key[:6]) if part)


def read_items(text: str, name: str, usual: Mapping[str, JsonValue], batch: str) -> list[Item]:
    """A prompt a line; one that begins with `{` is a JSON object of fields for that request alone, `prompt` among them.

    Empty lines and those that begin with `#` are left out. `usual` are the fields of every request, `batch` makes the
    keys of one batch differ from another's. Raises SettingsError naming every line that cannot be read.
    """
    problems: list[Problem] = []
    bodies: list[Mapping[str, JsonValue]] = []
    for place, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _fields_of(stripped)
        if isinstance(found, str):
            problems.append(Problem(name, place, "", found))
        else:
            bodies.append({**usual, **found})
    if problems:
        raise SettingsError(problems)
    return _numbered(bodies, batch)


def _fields_of(line: str) -> Mapping[str, JsonValue] | str:
    """The fields that a line gives, or what is wrong with it."""
    if not line.startswith("{"):
        return {"prompt": line}
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        return f"is not JSON: {exc.msg}"
    prompt = fields.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        return "'prompt' must be a text"
    if fields.get("stream"):
        return "'stream' has no place in a batch"
    return {str(key): value for key, value in fields.items()}


def _numbered(bodies: Sequence[Mapping[str, JsonValue]], batch: str) -> list[Item]:
    seen: Counter[bytes] = Counter()
    items = []
    for number, body in enumerate(bodies, 1):
        content = orjson.dumps(dict(body), option=orjson.OPT_SORT_KEYS)
        seen[content] += 1  # the same prompt twice is two pictures
        digest = hashlib.sha256(b"%s/%d/%s" % (batch.encode(), seen[content], content)).hexdigest()
        items.append(Item(number, body, digest[:32]))
    return items
