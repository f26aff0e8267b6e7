"""Predicting how long a target will take: decayed log-normal statistics of what it took lately.

O(1) per sample and per prediction, no locks, no clock of its own: the caller passes `now` (seconds, monotonic).
"""

import math

from providers.catalogue import ModelInfo
from router.routing.plan import Features, Prediction

_TAU_S = 600.0  # a sample counts 1/e after ten minutes
_PRIOR_WEIGHT = 5.0  # the catalogue's figure counts as five samples
_PRIOR_SIGMA = 0.5  # of ln(seconds): p95 is about 2.3 times the median
_PROMPT_SLOPE = 0.15  # of ln(ttft) over ln(1 + prompt_tokens / 1000)
_Z95 = 1.645
_MANY = 50.0  # samples, faded ones counted for what they still weigh
_FRESH_S = 0.1
_MIN_TPOT_TOKENS = 8  # shorter answers say nothing about the rate
_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})  # others come from clients alone


class DecayedLogNormal:
    """Mean and variance of ln(x), where old samples fade; with no samples, the prior.

    What follows from them is worked out when it is asked for, at most ten times a second once there are many samples:
    one more then moves it by less than the doubt about it.
    """

    __slots__ = ("_last", "_mean", "_prior", "_settled", "_shown", "_var", "_weight", "_worked_out")

    def __init__(self, prior_median: float) -> None:
        self._prior = math.log(max(prior_median, 1e-6))
        self._weight = 0.0
        self._mean = self._prior
        self._var = 0.0
        self._last = 0.0
        self._settled = (self._prior, _PRIOR_SIGMA)
        self._shown = (0.0, 0.0)
        self._worked_out = -math.inf

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
            self._worked_out = -math.inf

    def quantiles(self, now: float) -> tuple[float, float]:
        """Median and 95th percentile of x."""
        if now - self._worked_out > _FRESH_S:
            self._work_out(now)
        return self._shown

    def moments(self, now: float) -> tuple[float, float]:
        """Mean and standard deviation of ln(x), samples and prior together."""
        if now - self._worked_out > _FRESH_S:
            self._work_out(now)
        return self._settled

    def _work_out(self, now: float) -> None:
        if self._weight:
            weight = self._weight * math.exp(-max(0.0, now - self._last) / _TAU_S)
            total = weight + _PRIOR_WEIGHT
            mean = (weight * self._mean + _PRIOR_WEIGHT * self._prior) / total
            spread = weight * self._var + _PRIOR_WEIGHT * _PRIOR_SIGMA * _PRIOR_SIGMA
            between = weight * _PRIOR_WEIGHT / total * max(0.0, self._mean - self._prior) ** 2
            # the distance between prior and samples is doubt about the mean, not spread of the samples: it fades; and
            # it counts for slower samples only, or a target quicker than expected would look worse than one that is not
            self._settled = (mean, math.sqrt((spread + between / (1 + weight)) / total))
        mean, sigma = self._settled
        self._shown = (math.exp(mean), math.exp(mean + _Z95 * sigma))
        self._worked_out = now


class LatencyModel:
    """Time to first token, time per output token and whole duration of one target."""

    __slots__ = ("_images", "_info", "_tpot", "_ttft")

    def __init__(self, info: ModelInfo) -> None:
        self._info = info
        self._ttft: dict[str, DecayedLogNormal] = {}
        self._tpot = DecayedLogNormal(info.tpot_ms / 1000)
        self._images: dict[str, DecayedLogNormal] = {}

    def predict(self, features: Features, output_tokens: float, prompt_factor: float, now: float) -> Prediction:
        """Expected milliseconds for this request, and the 95th percentile of each.

        `prompt_factor` is that of the request, the same for every target (see `prompt_factor`).
        """
        if features.kind == "image":
            p50, p95 = self._image_class(features).quantiles(now)
            return Prediction(p50 * 1000, p95 * 1000, p50 * 1000, p95 * 1000)
        waiting = self._ttft.get(features.reasoning_effort) or self._ttft_class(features)
        ttft, ttft95 = waiting.quantiles(now)
        tpot, tpot95 = self._tpot.quantiles(now)
        longer, writing = 1000 * prompt_factor, 1000 * output_tokens
        first, first95 = ttft * longer, ttft95 * longer
        return Prediction(first, first95, first + writing * tpot, first95 + writing * tpot95, tpot95 * 1000)

    def observe_first_token(self, features: Features, seconds: float, now: float) -> None:
        """A stream's first content arrived after `seconds`."""
        self._ttft_class(features).observe(seconds / prompt_factor(features), now)

    def observe_rate(self, seconds: float, output_tokens: int, now: float) -> None:
        """A stream wrote `output_tokens` in `seconds` after its first content."""
        if output_tokens >= _MIN_TPOT_TOKENS:
            self._tpot.observe(seconds / (output_tokens - 1), now)

    def observe_whole(self, features: Features, seconds: float, output_tokens: int, now: float) -> None:
        """A whole answer took `seconds`. For chat the part that writing explains is taken off first."""
        if features.kind == "image":
            self._image_class(features).observe(seconds, now)
            return
        rate, _ = self._tpot.quantiles(now)
        self.observe_first_token(features, max(seconds - output_tokens * rate, seconds * 0.2), now)

    def _ttft_class(self, features: Features) -> DecayedLogNormal:
        key = features.reasoning_effort if features.reasoning_effort in _EFFORTS else ""
        found = self._ttft.get(key)
        if found is None:
            found = self._ttft[key] = DecayedLogNormal(self._info.ttft_ms / 1000)
        return found

    def _image_class(self, features: Features) -> DecayedLogNormal:
        key = f"{features.size.tier if features.size else ''}/{features.quality}"
        found = self._images.get(key)
        if found is None:
            found = self._images[key] = DecayedLogNormal(self._info.image_s)
        return found


def prompt_factor(features: Features) -> float:
    """How many times longer the first token takes than for an empty prompt."""
    return math.exp(_PROMPT_SLOPE * math.log1p(features.prompt_tokens / 1000))
