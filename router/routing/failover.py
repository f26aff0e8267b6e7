"""Which failures of one upstream are answered by asking another, and whom."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from providers.catalogue import ModelInfo
from providers.errors import (
    AuthenticationError,
    BadResponseError,
    ContentBlockedError,
    ContextTooLongError,
    ModelNotFoundError,
    ProviderError,
    RateLimitedError,
    UnavailableError,
    UnsupportedFieldError,
    UpstreamTimeoutError,
)
from router.routing.plan import Candidate, Features
from router.settings.values import FailoverSettings

_LEAST_WINDOW = 4096  # no model that is still sold holds less

_SWITCHES: tuple[tuple[type[ProviderError], str], ...] = (
    (ContentBlockedError, "content_policy"),
    (ContextTooLongError, "context_length"),
    (UnsupportedFieldError, "capability"),
    (AuthenticationError, "auth"),
    (ModelNotFoundError, "model_missing"),
    (RateLimitedError, "rate_limit"),
    (UnavailableError, "unavailable"),
    (UpstreamTimeoutError, "timeout"),
    (BadResponseError, "bad_response"),
)


class Placed(Protocol):
    """Who may have a place in a plan: its model, and whether health would rather not ask it."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def last_resort(self) -> bool: ...


P = TypeVar("P", bound=Placed)


def fails_over(error: ProviderError, switches: FailoverSettings) -> bool:
    """Whether the next candidate may be asked: as configured, else as the error's class says."""
    for kind, name in _SWITCHES:
        if isinstance(error, kind):
            return bool(getattr(switches, name))
    return error.failover


def roomier(candidates: Iterable[Candidate], failed: Candidate) -> list[Candidate]:
    """Those that may hold a prompt that was too long for `failed`; of a model nobody described no window is known."""
    window = failed.info.context_tokens if failed.info.known else 0
    return [each for each in candidates if each.info.context_tokens > window or not each.info.known]


def with_room(candidates: Sequence[P], places: int, features: Features) -> list[P]:
    """The first of the candidates for so many places, one of them for a larger window if the prompt may need it.

    The length of a prompt is a guess: where it is more than half of every window, the last place is for the first
    candidate that has a larger one.
    """
    kept = list(candidates[:places])
    if len(candidates) > places > 1 and is_tight(kept, features):
        rest = candidates[places:]
        largest = max(each.info.context_tokens for each in kept)
        larger = next((each for each in rest if each.info.context_tokens > largest), None)
        if larger is not None:
            kept[-1] = larger
    return kept


def may_be_tight(features: Features) -> bool:
    """Whether the prompt of a chat request may turn out too long for any model at all."""
    return 2 * features.prompt_tokens >= _LEAST_WINDOW and features.kind == "chat"


def is_tight(candidates: Iterable[Placed], features: Features) -> bool:
    """Whether the prompt of a chat request may turn out too long for all of them that health would ask."""
    tokens = 2 * features.prompt_tokens
    if not may_be_tight(features):
        return False
    return all(tokens > each.info.context_tokens or each.last_resort for each in candidates)
