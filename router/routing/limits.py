"""How many attempts may be under way at an upstream: as the operator says, or as its own behaviour tells.

A public API has a quota and says so with a 429: nothing is limited until the first one (`Aimd`). A server of one's own
says nothing and gets slower: its limit follows how much (`Gradient`). One event loop owns all of this.
"""

import math
from collections.abc import Iterable
from typing import Protocol

from router.settings.values import ProviderSettings

_CUT = 0.7  # of the limit is left by a refusal
_IN_USE = 0.8  # of the limit: with less under way an answer does not say that more would be answered
_HOLD_S = 30.0  # at what is known to be the most, before one more is tried
_UNUSED_S = 60.0  # without use a limit doubles: quotas change, and an old one must not surprise anyone
_LIFTED = 1000.0

_FIRST = 20.0
_LEAST = 2.0
_MOST = 200
_TOLERANCE = math.log(1.5)  # how much slower than usual an answer may be
_LEAST_GRADIENT = 0.5
_HEADROOM = 4.0
_HEADROOM_SHARE = 0.25  # a server that works on one picture at a time must not be kept at eight
_SMOOTHING = 0.2
_USUAL_SAMPLES = 100
_IDLE = 0.25  # of the limit: what little is under way slows nothing down


class Rule(Protocol):
    """What sets a limit. `under_way` counts the attempt that ended."""

    def limit(self, now: float) -> float:
        """As many attempts may be under way; at least 1."""

    def answered(self, under_way: int, now: float) -> None:
        """An attempt was answered."""

    def refused(self, under_way: int, started: float, now: float, *, told: bool) -> None:
        """An attempt that was sent at `started` was too much; `told`: the upstream named the time to come back."""


class Gate:
    """A limit and what is under way below it: of one target, or of all targets of a provider."""

    __slots__ = ("held", "rule")

    def __init__(self, rule: Rule, held: int = 0) -> None:
        self.rule = rule
        self.held = held

    def is_full(self, now: float) -> bool:
        return self.held + 1 > self.rule.limit(now)

    @property
    def capacity(self) -> float:
        """How much under way makes answers take twice as long, 0 if nobody has told."""
        return self.rule.capacity if isinstance(self.rule, Gradient) else 0.0

    def took(self, log_ratio: float) -> None:
        """An answer took e^`log_ratio` times what it takes without load."""
        if isinstance(self.rule, Gradient):
            self.rule.observe(log_ratio, self.held + 1)


class Fixed:
    """As the operator says."""

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def limit(self, now: float) -> float:
        return self._limit

    def answered(self, under_way: int, now: float) -> None:
        return None

    def refused(self, under_way: int, started: float, now: float, *, told: bool) -> None:
        return None


class Aimd:
    """Additive increase, multiplicative decrease on refusals.

    The limit falls to 0.7 of what was under way, once for all attempts that were sent before it fell. A refusal that
    names no time speaks of what is under way, so the limit falls to what is left of that as well: a burst against a
    quota of ten ends with ten, not after five more bursts of refusals. It grows by one for each full round of answers
    while it is used, waits for half a minute at the most that is known to be answered, and doubles for every minute
    that it is not used.
    """

    __slots__ = ("_cut_at", "_limit", "_reached", "_used_at")

    def __init__(self, now: float) -> None:
        self._limit = math.inf
        self._reached = math.inf
        self._cut_at = -math.inf
        self._used_at = now

    def limit(self, now: float) -> float:
        doublings = (now - self._used_at) // _UNUSED_S
        if doublings >= 1:
            self._limit *= 2 ** min(doublings, 20)
            self._used_at += doublings * _UNUSED_S
        return self._limit

    def is_lifted(self, now: float) -> bool:
        """Whether so long has passed that nothing need be remembered."""
        return self.limit(now) > _LIFTED

    def answered(self, under_way: int, now: float) -> None:
        limit = self.limit(now)
        if under_way < _IN_USE * limit:
            return
        self._used_at = now
        if limit < self._reached:
            self._limit = min(limit + 1 / limit, self._reached)
        elif now - self._cut_at >= _HOLD_S:
            self._limit = limit + 1 / limit

    def refused(self, under_way: int, started: float, now: float, *, told: bool) -> None:
        limit = self.limit(now)
        if started > self._cut_at and (limit == math.inf or under_way >= _IN_USE * limit):
            self._limit = max(1.0, _CUT * min(limit, under_way))
            self._cut_at = now
        if not told and under_way > 1:
            self._limit = min(self._limit, under_way - 1)
            self._reached = under_way - 1
        self._used_at = now


class Gradient:
    """Netflix's Gradient2 on the ratio of what answers took to what they take without load, so that length is no load.

    The limit shrinks by as much as answers are slower than usual beyond a tolerance, and grows by a little headroom
    otherwise. What is usual is learned only while little is under way, or an overload that lasts would become usual.
    Timeouts and refusals cut it as they cut `Aimd`. `capacity` see `Gate`.
    """

    __slots__ = ("_cut_at", "_limit", "_most", "_samples", "_usual", "capacity")

    def __init__(self, most: int = _MOST, capacity: float = 0.0) -> None:
        self.capacity = capacity
        self._most = float(most)
        self._limit = min(_FIRST, self._most)
        self._usual = 0.0
        self._samples = 0
        self._cut_at = -math.inf

    def limit(self, now: float) -> float:
        return self._limit

    def answered(self, under_way: int, now: float) -> None:
        return None

    def refused(self, under_way: int, started: float, now: float, *, told: bool) -> None:
        if started > self._cut_at and under_way >= self._limit / 2:
            self._limit = max(_LEAST, _CUT * min(self._limit, under_way))
            self._cut_at = now

    def observe(self, log_ratio: float, under_way: int) -> None:
        limit = self._limit
        if under_way <= max(1.0, _IDLE * limit):
            self._samples = min(self._samples + 1, _USUAL_SAMPLES)
            self._usual += (log_ratio - self._usual) / self._samples
        if under_way < limit / 2:
            return
        gradient = math.exp(max(math.log(_LEAST_GRADIENT), min(0.0, self._usual + _TOLERANCE - log_ratio)))
        wanted = limit * gradient + min(_HEADROOM, _HEADROOM_SHARE * limit)
        self._limit = min(self._most, max(_LEAST, limit + _SMOOTHING * (wanted - limit)))


def provider_gates(providers: Iterable[ProviderSettings], replicas: int = 1) -> dict[str, Gate]:
    """The gates that exist from the start, by provider: a number to keep to, or a server that can be overloaded.

    A server's capacity is shared by `replicas` of this router, each of which has one place at least.
    """
    gates: dict[str, Gate] = {}
    for provider in providers:
        most = provider.max_concurrency
        if provider.self_hosted and (most is None or most > _LEAST):
            capacity = max(1.0, provider.capacity / replicas) if provider.capacity else 0.0
            gates[provider.name] = Gate(Gradient(_MOST if most is None else most, capacity))
        elif most is not None:
            gates[provider.name] = Gate(Fixed(most))
    return gates
