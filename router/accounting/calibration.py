"""What was predicted of the candidate that answered, beside what came of it."""

from decimal import Decimal

from msgspec import Struct

from providers.types import JsonObject
from router.accounting.record import RequestRecord

RATIOS = (0.1, 0.25, 0.5, 0.67, 0.8, 0.91, 1.1, 1.25, 1.5, 2, 4, 10)
"""Bounds of buckets for actual over predicted: what is off by the same factor either way lies alike."""


class Wait(Struct, frozen=True, gc=False):
    """Milliseconds until a stream's first content (`kind` "ttft") or until the whole answer ("total")."""

    kind: str
    predicted_ms: float
    p95_ms: float
    actual_ms: float


def wait_of(record: RequestRecord) -> Wait | None:
    """What the last attempt of a closed record had to wait for; None where it did not answer, or not by itself."""
    served = record.served_by
    if served is None or record.mend is not None:
        return None
    found, actual_ms = served.prediction, record.attempts[-1].duration_s * 1000
    if _is_first_content(record):
        return Wait("ttft", found.ttft_ms, found.ttft_p95_ms, actual_ms)
    return Wait("total", found.total_ms, found.total_p95_ms, actual_ms)


def prediction_json(record: RequestRecord) -> JsonObject | None:
    """Predicted and actual figures of a closed record, those that its kind has. Units stand in the names."""
    served, wait = record.served_by, wait_of(record)
    if served is None or wait is None:
        return None
    found, whole = served.prediction, not record.interrupted
    shown: JsonObject = {}
    total_ms: float | None = wait.actual_ms
    if wait.kind == "ttft":
        shown["ttft_ms"] = _pair(wait.predicted_ms, wait.actual_ms, wait.p95_ms)
        began_s = record.first_content_s
        total_ms = wait.actual_ms + (record.duration_s - began_s) * 1000 if whole and began_s is not None else None
    shown["total_ms"] = _pair(found.total_ms, total_ms, found.total_p95_ms)
    if record.kind == "chat":
        usage = record.usage if whole else None
        tokens = None if usage is None or usage.estimated else usage.completion_tokens
        shown["output_tokens"] = _pair(found.output_tokens * record.choices, tokens)
    shown["cost_usd"] = {"predicted": _usd(served.expected_cost_usd), "actual": _usd(record.cost_usd)}
    return shown


def _is_first_content(record: RequestRecord) -> bool:
    return record.kind == "chat" and record.stream and record.stream_mode != "buffered"


def _pair(predicted: float, actual: float | None, p95: float | None = None) -> JsonObject:
    pair: JsonObject = {"predicted": round(predicted, 1), "actual": None if actual is None else round(actual, 1)}
    return pair if p95 is None else {**pair, "p95": round(p95, 1)}


def _usd(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
