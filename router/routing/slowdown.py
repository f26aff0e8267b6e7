"""Whether a target is slower right now than it has been, told from few answers and from those that do not come.

A brown-out slows every answer; a stall slows one. So the last five attempts by their start speak together, and three of
them must be late. Attempts still under way that are late already count as well: a target that hangs says so after its
usual worst wait, not when the first answer comes or the time is up.

What is not late moves a trend: a mean over some seconds, however many answers come in them. A mean over the last few
would follow mere chance when there are many a second, and traffic would swing with it.
"""

import math
from collections.abc import Iterable

_RECENT = 5
_SLOW = 3  # of the last five; two of five would be met by chance once a minute where 1 % of answers stall
_LATE_SIGMAS = 2.0  # an answer is late beyond that many standard deviations of ln(seconds)
_MOST = math.log(20.0)
_TREND_S = 5.0  # of answers are averaged,
_TREND_SHARE = 0.1  # or ten answers where fewer come,
_TREND_LEAST = 0.01  # and no more than a hundred
_TREND_SIGMAS = 2.0
_TREND_CHANCE = 0.2  # standard deviations of ln(seconds): a mean of ten answers is off by as much by chance
_TREND_REST_S = 0.5  # without an answer, then it fades
_TREND_TAU_S = 8.0
_FORGET_S = 60.0  # without any word from the target


class Slowdown:
    """Ratios of what attempts took to what was expected, the last five by their start."""

    __slots__ = ("_chance", "_recent", "_told", "_trend")

    def __init__(self) -> None:
        self._recent: list[tuple[float, float]] = []  # (started, ln of the ratio if late, else 0), by start
        self._told = 0.0
        self._trend = 0.0
        self._chance = 0.0  # a trend nearer to 0 says nothing

    def observe(self, log_ratio: float, sigma: float, started: float, now: float) -> None:
        """An answer took e^`log_ratio` times its median; ln(seconds) usually spreads by `sigma`."""
        near = max(-_TREND_SIGMAS * sigma, min(_TREND_SIGMAS * sigma, log_ratio))
        trend = self._faded(now)
        share = max(_TREND_LEAST, min(_TREND_SHARE, (now - self._told) / _TREND_S))
        self._trend = trend + share * (near - trend)
        self._chance = _TREND_CHANCE * sigma
        self._enter(started, min(log_ratio, _MOST) if log_ratio > _LATE_SIGMAS * sigma else 0.0)
        self._told = now

    def overdue(self, started: float, log_ratio: float) -> None:
        """An attempt that was late is given up: its answer would have taken e^`log_ratio` times its median or more."""
        self._enter(started, min(log_ratio, _MOST))

    def factor(self, late: Iterable[tuple[float, float]], now: float) -> float:
        """How many times slower it is; 1 for no. `late`: (started, ln of the ratio so far) of attempts under way."""
        seen = [*self._recent, *late]
        if len(seen) > len(self._recent):
            seen = sorted(seen)[-_RECENT:]
        least = sorted(ratio for _, ratio in seen)[-_SLOW] if len(seen) >= _SLOW else 0.0
        if least <= 0.0:
            trend = self._faded(now)
            return math.exp(math.copysign(max(0.0, abs(trend) - self._chance), trend))
        idle = 0.0 if len(seen) > len(self._recent) else max(0.0, now - self._told)
        return math.exp(min(least, _MOST) * math.exp(-idle / _FORGET_S))

    def _enter(self, started: float, ratio: float) -> None:
        recent = self._recent
        recent.append((started, ratio))
        if len(recent) > 1 and started < recent[-2][0]:
            recent.sort()
        if len(recent) > _RECENT:
            del recent[0]

    def _faded(self, now: float) -> float:
        idle = now - self._told - _TREND_REST_S
        return self._trend * math.exp(-idle / _TREND_TAU_S) if idle > 0 else self._trend

    @property
    def recovering(self) -> bool:
        """Whether the latest attempt came in time, although earlier ones were late."""
        return bool(self._recent) and self._recent[-1][1] == 0.0
