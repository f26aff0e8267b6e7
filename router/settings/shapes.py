"""The shape of turnout.yaml. Private to the loader: everyone else gets the values of `values.py`."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from providers.addresses import origin_of
from providers.errors import FetchError
from router.settings.azure import AzureShape
from router.settings.comfyui import WorkflowShape
from router.settings.fields import Bool, Duration, Float, Int, Items, Money, Shape, Text
from router.settings.google import CloudShape, GeminiShape
from router.settings.midjourney import MidjourneyShape
from router.settings.values import ImageFormat, ProviderType, SigningAlgorithm, Sort, StreamMode

_PREFIX = re.compile(r"(?:[A-Za-z0-9_.-]+/)+")
_BLANK_OR_UP = re.compile(r"\s|(^|/)\.\.?(/|$)|//|[\x00-\x1f\x7f?#%\\]")


def _target(value: str) -> str:
    provider, slash, model = value.partition("/")
    if not slash or not provider or not model:
        raise ValueError("must be provider/upstream-model")
    if _BLANK_OR_UP.search(value):
        raise ValueError("must be provider/upstream-model without spaces, '..', '?', '#' or '%'")
    return value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("must be an absolute http:// or https:// URL")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("must be a URL without user, query and fragment")
    return value.rstrip("/")


def _origin(value: str) -> str:
    if value != "*" and (not _url(value) or urlsplit(value).path not in ("", "/")):
        raise ValueError("must be an origin (https://host[:port]) or '*'")
    return value.rstrip("/")


def _exact_origin(value: str) -> str:
    origin = _origin(value)
    if "*" in origin:
        raise ValueError("must be an exact origin (http://host[:port]) without '*'")
    try:
        origin_of(origin)
    except FetchError as exc:
        raise ValueError(exc.message) from exc
    return origin


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError("must be one of litellm's provider names and a slash, for example 'anthropic/'")
    return value


Prefix = Annotated[str, AfterValidator(_prefix)]
Url = Annotated[Text, AfterValidator(_url)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
OptionalUrl = Annotated[str, AfterValidator(_url)]
Target = Annotated[str, AfterValidator(_target)]


class KeyShape(Shape):
    """A key that clients may present."""

    brief: ClassVar[str | None] = "secret"

    name: Text | None = Field(
        default=None, description="What logs and rules (`key_name`) call it. Default: key1, key2, ..."
    )
    secret: Text = Field(description="What the client sends as `Authorization: Bearer`. Use `${ENV}`.")
    tags: Items[Text] = Field(default=[], description="What rules see as `key_tags`.")
    max_tier: Int | None = Field(
        default=None, ge=1, description="The highest of a model's `tiers` for this key, from 1. Default: the last."
    )


class ServerShape(Shape):
    """The listening side."""

    host: Text | None = Field(default=None, description="Address to listen on. Default 127.0.0.1.")
    port: Int | None = Field(default=None, ge=1, le=65535, description="TCP port. Default 8080.")
    keys: list[KeyShape] = Field(
        default=[], description="Keys that clients may present; none: everyone who reaches the port."
    )
    cors_origins: Items[Annotated[Text, AfterValidator(_origin)]] = Field(
        default=[], description="Origins whose browser pages may call this router."
    )
    trusted_hosts: Items[Text] = Field(default=[], description="Values of `Host` to answer for; none: all.")
    json_limit_mib: Float | None = Field(default=None, gt=0, description="Largest JSON body, MiB. Default 64.")
    upload_limit_mib: Float | None = Field(default=None, gt=0, description="Largest multipart body, MiB. Default 100.")
    drain_s: Duration | None = Field(
        default=None, description="How long running requests get after SIGTERM. Default 30."
    )
    drain_ms: Duration | None = Field(default=None, description="`drain_s` in milliseconds.")
    body_timeout_s: Duration | None = Field(
        default=None, description="How long a client may take to send a body. Default 30."
    )
    body_timeout_ms: Duration | None = Field(default=None, description="`body_timeout_s` in milliseconds.")
    public_url: OptionalUrl | None = Field(
        default=None, description="Prefix of picture URLs, as clients see this router."
    )
    docs: Bool = Field(default=False, description="Serve the interactive API page at /docs.")
    max_in_flight: Int | None = Field(default=None, ge=1, description="Requests at once; more get 429. Default 1000.")


class ProviderShape(Shape):
    """An upstream. Without its key it is off."""

    type: ProviderType = Field(description="The wire it speaks.")
    base_url: Url | None = Field(
        default=None, description="Where it is, path prefix included. Default: the vendor's own."
    )
    api_key: str | None = Field(
        default=None,
        description="Its key, as `${ENV}`. Variable not set: the provider is off. No key and a base_url: local.",
    )
    enabled: Bool = Field(default=True, description="False switches it off.")
    connect_timeout_s: Duration | None = Field(default=None, description="TCP and TLS. Default 5.")
    connect_timeout_ms: Duration | None = Field(default=None, description="`connect_timeout_s` in milliseconds.")
    idle_timeout_s: Duration | None = Field(default=None, description="Longest silence between two reads. Default 120.")
    idle_timeout_ms: Duration | None = Field(default=None, description="`idle_timeout_s` in milliseconds.")
    max_concurrency: Int | None = Field(
        default=None,
        ge=1,
        description="Requests that it may have at once. Default: as many as it takes (pictures: eachlabs 10, bfl 24).",
    )
    self_hosted: Bool | None = Field(
        default=None,
        description="A server that gets slower the more it has: its limit follows how much. Default: true for types "
        "stable-diffusion and comfyui, and for a private base_url without api_key.",
    )
    capacity: Int | None = Field(
        default=None,
        ge=1,
        description="Requests at once, of all routers together, that make its answers take twice as long. It is then "
        "self_hosted. Default: learned.",
    )
    organization: Text | None = Field(default=None, description="OpenAI organization id.")
    model_prefix: Prefix | None = Field(
        default=None, description="What litellm calls the provider, for type litellm: `anthropic/`."
    )
    vertex: CloudShape | None = Field(default=None, description="Google Cloud instead of an API key, for type gemini.")
    gemini: GeminiShape = Field(default_factory=GeminiShape, description="Choices of the translation, for type gemini.")
    azure: AzureShape = Field(default_factory=AzureShape, description="Versions and deployments, for type azure.")
    workflows: Mapping[str, WorkflowShape] = Field(default={}, description="Models of a provider of type comfyui.")
    midjourney: MidjourneyShape = Field(default_factory=MidjourneyShape, description="The bridge, for type midjourney.")
    result_hosts: Items[Text] = Field(
        default=[], description="Hosts that finished pictures may be fetched from; none: any public host."
    )


class RuleShape(Shape):
    """A condition and the model it chooses."""

    when: Text = Field(description="CEL condition over the request, for example `prompt_tokens > 200000`.")
    use: Text = Field(description="The model to use when it holds.")
    sort: Sort | None = Field(default=None, description="Overrides that model's own `sort`.")


class TargetShape(Shape):
    """An upstream model at a provider."""

    brief: ClassVar[str | None] = "target"

    target: Target = Field(description="provider/upstream-model")
    weight: Float = Field(default=1.0, ge=0, description="Share for `sort: weighted`.")
    timeout_s: Duration | None = Field(default=None, description="Longest wait for the first byte of one attempt.")
    timeout_ms: Duration | None = Field(default=None, description="`timeout_s` in milliseconds.")


class TierShape(Shape):
    """A rung of a model's ladder."""

    brief: ClassVar[str | None] = "use"

    use: Text = Field(description="The model that serves it.")
    reasoning_effort: Effort | None = Field(
        default=None, description="What it is asked for where the caller says nothing about thinking."
    )


class SloShape(Shape):
    """What answers should keep at the 95th percentile."""

    ttft_p95_ms: Duration | None = Field(
        default=None, description="Time to first token, milliseconds, of 95 % of all requests with prompts as usual."
    )
    total_p95_ms: Duration | None = Field(
        default=None, description="Whole answer, milliseconds, of 95 % of all requests with prompts as usual."
    )


class ModelShape(Shape):
    """A public model: rules, then `tiers`, `use` or `targets`."""

    description: str = Field(default="", description="Shown by GET /v1/models.")
    rules: list[RuleShape] = Field(default=[], description="First match wins.")
    use: Text | None = Field(default=None, description="The model when no rule matches.")
    tiers: list[TierShape] = Field(
        default=[], description="In place of `use`: models from cheap to good; how hard a request looks decides."
    )
    cost_quality: Float | None = Field(
        default=None, ge=0, le=1, description="0: always the first tier, 1: always the last. Default 0.4."
    )
    escalations_per_minute: Int | None = Field(
        default=None, ge=0, description="Weak answers asked for again a tier higher. Default 20; 0: none."
    )
    targets: list[TargetShape] = Field(default=[], description="Where the model is served from.")
    sort: Sort | None = Field(default=None, description="How targets are ordered. Default cost.")
    slo: SloShape = Field(default_factory=SloShape, description="Cheapest target that is predicted to keep this.")
    fallbacks: list[Text] = Field(default=[], description="Models to go on with when every target has failed.")
    stream_mode: StreamMode | None = Field(
        default=None, description="What a break inside a stream of this model does. Default: routing.stream_mode."
    )


class AliasShape(Shape):
    """Another name for a model."""

    brief: ClassVar[str | None] = "to"

    to: Text = Field(description="Model, alias, catalogue name or provider/upstream-model.")
    note: str = Field(default="", description="Why; shown by GET /v1/models.")


class HedgeShape(Shape):
    """A second candidate when the first is late."""

    enabled: Bool = Field(default=False, description="Off by default: hedges cost money.")
    max_extra: Float | None = Field(
        default=None, ge=0, le=1, description="Largest share of extra requests. Default 0.02."
    )


class FailoverShape(Shape):
    """After which failures of an upstream the next candidate is asked; after the others the client gets the failure."""

    content_policy: Bool = Field(default=False, description="A filter refused the prompt or the picture.")
    context_length: Bool = Field(default=True, description="The prompt was too long; only larger windows are asked.")
    capability: Bool = Field(default=True, description="The upstream cannot express a field of the request.")
    auth: Bool = Field(default=True, description="401, 403: the router's key was refused.")
    model_missing: Bool = Field(default=True, description="404: the upstream does not know the model.")
    rate_limit: Bool = Field(default=True, description="429, quotas included.")
    unavailable: Bool = Field(default=True, description="5xx, refused, reset.")
    timeout: Bool = Field(default=True, description="No first content, or no whole answer, in time.")
    bad_response: Bool = Field(default=True, description="An answer that is empty or cannot be read.")


class QueueShape(Shape):
    """Requests that wait while every upstream of their model has as many as it takes."""

    size: Int | None = Field(
        default=None, ge=0, description="How many of each model; more get 429 at once. Default 100."
    )
    max_wait_ms: Duration | None = Field(default=None, description="Longest wait of one of them. Default 20000.")
    max_wait_s: Duration | None = Field(default=None, description="`max_wait_ms` in seconds.")
    image_max_wait_ms: Duration | None = Field(default=None, description="The same for pictures. Default 60000.")
    image_max_wait_s: Duration | None = Field(default=None, description="`image_max_wait_ms` in seconds.")


class RoutingShape(Shape):
    """How far the router goes for one request."""

    deadline_ms: Duration | None = Field(
        default=None, description="All attempts of a chat request together. Default 120000."
    )
    deadline_s: Duration | None = Field(default=None, description="`deadline_ms` in seconds.")
    image_deadline_ms: Duration | None = Field(default=None, description="The same for pictures. Default 300000.")
    image_deadline_s: Duration | None = Field(default=None, description="`image_deadline_ms` in seconds.")
    ttft_timeout_ms: Duration | None = Field(
        default=None, description="One attempt's wait for its first chunk. Default 60000."
    )
    ttft_timeout_s: Duration | None = Field(default=None, description="`ttft_timeout_ms` in seconds.")
    idle_timeout_ms: Duration | None = Field(
        default=None, description="Longest gap in a stream's content once it has begun. Default 120000."
    )
    idle_timeout_s: Duration | None = Field(default=None, description="`idle_timeout_ms` in seconds.")
    attempts: Int | None = Field(default=None, ge=1, le=10, description="Attempts per request. Default 3.")
    replicas: Int | None = Field(
        default=None, ge=1, description="Routers that share the upstreams, this one included. Default 1."
    )
    retry_budget: Float | None = Field(
        default=None, ge=0, le=1, description="Share of requests that may be retries. Default 0.1."
    )
    queue: QueueShape = Field(default_factory=QueueShape, description="Waiting for an upstream that is full.")
    hedge: HedgeShape = Field(default_factory=HedgeShape, description="A second candidate when the first is late.")
    stream_mode: StreamMode | None = Field(
        default=None,
        description="What a break inside a stream does: an error (live, the default), another model goes on (repair), "
        "or nobody sees it because only whole answers are sent (buffered).",
    )
    failover: FailoverShape = Field(
        default_factory=FailoverShape, description="After which failures the next candidate is asked."
    )


class BucketShape(Shape):
    """A bucket of Amazon S3 or of any service that speaks its protocol."""

    bucket: Text = Field(description="Its name. It must exist.")
    prefix: str = Field(default="turnout", description="Where in it the pictures lie.")
    endpoint: Url | None = Field(default=None, description="Address of the service. Default: Amazon's, by region.")
    public_endpoint: Url | None = Field(default=None, description="The address links name, where it is another.")
    region: Text | None = Field(default=None, description="Default: AWS_REGION, else us-east-1.")
    access_key_id: Text | None = Field(default=None, description="Default: AWS_ACCESS_KEY_ID or the machine's role.")
    secret_access_key: Text | None = Field(default=None, description="Its secret, as `${ENV}`.")


class SigningShape(Shape):
    """C2PA manifests, signed with a key of your own (`turnout[c2pa]`)."""

    certificate: Text = Field(description="PEM file of the certificate chain, its own certificate first.")
    private_key: Text = Field(description="PEM file of the key (PKCS#8).")
    algorithm: SigningAlgorithm = Field(default="es256", description="What the key signs with.")
    timestamp_url: Url | None = Field(
        default=None, description="A time-stamping service (RFC 3161), asked for every picture. Default: none."
    )


class EnhanceShape(Shape):
    """What `router.enhance` and `model:enhanced` do for image requests that ask for it."""

    rewrite_model: Text | None = Field(
        default=None, description="Chat model that words prompts anew. None: they stay as they are."
    )
    critique_model: Text | None = Field(
        default=None, description="Chat model that sees and judges pictures. None: nobody does."
    )
    rewrite_timeout_ms: Duration | None = Field(default=None, description="Wait for a rewrite. Default 4000.")
    rewrite_timeout_s: Duration | None = Field(default=None, description="`rewrite_timeout_ms` in seconds.")
    critique_timeout_ms: Duration | None = Field(default=None, description="Wait for a mark. Default 15000.")
    critique_timeout_s: Duration | None = Field(default=None, description="`critique_timeout_ms` in seconds.")
    threshold: Float | None = Field(
        default=None, ge=0, le=10, description="A picture with a lower mark is made once more. Default 7."
    )
    max_rounds: Int | None = Field(
        default=None, ge=0, le=2, description="How often, at most, in one request. Default 1; 0: nothing is judged."
    )
    max_cost_usd: Money | None = Field(
        default=None, description="What all this may add to one request, further pictures included. Default: no limit."
    )


class ImagesShape(Shape):
    """Delivery of pictures."""

    store_dir: Text | None = Field(default=None, description="Folder for pictures asked for by URL.")
    ttl_s: Duration | None = Field(default=None, description="How long their URLs work. Default 3600.")
    ttl_ms: Duration | None = Field(default=None, description="`ttl_s` in milliseconds.")
    quota_mib: Float | None = Field(default=None, gt=0, description="Largest size of that folder, MiB. Default 1024.")
    default_format: ImageFormat | None = Field(default=None, description="When the caller names none. Default png.")
    variation_prompt: Text | None = Field(
        default=None, description="What an edit is told for /v1/images/variations. Without it they are answered 410."
    )
    response_limit_mib: Float | None = Field(
        default=None, gt=0, description="Most base64 in one answer, MiB; beyond it WebP or 400. Default 64."
    )
    s3: BucketShape | None = Field(default=None, description="Store them in a bucket instead of the folder.")
    c2pa: SigningShape | None = Field(default=None, description="Sign what models made. Default: no manifest.")
    enhance: EnhanceShape = Field(default_factory=EnhanceShape, description="Better prompts and judged pictures.")


class FetchShape(Shape):
    """What the router fetches because a caller named it by URL. Short: `fetch: off`."""

    brief: ClassVar[str | None] = "enabled"

    enabled: Bool = Field(default=True, description="False: callers must send pictures and files inline.")
    max_mib: Float | None = Field(default=None, gt=0, description="Largest file behind one URL, MiB. Default 20.")
    timeout_ms: Duration | None = Field(
        default=None, description="Time for one URL, redirects included. Default 10000."
    )
    timeout_s: Duration | None = Field(default=None, description="`timeout_ms` in seconds.")
    allow_origins: Items[Annotated[Text, AfterValidator(_exact_origin)]] = Field(
        default=[], description="Origins that may be plain http and private; everything else is https and public."
    )


class TurnoutShape(Shape):
    """Turnout's configuration file."""

    catalogue: Text | None = Field(
        default=None, description="The models.yaml to use. Default: the one beside this file."
    )
    server: ServerShape = Field(default_factory=ServerShape, description="The listening side.")
    providers: Mapping[str, ProviderShape] = Field(default={}, description="Upstreams, by the name that targets use.")
    models: Mapping[str, ModelShape] = Field(default={}, description="Public models.")
    aliases: Mapping[str, AliasShape] = Field(default={}, description="Other names; a name may end with `*`.")
    routing: RoutingShape = Field(default_factory=RoutingShape, description="Deadline, attempts, retries, streams.")
    images: ImagesShape = Field(default_factory=ImagesShape, description="Delivery of pictures.")
    fetch: FetchShape = Field(default_factory=FetchShape, description="Pictures and files that callers name by URL.")
