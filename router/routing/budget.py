"""How many further attempts requests may cost: those after a failure, and those beside an attempt that is late."""

import math
from decimal import Decimal

_WINDOW_S = 10.0  # what is not used is lost after about that time
_STEP_S = 0.01  # in less so little of it is lost that no request works it out
_HEDGES_SAVED = 5.0
_ZERO = Decimal(0)


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
        if now - self._at >= _STEP_S:
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


class HedgeBudget:
    """Attempts beside late ones: `share` of a model's requests and of what they are expected to cost, nothing else.

    Of n requests no more than `share` * n are hedged, and hedges cost no more than `share` of their sum. At most five
    are saved. While more attempts are late than may be hedged, `patience` makes the wait longer, so that the budget
    goes to the latest of them and not to the first that come.
    """

    __slots__ = ("_earned", "_earned_usd", "_share", "_share_usd", "patience")

    def __init__(self, share: float) -> None:
        self._share = share
        self._share_usd = Decimal(str(share))
        self._earned = 0.0
        self._earned_usd = _ZERO
        self.patience = 1.0

    def request(self, cost_usd: Decimal | None) -> None:
        """A request came whose first candidate costs that much."""
        self.patience += (1.0 - self.patience) * self._share / 10
        if self._earned < _HEDGES_SAVED:
            self._earned += self._share
            self._earned_usd += (cost_usd or _ZERO) * self._share_usd

    def take(self, cost_usd: Decimal | None) -> bool:
        """Whether an attempt that costs that much may be started beside another; it is then paid for.

        What nobody knows the price of is never started.
        """
        if cost_usd is None:
            return False
        if self._earned < 1.0 or self._earned_usd < cost_usd:
            self.patience = min(4.0, self.patience * 1.1)
            return False
        self._earned -= 1.0
        self._earned_usd -= cost_usd
        return True


class Allowance:
    """So many a minute, evenly: over any t seconds no more than a minute's worth and t/60 of it."""

    __slots__ = ("_at", "_left", "_per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        self._per_minute = per_minute
        self._left = float(per_minute)
        self._at = now

    def take(self, now: float) -> bool:
        """Whether there is one left; it is then gone."""
        self._left = min(self._per_minute, self._left + max(0.0, now - self._at) * self._per_minute / 60)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
