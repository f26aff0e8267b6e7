"""The protocols every adapter fulfils. An adapter is handed its upstream client and table; it reads no environment."""

from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from providers.streams import ChatStream
from providers.types import (
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ImagePreview,
    ImageRequest,
    ImageResponse,
)

Show = Callable[[ImagePreview], Awaitable[None]]


@runtime_checkable
class ChatProvider(Protocol):
    """Answers chat requests. Both calls raise `ProviderError` and nothing else (cancellation passes through)."""

    name: str

    async def complete(self, request: ChatRequest, model: str) -> ChatResponse:
        """The whole answer of the upstream's `model`."""
        ...

    async def stream(self, request: ChatRequest, model: str) -> ChatStream:
        """An open stream: the upstream's status and headers have arrived and were good.

        The caller closes it with `aclose()`. Whatever ends it early raises `ProviderError` from the iteration.
        """
        ...


@runtime_checkable
class MediaLoader(Protocol):
    """A chat provider that must have the bytes of what messages name by URL."""

    async def load_media(self, request: ChatRequest) -> None:
        """Fetch them into `request.fetched`, so that no attempt waits for it. Raises `BadRequestError`."""
        ...


@runtime_checkable
class ImageProvider(Protocol):
    """Makes or edits pictures. Raises `ProviderError` and nothing else."""

    name: str

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        """At most `per_call` pictures of the upstream's `model`; the caller fans out."""
        ...


@runtime_checkable
class PreviewingProvider(Protocol):
    """An image provider with models that show a picture while they make it."""

    async def preview_images(self, request: ImageRequest, model: str, show: Show) -> ImageResponse:
        """Like `images`, for one picture; `show` is awaited with each of its previews, as they come.

        What fails after the first of them is a `StreamInterruptedError`, or what the upstream said.
        """
        ...


@runtime_checkable
class EmbeddingProvider(Protocol):
    """Turns texts into vectors. Raises `ProviderError` and nothing else."""

    name: str

    async def embeddings(self, request: EmbeddingRequest, model: str) -> EmbeddingResponse:
        """A vector for every input; more inputs than the upstream's `model` takes at once go in several calls."""
        ...
