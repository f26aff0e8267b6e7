"""Idle targets are asked now and then: seldom, never at any price, and the dry run knows it beforehand."""

import pytest
from builders import DAY, Desk, info, model, price, settings

from providers.errors import RateLimitedError, UnavailableError
from router.routing.plan import Attempt, Directives, Features, Plan

CHAT = Features(model="chat", prompt_tokens=100, stream=True)


def desk(sort: str = "latency", **second: object) -> Desk:
    described = {"ttft_ms": 800.0, **second}
    found = Desk(
        settings(
            model("chat", "a/m", "b/n", sort=sort),
            catalogue={"m": info("m", ttft_ms=500.0), "n": info("n", **described)},
        )
    )
    found.plan(CHAT)
    return found


def serve(found: Desk, count: int = 1, gap_s: float = 0.1) -> list[Plan]:
    plans = []
    for _ in range(count):
        plan = found.plan(CHAT)
        candidate = plan.candidates[0]
        assert found.health.admit(candidate, streamed=True)
        found.health.record(Attempt(candidate=candidate, duration_s=0.5))
        found.clock.advance(gap_s)
        plans.append(plan)
    return plans


def probed(plans: list[Plan]) -> int:
    return sum(plan.candidates[0].probe for plan in plans)


def test_an_idle_target_is_asked_once_in_half_a_minute_and_only_then() -> None:
    found = desk()
    plans = serve(found, 299)
    assert probed(plans) == 0
    assert probed(serve(found, 600)) == 2


def test_a_probe_fails_over_to_who_looks_best() -> None:
    found = desk()
    serve(found, 310)
    found.clock.advance(60.0)
    plan = found.plan(CHAT)
    assert [each.name for each in plan.candidates] == ["b/n", "a/m"]
    assert plan.candidates[0].reason


def test_the_dry_run_names_the_probe_that_the_request_makes() -> None:
    found = desk()
    serve(found, 299)
    for _ in range(30):
        dry = [each.name for each in found.planner.plan(CHAT, Directives(), found.clock.now, DAY, full=True).candidates]
        assert [each.name for each in serve(found)[0].candidates] == dry


def test_probes_stay_below_a_fiftieth_of_the_requests_however_seldom_these_come() -> None:
    found = desk()
    assert probed(serve(found, 1000, gap_s=60.0)) <= 20


@pytest.mark.parametrize(
    "second", [{"prices": (price("4", "4"),)}, {"ttft_ms": 5000.0}], ids=["four times the cost", "ten times the wait"]
)
def test_what_costs_or_takes_too_much_is_not_probed(second: dict[str, object]) -> None:
    assert probed(serve(desk(**second), 1000)) == 0


def test_a_catalogue_alone_does_not_keep_a_target_from_being_tried() -> None:
    found = desk(ttft_ms=2000.0)
    assert probed(serve(found, 310)) == 1, "four times the wait, but nobody has seen it"
    latency = found.health.target("b", "n", info("n", ttft_ms=2000.0)).latency
    for _ in range(10):
        latency.observe_first_token(CHAT, 2.0, found.clock.now)
        found.clock.advance(0.1)
    assert probed(serve(found, 1000)) == 0, "now it is known"


@pytest.mark.parametrize("sort", ["order", "quality", "weighted"])
def test_an_order_that_the_configuration_gives_is_kept(sort: str) -> None:
    assert probed(serve(desk(sort), 1000)) == 0


def test_blocked_and_broken_targets_are_not_probed() -> None:
    found = desk()
    serve(found, 299)
    state = found.health.target("b", "n", info("n"))
    other = next(each for each in found.plan(CHAT).candidates if each.provider == "b")
    found.health.admit(other)
    found.health.record(Attempt(candidate=other, duration_s=0.1, error=RateLimitedError("slow", retry_after_s=300.0)))
    assert probed(serve(found, 600)) == 0
    found.clock.advance(300.0)
    for _ in range(5):
        found.health.admit(other)
        found.health.record(Attempt(candidate=other, duration_s=0.1, error=UnavailableError("down")))
    assert state.tripped
    assert probed(serve(found, 10)) == 0
