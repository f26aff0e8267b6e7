"""Prometheus counters and histograms for one event loop: an addition, and a binary search where there are buckets.

The client library's own take a lock for each, walk over the buckets and pass through four calls, up to 2.5 us a value;
with a dozen values a request that was the dearest part of accounting. Names, buckets and exposition are the library's.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Total:
    """What was counted under one combination of labels."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        self.value += amount


class Tally(Collector):
    """Named totals by label, which only grow."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], *, registry: CollectorRegistry) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._children: dict[tuple[str, ...], Total] = {}
        registry.register(self)

    def labels(self, *values: str) -> Total:
        """The child of these label values; made at the first call."""
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = Total()
        return child

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, child in self._children.items():
            family.add_metric(values, child.value)
        yield family


class Values:
    """The values of one combination of labels."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Take one value; a bucket holds what is at most its bound."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Distribution(Collector):
    """Named values by label, in buckets up to each of `bounds` (ascending) and one for all above."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        *,
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._bounds = tuple(bounds)
        self._names = [*(floatToGoString(bound) for bound in bounds), "+Inf"]  # type: ignore[no-untyped-call]
        self._children: dict[tuple[str, ...], Values] = {}
        registry.register(self)

    def labels(self, *values: str) -> Values:
        """The child of these label values; made at the first call."""
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = Values(self._bounds)
        return child

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, child in self._children.items():
            buckets = [(name, float(n)) for name, n in zip(self._names, accumulate(child.counts), strict=True)]
            family.add_metric(values, buckets, child.total)
        yield family
