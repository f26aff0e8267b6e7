"""Reading a stream that no client sees yet, so that any end of it but a good one is a failed attempt."""

from collections.abc import Sequence

from providers.errors import (
    BadResponseError,
    ProviderError,
    StreamInterruptedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.types import ChatChunk, Usage
from router.api.streaming.continuation import tokens_of
from router.routing.plan import Features


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


def unseen(error: StreamInterruptedError) -> ProviderError:
    """A break that no client has seen: the next candidate can be asked. It is billed all the same."""
    kind: type[ProviderError] = BadResponseError
    if error.outcome == "stream_stall":
        kind = UpstreamTimeoutError
    elif error.outcome == "stream_reset":
        kind = UnavailableError
    return kind(error.message, provider=error.provider, outcome=error.outcome, billed=True)
