"""A streamed answer, event by event -> chunks. One translator per answer: it holds what one event must remember."""

import orjson

from providers.errors import BadResponseError, ProviderError, StreamInterruptedError
from providers.gemini.candidate import CandidateReader, Mint
from providers.gemini.failures import error_in_answer
from providers.gemini.finish import refusal_of
from providers.gemini.lenient import as_list, as_object, as_text
from providers.gemini.response import blocked_by, extra_of
from providers.gemini.translated import Reading
from providers.gemini.usage import usage_from_metadata
from providers.types import ChatChunk, JsonObject, JsonValue, Usage

_MAX_HELD = 64 * 1024 * 1024  # bytes of an array that came in pieces


class ChunkTranslator:
    """Events in, chunks out. The reason for stopping is held back until `finish`: calls may follow it, it may repeat.

    `model` is what the upstream says serves, None until it has said so; `extra` further top-level fields. Each event
    is one object, or an array of them (a stream without `alt=sse`, whole or cut at blank lines). Chunks carry the
    caller's choice `index`. `produced`: something to show has been given out.
    """

    def __init__(self, reading: Reading, mint: Mint, index: int = 0) -> None:
        self.model: str | None = None
        self.extra: JsonObject = {}
        self.produced = False
        self._reading = reading
        self._mint = mint
        self._index = index
        self._readers: dict[int, CandidateReader] = {}
        self._metadata: JsonObject = {}
        self._blocked: str | None = None
        self._held = b""

    @property
    def finished(self) -> bool:
        """Whether every choice has its reason for stopping: only the end of the stream is missing."""
        return bool(self._readers) and all(reader.native is not None for reader in self._readers.values())

    def feed(self, event: bytes) -> list[ChatChunk]:
        """The chunks of one event; the last of them carries the running usage.

        Raises what an error object stands for, and StreamInterruptedError (BadResponseError while nothing has been
        given out) for an event that is no JSON.
        """
        if self._held:
            event = self._held + b"\n" + event
        try:
            data = orjson.loads(event)
        except orjson.JSONDecodeError as exc:
            if event[:1] == b"[" and event != b"[DONE]" and len(event) <= _MAX_HELD:
                self._held = event
                return []
            if event == b"[DONE]":
                return []
            raise self._broken("the provider's stream holds an unreadable event", "stream_truncated") from exc
        self._held = b""
        if isinstance(data, dict):
            return self._object(data)
        chunks: list[ChatChunk] = []
        for item in as_list(data):
            chunks.extend(self._object(as_object(item)))
        return chunks

    def finish(self) -> list[ChatChunk]:
        """The last chunk of every choice. Raises StreamInterruptedError for a stream that ended without a reason,
        BadResponseError for an answer no client could use."""
        if self._held:
            raise self._broken("the provider's stream ended early", "stream_truncated")
        if not self._readers and self._blocked is not None:
            return self._blocked_chunks(self._blocked)
        if not self.finished:
            raise self._broken("the provider's stream ended early", "stream_truncated")
        chunks: list[ChatChunk] = []
        searches = 0
        for index, reader in sorted(self._readers.items()):
            end = reader.finish()
            searches += end.searches
            chunks.append(
                ChatChunk(
                    index=index,
                    delta=end.delta,
                    finish_reason=end.finish_reason,
                    native_finish_reason=end.native,
                    logprobs=end.logprobs,
                    usage=usage_from_metadata(self._metadata, searches),
                )
            )
        return chunks

    def _object(self, data: JsonObject) -> list[ChatChunk]:
        if data.get("error"):
            raise error_in_answer(data["error"])
        if self.model is None:
            self.model = as_text(data.get("modelVersion")) or None
        usage = self._usage(data)
        if "promptFeedback" in data and self._blocked is None:
            self._blocked = blocked_by(data)
        deltas: list[tuple[int, JsonObject]] = []
        candidates = data.get("candidates")
        if isinstance(candidates, list):
            for position, candidate in enumerate(candidates):
                if isinstance(candidate, dict):
                    self._candidate(candidate, position, deltas)
        if not deltas:
            return [ChatChunk(index=self._index, usage=usage)] if usage is not None else []
        last = len(deltas) - 1
        return [
            ChatChunk(index=index, delta=delta, usage=usage if position == last else None)
            for position, (index, delta) in enumerate(deltas)
        ]

    def _candidate(self, candidate: JsonObject, position: int, deltas: list[tuple[int, JsonObject]]) -> None:
        number = candidate.get("index")
        index = self._index + (number if isinstance(number, int) and number >= 0 else position)
        reader = self._readers.get(index)
        found = reader.feed(candidate) if reader else []
        if reader is None:
            reader = self._readers[index] = CandidateReader(self._reading, self._mint)
            found = reader.feed(candidate)
            has_call = bool(found) and "tool_calls" in found[0]
            deltas.append((index, {"role": "assistant", "content": None if has_call else ""}))
        if found:
            self.produced = True
            deltas.extend((index, delta) for delta in found)

    def _usage(self, data: JsonObject) -> Usage | None:
        """Counts are cumulative and may vanish from later events: per field, the last one present stands."""
        metadata = data.get("usageMetadata")
        if not isinstance(metadata, dict) or not metadata:
            return None
        if not self._metadata:
            self.extra = extra_of(data)
        self._metadata.update({key: value for key, value in metadata.items() if value is not None})
        return usage_from_metadata(self._metadata)

    def _blocked_chunks(self, reason: str) -> list[ChatChunk]:
        refusal: JsonValue = refusal_of(reason)
        return [
            ChatChunk(index=self._index, delta={"role": "assistant", "content": ""}),
            ChatChunk(
                index=self._index,
                delta={"refusal": refusal},
                finish_reason="content_filter",
                native_finish_reason=reason,
                usage=usage_from_metadata(self._metadata),
            ),
        ]

    def _broken(self, message: str, outcome: str) -> ProviderError:
        """While nothing has gone out another candidate can still be asked."""
        if self.produced:
            return StreamInterruptedError(message, outcome=outcome, billed=True)
        return BadResponseError(message, outcome=outcome, billed=True)
