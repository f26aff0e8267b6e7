"""All scenarios, seeds and players of one report, spread over the cores. The same arguments give the same report."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed

from router.simulate.figures import Figures
from router.simulate.measure import Report, measure
from router.simulate.players import ORACLE
from router.simulate.run import play
from router.simulate.scenarios import Scenario
from router.simulate.workload import Traced


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
    """Play each scenario with each seed; `done` is called after each of these `len(scenarios) * seeds` parts."""
    players = list(dict.fromkeys((ORACLE, *names)))
    found: dict[tuple[str, int], dict[str, Figures]] = {}
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        parts: dict[Future[dict[str, Figures]], tuple[str, int]] = {
            pool.submit(play, scenario, players, seed, trace): (scenario.name, seed)
            for scenario in scenarios
            for seed in range(first_seed, first_seed + seeds)
        }
        for part in as_completed(parts):
            found[parts[part]] = part.result()
            done()
    runs = {
        scenario.name: {
            name: [found[scenario.name, seed][name] for seed in range(first_seed, first_seed + seeds)]
            for name in players
        }
        for scenario in scenarios
    }
    return measure(scenarios, runs)
