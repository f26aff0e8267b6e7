"""Which target served a conversation last, and how much of its next prompt that target's cache is likely to hold.

Providers keep a prompt for some minutes and read it again at a tenth of the price. Leaving the target throws that away:
what its cache probably holds makes it cheaper for this conversation than for any other.
"""

from msgspec import Struct

from providers.types import Usage

_CACHED_S = 300.0  # what providers keep unasked, about
_REMEMBERED_S = 3600.0
_LEAST_TOKENS = 1024  # shorter beginnings are not kept by any of them
_MAX_CONVERSATIONS = 10_000
_MEMORY = 0.98  # of a sample by the next one: about the last fifty count
_PRIOR_HITS, _PRIOR_TURNS = 1.0, 2.0  # half of what could be cached


class Last(Struct, frozen=True, gc=False):
    """Who served a conversation last (`key`: provider and model), when, and how many tokens its prompt had."""

    key: tuple[str, str]
    at: float
    prompt_tokens: int


class CacheHits:
    """Of one target: the share of repeated beginnings that it read from its cache."""

    __slots__ = ("_hits", "_turns")

    def __init__(self) -> None:
        self._hits, self._turns = _PRIOR_HITS, _PRIOR_TURNS

    @property
    def share(self) -> float:
        return self._hits / self._turns

    def observe(self, share: float) -> None:
        self._hits = self._hits * _MEMORY + share
        self._turns = self._turns * _MEMORY + 1.0

    def expected(self, last: Last, prompt_tokens: int, now: float) -> int:
        """How many tokens of the next prompt it will read from its cache, if it served the `last` one."""
        repeated = _repeated(last, prompt_tokens, now)
        return round(repeated * self.share) if repeated else 0


class Conversations:
    """The last target of each conversation, the latest ten thousand of them, for an hour."""

    def __init__(self) -> None:
        self._last: dict[int, Last] = {}  # the one that was served longest ago first

    def last(self, conversation: int, now: float) -> Last | None:
        found = self._last.get(conversation)
        return found if found is not None and now - found.at <= _REMEMBERED_S else None

    def served(self, conversation: int, key: tuple[str, str], hits: CacheHits, usage: Usage, now: float) -> None:
        """Another answer of a conversation; tells the target's `hits` when it might have read from its cache."""
        last = self._last.pop(conversation, None)
        if last is not None and last.key == key:
            repeated = _repeated(last, usage.prompt_tokens, now)
            if repeated:
                hits.observe(min(1.0, usage.cached_tokens / repeated))
        elif len(self._last) >= _MAX_CONVERSATIONS:
            del self._last[next(iter(self._last))]
        self._last[conversation] = Last(key, now, usage.prompt_tokens)


def _repeated(last: Last, prompt_tokens: int, now: float) -> int:
    """Tokens that both prompts begin with and a cache may still hold."""
    repeated = min(last.prompt_tokens, prompt_tokens)
    return repeated if repeated >= _LEAST_TOKENS and now - last.at <= _CACHED_S else 0
