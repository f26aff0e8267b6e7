"""Which adapter speaks which protocol: a literal table, no scanning, no import by name."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct

from providers.base import ChatProvider, EmbeddingProvider, ImageProvider
from providers.bfl.adapter import BflProvider
from providers.catalogue import Catalogue
from providers.comfyui.adapter import ComfyProvider
from providers.eachlabs.adapter import EachlabsProvider
from providers.fal.adapter import FalProvider
from providers.fetch import Fetcher
from providers.gemini.adapter import GeminiProvider
from providers.gemini.credentials import google_tokens
from providers.gemini.signature_cache import SignatureCache
from providers.gemini.terms import terms_of
from providers.ideogram.adapter import IdeogramProvider
from providers.litellm_sdk.adapter import LitellmProvider
from providers.midjourney.adapter import MidjourneyProvider
from providers.midjourney.bridges import BRIDGES
from providers.openai.adapter import OpenAIProvider
from providers.openai.azure import Deployments
from providers.openai.dialects import OPENROUTER, SEEDREAM, TOGETHER, XAI, ImageDialect
from providers.options import AzureOptions, Cloud, GeminiOptions, MidjourneyOptions
from providers.replicate.adapter import ReplicateProvider
from providers.stability.adapter import StabilityProvider
from providers.stable_diffusion.adapter import StableDiffusionProvider
from providers.turns import Crowd, Door, InTurn, Pace
from providers.upstream import Upstream
from providers.workflows import Workflow


class ProviderSpec(Struct, frozen=True, kw_only=True):
    """What is needed to reach one provider. `type` is a key of the table in `connect`.

    `fetcher` opens the URLs of finished pictures; with `fetch_media` also those that callers name. `model_prefix` is
    what litellm calls the provider (`anthropic/`). At most `max_concurrent` pictures are made at a time.
    """

    name: str
    type: str
    base_url: str
    api_key: str | None = None
    connect_timeout_s: float = 3.0
    idle_timeout_s: float = 300.0
    organization: str | None = None
    result_hosts: tuple[str, ...] = ()
    fetcher: Fetcher
    fetch_media: bool = True
    cloud: Cloud | None = None
    gemini: GeminiOptions = GeminiOptions()
    azure: AzureOptions = AzureOptions()
    workflows: Mapping[str, Workflow] = {}
    midjourney: MidjourneyOptions = MidjourneyOptions()
    model_prefix: str = ""
    max_concurrent: int | None = None


class Client(Protocol):
    """What is opened before the first request and closed after the last."""

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...


class Connected(Struct, frozen=True):
    """The adapters by provider name, and the clients to open before use and close after."""

    chat: Mapping[str, ChatProvider]
    images: Mapping[str, ImageProvider]
    embeddings: Mapping[str, EmbeddingProvider]
    upstreams: tuple[Client, ...]


def connect(specs: Iterable[ProviderSpec], models: Catalogue) -> Connected:
    """One adapter for each spec. Opens nothing yet."""
    chat: dict[str, ChatProvider] = {}
    images: dict[str, ImageProvider] = {}
    embeddings: dict[str, EmbeddingProvider] = {}
    upstreams: list[Client] = []
    # one for all: a signature of one project is then known for what it is when its conversation moves to another
    signatures = SignatureCache()
    adapters: dict[str, Builder] = {
        "gemini": partial(_gemini, signatures=signatures),
        "openai": partial(_openai, signatures=signatures),
        "azure": partial(_azure, signatures=signatures),
        **{name: partial(_openai, signatures=signatures, dialect=kin) for name, kin in _KIN.items()},
        "eachlabs": _eachlabs,
        "bfl": _bfl,
        "stability": _stability,
        "fal": _fal,
        "replicate": _replicate,
        "ideogram": _ideogram,
        "stable-diffusion": _stable_diffusion,
        "comfyui": _comfyui,
        "midjourney": _midjourney,
        "litellm": _litellm,
    }
    for spec in specs:
        adapter, clients = adapters[spec.type](spec, models)
        upstreams += clients
        if isinstance(adapter, ChatProvider):
            chat[spec.name] = adapter
        if isinstance(adapter, ImageProvider):
            crowd = _crowd(spec)
            images[spec.name] = InTurn(adapter, Door(crowd)) if crowd is not None else adapter
        if isinstance(adapter, EmbeddingProvider):
            embeddings[spec.name] = adapter
    return Connected(chat, images, embeddings, tuple(upstreams))


_CROWDS: Mapping[str, Crowd] = {"eachlabs": Crowd(10), "bfl": Crowd(24, {"flux-kontext-max": 6})}
_EACHLABS_PER_MINUTE = 60  # polls included


def _crowd(spec: ProviderSpec) -> Crowd | None:
    """How many pictures the provider makes at a time: as configured, else what is known of its kind."""
    usual = _CROWDS.get(spec.type)
    if spec.max_concurrent is None:
        return usual
    return Crowd(spec.max_concurrent, usual.models if usual is not None else {})


Built = tuple[ChatProvider | ImageProvider | EmbeddingProvider, Sequence[Client]]
Builder = Callable[[ProviderSpec, Catalogue], Built]


def _gemini(spec: ProviderSpec, models: Catalogue, signatures: SignatureCache) -> Built:
    cloud = spec.cloud
    by_token = cloud is not None and not cloud.express
    upstream = _upstream(spec, {} if by_token else {"x-goog-api-key": spec.api_key or ""})
    provider = GeminiProvider(
        spec.name,
        upstream,
        models,
        spec.fetcher if spec.fetch_media else None,
        terms=terms_of(spec.gemini, cloud),
        tokens=google_tokens(cloud.credentials_file) if cloud is not None and by_token else None,
        signatures=signatures,
    )
    return provider, [upstream]


# OpenAI's wire for chat, and for images one of their own.
_KIN: Mapping[str, ImageDialect] = {
    "together": TOGETHER, "xai": XAI, "seedream": SEEDREAM, "openrouter": OPENROUTER,
}  # fmt: skip


def _openai(
    spec: ProviderSpec, models: Catalogue, signatures: SignatureCache, dialect: ImageDialect | None = None
) -> Built:
    headers = {"authorization": f"Bearer {spec.api_key}"} if spec.api_key else {}
    if spec.organization:
        headers["openai-organization"] = spec.organization
    upstream = _upstream(spec, headers)
    provider = OpenAIProvider(
        spec.name, upstream, models, spec.fetcher, spec.result_hosts, is_foreign=signatures.knows_call, dialect=dialect
    )
    return provider, [upstream]


def _azure(spec: ProviderSpec, models: Catalogue, signatures: SignatureCache) -> Built:
    upstream = _upstream(spec, {"api-key": spec.api_key} if spec.api_key else {})
    provider = OpenAIProvider(
        spec.name,
        upstream,
        models,
        spec.fetcher,
        spec.result_hosts,
        is_foreign=signatures.knows_call,
        deployments=Deployments(spec.azure),
    )
    return provider, [upstream]


def _eachlabs(spec: ProviderSpec, models: Catalogue) -> Built:
    upstream = _upstream(spec, {"x-api-key": spec.api_key or ""})
    pace = Pace(_EACHLABS_PER_MINUTE)
    provider = EachlabsProvider(spec.name, upstream, spec.fetcher, models, result_hosts=spec.result_hosts, pace=pace)
    return provider, [upstream]


def _bfl(spec: ProviderSpec, models: Catalogue) -> Built:
    upstream = _upstream(spec, {"x-key": spec.api_key or ""})
    return BflProvider(spec.name, upstream, spec.fetcher, models, result_hosts=spec.result_hosts), [upstream]


def _stability(spec: ProviderSpec, models: Catalogue) -> Built:
    upstream = _upstream(spec, {"authorization": f"Bearer {spec.api_key or ''}"})
    return StabilityProvider(spec.name, upstream, models), [upstream]


def _fal(spec: ProviderSpec, models: Catalogue) -> Built:
    upstream = _upstream(spec, {"authorization": f"Key {spec.api_key or ''}"})
    return FalProvider(spec.name, upstream, spec.fetcher, models, result_hosts=spec.result_hosts), [upstream]


def _replicate(spec: ProviderSpec, models: Catalogue) -> Built:
    upstream = _upstream(spec, {"authorization": f"Bearer {spec.api_key or ''}"})
    return ReplicateProvider(spec.name, upstream, spec.fetcher, models, result_hosts=spec.result_hosts), [upstream]


def _ideogram(spec: ProviderSpec, models: Catalogue) -> Built:
    upstream = _upstream(spec, {"api-key": spec.api_key or ""})
    return IdeogramProvider(spec.name, upstream, spec.fetcher, models, spec.result_hosts), [upstream]


def _stable_diffusion(spec: ProviderSpec, models: Catalogue) -> Built:
    upstream = _upstream(spec, _own_servers_key(spec.api_key))
    return StableDiffusionProvider(spec.name, upstream, models), [upstream]


def _comfyui(spec: ProviderSpec, models: Catalogue) -> Built:
    upstream = _upstream(spec, _own_servers_key(spec.api_key))
    return ComfyProvider(spec.name, upstream, models, spec.workflows), [upstream]


def _midjourney(spec: ProviderSpec, models: Catalogue) -> Built:
    bridge = BRIDGES[spec.midjourney.dialect]
    upstream = _upstream(spec, {bridge.key_header: spec.api_key} if spec.api_key else {})
    provider = MidjourneyProvider(spec.name, upstream, spec.fetcher, models, bridge, result_hosts=spec.result_hosts)
    return provider, [upstream]


def _own_servers_key(key: str | None) -> Mapping[str, str]:
    """`user:password` is what such servers take themselves; anything else is for a proxy before them."""
    if not key:
        return {}
    return {"authorization": f"Basic {b64encode(key.encode()).decode()}" if ":" in key else f"Bearer {key}"}


def _litellm(spec: ProviderSpec, models: Catalogue) -> Built:
    provider = LitellmProvider(
        spec.name,
        models,
        spec.fetcher,
        prefix=spec.model_prefix,
        api_key=spec.api_key,
        base_url=spec.base_url or None,
        timeout_s=spec.idle_timeout_s,
        media=spec.fetcher if spec.fetch_media else None,
        result_hosts=spec.result_hosts,
    )
    return provider, [provider]


def _upstream(spec: ProviderSpec, headers: Mapping[str, str]) -> Upstream:
    return Upstream(
        provider=spec.name,
        base_url=spec.base_url,
        headers=headers,
        connect_timeout_s=spec.connect_timeout_s,
        idle_timeout_s=spec.idle_timeout_s,
    )
