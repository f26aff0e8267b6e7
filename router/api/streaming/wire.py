"""What a client's shape must be able to render, and what a streamed answer is to the code that sends it."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from providers.errors import ProviderError
from providers.streams import Batch
from providers.types import ChatChunk, ChatResponse, JsonValue, Usage


class Renderer(Protocol):
    """Renders one streamed answer as server-sent events. `finished` is empty until a reason for stopping was seen."""

    @property
    def finished(self) -> Collection[int]: ...

    def opening(self) -> bytes:
        """What comes before the first chunk."""

    def render(self, batch: Sequence[ChatChunk]) -> bytes:
        """The events of one batch; empty when it holds nothing a client should see."""

    def closing(self, usage: Usage, cost_usd: Decimal | None) -> bytes:
        """What ends a whole answer."""

    def failure(self, exc: ProviderError) -> bytes:
        """What ends an answer that broke off, so that SDKs raise."""


class Wire(Protocol):
    """One client's shape."""

    def whole(self, response: ChatResponse, cost_usd: Decimal | None) -> bytes:
        """The JSON of a plain answer."""

    def renderer(self, request_id: str, model: str, extra: Mapping[str, JsonValue]) -> Renderer:
        """For a stream that `model` answers; `extra`: see `ChatStream`."""

    def told(self, warnings: tuple[str, ...]) -> tuple[str, ...]:
        """The warnings of plan and provider, with the fields named as this client names them, beside its own."""


class Begun(Protocol):
    """A stream whose first content has arrived, see `PrimedStream`."""

    @property
    def first(self) -> Batch: ...

    @property
    def warnings(self) -> tuple[str, ...]: ...

    @property
    def model(self) -> str: ...

    @property
    def extra(self) -> Mapping[str, JsonValue]: ...

    def __aiter__(self) -> AsyncIterator[Batch]: ...

    async def aclose(self) -> None: ...
