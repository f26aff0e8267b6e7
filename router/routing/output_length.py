"""How long answers are: decayed histograms by kind of request and model, coarser ones where samples are few.

Lengths differ between equal requests by more than between models, so what is kept is a distribution: its mean below the
caller's limit prices an answer, its third quartile is what an SLO for the whole answer has to stand.
"""

import math

from router.routing.latency import EFFORTS, Length
from router.routing.plan import Features

_TAU_S = 3600.0
_ENOUGH = 20.0  # samples, faded ones counted for what they still weigh; with fewer a coarser kind is asked
_PRIOR_TOKENS = 250.0  # of an exponential distribution
_PRIOR_WEIGHT = 5.0
_LONG = 0.75
_BUCKETS = 21  # by the number's binary digits; the last one holds everything from half a million on
_RESCALE = 1e9
_MOST = 100.0  # hours, of an exponent
OUTLOOK_S = 0.5
_MANY = 200
_OFTEN_S = 0.05  # of one kind with many samples twenty a second say as much as thousands
_MAX_KINDS = 4096
_MAX_OUTLOOKS = 1024  # clients choose limits, and names of models

_Key = tuple[object, ...]


class Histogram:
    """Counts and sums of lengths by power of two. Newer samples are given more `weight`, so that old ones fade."""

    __slots__ = ("_counts", "_sums", "last", "samples", "total")

    def __init__(self) -> None:
        self._counts = [0.0] * _BUCKETS
        self._sums = [0.0] * _BUCKETS
        self.total = 0.0
        self.samples = 0
        self.last = -math.inf

    def observe(self, tokens: int, bucket: int, weight: float) -> None:
        self._counts[bucket] += weight
        self._sums[bucket] += weight * tokens
        self.total += weight

    def scale(self, factor: float) -> None:
        """Make all weights smaller by the same factor."""
        self._counts = [count * factor for count in self._counts]
        self._sums = [total * factor for total in self._sums]
        self.total *= factor

    def length(self, limit: int) -> Length:
        """Of an answer that is cut off at `limit` tokens (0: never). Needs a sample."""
        total, below, passed, long = 0.0, 0.0, 0.0, 0.0
        for bucket, count in enumerate(self._counts):
            if not count:
                continue
            least, most = _bounds(bucket)
            if passed < _LONG * self.total <= passed + count:
                long = least + (most - least) * (_LONG * self.total - passed) / count
            passed += count
            if not limit or most <= limit:
                total += self._sums[bucket]
                below += count
            elif least < limit:  # lengths within a bucket are taken to be spread evenly
                inside = count * (limit - least) / (most - least)
                total += inside * (least + limit) / 2
                below += inside
        total += (self.total - below) * limit
        mean = total / self.total
        return mean, max(mean, min(long, limit) if limit else long)

    def beyond(self, limit: int) -> int:
        """How long an answer would have become that was cut off at `limit`."""
        first = limit.bit_length() + 1
        count = sum(self._counts[first:])
        return round(sum(self._sums[first:]) / count) if count else 2 * limit


class Outlook:
    """What answers to one kind of request are expected to be like, by model; good for half a second."""

    __slots__ = ("_kind", "_lengths", "_limit", "_route", "_worked_out", "made")

    def __init__(self, lengths: "OutputLengths", route: str, kind: _Key, limit: int, now: float) -> None:
        self._lengths = lengths
        self._route = route
        self._kind = kind
        self._limit = limit
        self._worked_out: dict[str, Length] = {}
        self.made = now

    def of(self, model: str) -> Length:
        found = self._worked_out.get(model)
        if found is None:
            keys = _keys(self._route, model, self._kind)
            found = self._worked_out[model] = self._lengths.length(keys, self._limit, self.made)
        return found


class OutputLengths:
    """Lengths of answers by route, model, reasoning effort, tools or none, and size of the prompt."""

    def __init__(self) -> None:
        self._histograms: dict[_Key, Histogram] = {}
        self._chains: dict[_Key, tuple[Histogram, ...]] = {}  # those that an answer of a kind counts in, finest first
        self._outlooks: dict[_Key, Outlook] = {}
        self._epoch = 0.0  # a sample of then weighs 1

    def outlook(self, route: str, features: Features, now: float) -> Outlook:
        """What answers to such a request by targets of `route` are expected to be like."""
        kind = kind_of(features)
        key = (route, kind, features.max_tokens)
        found = self._outlooks.get(key)
        if found is None or not 0.0 <= now - found.made <= OUTLOOK_S:
            if len(self._outlooks) >= _MAX_OUTLOOKS:
                self._outlooks.clear()
            found = self._outlooks[key] = Outlook(self, route, kind, features.max_tokens, now)
        return found

    def observe(self, route: str, model: str, features: Features, tokens: int, now: float) -> None:
        """An answer was `tokens` long. One that was cut off at its limit would have been longer."""
        kind = kind_of(features)
        chain = self._chains.get((route, model, kind)) or self._chain(route, model, kind)
        finest = chain[0]
        if now - finest.last < _OFTEN_S and finest.samples >= _MANY:
            return
        finest.last = now
        finest.samples += 1
        if 0 < features.max_tokens <= tokens:
            tokens = chain[-1].beyond(features.max_tokens)
        bucket, weight = min(tokens.bit_length(), _BUCKETS - 1), self._weight(now)
        for histogram in chain:
            histogram.observe(tokens, bucket, weight)

    def length(self, keys: tuple[_Key, ...], limit: int, now: float) -> Length:
        """By the first of the kinds, finest first, that has enough samples; else by the last and what is supposed."""
        weight = 0.0
        for key in keys:
            found = self._histograms.get(key)
            weight = 0.0 if found is None else found.total * math.exp((self._epoch - now) / _TAU_S)
            if found is not None and weight >= _ENOUGH:
                return found.length(limit)
        usual, long = _supposed(limit)
        if found is None or not weight:
            return usual, long
        seen, seen_long = found.length(limit)
        share = weight / (weight + _PRIOR_WEIGHT)
        return usual + share * (seen - usual), long + share * (seen_long - long)

    def _chain(self, route: str, model: str, kind: _Key) -> tuple[Histogram, ...]:
        if len(self._histograms) >= _MAX_KINDS:  # those nobody asked for lately are learned again
            self._histograms.clear()
            self._chains.clear()
        chain = tuple([self._histograms.setdefault(key, Histogram()) for key in _keys(route, model, kind)])
        self._chains[route, model, kind] = chain
        return chain

    def _weight(self, now: float) -> float:
        """Of a sample of now, e times that of an hour ago; all are made smaller before they become too large."""
        weight = math.exp(min(_MOST, (now - self._epoch) / _TAU_S))
        if weight > _RESCALE:
            for histogram in self._histograms.values():
                histogram.scale(math.exp((self._epoch - now) / _TAU_S))
            self._epoch, weight = now, 1.0
        return weight


def kind_of(features: Features) -> tuple[str, bool, int]:
    """What lengths are told apart by: reasoning effort, tools or none, and size of the prompt."""
    effort = features.reasoning_effort if features.reasoning_effort in EFFORTS else ""
    return effort, features.tools > 0, features.prompt_tokens.bit_length()


def _keys(route: str, model: str, kind: _Key) -> tuple[_Key, ...]:
    """The kinds that a request belongs to, finest first."""
    effort, tools, size = kind
    return (route, model, effort, tools, size), (route, model, effort, tools), (route, effort, tools), (route,)


def _bounds(bucket: int) -> tuple[int, int]:
    return (1 << bucket >> 1, 1 << bucket)


def _supposed(limit: int) -> Length:
    """Of the exponential distribution that is supposed before anything is known."""
    long = -_PRIOR_TOKENS * math.log(1 - _LONG)
    if not limit:
        return _PRIOR_TOKENS, long
    return _PRIOR_TOKENS * -math.expm1(-limit / _PRIOR_TOKENS), min(long, limit)
