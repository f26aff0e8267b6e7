"""The targets of a model with all that stays the same for a while, looked up and worked out once."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from msgspec import Struct

from router.routing.cost import Rates, rates_on
from router.routing.health import Health
from router.routing.latency import Length
from router.routing.output_length import Outlook
from router.routing.plan import Excluded
from router.routing.resolve import Group, Target
from router.routing.state import TargetState

_UNWRITTEN = (0.0, 0.0)  # of pictures and vectors no tokens are expected
_MAX_LISTINGS = 1000  # clients may name targets
_MAX_KINDS = 64  # of requests, whose outlooks are good for half a second


class Row(Struct):
    """A target as it stands before one kind of request.

    `window` is how long a prompt may be that needs no closer look, -1 where every request does; `refusal` why it serves
    none of this kind, if it does not; `state` what is remembered of it, once it was weighed. `length` is that of an
    answer, `written_pico_usd` what its expected tokens cost, `written_usd` the same; a token of the prompt costs
    `read_pico_usd` or `read_usd` while there are no more than `edge`.
    """

    target: Target
    key: tuple[str, str]
    window: int
    refusal: Excluded | None
    state: TargetState | None
    length: Length
    written_pico_usd: int
    read_pico_usd: int
    edge: int
    written_usd: Decimal
    read_usd: Decimal


class _Listing(Struct, frozen=True):
    """A group's targets on one day, each once, while `Health.forgotten` is the same; `rows` of them by outlook."""

    targets: tuple[Target, ...]
    day: date
    forgotten: int
    rates: tuple[Rates, ...]
    rows: dict[Outlook | None, tuple[Row, ...]]


class Listings:
    """The rows of every group that was asked for lately."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._listings: dict[str, _Listing] = {}

    def rows(self, group: Group, day: date, outlook: Outlook | None) -> tuple[Row, ...]:
        """The group's targets for a kind of request; `outlook` None: nothing is to be written."""
        listing, forgotten = self._listings.get(group.route), self._health.forgotten
        if (
            listing is None
            or listing.targets is not group.targets
            or listing.day != day
            or listing.forgotten != forgotten
        ):
            if len(self._listings) >= _MAX_LISTINGS:
                self._listings.clear()
            rates = tuple(rates_on(day, target.info) for target in group.targets)
            listing = self._listings[group.route] = _Listing(group.targets, day, forgotten, rates, {})
        rows = listing.rows.get(outlook)
        if rows is None:
            if len(listing.rows) >= _MAX_KINDS:
                listing.rows.clear()
            rows = listing.rows[outlook] = tuple(self._made(listing, outlook))
        return rows

    def state(self, row: Row) -> TargetState:
        """What is remembered of the row's target, which is weighed for the first time."""
        target = row.target
        state = row.state = self._health.target(target.provider, target.model, target.info)
        return state

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
            tokens = round(length[0])
            yield Row(
                target,
                target.key,
                target.info.context_tokens if target.chats else -1,
                None if outlook is None else target.refusals.get("chat"),
                known.get(target.key),
                length,
                tokens * rates.output,
                rates.input,
                rates.edge,
                tokens * rates.output_usd,
                rates.input_usd,
            )
