"""A streamed answer, event by event -> chunks. One translator per answer: it holds what one event must remember."""

import orjson

from providers.errors import BadResponseError, ProviderError, StreamInterruptedError
from providers.gemini.candidate import CandidateReader, Mint
from providers.gemini.failures import error_in_answer
from providers.gemini.finish import refusal_of
from providers.gemini.lenient import as_list, as_object, as_text
from providers.gemini.response import blocked_by, extra_of
from providers.gemini.signature_cache import NO_RECALL, Recall
from providers.gemini.translated import Reading
from providers.gemini.usage import tier_of, usage_from_metadata
from providers.types import ChatChunk, JsonObject, JsonValue, Usage

_MAX_HELD = 64 * 1024 * 1024  # bytes of an array that came in pieces


class ChunkTranslator:
    """Events in, chunks out. The reason for stopping is held back until `finish`: calls may follow it, it may repeat.

    `model` is what the upstream says serves, None until it has said so; `extra` further top-level fields (one object,
    filled in while reading); `index` the caller's choice that the upstream's first candidate stands for; `produced`:
    something to show has been given out.
    Each event is one object, or an array of them (a stream without `alt=sse`, whole or cut at blank lines).
    """

    def __init__(self, reading: Reading, mint: Mint, index: int = 0, recall: Recall = NO_RECALL) -> None:
        self.model: str | None = None
        self.extra: JsonObject = {}
        self.produced = False
        self._reading = reading
        self._mint = mint
        self._recall = recall
        self.index = index
        self._readers: dict[int, CandidateReader] = {}
        self._metadata: JsonObject = {}
        self._blocked: str | None = None
        self._held = b""

    @property
    def finished(self) -> bool:
        """Whether every choice has its reason for stopping: only the end of the stream is missing."""
        return bool(self._readers) and all(reader.native is not None for reader in self._readers.values())

    @property
    def done(self) -> bool:
        """Never: Google sends no end mark, the end of the body is the end."""
        return False

    @property
    def usage(self) -> Usage | None:
        """The tokens counted so far, None before the first count. Worked out when asked: once a read is enough."""
        return usage_from_metadata(self._metadata) if self._metadata else None

    def feed(self, event: bytes) -> list[ChatChunk]:
        """The chunks of one event. They carry no usage: `usage` has the running count.

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
        self._count(data)
        if "promptFeedback" in data and self._blocked is None:
            self._blocked = blocked_by(data)
        deltas: list[tuple[int, JsonObject]] = []
        candidates = data.get("candidates")
        if isinstance(candidates, list):
            for position, candidate in enumerate(candidates):
                if isinstance(candidate, dict):
                    self._candidate(candidate, position, deltas)
        return [ChatChunk(index=index, delta=delta) for index, delta in deltas]

    def _candidate(self, candidate: JsonObject, position: int, deltas: list[tuple[int, JsonObject]]) -> None:
        number = candidate.get("index")
        index = self.index + (number if isinstance(number, int) and number >= 0 else position)
        reader = self._readers.get(index)
        found = reader.feed(candidate) if reader else []
        if reader is None:
            reader = self._readers[index] = CandidateReader(self._reading, self._mint, self._recall)
            found = reader.feed(candidate)
            has_call = bool(found) and "tool_calls" in found[0]
            deltas.append((index, {"role": "assistant", "content": None if has_call else ""}))
        if found:
            self.produced = True
            deltas.extend((index, delta) for delta in found)

    def _count(self, data: JsonObject) -> None:
        """Counts are cumulative and may vanish from later events: per field, the last one present stands."""
        metadata = data.get("usageMetadata")
        if not isinstance(metadata, dict) or not metadata:
            return
        if not self._metadata:
            self.extra.update(extra_of(tier_of(metadata)))
        if None in metadata.values():
            metadata = {key: value for key, value in metadata.items() if value is not None}
        self._metadata.update(metadata)

    def _blocked_chunks(self, reason: str) -> list[ChatChunk]:
        refusal: JsonValue = refusal_of(reason)
        return [
            ChatChunk(index=self.index, delta={"role": "assistant", "content": ""}),
            ChatChunk(
                index=self.index,
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
