"""What arrives: when, how long, and by what luck at each target. Seeded; every strategy meets the same requests.

Lengths follow ServeGen's fit of production traffic: outputs exponential, inputs log-normal with a Pareto tail.
"""

import csv
import random
from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate, pairwise
from pathlib import Path

from msgspec import Struct

from router.errors import Problem, SettingsError
from router.routing.plan import Features

MODEL = "simulated"
STALL_SHARE = 0.01

_MEAN_OUTPUT_TOKENS = 250.0
_BROKEN_SHARE = 0.002
_LONGEST_PROMPT = 500_000
_LONGEST_OUTPUT = 8000


class Luck(Struct, frozen=True, gc=False):
    """How one request fares at one target: standard normal deviates, and whether it stalls or is refused."""

    ttft_z: float
    tpot_z: float
    stalls: bool
    broken: bool


class Arrival(Struct, frozen=True, gc=False):
    """One request: when it comes, what the planner knows of it, and what only the upstreams know.

    `replica` in [0, 1) says which of several routers it meets.
    """

    number: int
    at: float
    features: Features
    output_tokens: int
    luck: tuple[Luck, ...]
    replica: float


class Load(Struct, frozen=True, kw_only=True):
    """How requests arrive: `steps` of (from second, requests a second), gaps with coefficient of variation `cv`."""

    steps: tuple[tuple[float, float], ...]
    seconds: float
    cv: float = 1.0
    stream_share: float = 0.5


class Traced(Struct, frozen=True, gc=False):
    """One request of a recorded trace: seconds since its start, and tokens in and out."""

    at: float
    prompt_tokens: int
    output_tokens: int


def draw(load: Load, targets: int, seed: int, trace: tuple[Traced, ...] = ()) -> list[Arrival]:
    """The requests of one run; with a `trace`, its instants and lengths in place of drawn ones."""
    chance = random.Random(f"workload/{seed}")  # noqa: S311  a simulation
    known = trace or tuple(_drawn(load, chance))
    return [
        Arrival(
            number,
            each.at,
            Features(
                model=MODEL,
                prompt_bytes=4 * each.prompt_tokens,
                prompt_tokens=each.prompt_tokens,
                messages=1,
                stream=chance.random() < load.stream_share,
                affinity=chance.random(),
            ),
            each.output_tokens,
            tuple(luck(chance) for _ in range(targets)),
            chance.random(),
        )
        for number, each in enumerate(known)
    ]


def luck(chance: random.Random) -> Luck:
    """One draw for one request at one target."""
    return Luck(
        chance.gauss(0.0, 1.0),
        chance.gauss(0.0, 1.0),
        chance.random() < STALL_SHARE,
        chance.random() < _BROKEN_SHARE,
    )


def read_trace(path: Path, seconds: float) -> tuple[Traced, ...]:
    """The first `seconds` of a trace in the form of Azure's public LLM traces.

    CSV with the columns TIMESTAMP (date and time, any number of decimals), ContextTokens, GeneratedTokens. Raises
    SettingsError with the line that cannot be read.
    """
    found: list[Traced] = []
    started: datetime | None = None
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"} - set(rows.fieldnames or ())
        if missing:
            raise SettingsError([Problem(str(path), 1, "", f"the columns {', '.join(sorted(missing))} are missing")])
        for row in rows:
            try:
                when = datetime.fromisoformat(row["TIMESTAMP"][:26])  # Python reads microseconds, no finer
                lengths = max(0, int(row["ContextTokens"])), max(1, int(row["GeneratedTokens"]))
            except (TypeError, ValueError) as exc:
                raise SettingsError([Problem(str(path), rows.line_num, "", f"cannot be read: {exc}")]) from exc
            started = when if started is None else started
            at = (when - started).total_seconds()
            if at > seconds:
                break
            found.append(Traced(at, *lengths))
    return tuple(sorted(found, key=lambda each: each.at))


def _drawn(load: Load, chance: random.Random) -> Iterator[Traced]:
    shape = 1 / load.cv**2
    bounds = [*load.steps, (load.seconds, 0.0)]
    for (since, rate), (until, _) in pairwise(bounds):
        count = int((until - since) * rate * 2 + 100)
        gaps = (chance.gammavariate(shape, 1 / (rate * shape)) for _ in range(count))
        for at in accumulate(gaps, initial=since):
            if at >= until:
                break
            yield Traced(
                at, _prompt(chance), 1 + min(_LONGEST_OUTPUT, int(chance.expovariate(1 / _MEAN_OUTPUT_TOKENS)))
            )


def _prompt(chance: random.Random) -> int:
    tokens = chance.lognormvariate(6.4, 1.0) if chance.random() < 0.8 else 4000 * chance.paretovariate(1.3)
    return min(_LONGEST_PROMPT, int(tokens))
