"""Why a target may not serve a request: what it cannot do, what the caller forbade. Each check gives its reason."""

from collections.abc import Sequence
from decimal import Decimal

from providers.catalogue import ModelInfo
from router.routing.ordering import wait_ms
from router.routing.plan import Directives, Excluded, Features, Prediction


def incapable(info: ModelInfo, features: Features) -> str:
    """What the request needs and the model lacks; empty when nothing."""
    if features.kind != info.kind and info.known and not (features.kind == "chat" and info.kind == "image"):
        return f"is a {info.kind} model"
    if features.kind == "image":
        return _incapable_of_image(info, features)
    if info.kind == "image" and "text" not in info.outputs:
        return "does not chat"
    if features.images or features.audio or features.files:
        for wanted, needed in (("image", features.images), ("audio", features.audio), ("file", features.files)):
            if needed and wanted not in info.inputs:
                return f"takes no {wanted} input"
    if features.image_out and info.known and "image" not in info.outputs:
        return "makes no pictures"
    if features.audio_out and info.known and "audio" not in info.outputs:
        return "makes no audio"
    if features.tools and not info.tools:
        return "has no tools"
    if features.json_schema and not info.json_schema:
        return "has no JSON schema output"
    if features.json_schema and features.tools and not info.tools_with_json:
        return "cannot combine tools with a JSON schema"
    if features.prompt_tokens > info.context_tokens:
        return f"holds {info.context_tokens} tokens, the prompt has about {features.prompt_tokens}"
    return ""


def _incapable_of_image(info: ModelInfo, features: Features) -> str:
    image = info.image
    if image is None:
        return "" if not info.known else "makes no pictures"
    if features.images > image.references and features.edit:
        return f"takes at most {image.references} reference pictures"
    if features.mask and not image.mask:
        return "takes no mask"
    if features.transparent and not image.transparent:
        return "has no transparent background"
    return f"makes at most {image.max_n} pictures a request" if features.n > image.max_n else ""


def disallowed(provider: str, model: str, directives: Directives) -> str:
    """Whether the caller's `only` or `ignore` keeps this target out."""
    names = (provider, f"{provider}/{model}", model)
    if directives.only and not any(name in directives.only for name in names):
        return "not among the caller's `only`"
    if any(name in directives.ignore for name in names):
        return "among the caller's `ignore`"
    return ""


def over_limit(expected: Decimal | None, prediction: Prediction, features: Features, directives: Directives) -> str:
    """Whether the target is expected to break a limit of the caller's."""
    limit = directives.max_cost_usd
    if limit is not None:
        if expected is None:
            return "its price is unknown, so max_cost_usd cannot be kept"
        if expected > limit:
            return f"expected to cost ${expected:.6f}, above max_cost_usd ${limit:.6f}"
    if directives.max_latency_ms is not None:
        wait = wait_ms(prediction, features)
        if wait > directives.max_latency_ms:
            return f"expected to take {wait:.0f} ms, above max_latency_ms {directives.max_latency_ms:.0f}"
    return ""


def limiting_field(directives: Directives, excluded: Sequence[Excluded]) -> str | None:
    """The request's field that kept targets out, for the error that says so."""
    if directives.max_cost_usd is not None and any("max_cost_usd" in entry.reason for entry in excluded):
        return "router.max_cost_usd"
    if directives.max_latency_ms is not None and any("max_latency_ms" in entry.reason for entry in excluded):
        return "router.max_latency_ms"
    return "model"


def nearest_feasible(excluded: Sequence[Excluded], features: Features, directives: Directives) -> str:
    """The excluded target that comes closest to the caller's limit, with the limit that would admit it."""
    if directives.max_cost_usd is not None:
        priced = [
            (entry.expected_cost_usd, entry.name)
            for entry in excluded
            if entry.expected_cost_usd is not None and "max_cost_usd" in entry.reason
        ]
        if priced:
            price, name = min(priced)
            return f"{name} at about ${price:.6f}"
    if directives.max_latency_ms is not None:
        timed = [(wait_ms(entry.prediction, features), entry.name) for entry in excluded if entry.prediction]
        if timed:
            wait, name = min(timed)
            return f"{name} at about {wait:.0f} ms"
    return ""
