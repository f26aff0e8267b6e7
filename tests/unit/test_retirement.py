"""A model that has ended: from that day on its successor is asked, with its own abilities and price, and it is said."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from builders import Desk, info, model, settings, target

from providers.catalogue import EmbeddingCapabilities, lookup
from router.routing.plan import Directives, Features, Plan
from router.settings import load_settings

END = date(2026, 12, 1)
EVE = END - timedelta(days=1)
CATALOGUE = {
    "old": info("old", "9", retires=END, successor="new"),
    "older": info("older", "9", retires=EVE, successor="old"),
    "new": info("new", "2"),
    "lonely": info("lonely", "9", retires=END),
    "a/resold": info("resold", "9", retires=END, successor="new"),
    "resold": info("resold", "9"),
    "vectors": info(
        "vectors", "1", kind="embedding", embedding=EmbeddingCapabilities(), retires=END, successor="vectors-2"
    ),
}


def on(day: date, *names: str, sort: str = "order", feature: Features | None = None) -> Plan:
    desk = Desk(settings(model("chat", *names, sort=sort), catalogue=CATALOGUE))
    return desk.planner.plan(feature or Features(model="chat"), Directives(), desk.clock.now, day)


@pytest.mark.parametrize(
    ("name", "day", "served"),
    [
        ("a/old", EVE, "a/old"),
        ("a/old", END, "a/new"),
        ("a/old", date(2030, 1, 1), "a/new"),
        ("a/older", EVE, "a/old"),
        ("a/older", END, "a/new"),
        ("a/lonely", END, "a/lonely"),
        ("a/nobody-knows", END, "a/nobody-knows"),
    ],
)
def test_from_its_last_day_on_a_model_is_its_successor(name: str, day: date, served: str) -> None:
    plan = on(day, name)
    first = plan.candidates[0]
    assert first.name == served
    assert first.info is lookup(CATALOGUE, "a", first.model) or not first.info.known
    changed = served != name
    assert plan.warnings == ((f"model={name[2:]} is served by {served[2:]}",) if changed else ())
    if served == "a/new":
        assert first.expected_cost_usd == 250 * Decimal(2) / 1_000_000, "at the successor's price"


def test_each_seller_has_its_own_last_day() -> None:
    assert [each.name for each in on(END, "a/resold", "b/resold").candidates] == ["a/new", "b/resold"]


def test_a_successor_that_is_a_target_already_is_asked_once() -> None:
    assert [each.name for each in on(END, "a/old", "a/new").candidates if not each.retry] == ["a/new"]


def test_a_client_that_names_the_model_itself_gets_the_successor_too() -> None:
    desk = Desk(settings(catalogue=CATALOGUE, catalogue_targets={"old": (target("a/old"),)}))
    for name in ("old", "b/old"):
        plan = desk.planner.plan(Features(model=name), Directives(), 0.0, END)
        assert (plan.candidates[0].model, plan.warnings) == ("new", ("model=old is served by new",))


def test_vectors_have_no_successor_behind_the_same_name() -> None:
    wanted = Features(kind="embedding", model="chat", inputs=1)
    assert on(END, "a/vectors", feature=wanted).candidates[0].model == "vectors"


def test_the_shipped_models_that_end_in_december_have_successors_of_known_abilities() -> None:
    shipped = load_settings(Path(__file__).parents[2] / "config" / "turnout.yaml", {"GEMINI_API_KEY": "k"})
    desk = Desk(shipped)
    for asked, served in (("gemini-2.5-pro", "gemini-3.8-flash"), ("gemini-2.5-flash", "gemini-3.5-flash-lite")):
        before, after = (desk.planner.plan(Features(model=asked), Directives(), 0.0, day) for day in (EVE, END))
        assert before.candidates[0].model == asked
        first = after.candidates[0]
        assert (first.model, first.info.family >= 3, first.info.sampling) == (served, True, False)
