"""How many further attempts requests may cost: a tenth of the requests and one a second."""

import math

_WINDOW_S = 10.0  # what is not used is lost after about that time


class RetryBudget:
    """Further attempts of one model: `share` of its requests plus one a second, none saved for long.

    Over any t seconds with n requests, no more than `share` * n + t are given, beyond what was saved: at most what the
    last ten seconds brought.
    """

    __slots__ = ("_at", "_earned", "_share", "_timed")

    def __init__(self, share: float, now: float) -> None:
        self._share = share
        self._at = now
        self._earned = 0.0
        self._timed = _WINDOW_S

    def request(self, now: float) -> None:
        """A request came."""
        self._pass(now)
        self._earned += self._share

    def take(self, now: float) -> bool:
        """Whether one more attempt may be made; it is then paid for."""
        self._pass(now)
        if self._earned >= 1.0:
            self._earned -= 1.0
        elif self._timed + self._earned >= 1.0:
            self._timed -= 1.0 - self._earned
            self._earned = 0.0
        else:
            return False
        return True

    def _pass(self, now: float) -> None:
        age = now - self._at
        if age > 0:
            self._timed = min(_WINDOW_S, self._timed + age)
            self._earned *= math.exp(-age / _WINDOW_S)
            self._at = now
