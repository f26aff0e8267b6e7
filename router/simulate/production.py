"""The production router in virtual time: its planner, health and attempt loop as they are, one of each per replica.

What surrounds them on the live path (`api/answering.py`: what is observed, and when) is repeated here.
"""

import random
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from providers.catalogue import ModelInfo, Price
from providers.errors import ProviderError
from providers.types import Usage
from router.errors import RouterError
from router.routing.dispatch import dispatch
from router.routing.limits import provider_gates
from router.routing.plan import Attempt, Candidate, Directives
from router.routing.planner import Planner
from router.routing.rules import compile_rules
from router.settings.values import (
    Hedge,
    ModelSettings,
    ProviderSettings,
    RoutingSettings,
    Settings,
    TargetSettings,
)
from router.simulate.ablations import WHOLE, Ablation
from router.simulate.played import Played, lost
from router.simulate.scenarios import Scenario
from router.simulate.upstreams import Answer, Target, Upstreams
from router.simulate.workload import MODEL, Arrival

_DAY = date(2026, 11, 20)
_ASK = Directives()


class Turnout:
    """As many routers as the scenario has replicas, none knowing of the others."""

    def __init__(
        self,
        scenario: Scenario,
        upstreams: Upstreams,
        clock: Callable[[], float],
        seed: int,
        ablation: Ablation = WHOLE,
        *,
        hedged: bool = False,
        told: bool = False,
    ) -> None:
        """`hedged` switches on what is off by default: second attempts beside late ones. `told`: the configuration says
        what each target takes, and how many routers there are."""
        settings = _settings(scenario, Hedge(enabled=hedged), told=told)
        rules = compile_rules(settings)
        jitter = random.Random(f"jitter/{seed}")  # noqa: S311  a simulation
        health, strip = ablation
        share, providers = settings.routing.hedge.max_extra, settings.providers.values()
        self._healths = [
            health(clock, jitter.uniform, hedge_share=share, gates=provider_gates(providers, settings.routing.replicas))
            for _ in range(scenario.replicas)
        ]
        for each in self._healths:
            for target in scenario.targets:
                strip(each.target(target.name, "m", settings.catalogue[f"{target.name}/m"]).latency)
        self._planners = [Planner(settings, rules, health) for health in self._healths]
        self._upstreams = upstreams
        self._places = {target.name: place for place, target in enumerate(scenario.targets)}

    async def play(self, arrival: Arrival) -> Played:
        replica = int(arrival.replica * len(self._planners))
        health, upstreams, features = self._healths[replica], self._upstreams, arrival.features
        attempts: list[Attempt] = []
        asked: list[int] = []

        async def call(candidate: Candidate) -> Answer:
            place = self._places[candidate.provider]
            asked.append(place)
            return await upstreams.ask(place, arrival, asked.count(place) - 1)

        async def discard(place: int, answer: Answer | None) -> None:
            if answer is not None and features.stream:
                upstreams.let_go(self._places[attempts[place].candidate.provider])

        try:
            plan = self._planners[replica].plan(features, _ASK, health.now(), _DAY)
            outcome = await dispatch(plan, call, health, attempts, discard)
        except (RouterError, ProviderError):
            return lost(arrival, asked[0] if asked else -1, len(asked))
        served, took_s, answered = outcome.served_by, attempts[-1].duration_s, health.now()
        place = self._places[served.provider]
        latency = health.target(served.provider, served.model, served.info).latency
        if features.stream:
            load = latency.observe_first_token(features, took_s, answered)
            await upstreams.finish(place, outcome.value)
            health.written(served)
            ended = health.now()
            latency.observe_rate(ended - answered, arrival.output_tokens, load, ended)
        else:
            latency.observe_whole(features, took_s, arrival.output_tokens, answered)
        used = Usage(prompt_tokens=features.prompt_tokens, completion_tokens=arrival.output_tokens)
        health.observe_usage(served, features, used)
        return Played(
            arrival.at,
            asked[0],
            answered - arrival.at,
            len(asked),
            upstreams.cost_usd(place, arrival),
            probe=plan.candidates[0].probe,
        )


def _settings(scenario: Scenario, hedge: Hedge, *, told: bool) -> Settings:
    """A configuration with one model that all targets of the scenario serve."""
    targets = tuple(TargetSettings(provider=target.name, model="m") for target in scenario.targets)
    return Settings(
        providers={
            target.name: ProviderSettings(
                name=target.name,
                type="openai",
                base_url="http://127.0.0.1:9/v1",
                self_hosted=target.capacity is not None,
                capacity=round(target.capacity) if told and target.capacity is not None else None,
            )
            for target in scenario.targets
        },
        models={MODEL: ModelSettings(name=MODEL, targets=targets, sort=scenario.sort, slo=scenario.slo)},
        catalogue={f"{target.name}/m": _info(target) for target in scenario.targets},
        routing=RoutingSettings(hedge=hedge, replicas=scenario.replicas if told else 1),
    )


def _info(target: Target) -> ModelInfo:
    price = Decimal(str(target.price))
    return ModelInfo(
        name="m",
        ttft_ms=target.prior_ttft_ms,
        tpot_ms=target.prior_tpot_ms,
        prices=(Price(input=price, output=price),),
    )
