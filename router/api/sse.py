"""Chunks -> server-sent events in the exact framing that every measured SDK accepts."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

import orjson

from providers.errors import ProviderError
from providers.types import ChatChunk, JsonObject, JsonValue, Usage
from router.api.envelope import stream_error_event

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
_NOTHING: JsonObject = {}
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class ChunkRenderer:
    """Renders one answer's chunks: same id, `created` and `model` on each, the role chunk first, usage last.

    `extra` holds further top-level fields that every chunk carries (`service_tier`).
    With `include_usage` every chunk but the last says `"usage": null`, as OpenAI's do; without, none names it.
    """

    __slots__ = ("_head", "_started", "_tail", "_usage_tail", "_with_usage", "finished")

    def __init__(
        self,
        response_id: str,
        created: int,
        model: str,
        *,
        include_usage: bool,
        extra: Mapping[str, JsonValue] = MappingProxyType({}),
    ) -> None:
        shared = {"id": response_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + orjson.dumps({**shared, "system_fingerprint": None, **extra})[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._usage_tail = b'],"usage":'
        self._with_usage = include_usage
        self._started: set[int] = set()
        self.finished: set[int] = set()

    def opening(self) -> bytes:
        return b""

    def render(self, batch: Iterable[ChatChunk]) -> bytes:
        """The events of one batch; empty when it holds nothing a client should see."""
        events: list[bytes] = []
        head, tail = self._head, self._tail
        for chunk in batch:
            delta = chunk.delta
            index = chunk.index
            if "role" in delta:
                delta = {key: value for key, value in delta.items() if key != "role"}
            if not any(delta.values()):
                delta = _NOTHING
                if chunk.finish_reason is None:
                    continue
            if index not in self._started:
                self._started.add(index)
                events.append(head + _choice(index, _first_delta(delta), None, None, None) + tail)
            if delta:
                events.append(head + _choice(index, orjson.dumps(delta), None, None, chunk.logprobs) + tail)
            if chunk.finish_reason is not None:
                self.finished.add(index)
                events.append(
                    head + _choice(index, b"{}", chunk.finish_reason, chunk.native_finish_reason, None) + tail
                )
        return b"".join(events)

    def closing(self, usage: Usage, cost_usd: Decimal | None) -> bytes:
        """The end of a whole answer, after its usage where that was asked for."""
        return self.usage(usage, cost_usd) + DONE if self._with_usage else DONE

    def failure(self, exc: ProviderError) -> bytes:
        """The end of an answer that broke off."""
        return stream_error_event(exc)

    def usage(self, usage: Usage, cost_usd: Decimal | None) -> bytes:
        """The extra last chunk: no choices, the token counts."""
        return self._head + self._usage_tail + orjson.dumps(usage.to_openai(cost_usd)) + b"}\n\n"


def _first_delta(delta: dict[str, object] | object) -> bytes:
    if isinstance(delta, dict) and "tool_calls" in delta and not delta.get("content"):
        return b'{"role":"assistant","content":null,"refusal":null}'
    return b'{"role":"assistant","content":"","refusal":null}'


def _choice(index: int, delta: bytes, finish: str | None, native: str | None, logprobs: object) -> bytes:
    reason = b"null" if finish is None else orjson.dumps(finish)
    extra = b"" if native is None else b',"native_finish_reason":' + orjson.dumps(native)
    odds = b"null" if logprobs is None else orjson.dumps(logprobs)
    return b'{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b%b}' % (index, delta, odds, reason, extra)
