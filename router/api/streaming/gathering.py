"""Reading a stream that no client sees yet, so that any end of it but a good one is a failed attempt."""

from collections.abc import Sequence

from providers.errors import (
    BadResponseError,
    ProviderError,
    StreamInterruptedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.types import ChatChunk, JsonObject, JsonValue, Usage
from router.api.streaming.continuation import tokens_of
from router.routing.plan import Features

_MAX_CALLS = 1024


class Tally:
    """What a stream has brought so far: its last token count, and enough of its length to estimate one."""

    __slots__ = ("_written", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self._written = 0

    def take(self, batch: Sequence[ChatChunk]) -> None:
        for chunk in batch:
            if chunk.usage is not None:
                self.usage = chunk.usage
            for key in ("content", "reasoning_content"):
                text = chunk.delta.get(key)
                if isinstance(text, str):
                    self._written += len(text)

    def bill(self, features: Features) -> Usage | None:
        """The tokens that were used up: counted, or estimated by the length of question and answer. None: none seen."""
        if self.usage is not None or not self._written:
            return self.usage
        tokens = tokens_of(self._written)
        return Usage(prompt_tokens=features.prompt_tokens, completion_tokens=tokens, estimated=True)


def joined(chunks: Sequence[ChatChunk]) -> list[JsonObject]:
    """What the chunks of a whole answer say together, as choices: text, calls, refusal and reason, nothing else."""
    choices: dict[int, JsonObject] = {}
    for chunk in chunks:
        choice = choices.setdefault(chunk.index, {"message": {"content": "", "tool_calls": []}, "finish_reason": None})
        message = choice["message"]
        assert isinstance(message, dict)
        for key, value in chunk.delta.items():
            if key == "tool_calls":
                _join_calls(message["tool_calls"], value)
            elif isinstance(value, str):
                said = message.get(key)
                message[key] = said + value if isinstance(said, str) else value
            elif value:
                message[key] = value
        choice["finish_reason"] = chunk.finish_reason or choice["finish_reason"]
    return list(choices.values())


def _join_calls(calls: JsonValue, delta: JsonValue) -> None:
    """Add a chunk's part of the calls to those so far: arguments come in pieces, told apart by their index."""
    assert isinstance(calls, list)
    for part in delta if isinstance(delta, list) else []:
        function = part.get("function") if isinstance(part, dict) else None
        place = part.get("index") if isinstance(part, dict) else None
        if not isinstance(function, dict) or not isinstance(place, int):
            continue
        while len(calls) <= place < _MAX_CALLS:
            calls.append({"function": {"arguments": ""}})
        call = calls[place] if 0 <= place < len(calls) else None
        known = call.get("function") if isinstance(call, dict) else None
        if isinstance(known, dict):
            known["arguments"] = f"{known['arguments']}{function.get('arguments') or ''}"


def unseen(error: StreamInterruptedError) -> ProviderError:
    """A break that no client has seen: the next candidate can be asked. It is billed all the same."""
    kind: type[ProviderError] = BadResponseError
    if error.outcome == "stream_stall":
        kind = UpstreamTimeoutError
    elif error.outcome == "stream_reset":
        kind = UnavailableError
    return kind(error.message, provider=error.provider, outcome=error.outcome, billed=True)
