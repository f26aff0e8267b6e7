"""What is remembered of one target: its blocks, its breaker, what is under way there, and how long it takes."""

import math
from typing import Literal

from providers.catalogue import ModelInfo
from router.routing.latency import LatencyModel
from router.routing.limits import Gate, Gradient
from router.routing.token_ratio import TokenRatio
from router.routing.warm_cache import CacheHits

BreakerState = Literal["closed", "half_open", "open"]

SLOW_START_S = 20.0
_PROBE_TIMEOUT_S = 60.0  # a probe that never came back must not wedge the breaker


class TargetState:
    """What is remembered of one (provider, model)."""

    __slots__ = (
        "asked_at",
        "blocked_reason",
        "blocked_until",
        "cache_hits",
        "closed_at",
        "consecutive",
        "failures",
        "gates",
        "in_flight",
        "latency",
        "noted",
        "open_until",
        "opened",
        "opened_at",
        "probe",
        "probe_started",
        "probe_successes",
        "rate_at",
        "rate_limit_streak",
        "successes",
        "tokens",
        "tripped",
    )

    def __init__(self, info: ModelInfo, now: float, gate: Gate | None = None) -> None:
        self.asked_at = now
        self.latency = LatencyModel(info, gate if gate is not None and isinstance(gate.rule, Gradient) else None)
        self.tokens = TokenRatio()
        self.cache_hits = CacheHits()
        self.gates: tuple[Gate, ...] = () if gate is None else (gate,)
        self.noted = gate is not None  # whether there may be a reason not to ask it like any other; else there is none
        self.blocked_until = -math.inf
        self.blocked_reason = ""
        self.rate_limit_streak = 0
        self.consecutive = 0
        self.successes = 0.0
        self.failures = 0.0
        self.rate_at = 0.0
        self.tripped = False  # open or half-open
        self.opened = 0  # how often in a row, for the back-off
        self.closed_at = -math.inf
        self.opened_at = -math.inf
        self.open_until = -math.inf
        self.probe = 0  # whose claim it is
        self.probe_started = -math.inf
        self.probe_successes = 0
        self.in_flight = 0  # attempts that wait

    def note(self) -> None:
        """There may be a reason not to ask it like any other; who looked at it looks again."""
        self.noted = True
        self.latency.outdate()

    @property
    def under_way(self) -> int:
        """All that keeps the upstream busy for us."""
        return self.in_flight + self.latency.load.writing

    def limit(self, now: float) -> float | None:
        """How much may be; None: nothing limits it."""
        return min((gate.rule.limit(now) for gate in self.gates), default=None)

    def is_full(self, now: float) -> bool:
        return any(gate.is_full(now) for gate in self.gates)

    @property
    def slows_down(self) -> bool:
        """Whether too much is told by its slowness, not by refusals."""
        return any(isinstance(gate.rule, Gradient) for gate in self.gates)

    def breaker(self, now: float) -> BreakerState:
        if not self.tripped:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def may_pass(self, now: float) -> bool:
        """Whether a request may pass the breaker now: closed, or half-open with no probe out."""
        return not self.tripped or (now >= self.open_until and not self.probing(now))

    def share(self, now: float) -> float:
        """The part of its traffic that it may have: all, or less in the first seconds after its breaker closed."""
        return min(1.0, (now - self.closed_at) / SLOW_START_S)

    def probing(self, now: float) -> bool:
        return now - self.probe_started < _PROBE_TIMEOUT_S
