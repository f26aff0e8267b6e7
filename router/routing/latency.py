"""Predicting how long a target will take: decayed log-normal statistics of what it took lately.

O(1) per sample and per prediction, no locks, no clock of its own: the caller passes `now` (seconds, monotonic).
"""

import math

from msgspec import Struct

from providers.catalogue import ModelInfo
from router.routing.limits import Gate
from router.routing.load import Load
from router.routing.picture_cost import Asked, asked_of
from router.routing.plan import Features, Prediction
from router.routing.slowdown import Slowdown

_TAU_S = 600.0  # a sample counts 1/e after ten minutes
_PRIOR_WEIGHT = 5.0  # the catalogue's figure counts as five samples
_PRIOR_SIGMA = 0.5  # of ln(seconds): p95 is about 2.3 times the median
_PRIOR_DOUBT = 0.6  # of ln(seconds): a catalogue's figure that is off by more than a factor of two soon counts for less
_PROMPT_SLOPE = 0.15  # of ln(ttft) over ln(1 + prompt_tokens / 1000)
_Z95 = 1.645
_MANY = 50.0  # samples, faded ones counted for what they still weigh
FRESH_S = 0.1
_OFTEN_S = 0.005  # two hundred samples a second say as much as thousands
_KNOWN = 5.0  # samples that say what is usual; before that a late answer may only mean that the prior is wrong
_MIN_TPOT_TOKENS = 8  # shorter answers say nothing about the rate
_CLIP = math.log(20.0)  # a ratio of observed to expected beyond that tells no more
_TROUBLE = 2.0  # times slower than usual
_DEEP_TROUBLE = 4.0
_EXCUSED = 0.7  # ln: a target twice as slow for its load is just busy, one that is slower still is in trouble
_USUAL_SAMPLES = 30.0  # over which prompts are averaged
EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})  # others come from clients alone


Length = tuple[float, float]
"""Tokens of an answer: expected, and not exceeded by three of four (never less)."""


class Pace(Struct, gc=False):
    """How quick a target is right now: what a prediction multiplies by the request's own figures.

    Holds `until` then, or something is learned, which ends it at once. `ttft_s` and `tpot_s` are what it usually takes
    (`*95`: 19 times in 20), the first to be multiplied by `slow`, the other by `each_ms` for milliseconds; `burden_s`
    and `burden_each_ms` are these products, times what everybody else waits as well. `each95_ms` and `known` are the
    prediction's `tpot_p95_ms` and `known`. `crowd` is how much one more request under way takes from the others, as a
    share of its own time: at 1 the target serves the most it can, beyond that ever less. `usual95_ms` is what the first
    token of a prompt of the usual length stays below.
    """

    until: float
    ttft_s: float
    ttft95_s: float
    slow: float = 1.0
    tpot_s: float = 0.0
    each_ms: float = 0.0
    each95_ms: float = 0.0
    crowd: float = 0.0
    known: bool = False
    usual95_ms: float = 0.0
    burden_s: float = 0.0
    burden_each_ms: float = 0.0

    def prediction(self, length: Length, prompt_factor: float) -> Prediction:
        """See `LatencyModel.predict`."""
        longer = 1000.0 * prompt_factor * self.slow
        first, first95 = self.ttft_s * longer, self.ttft95_s * longer
        usual, long = length
        return Prediction(
            first,
            first95,
            first + usual * self.each_ms * self.tpot_s,
            first95 + long * self.each95_ms,
            self.each95_ms,
            self.known,
            usual,
        )


class DecayedLogNormal:
    """Mean and variance of ln(x), where old samples fade; with no samples, the prior.

    What follows from them (`shown`: median and 95th percentile of x) is worked out when it is asked for, at most ten
    times a second once there are many samples: one more then moves it by less than the doubt about it.
    """

    __slots__ = ("_last", "_mean", "_prior", "_settled", "_var", "_weight", "known", "shown", "worked_out")

    def __init__(self, prior_median: float) -> None:
        self._prior = math.log(max(prior_median, 1e-6))
        self._weight = 0.0
        self._mean = self._prior
        self._var = 0.0
        self._last = 0.0
        self._settled = (self._prior, _PRIOR_SIGMA)
        self.known = False
        self.shown = (0.0, 0.0)
        self.worked_out = -math.inf

    def observe(self, value: float, now: float) -> None:
        """Take one positive sample. An extreme one is pulled in to six standard deviations."""
        y = math.log(value if value > 1e-6 else 1e-6)
        mean, sigma = self.moments(now)
        if y > mean + 6 * sigma:
            y = mean + 6 * sigma
        elif y < mean - 6 * sigma:
            y = mean - 6 * sigma
        weight = self._weight
        if weight == 0.0:
            self._mean, self._weight = y, 1.0
        else:
            age = now - self._last
            weight = weight * math.exp(-age / _TAU_S) + 1.0 if age > 0 else weight + 1.0
            delta = y - self._mean
            self._mean += delta / weight
            self._var = (1 - 1 / weight) * (self._var + delta * delta / weight)
            self._weight = weight
        self._last = now
        if weight < _MANY:
            self.worked_out = -math.inf

    def sated(self, now: float) -> bool:
        """Whether there are many samples, the last of them just now: another one is not worth its work."""
        return now - self._last < _OFTEN_S and self._weight >= _MANY

    def quantiles(self, now: float) -> tuple[float, float]:
        """Median and 95th percentile of x."""
        if now - self.worked_out > FRESH_S:
            self.work_out(now)
        return self.shown

    def moments(self, now: float) -> tuple[float, float]:
        """Mean and standard deviation of ln(x), samples and prior together."""
        if now - self.worked_out > FRESH_S:
            self.work_out(now)
        return self._settled

    def work_out(self, now: float) -> None:
        if self._weight:
            weight = self._weight * math.exp(-max(0.0, now - self._last) / _TAU_S)
            self.known = weight >= _KNOWN
            prior = self._prior_weight(weight)
            total = weight + prior
            mean = (weight * self._mean + prior * self._prior) / total
            spread = weight * self._var + prior * _PRIOR_SIGMA * _PRIOR_SIGMA
            between = weight * prior / total * max(0.0, self._mean - self._prior) ** 2
            # the distance between prior and samples is doubt about the mean, not spread of the samples: it fades; and
            # it counts for slower samples only, or a target quicker than expected would look worse than one that is not
            self._settled = (mean, math.sqrt((spread + between / (1 + weight)) / total))
        mean, sigma = self._settled
        self.shown = (math.exp(mean), math.exp(mean + _Z95 * sigma))
        self.worked_out = now if self._weight else math.inf  # the prior alone does not age

    def _prior_weight(self, weight: float) -> float:
        """Samples that the prior counts for: the fewer, the more surely samples of `weight` contradict it.

        That is its weight under a Cauchy distribution. Under a normal one, a target four times slower than its
        catalogue says would look a tenth quicker than it is for as long as fifty answers take.
        """
        off = self._mean - self._prior
        doubt = _PRIOR_DOUBT * _PRIOR_DOUBT * weight + _PRIOR_SIGMA * _PRIOR_SIGMA  # weight may be 0 after days
        return _PRIOR_WEIGHT / (1 + off * off * weight / doubt)


class LatencyModel:
    """Time to first token, time per output token and whole duration of one target.

    What it usually takes (decayed log-normals) times how much slower it is at the moment (`Slowdown`) and by what is
    under way there (`Load`). `began` and `over` tell what is under way; an observation speaks of the attempt that was
    `over` last, so it must follow that without an await in between.
    """

    __slots__ = (
        "_gate",
        "_images",
        "_info",
        "_judged",
        "_longer",
        "_paces",
        "_slow",
        "_tpot",
        "_ttft",
        "first_slow",
        "load",
        "rate_slow",
    )  # fmt: skip

    def __init__(self, info: ModelInfo, gate: Gate | None = None) -> None:
        """`gate` is told how much slower answers are than without load."""
        self._info = info
        self._gate = gate
        self._ttft: dict[str, DecayedLogNormal] = {}
        self._tpot = DecayedLogNormal(info.tpot_ms / 1000)
        self._images: dict[Asked, DecayedLogNormal] = {}
        self.first_slow, self.rate_slow = Slowdown(), Slowdown()
        self.load = Load(own=gate is not None, capacity=0.0 if gate is None else gate.capacity)
        self._slow = (1.0, 1.0)
        self._judged = -math.inf
        self._longer = 1.0
        self._paces: dict[str, Pace] = {}  # by effort

    def predict(self, features: Features, length: Length, prompt_factor: float, now: float) -> Prediction:
        """Expected milliseconds for an answer of the expected `length`, and what they stay below 19 times in 20: of the
        whole answer, if it is no longer than three of four are.

        `prompt_factor` is that of the request, the same for every target (see `prompt_factor`).
        """
        if features.kind == "image":
            p50, p95 = self._image_class(features).quantiles(now)
            loaded = 1000.0 if self._gate is None else 1000 * math.exp(self.load.strain())
            median, most = p50 * loaded, p95 * loaded
            return Prediction(median, most, median, most)
        return self.pace(features, now).prediction(length, prompt_factor)

    def pace(self, features: Features, now: float) -> Pace:
        """How quick the target is right now for such requests.

        With something under way that slows it down it is worked out each time, and never holds.
        """
        if features.kind == "image":
            drawn = self.predict(features, (0.0, 0.0), 1.0, now)
            drawn_s, usual95 = drawn.ttft_ms / 1000, drawn.ttft_p95_ms
            return Pace(-math.inf, drawn_s, usual95 / 1000, usual95_ms=usual95, burden_s=drawn_s)
        found = self._paces.get(features.reasoning_effort)
        if found is not None and now <= found.until:
            return found
        waiting, rate = self._ttft.get(features.reasoning_effort) or self._ttft_class(features), self._tpot
        if now - waiting.worked_out > FRESH_S:
            waiting.work_out(now)
        if now - rate.worked_out > FRESH_S:
            rate.work_out(now)
        if now - self._judged > FRESH_S:
            self._judge(now)
        slow, slow_rate = self._slow
        strain, crowd = self.load.strain(), 0.0
        if strain:
            loaded = math.exp(strain)
            slow, slow_rate, crowd = slow * loaded, slow_rate * loaded, self.load.crowd(strain)
        ttft, ttft95 = waiting.shown
        tpot, tpot95 = rate.shown
        each, all_wait = 1000.0 * slow_rate, 1.0 + crowd
        found = Pace(
            -math.inf if strain else min(waiting.worked_out, rate.worked_out, self._judged) + FRESH_S,
            ttft,
            ttft95,
            slow,
            tpot,
            each,
            tpot95 * each,
            crowd,
            waiting.known,
            ttft95 * 1000.0 * self._longer * slow,
            ttft * slow * all_wait,
            tpot * each * all_wait,
        )
        if not strain:
            self._paces[features.reasoning_effort if features.reasoning_effort in EFFORTS else ""] = found
        return found

    def outdate(self) -> None:
        """What was told of the target holds no more."""
        for pace in self._paces.values():
            pace.until = -math.inf

    def slowdown(self, now: float) -> float:
        """How many times slower than usual the target is right now, by the worse of first token and writing."""
        if now - self._judged > FRESH_S:
            self._judge(now)
        return max(self._slow)

    @property
    def recovering(self) -> bool:
        """Whether a target that was slower than usual has just answered in time."""
        return max(self._slow) > 1.0 and self.first_slow.recovering

    def began(self, key: int, prediction: Prediction, streamed: bool, now: float) -> None:
        """An attempt was sent; `key` names it until it is `over`."""
        self.outdate()
        self.load.began(key, prediction, streamed, now)

    def over(self, key: int) -> None:
        """The attempt was answered (a stream: its first content came), failed, or was given up."""
        self.load.over(key)

    def outrun(self, key: int, now: float) -> None:
        """An attempt is given up because another has answered; call it before that is `over`. It may have been late."""
        late = self.load.overdue(key, now)
        if late is not None:
            self.first_slow.overdue(*late)

    def observe_first_token(self, features: Features, seconds: float, now: float) -> int:
        """A stream's first content arrived after `seconds`. Gives what was under way when it began."""
        self.outdate()
        waiting, load = self._ttft_class(features), self.load.ended
        if waiting.sated(now):
            return load
        mean, sigma = waiting.moments(now)
        longer = self._noted(features)
        log_ratio = math.log(max(seconds / longer, 1e-6)) - mean
        waiting.observe(math.exp(mean + self._learn(log_ratio, sigma, seconds, now, known=waiting.known)), now)
        return load

    def observe_rate(self, seconds: float, output_tokens: int, load: int, now: float) -> None:
        """A stream wrote `output_tokens` in `seconds` after its first content; `load` see `observe_first_token`."""
        self.outdate()
        if output_tokens >= _MIN_TPOT_TOKENS and not self._tpot.sated(now):
            each_s = max(seconds / (output_tokens - 1), 1e-6)
            mean, sigma = self._tpot.moments(now)
            if self._tpot.known:
                log_ratio = math.log(each_s) - mean
                self.rate_slow.observe(log_ratio, sigma, now - seconds, now)
                self._learn_load(log_ratio, load, rate=True)
            self._tpot.observe(each_s, now)

    def observe_whole(self, features: Features, seconds: float, output_tokens: int, now: float) -> None:
        """A whole answer took `seconds`. Of chat, waiting and writing are taken to be off by the same factor."""
        self.outdate()
        if features.kind == "image":
            self._observe_image(self._image_class(features), seconds, now)
            return
        waiting, rate = self._ttft_class(features), self._tpot
        if waiting.sated(now):
            return
        mean, sigma = waiting.moments(now)
        each_s = rate.quantiles(now)[0]
        expected_s = math.exp(mean) * self._noted(features) + output_tokens * each_s
        log_ratio = self._learn(math.log(max(seconds, 1e-6) / expected_s), sigma, seconds, now, known=waiting.known)
        waiting.observe(math.exp(mean + log_ratio), now)
        if output_tokens >= _MIN_TPOT_TOKENS:
            rate.observe(each_s * math.exp(log_ratio), now)

    def _observe_image(self, usual: DecayedLogNormal, seconds: float, now: float) -> None:
        """A server of one's own draws slower the more it has to draw; of others that is not known."""
        if self._gate is not None:
            mean, sigma = usual.moments(now)
            own = self._learn(math.log(max(seconds, 1e-6)) - mean, sigma, seconds, now, known=False)
            seconds = math.exp(mean + own)
        usual.observe(seconds, now)

    def _learn(self, log_ratio: float, sigma: float, seconds: float, now: float, *, known: bool) -> float:
        """Take in that an attempt took e^`log_ratio` times its median; gives that without what load explains."""
        if self._gate is not None:
            self._gate.took(log_ratio)
        load = self.load
        eased = load.eased()
        own = log_ratio - eased
        if known:
            self.first_slow.observe(log_ratio - min(eased, _EXCUSED), sigma, now - seconds, now)
        self._learn_load(log_ratio, load.ended)
        return own

    def _learn_load(self, log_ratio: float, load: int, *, rate: bool = False) -> None:
        if max(self._slow) < _DEEP_TROUBLE:  # what slows a target from without must not be put down to load
            self.load.observe(max(-_CLIP, min(_CLIP, log_ratio)), load, rate=rate)

    def _noted(self, features: Features) -> float:
        """The request's prompt factor, taken into the usual one."""
        longer = prompt_factor(features)
        self._longer += (longer - self._longer) / _USUAL_SAMPLES
        return longer

    def _judge(self, now: float) -> None:
        first, rate = self.first_slow.factor(self.load.late(now), now), self.rate_slow.factor((), now)
        # who is in trouble before the first token is not trusted to write at the usual pace
        self._slow = (first, max(first, rate) if first > _TROUBLE else rate)
        self.load.work_out()
        self._judged = now

    def _ttft_class(self, features: Features) -> DecayedLogNormal:
        key = features.reasoning_effort if features.reasoning_effort in EFFORTS else ""
        found = self._ttft.get(key)
        if found is None:
            found = self._ttft[key] = DecayedLogNormal(self._info.ttft_ms / 1000)
        return found

    def _image_class(self, features: Features) -> DecayedLogNormal:
        """That of pictures which are as much work: of the tier and quality that the model would be asked for."""
        info, able = self._info, self._info.image
        asked = asked_of(info, features.size, features.quality)
        if able is not None and not able.qualities:
            asked = Asked(asked.tier, "")  # whatever was asked for, it is the same work
        found = self._images.get(asked)
        if found is None:
            usual_s = able.seconds.get(asked.quality, info.image_s) if able is not None else info.image_s
            found = self._images[asked] = DecayedLogNormal(usual_s)
        return found


def prompt_factor(features: Features) -> float:
    """How many times longer the first token takes than for an empty prompt."""
    return math.exp(_PROMPT_SLOPE * math.log1p(features.prompt_tokens / 1000))
