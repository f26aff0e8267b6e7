"""The worlds that routing is judged in. Three chat upstreams whose catalogue figures are wrong by up to 40 %."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from router.settings.values import Slo, Sort
from router.simulate.upstreams import Phase, Target
from router.simulate.workload import Load

SECONDS = 600.0
RATE = 5.0

FLASH = Target(name="flash", ttft_s=0.45, sigma=0.479, tpot_s=0.005, prior_ttft_ms=600.0, prior_tpot_ms=6.0, price=1.5)
PRO = Target(name="pro", ttft_s=6.0, sigma=0.357, tpot_s=0.008, prior_ttft_ms=5000.0, prior_tpot_ms=8.0, price=6.0)
THIRD = Target(name="third", ttft_s=0.9, sigma=0.668, tpot_s=0.012, prior_ttft_ms=900.0, prior_tpot_ms=10.0, price=1.0)
CHEAP = Target(
    name="cheap", ttft_s=1.0, sigma=0.4, tpot_s=0.008, prior_ttft_ms=900.0, prior_tpot_ms=8.0, price=0.3, capacity=20.0
)
FAST = Target(name="fast", ttft_s=0.45, sigma=0.4, tpot_s=0.005, prior_ttft_ms=500.0, prior_tpot_ms=6.0, price=3.0)


class Scenario(Struct, frozen=True, kw_only=True):
    """Targets, load, and what is asked of a router. `focus` is the target things happen to, from `since` to `until`.

    `warm_s`: what comes before is played, not judged. With an `slo`, cost is judged and the SLO is to be kept.
    """

    name: str
    title: str
    targets: tuple[Target, ...]
    load: Load
    sort: Sort = "latency"
    slo: Slo = Slo()
    replicas: int = 1
    warm_s: float = 0.0
    focus: int = 0
    since: float = 0.0
    until: float = SECONDS


def _steady(**more: float) -> Load:
    return Load(steps=((0.0, RATE),), seconds=SECONDS, **more)


def _while(target: Target, since: float, until: float, **more: float) -> Target:
    return replace(target, phases=(Phase(since=since, until=until, **more),))  # type: ignore[arg-type]  # rpm is whole


_CROWDED = (
    replace(FLASH, capacity=12.0),
    replace(FLASH, name="flash-elsewhere", ttft_s=0.55, prior_ttft_ms=650.0, capacity=12.0),
    replace(THIRD, capacity=30.0),
)
_BURSTS = Scenario(
    name="s6",
    title="bursts",
    targets=_CROWDED,
    load=_steady(cv=3.0),
    warm_s=60.0,
)

SCENARIOS: Mapping[str, Scenario] = {
    each.name: each
    for each in (
        Scenario(name="s1", title="steady", targets=(FLASH, PRO, THIRD), load=_steady(), warm_s=60.0),
        Scenario(
            name="s2",
            title="one slow",
            targets=(_while(FLASH, 0.0, SECONDS, slowdown=4.0), PRO, THIRD),
            load=_steady(),
        ),
        Scenario(
            name="s3",
            title="brown-out",
            targets=(_while(FLASH, 300.0, 420.0, slowdown=8.0), PRO, THIRD),
            load=_steady(),
            warm_s=60.0,
            since=300.0,
            until=420.0,
        ),
        Scenario(
            name="s4",
            title="429 storm",
            targets=(_while(FLASH, 150.0, 450.0, rpm=90), PRO, THIRD),
            load=_steady(),
            warm_s=60.0,
            since=150.0,
            until=450.0,
        ),
        Scenario(
            name="s5",
            title="cost under an SLO",
            targets=(CHEAP, FAST),
            load=Load(steps=((0.0, 3.0), (200.0, 8.0), (400.0, 3.0)), seconds=SECONDS, stream_share=1.0),
            sort="cost",
            slo=Slo(ttft_p95_ms=3000.0),
            warm_s=60.0,
            since=200.0,
            until=400.0,
        ),
        _BURSTS,
        replace(_BURSTS, name="s6x8", title="bursts, 8 replicas", replicas=8),
    )
}
