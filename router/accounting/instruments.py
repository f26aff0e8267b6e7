"""Prometheus counters and histograms for one event loop: an addition, or a value put on a list.

The client library's own take a lock for each, walk over the buckets and pass through four calls, up to 2.5 us a value;
with a dozen values a request that was the dearest part of accounting. Names, buckets and exposition are the library's.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally(Collector):
    """Named totals, which only grow: `counts` by the values of the labels. Whoever counts adds to one of them."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], *, registry: CollectorRegistry) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self.counts: defaultdict[tuple[str, ...], float] = defaultdict(float)
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, count in self.counts.items():
            family.add_metric(values, count)
        yield family


class Values:
    """The values of one combination of labels. `observe(value)` notes one; `sort_in` counts all that were noted.

    Many are counted at the price of a few, so that is done now and then, and before anybody looks.
    """

    __slots__ = ("_bounds", "_noted", "counts", "observe", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._noted: list[float] = []
        self.observe = self._noted.append
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    @property
    def noted(self) -> int:
        """How many are still to be counted."""
        return len(self._noted)

    def sort_in(self) -> None:
        """A bucket holds what is at most its bound."""
        noted, below = self._noted, 0
        noted.sort()
        for place, bound in enumerate(self._bounds):
            up_to = bisect_right(noted, bound)
            self.counts[place] += up_to - below
            below = up_to
        self.counts[-1] += len(noted) - below
        self.total += sum(noted)
        noted.clear()


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

    def sort_in(self) -> None:
        """Count what was noted, see `Values`."""
        for child in self._children.values():
            child.sort_in()

    def collect(self) -> Iterator[Metric]:
        self.sort_in()
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, child in self._children.items():
            buckets = [(name, float(n)) for name, n in zip(self._names, accumulate(child.counts), strict=True)]
            family.add_metric(values, buckets, child.total)
        yield family
