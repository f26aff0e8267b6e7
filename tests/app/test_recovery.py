"""A target that was slow, or silent once, and is quick again gets its traffic back, over real sockets, in seconds.

`make live` shows the same at length and in real time, beside another router. Here the clock that health reads is pushed
forward while nothing is under way.
"""

import time
from collections.abc import Callable

from harness import Turnout, chat

from providers.sandbox.config import FaultRule, Latency, SandboxConfig

CATALOGUE = "as_of: 2026-11-20\nmodels:\n  model: {ttft_ms: 40, tpot_ms: 0.1}\n"
CONFIG = """
providers:
  steady: {type: openai, api_key: "k"}
  moody:  {type: openai, api_key: "k"}
models:
  pair:
    targets: [{target: moody/model, timeout_ms: 500}, {target: steady/model, timeout_ms: 500}]
    sort: latency
"""
QUICK, TWENTY_TIMES_SLOWER = Latency(ttft_ms=3.0, tokens_per_s=0), Latency(ttft_ms=60.0, tokens_per_s=0)
SANDBOX = SandboxConfig(latency={"moody/*": QUICK, "steady/*": TWENTY_TIMES_SLOWER})
ENOUGH = 120  # requests that pay for the probes which prove that it is well: no more than a fiftieth are probes
IDLE_S = 8.1  # a slow target is asked again after eight seconds


class Clock:
    """A clock that tests push forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def share(router: Turnout, count: int) -> float:
    """The part of so many requests, one after the other, that `moody` answers."""
    answers = [router.http.post("/v1/chat/completions", json=chat("say: well", "pair")) for _ in range(count)]
    assert all(answer.status_code == 200 for answer in answers)
    return sum(answer.headers["x-router-provider"] == "moody" for answer in answers) / count


def test_a_target_that_was_slow_for_a_while_gets_its_traffic_back(turnout: Callable[..., Turnout]) -> None:
    clock = Clock()
    router = turnout(CONFIG, catalogue=CATALOGUE, sandbox=SANDBOX, clock=clock)
    assert share(router, ENOUGH) >= 0.95
    router.faults(FaultRule(fault="brown-out", label="moody", args={"factor": 60}))
    share(router, 10)
    assert share(router, 10) == 0.0, "it is left while it is slow"
    router.clear()
    assert share(router, 10) == 0.0, "nobody knows yet"
    clock.ahead += IDLE_S
    share(router, 5)
    assert share(router, 50) >= 0.95


def test_a_target_that_did_not_answer_once_keeps_its_traffic(turnout: Callable[..., Turnout]) -> None:
    router = turnout(CONFIG, catalogue=CATALOGUE, sandbox=SANDBOX)
    share(router, 20)
    router.faults(FaultRule(fault="stall", label="moody", args={"seconds": 30}, times=1))
    assert share(router, 1) == 0.0, "the other one answers instead"
    assert share(router, 100) >= 0.95
