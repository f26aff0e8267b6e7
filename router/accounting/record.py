"""One record per client request, closed exactly once, whatever its end."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from providers.types import ImageSize, JsonObject, Usage
from router.routing.cost import actual_cost
from router.routing.plan import Attempt, Candidate, Features, Plan

CLIENT_CLOSED = 499  # the client left; nginx's number, for logs and metrics only


class RequestRecord:
    """Collects what happens to one request; `close()` hands it to `closed` once, later calls are ignored.

    Times are monotonic seconds. `attempts` is the list dispatch appends to; `fetch_s` is the time that went into media
    by URL before. `interrupted` is set when a stream broke off after its first content; such a request still has status
    200 on the wire.
    """

    __slots__ = (
        "_closed",
        "_on_close",
        "attempts",
        "cost_source",
        "cost_usd",
        "created",
        "duration_s",
        "error_code",
        "features",
        "fetch_s",
        "first_content_s",
        "id",
        "images",
        "interrupted",
        "key_name",
        "kind",
        "model",
        "overhead_s",
        "path",
        "plan",
        "served_model",
        "started",
        "status",
        "stream",
        "usage",
        "warnings",
    )

    def __init__(
        self, request_id: str, kind: str, path: str, started: float, on_close: Callable[["RequestRecord"], None]
    ) -> None:
        self.id = request_id
        self.kind = kind
        self.path = path
        self.started = started
        self.created = datetime.now(UTC)
        self.attempts: list[Attempt] = []
        self.model = ""
        self.key_name = ""
        self.stream = False
        self.features: Features | None = None
        self.plan: Plan | None = None
        self.served_model = ""
        self.usage: Usage | None = None
        self.images = 0
        self.cost_usd: Decimal | None = None
        self.cost_source = "unknown"
        self.first_content_s: float | None = None
        self.fetch_s = 0.0
        self.overhead_s = 0.0
        self.warnings: tuple[str, ...] = ()
        self.interrupted = False
        self.error_code: str | None = None
        self.status = 0
        self.duration_s = 0.0
        self._on_close = on_close
        self._closed = False

    @property
    def served_by(self) -> Candidate | None:
        """The candidate that answered, if one did."""
        last = self.attempts[-1] if self.attempts else None
        return last.candidate if last is not None and last.error is None and not last.abandoned else None

    def settle(
        self,
        usage: Usage | None,
        *,
        images: int = 0,
        size: ImageSize | None = None,
        quality: str = "",
        reported: Decimal | None = None,
    ) -> None:
        """Take the answer's token counts (or pictures) and price them at the rates of the day it was asked."""
        self.usage = usage
        self.images = images
        candidate = self.served_by
        if candidate is not None:
            self.cost_usd, self.cost_source = actual_cost(
                candidate.info, usage, self.created.date(), images=images, size=size, quality=quality, reported=reported
            )

    def measure_overhead(self, now: float) -> float:
        """Note the seconds so far that were not spent waiting for others; called when the answer starts."""
        waited_s = self.fetch_s + sum(attempt.duration_s for attempt in self.attempts)
        self.overhead_s = max(0.0, now - self.started - waited_s)
        return self.overhead_s

    def close(self, status: int, now: float, error_code: str | None = None) -> None:
        """The request is over. Only the first call counts."""
        if self._closed:
            return
        self._closed = True
        self.status = status
        self.error_code = error_code
        self.duration_s = now - self.started
        self._on_close(self)

    def as_json(self) -> JsonObject:
        """The decision and its attempts, as `GET /v1/requests/{id}` shows them. No prompt text anywhere."""
        plan = self.plan
        return {
            "id": self.id,
            "object": "router.request",
            "created": int(self.created.timestamp()),
            "kind": self.kind,
            "model": self.model,
            "stream": self.stream,
            "status": self.status,
            "error": self.error_code,
            "interrupted": self.interrupted,
            "reason": plan.reason if plan else None,
            "served_by": self.served_by.name if self.served_by else None,
            "served_model": self.served_model or None,
            "duration_ms": round(self.duration_s * 1000, 3),
            "first_content_ms": None if self.first_content_s is None else round(self.first_content_s * 1000, 3),
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            "cost_source": self.cost_source,
            "usage": self.usage.to_openai() if self.usage else None,
            "images": self.images,
            "warnings": list(self.warnings),
            "attempts": [_attempt_json(attempt) for attempt in self.attempts],
            "excluded": [{"target": entry.name, "reason": entry.reason} for entry in plan.excluded] if plan else [],
        }


def _attempt_json(attempt: Attempt) -> JsonObject:
    candidate = attempt.candidate
    expected = candidate.expected_cost_usd
    return {
        "target": candidate.name,
        "outcome": attempt.outcome,
        "status": attempt.error.status if attempt.error else None,
        "duration_ms": round(attempt.duration_s * 1000, 3),
        "predicted_ms": round(candidate.prediction.total_ms, 1),
        "predicted_ttft_ms": round(candidate.prediction.ttft_ms, 1),
        "expected_cost_usd": None if expected is None else float(expected),
    }


class RecentRecords:
    """The last closed records by id, in memory. `owner` keeps one client's records from another's eyes and hands."""

    def __init__(self, limit: int = 2000) -> None:
        self._records: dict[tuple[str, str], RequestRecord] = {}  # in the order they came
        self._limit = limit

    def add(self, record: RequestRecord) -> None:
        self._records[record.key_name, record.id] = record
        if len(self._records) > self._limit:
            del self._records[next(iter(self._records))]

    def get(self, request_id: str, owner: str) -> RequestRecord | None:
        return self._records.get((owner, request_id))
