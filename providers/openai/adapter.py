"""The adapter for OpenAI's wire: `/chat/completions`, `/images/generations`, `/images/edits`, `/embeddings`."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import aiohttp
from msgspec import structs

from providers.base import Show
from providers.batches import in_batches
from providers.catalogue import Catalogue, EmbeddingCapabilities, lookup
from providers.errors import (
    BadResponseError,
    ProviderError,
    StreamInterruptedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.event_stream import EventStream, before_content, one_batch
from providers.fetch import Fetcher, fetch_result
from providers.openai.embeddings import from_embeddings, to_embeddings_body
from providers.openai.image_stream import ImageEvents
from providers.openai.images import (
    FormFile,
    ImageAnswer,
    ImageItem,
    from_images,
    image_warnings,
    is_gpt_image,
    to_edit_form,
    to_generation_body,
    to_picture,
)
from providers.openai.request import request_warnings, to_chat_body
from providers.openai.response import error_from, from_chat_completion
from providers.openai.stream import ChunkTranslator, to_chunks
from providers.sse import EventDecoder
from providers.streams import ChatStream
from providers.types import (
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    GeneratedImage,
    ImageRequest,
    ImageResponse,
)
from providers.upstream import ByteStream, Upstream
from providers.vectors import joined

_CHAT = "/chat/completions"
# Failures that left the upstream no chance to make a picture.
_NOT_BILLED = frozenset({"connect_refused", "connect_timeout", "dns", "tls", "protocol", "overloaded", "config"})


class OpenAIProvider:
    """Any upstream that speaks OpenAI's wire. `upstream` holds its base URL (to `/v1`) and key.

    `fetcher` opens the URLs of pictures that come as such, at the upstream's own origin and at public hosts (with
    `result_hosts`: at those only); without one they count as not delivered. `is_foreign` says of a caller's tool call,
    by its id, that another provider has signed it.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        models: Catalogue,
        fetcher: Fetcher | None = None,
        result_hosts: tuple[str, ...] = (),
        *,
        is_foreign: Callable[[str, str], bool] | None = None,
    ) -> None:
        self.name = name
        self._upstream = upstream
        self._models = models
        self._fetcher = fetcher
        self._result_hosts = result_hosts
        self._is_foreign = is_foreign

    async def complete(self, request: ChatRequest, model: str) -> ChatResponse:
        info = lookup(self._models, self.name, model)
        if request.stream:
            request = structs.replace(request, stream=False)
        body = to_chat_body(request, model, info, self._is_foreign)
        answer = await self._upstream.post(_CHAT, body, _error_from)
        return self._read(answer.body, model, answer.headers, request_warnings(request, info))

    async def stream(self, request: ChatRequest, model: str) -> ChatStream:
        info = lookup(self._models, self.name, model)
        if not request.stream:
            request = structs.replace(request, stream=True)
        body = to_chat_body(request, model, info, self._is_foreign)
        source = await self._upstream.stream(_CHAT, body, _error_from)
        warnings = request_warnings(request, info)
        if "json" in source.headers.get("content-type", ""):
            return await self._whole_as_stream(source, model, warnings)

        def learn(served: str) -> None:
            stream.model = served

        events = EventStream(source, ChunkTranslator(_new_id), self.name, learn)
        stream = ChatStream(events, source.aclose, model=model, warnings=warnings)
        return stream

    async def _whole_as_stream(self, source: ByteStream, model: str, warnings: tuple[str, ...]) -> ChatStream:
        """Some upstreams answer a request for a stream with a whole answer."""
        try:
            answer = self._read(await _whole(source), model, source.headers, warnings)
        except BaseException:
            await source.aclose()
            raise
        return ChatStream(one_batch(to_chunks(answer)), source.aclose, model=answer.model, warnings=warnings)

    async def embeddings(self, request: EmbeddingRequest, model: str) -> EmbeddingResponse:
        info = lookup(self._models, self.name, model)
        able = info.embedding or EmbeddingCapabilities()
        inputs: Sequence[str | tuple[int, ...]] = request.inputs

        async def ask(some: Sequence[str | tuple[int, ...]]) -> EmbeddingResponse:
            part = structs.replace(request, inputs=tuple(some))
            answer = await self._upstream.post("/embeddings", to_embeddings_body(part, model), _error_from)
            return from_embeddings(answer.body, part, model, info)

        try:
            return joined(await in_batches(inputs, able.max_inputs, ask))
        except ProviderError as error:
            error.provider = self.name
            raise

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        try:
            answer = await self._upstream.post(*self._image_call(request, model), _error_from)
            return await self._pictures(from_images(answer.body, model=model), image_warnings(request, model))
        except ProviderError as error:
            self._mark(error)
            raise

    async def preview_images(self, request: ImageRequest, model: str, show: Show) -> ImageResponse:
        if not is_gpt_image(model):
            return await self.images(request, model)
        events, warnings = ImageEvents(model), image_warnings(request, model)
        call = self._image_call(request, model, stream=True)
        try:
            async with await self._upstream.stream(*call, _error_from) as source:
                if "json" in source.headers.get("content-type", ""):
                    return await self._pictures(from_images(await _whole(source), model=model), warnings)
                await _follow(source, events, show)
            return await self._pictures(events.finish(), warnings)
        except ProviderError as error:
            error.billed = error.billed or events.shown
            self._mark(error)
            raise

    def _image_call(
        self, request: ImageRequest, model: str, *, stream: bool = False
    ) -> tuple[str, bytes | aiohttp.FormData]:
        """The path and the body of one call."""
        info = lookup(self._models, self.name, model)
        if request.images:
            return "/images/edits", _form(*to_edit_form(request, model, info, stream=stream))
        return "/images/generations", to_generation_body(request, model, info, stream=stream)

    def _mark(self, error: ProviderError) -> None:
        error.provider = self.name
        error.billed = error.billed or _may_be_billed(error)

    async def _pictures(self, read: ImageAnswer, told: tuple[str, ...]) -> ImageResponse:
        """The pictures of an answer; broken ones among good ones become warnings beside those already `told`."""
        warnings = list(told)
        pictures: list[GeneratedImage] = []
        failure: ProviderError | None = None
        for place, item in enumerate(read.items):
            try:
                pictures.append(to_picture(await self._bytes_of(item), item.revised_prompt))
            except ProviderError as error:
                failure = error
                warnings.append(f"data[{place}]=not delivered")
        if failure is not None and not pictures:
            raise failure
        return ImageResponse(
            model=read.model,
            images=tuple(pictures),
            usage=read.usage,
            reported_cost_usd=read.cost_usd,
            warnings=tuple(warnings),
        )

    async def _bytes_of(self, item: ImageItem) -> bytes:
        """The item's bytes. A URL is fetched without our key."""
        if item.data is not None:
            return item.data
        if self._fetcher is None:
            raise BadResponseError("the upstream's picture lies elsewhere", outcome="bad_image", billed=True)
        base_url = self._upstream.base_url
        return await fetch_result(self._fetcher, item.url or "", base_url=base_url, hosts=self._result_hosts)

    def _read(self, body: bytes, model: str, headers: Mapping[str, str], warnings: tuple[str, ...]) -> ChatResponse:
        try:
            return from_chat_completion(body, model=model, new_id=_new_id, headers=headers, warnings=warnings)
        except ProviderError as error:
            error.provider = self.name
            raise


async def _follow(source: ByteStream, events: ImageEvents, show: Show) -> None:
    """Read a streamed picture until it has come: what an upstream does with the connection afterwards is no matter."""
    decoder = EventDecoder()
    try:
        async for data in source:
            for event in decoder.feed(data):
                for preview in events.feed(event):
                    await show(preview)
            if events.complete:
                return
    except StreamInterruptedError as error:
        if events.shown:
            raise
        raise before_content(error) from error
    for event in decoder.finish():  # what a missing last blank line held back
        events.feed(event)


async def _whole(source: ByteStream) -> bytes:
    try:
        return b"".join([data async for data in source])
    except StreamInterruptedError as error:
        raise before_content(error) from error


def _form(texts: list[tuple[str, str]], files: list[FormFile]) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, text in texts:
        form.add_field(name, text)
    for file in files:
        form.add_field(file.field, file.data, filename=file.filename, content_type=file.mime)
    return form


def _error_from(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    return error_from(status, headers, body, datetime.now(UTC))


def _may_be_billed(error: ProviderError) -> bool:
    """Whether the upstream may have made the picture before it failed: a 5xx, a lost answer, a timeout."""
    if error.outcome in _NOT_BILLED or error.status == 503:
        return False
    return isinstance(error, UnavailableError | UpstreamTimeoutError | BadResponseError)


def _new_id() -> str:
    return secrets.token_hex(12)
