"""One scenario and one seed: every request played in virtual time, by one way of routing after the other."""

import asyncio
import random
from collections.abc import Sequence

from router.simulate.figures import Figures, figures
from router.simulate.played import Played, Player
from router.simulate.players import player
from router.simulate.scenarios import Scenario
from router.simulate.upstreams import Upstreams
from router.simulate.virtual import VirtualLoop, run_virtual
from router.simulate.workload import Arrival, Traced, draw


def play(scenario: Scenario, names: Sequence[str], seed: int, trace: tuple[Traced, ...] = ()) -> dict[str, Figures]:
    """The figures of each of `names`; all meet the same requests and the same luck."""
    arrivals = draw(scenario.load, len(scenario.targets), seed, trace)
    return {name: figures(scenario, play_one(scenario, name, seed, arrivals)) for name in names}


def play_one(scenario: Scenario, name: str, seed: int, arrivals: Sequence[Arrival]) -> list[Played]:
    """What each request went through, in the order of arrival."""
    random.seed(seed)  # the attempt loop draws its pauses from the process's own generator
    loop = VirtualLoop()
    upstreams = Upstreams(scenario.targets, scenario.load.seconds, seed, loop.time)
    mean_tokens = sum(each.output_tokens for each in arrivals) / len(arrivals)
    who = player(name, scenario, upstreams, loop.time, seed, mean_tokens)
    return run_virtual(_play_all(who, arrivals), loop)


async def _play_all(who: Player, arrivals: Sequence[Arrival]) -> list[Played]:
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[Played]] = []
    for arrival in arrivals:
        wait_s = arrival.at - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        tasks.append(loop.create_task(who.play(arrival)))
    return list(await asyncio.gather(*tasks))
