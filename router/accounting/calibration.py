"""What was predicted of the candidate that answered, beside what came of it."""

from decimal import Decimal

from providers.types import JsonObject
from router.accounting.record import RequestRecord
from router.routing.plan import Candidate

RATIOS = (0.1, 0.25, 0.5, 0.67, 0.8, 0.91, 1.1, 1.25, 1.5, 2, 4, 10)
"""Bounds of buckets for actual over predicted: what is off by the same factor either way lies alike."""


Wait = tuple[str, float, float, float]
"""What was waited for, a stream's first content ("ttft") or the whole answer ("total"), and milliseconds of it:
predicted, the 95th percentile predicted, and those it took.
"""


def wait_of(record: RequestRecord, served: Candidate) -> Wait | None:
    """What the attempt that answered had to wait for; None where it did not answer by itself."""
    if record.mend is not None:
        return None
    found, actual_ms = served.prediction, record.attempts[-1].duration_s * 1000
    if record.stream and record.kind == "chat" and record.stream_mode != "buffered":
        return "ttft", found.ttft_ms, found.ttft_p95_ms, actual_ms
    return "total", found.total_ms, found.total_p95_ms, actual_ms


def prediction_json(record: RequestRecord) -> JsonObject | None:
    """Predicted and actual figures of a closed record, those that its kind has. Units stand in the names."""
    served = record.served_by
    wait = None if served is None else wait_of(record, served)
    if served is None or wait is None:
        return None
    kind, predicted_ms, p95_ms, actual_ms = wait
    found, whole = served.prediction, not record.interrupted
    shown: JsonObject = {}
    total_ms: float | None = actual_ms
    if kind == "ttft":
        shown["ttft_ms"] = _pair(predicted_ms, actual_ms, p95_ms)
        began_s = record.first_content_s
        total_ms = actual_ms + (record.duration_s - began_s) * 1000 if whole and began_s is not None else None
    shown["total_ms"] = _pair(found.total_ms, total_ms, found.total_p95_ms)
    if record.kind == "chat":
        usage = record.usage if whole else None
        tokens = None if usage is None or usage.estimated else usage.completion_tokens
        shown["output_tokens"] = _pair(found.output_tokens * record.choices, tokens)
    shown["cost_usd"] = {"predicted": _usd(served.expected_cost_usd), "actual": _usd(record.cost_usd)}
    return shown


def _pair(predicted: float, actual: float | None, p95: float | None = None) -> JsonObject:
    pair: JsonObject = {"predicted": round(predicted, 1), "actual": None if actual is None else round(actual, 1)}
    return pair if p95 is None else {**pair, "p95": round(p95, 1)}


def _usd(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
