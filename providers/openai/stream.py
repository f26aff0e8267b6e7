"""Events of a streamed chat answer -> ChatChunks. Pure; one translator per answer."""

import orjson

from providers.errors import BadResponseError, ProviderError, StreamInterruptedError, UnavailableError
from providers.openai.calls import CallTranslator
from providers.openai.errors import inner_error
from providers.openai.response import FAILED_FINISHES, NewId, content_of, finish_of
from providers.openai.usage import usage_from
from providers.types import ChatChunk, ChatResponse, JsonObject, JsonValue, Usage


class ChunkTranslator:
    """What one chunk must remember for the next.

    `model` is what the upstream says serves, once known; `produced` whether there was content (from then on a failure
    is StreamInterruptedError); `done` whether the answer is over and what follows is ignored; `finished` whether every
    choice seen so far has its finish reason.
    """

    def __init__(self, new_id: NewId) -> None:
        self.model = ""
        self.produced = False
        self.done = False
        self.usage: Usage | None = None  # stays so: the count travels in the chunks
        self._new_id = new_id
        self._open: dict[int, bool] = {}  # choice -> still unfinished
        self._held: list[ChatChunk] = []
        self._calls: dict[int, CallTranslator] = {}

    @property
    def finished(self) -> bool:
        return self.done or (bool(self._open) and not any(self._open.values()))

    def feed(self, event: bytes) -> list[ChatChunk]:
        """The chunks of one event's data. Raises what an error event means, or a parse failure."""
        if self.done:
            return []
        try:
            data = orjson.loads(event)
        except orjson.JSONDecodeError as exc:
            if event.strip() == b"[DONE]":
                return self._end()
            raise self._failure(BadResponseError("the upstream's event is not JSON", outcome="parse")) from exc
        if type(data) is not dict or "choices" not in data or "error" in data:
            data = self._checked(data)
        if not self.model and isinstance(data.get("model"), str):
            self.model = data["model"]
        chunks: list[ChatChunk] = []
        choices = data.get("choices")
        for choice in choices if type(choices) is list else ():
            self._choice(choice, chunks)
        usage = data.get("usage")
        if type(usage) is dict:
            chunks.append(ChatChunk(usage=usage_from(usage)))
        return chunks

    def finish(self) -> list[ChatChunk]:
        """The end of the bytes. Without `[DONE]` it is an end only when every choice has its finish reason.

        Raises StreamInterruptedError (`stream_truncated`), or BadResponseError (`empty`) when there was no content.
        """
        if self.done:
            return []
        if self.finished:
            return self._end()
        if self.produced:
            raise StreamInterruptedError("the upstream's stream broke off", outcome="stream_truncated", billed=True)
        raise BadResponseError("the upstream's stream held no content", outcome="empty")

    def _choice(self, choice: JsonValue, chunks: list[ChatChunk]) -> None:
        if type(choice) is not dict:
            return
        place = choice.get("index")
        index = place if type(place) is int else 0
        new = index not in self._open
        if new:
            self._open[index] = True
        raw = choice.get("delta")
        finish = choice.get("finish_reason")
        delta = self._delta(raw, index, new=new) if type(raw) is dict and raw else {}
        if delta:
            chunk = ChatChunk(delta=delta, index=index, logprobs=choice.get("logprobs"))
            self.produced = self.produced or chunk.has_content
            chunks.append(chunk)
        if choice.get("error"):
            raise self._failure(inner_error(choice))
        if finish and self._open[index]:
            self._finish(finish, index, chunks)

    def _delta(self, raw: JsonObject, index: int, *, new: bool) -> JsonObject:
        """The delta without nulls, without a second role and with its calls repaired."""
        if not new and len(raw) == 1 and type(raw.get("content")) is str:
            return raw if raw["content"] else {}
        delta: JsonObject = {key: value for key, value in raw.items() if value is not None}
        if not new:
            delta.pop("role", None)
        elif "role" in delta:
            delta["role"] = "assistant"
        if "content" in delta and type(delta["content"]) is not str:
            delta["content"] = content_of(delta["content"])
        if "reasoning" in delta:
            reasoning = delta.pop("reasoning")
            if isinstance(reasoning, str):
                delta.setdefault("reasoning_content", reasoning)
        if "tool_calls" in delta:
            calls = delta.pop("tool_calls")
            repaired = self._calls_of(index).feed(calls) if isinstance(calls, list) else None
            if repaired:
                delta["tool_calls"] = repaired
        return delta if new or any(delta.values()) else {}

    def _calls_of(self, index: int) -> CallTranslator:
        calls = self._calls.get(index)
        if calls is None:
            calls = self._calls[index] = CallTranslator(self._new_id)
        return calls

    def _finish(self, native: JsonValue, index: int, chunks: list[ChatChunk]) -> None:
        if isinstance(native, str) and native in FAILED_FINISHES:
            raise self._failure(UnavailableError("the upstream gave up on the answer", billed=True))
        self._open[index] = False
        calls = self._calls.get(index)
        reason = finish_of(native, calls=bool(calls))
        chunk = ChatChunk(
            index=index,
            finish_reason=reason,
            native_finish_reason=native if isinstance(native, str) and native != reason else None,
        )
        if not self.produced and reason == "stop":
            self._held.append(chunk)  # some send it ahead of all content: it counts only once nothing follows
            return
        self._close_calls(index, chunks)
        chunks.append(chunk)

    def _end(self) -> list[ChatChunk]:
        """Every choice gets its end: `[DONE]` says the answer is whole, even where the reason was forgotten."""
        self.done = True
        chunks: list[ChatChunk] = []
        for held in self._held:
            self._open[held.index] = True
        for index, unfinished in self._open.items():
            if unfinished and self.produced:
                self._close_calls(index, chunks)
                chunks.append(ChatChunk(index=index, finish_reason=finish_of("stop", calls=index in self._calls)))
        return chunks or self._held

    def _close_calls(self, index: int, chunks: list[ChatChunk]) -> None:
        calls = self._calls.get(index)
        rest = calls.close() if calls is not None else []
        if rest:
            chunks.append(ChatChunk(delta={"tool_calls": rest}, index=index))

    def _checked(self, data: JsonValue) -> JsonObject:
        """`data` as an object that is no error; an array of one is unwrapped (Google's unframed errors)."""
        if isinstance(data, list) and len(data) == 1:
            data = data[0]
        if not isinstance(data, dict):
            raise self._failure(BadResponseError("the upstream's event is not an object", outcome="parse"))
        if data.get("error") or data.get("object") == "error" or data.get("type") == "error":
            raise self._failure(inner_error(data))
        return data

    def _failure(self, error: ProviderError) -> ProviderError:
        """`error` before the first content; after it, an interruption, which is never taken elsewhere."""
        if not self.produced:
            return error
        return StreamInterruptedError(
            "the upstream failed in the middle of its answer", status=error.status, outcome=error.outcome, billed=True
        )


def to_chunks(response: ChatResponse) -> list[ChatChunk]:
    """A whole answer as one batch of chunks: for an upstream that answers a stream request with plain JSON."""
    chunks: list[ChatChunk] = []
    for choice in response.choices:
        message, index = choice["message"], choice["index"]
        assert isinstance(message, dict)
        assert isinstance(index, int)
        delta: JsonObject = {key: value for key, value in message.items() if value is not None}
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            delta["tool_calls"] = [{**call, "index": i} for i, call in enumerate(calls) if isinstance(call, dict)]
        finish, native = choice["finish_reason"], choice.get("native_finish_reason")
        chunks.append(ChatChunk(delta=delta, index=index, logprobs=choice.get("logprobs")))
        chunks.append(
            ChatChunk(
                index=index,
                finish_reason=finish if isinstance(finish, str) else "stop",
                native_finish_reason=native if isinstance(native, str) else None,
            )
        )
    chunks.append(ChatChunk(usage=response.usage))
    return chunks
