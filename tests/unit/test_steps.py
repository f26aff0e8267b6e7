"""Further calls for one request: each is in the record, the sums and the metrics once."""

from decimal import Decimal
from typing import Any

import pytest
from builders import DAY, candidate, health, info, price
from prometheus_client import generate_latest

from providers.catalogue import ImagePrice
from providers.errors import UnavailableError, UpstreamTimeoutError
from providers.types import Usage
from router.accounting.metrics import Metrics
from router.accounting.record import RequestRecord
from router.accounting.steps import Enhanced, Step
from router.routing.plan import Attempt, Features

PAINTER = info("m", kind="image", prices=(price(None, None, per_image=(ImagePrice(usd=Decimal("0.05")),)),))
PICTURE = Features(kind="image")
PAINTED = Attempt(candidate=candidate("a/m", info=PAINTER), duration_s=4.0)
HELPED = Attempt(candidate=candidate("b/m"), duration_s=1.0)
FAILED = Attempt(candidate=candidate("c/m"), duration_s=0.5, error=UnavailableError("down", status=503))
LATE = Attempt(candidate=candidate("b/m"), duration_s=4.0, error=UpstreamTimeoutError("late"))
UNPRICED = Attempt(candidate=candidate("d/m", info=info("m", cost=None)), duration_s=1.0)
TOKENS = Usage(prompt_tokens=1000, completion_tokens=1000)  # 0.002 USD


def record() -> RequestRecord:
    made = RequestRecord("req_1", "image", "/v1/images/generations", 1_795_200_000.0, 100.0, [].append)
    made.features = PICTURE
    made.attempts.append(PAINTED)
    made.settle(None, images=1)
    made.enhanced = Enhanced("00ff", rewrite="used", rewrite_model="flash", rounds=2, scores=(4.0, None))
    return made


def helped(made: RequestRecord, *attempts: Attempt, usage: Usage | None = TOKENS) -> Step:
    step = made.begin("rewrite")
    step.attempts.extend(attempts)
    step.settle(DAY, usage)
    return step


def once_more(made: RequestRecord, *attempts: Attempt, usage: Usage | None = None) -> Step:
    step = made.begin("round")
    step.attempts.extend(attempts)
    step.settle(DAY, usage, images=1, features=PICTURE)
    return step


def test_helpers_and_pictures_are_summed_apart_and_together() -> None:
    made = record()
    helped(made, FAILED, HELPED)
    once_more(made, PAINTED)
    assert (made.helpers_cost, made.answer_cost) == (Decimal("0.002"), Decimal("0.10"))
    assert made.added_cost == Decimal("0.052")
    assert made.total_cost == (Decimal("0.102"), "catalogue")


def test_a_step_that_brought_nothing_costs_nothing() -> None:
    made = record()
    helped(made, LATE, usage=None)
    once_more(made, FAILED)
    assert (made.total_cost[0], made.helpers_cost, made.added_cost) == (Decimal("0.05"), Decimal(0), Decimal(0))


def test_an_unknown_part_makes_the_sum_unknown() -> None:
    made = record()
    helped(made, UNPRICED)
    assert (made.total_cost, made.helpers_cost, made.answer_cost) == ((None, "unknown"), None, Decimal("0.05"))


USAGES = [
    (None, None, None),
    (TOKENS, TOKENS, (2000, False)),
    (TOKENS, None, (1000, True)),
    (None, TOKENS, (1000, True)),
]


@pytest.mark.parametrize(("first", "second", "total"), USAGES)
def test_usage_is_that_of_all_pictures_and_of_no_helper(first: Any, second: Any, total: Any) -> None:
    made = record()
    made.usage = first
    helped(made, HELPED)
    once_more(made, PAINTED, usage=second)
    found = made.total_usage
    assert (None if found is None else (found.prompt_tokens, found.estimated)) == total


def test_a_failed_request_still_shows_what_its_rewrite_cost() -> None:
    made = record()
    made.attempts[:] = [FAILED]
    helped(made, HELPED)
    assert made.total_cost == (Decimal("0.002"), "catalogue")
    assert made.total_usage is None or made.total_usage.total_tokens == 0


def test_waiting_for_steps_is_no_overhead() -> None:
    made = record()
    made.steps_s = 3.0
    assert made.measure_overhead(107.5) == pytest.approx(0.5)


def test_the_json_shows_each_step_with_its_attempts() -> None:
    made = record()
    helped(made, FAILED, HELPED)
    made.close(200, 110.0)
    shown: Any = made.as_json()["enhance"]
    assert (shown["rounds"], shown["scores"], shown["rewrite"], shown["rewrite_model"]) == (
        2, [4.0, None], "used", "flash",
    )  # fmt: skip
    (step,) = shown["steps"]
    assert (step["step"], step["cost_usd"]) == ("rewrite", 0.002)
    assert [attempt["outcome"] for attempt in step["attempts"]] == ["server_error", "ok"]
    plain = RequestRecord("req_2", "image", "/", 1_795_200_000.0, 100.0, [].append)
    assert plain.as_json()["enhance"] is None


def test_metrics_count_every_attempt_once_and_the_helpers_cost_under_their_own_target() -> None:
    made = record()
    helped(made, FAILED, HELPED)
    once_more(made, PAINTED)
    made.close(200, 110.0)
    metrics = Metrics({"a/m", "b/m", "c/m"}, health(), {})
    metrics.record(made)
    text = generate_latest(metrics.registry).decode()
    lines = dict(line.rsplit(" ", 1) for line in text.split("\n") if line.startswith("router_"))
    assert lines['router_attempts_total{model="m",outcome="ok",provider="a"}'] == "2.0"
    assert lines['router_attempts_total{model="m",outcome="ok",provider="b"}'] == "1.0"
    assert lines['router_attempts_total{model="m",outcome="server_error",provider="c"}'] == "1.0"
    assert lines['router_failovers_total{reason="server_error"}'] == "1.0"
    assert lines['router_cost_usd_total{model="m",provider="a",source="catalogue"}'] == "0.1"
    assert lines['router_cost_usd_total{model="m",provider="b",source="catalogue"}'] == "0.002"
    assert lines['router_enhance_cost_usd_total{step="rewrite"}'] == "0.002"
    assert lines['router_enhance_rewrites_total{outcome="used"}'] == "1.0"
    assert lines['router_images_total{model="m",provider="a"}'] == "1.0"
