"""The planner: who is asked, in which order, who is not and why."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from builders import DAY, Desk, candidate, info, model, prediction, settings, target

from providers.catalogue import ImageCapabilities
from providers.errors import AuthenticationError, ModelNotFoundError, RateLimitedError, UnavailableError
from router.errors import UnknownModelError
from router.routing.limits import Fixed, Gate
from router.routing.plan import Attempt, Directives, Features
from router.routing.planner import AllBlockedError, NoCandidateError
from router.routing.rules import VARIABLES
from router.settings.values import RoutingSettings, RuleSettings, Slo, TierSettings

CHEAP, MIDDLE, DEAR = info("cheap", "1"), info("middle", "2"), info("dear", "4")
CATALOGUE = {each.name: each for each in (CHEAP, MIDDLE, DEAR)}
THREE = ("a/dear", "b/cheap", "c/middle")


def desk(*targets: Any, catalogue: Any = None, **more: Any) -> Desk:
    options = {key: more.pop(key) for key in ("off", "routing", "aliases", "catalogue_targets") if key in more}
    return Desk(settings(model("chat", *(targets or THREE), **more), catalogue=catalogue or CATALOGUE, **options))


def fail(desk: Desk, name: str, error: Any, times: int = 1) -> None:
    found = next(each for each in desk.plan(only=(name,)).candidates)
    for _ in range(times):
        desk.health.admit(found)
        desk.health.record(Attempt(candidate=found, duration_s=0.0, error=error))


def excluded(desk: Desk, features: Features | None = None, **directives: Any) -> dict[str, str]:
    return {entry.name: entry.reason for entry in desk.plan(features, **directives).excluded}


# --- which targets a name stands for

RESOLUTION = [
    ("targets of its own", "chat", "a/dear", ""),
    ("use", "front", "a/dear", "front->chat"),
    ("use of a use", "far", "a/dear", "far->front front->chat"),
    ("alias", "old", "a/dear", "alias old->chat"),
    ("alias with a star", "old-2024", "a/dear", "alias old-2024->chat"),
    ("catalogue name", "cheap", "b/cheap", "direct cheap"),
    ("direct target", "c/middle", "c/middle", "direct c/middle"),
    ("direct target nobody described", "d/new-model", "d/new-model", "direct d/new-model"),
    ("first rule that holds", "auto", "a/dear", "rule 2 of auto->chat"),
    ("no rule holds", "auto-two", "a/dear", "auto-two->chat"),
]


@pytest.mark.parametrize(("name", "first", "path"), [row[1:] for row in RESOLUTION], ids=[row[0] for row in RESOLUTION])
def test_a_name_leads_to_its_targets_and_the_reason_says_how(name: str, first: str, path: str) -> None:
    rules = (RuleSettings(when="prompt_tokens > 100", use="cheap"), RuleSettings(when="tools == 0", use="chat"))
    configured = settings(
        model("chat", "a/dear"),
        model("front", use="chat"),
        model("far", use="front"),
        model("auto", rules=rules, use="cheap"),
        model("auto-two", rules=rules[:1], use="chat"),
        catalogue=CATALOGUE,
        aliases={"old": "chat", "old-*": "chat"},
        catalogue_targets={"cheap": (target("b/cheap"),)},
    )
    found = Desk(configured).plan(Features(model=name))
    assert found.candidates[0].name == first
    assert found.reason.startswith(f"{path}; cost: {first} about " if path else f"cost: {first} about ")


def test_a_rule_sees_the_hour_and_every_documented_variable() -> None:
    for name in VARIABLES:
        getattr(Features(), name)
    rules = (RuleSettings(when="hour_utc >= 22", use="night"),)
    configured = settings(model("chat", "a/cheap", rules=rules, use=None), model("night", "b/cheap"))
    assert Desk(configured).names(Features(model="chat", hour_utc=23)) == ["b/cheap"]
    assert Desk(configured).names(Features(model="chat", hour_utc=9)) == ["a/cheap"]


def test_a_rule_may_choose_the_sort() -> None:
    rules = (RuleSettings(when="tools > 0", use="chat", sort="quality"),)
    best = info("dear", "4", quality=9)
    configured = settings(
        model("chat", "b/cheap", "a/dear"),
        model("auto", rules=rules, use="chat"),
        catalogue={**CATALOGUE, "dear": best},
    )
    assert Desk(configured).names(Features(model="auto"))[0] == "b/cheap"
    assert Desk(configured).names(Features(model="auto", tools=1))[0] == "a/dear"


def test_a_retired_name_is_served_with_a_warning() -> None:
    found = desk(aliases={"gone": "chat"}).plan(Features(model="gone"))
    assert found.warnings == ("model=gone is served by chat",)
    assert found.model == "gone"
    assert desk().plan().warnings == ()


UNKNOWN = [
    "nobody",
    "z/model",
    "a/",
    "/x",
    "a/../up",
    "a/x y",
    "a/x?y=1",
    "a/x#y",
    "a/%2e",
    "a/\u00e9",
    "a/" + "x" * 201,
]


@pytest.mark.parametrize("name", [*UNKNOWN, "CHAT", "chat ", ""])
def test_an_unknown_model_is_a_404(name: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        desk().plan(Features(model=name))
    assert caught.value.status == 404
    assert caught.value.code == "model_not_found"


def test_an_unknown_model_is_echoed_short_and_clean() -> None:
    with pytest.raises(UnknownModelError) as caught:
        desk().plan(Features(model="x\n\u202e" * 100))
    message = caught.value.message
    assert message.isprintable()
    assert len(message) < 150


def test_targets_that_clients_make_up_do_not_fill_the_memory() -> None:
    found = desk("a/cheap")
    for number in range(1100):
        assert found.names(Features(model=f"a/made-up-{number}")) == [f"a/made-up-{number}"]
    resolver = found.planner._resolver
    assert (len(resolver._named), len(resolver._fixed[""])) == (1000, 1000)


def test_a_client_cannot_tell_a_provider_without_a_key_from_none() -> None:
    with pytest.raises(UnknownModelError):
        desk(off=("d",)).plan(Features(model="d/anything"))


def test_nor_after_the_configuration_has_led_there() -> None:
    tiers = (TierSettings(use="d/anything"), TierSettings(use="a/cheap"))
    found = Desk(settings(model("chat", tiers=tiers), off=("d",)))
    assert found.names(Features(model="chat"))[0] == "a/cheap"
    with pytest.raises(UnknownModelError):
        found.plan(Features(model="d/anything"))


@pytest.mark.parametrize("where", ["fallbacks", "use"])
def test_a_provider_without_a_key_takes_nothing_down_with_it(where: str) -> None:
    configured = {
        "fallbacks": (model("chat", "a/cheap", fallbacks=("d/other",)),),
        "use": (model("chat", use="d/other", fallbacks=("a/cheap",)), model("spare", "a/cheap", fallbacks=("chat",))),
    }[where]
    found = Desk(settings(*configured, off=("d",))).plan(Features(model=configured[-1].name))
    assert [each.name for each in found.candidates if not each.retry] == ["a/cheap"]
    assert [(entry.name, entry.reason) for entry in found.excluded] == [("d/other", "provider off: it has no api_key")]


# --- order


def test_cost_sorts_by_price_and_is_the_default() -> None:
    assert desk().names() == ["b/cheap", "c/middle", "a/dear"]


def test_an_unknown_price_comes_last_never_first() -> None:
    catalogue = {**CATALOGUE, "mystery": info("mystery", None)}
    found = desk("a/mystery", "b/dear", catalogue=catalogue)
    assert found.names() == ["b/dear", "a/mystery"]
    assert found.plan().candidates[1].expected_cost_usd is None


def test_an_answer_is_priced_no_longer_than_the_model_can_make_it() -> None:
    brief = {"m": info("m", "1", max_output_tokens=64)}
    plan = Desk(settings(model("chat", "a/m"), catalogue=brief)).plan(Features(model="chat", max_tokens=100))
    assert plan.candidates[0].expected_cost_usd == Decimal(64) / 1_000_000


def test_quality_sorts_by_rank_then_price() -> None:
    ranked = {"x": info("x", "1", quality=5), "y": info("y", "9", quality=7), "z": info("z", "3", quality=7)}
    assert desk("a/x", "b/y", "c/z", catalogue=ranked, sort="quality").names() == ["c/z", "b/y", "a/x"]


def test_order_keeps_the_configuration() -> None:
    assert desk(sort="order").names() == list(THREE)


def test_latency_counts_the_first_token_of_a_stream_and_the_whole_of_an_answer() -> None:
    quick_start = info("start", "1", ttft_ms=100.0, tpot_ms=50.0)
    quick_end = info("end", "1", ttft_ms=900.0, tpot_ms=1.0)
    found = desk("a/start", "b/end", catalogue={"start": quick_start, "end": quick_end}, sort="latency")
    assert found.names(Features(model="chat", stream=True))[0] == "a/start"
    assert found.names(Features(model="chat"))[0] == "b/end"


def test_the_caller_may_choose_the_sort() -> None:
    assert desk(sort="order").names(sort="cost")[0] == "b/cheap"


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("sort", ["weighted", "cost"])
def test_weights_are_kept_within_five_percent(sort: str, share: float) -> None:
    targets = (target("a/cheap", weight=share), target("b/cheap", weight=1 - share))
    found = desk(*targets, sort=sort)
    draws = 2000
    firsts = Counter(found.names(Features(model="chat", affinity=(i + 0.5) / draws))[0] for i in range(draws))
    assert abs(firsts["a/cheap"] / draws - share) < 0.05


def test_a_weighted_plan_still_lists_the_others_for_failover() -> None:
    targets = [target(name, weight=weight) for name, weight in zip(THREE, (3.0, 2.0, 1.0), strict=True)]
    for step in range(50):
        assert sorted(desk(*targets, sort="weighted").names(Features(model="chat", affinity=step / 50))) == sorted(
            THREE
        )


@pytest.mark.parametrize("sort", ["weighted", "cost"])
def test_weight_zero_is_never_first_but_still_a_failover(sort: str) -> None:
    found = desk(target("a/cheap", weight=0.0), target("b/cheap", weight=2.0), sort=sort)
    for step in range(20):
        assert found.names(Features(model="chat", affinity=step / 20)) == ["b/cheap", "a/cheap"]
    assert desk(target("a/cheap", weight=0.0), sort=sort).names() == ["a/cheap"]


def test_weights_decide_only_among_equal_costs() -> None:
    found = desk(target("a/dear", weight=100.0), target("b/cheap", weight=1.0))
    assert found.names() == ["b/cheap", "a/dear"]


def test_the_cheapest_that_keeps_the_slo_goes_first_and_the_late_ones_follow_by_speed() -> None:
    catalogue = {
        "slow": info("slow", "1", ttft_ms=5000.0),
        "slower": info("slower", "0.5", ttft_ms=9000.0),
        "quick": info("quick", "4", ttft_ms=100.0),
        "brisk": info("brisk", "5", ttft_ms=100.0),
    }
    found = desk(
        "a/slow", "b/slower", "c/brisk", "d/quick",
        catalogue=catalogue, slo=Slo(ttft_p95_ms=1500.0), routing=RoutingSettings(attempts=4),
    )  # fmt: skip
    assert found.names(Features(model="chat", stream=True)) == ["d/quick", "c/brisk", "a/slow", "b/slower"]
    assert found.names(Features(model="chat"))[0] == "b/slower"  # a promise about first tokens is one about streams


def test_a_target_listed_twice_is_asked_once() -> None:
    assert desk("a/cheap", "a/cheap", "b/dear").names() == ["a/cheap", "b/dear"]


# --- what the caller may say


def test_only_ignore_and_order_name_providers_models_or_targets() -> None:
    assert desk().names(only=("a", "middle")) == ["c/middle", "a/dear"]
    assert desk().names(ignore=("b/cheap",)) == ["c/middle", "a/dear"]
    assert desk().names(order=("a", "c/middle")) == ["a/dear", "c/middle", "b/cheap"]
    assert excluded(desk(), only=("a",)) == dict.fromkeys(("b/cheap", "c/middle"), "not among the caller's `only`")
    assert excluded(desk(), ignore=("a",)) == {"a/dear": "among the caller's `ignore`"}


def test_a_cost_limit_excludes_the_dear_and_the_unknown() -> None:
    catalogue = {**CATALOGUE, "mystery": info("mystery", None)}
    found = desk(*THREE, "d/mystery", catalogue=catalogue)
    limit = found.plan().candidates[1].expected_cost_usd
    assert limit is not None
    assert found.names(max_cost_usd=limit) == ["b/cheap", "c/middle"]
    reasons = excluded(found, max_cost_usd=limit)
    assert reasons["d/mystery"] == "its price is unknown, so max_cost_usd cannot be kept"
    assert "above max_cost_usd" in reasons["a/dear"]


def test_an_impossible_cost_limit_is_a_400_that_names_the_nearest() -> None:
    with pytest.raises(NoCandidateError) as caught:
        desk().plan(max_cost_usd=Decimal("0.00000001"))
    error = caught.value
    assert (error.status_code, error.param, error.code) == (400, "router.max_cost_usd", "no_candidate")
    assert "Nearest feasible: b/cheap at about $0.000250" in error.message
    assert len(error.excluded) == 3


@pytest.mark.parametrize("stream", [False, True])
def test_an_impossible_latency_limit_is_a_400_that_names_the_nearest(stream: bool) -> None:
    catalogue = {
        "start": info("start", "1", ttft_ms=100.0, tpot_ms=50.0),
        "end": info("end", "1", ttft_ms=900.0, tpot_ms=1.0),
    }
    found = desk("a/start", "b/end", catalogue=catalogue)
    nearest = found.plan(Features(model="chat", stream=stream), sort="latency").candidates[0]
    wait = nearest.prediction.ttft_ms if stream else nearest.prediction.total_ms
    with pytest.raises(NoCandidateError) as caught:
        found.plan(Features(model="chat", stream=stream), max_latency_ms=1.0)
    assert (caught.value.status_code, caught.value.param) == (400, "router.max_latency_ms")
    assert f"Nearest feasible: {nearest.name} at about {wait:.0f} ms" in caught.value.message


BOTH = {"slow": info("slow", "1", ttft_ms=60_000.0), "dear": info("dear", "1000", ttft_ms=10.0)}


@pytest.mark.parametrize(
    ("usd", "ms", "nearest", "field"),
    [
        ("0.01", 10_000.0, "a/slow at about 62000 ms", "max_latency_ms"),
        ("0.2", 10_000.0, "b/dear at about $0.250000", "max_cost_usd"),
        ("0.0001", 10_000.0, "b/dear at about $0.250000", "max_cost_usd"),  # the other one breaks both
        ("0.0001", 1.0, "a/slow at about $0.000250 and 62000 ms", "max_cost_usd"),
        ("0", 10_000.0, "b/dear at about $0.250000", "max_cost_usd"),
    ],
)
def test_the_nearest_is_the_one_whose_limit_would_have_to_give_way_least(
    usd: str, ms: float, nearest: str, field: str
) -> None:
    with pytest.raises(NoCandidateError) as caught:
        desk("a/slow", "b/dear", catalogue=BOTH).plan(max_cost_usd=Decimal(usd), max_latency_ms=ms)
    assert f"Nearest feasible: {nearest}" in caught.value.message
    assert caught.value.param == f"router.{field}"


def test_what_breaks_both_limits_says_so() -> None:
    found = desk("a/slow", "b/dear", "c/fine", catalogue=BOTH | {"fine": info("fine", "0.1")})
    assert excluded(found, max_cost_usd=Decimal("0.0001"), max_latency_ms=5000.0) == {
        "a/slow": "expected to cost $0.000250, above max_cost_usd $0.000100"
        " and expected to take 62000 ms, above max_latency_ms 5000",
        "b/dear": "expected to cost $0.250000, above max_cost_usd $0.000100",
    }


@pytest.mark.parametrize("where", ["a target", "a fallback", "the caller's fallback"])
def test_limits_hold_wherever_a_target_comes_from(where: str) -> None:
    targets = ("b/cheap", "a/dear") if where == "a target" else ("b/cheap",)
    chat = model("chat", *targets, fallbacks=("more",) if where == "a fallback" else ())
    found = Desk(settings(chat, model("more", "a/dear"), catalogue=CATALOGUE))
    asked: dict[str, Any] = {"fallbacks": ("more",)} if where == "the caller's fallback" else {}
    assert found.names(**asked) == ["b/cheap", "a/dear"]
    assert found.names(**asked, max_cost_usd=Decimal("0.0005")) == ["b/cheap"]
    for _ in range(5):
        fail(found, "b/cheap", UnavailableError("down"))
    assert found.names(**asked, max_cost_usd=Decimal("0.0005")) == ["b/cheap"]  # least bad, but within the limit


def test_a_buffered_stream_is_judged_by_its_whole_answer() -> None:
    catalogue = {
        "start": info("start", "1", ttft_ms=100.0, tpot_ms=50.0),
        "end": info("end", "1", ttft_ms=900.0, tpot_ms=1.0),
    }
    found, stream = desk("a/start", "b/end", catalogue=catalogue), Features(model="chat", stream=True)
    assert found.names(stream, sort="latency") == ["a/start", "b/end"]
    assert found.names(stream, sort="latency", stream_mode="buffered") == ["b/end", "a/start"]
    assert found.names(stream, max_latency_ms=5000.0, stream_mode="buffered") == ["b/end"]


def test_a_deadline_can_be_shortened_but_not_stretched() -> None:
    assert desk().plan(deadline_ms=1500.0).deadline_s == 1.5
    assert desk().plan(deadline_ms=1e9).deadline_s == RoutingSettings().deadline_s
    assert desk().plan().deadline_s == RoutingSettings().deadline_s


def test_the_stream_mode_is_the_callers_or_the_configurations() -> None:
    assert desk().plan(stream_mode="repair").stream_mode == "repair"
    assert desk().plan().stream_mode == RoutingSettings().stream_mode


def test_a_model_chooses_the_stream_mode_and_the_first_on_the_way_wins() -> None:
    routing = RoutingSettings(stream_mode="repair")
    models = (
        model("chat", "a/m", stream_mode="buffered"),
        model("led", use="chat"),
        model("own", use="chat", stream_mode="live"),
        model("plain", "a/m", fallbacks=("chat",)),
    )
    found = Desk(settings(*models, routing=routing))
    chosen = {each.name: found.plan(Features(model=each.name)).stream_mode for each in models}
    assert chosen == {"chat": "buffered", "led": "buffered", "own": "live", "plain": "repair"}
    assert found.plan(Features(model="chat"), stream_mode="live").stream_mode == "live"


def test_a_buffered_stream_may_take_as_long_as_a_whole_answer() -> None:
    found = Desk(settings(model("chat", "a/m"), routing=RoutingSettings(deadline_s=100.0, ttft_timeout_s=10.0)))
    whole, streamed = Features(model="chat"), Features(model="chat", stream=True)
    waits = {mode: found.plan(streamed, stream_mode=mode) for mode in ("live", "repair", "buffered")}
    (who,) = {each.candidates[0].name for each in waits.values()}
    assert who == "a/m"
    assert {mode: each.timeout_s(each.candidates[0]) for mode, each in waits.items()} == {
        "live": 10.0, "repair": 10.0, "buffered": 100.0,
    }  # fmt: skip
    assert waits["buffered"].first_timeout_s(waits["buffered"].candidates[0]) == 10.0
    plain = found.plan(whole, stream_mode="buffered")
    assert plain.timeout_s(plain.candidates[0]) == 100.0


# --- what a model can do

PICTURES = ImageCapabilities(references=2, mask=False, transparent=False, max_n=4)
EDITOR = ImageCapabilities(references=1, mask=True, edits_only=True)
CAPABILITIES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("context", {"context_tokens": 1000}, {"prompt_tokens": 1001}, "holds 1000 tokens, the prompt has about 1001"),
    ("context fits", {"context_tokens": 1000}, {"prompt_tokens": 1000}, ""),
    ("tools", {"tools": False}, {"tools": 1}, "has no tools"),
    ("json schema", {"json_schema": False}, {"json_schema": True}, "has no JSON schema output"),
    (
        "tools with json",
        {"tools_with_json": False},
        {"json_schema": True, "tools": 1},
        "cannot combine tools with a JSON schema",
    ),
    ("json without tools", {"tools_with_json": False}, {"json_schema": True}, ""),
    ("images in", {"inputs": frozenset({"text"})}, {"images": 1}, "takes no image input"),
    ("audio in", {"inputs": frozenset({"text"})}, {"audio": 1}, "takes no audio input"),
    ("files in", {"inputs": frozenset({"text"})}, {"files": 1}, "takes no file input"),
    ("pictures out", {}, {"image_out": True}, "makes no pictures"),
    ("audio out", {}, {"audio_out": True}, "makes no audio"),
    ("text of a model that speaks", {"outputs": frozenset({"audio"})}, {}, "speaks only (modalities: ['audio'])"),
    ("image model for chat", {"kind": "image", "outputs": frozenset({"image"})}, {}, "does not chat"),
    (
        "image model that also writes",
        {"kind": "image", "outputs": frozenset({"text", "image"})},
        {"image_out": True},
        "",
    ),
    ("chat model for pictures", {}, {"kind": "image"}, "is a chat model"),
    ("unknown model for pictures", {"known": False}, {"kind": "image"}, ""),
    ("mask", {"kind": "image", "image": PICTURES}, {"kind": "image", "mask": True}, "takes no mask"),
    (
        "references",
        {"kind": "image", "image": PICTURES},
        {"kind": "image", "edit": True, "images": 3},
        "takes at most 2 reference pictures",
    ),
    ("references fit", {"kind": "image", "image": PICTURES}, {"kind": "image", "edit": True, "images": 2}, ""),
    (
        "transparent",
        {"kind": "image", "image": PICTURES},
        {"kind": "image", "transparent": True},
        "has no transparent background",
    ),
    ("too many", {"kind": "image", "image": PICTURES}, {"kind": "image", "n": 5}, "makes at most 4 pictures a request"),
    ("no pictures at all", {"kind": "image"}, {"kind": "image"}, "makes no pictures"),
    ("an editor asked to draw", {"kind": "image", "image": EDITOR}, {"kind": "image"}, "only edits pictures"),
    (
        "an editor asked to edit",
        {"kind": "image", "image": EDITOR},
        {"kind": "image", "edit": True, "images": 1, "mask": True},
        "",
    ),
]
FIELDS = {  # of the request, where one is what the model has no place for
    "takes no mask": "mask",
    "takes at most 2 reference pictures": "image",
    "has no transparent background": "background",
    "makes at most 4 pictures a request": "n",
    "only edits pictures": "image",
}


@pytest.mark.parametrize(
    ("able", "asked", "reason"), [row[1:] for row in CAPABILITIES], ids=[row[0] for row in CAPABILITIES]
)
def test_a_model_that_cannot_is_excluded_with_what_it_lacks(
    able: dict[str, Any], asked: dict[str, Any], reason: str
) -> None:
    found = desk("a/limited", catalogue={"limited": info("limited", **able)})
    features = Features(**{"model": "chat", **asked})
    if not reason:
        assert found.names(features) == ["a/limited"]
        return
    with pytest.raises(NoCandidateError) as caught:
        found.plan(features)
    param = FIELDS.get(reason, "model")
    code = "unsupported_parameter" if reason in FIELDS else "no_candidate"
    assert (caught.value.status_code, caught.value.param, caught.value.code) == (400, param, code)
    assert [entry.reason for entry in caught.value.excluded] == [reason]
    assert f"a/limited: {reason}" in caught.value.message


def test_a_field_that_a_limit_and_not_the_models_ruled_out_is_not_blamed() -> None:
    painter = info("painter", kind="image", image=PICTURES)
    with pytest.raises(NoCandidateError) as caught:
        desk("a/painter", catalogue={"painter": painter}).plan(Features(model="chat", kind="image"), only=("b",))
    assert (caught.value.param, caught.value.code) == ("model", "no_candidate")


def test_without_any_configured_provider_it_is_a_503() -> None:
    with pytest.raises(NoCandidateError) as caught:
        desk(off=("a", "b", "c")).plan()
    assert (caught.value.status_code, caught.value.code) == (503, "upstream_unavailable")


# --- fallbacks, attempts, retries


def test_fallbacks_come_after_every_target_of_the_model() -> None:
    configured = settings(model("chat", "a/dear", fallbacks=("spare",)), model("spare", "b/cheap"), catalogue=CATALOGUE)
    found = Desk(configured).plan()
    assert [(each.name, each.route) for each in found.candidates] == [("a/dear", "chat"), ("b/cheap", "spare")]


def test_targets_held_back_leave_as_many_to_ask_as_a_full_look_finds() -> None:
    configured = settings(
        model("chat", "a/dear", fallbacks=("spare",)),
        model("spare", "b/cheap", "c/middle", sort="order"),
        catalogue=CATALOGUE,
        routing=RoutingSettings(attempts=2),
    )
    found = Desk(configured)
    fail(found, "a/dear", UnavailableError("down"), 5)
    full = found.planner.plan(Features(model="chat"), Directives(), found.clock.now, DAY, full=True)
    assert [each.name for each in full.candidates] == ["b/cheap", "c/middle"]
    assert found.plan().candidates == full.candidates


def test_the_callers_fallbacks_come_before_the_models_own() -> None:
    configured = settings(model("chat", "a/dear", fallbacks=("b/cheap",)), catalogue=CATALOGUE)
    assert Desk(configured).names(fallbacks=("c/middle",)) == ["a/dear", "c/middle", "b/cheap"]


def test_without_fallbacks_only_the_best_is_asked() -> None:
    configured = settings(model("chat", "a/dear", "b/cheap", fallbacks=("c/middle",)), catalogue=CATALOGUE)
    assert Desk(configured).names(allow_fallbacks=False) == ["b/cheap"]


def test_the_reason_says_when_a_fallback_serves() -> None:
    configured = settings(
        model("chat", "a/small", fallbacks=("spare",)),
        model("spare", "b/cheap"),
        catalogue={**CATALOGUE, "small": info("small", context_tokens=10)},
    )
    found = Desk(configured).plan(Features(model="chat", prompt_tokens=100))
    assert found.reason.startswith("fallback spare; cost: b/cheap about $")


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_plan_has_at_most_the_configured_attempts(attempts: int) -> None:
    assert len(desk(routing=RoutingSettings(attempts=attempts)).plan().candidates) == attempts


def test_a_sole_candidate_is_listed_twice_for_chat_and_once_for_pictures() -> None:
    chat = desk("a/cheap").plan()
    assert [(each.name, each.retry) for each in chat.candidates] == [("a/cheap", False), ("a/cheap", True)]
    painter = info("painter", kind="image", image=ImageCapabilities())
    picture = desk("a/painter", catalogue={"painter": painter}).plan(Features(model="chat", kind="image"))
    assert [each.name for each in picture.candidates] == ["a/painter"]
    assert len(desk("a/cheap", routing=RoutingSettings(attempts=1)).plan().candidates) == 1


# --- what health has learned


def test_a_rate_limited_target_is_excluded_for_as_long_as_it_asked() -> None:
    found = desk()
    fail(found, "b/cheap", RateLimitedError("slow down", retry_after_s=7.0))
    assert found.names() == ["c/middle", "a/dear"]
    assert excluded(found) == {"b/cheap": "rate limited for 7.0 s"}
    found.clock.advance(7.0)
    assert found.names()[0] == "b/cheap"


def test_when_all_are_rate_limited_the_error_knows_the_true_wait() -> None:
    found = desk()
    for name, wait in (("a/dear", 90.0), ("b/cheap", 12.5), ("c/middle", 40.0)):
        fail(found, name, RateLimitedError("slow down", retry_after_s=wait))
    found.clock.advance(0.5)
    with pytest.raises(AllBlockedError) as caught:
        found.plan()
    assert caught.value.retry_after_s == 12.0
    assert (caught.value.status, caught.value.code) == (429, "rate_limit_exceeded")
    assert len(caught.value.excluded) == 3


def test_an_open_breaker_excludes_with_its_reason() -> None:
    found = desk()
    fail(found, "b/cheap", UnavailableError("down"), times=5)
    assert found.names() == ["c/middle", "a/dear"]
    assert excluded(found) == {"b/cheap": "circuit breaker open"}


def test_a_half_open_target_is_tried_again() -> None:
    found = desk()
    fail(found, "b/cheap", UnavailableError("down"), times=5)
    found.clock.advance(6.0)
    assert found.plan().candidates[0].reason == "circuit breaker half-open"
    assert found.names()[0] == "b/cheap"


def test_the_last_candidate_is_never_shut_out() -> None:
    found = desk("a/cheap")
    fail(found, "a/cheap", UnavailableError("down"), times=5)
    plan = found.plan()
    assert plan.candidates[0].last_resort
    assert plan.warnings == ("health=last resort",)


def test_the_least_bad_goes_last_resort_first() -> None:
    found = desk("a/cheap", "b/middle", "c/dear")
    fail(found, "a/cheap", ModelNotFoundError("no such model"))
    fail(found, "c/dear", UnavailableError("down"), times=5)
    fail(found, "b/middle", UnavailableError("down"), times=5)
    assert found.names() == ["b/middle"]
    assert set(excluded(found)) == {"a/cheap", "c/dear"}


def test_a_refused_key_takes_every_target_of_the_provider_out() -> None:
    found = desk("a/cheap", "a/middle", "b/dear")
    fail(found, "a/cheap", AuthenticationError("bad key"))
    assert found.names() == ["b/dear"]
    assert excluded(found) == dict.fromkeys(("a/cheap", "a/middle"), "our key was refused")


def test_a_refused_key_takes_out_at_once_what_was_just_planned() -> None:
    found = desk("a/cheap", "a/middle", "b/dear")
    assert found.names() == ["a/cheap", "a/middle", "b/dear"]
    fail(found, "a/cheap", AuthenticationError("bad key"))
    assert found.names() == ["b/dear"], "a/middle itself was not asked, and no time has passed"


def test_streams_that_break_take_a_target_out_at_once() -> None:
    found = desk("a/cheap", "b/dear")
    candidate = found.plan().candidates[0]
    for _ in range(5):
        found.plan()
        found.health.interrupted(candidate, UnavailableError("broke off"))
    assert found.names() == ["b/dear"]
    assert excluded(found) == {"a/cheap": "circuit breaker open"}


def test_equal_requests_get_equal_plans_so_a_dry_run_tells_the_truth() -> None:
    targets = [target(name, weight=weight) for name, weight in zip(THREE, (3.0, 2.0, 1.0), strict=True)]
    found = desk(*targets, sort="weighted")
    for step in range(20):
        features = Features(model="chat", affinity=step / 20)
        assert found.plan(features) == found.plan(features)


def test_planning_changes_nothing() -> None:
    found = desk()
    fail(found, "b/cheap", UnavailableError("down"), times=5)
    found.clock.advance(6.0)
    before = found.plan()
    for _ in range(10):
        assert found.plan() == before


# --- how long one attempt may take


def patience(found: Desk, **asked: object) -> float:
    """How long the first candidate may take."""
    plan = found.plan(Features(model="chat", **asked))  # type: ignore[arg-type]
    return plan.timeout_s(plan.candidates[0])


def test_a_streams_first_token_has_less_time_than_a_whole_answer() -> None:
    found = desk("a/cheap")
    assert patience(found, stream=True) == 10.0
    assert patience(found) == RoutingSettings().deadline_s
    assert patience(desk(target("a/cheap", timeout_s=3.0)), stream=True) == 3.0


def test_a_slow_starter_gets_more_time_but_not_without_end() -> None:
    slow = desk("a/slow", catalogue={"slow": info("slow", ttft_ms=4000.0)})
    slowest = desk("a/slow", catalogue={"slow": info("slow", ttft_ms=90_000.0)})
    assert 10.0 < patience(slow, stream=True) < 60.0
    assert patience(slowest, stream=True) == 60.0


def test_an_answer_that_must_be_short_gets_less_time() -> None:
    found = desk("a/slow", catalogue={"slow": info("slow", tpot_ms=100.0)})
    assert patience(found, max_tokens=10) == 30.0
    assert 30.0 < patience(found, max_tokens=200) < RoutingSettings().deadline_s
    assert patience(found, max_tokens=100_000) == RoutingSettings().deadline_s


def test_a_plan_shows_what_it_predicted_for_those_it_left_out() -> None:
    found = desk()
    entry = found.plan(max_cost_usd=Decimal("0.0006")).excluded[0]
    assert entry.name == "a/dear"
    assert entry.expected_cost_usd == Decimal("0.001")
    assert entry.prediction is not None
    assert entry.prediction != prediction()


def crowded(name: str, desk: Desk) -> None:
    """Let this target's one place be taken."""
    provider, _, model_name = name.partition("/")
    state = desk.health.target(provider, model_name, info(model_name))
    state.gates = (Gate(Fixed(1), held=1),)
    state.note()


def test_a_full_target_comes_last_and_fallbacks_before_it() -> None:
    models = model("chat", "a/m", "b/m", sort="order", fallbacks=("spare",)), model("spare", "c/m")
    desk = Desk(settings(*models))
    assert desk.names() == ["a/m", "b/m", "c/m"]
    crowded("a/m", desk)
    assert desk.names() == ["b/m", "c/m", "a/m"]
    last = desk.plan().candidates[-1]
    assert (last.full, last.reason) == (True, "at its concurrency limit")


def test_when_all_are_full_the_plan_is_what_it_would_be_with_room() -> None:
    desk = Desk(settings(model("chat", "a/m", "b/m", sort="order")))
    for name in ("a/m", "b/m"):
        crowded(name, desk)
    assert desk.names() == ["a/m", "b/m"]


def test_a_full_target_stays_what_an_open_breaker_made_of_it() -> None:
    desk = Desk(settings(model("chat", "a/m", "b/m", sort="order")))
    for _ in range(5):
        desk.health.admit(candidate("a/m"))
        desk.health.record(Attempt(candidate=candidate("a/m"), duration_s=0.0, error=UnavailableError("down")))
    crowded("a/m", desk)
    assert desk.names() == ["b/m"]
