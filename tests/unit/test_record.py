"""One record per request: closed once, priced once, shown to its owner alone."""

from decimal import Decimal
from typing import Any

import pytest
from builders import candidate, info, plan, price

from providers.catalogue import ImagePrice
from providers.errors import (
    BadResponseError,
    ProviderError,
    RateLimitedError,
    StreamInterruptedError,
    UnavailableError,
)
from providers.types import Usage
from router.accounting.calibration import prediction_json
from router.accounting.record import RecentRecords, RequestRecord
from router.routing.plan import Attempt, Excluded, Features, Prediction

OK = Attempt(candidate=candidate("a/m"), duration_s=2.0)
FAILED = Attempt(candidate=candidate("b/m"), duration_s=0.5, error=UnavailableError("down", status=503))
LEFT = Attempt(candidate=candidate("a/m"), duration_s=0.5, abandoned=True)


def record(*attempts: Attempt, request_id: str = "req_1", closed: list[Any] | None = None) -> RequestRecord:
    made = RequestRecord(
        request_id,
        "chat",
        "/v1/chat/completions",
        1_795_200_000.0,
        100.0,
        (closed if closed is not None else []).append,
    )
    made.attempts.extend(attempts)
    return made


def test_a_record_is_closed_exactly_once() -> None:
    closed: list[RequestRecord] = []
    made = record(OK, closed=closed)
    made.close(200, 103.0)
    made.close(499, 104.0, "client_closed")
    made.close(500, 105.0)
    assert closed == [made]
    assert (made.status, made.error_code, made.duration_s) == (200, None, 3.0)


@pytest.mark.parametrize(
    ("attempts", "served"),
    [((), None), ((OK,), "a/m"), ((FAILED, OK), "a/m"), ((FAILED,), None), ((FAILED, LEFT), None)],
)
def test_who_served_is_the_last_attempt_if_it_answered(attempts: tuple[Attempt, ...], served: str | None) -> None:
    found = record(*attempts).served_by
    assert (found.name if found else None) == served


def test_overhead_is_what_no_upstream_took() -> None:
    made = record(FAILED, OK)
    assert made.measure_overhead(102.75) == pytest.approx(0.25)
    assert made.measure_overhead(100.0) == 0.0


def test_an_answer_is_priced_by_who_served_it() -> None:
    made = record(FAILED, OK)
    made.settle(Usage(prompt_tokens=1000, completion_tokens=1000))
    assert (made.cost_usd, made.cost_source) == (Decimal("0.002"), "catalogue")
    made = record(FAILED)
    made.settle(Usage(prompt_tokens=1000))
    assert (made.cost_usd, made.cost_source) == (None, "unknown")


def test_attempts_at_pictures_that_may_be_charged_are_booked_once_each() -> None:
    def attempt(error: ProviderError | None = None, **more: Any) -> Attempt:
        return Attempt(candidate=candidate("a/m", expected_cost_usd=Decimal("0.03")), duration_s=1, error=error, **more)

    reported = UnavailableError("failed", billed=True)
    reported.cost_usd = Decimal("0.04")
    counted = BadResponseError("words", billed=True)
    counted.tokens = (1000, 0)
    made = record(
        attempt(RateLimitedError("free")), attempt(UnavailableError("x", billed=True)), attempt(reported),
        attempt(counted), attempt(abandoned=True),
    )  # fmt: skip
    made.book_lost()
    assert [(each.attempt, each.cost_usd, each.cost_source) for each in made.spent] == [
        (1, Decimal("0.03"), "estimated"),
        (2, Decimal("0.04"), "reported"),
        (3, Decimal("0.001"), "catalogue"),
        (4, Decimal("0.03"), "estimated"),
    ]
    assert made.total_cost == (Decimal("0.101"), "estimated")
    assert made.total_usage == Usage(prompt_tokens=1000)


def test_pictures_are_priced_by_their_number_size_and_quality() -> None:
    rows = (ImagePrice(usd=Decimal("0.05"), quality="high"),)
    painter = info("m", kind="image", prices=(price(None, None, per_image=rows),))
    made = record(Attempt(candidate=candidate("a/m", info=painter), duration_s=1.0))
    made.features = Features(kind="image", n=3, quality="high")
    made.settle(None, images=3)
    assert (made.cost_usd, made.images) == (Decimal("0.15"), 3)
    made.settle(None, images=3, reported=Decimal("0.2"))
    assert (made.cost_usd, made.cost_source) == (Decimal("0.2"), "reported")


def test_the_json_tells_the_decision_and_every_attempt() -> None:
    made = record(FAILED, OK)
    made.plan = plan(
        candidate("b/m"),
        candidate("a/m"),
        reason="cost: b/m",
        excluded=(Excluded(provider="c", model="m", reason="has no tools"),),
    )
    made.settle(Usage(prompt_tokens=1000, completion_tokens=1000))
    made.close(200, 103.0)
    shown = made.as_json()
    assert [(each["target"], each["outcome"], each["status"]) for each in shown["attempts"]] == [  # type: ignore
        ("b/m", "server_error", 503),
        ("a/m", "ok", None),
    ]
    assert (shown["served_by"], shown["status"], shown["cost_usd"], shown["reason"]) == ("a/m", 200, 0.002, "cost: b/m")
    assert shown["excluded"] == [{"target": "c/m", "reason": "has no tools"}]
    assert record().as_json()["served_by"] is None


PREDICTED = Prediction(ttft_ms=500.0, ttft_p95_ms=900.0, total_ms=1500.0, total_p95_ms=2500.0, output_tokens=100.0)
ASKED = candidate("a/m", prediction=PREDICTED, expected_cost_usd=Decimal("0.001"))


def closed_record(features: Features | None = None, **more: Any) -> RequestRecord:
    """An answer that took 2 s of the 3 s of its request, 0.5 s of them after its first content."""
    made = record(FAILED, Attempt(candidate=ASKED, duration_s=2.0))
    made.features = features
    for name, value in more.items():
        setattr(made, name, value)
    if made.kind == "chat":
        made.settle(Usage(prompt_tokens=100, completion_tokens=80))
    made.close(200, 103.0)
    return made


def test_predicted_and_actual_figures_stand_side_by_side() -> None:
    assert prediction_json(closed_record()) == {
        "total_ms": {"predicted": 1500.0, "actual": 2000.0, "p95": 2500.0},
        "output_tokens": {"predicted": 100.0, "actual": 80},
        "cost_usd": {"predicted": 0.001, "actual": 0.00018},
    }
    assert prediction_json(closed_record(stream=True, first_content_s=2.5)) == {
        "ttft_ms": {"predicted": 500.0, "actual": 2000.0, "p95": 900.0},
        "total_ms": {"predicted": 1500.0, "actual": 2500.0, "p95": 2500.0},
        "output_tokens": {"predicted": 100.0, "actual": 80},
        "cost_usd": {"predicted": 0.001, "actual": 0.00018},
    }
    assert prediction_json(closed_record(kind="image", cost_usd=Decimal("0.04"))) == {
        "total_ms": {"predicted": 1500.0, "actual": 2000.0, "p95": 2500.0},
        "cost_usd": {"predicted": 0.001, "actual": 0.04},
    }


def test_every_choice_of_an_answer_counts_in_what_was_predicted() -> None:
    shown = prediction_json(closed_record(Features(n=3)))
    assert shown is not None
    assert shown["output_tokens"] == {"predicted": 300.0, "actual": 80}


def test_a_stream_that_broke_off_has_no_actual_end_and_a_failure_no_prediction() -> None:
    shown = prediction_json(closed_record(stream=True, first_content_s=2.5, interrupted=True))
    assert shown is not None
    assert [shown[key]["actual"] for key in ("ttft_ms", "total_ms", "output_tokens")] == [2000.0, None, None]  # type: ignore
    failed = record(FAILED)
    failed.close(502, 103.0)
    assert prediction_json(failed) is None


BREAK = StreamInterruptedError("gone", outcome="stream_reset")
TOKENS = Usage(prompt_tokens=1000, completion_tokens=1000)  # 0.002 USD
GUESSED = Usage(prompt_tokens=500, completion_tokens=500, estimated=True)
UNPRICED = Attempt(candidate=candidate("c/m", info=info("m", cost=None)), duration_s=1.0)

TOTALS: list[tuple[str, Attempt, Usage, Attempt, Usage, Decimal | None, str, int]] = [
    ("counted", OK, TOKENS, OK, TOKENS, Decimal("0.004"), "catalogue", 4000),
    ("one estimated", OK, GUESSED, OK, TOKENS, Decimal("0.003"), "estimated", 3000),
    ("one reported", OK, TOKENS, OK, Usage(reported_cost_usd=Decimal(1)), Decimal("1.002"), "catalogue", 2000),
    ("one of unknown price", UNPRICED, TOKENS, OK, TOKENS, None, "unknown", 4000),
    ("one never counted", OK, TOKENS, OK, Usage(estimated=True), None, "unknown", 2000),
]


@pytest.mark.parametrize(("what", "broken", "lost", "goes_on", "kept", "cost", "source", "tokens"), TOTALS)
def test_a_mended_answer_costs_what_both_parts_cost(
    what: str, broken: Attempt, lost: Usage, goes_on: Attempt, kept: Usage, cost: Decimal | None, source: str,
    tokens: int,
) -> None:  # fmt: skip
    made = record(broken)
    assert made.break_off(BREAK, lost, 40) == broken.candidate
    made.attempts.append(goes_on)
    made.rejoin("prefill")
    made.settle(kept)
    assert made.total_cost == (cost, source)
    assert made.total_usage is not None
    assert made.total_usage.total_tokens == tokens
    made.close(200, 103.0)
    shown: Any = made.as_json()
    assert shown["seam"] == {
        "from": broken.candidate.name, "to": "a/m", "reason": "stream_reset", "after_characters": 40,
        "joint": "prefill",
    }  # fmt: skip
    assert shown["usage"]["total_tokens"] == tokens
    assert [each["outcome"] for each in shown["attempts"]] == ["stream_reset", "ok"]
    assert shown["attempts"][0]["usage"]["completion_tokens"] == lost.completion_tokens


def test_a_break_that_nobody_mended_costs_what_it_brought() -> None:
    made = record(OK)
    made.break_off(BREAK, TOKENS, 40)
    made.attempts.append(FAILED)
    assert made.total_cost == (Decimal("0.002"), "catalogue")
    assert made.total_usage == Usage.total([TOKENS])
    made.close(200, 103.0)
    shown: Any = made.as_json()
    assert (shown["seam"]["to"], shown["seam"]["joint"], shown["served_by"]) == (None, None, None)


def test_the_oldest_records_are_forgotten_first() -> None:
    recent = RecentRecords(limit=2)
    for number in range(3):
        recent.add(record(request_id=f"req_{number}"))
    assert [recent.get(f"req_{number}", "") is not None for number in range(3)] == [False, True, True]


def test_nobody_sees_or_overwrites_the_record_of_another_key() -> None:
    recent = RecentRecords()
    mine, theirs = record(), record()
    mine.key_name, theirs.key_name = "me", "them"
    recent.add(mine)
    assert recent.get("req_1", "them") is None
    recent.add(theirs)  # they chose the same x-request-id
    assert recent.get("req_1", "me") is mine
    assert recent.get("req_1", "them") is theirs
