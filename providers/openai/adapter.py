"""The adapter for OpenAI's wire: `/chat/completions`, `/images/generations`, `/images/edits`."""

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

import aiohttp
from msgspec import structs
from yarl import URL

from providers.catalogue import Catalogue, lookup
from providers.errors import (
    BadResponseError,
    ProviderError,
    StreamInterruptedError,
    UnavailableError,
    UpstreamTimeoutError,
)
from providers.openai.images import (
    FormFile,
    ImageItem,
    from_images,
    image_warnings,
    to_edit_form,
    to_generation_body,
    to_picture,
)
from providers.openai.request import request_warnings, to_chat_body
from providers.openai.response import error_from, from_chat_completion
from providers.openai.stream import ChunkTranslator, to_chunks
from providers.sse import EventDecoder
from providers.streams import Batch, ChatStream
from providers.types import ChatChunk, ChatRequest, ChatResponse, GeneratedImage, ImageRequest, ImageResponse
from providers.upstream import ByteStream, Upstream, UpstreamResponse

_CHAT = "/chat/completions"
_DRAIN_S = 0.1  # between [DONE] and the end of the body lies one packet; longer is not worth a connection
# Failures that left the upstream no chance to make a picture.
_NOT_BILLED = frozenset({"connect_refused", "connect_timeout", "dns", "tls", "protocol", "overloaded", "config"})


class OpenAIProvider:
    """Chat and pictures of any upstream that speaks OpenAI's wire. `upstream` holds its base URL (to `/v1`) and key."""

    def __init__(self, name: str, upstream: Upstream, models: Catalogue) -> None:
        self.name = name
        self._upstream = upstream
        self._models = models
        self._origin = URL(upstream.base_url).origin()

    async def complete(self, request: ChatRequest, model: str) -> ChatResponse:
        info = lookup(self._models, self.name, model)
        if request.stream:
            request = structs.replace(request, stream=False)
        answer = await self._upstream.post(_CHAT, to_chat_body(request, model, info), _error_from)
        return self._read(answer.body, model, answer.headers, request_warnings(request, info))

    async def stream(self, request: ChatRequest, model: str) -> ChatStream:
        info = lookup(self._models, self.name, model)
        if not request.stream:
            request = structs.replace(request, stream=True)
        source = await self._upstream.stream(_CHAT, to_chat_body(request, model, info), _error_from)
        warnings = request_warnings(request, info)
        try:
            if "json" in source.headers.get("content-type", ""):
                answer = self._read(await _whole(source), model, source.headers, warnings)
                batches = _Batches(source, self.name, whole=to_chunks(answer))
                model = answer.model
            else:
                batches = _Batches(source, self.name)
        except BaseException:
            await source.aclose()
            raise
        stream = ChatStream(batches, source.aclose, model=model, warnings=warnings)
        batches.stream = stream
        return stream

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        info = lookup(self._models, self.name, model)
        warnings = list(image_warnings(request, model))
        try:
            if request.images:
                form = _form(*to_edit_form(request, model, info))
                answer = await self._upstream.post("/images/edits", form, _error_from)
            else:
                body = to_generation_body(request, model, info)
                answer = await self._upstream.post("/images/generations", body, _error_from)
            return await self._pictures(answer, model, warnings)
        except ProviderError as error:
            error.provider = self.name
            error.billed = error.billed or _may_be_billed(error)
            raise

    async def _pictures(self, answer: UpstreamResponse, model: str, warnings: list[str]) -> ImageResponse:
        """The pictures of an answer; broken ones among good ones become warnings."""
        read = from_images(answer.body, model=model)
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
        """The item's bytes. A URL is fetched (with our key) from the upstream's own origin only."""
        if item.data is not None:
            return item.data
        url = _url(item.url)
        if url is None or url.origin() != self._origin:
            raise BadResponseError("the upstream's picture lies elsewhere", outcome="bad_image", billed=True)
        return (await self._upstream.get(item.url or "", _picture_error)).body

    def _read(self, body: bytes, model: str, headers: Mapping[str, str], warnings: tuple[str, ...]) -> ChatResponse:
        try:
            return from_chat_completion(body, model=model, new_id=_new_id, headers=headers, warnings=warnings)
        except ProviderError as error:
            error.provider = self.name
            raise


class _Batches:
    """The batches of one open answer: what one read brought, translated. Reads nothing ahead.

    An object with state, not a generator: one that is dropped half-way leaves nothing behind to clean up.
    """

    def __init__(self, source: ByteStream, provider: str, whole: list[ChatChunk] | None = None) -> None:
        self.stream: ChatStream | None = None  # told the model once, then let go of: no reference cycle
        self._source = source
        self._provider = provider
        self._decoder = EventDecoder()
        self._translator = ChunkTranslator(_new_id)
        self._ready = whole
        self._ended = whole is not None
        self._failure: ProviderError | None = None

    def __aiter__(self) -> "_Batches":
        return self

    async def __anext__(self) -> Batch:
        while True:
            if self._ready:
                batch, self._ready = self._ready, None
                return batch
            if self._failure is not None:
                failure, self._failure, self._ended = self._failure, None, True
                raise failure
            if self._ended:
                raise StopAsyncIteration
            await self._read()

    async def _read(self) -> None:
        """One read. Chunks that came before a failure in it are handed out first."""
        chunks: list[ChatChunk] = []
        try:
            data = await self._source.read()
            for event in self._decoder.feed(data):
                chunks += self._translator.feed(event)
            if not data:
                self._ended = True
                self._last(chunks)
        except ProviderError as error:
            self._fail(error, chunks)
        self._ready = chunks
        self._learn()
        if self._translator.done and not self._ended:
            self._ended = True
            await _drain(self._source)

    def _last(self, chunks: list[ChatChunk]) -> None:
        """What a missing last blank line held back, if it is a whole event, and the end."""
        for event in self._decoder.finish():
            if event.endswith((b"}", b"]")):
                chunks += self._translator.feed(event)
        chunks += self._translator.finish()

    def _fail(self, error: ProviderError, chunks: list[ChatChunk]) -> None:
        """Before the first content a broken stream is a failed attempt, which may be taken elsewhere; after it, not."""
        error.provider = self._provider
        if isinstance(error, StreamInterruptedError):
            if self._translator.finished:  # the answer is whole; only the farewell is missing
                self._ended = True
                chunks += self._translator.finish()
                return
            if not self._translator.produced:
                error = _before_content(error)
        elif self._translator.produced:
            error = StreamInterruptedError(error.message, provider=self._provider, outcome=error.outcome)
        error.billed = error.billed or self._translator.produced
        self._failure = error

    def _learn(self) -> None:
        if self.stream is not None and self._translator.model:
            self.stream.model = self._translator.model
            self.stream = None


async def _drain(source: ByteStream) -> None:
    """Read the rest after `[DONE]`, so that the connection can serve again; give up on an upstream that dawdles."""
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in source:
                pass
    except (TimeoutError, ProviderError):
        await source.aclose()


def _before_content(error: ProviderError) -> ProviderError:
    """An interruption of a stream that had brought nothing, as the failure of an attempt."""
    match error.outcome:
        case "stream_stall":
            message = "no content from the upstream in time"
            return UpstreamTimeoutError(message, provider=error.provider, outcome="ttft_timeout")
        case "stream_reset":
            return UnavailableError(error.message, provider=error.provider, outcome="reset")
    return BadResponseError(error.message, provider=error.provider, outcome=error.outcome)


async def _whole(source: ByteStream) -> bytes:
    try:
        return b"".join([data async for data in source])
    except StreamInterruptedError as error:
        raise _before_content(error) from error


def _form(texts: list[tuple[str, str]], files: list[FormFile]) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, text in texts:
        form.add_field(name, text)
    for file in files:
        form.add_field(file.field, file.data, filename=file.filename, content_type=file.mime)
    return form


def _error_from(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    return error_from(status, headers, body, datetime.now(UTC))


def _picture_error(status: int, _headers: Mapping[str, str], _body: bytes) -> ProviderError:
    message = "the upstream's picture could not be fetched"
    return BadResponseError(message, status=status, outcome="bad_image", billed=True)


def _may_be_billed(error: ProviderError) -> bool:
    """Whether the upstream may have made the picture before it failed: a 5xx, a lost answer, a timeout."""
    if error.outcome in _NOT_BILLED or error.status == 503:
        return False
    return isinstance(error, UnavailableError | UpstreamTimeoutError | BadResponseError)


def _url(text: str | None) -> URL | None:
    try:
        url = URL(text or "", encoded=True)  # a signed address must go out as it came
        return url if url.scheme in ("http", "https") and url.host and not url.user else None
    except ValueError:
        return None


def _new_id() -> str:
    return secrets.token_hex(12)
