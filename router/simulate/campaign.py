"""All scenarios, seeds and players of one report, spread over the cores. The same arguments give the same report."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed

from msgspec import Struct

from router.simulate import sweep
from router.simulate.figures import Figures
from router.simulate.measure import Report, measure
from router.simulate.players import ORACLE, OURS, PUBLISHED
from router.simulate.run import play
from router.simulate.scenarios import Scenario
from router.simulate.workload import Traced

_SWEPT_SHARE = 4  # one in so many seeds: a setting's place among the others shows in a few


class Part(Struct, frozen=True):
    """What one process plays at a time: one scenario with one seed."""

    scenario: Scenario
    players: tuple[str, ...]
    seed: int


def planned(scenarios: Sequence[Scenario], names: Sequence[str], seeds: int, first_seed: int = 0) -> list[Part]:
    """Every part of a report. The oracle always plays; the SLOs are swept where their scenario and router play."""
    players = tuple(dict.fromkeys((ORACLE, *names)))
    drawn = range(first_seed, first_seed + seeds)
    parts = [Part(scenario, players, seed) for scenario in scenarios for seed in drawn]
    if OURS in players and any(scenario.name == sweep.SWEPT for scenario in scenarios):
        few = drawn[: max(1, seeds // _SWEPT_SHARE)]
        parts += [Part(scenario, (OURS,), seed) for scenario in sweep.settings().values() for seed in few]
    return parts


def simulate(
    scenarios: Sequence[Scenario],
    names: Sequence[str],
    seeds: int,
    *,
    first_seed: int = 0,
    jobs: int = 1,
    trace: tuple[Traced, ...] = (),
    done: Callable[[], None] = lambda: None,
) -> Report:
    """Play each scenario with each seed; `done` is called after each of the `planned` parts."""
    found: dict[str, dict[int, dict[str, Figures]]] = {}
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        parts: dict[Future[dict[str, Figures]], Part] = {
            pool.submit(play, part.scenario, part.players, part.seed, trace): part
            for part in planned(scenarios, names, seeds, first_seed)
        }
        for future in as_completed(parts):
            part = parts[future]
            found.setdefault(part.scenario.name, {})[part.seed] = future.result()
            done()
    runs = {scenario.name: _by_player(found[scenario.name]) for scenario in scenarios}
    return measure(scenarios, runs, _front(found))


def _by_player(found: dict[int, dict[str, Figures]]) -> dict[str, list[Figures]]:
    """Each player's runs, in the order of the seeds."""
    seeds = sorted(found)
    return {name: [found[seed][name] for seed in seeds] for name in found[seeds[0]]}


def _front(found: dict[str, dict[int, dict[str, Figures]]]) -> tuple[sweep.Point, ...]:
    own = {slo_s: found[each.name] for slo_s, each in sweep.settings().items() if each.name in found}
    if not own:
        return ()
    seeds = sorted(next(iter(own.values())))
    plain = found[sweep.SWEPT]
    others = {name: [plain[seed][name] for seed in seeds] for name in plain[seeds[0]] if name in PUBLISHED}
    return sweep.front(OURS, {slo_s: _by_player(runs)[OURS] for slo_s, runs in own.items()}, others)
