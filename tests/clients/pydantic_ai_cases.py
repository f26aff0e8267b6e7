"""The claims of agent_claims.py with Pydantic AI, by `openai:` or by `openai-chat:`. See agent_world."""

from typing import Any, Literal

from agent_claims import PICTURE, STREAMED_TYPED, TYPED, TYPED_AFTER_CALLS, TYPED_BY_TOOL
from agent_world import MODEL, PNG, WIRE, Journey, Place, Usage, World, check_journey, check_seen, conversations, run
from pydantic_ai import Agent, BinaryContent, ModelMessage, NativeOutput, RunUsage

PROVIDER = "openai-chat" if WIRE == "chat" else "openai"


def add_tools(agent: Agent[None, Any], world: World) -> None:
    @agent.tool_plain
    def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
        """The weather in a city"""
        return world.weather(city, unit)

    @agent.tool_plain
    def get_population(place: Place) -> str:
        """How many people live in a place"""
        return world.population(place)


class Conversation:
    def __init__(self, world: World, model: str, claim: str, stream: bool) -> None:
        self._agent = Agent(f"{PROVIDER}:{model}", instructions=claim)
        add_tools(self._agent, world)
        self._history: list[ModelMessage] = []
        self._stream = stream
        self.usage = Usage()

    async def ask(self, text: str) -> str:
        if self._stream:
            return await self._ask_streaming(text)
        result = await self._agent.run(text, message_history=self._history)
        self._history = result.all_messages()
        count(self.usage, result.usage)
        return result.output

    async def _ask_streaming(self, text: str) -> str:
        async with self._agent.run_stream(text, message_history=self._history) as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
            assert len(pieces) > 4, "the text was not live"
            self._history = result.all_messages()
            count(self.usage, result.usage)
        return "".join(pieces)


def count(usage: Usage, counted: RunUsage) -> Usage:
    return usage.add(counted.input_tokens, counted.output_tokens, counted.details["reasoning_tokens"])


async def typed(output_type: Any) -> Usage:
    result = await Agent(f"{PROVIDER}:{MODEL}", output_type=output_type).run("Plan a journey")
    check_journey(result.output)
    return count(Usage(), result.usage)


async def streamed_typed() -> Usage:
    agent = Agent(f"{PROVIDER}:{MODEL}", output_type=Journey)
    async with agent.run_stream("Plan a journey") as result:
        check_journey([journey async for journey in result.stream_output(debounce_by=None)][-1])
        return count(Usage(), result.usage)


async def typed_after_calls() -> Usage:
    usage = Usage()
    for output_type, ending in ((Journey, "final_result for Rome"), (NativeOutput(Journey), "")):
        world = World()
        agent = Agent(f"{PROVIDER}:{MODEL}", output_type=output_type)
        add_tools(agent, world)
        result = await agent.run("get_weather in Oslo and Rome" + (f" then: {ending}" if ending else ""))
        assert sorted(world.asked) == [["get_weather", "Oslo"], ["get_weather", "Rome"]], world.asked
        check_journey(result.output)
        count(usage, result.usage)
    return usage


async def picture() -> Usage:
    seen = BinaryContent.from_data_uri(f"data:image/png;base64,{PNG}")
    result = await Agent(f"{PROVIDER}:{MODEL}").run(["what is it?", seen])
    check_seen(result.output)
    return count(Usage(), result.usage)


run(
    {
        **conversations(Conversation),
        PICTURE: picture,
        TYPED: lambda: typed(NativeOutput(Journey)),
        TYPED_BY_TOOL: lambda: typed(Journey),
        STREAMED_TYPED: streamed_typed,
        TYPED_AFTER_CALLS: typed_after_calls,
    }
)
