"""What the configuration says, as frozen values: the only form in which the rest of the router meets it.

Durations are float seconds (`*_s`), sizes bytes (`*_bytes`), prices `Decimal` USD. Every value that came from a line
of the file keeps its 1-based `line`, for messages; 0 means it came from elsewhere.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal

from msgspec import Struct

from providers.catalogue import ModelInfo
from providers.options import AzureOptions, Cloud, GeminiOptions, MidjourneyOptions
from providers.workflows import Workflow
from router.errors import Problem

ProviderType = Literal[
    "gemini", "openai", "azure", "eachlabs", "bfl", "stability", "fal", "replicate", "together", "xai", "seedream",
    "openrouter", "ideogram", "stable-diffusion", "comfyui", "midjourney", "litellm",
]  # fmt: skip
Sort = Literal["cost", "latency", "quality", "order", "weighted"]
StreamMode = Literal["live", "repair", "buffered"]
ImageFormat = Literal["png", "jpeg", "webp"]
SigningAlgorithm = Literal["es256", "es384", "ps256", "ps384", "ed25519"]

DEFAULT_BASE_URLS: Mapping[ProviderType, str] = {
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
    "openai": "https://api.openai.com/v1",
    "azure": "",  # every resource has an address of its own
    "eachlabs": "https://api.eachlabs.ai/v1",
    "bfl": "https://api.bfl.ai/v1",
    "stability": "https://api.stability.ai/v2beta",
    "fal": "https://queue.fal.run",
    "replicate": "https://api.replicate.com/v1",
    "together": "https://api.together.xyz/v1",
    "xai": "https://api.x.ai/v1",
    "seedream": "https://ark.ap-southeast.bytepluses.com/api/v3",
    "openrouter": "https://openrouter.ai/api/v1",
    "ideogram": "https://api.ideogram.ai",
    "stable-diffusion": "http://127.0.0.1:7860",
    "comfyui": "http://127.0.0.1:8188",
    "midjourney": "",  # a bridge is wherever its operator has put it
    "litellm": "",  # litellm knows where each of its providers is
}


class ClientKey(Struct, frozen=True, kw_only=True):
    """A key that clients of this router may present. `tags` are what rules see as `key_tags`.

    `max_tier` is the highest tier of a ladder that its requests reach, counted from 1; None: the last.
    """

    name: str
    secret: str
    tags: tuple[str, ...] = ()
    max_tier: int | None = None

    def __repr__(self) -> str:
        return f"ClientKey(name={self.name!r}, tags={self.tags!r})"


class ServerSettings(Struct, frozen=True, kw_only=True):
    """The listening side. No `keys`: whoever reaches the port may ask.

    `public_url` is the absolute prefix of picture URLs when a proxy stands in front; None: that of the request.
    `drain_s` is how long running requests get after SIGTERM; `body_timeout_s` how long a client may take to send one.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    keys: tuple[ClientKey, ...] = ()
    cors_origins: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    json_limit_bytes: int = 64 * 1024 * 1024
    upload_limit_bytes: int = 100 * 1024 * 1024
    drain_s: float = 30.0
    body_timeout_s: float = 30.0
    public_url: str | None = None
    docs: bool = False
    max_in_flight: int = 1000


class ProviderOptions(Struct, frozen=True, kw_only=True):
    """What only some types of provider need.

    `cloud`, `gemini`: type gemini. `azure`, `midjourney`: of these types. `workflows`, by model: type comfyui.
    `organization`: OpenAI. `result_hosts`: the hosts that finished pictures may be fetched from, their subdomains
    included; none: any public host. `model_prefix`: what litellm calls the provider.
    """

    cloud: Cloud | None = None
    gemini: GeminiOptions = GeminiOptions()
    azure: AzureOptions = AzureOptions()
    workflows: Mapping[str, Workflow] = {}
    midjourney: MidjourneyOptions = MidjourneyOptions()
    organization: str | None = None
    model_prefix: str = ""
    result_hosts: tuple[str, ...] = ()


class ProviderSettings(Struct, frozen=True, kw_only=True):
    """One upstream. A provider without its key is not `enabled`, and `off_reason` says so in words.

    `idle_timeout_s` bounds the gap between two reads, so also the wait for the first byte of a plain answer.
    `max_concurrency` is how many requests (of pictures: calls) it may have at once; None: as many as it takes, or as
    its kind is known to admit. `self_hosted`: it has no quota to refuse by but gets slower the more it has. `capacity`
    is how many at once, of all routers together, make its answers take twice as long; None: nobody has told.
    """

    name: str
    type: ProviderType
    base_url: str
    api_key: str | None = None
    enabled: bool = True
    off_reason: str = ""
    connect_timeout_s: float = 5.0
    idle_timeout_s: float = 120.0
    max_concurrency: int | None = None
    self_hosted: bool = False
    capacity: int | None = None
    options: ProviderOptions = ProviderOptions()
    line: int = 0

    def __repr__(self) -> str:
        state = "on" if self.enabled else f"off: {self.off_reason}"
        return f"ProviderSettings(name={self.name!r}, type={self.type!r}, {state})"


class TargetSettings(Struct, frozen=True, kw_only=True):
    """An upstream model at a provider. `weight` counts for `sort: weighted`; `timeout_s` None: the router's own."""

    provider: str
    model: str
    weight: float = 1.0
    timeout_s: float | None = None
    line: int = 0

    @property
    def name(self) -> str:
        """`provider/model`, as clients and logs write it."""
        return f"{self.provider}/{self.model}"


class RuleSettings(Struct, frozen=True, kw_only=True):
    """When the CEL condition `when` holds, the request goes to `use`; `sort` then overrides that model's own."""

    when: str
    use: str
    sort: Sort | None = None
    line: int = 0


class TierSettings(Struct, frozen=True, kw_only=True):
    """A rung of a ladder: the model that serves it, and the effort it is asked for where the caller named none."""

    use: str
    reasoning_effort: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.use} ({self.reasoning_effort} reasoning)" if self.reasoning_effort else self.use


class Slo(Struct, frozen=True, kw_only=True):
    """What a model's answers should keep at the 95th percentile, in milliseconds; None: no promise."""

    ttft_p95_ms: float | None = None
    total_p95_ms: float | None = None


class ModelSettings(Struct, frozen=True, kw_only=True):
    """A public model. `rules` (first match wins), then `tiers`, `use` or `targets`: exactly one of the three is there.

    `use`, `tiers` and `fallbacks` name models, aliases, catalogue names or direct targets `provider/upstream-model`.
    `tiers` go from the cheapest to the best; `cost_quality` (0: always the first, 1: always the last) says how hard a
    request must look for the higher ones. `escalations_per_minute` weak answers may be asked for again higher up.
    `stream_mode` None: that of the model it leads to, else the router's.
    """

    name: str
    rules: tuple[RuleSettings, ...] = ()
    use: str | None = None
    targets: tuple[TargetSettings, ...] = ()
    sort: Sort = "cost"
    slo: Slo = Slo()
    fallbacks: tuple[str, ...] = ()
    stream_mode: StreamMode | None = None
    tiers: tuple[TierSettings, ...] = ()
    cost_quality: float = 0.4
    escalations_per_minute: int = 20
    description: str = ""
    line: int = 0

    @property
    def usual(self) -> str | None:
        """Where it leads when no rule matches and nothing speaks for more; None: to targets of its own."""
        return self.tiers[0].use if self.tiers else self.use


class Alias(Struct, frozen=True, kw_only=True):
    """Another name for a model or alias `to`. `name` may end with `*`, which stands for any ending; longest wins."""

    name: str
    to: str
    note: str = ""
    line: int = 0


class Hedge(Struct, frozen=True, kw_only=True):
    """A second candidate started when the first is late: at most `max_extra` (a share) of requests."""

    enabled: bool = False
    max_extra: float = 0.02


class FailoverSettings(Struct, frozen=True, kw_only=True, gc=False):
    """After which failures of an upstream the next candidate is asked; after the others the failure is the answer."""

    content_policy: bool = False
    context_length: bool = True
    capability: bool = True
    auth: bool = True
    model_missing: bool = True
    rate_limit: bool = True
    unavailable: bool = True
    timeout: bool = True
    bad_response: bool = True


class QueueSettings(Struct, frozen=True, kw_only=True):
    """Requests that wait because every upstream of their model has as many as it takes: `size` of each model.

    None waits longer than `max_wait_s`, for pictures `image_max_wait_s`, nor beyond its deadline.
    """

    size: int = 100
    max_wait_s: float = 20.0
    image_max_wait_s: float = 60.0


class RoutingSettings(Struct, frozen=True, kw_only=True):
    """How far the router goes for one request. `deadline_s` covers every attempt, back-off and hedge together.

    `retry_budget` is the share of requests that may cost further attempts. `ttft_timeout_s` bounds one attempt's wait
    for its first chunk, `idle_timeout_s` every later gap in what a stream brings (comments do not count). `replicas` is
    how many such routers there are: each sees only its own part of what is under way.
    """

    deadline_s: float = 120.0
    image_deadline_s: float = 300.0
    attempts: int = 3
    replicas: int = 1
    retry_budget: float = 0.1
    queue: QueueSettings = QueueSettings()
    hedge: Hedge = Hedge()
    stream_mode: StreamMode = "live"
    ttft_timeout_s: float = 60.0
    idle_timeout_s: float = 120.0
    failover: FailoverSettings = FailoverSettings()


class BucketSettings(Struct, frozen=True, kw_only=True):
    """A bucket of an S3-compatible service. `endpoint` None: Amazon's; `public_endpoint` is the one links name."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    public_endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None

    def __repr__(self) -> str:
        return f"BucketSettings(bucket={self.bucket!r}, prefix={self.prefix!r}, endpoint={self.endpoint!r})"


class SigningSettings(Struct, frozen=True, kw_only=True):
    """C2PA manifests: PEM files of the certificate chain (its own first) and of the PKCS#8 key. `file`: who says so."""

    certificate: str
    private_key: str
    algorithm: SigningAlgorithm = "es256"
    timestamp_url: str | None = None
    file: str = ""
    line: int = 0


class EnhanceSettings(Struct, frozen=True, kw_only=True):
    """Who words prompts anew and who judges pictures, by public chat model; None: nobody does.

    A picture whose mark (0 to 10) is below `threshold` is made once more, at most `max_rounds` times for a request. All
    that is added to a request, further pictures included, may cost `max_cost_usd`; None: no limit.
    """

    rewrite_model: str | None = None
    critique_model: str | None = None
    rewrite_timeout_s: float = 4.0
    critique_timeout_s: float = 15.0
    threshold: float = 7.0
    max_rounds: int = 1
    max_cost_usd: Decimal | None = None


class ImageSettings(Struct, frozen=True, kw_only=True):
    """Delivery of pictures. `store_dir` holds those asked for by URL, for `ttl_s`, at most `quota_bytes` of them;
    `bucket` takes its place.

    `variation_prompt` makes an edit of a request for variations; None: there are none. `signing` None: unsigned.
    `response_limit_bytes` bounds the base64 of an answer.
    """

    store_dir: Path = Path("/tmp/turnout-images")  # noqa: S108  a cache: it may vanish, and the directory is made 0700
    ttl_s: float = 3600.0
    quota_bytes: int = 1024 * 1024 * 1024
    default_format: ImageFormat = "png"
    variation_prompt: str | None = None
    response_limit_bytes: int = 64 * 1024 * 1024
    bucket: BucketSettings | None = None
    signing: SigningSettings | None = None
    enhance: EnhanceSettings = EnhanceSettings()


class FetchSettings(Struct, frozen=True, kw_only=True):
    """What the router fetches because a caller named it by URL; not `enabled`: nothing.

    `max_bytes` and `timeout_s` bound each address. `allow_origins` (`http://127.0.0.1:9000`) may be plain http and
    private, for callers as for finished pictures.
    """

    enabled: bool = True
    max_bytes: int = 20 * 1024 * 1024
    timeout_s: float = 10.0
    allow_origins: tuple[str, ...] = ()


class Settings(Struct, frozen=True, kw_only=True):
    """Everything. `catalogue` is keyed by model, or by `provider/model` where one provider sells it differently.

    `catalogue_targets` gives the targets of each catalogue name that a configured provider serves: such a name is a
    public model even if no `models:` entry mentions it. `sources` are the files read, in order. `warnings` are worth a
    log line, not a refusal.
    """

    server: ServerSettings = ServerSettings()
    providers: Mapping[str, ProviderSettings] = {}
    models: Mapping[str, ModelSettings] = {}
    aliases: Mapping[str, Alias] = {}
    routing: RoutingSettings = RoutingSettings()
    images: ImageSettings = ImageSettings()
    fetch: FetchSettings = FetchSettings()
    catalogue: Mapping[str, ModelInfo] = {}
    catalogue_targets: Mapping[str, tuple[TargetSettings, ...]] = {}
    sandbox: bool = False
    sources: tuple[Path, ...] = ()
    warnings: tuple[Problem, ...] = ()
