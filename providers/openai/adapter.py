"""The adapter for OpenAI's wire: `/chat/completions`, `/images/generations`, `/images/edits`, `/embeddings`."""

import secrets
from collections.abc import Callable, Mapping, Sequence

import aiohttp
from msgspec import structs

from providers.base import Show
from providers.batches import in_batches
from providers.catalogue import Catalogue, EmbeddingCapabilities, lookup
from providers.errors import (
    BadResponseError,
    ContentBlockedError,
    ProviderError,
    StreamInterruptedError,
)
from providers.event_stream import EventStream, before_content, one_batch
from providers.fetch import Fetcher, fetch_result
from providers.forms import form_of
from providers.openai.azure import Deployments
from providers.openai.dialects import ImageDialect, to_dialect
from providers.openai.embeddings import from_embeddings, to_embeddings_body
from providers.openai.image_stream import ImageEvents
from providers.openai.images import (
    ImageAnswer,
    ImageItem,
    Spoken,
    from_images,
    image_warnings,
    spoken,
    to_edit_form,
    to_generation_body,
)
from providers.openai.request import request_warnings, to_chat_body
from providers.openai.response import error_from, from_chat_completion
from providers.openai.stream import ChunkTranslator, to_chunks
from providers.pictures import to_picture
from providers.results import those_delivered
from providers.sse import EventDecoder
from providers.statuses import may_be_billed
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
from providers.upstream import ByteStream, Upstream, dated
from providers.vectors import joined

_CHAT = "/chat/completions"

_error_from = dated(error_from)


class OpenAIProvider:
    """Any upstream that speaks OpenAI's wire. `upstream` holds its base URL (to `/v1`) and key.

    `fetcher` opens the URLs of pictures that come as such, at the upstream's own origin and at public hosts (with
    `result_hosts`: at those only); without one they count as not delivered. `is_foreign` says of a caller's tool call,
    by its id, that another provider has signed it. `dialect` is how its images wire departs from OpenAI's, if it does;
    `deployments` are those of Azure OpenAI, where it is one: only OpenAI's models make pictures there.
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
        dialect: ImageDialect | None = None,
        deployments: Deployments | None = None,
    ) -> None:
        self.name = name
        self._upstream = upstream
        self._models = models
        self._fetcher = fetcher
        self._result_hosts = result_hosts
        self._is_foreign = is_foreign
        self._dialect = dialect
        self._deployments = deployments

    async def complete(self, request: ChatRequest, model: str) -> ChatResponse:
        info = lookup(self._models, self.name, model)
        if request.stream:
            request = structs.replace(request, stream=False)
        path, name = self._address(_CHAT, model)
        body = to_chat_body(request, name, info, self._is_foreign)
        answer = await self._upstream.post(path, body, _error_from)
        return self._read(answer.body, model, answer.headers, request_warnings(request, info))

    async def stream(self, request: ChatRequest, model: str) -> ChatStream:
        info = lookup(self._models, self.name, model)
        if not request.stream:
            request = structs.replace(request, stream=True)
        path, name = self._address(_CHAT, model)
        body = to_chat_body(request, name, info, self._is_foreign)
        source = await self._upstream.stream(path, body, _error_from)
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
        path, name = self._address("/embeddings", model)

        async def ask(some: Sequence[str | tuple[int, ...]]) -> EmbeddingResponse:
            part = structs.replace(request, inputs=tuple(some))
            answer = await self._upstream.post(path, to_embeddings_body(part, name), _error_from)
            return from_embeddings(answer.body, part, model, info)

        try:
            return joined(await in_batches(inputs, able.max_inputs, ask))
        except ProviderError as error:
            error.provider = self.name
            raise

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        try:
            path, body, warnings = self._image_call(request, model)
            answer = await self._upstream.post(path, body, _error_from)
            return await self._pictures(from_images(answer.body, model=model), warnings)
        except ProviderError as error:
            self._mark(error)
            raise

    async def preview_images(self, request: ImageRequest, model: str, show: Show) -> ImageResponse:
        if self._dialect is not None or not self._spoken(model).gpt:
            return await self.images(request, model)
        events = ImageEvents(model)
        try:
            path, body, warnings = self._image_call(request, model, stream=True)
            async with await self._upstream.stream(path, body, _error_from) as source:
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
    ) -> tuple[str, bytes | aiohttp.FormData, tuple[str, ...]]:
        """The path and the body of one call, and the fields it has no place for."""
        info = lookup(self._models, self.name, model)
        if self._dialect is not None:
            asked = to_dialect(request, model, info, self._dialect)
            return asked.path, asked.body, asked.warnings
        called = self._spoken(model)
        warnings = image_warnings(request, called, info)
        if request.images:
            path, _ = self._address("/images/edits", model)
            return path, form_of(*to_edit_form(request, called, info, stream=stream)), warnings
        path, _ = self._address("/images/generations", model)
        return path, to_generation_body(request, called, info, stream=stream), warnings

    def _address(self, path: str, model: str) -> tuple[str, str]:
        """Where `path` lies for `model`, and the model's name there."""
        if self._deployments is None:
            return path, model
        return self._deployments.path(path, model), self._deployments.name_of(model)

    def _spoken(self, model: str) -> Spoken:
        if self._deployments is None:
            return spoken(model)
        return Spoken(name=self._deployments.picture_model(model), gpt=True)

    def _mark(self, error: ProviderError) -> None:
        error.provider = self.name
        if isinstance(error, ContentBlockedError):
            error.code = "moderation_blocked"  # as OpenAI's own images say it, whatever this upstream's word
        else:
            error.billed = error.billed or may_be_billed(error)

    async def _pictures(self, read: ImageAnswer, told: tuple[str, ...]) -> ImageResponse:
        """The pictures of an answer; broken ones among good ones become warnings beside those already `told`."""
        pictures, lost = await those_delivered(map(self._picture, read.items))
        return ImageResponse(
            model=read.model,
            images=tuple(pictures),
            usage=read.usage,
            reported_cost_usd=read.cost_usd,
            warnings=(*told, *lost),
            lost=len(lost),
        )

    async def _picture(self, item: ImageItem) -> GeneratedImage:
        return to_picture(await self._bytes_of(item), item.revised_prompt)

    async def _bytes_of(self, item: ImageItem) -> bytes:
        """The item's bytes. A URL is fetched without our key."""
        if item.data is not None:
            return item.data
        if item.error is not None:
            raise item.error
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


def _new_id() -> str:
    return secrets.token_hex(12)
