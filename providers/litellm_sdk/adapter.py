"""The adapter for all that litellm can ask: chat, pictures, embeddings. By its SDK, never its proxy or router."""

import asyncio
import secrets
from collections.abc import Awaitable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from msgspec import structs

from providers.batches import in_batches
from providers.catalogue import Catalogue, EmbeddingCapabilities, ModelInfo, lookup
from providers.errors import ProviderError, UnsupportedFieldError
from providers.event_stream import EventStream
from providers.fetch import Fetcher, fetch_for_caller, fetch_result
from providers.litellm_sdk.arguments import (
    chat_arguments,
    embedding_arguments,
    image_arguments,
    put_inline,
    remote_pictures,
)
from providers.litellm_sdk.chunks import ChunkSource, plain
from providers.litellm_sdk.errors import error_of
from providers.litellm_sdk.loading import close_clients, load_litellm
from providers.openai.history import without_traces
from providers.openai.images import ImageItem, from_images
from providers.openai.response import from_chat_completion
from providers.openai.stream import ChunkTranslator
from providers.openai.usage import usage_from
from providers.pictures import to_picture
from providers.streams import ChatStream
from providers.types import (
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ImageRequest,
    ImageResponse,
    JsonObject,
    Vector,
)
from providers.vectors import delivered, estimated_usage, joined, vector_from_base64

_MAX_PICTURES = 16
_NOWHERE = "https://nowhere.invalid"  # no origin of its own: results may lie on public hosts only


class LitellmProvider:
    """`prefix` (`anthropic/`) names litellm's provider, `api_key` and `base_url` (None: the vendor's own) are the
    operator's. `media` fetches pictures that messages name by URL (None: those are refused), `fetcher` results.

    The first request imports litellm. Raises ProviderError and nothing else; cancellation passes through.
    """

    def __init__(
        self,
        name: str,
        models: Catalogue,
        fetcher: Fetcher,
        *,
        prefix: str = "",
        api_key: str | None = None,
        base_url: str | None = None,
        timeout_s: float = 300.0,
        media: Fetcher | None = None,
        result_hosts: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self._models = models
        self._fetcher = fetcher
        self._prefix = prefix
        self._base_url = base_url
        self._media = media
        self._result_hosts = result_hosts
        self._sdk: Any = None
        # a key is always given, or litellm would take one from the environment to wherever `base_url` points
        self._common: JsonObject = {
            "api_key": api_key or "none",
            "timeout": timeout_s,
            "max_retries": 0,
            "num_retries": 0,
        }
        if base_url:
            self._common["api_base"] = base_url

    async def open(self) -> None:
        """Nothing: litellm opens its clients when they are needed."""

    async def aclose(self) -> None:
        """Close the clients that litellm keeps for itself, if it was ever asked."""
        if self._sdk is not None:
            await close_clients(self._sdk)

    async def load_media(self, request: ChatRequest) -> None:
        """Fetch what the messages name by URL, once for all attempts. Raises BadRequestError naming the part."""
        await self._load_media(request, request.messages())

    async def complete(self, request: ChatRequest, model: str) -> ChatResponse:
        with self._naming():
            sdk, arguments, warnings = await self._chat(request, model)
            answer = await _asked(sdk.acompletion(**arguments))
            body = orjson.dumps(self._with_cost(plain(answer), answer))
            return from_chat_completion(body, model=model, new_id=_new_id, warnings=warnings)

    async def stream(self, request: ChatRequest, model: str) -> ChatStream:
        with self._naming():
            sdk, arguments, warnings = await self._chat(request, model)
            options = {"stream": True, "stream_options": {"include_usage": True}}
            source = ChunkSource(await _asked(sdk.acompletion(**arguments, **options)))

        def learn(served: str) -> None:
            stream.model = served

        events = EventStream(source, ChunkTranslator(_new_id), self.name, learn)
        stream = ChatStream(events, source.aclose, model=model, warnings=warnings)
        return stream

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        with self._naming():
            translated = image_arguments(request, lookup(self._models, self.name, model))
            sdk = await self._litellm()
            answer = await _asked(sdk.aimage_generation(**self._arguments(model, translated.fields)))
            read = from_images(orjson.dumps(self._with_cost(plain(answer), answer)), model=model)
            pictures = [to_picture(await self._bytes_of(item), item.revised_prompt) for item in read.items]
            return ImageResponse(
                model=read.model,
                images=tuple(pictures),
                usage=read.usage,
                reported_cost_usd=read.cost_usd,
                warnings=translated.warnings,
            )

    async def embeddings(self, request: EmbeddingRequest, model: str) -> EmbeddingResponse:
        info = lookup(self._models, self.name, model)
        able = info.embedding or EmbeddingCapabilities()
        inputs: Sequence[str | tuple[int, ...]] = request.inputs

        async def ask(some: Sequence[str | tuple[int, ...]]) -> EmbeddingResponse:
            part = structs.replace(request, inputs=tuple(some))
            translated = embedding_arguments(part)
            fields: JsonObject = {
                **translated.fields,
                "input": [one if isinstance(one, str) else [*one] for one in some],
            }
            answer = await _asked(sdk.aembedding(**self._arguments(model, fields)))
            return self._read_vectors(answer, part, model, info, translated.warnings)

        with self._naming():
            sdk = await self._litellm()
            return joined(await in_batches(inputs, able.max_inputs, ask))

    def _read_vectors(
        self, answer: Any, request: EmbeddingRequest, model: str, info: ModelInfo, warnings: tuple[str, ...]
    ) -> EmbeddingResponse:
        """Attribute by attribute: dumping the whole answer would turn every number over once more."""
        able = info.embedding
        unit = request.dimensions is not None and able is not None and not able.unit_length
        usage = usage_from(self._with_cost({"usage": plain(answer.usage)}, answer)["usage"]) if answer.usage else None
        if usage is None or usage.estimated or not usage.prompt_tokens:
            usage = estimated_usage(request.inputs)
            warnings = (*warnings, "usage=estimated from the length of the input")
        vectors = delivered([_vector(item) for item in answer.data or ()], request, unit=unit)
        return EmbeddingResponse(model=answer.model or model, vectors=vectors, usage=usage, warnings=warnings)

    async def _chat(self, request: ChatRequest, model: str) -> tuple[Any, JsonObject, tuple[str, ...]]:
        """litellm, and what it is called with."""
        sdk = await self._litellm()
        arguments = chat_arguments(request, _supported(sdk, self._prefix + model))
        if not lookup(self._models, self.name, model).signatures:
            request = structs.replace(request, messages_json=without_traces(request.messages_json))
        messages = request.messages()
        await self._load_media(request, messages)
        for picture in remote_pictures(messages):
            put_inline(picture, request.fetched[picture.url])
        # or every request with tools would load litellm's MCP gateway, part of its proxy, in search of its own tools
        fields: JsonObject = {**arguments.fields, "messages": [*messages], "_skip_mcp_handler": True}
        return sdk, self._arguments(model, fields), arguments.warnings

    async def _load_media(self, request: ChatRequest, messages: list[JsonObject]) -> None:
        wanted = {each.url: each.where for each in remote_pictures(messages) if each.url not in request.fetched}
        fetcher = self._media
        if wanted and (fetcher is None or len(wanted) > _MAX_PICTURES):
            limit = "no picture is" if fetcher is None else f"at most {_MAX_PICTURES} pictures are"
            message = f"{limit} fetched by URL for this provider: send data URLs"
            raise UnsupportedFieldError(message, param=next(iter(wanted.values())), code="invalid_image_url")

        async def one(some: Sequence[tuple[str, str]]) -> None:
            ((url, where),) = some
            assert fetcher is not None
            request.fetched[url] = await fetch_for_caller(fetcher, url, param=where, accept=("image/",))

        await in_batches(list(wanted.items()), 1, one)

    def _arguments(self, model: str, fields: JsonObject) -> JsonObject:
        return {"model": self._prefix + model, **fields, **self._common}

    async def _litellm(self) -> Any:
        """The module; imported in a thread, because that takes two seconds."""
        if self._sdk is None:
            self._sdk = await asyncio.to_thread(load_litellm)
        return self._sdk

    def _with_cost(self, body: JsonObject, answer: Any) -> JsonObject:
        """`body` with the price that litellm works out, as `usage.cost`; it knows only what vendors ask themselves."""
        cost = (getattr(answer, "_hidden_params", None) or {}).get("response_cost")
        usage = body.get("usage")
        if self._base_url is None and isinstance(cost, int | float) and cost > 0 and isinstance(usage, dict):
            return {**body, "usage": {**usage, "cost": cost}}
        return body

    async def _bytes_of(self, item: ImageItem) -> bytes:
        if item.data is not None:
            return item.data
        base_url = self._base_url or _NOWHERE
        return await fetch_result(self._fetcher, item.url or "", base_url=base_url, hosts=self._result_hosts)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except ProviderError as error:
            error.provider = error.provider or self.name
            raise


async def _asked(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except Exception as exc:  # whatever it is, the attempt has failed: the library lets anything through
        raise error_of(exc) from exc


def _supported(sdk: Any, model: str) -> Collection[str] | None:
    """The OpenAI fields that the model's provider takes; None where litellm does not know the provider."""
    try:
        found: list[str] | None = sdk.get_supported_openai_params(model=model)
    except Exception as exc:
        raise error_of(exc) from exc
    return found


def _vector(item: Any) -> Vector:
    """litellm leaves an entry as the dictionary it came as, or makes an object of it."""
    embedding = item["embedding"] if isinstance(item, dict) else item.embedding
    return vector_from_base64(embedding) if isinstance(embedding, str) else embedding


def _new_id() -> str:
    return secrets.token_hex(12)
