"""litellm's stream of chunk objects as the event stream that every adapter's reader knows."""

from collections.abc import AsyncIterator
from typing import Any

import orjson

from providers.errors import StreamInterruptedError
from providers.litellm_sdk.errors import error_of
from providers.types import JsonObject, JsonValue

_OURS = frozenset({"provider_specific_fields"})  # of litellm's own making; clients know no such field


class ChunkSource:
    """Reads one chunk at a time; what it gives are the bytes of server-sent events.

    litellm ends a stream that broke off with an invented `stop`: that one is a StreamInterruptedError here. Raises
    ProviderError and nothing else.
    """

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper
        self._finished = False

    async def read(self) -> bytes:
        """The next event; `[DONE]` once, then b""."""
        if self._wrapper is None:
            return b""
        try:
            chunk = await anext(self._wrapper)
        except StopAsyncIteration:
            await self.aclose()
            return b"data: [DONE]\n\n"
        except Exception as exc:  # whatever it is, the attempt has failed: the library lets anything through
            if self._finished:  # nothing of the answer is missing
                raise StreamInterruptedError("the provider's stream broke off behind its end") from exc
            raise error_of(exc) from exc
        event = plain(chunk)
        self._finished = self._finished or _finishes(event)
        if self._finished and not self._has_finish():
            raise StreamInterruptedError(
                "the provider's stream ended without a finish reason", outcome="stream_truncated"
            )
        return b"data: " + orjson.dumps(event) + b"\n\n"

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Drop the connection: an answer given up half-way must stop costing tokens."""
        wrapper, self._wrapper = self._wrapper, None
        if wrapper is not None:
            await wrapper.aclose()

    def _has_finish(self) -> bool:
        names = ("received_finish_reason", "intermittent_finish_reason")
        return any(getattr(self._wrapper, name, None) for name in names)


def plain(answer: Any) -> JsonObject:
    """An answer object as OpenAI's JSON: no nulls, and none of litellm's own fields."""
    # `warnings`: providers send values that litellm's models do not foresee, and every one would be a line in the log
    dumped: JsonObject = answer.model_dump(exclude_none=True, warnings=False)
    return {name: _clean(value) for name, value in dumped.items()}


def _clean(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _clean(each) for name, each in value.items() if name not in _OURS}
    return [_clean(each) for each in value] if isinstance(value, list) else value


def _finishes(event: JsonObject) -> bool:
    choices = event.get("choices")
    return isinstance(choices, list) and any(isinstance(each, dict) and each.get("finish_reason") for each in choices)
