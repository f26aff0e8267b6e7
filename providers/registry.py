"""Which adapter speaks which protocol: a literal table, no scanning, no import by name."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from providers.base import ChatProvider, ImageProvider
from providers.catalogue import Catalogue
from providers.eachlabs.adapter import EachlabsProvider
from providers.fetch import Fetcher
from providers.gemini.adapter import GeminiProvider
from providers.jobs import JobTimings
from providers.openai.adapter import OpenAIProvider
from providers.upstream import Upstream


class ProviderSpec(Struct, frozen=True, kw_only=True):
    """What is needed to reach one provider. `type` is a key of the table below.

    `fetcher` opens the URLs of finished pictures; with `fetch_media` also those that callers name.
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


class Connected(Struct, frozen=True):
    """The adapters by provider name, and the clients to open before use and close after."""

    chat: Mapping[str, ChatProvider]
    images: Mapping[str, ImageProvider]
    upstreams: tuple[Upstream, ...]


def connect(specs: Iterable[ProviderSpec], models: Catalogue) -> Connected:
    """One adapter for each spec. Opens nothing yet."""
    chat: dict[str, ChatProvider] = {}
    images: dict[str, ImageProvider] = {}
    upstreams: list[Upstream] = []
    for spec in specs:
        adapter, clients = ADAPTERS[spec.type](spec, models)
        upstreams += clients
        if isinstance(adapter, ChatProvider):
            chat[spec.name] = adapter
        if isinstance(adapter, ImageProvider):
            images[spec.name] = adapter
    return Connected(chat, images, tuple(upstreams))


Built = tuple[ChatProvider | ImageProvider, list[Upstream]]


def _gemini(spec: ProviderSpec, models: Catalogue) -> Built:
    upstream = _upstream(spec, {"x-goog-api-key": spec.api_key or ""})
    return GeminiProvider(spec.name, upstream, models, spec.fetcher if spec.fetch_media else None), [upstream]


def _openai(spec: ProviderSpec, models: Catalogue) -> Built:
    headers = {"authorization": f"Bearer {spec.api_key}"} if spec.api_key else {}
    if spec.organization:
        headers["openai-organization"] = spec.organization
    upstream = _upstream(spec, headers)
    return OpenAIProvider(spec.name, upstream, models, spec.fetcher, spec.result_hosts), [upstream]


def _eachlabs(spec: ProviderSpec, models: Catalogue) -> Built:
    upstream = _upstream(spec, {"x-api-key": spec.api_key or ""})
    provider = EachlabsProvider(spec.name, upstream, spec.fetcher, models, JobTimings(), spec.result_hosts)
    return provider, [upstream]


def _upstream(spec: ProviderSpec, headers: Mapping[str, str]) -> Upstream:
    return Upstream(
        provider=spec.name,
        base_url=spec.base_url,
        headers=headers,
        connect_timeout_s=spec.connect_timeout_s,
        idle_timeout_s=spec.idle_timeout_s,
    )


ADAPTERS: Mapping[str, Callable[[ProviderSpec, Catalogue], Built]] = {
    "gemini": _gemini,
    "openai": _openai,
    "eachlabs": _eachlabs,
}
