"""The targets of a model with all that stays the same for a while, looked up and worked out once."""

import math
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from msgspec import Struct

from router.routing.ask import Alike, Ask
from router.routing.cost import Rates, rates_on
from router.routing.health import Health
from router.routing.latency import Length, Pace
from router.routing.output_length import OUTLOOK_S, Outlook
from router.routing.plan import Excluded
from router.routing.resolve import Group, Target
from router.routing.state import TargetState
from router.routing.token_ratio import TokenRatio

_UNWRITTEN = (0.0, 0.0)  # of pictures and vectors no tokens are expected
_MAX_LISTINGS = 1000  # clients may name targets
_MAX_KINDS = 64  # of requests, whose outlooks are good for half a second
_UNSEEN = TokenRatio()
UNKNOWN = Pace(-math.inf, 0.0, 0.0)
_FULL = 1.0  # of `Pace.crowd`


class Row(Struct):
    """A target as it stands before one kind of request.

    `window` is how long a prompt may be that needs no closer look, -1 where every request does; `refusal` why it serves
    none of this kind, if it does not; `state` what is remembered of it, once it was weighed, `tokens` a part of that.
    `length` is that of an answer, `written_pico_usd` what its expected tokens cost, `written_usd` the same; a token of
    the prompt costs `read_pico_usd` or `read_usd` while there are no more than `edge`. `reach` is the less of `window`
    and `edge`.

    `pace` is how quick the target was when a request looked last, if health had nothing against it. While it holds, so
    do `keeps` (see `Option`) and `writing_ms`, what everybody waits for the answer that follows the first token.
    """

    target: Target
    key: tuple[str, str]
    window: int
    refusal: Excluded | None
    state: TargetState | None
    tokens: TokenRatio
    length: Length
    written_pico_usd: int
    read_pico_usd: int
    edge: int
    written_usd: Decimal
    read_usd: Decimal
    reach: int
    pace: Pace
    keeps: bool = False
    writing_ms: float = 0.0

    def stand(self, pace: Pace, group: Group, *, streamed: bool) -> None:
        """Let it be as quick as that before requests for `group`."""
        first_ms, total_ms = group.first_ms if streamed else math.inf, group.total_ms
        full = _FULL if first_ms < math.inf or total_ms < math.inf else math.inf
        self.pace = pace
        self.keeps = (
            pace.usual95_ms <= first_ms
            and pace.crowd <= full
            and pace.usual95_ms + self.length[1] * pace.each95_ms <= total_ms
        )
        self.writing_ms = 0.0 if streamed else self.length[0] * pace.burden_each_ms


class _Kind(Struct, frozen=True):
    """The rows for one kind of request, good from `made` until `until`."""

    made: float
    until: float
    rows: tuple[Row, ...]


class _Listing(Struct, frozen=True):
    """A group's targets on one day, each once, while `Health.forgotten` is the same; their rows by `Ask.alike`."""

    targets: tuple[Target, ...]
    day: date
    forgotten: int
    rates: tuple[Rates, ...]
    kinds: dict[Alike, _Kind]


class Listings:
    """The rows of every group that was asked for lately."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._listings: dict[str, _Listing] = {}

    def rows(self, group: Group, ask: Ask) -> tuple[Row, ...]:
        """The group's targets for such a request."""
        listing, day, now = self._listings.get(group.route), ask.day, ask.now
        if (
            listing is None
            or listing.targets is not group.targets
            or (listing.day is not day and listing.day != day)
            or listing.forgotten != self._health.forgotten
        ):
            if len(self._listings) >= _MAX_LISTINGS:
                self._listings.clear()
            rates = tuple(rates_on(day, target.info) for target in group.targets)
            forgotten = self._health.forgotten
            listing = self._listings[group.route] = _Listing(group.targets, day, forgotten, rates, {})
        kind = listing.kinds.get(ask.alike)
        if kind is None or not kind.made <= now <= kind.until:
            if len(listing.kinds) >= _MAX_KINDS:
                listing.kinds.clear()
            kind = listing.kinds[ask.alike] = self._kind(listing, group.route, ask)
        return kind.rows

    def state(self, row: Row) -> TargetState:
        """What is remembered of the row's target, which is weighed for the first time."""
        target = row.target
        state = row.state = self._health.target(target.provider, target.model, target.info)
        row.tokens = state.tokens
        return state

    def _kind(self, listing: _Listing, route: str, ask: Ask) -> _Kind:
        if ask.features.kind != "chat":  # nothing is to be written
            return _Kind(-math.inf, math.inf, tuple(self._made(listing, None)))
        outlook = self._health.lengths.outlook(route, ask.features, ask.now)
        return _Kind(outlook.made, outlook.made + OUTLOOK_S, tuple(self._made(listing, outlook)))

    def _made(self, listing: _Listing, outlook: Outlook | None) -> Iterator[Row]:
        known, listed = self._health.targets(), set[tuple[str, str]]()
        for target, rates in zip(listing.targets, listing.rates, strict=True):
            if target.key in listed:
                continue
            listed.add(target.key)
            length, most = _UNWRITTEN, target.info.max_output_tokens
            if outlook is not None:
                length = outlook.of(target.model)
                if length[1] > most:
                    length = (min(length[0], float(most)), float(most))
            tokens, state = round(length[0]), known.get(target.key)
            window = target.info.context_tokens if target.chats else -1
            yield Row(
                target,
                target.key,
                window,
                None if outlook is None else target.refusals.get("chat"),
                state,
                _UNSEEN if state is None else state.tokens,
                length,
                tokens * rates.output,
                rates.input,
                rates.edge,
                tokens * rates.output_usd,
                rates.input_usd,
                min(window, rates.edge),
                UNKNOWN,
            )
