"""What is under way at a target, since when, and whether that slows the target down."""

import math
from collections.abc import Iterator

from msgspec import Struct

from router.routing.plan import Prediction

_MEMORY = 0.998  # of a sample by the next one: about the last five hundred count
_SUPPOSED = 0.1  # slope of a server of one's own: eight routers that each see two under way had better spread
_SUPPOSED_WEIGHT = 50.0  # in squares of the square of what is under way: at five under way, one sample outweighs it
_TOLD_WEIGHT = 2.0  # the same of a slope that follows from a capacity, times its square: right within a third or so
_TOLD_TRUST = 0.3  # the share of such a slope that needs no proof
_MOST = 3.0  # of ln: what is predicted beyond what was seen must not run away
_CAUTION = 0.4  # of ln: more than that is not put down to what is only supposed
_DOUBT = 2.1  # three standard deviations of ln(time), 0.7 with prompts of all lengths: of a slope over sqrt(xx)
_LONG_ANSWER = 3.0  # times the mean length: the 95th percentile of an exponential distribution
_BEYOND_P95 = 0.35  # of the way from the median to p95: leads to two standard deviations for usual spreads
_LOOKED_AT = 8


class Waiting(Struct, gc=False):
    """One attempt under way: seconds it should take, when it is late, and how much was under way before it."""

    started: float
    expected_s: float
    late_s: float
    load: float


class Load:
    """Attempts under way at one target, and how its answers slow down as they become more.

    The slope is that of ln(time) over the square of what was under way: 1 + (n/c)^3 looks like that from a half to
    three times of c. A server of one's `own` is supposed to slow down until it shows that it does not, more surely so
    if its `capacity` is told: how much under way makes it take twice as long (0: nobody knows). With a public one it is
    the other way round: one caller is hardly ever the load there.
    """

    __slots__ = (
        "_mean_x", "_mean_y", "_most", "_most_supposed", "_proven", "_supposed", "_supposed_weight", "_trusted",
        "_waiting", "_weight", "_writing", "_writing_at", "_xx", "_xy", "ended", "own", "slope",
    )  # fmt: skip

    def __init__(self, *, own: bool, capacity: float = 0.0) -> None:
        self.own = own
        self._supposed = _SUPPOSED if own else 0.0
        self._supposed_weight, self._trusted, self._most_supposed = _SUPPOSED_WEIGHT, 0.0, _CAUTION
        if capacity:
            self._supposed = math.log(2.0) / capacity**2
            self._supposed_weight = _TOLD_WEIGHT / self._supposed**2
            self._trusted, self._most_supposed = _TOLD_TRUST, _MOST
        self._waiting: dict[int, Waiting] = {}
        self._writing = 0.0
        self._writing_at = 0.0
        self._weight = self._mean_x = self._mean_y = self._xx = self._xy = 0.0
        self.slope = self._supposed
        self._proven = self._trusted  # the share of `slope` that samples leave no doubt of
        self._most = self._most_supposed
        self.ended = 0.0  # what was under way when the attempt that ended last began

    def began(self, key: int, prediction: Prediction, streamed: bool, now: float, writing_s: float) -> None:
        """An attempt was sent. `key` names it until it ends; `writing_s` is how long a stream usually takes to end."""
        first, last = prediction.ttft_ms, prediction.ttft_p95_ms
        last = last + _BEYOND_P95 * (last - first) if prediction.known else math.inf
        if not streamed:
            first += _LONG_ANSWER * (prediction.total_ms - prediction.ttft_ms)
            last += _LONG_ANSWER * prediction.output_tokens * prediction.tpot_p95_ms
        self._waiting[key] = Waiting(now, first / 1000, last / 1000, self.under_way(now, writing_s))

    def over(self, key: int) -> None:
        """The attempt ended: answered, failed or given up."""
        attempt = self._waiting.pop(key, None)
        if attempt is not None:
            self.ended = attempt.load

    def writes(self, now: float, writing_s: float) -> None:
        """A stream's first content is there and the rest is being written."""
        self._writing = self._left(now, writing_s) + 1.0
        self._writing_at = now

    def under_way(self, now: float, writing_s: float) -> float:
        """Attempts waiting, and streams expected to be still written: nobody says when a stream has ended."""
        return len(self._waiting) + (self._left(now, writing_s) if self._writing else 0.0)

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._writing)

    def strain(self, now: float, writing_s: float) -> float:
        """ln of how many times slower what is under way makes the next attempt."""
        return min(self._most, self.slope * self.under_way(now, writing_s) ** 2)

    def crowd(self, strain: float) -> float:
        """What one more attempt takes from all others together, as a share of its own time.

        n times the derivative of ln(time) by n. At 1 as many are served as can be: n over the time falls from there on.
        Only what was seen or told counts: what is supposed is a caution of each request, no reason to spare others.
        """
        return 2.0 * strain * self._proven

    def eased(self) -> float:
        """ln of what the load explains of the time that the attempt took which ended last.

        What is only supposed explains little: a slow server would be taken for a quick one under load.
        """
        said = self.slope * self.ended**2
        return self._proven * min(_MOST, said) + (1.0 - self._proven) * min(_CAUTION, said)

    def observe(self, log_ratio: float) -> None:
        """The attempt that ended last took e^`log_ratio` times its median at no load."""
        x = self.ended**2
        weight = self._weight = self._weight * _MEMORY + 1.0
        off_x, off_y = x - self._mean_x, log_ratio - self._mean_y
        self._mean_x += off_x / weight
        self._mean_y += off_y / weight
        self._xx = self._xx * _MEMORY + off_x * (x - self._mean_x)
        self._xy = self._xy * _MEMORY + off_x * (log_ratio - self._mean_y)

    def work_out(self) -> None:
        """Set `slope` to what the samples say; what is supposed fades as they come."""
        total = self._xx + self._supposed_weight
        certain = max(0.0, (self._xy - _DOUBT * math.sqrt(self._xx)) / total)
        self.slope = max(0.0, (self._xy + self._supposed_weight * self._supposed) / total) if self.own else certain
        self._proven = max(self._trusted, certain / self.slope if self.slope else 0.0)
        self._most = _MOST - (_MOST - self._most_supposed) * self._supposed_weight / total

    def late(self, now: float) -> Iterator[tuple[float, float]]:
        """(started, ln of the ratio so far) of attempts that should have ended; of the oldest few."""
        for place, attempt in enumerate(self._waiting.values()):
            age = now - attempt.started
            if place >= _LOOKED_AT:
                break
            if age > attempt.late_s:
                yield attempt.started, math.log(age / max(attempt.expected_s, 1e-6))

    def overdue(self, key: int, now: float) -> tuple[float, float] | None:
        """The same of one attempt under way; None while it is in time."""
        attempt = self._waiting.get(key)
        if attempt is None or now - attempt.started <= attempt.late_s:
            return None
        return attempt.started, math.log((now - attempt.started) / max(attempt.expected_s, 1e-6))

    def _left(self, now: float, writing_s: float) -> float:
        return self._writing * math.exp((self._writing_at - now) / max(writing_s, 1e-3))
