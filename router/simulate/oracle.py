"""What somebody would choose who knew the true state of every upstream, but not how a request will fare there."""

import asyncio
import math
from collections.abc import Collection

from providers.errors import ProviderError
from router.simulate.played import Played, lost
from router.simulate.scenarios import Scenario
from router.simulate.upstreams import STALL_FACTOR, TPOT_SIGMA, Target, Upstreams, longer
from router.simulate.workload import STALL_SHARE, Arrival


class Oracle:
    """Least expected wait; under an SLO the cheapest that keeps it at the 95th percentile, else the quickest."""

    def __init__(self, scenario: Scenario, upstreams: Upstreams, mean_output_tokens: float) -> None:
        self._scenario = scenario
        self._mean_output_tokens = mean_output_tokens
        self._upstreams = upstreams
        self._p95 = [_first_p95(target) for target in scenario.targets]

    async def play(self, arrival: Arrival) -> Played:
        asked: list[int] = []
        while True:
            place = self._choose(arrival, asked)
            if place is None:
                return lost(arrival, asked[0] if asked else -1, len(asked))
            asked.append(place)
            try:
                answer = await self._upstreams.ask(place, arrival, 0)
            except ProviderError:
                continue
            waited = asyncio.get_running_loop().time() - arrival.at
            if arrival.features.stream:
                await self._upstreams.finish(place, answer)
            return Played(arrival.at, asked[0], waited, len(asked), self._upstreams.cost_usd(place, arrival))

    def _choose(self, arrival: Arrival, asked: Collection[int]) -> int | None:
        upstreams, limit_ms = self._upstreams, self._scenario.slo.ttft_p95_ms
        able = [k for k in range(len(upstreams.targets)) if k not in asked and upstreams.exhausted(k) is None]
        if not able:
            return None
        if self._scenario.sort == "cost":
            keeping = [
                k
                for k in able
                if limit_ms is None or self._p95[k] * upstreams.slowdown(k) * longer(arrival) * 1000 <= limit_ms
            ]
            if keeping:
                return min(keeping, key=lambda k: upstreams.targets[k].price)
        return min(able, key=lambda k: self._mean_s(k, arrival))

    def _mean_s(self, place: int, arrival: Arrival) -> float:
        target = self._upstreams.targets[place]
        stalls = 1 + STALL_SHARE * (STALL_FACTOR - 1)
        mean_s = target.ttft_s * math.exp(target.sigma**2 / 2) * stalls * longer(arrival)
        if not arrival.features.stream:
            mean_s += self._mean_output_tokens * target.tpot_s * math.exp(TPOT_SIGMA**2 / 2)
        return mean_s * self._upstreams.slowdown(place)


def _first_p95(target: Target) -> float:
    """Seconds within which 95 % of first tokens come, stalls included: by bisection of the mixture's distribution."""
    low, high = 0.0, math.log(STALL_FACTOR) + 4 * target.sigma
    for _ in range(60):
        middle = (low + high) / 2
        stalled = middle - math.log(STALL_FACTOR)
        within = (1 - STALL_SHARE) * _normal(middle / target.sigma) + STALL_SHARE * _normal(stalled / target.sigma)
        low, high = (middle, high) if within < 0.95 else (low, middle)
    return target.ttft_s * math.exp(high)


def _normal(z: float) -> float:
    return (1 + math.erf(z / math.sqrt(2))) / 2
