"""Tiers: what the score makes of a request, which tier that gives, and what holds a conversation where it is."""

from itertools import pairwise

import pytest
from builders import DAY, Desk, info, model, settings
from hypothesis import given
from hypothesis import strategies as st

from router.routing.budget import Allowance
from router.routing.plan import Directives, Features
from router.routing.score import score_of
from router.routing.tiers import TierMemory, tier_for
from router.settings.values import RuleSettings, Settings, TierSettings

LADDER = (
    TierSettings(use="flash"),
    TierSettings(use="flash", reasoning_effort="high"),
    TierSettings(use="pro"),
)
SHORT, MIDDLING, LONG = 100, 4000, 40_000


def ladder(**more: object) -> Settings:
    return settings(
        model("auto", tiers=LADDER, **more),
        model("flash", "a/flash", "b/flash"),
        model("pro", "a/pro"),
        catalogue={
            "flash": info(
                "flash", "1", context_tokens=100_000, tools=True, json_schema=True, inputs=frozenset({"text"})
            ),
            "pro": info("pro", "10", inputs=frozenset({"text", "image"})),
        },
    )


def asked(question_bytes: int = SHORT, **more: object) -> Features:
    values: dict[str, object] = {"model": "auto", "question_bytes": question_bytes, "prompt_bytes": question_bytes}
    return Features(**{**values, **more})  # type: ignore[arg-type]


COUNTS = st.integers(min_value=0, max_value=2**40)
REQUESTS = st.builds(
    Features,
    question_bytes=COUNTS,
    prompt_bytes=COUNTS,
    max_tokens=COUNTS,
    tools=st.integers(0, 5),
    parallel_tools=st.booleans(),
    reasoning_effort=st.sampled_from(["", "none", "minimal", "low", "medium", "high", "xhigh", "max", "odd"]),
)


# --- the score


@given(REQUESTS)
def test_a_score_lies_between_0_and_1_and_is_the_sum_of_its_parts(features: Features) -> None:
    score = score_of(features)
    parts = score.question + score.conversation + score.output + score.tools + score.effort
    assert 0.0 <= score.value <= 1.0
    assert score.value == pytest.approx(min(1.0, max(0.0, parts)))
    assert score == score_of(features)


@given(REQUESTS, COUNTS, st.sampled_from(["question_bytes", "prompt_bytes", "max_tokens"]))
def test_more_text_never_lowers_the_score(features: Features, more: int, field: str) -> None:
    values = {name: getattr(features, name) for name in Features.__struct_fields__}
    longer = Features(**{**values, field: values[field] + more})
    assert score_of(longer).value >= score_of(features).value


def test_a_higher_effort_never_lowers_the_score() -> None:
    efforts = ["none", "minimal", "low", "", "medium", "high", "xhigh", "max"]
    values = [score_of(asked(MIDDLING, reasoning_effort=effort)).value for effort in efforts]
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_tools_count_only_where_several_may_be_called_at_once() -> None:
    alone = score_of(asked()).value
    assert score_of(asked(tools=9)).value == alone
    assert score_of(asked(tools=1, parallel_tools=True)).value == alone
    assert score_of(asked(tools=2, parallel_tools=True)).value > alone


# --- the tier


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(2, 6))
def test_neither_a_higher_score_nor_a_higher_cost_quality_gives_a_lower_tier(
    score: float, quality: float, other: float, tiers: int
) -> None:
    assert 0 <= tier_for(score, quality, tiers) < tiers
    assert tier_for(max(score, other), quality, tiers) >= tier_for(score, quality, tiers)
    assert tier_for(score, max(quality, other), tiers) >= tier_for(score, quality, tiers)


@given(st.floats(0, 1), st.integers(2, 6))
def test_the_ends_of_cost_quality_are_always_the_first_and_always_the_last(score: float, tiers: int) -> None:
    assert tier_for(score, 0.0, tiers) == 0
    assert tier_for(score, 1.0, tiers) == tiers - 1


@pytest.mark.parametrize(
    ("question", "target", "effort"), [(SHORT, "a/flash", ""), (MIDDLING, "a/flash", "high"), (LONG, "a/pro", "")]
)
def test_the_longer_the_question_the_higher_the_tier(question: int, target: str, effort: str) -> None:
    first = Desk(ladder()).plan(asked(question)).candidates[0]
    assert (first.name, first.effort) == (target, effort)


@pytest.mark.parametrize("effort", ["", "low"])
def test_a_caller_who_says_how_much_to_think_is_obeyed(effort: str) -> None:
    plan = Desk(ladder()).plan(asked(8000, reasoning_effort=effort, own_thinking=True))
    assert plan.candidates[0].effort == ""
    assert "-> flash (high reasoning), thinking as asked for" in plan.reason


def test_the_reason_says_score_and_tier_before_all_else() -> None:
    assert Desk(ladder()).plan(asked()).reason.startswith("auto: score 0.06 -> flash; cost: a/flash about $")


def test_rules_come_before_tiers() -> None:
    plan = Desk(ladder(rules=(RuleSettings(when="tools > 0", use="pro"),))).plan(asked(tools=1))
    assert (plan.candidates[0].name, plan.tiering) == ("a/pro", None)


def test_a_name_of_a_tier_is_no_ladder() -> None:
    assert Desk(ladder()).plan(asked(LONG, model="flash")).tiering is None


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (asked(images=1), "flash: takes no image input"),
        (asked(prompt_tokens=90_000, max_tokens=20_000), "holds 100000 tokens, prompt and answer may have 110000"),
    ],
)
def test_a_tier_that_cannot_serve_is_passed_over_and_the_reason_says_so(features: Features, reason: str) -> None:
    plan = Desk(ladder()).plan(features)
    assert plan.candidates[0].name == "a/pro"
    assert reason in plan.reason


def test_where_no_higher_tier_can_serve_a_lower_one_does() -> None:
    configured = ladder()
    catalogue = {**configured.catalogue, "pro": info("pro", "10", tools=False)}
    plan = Desk(settings(*configured.models.values(), catalogue=catalogue)).plan(asked(LONG, tools=1))
    assert plan.candidates[0].name == "a/flash"
    assert "(pro: has no tools)" in plan.reason


def test_where_no_tier_can_serve_the_planner_says_why() -> None:
    with pytest.raises(Exception, match="audio"):
        Desk(ladder()).plan(asked(audio=1))


def test_a_key_with_a_highest_tier_gets_no_higher_one() -> None:
    plan = Desk(ladder()).plan(asked(LONG, max_tier=2))
    assert (plan.candidates[0].name, plan.candidates[0].effort) == ("a/flash", "high")
    assert ", the most for this key" in plan.reason


@given(st.lists(st.integers(0, 100_000), min_size=20, max_size=60), st.lists(st.floats(0, 1), min_size=2, max_size=4))
def test_a_higher_cost_quality_never_lowers_the_share_of_the_best_tier(sizes: list[int], knobs: list[float]) -> None:
    desk = Desk(ladder())
    shares = [
        sum(desk.plan(asked(size), cost_quality=knob).candidates[0].name == "a/pro" for size in sizes)
        for knob in sorted(knobs)
    ]
    assert shares == sorted(shares)


def test_cost_quality_without_tiers_is_named_as_ignored() -> None:
    assert Desk(ladder()).plan(asked(model="flash"), cost_quality=0.9).warnings == ("router.cost_quality=ignored",)
    assert Desk(ladder()).plan(asked(), cost_quality=0.9).warnings == ()


def test_an_alias_of_a_ladder_is_the_ladder() -> None:
    configured = settings(*ladder().models.values(), catalogue=ladder().catalogue, aliases={"smart": "auto"})
    desk = Desk(configured)
    for question, target in ((SHORT, "a/flash"), (LONG, "a/pro"), (SHORT, "a/flash")):
        plan = desk.plan(asked(question, model="smart"))
        assert plan.candidates[0].name == target
        assert plan.reason.startswith("auto: score ")


def test_a_ladder_that_only_a_fallback_leads_to_is_not_this_requests_decision() -> None:
    configured = settings(
        *ladder().models.values(), model("own", "b/flash", fallbacks=("auto",)), catalogue=ladder().catalogue
    )
    plan = Desk(configured).plan(asked(LONG, model="own"))
    assert plan.tiering is None
    assert [each.tier for each in plan.candidates] == [-1, -1]


# --- the conversation


def turn(question: int, number: int = 2, **more: object) -> Features:
    return asked(question, key_name="k", conversation=7, thread=70 if number > 1 else 0, **more)


def remember(desk: Desk, features: Features) -> int:
    """The tier that a request gets, as the live path does it."""
    tiering = desk.plan(features).tiering
    assert tiering is not None
    desk.health.tiers.keep(tiering.model, features, tiering.tier, desk.clock.now)
    return tiering.tier


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=12))
def test_a_conversation_never_goes_down(sizes: list[int]) -> None:
    desk = Desk(ladder())
    tiers = [remember(desk, turn(size, number)) for number, size in enumerate(sizes, 1)]
    assert all(later >= earlier for earlier, later in pairwise(tiers))


def test_a_first_turn_raises_its_conversation_and_the_reason_says_so() -> None:
    desk = Desk(ladder())
    assert remember(desk, turn(LONG, 1)) == 2
    assert ", as before in this conversation" in desk.plan(turn(SHORT)).reason


def test_a_first_turn_is_held_to_nothing() -> None:
    desk = Desk(ladder())
    raised = desk.plan(turn(SHORT, 1), cost_quality=1.0).tiering
    assert raised is not None
    desk.health.tiers.keep("auto", turn(SHORT, 1), raised.tier, desk.clock.now)
    assert (raised.tier, remember(desk, turn(SHORT, 1)), remember(desk, turn(SHORT))) == (2, 0, 2)


def test_a_later_turn_raises_nobody_who_began_alike() -> None:
    desk = Desk(ladder())
    assert remember(desk, turn(SHORT, 1)) == 0
    assert remember(desk, turn(LONG)) == 2
    assert remember(desk, asked(SHORT, key_name="k", conversation=7, thread=71)) == 0
    assert remember(desk, turn(SHORT, 1)) == 0
    assert remember(desk, turn(SHORT)) == 2


def test_another_key_and_another_model_remember_nothing_of_it() -> None:
    memory = TierMemory()
    memory.keep("auto", turn(LONG), 2, 0.0)
    assert memory.held("auto", turn(SHORT), 0.0) == 2
    assert memory.held("other", turn(SHORT), 0.0) == 0
    assert memory.held("auto", asked(key_name="x", conversation=7, thread=70), 0.0) == 0


def test_a_conversation_is_forgotten_an_hour_after_its_last_turn() -> None:
    memory = TierMemory()
    memory.keep("auto", turn(LONG), 2, 0.0)
    memory.keep("auto", turn(SHORT), 1, 3000.0)
    assert memory.held("auto", turn(SHORT), 6600.0) == 2
    assert memory.held("auto", turn(SHORT), 6601.0) == 0


def test_the_memory_has_an_end() -> None:
    memory = TierMemory()
    for number in range(20_001):
        memory.keep("auto", asked(conversation=number + 1, thread=number + 1), 1, 0.0)
    assert memory.held("auto", asked(conversation=1, thread=1), 0.0) == 0
    assert memory.held("auto", asked(conversation=2, thread=2), 0.0) == 1
    assert len(memory._tiers) == 20_000


# --- who may be asked when an answer is unusable


def stronger(question: int, **more: object) -> list[tuple[str, str]]:
    desk = Desk(ladder())
    plan = desk.plan(asked(question, **more))
    found = desk.planner.stronger(plan, plan.candidates[0], asked(question, **more), Directives(), desk.clock.now, DAY)
    return [(each.name, each.effort) for each in found]


def test_the_tiers_above_are_stronger_each_by_its_best_candidate() -> None:
    assert stronger(SHORT) == [("a/flash", "high"), ("a/pro", "")]
    assert stronger(MIDDLING) == [("a/pro", "")]
    assert stronger(LONG) == []


def test_with_thinking_as_asked_for_the_same_model_is_not_stronger_than_itself() -> None:
    assert stronger(SHORT, own_thinking=True) == [("a/pro", "")]


def test_no_escalation_goes_beyond_a_keys_highest_tier() -> None:
    assert stronger(SHORT, max_tier=2) == [("a/flash", "high")]


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(0, 20))
def test_an_allowance_never_exceeds_a_minutes_worth_and_its_rate(waits: list[float], per_minute: int) -> None:
    allowance, now, given_ = Allowance(per_minute, 0.0), 0.0, 0
    for wait in waits:
        now += wait
        given_ += allowance.take(now)
        assert given_ <= per_minute + now * per_minute / 60 + 1e-6
