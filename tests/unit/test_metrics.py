"""Metrics: every attempt counted once, labels from configuration alone."""

from decimal import Decimal
from typing import Any

import pytest
from builders import DAY, Clock, candidate, health, info, price
from msgspec.structs import replace

from providers.errors import RateLimitedError, StreamInterruptedError, UnavailableError
from providers.types import Usage
from router.accounting.metrics import Metrics
from router.accounting.record import Mend, RequestRecord
from router.routing.plan import Attempt, Candidate, Prediction

KNOWN = {"chat", "a/m", "b/m"}
A, B, STRANGER = candidate("a/m"), candidate("b/m"), candidate("a/made-up", info=info("made-up", known=False))
TARGET = {"provider": "a", "model": "m"}
GEN_AI = {"gen_ai_provider_name": "a", "gen_ai_request_model": "m"}


class Office:
    def __init__(self, catalogue: Any = None) -> None:
        self.clock = Clock()
        self.health = health(self.clock)
        self.metrics = Metrics(KNOWN, self.health, {"m": info()} if catalogue is None else catalogue)

    def close(self, *attempts: Attempt, model: str = "chat", status: int = 200, **more: Any) -> RequestRecord:
        record = RequestRecord("req_1", "chat", "/v1/chat/completions", 1_795_200_000.0, 100.0, self.metrics.record)
        record.model = model
        record.attempts.extend(attempts)
        for name, value in more.items():
            setattr(record, name, value)
        record.close(status, 104.0)
        record.close(500, 105.0)
        return record

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def labels(self) -> set[str]:
        """Every label value that any sample carries."""
        return {
            value
            for family in self.metrics.registry.collect()
            for each in family.samples
            for value in each.labels.values()
        }


PREDICTED = Prediction(ttft_ms=500.0, ttft_p95_ms=1500.0, total_ms=2000.0, total_p95_ms=3000.0, output_tokens=100.0)
PRICED = candidate("a/m", prediction=PREDICTED, expected_cost_usd=Decimal("0.001"))


@pytest.mark.parametrize(
    ("took_s", "more", "kind", "ratio", "late"),
    [
        (1.0, {}, "total", 0.5, 0),
        (4.0, {}, "total", 2.0, 1),
        (1.0, {"stream": True}, "ttft", 2.0, 0),
        (2.0, {"stream": True}, "ttft", 4.0, 1),
        (2.0, {"stream": True, "stream_mode": "buffered"}, "total", 1.0, 0),
        (2.0, {"kind": "image", "stream": True}, "total", 1.0, 0),
    ],
)
def test_predictions_are_compared_with_what_came_of_them(
    took_s: float, more: dict[str, Any], kind: str, ratio: float, late: int
) -> None:
    office = Office()
    office.close(Attempt(candidate=PRICED, duration_s=took_s), cost_usd=Decimal("0.0015"), **more)
    labels = {**TARGET, "kind": kind}
    assert office.value("router_prediction_ratio_sum", **labels) == pytest.approx(ratio)
    assert office.value("router_prediction_ratio_count", **labels) == 1
    assert office.value("router_prediction_late_total", **labels) == late
    assert office.value("router_prediction_ratio_sum", **TARGET, kind="cost") == pytest.approx(1.5)


def test_what_could_not_be_predicted_is_not_compared() -> None:
    office = Office()
    slow = Attempt(candidate=PRICED, duration_s=9.0)
    office.close(slow, cost_usd=None)  # of unknown cost
    office.close(Attempt(candidate=replace(PRICED, expected_cost_usd=None), duration_s=9.0), cost_usd=Decimal(1))
    office.close(slow, cost_usd=Decimal(1), stream=True, interrupted=True)
    assert office.value("router_prediction_ratio_count", **TARGET, kind="cost") == 0
    office = Office()
    office.close(slow, slow, mend=Mend(0, 12, "afresh"), stream=True, cost_usd=Decimal(1))  # in part another's
    office.close(Attempt(candidate=PRICED, duration_s=9.0, error=UnavailableError("down")))
    counts = [office.value("router_prediction_ratio_count", **TARGET, kind=kind) for kind in ("ttft", "total", "cost")]
    assert not any(counts)


def ok(who: Candidate = A) -> Attempt:
    return Attempt(candidate=who, duration_s=1.0)


def test_a_request_is_counted_once_with_its_status() -> None:
    office = Office()
    office.close(ok())
    office.close(ok())
    office.close(status=404, model="chat")
    assert office.value("router_requests_total", model="chat", status="200") == 2
    assert office.value("router_requests_total", model="chat", status="404") == 1
    assert office.value("router_requests_total", model="chat", status="500") is None


def test_every_attempt_is_counted_once_and_all_but_the_last_as_failovers() -> None:
    office = Office()
    office.close(
        Attempt(candidate=A, duration_s=1.0, error=UnavailableError("x")),
        Attempt(candidate=A, duration_s=1.0, error=RateLimitedError("x")),
        ok(B),
    )
    office.close(Attempt(candidate=A, duration_s=1.0, abandoned=True), status=499)
    for who, outcome in (("a", "server_error"), ("a", "rate_limited"), ("b", "ok"), ("a", "cancelled")):
        assert office.value("router_attempts_total", provider=who, model="m", outcome=outcome) == 1
    assert office.value("router_failovers_total", reason="server_error") == 1
    assert office.value("router_failovers_total", reason="rate_limited") == 1
    assert office.value("router_failovers_total", reason="ok") is None
    assert office.value("router_failovers_total", reason="cancelled") is None


@pytest.mark.parametrize("name", ["made-up", "", "a" * 500, 'x",y="'])
def test_a_name_only_a_client_knows_is_no_label(name: str) -> None:
    office = Office()
    office.close(status=404, model=name)
    assert office.value("router_requests_total", model="(other)", status="404") == 1
    assert name == "" or name not in office.labels()


def test_a_target_only_a_client_knows_is_no_label() -> None:
    office = Office()
    office.health.admit(STRANGER)
    for number in range(50):
        made_up = candidate(f"a/made-up-{number}", info=info(known=False))
        office.health.admit(made_up)
        office.close(ok(made_up), usage=Usage(completion_tokens=5))
    assert office.value("router_attempts_total", provider="a", model="(other)", outcome="ok") == 50
    assert office.value("gen_ai_server_request_duration_count", **{**GEN_AI, "gen_ai_request_model": "(other)"}) == 50
    assert not any("made-up" in label for label in office.labels())
    assert len(office.metrics._served) == 1


def test_costs_add_up_by_their_source_and_unknown_ones_are_counted_apart() -> None:
    office = Office()
    office.close(ok(), cost_usd=Decimal("0.25"), cost_source="catalogue")
    office.close(ok(), cost_usd=Decimal("0.50"), cost_source="catalogue")
    office.close(ok(), cost_usd=Decimal("1"), cost_source="reported")
    office.close(ok())
    assert office.value("router_cost_usd_total", **TARGET, source="catalogue") == 0.75
    assert office.value("router_cost_usd_total", **TARGET, source="reported") == 1.0
    assert office.value("router_cost_usd_total", **TARGET, source="unknown") is None
    assert office.value("router_unpriced_answers_total", **TARGET) == 1


def test_tokens_times_pictures_and_interruptions_of_an_answer() -> None:
    office = Office()
    office.close(
        ok(), usage=Usage(prompt_tokens=100, completion_tokens=31), first_content_s=1.0, images=2, interrupted=True
    )
    assert office.value("gen_ai_client_token_usage_sum", **GEN_AI, gen_ai_token_type="input") == 100
    assert office.value("gen_ai_client_token_usage_sum", **GEN_AI, gen_ai_token_type="output") == 31
    assert office.value("gen_ai_server_request_duration_sum", **GEN_AI) == 4.0
    assert office.value("gen_ai_server_time_to_first_token_sum", **GEN_AI) == 1.0
    assert office.value("gen_ai_server_time_per_output_token_sum", **GEN_AI) == pytest.approx(0.1)
    assert office.value("router_images_total", **TARGET) == 2
    assert office.value("router_streams_interrupted_total", **TARGET) == 1


def test_a_request_nobody_answered_has_no_tokens() -> None:
    office = Office()
    office.close(Attempt(candidate=A, duration_s=1.0, error=UnavailableError("x")), status=502)
    assert office.value("gen_ai_server_request_duration_count", **GEN_AI) in (None, 0.0)
    assert office.value("router_unpriced_answers_total", **TARGET) is None


@pytest.mark.parametrize("catalogue", [{"m": info()}, {"a/m": info()}, {}], ids=["model", "target", "no catalogue"])
def test_the_state_of_configured_targets_is_read_at_the_scrape(catalogue: Any) -> None:
    office = Office(catalogue)
    for _ in range(5):
        office.health.admit(A)
        office.health.record(Attempt(candidate=A, duration_s=0.0, error=UnavailableError("x")))
    assert office.value("router_breaker_state", **TARGET) == 2
    office.clock.advance(5.0)
    assert office.value("router_breaker_state", **TARGET) == 1
    office.health.admit(B)
    office.health.record(Attempt(candidate=B, duration_s=0.0, error=RateLimitedError("x", retry_after_s=9.0)))
    assert office.value("router_blocked_seconds", provider="b", model="m") == 9.0
    assert office.value("router_blocked_seconds", **TARGET) == 0.0
    office.health.interrupted(B, StreamInterruptedError("x"))
    assert office.value("router_breaker_state", provider="b", model="m") == 0


def test_the_age_of_a_price_is_told_where_it_is_known() -> None:
    dated = info("dated", prices=(price("1", "1", as_of=DAY),))
    office = Office({"dated": dated, "undated": info("undated"), "unpriced": info("unpriced", None)})
    assert office.value("router_price_age_days", model="dated") is not None
    assert office.value("router_price_age_days", model="undated") is None
    assert office.value("router_price_age_days", model="unpriced") is None


def test_both_parts_of_a_mended_answer_are_counted_where_they_were_made() -> None:
    office = Office()
    broken = StreamInterruptedError("gone", outcome="stream_reset")
    lost, kept = Usage(prompt_tokens=10, completion_tokens=1000), Usage(prompt_tokens=10, completion_tokens=3000)

    def mended(record: RequestRecord) -> RequestRecord:
        record.attempts.append(ok(A))
        record.first_content_s = 0.5
        record.break_off(broken, lost, 40)
        return record

    record = mended(RequestRecord("req_1", "chat", "/", 1_795_200_000.0, 100.0, office.metrics.record))
    record.attempts.append(ok(B))
    record.rejoin("prefill")
    record.settle(kept)
    record.close(200, 104.0)
    other = {"gen_ai_provider_name": "b", "gen_ai_request_model": "m"}
    for labels, usage in ((GEN_AI, lost), (other, kept)):
        assert office.value("gen_ai_client_token_usage_sum", **labels, gen_ai_token_type="output") == (
            usage.completion_tokens
        )
    assert office.value("router_cost_usd_total", **TARGET, source="catalogue") == pytest.approx(0.00101)
    assert office.value("router_stream_repairs_total", **TARGET, outcome="repaired") == 1
    assert office.value("router_streams_interrupted_total", **TARGET) is None
    assert office.value("router_failovers_total", reason="stream_reset") == 1
    assert office.value("gen_ai_server_time_to_first_token_count", **other) == 0, "the first token was another's"
    record = mended(RequestRecord("req_2", "chat", "/", 1_795_200_000.0, 100.0, office.metrics.record))
    record.interrupted = True
    record.close(200, 104.0)
    assert office.value("router_stream_repairs_total", **TARGET, outcome="failed") == 1
    assert office.value("router_streams_interrupted_total", **TARGET) == 1
