"""GET /v1/models and /v1/models/{id}: public names, with what a client or a UI may want to know of each."""

from collections.abc import Iterator
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from providers.catalogue import ImagePrice, ModelInfo, Price, lookup
from providers.types import JsonObject
from router.api.gateway import Gateway
from router.errors import UnknownModelError
from router.routing.picture_cost import picture_cost
from router.routing.plan import Features
from router.settings.names import is_direct, resolve_alias
from router.settings.values import ModelSettings, TargetSettings


class ModelsHandler:
    """Lists configured models, catalogue names and aliases; an alias says what it stands for."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def list(self, request: Request) -> Response:
        self._gateway.auth.identify(request.scope)
        return JSONResponse({"object": "list", "data": [self._entry(name) for name in self._names()]})

    async def one(self, request: Request) -> Response:
        self._gateway.auth.identify(request.scope)
        name = request.path_params["model"]
        if name not in set(self._names()) and not self._is_served(name):
            raise UnknownModelError(f"The model '{name[:64]}' does not exist or you do not have access to it.")
        return JSONResponse(self._entry(name))

    def _names(self) -> Iterator[str]:
        settings = self._gateway.settings
        seen: dict[str, None] = {}
        for names in (settings.models, settings.catalogue_targets, settings.aliases):
            seen.update((name, None) for name in names if "*" not in name)
        return iter(seen)

    def _is_served(self, name: str) -> bool:
        """Whether an unlisted name works: a direct target of a known model, or what an alias with `*` covers."""
        settings = self._gateway.settings
        name, alias = resolve_alias(settings, name)
        provider, _, model = name.partition("/")
        return alias is not None or (is_direct(settings, name) and lookup(settings.catalogue, provider, model).known)

    def _entry(self, name: str) -> JsonObject:
        settings = self._gateway.settings
        entry: JsonObject = {
            "id": name,
            "object": "model",
            "created": self._gateway.started,
            "owned_by": "turnout",
        }
        name, alias = resolve_alias(settings, name)
        if alias is not None:
            entry["alias_of"] = name
        model = settings.models.get(name)
        if model is not None and model.description:
            entry["description"] = model.description
        targets = self._targets(name, model)
        if targets:
            info = lookup(settings.catalogue, targets[0].provider, targets[0].model)
            entry.update(_facts(info))
            entry["targets"] = [self._target(target) for target in targets]
        return entry

    def _targets(self, name: str, model: ModelSettings | None) -> tuple[TargetSettings, ...]:
        settings = self._gateway.settings
        for _ in range(8):
            if model is None or model.usual is None:
                break
            name, model = model.usual, settings.models.get(model.usual)
        listed = model.targets if model is not None else settings.catalogue_targets.get(name, ())
        if model is None and not listed and is_direct(settings, name):
            provider, _, upstream_model = name.partition("/")
            listed = (TargetSettings(provider=provider, model=upstream_model),)
        return tuple(target for target in listed if settings.providers[target.provider].enabled)

    def _target(self, target: TargetSettings) -> JsonObject:
        health = self._gateway.health
        now = health.now()
        info = lookup(self._gateway.settings.catalogue, target.provider, target.model)
        kind = info.kind
        prediction = health.predict(target.provider, target.model, info, Features(kind=kind, stream=True), now)
        state, _ = health.breaker(target.provider, target.model, info, now)
        blocked, _ = health.blocked_s(target.provider, target.model, info, now)
        return {
            "target": target.name,
            "health": "blocked" if blocked else {"closed": "ok"}.get(state, state),
            "ttft_p50_ms": round(prediction.ttft_ms),
            "ttft_p95_ms": round(prediction.ttft_p95_ms),
        }


def _facts(info: ModelInfo) -> JsonObject:
    """Context, modalities and prices, in the names that OpenRouter made common: USD per token, as strings."""
    facts: JsonObject = {
        "context_length": info.context_tokens,
        **(
            {"dimensions": info.embedding.dimensions}
            if info.embedding
            else {"max_output_tokens": info.max_output_tokens}
        ),
        "architecture": {
            "input_modalities": [*sorted(info.inputs)],
            "output_modalities": [*sorted(info.outputs)],
        },
    }
    price = info.price_on(datetime.now(UTC).date())
    if price is not None:
        facts |= _prices(info, price)
    if info.retires is not None:
        facts["shutdown_date"] = info.retires.isoformat()  # a string: the SDKs' strict validation refuses a number
    return facts


def _prices(info: ModelInfo, price: Price) -> JsonObject:
    """`pricing`, and of a picture model also what `image_prices` holds; `pricing.image` is what a plain one costs."""
    pricing: JsonObject = {}
    if price.input is not None and price.output is not None:
        pricing = {"prompt": f"{price.input / 10**6:f}", "completion": f"{price.output / 10**6:f}"}
    plain = picture_cost(info, price, Features(kind="image")) if "image" in info.outputs else None
    if plain is not None:
        pricing["image"] = f"{plain:f}"
    shown: JsonObject = {"pricing": pricing} if pricing else {}
    if price.per_image:
        shown["image_prices"] = [_picture_price(row) for row in price.per_image]
    return shown


def _picture_price(row: ImagePrice) -> JsonObject:
    named = (("tier", row.tier), ("size", row.size), ("quality", row.quality))
    shown: JsonObject = {name: value for name, value in named if value is not None}
    shown["usd"] = f"{row.usd:f}"
    if row.further_megapixel:
        shown["further_megapixel_usd"] = f"{row.further_megapixel:f}"
    return shown
