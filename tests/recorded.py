"""Real recorded upstream traffic: where it lies, what there is, one exchange.

The folder is not part of the project. `TURNOUT_DATA` names the one that holds `recorded/`; without it a sibling of the
repository is tried. Tests that need it skip, with a reason, where it is absent.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

DATA = Path(os.environ.get("TURNOUT_DATA") or Path(__file__).resolve().parents[1] / "../shared")
ABSENT = "no recorded traffic here: set TURNOUT_DATA to the folder that holds recorded/"


class Exchange(Struct, frozen=True, kw_only=True):
    """One recorded request and its answer; `body` is the answer's, after content decoding."""

    id: str
    tags: tuple[str, ...]
    method: str
    path: str
    request: Any
    status: int
    headers: dict[str, str]
    body: bytes

    def __str__(self) -> str:
        return self.id


def present() -> bool:
    """Whether the recorded folder is there."""
    return (DATA / "recorded").is_dir()


def names(group: str) -> list[str]:
    """The ids of all exchanges of a group, sorted; [] where the folder is absent."""
    return sorted(path.stem for path in (DATA / "recorded" / group).glob("*.json"))


@cache
def load(group: str, name: str) -> Exchange:
    """One exchange."""
    raw = json.loads((DATA / "recorded" / group / f"{name}.json").read_text(encoding="utf-8"))
    request, response = raw["request"], raw["response"]
    body = response["body"]
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return Exchange(
        id=raw["id"],
        tags=tuple(raw["tags"]),
        method=request["method"],
        path=request["path"],
        request=request.get("body"),
        status=response["status"],
        headers=response["headers"],
        body=text.encode(),
    )
