"""The world that the agents of the Python frameworks work in, and the cases that are the same for all of them.

    python {framework}_cases.py WIRE ROUTER_BASE_URL API_KEY SANDBOX_URL

WIRE is "chat", for chat completions, or "responses", which the frameworks speak by default where they know both.
Prints one JSON object per case: `claim`, `error` (null, or what went wrong) and `usage`, the input and output tokens
that the framework counted. Nothing of a framework is changed but base URL and key, by OpenAI's environment variables.
All cases run in one event loop, because frameworks keep their connections.
"""

import asyncio
import json
import os
import sys
import traceback
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from agent_claims import LOOP, STREAMED_LOOP, STREAMED_TAKEOVER, TAKEOVER
from pydantic import BaseModel, Field

WIRE, BASE_URL, API_KEY, SANDBOX_URL = sys.argv[1:5]
os.environ.update(OPENAI_BASE_URL=BASE_URL, OPENAI_API_KEY=API_KEY)

CONVERSATIONS = json.loads((Path(__file__).parent / "conversations.json").read_text("utf-8"))
MODEL: str = CONVERSATIONS["model"]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Place(BaseModel):
    """Where somebody lives."""

    city: str = Field(description="Name of the city, in English")
    country: str | None = Field(default=None, description="ISO 3166 code")


class Stop(BaseModel):
    place: Place
    nights: int = Field(ge=1, le=14)
    by: Literal["train", "boat"]


class Journey(BaseModel):
    """A journey of a few stops."""

    title: str
    stops: list[Stop] = Field(min_length=1, max_length=3)
    budget: float | None = None


@dataclass
class Usage:
    """Tokens. Those of thinking are among the output."""

    input: int = 0
    output: int = 0
    thinking: int = 0

    def add(self, input_tokens: int, output_tokens: int, thinking: int) -> "Usage":
        assert input_tokens > 0, "usage was not counted"
        assert output_tokens > thinking >= 0, "usage was not counted"
        self.input += input_tokens
        self.output += output_tokens
        self.thinking += thinking
        return self


Case = Callable[[], Awaitable[Usage]]


@dataclass
class World:
    """What the tools of one conversation know and were asked. `broken_by` and `mended_by` are cities: being asked for
    the weather there ends, and restores, the service of Google.
    """

    broken_by: str = ""
    mended_by: str = ""
    asked: list[list[str]] = field(default_factory=list)

    def weather(self, city: str, unit: str) -> str:
        self.asked.append(["get_weather", city])
        assert unit in ("celsius", "fahrenheit"), unit
        if city == self.broken_by:
            faults({"fault": "status-503", "label": "google"})
        if city == self.mended_by:
            faults()
        return f"{len(city)} degrees in {city}"

    def population(self, place: Place) -> str:
        assert isinstance(place, Place)
        self.asked.append(["get_population", place.city])
        return f"{len(place.city)} millions in {place.city}"


class Agent(Protocol):
    """A conversation: remembers its turns as its framework does, and adds up the tokens that the framework counted."""

    usage: Usage

    async def ask(self, text: str) -> str:
        """The final text of a turn, after the tools it called. A streaming agent checks that it came in pieces."""


def faults(*rules: dict[str, Any]) -> None:
    """Put these rules in force at the simulated upstreams, and no others."""
    request = urllib.request.Request(f"{SANDBOX_URL}/__sandbox/faults", json.dumps(rules).encode(), method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


async def converse(world: World, agent: Agent, turns: list[dict[str, Any]]) -> Usage:
    """Every turn calls the right tools with the right arguments, step after step, and is answered from all results."""
    for turn in turns:
        world.asked.clear()
        text = await agent.ask(turn["ask"])
        wanted = [call for step in turn["steps"] for call in step]
        asked, start = [], 0
        for step in turn["steps"]:  # those of one step run at the same time
            asked += sorted(world.asked[start : start + len(step)], key=step.index)
            start += len(step)
        assert asked == wanted, f"{world.asked} instead of {wanted}"
        assert len(world.asked) == len(wanted), world.asked
        for name, city in wanted:
            known = f"{len(city)} {'degrees' if name == 'get_weather' else 'millions'} in {city}"
            assert known in text, f"{known!r} is not in {text!r}"
        assert text, "no answer"
    return agent.usage


def conversations(make: Callable[..., Agent]) -> dict[str, Case]:
    """The cases of conversations. `make(world, model, claim, stream)` gives an agent with both tools of the world,
    whose instructions are the claim.
    """
    takeover = CONVERSATIONS["takeover"]

    async def loop(claim: str, stream: bool) -> Usage:
        world = World()
        usage = await converse(world, make(world, MODEL, claim, stream), CONVERSATIONS["turns"])
        assert usage.thinking > 0, "the model thinks, and is asked with its signatures"
        return usage

    async def move(claim: str, stream: bool) -> Usage:
        world = World(takeover["broken_by"], takeover["mended_by"])
        try:
            return await converse(world, make(world, takeover["model"], claim, stream), takeover["turns"])
        finally:
            faults()

    return {
        LOOP: lambda: loop(LOOP, False),
        STREAMED_LOOP: lambda: loop(STREAMED_LOOP, True),
        TAKEOVER: lambda: move(TAKEOVER, False),
        STREAMED_TAKEOVER: lambda: move(STREAMED_TAKEOVER, True),
    }


def check_journey(journey: Any) -> None:
    assert type(journey) is Journey, repr(journey)


def check_seen(text: str) -> None:
    assert "1 picture(s)" in text, text


def run(cases: dict[str, Case]) -> None:
    asyncio.run(_run(cases))


async def _run(cases: dict[str, Case]) -> None:
    for claim, prove in cases.items():
        error, usage = None, Usage()
        try:
            usage = await prove()
        except Exception:
            error = traceback.format_exc()
        print(json.dumps({"claim": claim, "error": error, "usage": [usage.input, usage.output]}), flush=True)
