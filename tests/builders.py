"""Small values that tests of the router are built from: a clock, models with round prices, settings, candidates."""

import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import hypothesis

from providers.catalogue import ModelInfo, Price
from router.routing.health import Health
from router.routing.load import Load
from router.routing.plan import Candidate, Directives, Features, Patience, Plan, Prediction
from router.routing.planner import Planner
from router.routing.rules import compile_rules
from router.settings.values import (
    Alias,
    ClientKey,
    ModelSettings,
    ProviderSettings,
    RoutingSettings,
    Settings,
    TargetSettings,
)

hypothesis.settings.register_profile("calm", deadline=None, database=None)  # a busy machine is no failure
hypothesis.settings.load_profile("calm")

DAY = date(2026, 11, 20)
KEY = ClientKey(name="tester", secret="s3cret", tags=("batch",))


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def most(low: float, high: float) -> float:
    """A `uniform` without chance."""
    return high


def health(clock: Clock | None = None) -> Health:
    return Health(clock or Clock(), most)


def price(input_: str | None = "1", output: str | None = "1", **more: object) -> Price:
    """USD per million tokens; None is unknown."""
    amounts = {name: Decimal(amount) for name, amount in (("input", input_), ("output", output)) if amount is not None}
    return Price(**amounts, **more)  # type: ignore[arg-type]


def info(name: str = "m", cost: str | None = "1", **more: object) -> ModelInfo:
    """A model that costs `cost` USD per million tokens in and out; None: nothing is known of its price."""
    prices = () if cost is None else (price(cost, cost),)
    return ModelInfo(**{"name": name, "prices": prices, **more})  # type: ignore[arg-type]


def target(name: str, **more: object) -> TargetSettings:
    provider, _, model = name.partition("/")
    return TargetSettings(provider=provider, model=model, **more)  # type: ignore[arg-type]


def model(name: str, *targets: str | TargetSettings, **more: object) -> ModelSettings:
    listed = tuple(each if isinstance(each, TargetSettings) else target(each) for each in targets)
    return ModelSettings(name=name, targets=listed, **more)  # type: ignore[arg-type]


def settings(
    *models: ModelSettings,
    catalogue: Mapping[str, ModelInfo] | None = None,
    aliases: Mapping[str, str] | None = None,
    catalogue_targets: Mapping[str, tuple[TargetSettings, ...]] | None = None,
    off: tuple[str, ...] = (),
    routing: RoutingSettings | None = None,
) -> Settings:
    """Providers `a`, `b`, `c` and `d`, those in `off` without a key."""
    providers = {
        name: ProviderSettings(
            name=name,
            type="openai",
            base_url="http://127.0.0.1:9/v1",
            enabled=name not in off,
            off_reason="it has no api_key" if name in off else "",
        )
        for name in "abcd"
    }
    return Settings(
        providers=providers,
        models={each.name: each for each in models},
        catalogue=catalogue or {},
        aliases={name: Alias(name=name, to=to) for name, to in (aliases or {}).items()},
        catalogue_targets=catalogue_targets or {},
        routing=routing or RoutingSettings(),
    )


class Desk:
    """A planner with its health and clock."""

    def __init__(self, configured: Settings) -> None:
        self.clock = Clock()
        self.health = health(self.clock)
        self.planner = Planner(configured, compile_rules(configured), self.health)

    def plan(self, features: Features | None = None, **directives: object) -> Plan:
        return self.planner.plan(
            features or Features(model="chat"),
            Directives(**directives),  # type: ignore[arg-type]
            self.clock.now,
            DAY,
        )

    def names(self, features: Features | None = None, **directives: object) -> list[str]:
        """Who is asked, in order, retries left out."""
        return [each.name for each in self.plan(features, **directives).candidates if not each.retry]


def prediction(ms: float = 1000.0) -> Prediction:
    return Prediction(ttft_ms=ms, ttft_p95_ms=ms, total_ms=ms, total_p95_ms=ms)


def candidate(name: str = "a/m", **more: object) -> Candidate:
    provider, _, model_name = name.partition("/")
    values: dict[str, object] = {
        "provider": provider,
        "model": model_name,
        "info": info(model_name),
        "route": "chat",
        "prediction": prediction(),
    }
    return Candidate(**{**values, **more})  # type: ignore[arg-type]


def plan(*candidates: Candidate, deadline_s: float = 10.0, kind: str = "chat", **more: object) -> Plan:
    return Plan(
        model="chat",
        kind=kind,  # type: ignore[arg-type]
        candidates=candidates,
        deadline_s=deadline_s,
        patience=Patience(60.0),
        **more,  # type: ignore[arg-type]
    )


def answered(load: Load, before: int, ratio: float, usual: Prediction) -> None:
    """An attempt found so many under way, and took so many times as long as at none."""
    for key in range(before + 1):
        load.began(key, usual, True, 0.0)
    load.over(before)
    load.observe(math.log(ratio), load.ended)
    for key in range(before):
        load.over(key)
