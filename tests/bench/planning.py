"""Microseconds to plan one request over ten candidates and note its outcome. One number, the least of 100 rounds."""

import time
import timeit
from datetime import date
from decimal import Decimal

from providers.catalogue import ModelInfo, Price
from router.routing.health import Health
from router.routing.plan import Attempt, Directives, Features
from router.routing.planner import Planner
from router.routing.rules import compile_rules
from router.settings.values import ModelSettings, ProviderSettings, Settings, Slo, TargetSettings

_CANDIDATES = 10
_CALLS = 500
_DAY = date(2026, 11, 20)


def _settings() -> Settings:
    names = [f"model-{number}" for number in range(_CANDIDATES)]
    targets = tuple(TargetSettings(provider=f"p{number % 3}", model=name) for number, name in enumerate(names))
    price = {"cached_input": Decimal("0.075"), "valid_to": date(2027, 1, 1)}
    return Settings(
        providers={
            f"p{n}": ProviderSettings(name=f"p{n}", type="gemini", base_url="http://127.0.0.1", api_key="k")
            for n in range(3)
        },
        models={"m": ModelSettings(name="m", targets=targets, sort="cost", slo=Slo(ttft_p95_ms=1500))},
        catalogue={
            name: ModelInfo(
                name=name,
                ttft_ms=500 + 50 * number,
                prices=(Price(input=Decimal(number + 1) / 4, output=Decimal(number + 1), **price),),
            )
            for number, name in enumerate(names)
        },
    )


def main() -> None:
    settings = _settings()
    health = Health(time.monotonic)
    planner = Planner(settings, compile_rules(settings), health)
    features = Features(model="m", prompt_bytes=900, prompt_tokens=230, messages=3, stream=True, affinity=0.4)
    directives = Directives()

    def once() -> None:
        plan = planner.plan(features, directives, health.now(), _DAY)
        health.admit(plan.candidates[0])
        health.record(Attempt(candidate=plan.candidates[0], duration_s=0.4))

    assert len(planner.plan(features, directives, 0.0, _DAY).candidates) > 1
    print(min(timeit.repeat(once, number=_CALLS, repeat=100)) / _CALLS * 1e6)


if __name__ == "__main__":
    main()
