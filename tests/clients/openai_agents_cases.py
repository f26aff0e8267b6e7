"""The claims of agent_claims.py with OpenAI's Agents SDK. See agent_world."""

from typing import Any, Literal

from agent_claims import PICTURE, STREAMED_TYPED, TYPED, TYPED_AFTER_CALLS
from agent_world import MODEL, PNG, WIRE, Journey, Place, Usage, World, check_journey, check_seen, conversations, run
from agents import (
    Agent,
    ModelSettings,
    Runner,
    Tool,
    TResponseInputItem,
    function_tool,
    set_default_openai_api,
    set_tracing_disabled,
)

if WIRE == "chat":
    set_default_openai_api("chat_completions")
set_tracing_disabled(True)  # traces would go to OpenAI itself


def tools(world: World) -> list[Tool]:
    @function_tool
    def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
        """The weather in a city"""
        return world.weather(city, unit)

    @function_tool
    def get_population(place: Place) -> str:
        """How many people live in a place"""
        return world.population(place)

    return [get_weather, get_population]


class Conversation:
    def __init__(self, world: World, model: str, claim: str, stream: bool) -> None:
        self._agent = Agent(
            name="Guide",
            instructions=claim,
            model=model,
            tools=tools(world),
            model_settings=ModelSettings(include_usage=True if stream else None),
        )
        self._history: list[TResponseInputItem] = []
        self._stream = stream
        self.usage = Usage()

    async def ask(self, text: str) -> str:
        asked: list[TResponseInputItem] = [*self._history, {"role": "user", "content": text}]
        result = await answer(self._agent, asked, stream=self._stream)
        self._history = result.to_input_list()
        count(self.usage, result)
        return str(result.final_output)


async def answer(agent: Agent[None], asked: str | list[TResponseInputItem], *, stream: bool = False) -> Any:
    if not stream:
        return await Runner.run(agent, asked)
    result = Runner.run_streamed(agent, asked)
    events = [event async for event in result.stream_events()]
    deltas = [
        event for event in events if event.type == "raw_response_event" and event.data.type.endswith("text.delta")
    ]
    assert len(deltas) > 4 or agent.output_type, "the text was not live"
    return result


def count(usage: Usage, result: Any) -> Usage:
    counted = result.context_wrapper.usage
    assert counted.total_tokens == counted.input_tokens + counted.output_tokens
    return usage.add(counted.input_tokens, counted.output_tokens, counted.output_tokens_details.reasoning_tokens)


async def typed(asked: str, world: World | None = None, stream: bool = False) -> Usage:
    agent = Agent(
        name="Guide",
        model=MODEL,
        output_type=Journey,
        tools=tools(world) if world else [],
        model_settings=ModelSettings(include_usage=True if stream else None),
    )
    result = await answer(agent, asked, stream=stream)
    check_journey(result.final_output)
    return count(Usage(), result)


async def typed_after_calls() -> Usage:
    world = World()
    usage = await typed("get_weather in Oslo and Rome", world)
    assert sorted(world.asked) == [["get_weather", "Oslo"], ["get_weather", "Rome"]], world.asked
    return usage


async def picture() -> Usage:
    asked: Any = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "what is it?"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
            ],
        }
    ]
    result = await answer(Agent(name="Guide", model=MODEL), asked)
    check_seen(result.final_output)
    return count(Usage(), result)


run(
    {
        **conversations(Conversation),
        PICTURE: picture,
        TYPED: lambda: typed("Plan a journey"),
        STREAMED_TYPED: lambda: typed("Plan a journey", stream=True),
        TYPED_AFTER_CALLS: typed_after_calls,
    }
)
