"""Prometheus metrics. Names follow OpenTelemetry's GenAI conventions where they exist, else `router_*`.

Labels come from configuration only: a model that only a client's text named is counted as "(other)".
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from providers.catalogue import Catalogue
from providers.types import Usage
from router.accounting.calibration import RATIOS, wait_of
from router.accounting.instruments import Distribution, Tally
from router.accounting.record import RequestRecord
from router.accounting.steps import Enhanced
from router.routing.dispatch import WeakAnswerError
from router.routing.health import Health
from router.routing.plan import Attempt, Candidate

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
_OVERHEAD = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.05, 0.25, 1)
_WAITS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)
_RATE = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
_OTHER = "(other)"
_MOST_NOTED = 1000  # requests: sorting what they brought takes half a millisecond
_HEDGES = {"ok": "won", "outrun": "lost", "cancelled": "cancelled"}
_BREAKER = {"closed": 0, "half_open": 1, "open": 2}


class Metrics:
    """All metrics of one application, in a registry of its own. `known` are the label values that may appear."""

    def __init__(self, known: Collection[str], health: Health, catalogue: Catalogue) -> None:
        self.registry = CollectorRegistry()
        self._known = frozenset(known)
        self._known_targets = frozenset(tuple(name.split("/", 1)) for name in known)
        self._served: dict[tuple[str, str], _Served] = {}
        registry = self.registry
        self._requests = Tally(
            "router_requests",
            "Client requests by public model and final status.",
            ("model", "status"),
            registry=registry,
        )
        self._attempts = Tally(
            "router_attempts", "Upstream attempts by outcome.", ("provider", "model", "outcome"), registry=registry
        )
        self._failovers = Tally(
            "router_failovers", "Attempts given up in favour of the next.", ("reason",), registry=registry
        )
        self._escalations = Tally(
            "router_escalations", "Weak answers asked for again a tier higher.", ("reason",), registry=registry
        )
        overheads = Distribution(
            "router_overhead_seconds",
            "Time a request spent in the router itself.",
            (),
            bounds=_OVERHEAD,
            registry=registry,
        )
        self._overhead = overheads.labels()
        self._cost = Tally(
            "router_cost_usd",
            "Cost of answers by where the figure is from; unknown costs add 0 and are counted apart.",
            ("provider", "model", "source"),
            registry=registry,
        )
        self._unpriced = Tally(
            "router_unpriced_answers", "Answers whose cost is unknown.", ("provider", "model"), registry=registry
        )
        self._images = Tally("router_images", "Pictures delivered.", ("provider", "model"), registry=registry)
        self._interrupted = Tally(
            "router_streams_interrupted",
            "Streams that broke off after their first content.",
            ("provider", "model"),
            registry=registry,
        )
        self._mends = Tally(
            "router_stream_repairs",
            "Streams that broke off while another candidate could go on, by the target that broke.",
            ("provider", "model", "outcome"),
            registry=registry,
        )
        self._shed = Tally(
            "router_shed",
            "Requests turned away because the router or every upstream had no room for them.",
            ("model", "reason"),
            registry=registry,
        )
        self._queued = Distribution(
            "router_queue_wait_seconds",
            "Time that requests waited for an upstream to have room, those turned away included.",
            ("model",),
            bounds=_WAITS,
            registry=registry,
        )
        self._hedges = Tally("router_hedges", "Second candidates started early.", ("outcome",), registry=registry)
        self._rewrites = Tally(
            "router_enhance_rewrites",
            "Prompts that were to be worded anew, by outcome.",
            ("outcome",),
            registry=registry,
        )
        self._helpers = Tally(
            "router_enhance_cost_usd",
            "Cost of the models that help image requests, by what they did; router_cost_usd holds it too.",
            ("step",),
            registry=registry,
        )
        self.inflight = Gauge("router_inflight", "Client requests under way.", registry=registry)
        labels = ("gen_ai_provider_name", "gen_ai_request_model")
        self._tokens = Distribution(
            "gen_ai_client_token_usage",
            "Tokens of an answer.",
            (*labels, "gen_ai_token_type"),
            bounds=_TOKENS,
            registry=registry,
        )
        self._duration = Distribution(
            "gen_ai_server_request_duration",
            "Seconds until the whole answer.",
            labels,
            bounds=_SECONDS,
            registry=registry,
        )
        self._first = Distribution(
            "gen_ai_server_time_to_first_token",
            "Seconds until a stream's first content.",
            labels,
            bounds=_SECONDS,
            registry=registry,
        )
        self._rate = Distribution(
            "gen_ai_server_time_per_output_token",
            "Seconds per output token after the first.",
            labels,
            bounds=_RATE,
            registry=registry,
        )
        self._ratio = Distribution(
            "router_prediction_ratio",
            "Actual over predicted: seconds to a stream's first content (ttft), to a whole answer (total), cost.",
            ("provider", "model", "kind"),
            bounds=RATIOS,
            registry=registry,
        )
        self._late = Tally(
            "router_prediction_late",
            "Answers that took longer than their predicted 95th percentile: one in twenty, if predictions are right.",
            ("provider", "model", "kind"),
            registry=registry,
        )
        self._distributions = (
            overheads, self._queued, self._tokens, self._duration, self._first, self._rate, self._ratio,
        )  # fmt: skip
        registry.register(_StateCollector(self._known, health, catalogue))

    def record(self, record: RequestRecord) -> None:
        """Count one closed record and each of its attempts, once."""
        model = record.model if record.model in self._known else _OTHER
        self._requests.counts[model, str(record.status)] += 1
        self._overhead.observe(record.overhead_s)
        if record.shed:
            self._shed.counts[model, record.shed] += 1
        attempts = record.attempts
        queued_s = record.queued_s + self._count_attempts(attempts)
        if record.enhanced is not None:
            self._count_enhanced(record, record.enhanced)
        if queued_s:
            self._queued.labels(model).observe(queued_s)
        for spent in record.spent:
            self._of(spent.candidate).book(spent.usage, spent.cost_usd, spent.cost_source)
        mend = record.mend
        if mend is not None:
            outcome = "repaired" if mend.joint else "failed"
            self._mends.counts[*self._target(attempts[mend.broken].candidate), outcome] += 1
        candidate = record.served_by
        if record.interrupted and attempts:
            last = candidate or attempts[mend.broken if mend else -1].candidate
            self._interrupted.counts[self._target(last)] += 1
        if candidate is not None:
            self._of(candidate).observe(record, candidate)

    def sort_in(self) -> None:
        """Count the values that were noted, if there are many. Called now and then, or they take up memory."""
        if self._overhead.noted > _MOST_NOTED:
            for distribution in self._distributions:
                distribution.sort_in()

    def _of(self, candidate: Candidate) -> "_Served":
        target = self._target(candidate)
        served = self._served.get(target)
        if served is None:
            served = self._served[target] = _Served(self, *target)
        return served

    def _count_enhanced(self, record: RequestRecord, enhanced: Enhanced) -> None:
        """What became of the prompt; of each further call its attempts, and its cost under the target that answered."""
        if enhanced.rewrite:
            self._rewrites.counts[(enhanced.rewrite,)] += 1
        for step in record.steps:
            self._count_attempts(step.attempts)
            served = step.served_by
            if served is None:
                continue
            self._of(served).book(step.usage, step.cost_usd, step.cost_source)
            if step.purpose != "round" and step.cost_usd is not None:
                self._helpers.counts[(step.purpose,)] += float(step.cost_usd)

    def _count_attempts(self, attempts: Sequence[Attempt]) -> float:
        """The attempts of one dispatch: every one but the last was given up for the next. The seconds they queued."""
        last, queued_s = len(attempts) - 1, 0.0
        for position, attempt in enumerate(attempts):
            outcome = attempt.outcome
            provider, model = self._target(attempt.candidate)
            self._attempts.counts[provider, model, outcome] += 1
            queued_s += attempt.queued_s
            if attempt.hedge:
                self._hedges.counts[(_HEDGES.get(outcome, "failed"),)] += 1
            if position == last and attempt.error is None:
                break
            if isinstance(attempt.error, WeakAnswerError):
                self._escalations.counts[(attempt.error.reason,)] += 1
            elif not (position == last or attempt.outrun):
                self._failovers.counts[(outcome,)] += 1
        return queued_s

    def _target(self, candidate: Candidate) -> tuple[str, str]:
        """Provider and model as label values."""
        target = (candidate.provider, candidate.model)
        return target if target in self._known_targets else (candidate.provider, _OTHER)


class _Served:
    """The label children of one target, looked up once."""

    def __init__(self, metrics: Metrics, provider: str, model: str) -> None:
        self._metrics = metrics
        self._labels = (provider, model)
        self._input = metrics._tokens.labels(provider, model, "input")
        self._output = metrics._tokens.labels(provider, model, "output")
        self._duration = metrics._duration.labels(provider, model)
        self._first = metrics._first.labels(provider, model)
        self._rate = metrics._rate.labels(provider, model)
        self._cost_ratio = metrics._ratio.labels(provider, model, "cost")
        self._ratios = {kind: metrics._ratio.labels(provider, model, kind) for kind in ("ttft", "total")}
        for kind in self._ratios:
            metrics._late.counts[provider, model, kind] += 0

    def observe(self, record: RequestRecord, served: Candidate) -> None:
        metrics, usage, cost_usd = self._metrics, record.usage, record.cost_usd
        self._duration.observe(record.duration_s)
        cost = self.book(usage, cost_usd, record.cost_source)
        if record.first_content_s is not None and record.mend is None:  # else it is another target's
            self._first.observe(record.first_content_s)
            if usage is not None and usage.completion_tokens > 1:
                writing = record.duration_s - record.first_content_s
                self._rate.observe(writing / (usage.completion_tokens - 1))
        wait = wait_of(record, served)
        if wait is not None:
            kind, predicted_ms, p95_ms, actual_ms = wait
            self._ratios[kind].observe(actual_ms / (predicted_ms if predicted_ms > 1e-3 else 1e-3))
            if actual_ms > p95_ms:
                metrics._late.counts[*self._labels, kind] += 1
            expected = record.attempts[-1].candidate.expected_cost_usd
            if expected and cost_usd is not None and not record.interrupted:
                self._cost_ratio.observe(cost / float(expected))
        if record.images:
            metrics._images.counts[self._labels] += record.images

    def book(self, usage: Usage | None, cost_usd: Decimal | None, source: str) -> float:
        """The tokens and the cost of one attempt. Gives the cost, 0 where it is unknown."""
        if usage is not None:
            self._input.observe(usage.prompt_tokens)
            self._output.observe(usage.completion_tokens)
        if cost_usd is None:
            self._metrics._unpriced.counts[self._labels] += 1
            return 0.0
        provider, model = self._labels
        cost = float(cost_usd)
        self._metrics._cost.counts[provider, model, source] += cost
        return cost


class _StateCollector(Collector):
    """Gauges read from health and catalogue at the moment of the scrape."""

    def __init__(self, known: Collection[str], health: Health, catalogue: Catalogue) -> None:
        self._known = known
        self._health = health
        self._catalogue = catalogue

    def collect(self) -> Iterator[Metric]:
        labels = ["provider", "model"]
        breaker = GaugeMetricFamily("router_breaker_state", "0 closed, 1 half-open, 2 open.", labels=labels)
        blocked = GaugeMetricFamily("router_blocked_seconds", "Seconds a target stays blocked.", labels=labels)
        limits = GaugeMetricFamily(
            "router_concurrency_limit", "Attempts that may be under way at a target.", labels=labels
        )
        waiting = GaugeMetricFamily(
            "router_queue_length", "Requests that wait for an upstream to have room.", labels=["model"]
        )
        now = self._health.now()
        for (provider, model), state in self._health.targets().items():
            if f"{provider}/{model}" in self._known:
                breaker.add_metric([provider, model], _BREAKER[state.breaker(now)])
                blocked.add_metric([provider, model], max(0.0, state.blocked_until - now))
                limit = state.limit(now)
                if limit is not None:
                    limits.add_metric([provider, model], limit)
        lengths: Counter[str] = Counter()
        for name, length in self._health.queue.lengths.items():
            lengths[name if name in self._known else _OTHER] += length
        for name, length in lengths.items():
            waiting.add_metric([name], length)
        yield from (breaker, blocked, limits, waiting)
        age = GaugeMetricFamily("router_price_age_days", "Days since a model's price was checked.", labels=["model"])
        today = datetime.now(UTC).date()
        for name, info in self._catalogue.items():
            price = info.price_on(today)
            if price is not None and price.as_of is not None:
                age.add_metric([name], _days(price.as_of, today))
        yield age


def _days(since: date, today: date) -> float:
    return float((today - since).days)
