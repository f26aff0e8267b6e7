"""From validated shapes to the frozen values of `values.py`: defaults, units, keys, what is on and what is off."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec.structs import replace

from providers.addresses import is_private_host
from providers.options import Cloud
from providers.workflows import Workflow
from router.errors import Problem
from router.settings.azure import build_azure, resource_url
from router.settings.document import Document, Loc
from router.settings.fields import optional_seconds, seconds
from router.settings.google import build_cloud, build_gemini, cloud_url
from router.settings.midjourney import LEGNEXT_URL, build_midjourney
from router.settings.shapes import (
    EnhanceShape,
    FetchShape,
    ImagesShape,
    KeyShape,
    ModelShape,
    ProviderShape,
    QueueShape,
    RoutingShape,
    ServerShape,
    SigningShape,
    TargetShape,
    TierShape,
    TurnoutShape,
)
from router.settings.values import (
    DEFAULT_BASE_URLS,
    Alias,
    BucketSettings,
    ClientKey,
    EnhanceSettings,
    FailoverSettings,
    FetchSettings,
    Hedge,
    ImageSettings,
    ModelSettings,
    ProviderOptions,
    ProviderSettings,
    QueueSettings,
    RoutingSettings,
    RuleSettings,
    ServerSettings,
    SigningSettings,
    Slo,
    TargetSettings,
    TierSettings,
)

KEYS_VARIABLE = "TURNOUT_API_KEYS"
# Where a provider may lack a variable: it is then off.
KEY_PLACES: tuple[Loc, ...] = (("api_key",), ("vertex", "project"), ("vertex", "express_key"))
_MIB = 1024 * 1024
_SERVER, _ROUTING, _IMAGES, _FETCH = ServerSettings(), RoutingSettings(), ImageSettings(), FetchSettings()


def build_server(shape: ServerShape, environ: Mapping[str, str]) -> ServerSettings:
    return ServerSettings(
        host=shape.host or _SERVER.host,
        port=shape.port or _SERVER.port,
        keys=_client_keys(shape.keys, environ.get(KEYS_VARIABLE, "")),
        cors_origins=tuple(shape.cors_origins),
        trusted_hosts=tuple(shape.trusted_hosts),
        json_limit_bytes=_bytes(shape.json_limit_mib, _SERVER.json_limit_bytes),
        upload_limit_bytes=_bytes(shape.upload_limit_mib, _SERVER.upload_limit_bytes),
        drain_s=seconds(shape.drain_ms, shape.drain_s, _SERVER.drain_s),
        body_timeout_s=seconds(shape.body_timeout_ms, shape.body_timeout_s, _SERVER.body_timeout_s),
        public_url=shape.public_url or None,
        docs=shape.docs,
        max_in_flight=shape.max_in_flight or _SERVER.max_in_flight,
    )


def build_routing(shape: RoutingShape) -> RoutingSettings:
    extra = Hedge().max_extra if shape.hedge.max_extra is None else shape.hedge.max_extra
    return RoutingSettings(
        deadline_s=seconds(shape.deadline_ms, shape.deadline_s, _ROUTING.deadline_s),
        image_deadline_s=seconds(shape.image_deadline_ms, shape.image_deadline_s, _ROUTING.image_deadline_s),
        attempts=shape.attempts or _ROUTING.attempts,
        replicas=shape.replicas or _ROUTING.replicas,
        retry_budget=_ROUTING.retry_budget if shape.retry_budget is None else shape.retry_budget,
        queue=_queue(shape.queue),
        hedge=Hedge(enabled=shape.hedge.enabled, max_extra=extra),
        stream_mode=shape.stream_mode or _ROUTING.stream_mode,
        ttft_timeout_s=seconds(shape.ttft_timeout_ms, shape.ttft_timeout_s, _ROUTING.ttft_timeout_s),
        idle_timeout_s=seconds(shape.idle_timeout_ms, shape.idle_timeout_s, _ROUTING.idle_timeout_s),
        failover=FailoverSettings(**shape.failover.model_dump()),
    )


def _queue(shape: QueueShape) -> QueueSettings:
    usual = _ROUTING.queue
    return QueueSettings(
        size=usual.size if shape.size is None else shape.size,
        max_wait_s=seconds(shape.max_wait_ms, shape.max_wait_s, usual.max_wait_s),
        image_max_wait_s=seconds(shape.image_max_wait_ms, shape.image_max_wait_s, usual.image_max_wait_s),
    )


def build_images(shape: ImagesShape, document: Document) -> ImageSettings:
    return ImageSettings(
        enhance=_enhance(shape.enhance),
        store_dir=Path(shape.store_dir).expanduser() if shape.store_dir else _IMAGES.store_dir,
        ttl_s=seconds(shape.ttl_ms, shape.ttl_s, _IMAGES.ttl_s),
        quota_bytes=_bytes(shape.quota_mib, _IMAGES.quota_bytes),
        default_format=shape.default_format or _IMAGES.default_format,
        variation_prompt=shape.variation_prompt or None,
        response_limit_bytes=_bytes(shape.response_limit_mib, _IMAGES.response_limit_bytes),
        bucket=None if shape.s3 is None else BucketSettings(**shape.s3.model_dump()),
        signing=None if shape.c2pa is None else _signing(shape.c2pa, document),
    )


def _signing(shape: SigningShape, document: Document) -> SigningSettings:
    return SigningSettings(**shape.model_dump(), file=document.file, line=document.line(("images", "c2pa")))


def _enhance(shape: EnhanceShape) -> EnhanceSettings:
    usual = _IMAGES.enhance
    return EnhanceSettings(
        rewrite_model=shape.rewrite_model,
        critique_model=shape.critique_model,
        rewrite_timeout_s=seconds(shape.rewrite_timeout_ms, shape.rewrite_timeout_s, usual.rewrite_timeout_s),
        critique_timeout_s=seconds(shape.critique_timeout_ms, shape.critique_timeout_s, usual.critique_timeout_s),
        threshold=usual.threshold if shape.threshold is None else shape.threshold,
        max_rounds=usual.max_rounds if shape.max_rounds is None else shape.max_rounds,
        max_cost_usd=shape.max_cost_usd,
    )


def build_fetch(shape: FetchShape) -> FetchSettings:
    return FetchSettings(
        enabled=shape.enabled,
        max_bytes=_bytes(shape.max_mib, _FETCH.max_bytes),
        timeout_s=seconds(shape.timeout_ms, shape.timeout_s, _FETCH.timeout_s),
        allow_origins=tuple(shape.allow_origins),
    )


def build_providers(
    shape: TurnoutShape, document: Document, workflows: Mapping[str, Mapping[str, Workflow]]
) -> dict[str, ProviderSettings]:
    """`workflows` by provider."""
    return {
        name: _provider(name, provider, document, workflows.get(name, {})) for name, provider in shape.providers.items()
    }


def build_models(shape: TurnoutShape, document: Document) -> dict[str, ModelSettings]:
    return {name: _model(name, model, document) for name, model in shape.models.items()}


def build_aliases(shape: TurnoutShape, document: Document) -> dict[str, Alias]:
    return {
        name: Alias(name=name, to=alias.to, note=alias.note, line=document.line(("aliases", name)))
        for name, alias in shape.aliases.items()
    }


def key_problems(keys: tuple[ClientKey, ...], document: Document) -> list[Problem]:
    """Two keys of one name cannot be told apart in logs and rules; two of one secret not at all."""
    problems = []
    for index, key in enumerate(keys):
        loc: Loc = ("server", "keys", index)
        if any(key.name == other.name for other in keys[:index]):
            problems.append(document.problem(loc, f"a second key is named {key.name!r}"))
        if any(key.secret == other.secret for other in keys[:index]):
            problems.append(document.problem(loc, f"the key {key.name!r} has the secret of another"))
        if not _fits_header(key.secret):
            problems.append(document.problem(loc, f"the secret of {key.name!r} has characters no HTTP header carries"))
    return problems


def _provider(
    name: str, shape: ProviderShape, document: Document, workflows: Mapping[str, Workflow]
) -> ProviderSettings:
    loc: Loc = ("providers", name)
    cloud = build_cloud(shape.vertex, Path(document.file).parent)
    default = ProviderSettings(name=name, type=shape.type, base_url=_address(shape, cloud))
    unset = next((document.unset[(*loc, *key)] for key in KEY_PLACES if (*loc, *key) in document.unset), None)
    off_reason = _off_reason(shape, unset)
    key = shape.vertex.express_key if shape.vertex else shape.api_key
    return ProviderSettings(
        name=name,
        type=shape.type,
        base_url=default.base_url,
        api_key=(key or "").strip() or None,
        enabled=not off_reason,
        off_reason=off_reason,
        connect_timeout_s=seconds(shape.connect_timeout_ms, shape.connect_timeout_s, default.connect_timeout_s),
        idle_timeout_s=seconds(shape.idle_timeout_ms, shape.idle_timeout_s, default.idle_timeout_s),
        max_concurrency=shape.max_concurrency,
        self_hosted=_is_self_hosted(shape, default.base_url) if shape.self_hosted is None else shape.self_hosted,
        capacity=shape.capacity,
        options=ProviderOptions(
            cloud=cloud,
            gemini=build_gemini(shape.gemini),
            azure=build_azure(shape.azure),
            workflows=workflows,
            midjourney=build_midjourney(shape.midjourney),
            organization=shape.organization,
            model_prefix=shape.model_prefix or "",
            result_hosts=tuple(shape.result_hosts),
        ),
        line=document.line(loc),
    )


def _address(shape: ProviderShape, cloud: Cloud | None) -> str:
    """Where the provider is: as configured, else where its vendor has it."""
    if shape.base_url:
        return resource_url(shape.base_url) if shape.type == "azure" else shape.base_url
    if cloud is not None:
        return cloud_url(cloud)
    legnext = shape.type == "midjourney" and shape.midjourney.dialect == "legnext"
    return LEGNEXT_URL if legnext else DEFAULT_BASE_URLS[shape.type]


def _is_self_hosted(shape: ProviderShape, base_url: str) -> bool:
    """Whether this is a model server of the operator's own: by its capacity, by what it is or by where it is. A key
    speaks against the last: what asks for one on a private address is as often a gateway to public APIs, which must not
    be held back."""
    if shape.capacity or shape.type in ("stable-diffusion", "comfyui"):
        return True
    host = urlsplit(base_url).hostname
    return shape.api_key is None and shape.vertex is None and host is not None and is_private_host(host)


def _off_reason(shape: ProviderShape, unset: str | None) -> str:
    if not shape.enabled:
        return "enabled is false"
    if unset:
        return f"{unset} is not set"
    given = shape.vertex.express_key if shape.vertex else shape.api_key
    if given is not None:
        key = given.strip()
        return "" if key and _fits_header(key) else "its api_key is empty or not a key"
    return "" if shape.base_url or shape.vertex else "it has no api_key"


def _model(name: str, shape: ModelShape, document: Document) -> ModelSettings:
    loc: Loc = ("models", name)
    default = ModelSettings(name=name)
    return ModelSettings(
        name=name,
        rules=tuple(
            RuleSettings(when=rule.when, use=rule.use, sort=rule.sort, line=document.line((*loc, "rules", index)))
            for index, rule in enumerate(shape.rules)
        ),
        use=shape.use,
        targets=tuple(
            _target(target, document.line((*loc, "targets", index))) for index, target in enumerate(shape.targets)
        ),
        sort=shape.sort or default.sort,
        slo=Slo(ttft_p95_ms=shape.slo.ttft_p95_ms, total_p95_ms=shape.slo.total_p95_ms),
        fallbacks=tuple(shape.fallbacks),
        stream_mode=shape.stream_mode,
        tiers=tuple(_tier(tier, document.line((*loc, "tiers", index))) for index, tier in enumerate(shape.tiers)),
        cost_quality=default.cost_quality if shape.cost_quality is None else shape.cost_quality,
        escalations_per_minute=(
            default.escalations_per_minute if shape.escalations_per_minute is None else shape.escalations_per_minute
        ),
        description=shape.description,
        line=document.line(loc),
    )


def _target(shape: TargetShape, line: int) -> TargetSettings:
    provider, _, model = shape.target.partition("/")
    timeout_s = optional_seconds(shape.timeout_ms, shape.timeout_s)
    return TargetSettings(provider=provider, model=model, weight=shape.weight, timeout_s=timeout_s, line=line)


def _tier(shape: TierShape, line: int) -> TierSettings:
    return TierSettings(use=shape.use, reasoning_effort=shape.reasoning_effort or "", line=line)


def _client_keys(shapes: list[KeyShape], variable: str) -> tuple[ClientKey, ...]:
    """Keys of the file, then those of the environment (`name:secret` or a bare secret, comma separated)."""
    keys = [
        ClientKey(name=key.name or "", secret=key.secret.strip(), tags=tuple(key.tags), max_tier=key.max_tier)
        for key in shapes
    ]
    for part in (each.strip() for each in variable.split(",")):
        name, colon, secret = part.partition(":")
        if part:
            keys.append(ClientKey(name=name if colon else "", secret=secret.strip() if colon else part))
    return tuple(key if key.name else replace(key, name=f"key{number}") for number, key in enumerate(keys, 1))


def _bytes(mebibytes: float | None, default: int) -> int:
    return default if mebibytes is None else int(mebibytes * _MIB)


def _fits_header(secret: str) -> bool:
    return secret.isascii() and secret.isprintable() and bool(secret)
