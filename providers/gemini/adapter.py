"""The adapter for Google's Gemini API: translate, send, translate back. All decisions stand in the pure modules."""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
import orjson
from msgspec import Struct

from providers.batches import all_or_none, in_batches
from providers.catalogue import Catalogue, ModelInfo, lookup
from providers.errors import AuthenticationError, BadRequestError, ProviderError, UnsupportedFieldError
from providers.event_stream import EventStream
from providers.fetch import Fetcher
from providers.gemini import fields
from providers.gemini.credentials import TokenSource
from providers.gemini.embeddings import MAX_PER_CALL, from_batch_embed, to_batch_embed
from providers.gemini.failures import error_from
from providers.gemini.images import from_image_content, to_image_content
from providers.gemini.interleaved import Interleaved
from providers.gemini.media import inlined, load_media, names_media
from providers.gemini.request import to_generate_content
from providers.gemini.response import from_generate_content
from providers.gemini.signature_cache import Recall, SignatureCache
from providers.gemini.stream import ChunkTranslator
from providers.gemini.terms import USUAL, Terms
from providers.gemini.translated import Translated
from providers.statuses import is_answer_lost
from providers.streams import ChatStream
from providers.types import (
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ImageRequest,
    ImageResponse,
    JsonObject,
    Usage,
)
from providers.upstream import ByteStream, Upstream, UpstreamResponse
from providers.vectors import joined

_MAX_CHOICES = 8
_NOT_GOOGLES = (None, 524)
T = TypeVar("T")

_PREFIXES = ("google/", "gemini/", "models/")
# A model id stands in a URL path: nothing in it may end the segment or climb out of it.
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")


class _Target(Struct, frozen=True):
    """What holds for every request to one model: its id in Google's URLs and their path, what it takes, and where its
    thought signatures are valid."""

    model: str
    path: str
    info: ModelInfo
    origin: str


class GeminiProvider:
    """Chat and pictures by `generateContent`. A key is a fixed header (`x-goog-api-key`) of `upstream`; `tokens` gives
    Google Cloud's headers instead. `terms` say which API it is and what the operator chose. `signatures` remembers what
    clients lose; several providers may share it.

    `models` describes what each model takes; `media` fetches what messages name by URL (None: such messages are
    refused). Raises ProviderError and nothing else; cancellation passes through.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        models: Catalogue,
        media: Fetcher | None = None,
        *,
        terms: Terms = USUAL,
        tokens: TokenSource | None = None,
        signatures: SignatureCache | None = None,
    ) -> None:
        self.name = name
        self._upstream = upstream
        self._models = models
        self._media = media
        self._terms = terms
        self._tokens = tokens
        self._signatures = signatures
        self._known: dict[str, _Target] = {}

    async def load_media(self, request: ChatRequest) -> None:
        """Fetch what the messages name by URL, once for all attempts. Raises BadRequestError naming the part."""
        if self._media is not None:
            await load_media(request, self._media)

    async def complete(self, request: ChatRequest, model: str) -> ChatResponse:
        """The whole answer. `n` choices are as many concurrent calls; one that fails ends them all."""
        try:
            target = self._target(model)
            count = _choices(request)
            if names_media(request):
                request = await self._with_media(request)
            recall = self._recall(request, target)
            translated = to_generate_content(request, target.info, self._terms, recall)
            body = _encoded(translated.body)
            if count == 1:
                return await self._one(body, translated, recall, target)
            return _merged(await all_or_none([self._one(body, translated, recall, target) for _ in range(count)]))
        except ProviderError as exc:
            exc.provider = exc.provider or self.name
            raise

    async def stream(self, request: ChatRequest, model: str) -> ChatStream:
        """An open stream. `n` choices are as many upstream streams, interleaved by index."""
        try:
            target = self._target(model)
            count = _choices(request)
            if names_media(request):
                request = await self._with_media(request)
            recall = self._recall(request, target)
            translated = to_generate_content(request, target.info, self._terms, recall)
            sources = await self._open(target, translated, count)
        except ProviderError as exc:
            exc.provider = exc.provider or self.name
            raise

        def learn(served: str) -> None:
            stream.model = served

        async def aclose() -> None:
            for source in sources:
                await source.aclose()

        translators = [ChunkTranslator(translated.reading, _mint, index, recall) for index in range(count)]
        reads = [
            EventStream(source, translator, self.name, learn, translator.index)
            for source, translator in zip(sources, translators, strict=True)
        ]
        extra = translators[0].extra
        if count == 1:
            stream = ChatStream(reads[0], aclose, model=target.model, warnings=translated.warnings, extra=extra)
        else:
            merged = Interleaved(reads, aclose)
            stream = ChatStream(merged, merged.aclose, model=target.model, warnings=translated.warnings, extra=extra)
        return stream

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        """The pictures of one upstream call; the caller fans out."""
        try:
            target = self._target(model)
            translated = to_image_content(request, target.info, self._terms)
            answer = await self._post(target, _encoded(translated.body), translated)
            per_call = target.info.image.per_call if target.info.image else 1
            return from_image_content(answer.body, model=target.model, warnings=translated.warnings, per_call=per_call)
        except ProviderError as exc:
            exc.provider = exc.provider or self.name
            # Google charges nothing for what it answers with 4xx or 5xx, its own 504 included
            exc.billed = exc.billed or (is_answer_lost(exc) and exc.status in _NOT_GOOGLES)
            raise

    async def embeddings(self, request: EmbeddingRequest, model: str) -> EmbeddingResponse:
        """A vector for every input, by `batchEmbedContents`: at most 100 inputs in one call, several calls for more."""
        try:
            target = self._target(model)
            if self._terms.cloud is not None:
                raise UnsupportedFieldError("embeddings are not asked of Google Cloud, only of the Gemini API")
            model, able = target.model, target.info.embedding
            inputs: Sequence[str | tuple[int, ...]] = request.inputs

            async def ask(some: Sequence[str | tuple[int, ...]]) -> EmbeddingResponse:
                part = msgspec.structs.replace(request, inputs=tuple(some))
                translated = to_batch_embed(part, model)
                path = f"/models/{model}:batchEmbedContents"
                answer = await self._upstream.post(path, _encoded(translated.body), error_from)
                return from_batch_embed(answer.body, part, model, target.info, translated.warnings)

            size = min(able.max_inputs, MAX_PER_CALL) if able else MAX_PER_CALL
            return joined(await in_batches(inputs, size, ask))
        except ProviderError as exc:
            exc.provider = exc.provider or self.name
            raise

    async def _with_media(self, request: ChatRequest) -> ChatRequest:
        await self.load_media(request)
        return inlined(request)

    def _target(self, model: str) -> _Target:
        """Remembered for the models of the catalogue."""
        found = self._known.get(model)
        if found is not None:
            return found
        bare = model
        for prefix in _PREFIXES:
            bare = bare.removeprefix(prefix)
        if not _MODEL.fullmatch(bare) or ".." in bare:
            raise BadRequestError("this is not the name of a model", param="model", code="invalid_value")
        info = lookup(self._models, self.name, bare)
        target = _Target(bare, self._terms.path(bare), info, self._terms.origin(info.family, self.name))
        if info.known:
            self._known[model] = target
        return target

    def _recall(self, request: ChatRequest, target: _Target) -> Recall:
        return Recall(self._signatures, request.caller, target.origin, unsigned=request.unsigned)

    async def _one(self, body: bytes, translated: Translated, recall: Recall, target: _Target) -> ChatResponse:
        answer = await self._post(target, body, translated)
        reading = translated.reading
        response = from_generate_content(answer.body, model=target.model, mint=_mint, reading=reading, recall=recall)
        return msgspec.structs.replace(response, warnings=translated.warnings) if translated.warnings else response

    def _post(self, target: _Target, body: bytes, translated: Translated) -> Awaitable[UpstreamResponse]:
        return self._send(self._upstream.post, f"{target.path}:generateContent", body, translated.headers)

    def _stream(self, target: _Target, body: bytes, translated: Translated) -> Awaitable[ByteStream]:
        path = f"{target.path}:streamGenerateContent?alt=sse"
        return self._send(self._upstream.stream, path, body, translated.headers)

    def _send(
        self, send: Callable[..., Awaitable[T]], path: str, body: bytes, headers: Mapping[str, str]
    ) -> Awaitable[T]:
        if self._tokens is None:
            return send(path, body, error_from, headers=headers)
        return _with_token(self._tokens, send, path, body, headers)

    async def _open(self, target: _Target, translated: Translated, count: int) -> list[ByteStream]:
        """All streams or none: one that could not be opened closes the others."""
        body = _encoded(translated.body)
        if count == 1:
            return [await self._stream(target, body, translated)]
        opened: list[ByteStream] = []

        async def one() -> ByteStream:
            source = await self._stream(target, body, translated)
            opened.append(source)
            return source

        try:
            return await all_or_none([one() for _ in range(count)])
        except BaseException:
            for source in opened:
                await source.aclose()
            raise


async def _with_token(
    tokens: TokenSource, send: Callable[..., Awaitable[T]], path: str, body: bytes, headers: Mapping[str, str]
) -> T:
    """The same with Google Cloud's headers; a token that is refused is forgotten."""
    headers = {**headers, **await tokens.headers()}
    try:
        return await send(path, body, error_from, headers=headers)
    except AuthenticationError:
        tokens.forget()
        raise


def _choices(request: ChatRequest) -> int:
    if "n" not in request.fields:
        return 1
    count = fields.integer(request.fields, "n")
    if count is None:
        return 1
    if count < 1:
        raise fields.refuse("'n' must be at least 1", "n", "integer_below_min_value")
    if count > _MAX_CHOICES:
        raise UnsupportedFieldError(f"at most {_MAX_CHOICES} choices are made at once", param="n")
    return count


def _encoded(body: JsonObject) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as exc:  # orjson writes 254 levels
        raise BadRequestError("the request is nested too deeply", code="invalid_value") from exc


def _merged(answers: list[ChatResponse]) -> ChatResponse:
    """One answer with the first choice of each, numbered in order, and the usage of all."""
    return msgspec.structs.replace(
        answers[0],
        choices=[{**answer.choices[0], "index": index} for index, answer in enumerate(answers)],
        usage=Usage.total([answer.usage for answer in answers]),
    )


def _mint() -> str:
    """An id for a call that came without one. Its prefix says that Gemini never saw it."""
    return f"call_{secrets.token_hex(12)}"
