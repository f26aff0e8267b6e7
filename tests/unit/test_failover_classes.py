"""Which failures go to the next candidate, as configured, and where a prompt goes that was too long."""

import time
from typing import Any

import msgspec
import pytest
from builders import DAY, Desk, candidate, info, model, plan, settings

from providers.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ContentBlockedError,
    ContextTooLongError,
    ContinuationError,
    ModelNotFoundError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from router.routing.dispatch import AllAttemptsFailedError, dispatch
from router.routing.failover import fails_over
from router.routing.health import Health
from router.routing.plan import Candidate, Directives, Features, Plan
from router.settings.values import FailoverSettings, RoutingSettings

SWITCHED = [
    ("content_policy", ContentBlockedError),
    ("context_length", ContextTooLongError),
    ("capability", UnsupportedFieldError),
    ("auth", AuthenticationError),
    ("model_missing", ModelNotFoundError),
    ("rate_limit", RateLimitedError),
    ("rate_limit", QuotaExhaustedError),
    ("unavailable", UnavailableError),
    ("timeout", UpstreamTimeoutError),
    ("bad_response", BadResponseError),
]
SMALL = candidate("a/small", info=info(context_tokens=8000))
OTHER = candidate("b/small", info=info(context_tokens=8000))
LARGE = candidate("c/large", info=info(context_tokens=200_000))
MADE_UP = candidate("d/nobody-knows", info=info(known=False))


async def ask(found: Plan, errors: dict[str, ProviderError]) -> list[str]:
    """Who is asked, in order; who has no error answers."""
    asked: list[str] = []

    async def call(who: Candidate) -> str:
        asked.append(who.name)
        if who.name in errors:
            raise errors[who.name]
        return "hello"

    try:
        await dispatch(found, call, Health(time.monotonic), [])
    except (ProviderError, AllAttemptsFailedError) as exc:
        asked.append(type(exc).__name__)
    return asked


@pytest.mark.parametrize(("switch", "kind"), SWITCHED, ids=lambda each: getattr(each, "__name__", each))
async def test_each_class_of_failure_goes_on_or_stops_as_configured(switch: str, kind: type[ProviderError]) -> None:
    usual = FailoverSettings()
    for on in (True, False):
        found = plan(SMALL, LARGE, failover=msgspec.structs.replace(usual, **{switch: on}))
        expected = ["a/small", "c/large"] if on else ["a/small", kind.__name__]
        assert await ask(found, {"a/small": kind("x")}) == expected


def test_unless_configured_every_class_does_what_it_says_itself() -> None:
    for _, kind in SWITCHED:
        assert fails_over(kind("x"), FailoverSettings()) is kind.failover
    assert not fails_over(BadRequestError("x"), FailoverSettings())
    assert fails_over(ContinuationError("x"), FailoverSettings(bad_response=False))


def test_every_switch_is_one_of_a_class() -> None:
    assert {switch for switch, _ in SWITCHED} == set(FailoverSettings.__struct_fields__)


async def test_a_plan_carries_what_is_configured() -> None:
    routing = RoutingSettings(failover=FailoverSettings(content_policy=True))
    found = Desk(settings(model("chat", "a/m", "b/m"), catalogue={"m": info()}, routing=routing)).plan()
    assert await ask(found, {"a/m": ContentBlockedError("x")}) == ["a/m", "b/m"]


# --- prompts that were too long

TOO_LONG = ContextTooLongError("x")


@pytest.mark.parametrize(
    ("candidates", "asked"),
    [
        ((SMALL, OTHER, LARGE), ["a/small", "c/large"]),
        ((SMALL, OTHER), ["a/small", "AllAttemptsFailedError"]),
        ((SMALL, MADE_UP), ["a/small", "d/nobody-knows"]),
        ((MADE_UP, SMALL), ["d/nobody-knows", "a/small"]),
        ((LARGE, SMALL), ["c/large", "AllAttemptsFailedError"]),
    ],
)
async def test_only_a_larger_window_is_asked_after_one_that_was_too_small(
    candidates: tuple[Candidate, ...], asked: list[str]
) -> None:
    assert await ask(plan(*candidates), {candidates[0].name: TOO_LONG}) == asked


async def test_the_client_is_told_that_the_prompt_was_too_long() -> None:
    async def call(who: Candidate) -> str:
        raise TOO_LONG

    with pytest.raises(AllAttemptsFailedError) as caught:
        await dispatch(plan(SMALL, OTHER), call, Health(time.monotonic), [])
    assert caught.value.last is TOO_LONG


CATALOGUE = {
    "s": info("s", "1", context_tokens=10_000),
    "t": info("t", "2", context_tokens=10_000),
    "u": info("u", "3", context_tokens=10_000),
    "l": info("l", "9", context_tokens=1_000_000),
}


def desk(*names: str, fallbacks: tuple[str, ...] = (), **more: Any) -> Desk:
    return Desk(
        settings(model("chat", *names, fallbacks=fallbacks, **more), model("large", "d/l"), catalogue=CATALOGUE)
    )


@pytest.mark.parametrize(("tokens", "last"), [(4000, "c/u"), (6000, "d/l")])
@pytest.mark.parametrize("sort", ["cost", "order"])
@pytest.mark.parametrize("where", ["target", "fallback"])
def test_a_prompt_that_may_be_too_long_has_a_larger_window_in_its_plan(
    tokens: int, last: str, sort: str, where: str
) -> None:
    names, fallbacks = ("a/s", "b/t", "c/u"), ("large",)
    found = desk(*names, fallbacks=fallbacks, sort=sort) if where == "fallback" else desk(*names, "d/l", sort=sort)
    features = Features(model="chat", prompt_tokens=tokens)
    assert found.names(features) == ["a/s", "b/t", last]
    full = found.planner.plan(features, Directives(), found.clock.now, DAY, full=True)
    assert [each.name for each in full.candidates] == ["a/s", "b/t", last]


def test_with_one_attempt_the_best_is_asked_whatever_its_window() -> None:
    found = desk("a/s", "d/l")
    assert found.names(Features(model="chat", prompt_tokens=6000), allow_fallbacks=False) == ["a/s"]
