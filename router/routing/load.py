"""What is under way at a target, since when, and whether that slows the target down."""

import math
from collections.abc import Iterator

from msgspec import Struct

from router.routing.plan import Prediction

_MEMORY = 0.998  # of a sample by the next one: about the last five hundred count
_FIRST_VARIANCE = 0.49  # of ln(time) to the first token, with prompts of all lengths, until a target has shown its own
_RATE_VARIANCE = 0.0625  # of ln(time) from token to token: what tells most of the load there
_LEAST_VARIANCE, _MOST_VARIANCE = 0.04, 1.0
_USUAL_SAMPLES = 30.0  # over which these are averaged
_SUPPOSED = 0.1  # slope of a server of one's own: eight routers that each see two under way had better spread
_SUPPOSED_WEIGHT = 100.0  # in squares of the square of what is under way: with four, a sample of rates outweighs it
_TOLD_WEIGHT = 4.0  # the same of a slope that follows from a capacity, times its square: right within a third or so
_TOLD_TRUST = 0.3  # the share of such a slope that needs no proof
_MOST = 3.0  # of ln: what is predicted beyond what was seen must not run away
_CAUTION = 0.4  # of ln: more than that is not put down to what is only supposed
_DOUBT = 3.0  # standard deviations of a slope that may be chance
_DOUBT_OWN = 0.5  # the same of a server of one's own, of which it is known that it slows down, only not when
_LONG_ANSWER = 3.0  # times the mean length: the 95th percentile of an exponential distribution
_BEYOND_P95 = 0.35  # of the way from the median to p95: leads to two standard deviations for usual spreads
_LOOKED_AT = 8


class Waiting(Struct, gc=False):
    """One attempt under way: seconds it should take, when it is late, and how much was under way before it."""

    started: float
    expected_s: float
    late_s: float
    load: int


class Kind(Struct, gc=False):
    """Samples of one kind, which are off by `variance` of ln(time) for other reasons: their weight and weighted means.

    `x` is the square of what was under way, `y` ln of how many times longer it took than the median of its kind.
    """

    variance: float
    weight: float = 0.0
    mean_x: float = 0.0
    mean_y: float = 0.0


class Load:
    """Attempts under way at one target, and how its answers slow down as they become more.

    The slope is that of ln(time) over the square of what was under way: 1 + (n/c)^3 looks like that from a half to
    three times of c. A server of one's `own` is supposed to slow down until it shows that it does not, more surely so
    if its `capacity` is told: how much under way makes it take twice as long (0: nobody knows). With a public one it is
    the other way round: one caller is hardly ever the load there.
    """

    __slots__ = (
        "_firsts", "_most", "_most_supposed", "_proven", "_rates", "_supposed", "_supposed_weight", "_trusted",
        "_waiting", "_xx", "_xy", "ended", "own", "slope", "writing",
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
        self.writing = 0  # streams whose first content is there, but not their end
        self._firsts, self._rates = Kind(_FIRST_VARIANCE), Kind(_RATE_VARIANCE)
        self._xx = self._xy = 0.0  # of all samples, each kind around its own means
        self.slope = self._supposed
        self._proven = self._trusted  # the share of `slope` that samples leave no doubt of
        self._most = self._most_supposed
        self.ended = 0  # what was under way when the attempt that ended last began

    def began(self, key: int, prediction: Prediction, streamed: bool, now: float) -> None:
        """An attempt was sent. `key` names it until it ends."""
        first, last = prediction.ttft_ms, prediction.ttft_p95_ms
        last = last + _BEYOND_P95 * (last - first) if prediction.known else math.inf
        if not streamed:
            first += _LONG_ANSWER * (prediction.total_ms - prediction.ttft_ms)
            last += _LONG_ANSWER * prediction.output_tokens * prediction.tpot_p95_ms
        self._waiting[key] = Waiting(now, first / 1000, last / 1000, self.under_way)

    def over(self, key: int) -> None:
        """The attempt ended: answered, failed or given up."""
        attempt = self._waiting.pop(key, None)
        if attempt is not None:
            self.ended = attempt.load

    @property
    def under_way(self) -> int:
        """Attempts waiting, and streams being written."""
        return len(self._waiting) + self.writing

    def strain(self) -> float:
        """ln of how many times slower what is under way makes the next attempt."""
        return min(self._most, self.slope * self.under_way**2)

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

    def observe(self, log_ratio: float, load: int, *, rate: bool = False) -> None:
        """An attempt that began with `load` under way took e^`log_ratio` times its median at no load: until its first
        token or its end, or, as a `rate`, from token to token."""
        kind, x = self._rates if rate else self._firsts, load * load
        off_x, off_y = x - kind.mean_x, log_ratio - kind.mean_y
        if kind.weight:
            off = off_y - self._seen_slope() * off_x
            kind.variance += (min(_MOST_VARIANCE, off * off) - kind.variance) / _USUAL_SAMPLES
        says = 1.0 / max(kind.variance, _LEAST_VARIANCE)
        kind.weight = kind.weight * _MEMORY + says
        kind.mean_x += off_x * says / kind.weight
        kind.mean_y += off_y * says / kind.weight
        self._xx = self._xx * _MEMORY + says * off_x * (x - kind.mean_x)
        self._xy = self._xy * _MEMORY + says * off_x * (log_ratio - kind.mean_y)

    def work_out(self) -> None:
        """Set `slope` to what the samples say; what is supposed fades as they come."""
        total = self._xx + self._supposed_weight
        doubt = _DOUBT_OWN if self.own else _DOUBT
        certain = max(0.0, (self._xy - doubt * math.sqrt(self._xx)) / total)
        self.slope = max(0.0, self._seen_slope()) if self.own else certain
        self._proven = max(self._trusted, certain / self.slope if self.slope else 0.0)
        self._most = _MOST - (_MOST - self._most_supposed) * self._supposed_weight / total

    def _seen_slope(self) -> float:
        """What samples say, and what is supposed as long as they are few."""
        return (self._xy + self._supposed_weight * self._supposed) / (self._xx + self._supposed_weight)

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
