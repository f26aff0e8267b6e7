"""Every way of routing that a run can be played with, by name."""

import random
from collections.abc import Callable, Mapping

from router.simulate import litellm_rules
from router.simulate.ablations import ABLATIONS
from router.simulate.balancers import AgentGateway, OpenRouterPrice, PeakEwma, PortkeyWeighted, RoundRobin
from router.simulate.oracle import Oracle
from router.simulate.played import Player
from router.simulate.production import Turnout
from router.simulate.published import Follower, Rule, RuleMaker
from router.simulate.scenarios import Scenario
from router.simulate.upstreams import Target, Upstreams

ORACLE = "oracle"
OURS = "turnout"


def _litellm(pick: litellm_rules.Pick) -> RuleMaker:
    def make(targets: tuple[Target, ...], chance: random.Random) -> Rule:
        return litellm_rules.LiteLLM(pick, targets, chance)

    return make


LITELLM: Mapping[str, RuleMaker] = {
    "litellm-shuffle": _litellm(litellm_rules.shuffle),
    "litellm-latency": _litellm(litellm_rules.latency),
    "litellm-least-busy": _litellm(litellm_rules.least_busy),
    "litellm-cost": _litellm(litellm_rules.cost),
}
PUBLISHED: Mapping[str, RuleMaker] = {
    **LITELLM,
    "portkey-weighted": PortkeyWeighted,
    "p2c-peak-ewma": PeakEwma,
    "agentgateway": AgentGateway,
    "openrouter-price": OpenRouterPrice,
    "round-robin": RoundRobin,
}
DEFAULT = (ORACLE, OURS, *PUBLISHED)
HEDGED = "turnout-hedged"
TOLD = "turnout-told"
NAMES = (*DEFAULT, *ABLATIONS, HEDGED, TOLD)


def player(
    name: str, scenario: Scenario, upstreams: Upstreams, clock: Callable[[], float], seed: int, mean_tokens: float
) -> Player:
    """A fresh player of that name; answers have `mean_tokens` on average. Raises KeyError when there is none."""
    if name == ORACLE:
        return Oracle(scenario, upstreams, mean_tokens)
    if name == OURS:
        return Turnout(scenario, upstreams, clock, seed)
    if name == HEDGED:
        return Turnout(scenario, upstreams, clock, seed, hedged=True)
    if name == TOLD:
        return Turnout(scenario, upstreams, clock, seed, told=True)
    if name in ABLATIONS:
        return Turnout(scenario, upstreams, clock, seed, ABLATIONS[name])
    return Follower(PUBLISHED[name], scenario.replicas, upstreams, clock, seed)
