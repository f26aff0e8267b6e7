"""A stream that mends itself: when it breaks, another candidate goes on with the text that was sent, once.

To whoever passes it on it is a stream like any other. Its breaks are failed attempts, and the candidates that are left
are asked by the same loop, inside the same deadline; a continuation whose seam is not certain has failed as well.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from providers.errors import ContinuationError, ProviderError, StreamInterruptedError
from providers.streams import Batch, PrimedStream, prime
from providers.timer import Limit
from providers.types import ChatChunk, JsonObject, JsonValue, Usage
from router.accounting.record import Joint
from router.api.chat_request import ParsedChat
from router.api.gateway import Exchange
from router.api.streaming.continuation import continuation
from router.api.streaming.gathering import Tally, unseen
from router.api.streaming.live import asked_of
from router.api.streaming.seam import LastWord, Seam
from router.routing.dispatch import AllAttemptsFailedError, dispatch
from router.routing.plan import Candidate, Outcome

_LEAST_IDLE_S = 10.0  # however little time is left: a shorter silence is no stall
_PLAIN = frozenset({"role", "content", "reasoning_content"})
_USUAL = _PLAIN | {"extra_content", "refusal"}  # what may come beside a text that goes on
_MAY_STOP_AT_ONCE = frozenset({"length", "content_filter"})


class MendingStream:
    """The stream of `outcome` and, behind a break of it, the one that goes on. `deadline`: no attempt begins later."""

    def __init__(self, exchange: Exchange, parsed: ParsedChat, outcome: Outcome[PrimedStream], deadline: float) -> None:
        self._exchange = exchange
        self._parsed = parsed
        self._stream = outcome.value
        self._deadline = deadline
        self._reads = aiter(self._stream)
        self._last_word: LastWord | None = LastWord()  # None: what comes passes as it is, and cannot be mended
        self._sent: list[str] = []
        self._thought = False
        self._tally = Tally()
        self._ended = False
        self._mended = False
        self._others = _unasked(exchange)
        self.warnings = self._stream.warnings
        self.first: Batch = self._passed(self._stream.first)

    @property
    def model(self) -> str:
        return self._stream.model

    @property
    def extra(self) -> Mapping[str, JsonValue]:
        return self._stream.extra

    def __aiter__(self) -> "MendingStream":
        return self

    async def __anext__(self) -> Batch:
        try:
            with Limit(self._idle_s()):
                batch = await anext(self._reads, None)
        except TimeoutError:
            error = StreamInterruptedError("the upstream stopped sending", outcome="stream_stall", billed=True)
            return await self._mend(error)
        except StreamInterruptedError as exc:
            return await self._mend(exc)
        if batch is not None:
            return self._passed(batch)
        if self._ended:
            raise StopAsyncIteration
        error = StreamInterruptedError(
            "the upstream's stream ended without a finish reason", outcome="stream_truncated"
        )
        return await self._mend(error)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _idle_s(self) -> float:
        """How long a silence may last: never all of the time left while somebody else could still be asked."""
        gateway = self._exchange.gateway
        idle_s = gateway.settings.routing.idle_timeout_s
        if self._last_word is None or not self._others:
            return idle_s
        return min(idle_s, max(_LEAST_IDLE_S, (self._deadline - gateway.health.now()) / 2))

    def _passed(self, batch: Batch) -> Batch:
        """What may be sent of a batch now."""
        self._tally.take(batch)
        change = self._continued if self._mended else self._begun
        return [change(chunk) for chunk in batch]

    def _begun(self, chunk: ChatChunk) -> ChatChunk:
        """Before a break: all but the last word, as long as the answer is plain text."""
        self._ended = self._ended or chunk.finish_reason is not None
        last_word = self._last_word
        if last_word is None:
            return chunk
        text = chunk.delta.get("content")
        shown = last_word.feed(text) if isinstance(text, str) else ""
        self._thought = self._thought or bool(chunk.delta.get("reasoning_content"))
        other = any(value for key, value in chunk.delta.items() if key not in _PLAIN) or chunk.index != 0
        if other or chunk.logprobs is not None or self._ended:
            shown += last_word.release()
            self._last_word = None
        self._sent.append(shown)
        return _saying(chunk, shown)

    def _continued(self, chunk: ChatChunk) -> ChatChunk:
        """After the seam: no second model's thoughts behind a text, and nothing of it that holds for its part alone."""
        self._ended = self._ended or chunk.finish_reason is not None
        if chunk.delta.keys() <= {"role", "content"}:
            return chunk
        delta = {key: value for key, value in chunk.delta.items() if key != "annotations"}
        thought = delta.pop("reasoning_content", None)
        if isinstance(thought, str) and thought and not any(self._sent):
            delta["reasoning_content"] = f"\n\n{thought}" if self._thought else thought
            self._thought = False
        if "extra_content" in delta:
            delta["extra_content"] = _unsigned(delta["extra_content"])
        return replace(chunk, delta=delta)

    async def _mend(self, error: StreamInterruptedError) -> Batch:
        """Ask the others to go on; the first batch of who does. Raises `error` when nobody can."""
        others, last_word = self._others, self._last_word
        sent = "".join(self._sent)
        health, record = self._exchange.gateway.health, self._exchange.record
        left_s = self._deadline - health.now()
        if last_word is None or not others or left_s <= 0 or (sent and last_word.gap is None):
            raise error
        self._last_word = None
        bill = self._tally.bill(self._parsed.features) or Usage(estimated=True)
        broken = record.break_off(error, bill, len(sent))
        health.interrupted(broken, error)
        health.written(broken)
        await self._stream.aclose()
        assert record.plan is not None
        rest = replace(record.plan, candidates=others, deadline_s=left_s)
        follower = _Follower(self._exchange, self._parsed, sent, last_word.gap or "")
        try:
            outcome = await dispatch(rest, follower, health, record.attempts)
        except (AllAttemptsFailedError, ProviderError) as exc:
            raise error from exc  # the client has seen the first break; why nobody could help is in the record
        record.rejoin(follower.joint)
        self._stream, self._reads = outcome.value, aiter(outcome.value)
        self._mended, self._tally = True, Tally()
        # the count so far is booked; what goes on has a count of its own
        return [ChatChunk(usage=Usage(estimated=True)), *self._passed(outcome.value.first)]


def _unasked(exchange: Exchange) -> tuple[Candidate, ...]:
    """The candidates that are left; one that stands alone may be asked again."""
    record = exchange.record
    assert record.plan is not None
    asked = {attempt.candidate.name for attempt in record.attempts}
    new = tuple(each for each in record.plan.candidates if each.name not in asked)
    if new or len(record.attempts) > 1:
        return new
    return tuple(each for each in record.plan.candidates if each.retry)


class _Follower:
    """Calls one candidate to go on behind `sent` until its seam is closed. Called, as dispatch calls.

    `joint` is how the last one was asked.
    """

    def __init__(self, exchange: Exchange, parsed: ParsedChat, sent: str, gap: str) -> None:
        self._exchange = exchange
        self._parsed = parsed
        self._sent = sent
        self._gap = gap
        self.joint: Joint = "afresh"

    async def __call__(self, candidate: Candidate) -> PrimedStream:
        record, tally = self._exchange.record, Tally()
        try:
            return await self._go_on(candidate, tally)
        except BaseException as exc:
            bill = tally.bill(self._parsed.features)
            if bill is not None:
                record.spend(len(record.attempts), candidate, bill)
            if isinstance(exc, StreamInterruptedError):
                raise unseen(exc) from exc
            raise

    async def _go_on(self, candidate: Candidate, tally: Tally) -> PrimedStream:
        asked = continuation(asked_of(candidate, self._parsed.request), candidate.info, self._sent, self._gap)
        self.joint = asked.joint
        provider = self._exchange.gateway.chat_providers[candidate.provider]
        stream = await prime(await provider.stream(asked.request, candidate.model))
        try:
            reads, shown = aiter(stream), list[ChatChunk]()
            batch: Batch | None = stream.first
            while batch is not None:
                tally.take(batch)
                shown += [self._joined(chunk, asked.seam) for chunk in batch]
                if asked.seam.closed or any(chunk.finish_reason for chunk in batch):
                    return stream.following(shown)
                batch = await anext(reads, None)
            raise StreamInterruptedError("the stream ended without a finish reason", outcome="stream_truncated")
        except BaseException as exc:
            if isinstance(exc, ContinuationError):
                exc.provider, exc.billed = candidate.provider, True
            await stream.aclose()
            raise

    def _joined(self, chunk: ChatChunk, seam: Seam) -> ChatChunk:
        """The chunk with what its text adds to the text that was sent."""
        if self._sent and any(value for key, value in chunk.delta.items() if key not in _USUAL):
            raise ContinuationError("the continuation is not a text")
        text = chunk.delta.get("content")
        shown = seam.feed(text) if isinstance(text, str) else ""
        if chunk.finish_reason is not None and not (seam.untouched and chunk.finish_reason in _MAY_STOP_AT_ONCE):
            shown += seam.finish()
        return _saying(chunk, shown)


def _saying(chunk: ChatChunk, text: str) -> ChatChunk:
    """The chunk with this text, which may be none."""
    said = chunk.delta.get("content")
    if said == text or (not said and not text):
        return chunk
    delta: JsonObject = {key: value for key, value in chunk.delta.items() if key != "content"}
    if text:
        delta["content"] = text
    return replace(chunk, delta=delta)


def _unsigned(extra: JsonValue) -> JsonValue:
    """Without the signature of a thought: clients would send it back with a text that is only in part its model's."""
    google = extra.get("google") if isinstance(extra, dict) else None
    if not isinstance(extra, dict) or not isinstance(google, dict):
        return extra
    rest: JsonObject = {key: value for key, value in google.items() if key != "thought_signature"}
    others: JsonObject = {key: value for key, value in extra.items() if key != "google"}
    return {**others, "google": rest} if rest else others or None
