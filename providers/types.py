"""Requests and answers in OpenAI's shapes: the one language between the edge, the router and the adapters.

Everything here is a frozen value. Token counts are integers, money is `Decimal` USD, pictures are bytes. `gc=False`
spares the collector values that are made by the hundred and cannot be part of a cycle.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal, TypeAlias

import orjson
from msgspec import Struct, field

from providers.errors import BadRequestError, ProviderError

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]


class Usage(Struct, frozen=True, kw_only=True, gc=False):
    """Token counts of one answer. `prompt_tokens` includes cached ones, `completion_tokens` includes reasoning.

    `reported_cost_usd` is the provider's own figure where it sends one. Counts an upstream did not send are 0;
    `estimated` is True when the upstream sent none at all. `tier` is the service tier that served, where it says so.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    audio_prompt_tokens: int = 0
    image_prompt_tokens: int = 0
    audio_completion_tokens: int = 0
    image_completion_tokens: int = 0
    searches: int = 0
    tier: str = ""
    reported_cost_usd: Decimal | None = None
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @classmethod
    def total(cls, usages: "Sequence[Usage]") -> "Usage":
        """The counts of several answers together; estimated when any part is, a cost only when all report one."""
        costs = [usage.reported_cost_usd for usage in usages if usage.reported_cost_usd is not None]
        return cls(
            prompt_tokens=sum(usage.prompt_tokens for usage in usages),
            completion_tokens=sum(usage.completion_tokens for usage in usages),
            cached_tokens=sum(usage.cached_tokens for usage in usages),
            reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
            audio_prompt_tokens=sum(usage.audio_prompt_tokens for usage in usages),
            image_prompt_tokens=sum(usage.image_prompt_tokens for usage in usages),
            audio_completion_tokens=sum(usage.audio_completion_tokens for usage in usages),
            image_completion_tokens=sum(usage.image_completion_tokens for usage in usages),
            searches=sum(usage.searches for usage in usages),
            tier=next((usage.tier for usage in usages if usage.tier), ""),
            reported_cost_usd=sum(costs, Decimal(0)) if costs and len(costs) == len(usages) else None,
            estimated=any(usage.estimated for usage in usages),
        )

    def to_openai(self, cost_usd: Decimal | None = None) -> JsonObject:
        """The `usage` object of a chat answer; `cost` (USD, float) only when it is known."""
        usage: JsonObject = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {
                "cached_tokens": self.cached_tokens,
                "audio_tokens": self.audio_prompt_tokens,
                "image_tokens": self.image_prompt_tokens,
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": self.audio_completion_tokens,
                "image_tokens": self.image_completion_tokens,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
        if cost_usd is not None:
            usage["cost"] = float(cost_usd)
        return usage


class Fetched(Struct, frozen=True, kw_only=True):
    """What lay at an address: its bytes, the MIME type found in them (never the declared one), the last redirect's URL.

    `final_url` may hold a signature: it is for no log and no message.
    """

    data: bytes
    mime: str
    final_url: str


class ChatRequest(Struct, frozen=True, kw_only=True, gc=False):
    """One chat request after the edge has validated it and taken the router's own fields out.

    `messages_json` is the client's `messages` array byte for byte, so that an OpenAI-compatible upstream gets it
    without a decode; `fields` holds every other top-level field (also unknown ones) but `model`, `messages`,
    `stream` and `stream_options`. With `strict`, a field that would be lost is refused instead of warned about.
    `caller` is who asks, by the name of the client key: what is remembered for one is not shown to another. With
    `unsigned` the thought signatures of the conversation are left out, because the upstream has refused one.

    `fetched` is the one value here that changes: what adapters fetched for this request, by the URL in its messages,
    so that the next candidate need not fetch it again.
    """

    model: str
    messages_json: bytes
    fields: Mapping[str, JsonValue]
    stream: bool = False
    include_usage: bool = False
    strict: bool = False
    caller: str = ""
    unsigned: bool = False
    fetched: dict[str, Fetched] = field(default_factory=dict)

    def messages(self) -> list[JsonObject]:
        """The messages, decoded. Costs time in proportion to the prompt: only translators call it.

        Raises BadRequestError for what the edge's scan lets through and no JSON value can hold (a number like 1e999).
        """
        try:
            decoded: list[JsonObject] = orjson.loads(self.messages_json)
        except orjson.JSONDecodeError as exc:
            raise BadRequestError(
                f"could not parse 'messages': {exc.msg}", param="messages", code="invalid_value"
            ) from exc
        return decoded


class ChatResponse(Struct, frozen=True, kw_only=True, gc=False):
    """One whole chat answer. `choices` are OpenAI `choices[]` objects; `model` is what the upstream says served.

    `extra` holds further top-level fields worth passing on (`service_tier`, `system_fingerprint`).
    `warnings` names each lossy mapping of the request, as `field=what happened`.
    """

    id: str
    model: str
    choices: Sequence[JsonObject]
    usage: Usage
    warnings: tuple[str, ...] = ()
    extra: Mapping[str, JsonValue] = {}


class ChatChunk(Struct, frozen=True, kw_only=True, gc=False):
    """One `choices[]` entry of one streamed chunk, or (with `usage`) the running token count.

    `usage` is cumulative: the last one seen is the answer's. A chunk may carry only usage: then `delta` is empty,
    `finish_reason` is None and nothing is shown to the client.
    """

    delta: JsonObject = {}
    index: int = 0
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    logprobs: JsonValue = None
    usage: Usage | None = None

    @property
    def has_content(self) -> bool:
        """Whether this chunk holds something to show: text, a call, a picture, reasoning or a refusal."""
        return any(value for key, value in self.delta.items() if key != "role")


class ImageInput(Struct, frozen=True):
    """A picture the caller sent: its bytes, and the MIME type found in them (never the declared one)."""

    data: bytes
    mime: str
    filename: str = "image.png"


class ImageSize(Struct, frozen=True, kw_only=True):
    """A requested size. Never re-derived from itself: pixels, ratio and tier travel together.

    `tier` is "512", "1K", "2K" or "4K"; `explicit` is True when the caller gave pixels or a tier.
    """

    width: int
    height: int
    tier: str
    explicit: bool = True

    @property
    def ratio(self) -> float:
        return self.width / self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class ImageRequest(Struct, frozen=True, kw_only=True):
    """One image request: a generation, or an edit when `images` is not empty.

    `extra` holds the caller's fields that the router does not know, for OpenAI-compatible backends.
    How the answer is delivered (`response_format`) is the edge's business and not here. `partial_images` is how many
    previews the caller would like to see on the way; backends that make none ignore it. `prompt_is_final`: it was
    rewritten already; a backend that rewrites prompts itself is told not to, where it can be told.
    """

    model: str
    prompt: str
    n: int = 1
    size: ImageSize | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    moderation: str | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    input_fidelity: str | None = None
    user: str | None = None
    images: tuple[ImageInput, ...] = ()
    mask: ImageInput | None = None
    partial_images: int = 0
    prompt_is_final: bool = False
    strict: bool = False
    extra: Mapping[str, JsonValue] = {}


class GeneratedImage(Struct, frozen=True, kw_only=True):
    """One picture as the upstream made it; `mime` is sniffed from the bytes."""

    data: bytes
    mime: str
    revised_prompt: str | None = None

    def as_input(self) -> ImageInput:
        """The same picture as one to be edited."""
        return ImageInput(self.data, self.mime, f"image.{self.mime.removeprefix('image/')}")


class ImagePreview(Struct, frozen=True, kw_only=True):
    """A picture on its way, as the upstream sent it; `index` counts the previews of one picture from 0."""

    data: bytes
    mime: str
    index: int


class LostPictures(Struct, frozen=True, kw_only=True):
    """A call for some of a request's pictures that failed: from place `index` on, `count` of them."""

    index: int
    count: int
    error: ProviderError


class ImageResponse(Struct, frozen=True, kw_only=True):
    """The pictures of one upstream call, or of several.

    `reported_cost_usd` is the provider's own figure where it sends one. `lost` is how many more may be charged that did
    not come; `failures` says why, where calls of their own failed.
    """

    model: str
    images: tuple[GeneratedImage, ...]
    lost: int = 0
    failures: tuple[LostPictures, ...] = ()
    usage: Usage | None = None
    reported_cost_usd: Decimal | None = None
    warnings: tuple[str, ...] = ()


EncodingFormat = Literal["float", "base64"]
Vector: TypeAlias = "Sequence[float] | bytes"
"""One vector: its numbers as the upstream wrote them, or little-endian float32, 4 bytes each."""


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """Texts, or token ids of one, to be turned into vectors: `inputs` is never empty, nor is any of them.

    `dimensions` None: the model's own length. `encoding_format` is the form of the answer's vectors: "float" numbers,
    "base64" little-endian float32 bytes (undecoded on both sides where the upstream can send them). `extra` holds the
    caller's fields that the router does not know.
    """

    model: str
    inputs: tuple[str, ...] | tuple[tuple[int, ...], ...]
    dimensions: int | None = None
    encoding_format: EncodingFormat = "float"
    user: str | None = None
    strict: bool = False
    extra: Mapping[str, JsonValue] = {}

    @property
    def has_token_ids(self) -> bool:
        return not isinstance(self.inputs[0], str)


class EmbeddingResponse(Struct, frozen=True, kw_only=True):
    """One vector for each input, in the order of the inputs and in the form that was asked for."""

    model: str
    vectors: tuple[Vector, ...]
    usage: Usage
    warnings: tuple[str, ...] = ()
