"""The claims of agent_claims.py with LangChain: ChatOpenAI and the loop of `create_agent`. See agent_world."""

from typing import Any, Literal

from agent_claims import PICTURE, TYPED, TYPED_AFTER_CALLS, TYPED_BY_TOOL
from agent_world import MODEL, PNG, WIRE, Journey, Place, Usage, World, check_journey, check_seen, conversations, run
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.tools import BaseTool, tool
from langchain_openai import ChatOpenAI


def chat(model: str, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model=model, use_responses_api=WIRE == "responses", **more)


def tools(world: World) -> list[BaseTool]:
    @tool
    def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
        """The weather in a city"""
        return world.weather(city, unit)

    @tool
    def get_population(place: Place) -> str:
        """How many people live in a place"""
        return world.population(place)

    return [get_weather, get_population]


class Conversation:
    def __init__(self, world: World, model: str, claim: str, stream: bool) -> None:
        self._agent = create_agent(chat(model, stream_usage=True), tools(world), system_prompt=claim)
        self._messages: list[BaseMessage] = []
        self._stream = stream
        self.usage = Usage()

    async def ask(self, text: str) -> str:
        before = len(self._messages) + 1
        state: Any = {"messages": [*self._messages, HumanMessage(text)]}
        if self._stream:
            pieces = []
            async for mode, found in self._agent.astream(state, stream_mode=["messages", "values"]):
                if mode == "values":
                    state = found
                elif isinstance(found[0], AIMessageChunk):
                    pieces.append(found[0])
            assert sum(bool(piece.text) for piece in pieces) > 4, "the text was not live"
        else:
            state = self._agent.invoke(state)
        self._messages = state["messages"]
        count(self.usage, self._messages[before:])
        return self._messages[-1].text


def count(usage: Usage, messages: list[BaseMessage]) -> Usage:
    for message in messages:
        if isinstance(message, AIMessage):
            counted = message.usage_metadata
            assert counted is not None
            assert counted["total_tokens"] == counted["input_tokens"] + counted["output_tokens"]
            usage.add(counted["input_tokens"], counted["output_tokens"], counted["output_token_details"]["reasoning"])
    return usage


async def typed(method: Literal["json_schema", "function_calling"]) -> Usage:
    asked = chat(MODEL).with_structured_output(Journey, method=method, include_raw=True)
    answer: Any = asked.invoke("Plan a journey")
    assert answer["parsing_error"] is None, answer
    check_journey(answer["parsed"])
    return count(Usage(), [answer["raw"]])


async def typed_after_calls() -> Usage:
    world = World()
    agent = create_agent(chat(MODEL), tools(world), response_format=Journey)
    state = agent.invoke({"messages": [HumanMessage("get_weather in Oslo and Rome then: Journey to Rome")]})
    assert sorted(world.asked) == [["get_weather", "Oslo"], ["get_weather", "Rome"]], world.asked
    check_journey(state["structured_response"])
    return count(Usage(), state["messages"])


async def picture() -> Usage:
    content: Any = [{"type": "text", "text": "what is it?"}, {"type": "image", "base64": PNG, "mime_type": "image/png"}]
    answer = chat(MODEL).invoke([HumanMessage(content)])
    check_seen(answer.text)
    return count(Usage(), [answer])


run(
    {
        **conversations(Conversation),
        PICTURE: picture,
        TYPED: lambda: typed("json_schema"),
        TYPED_BY_TOOL: lambda: typed("function_calling"),
        TYPED_AFTER_CALLS: typed_after_calls,
    }
)
