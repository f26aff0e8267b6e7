"""What each able target of a model would cost and take for one request, and what health has against asking it."""

import math
from collections.abc import Sequence

from msgspec.structs import replace

from router.routing.ask import Ask
from router.routing.cost import PICO_USD, expected_cost
from router.routing.failover import is_tight
from router.routing.filters import disallowed, over_limit
from router.routing.health import Health
from router.routing.listing import UNKNOWN, Listings, Row
from router.routing.options import WELL, Option, Standing
from router.routing.plan import Excluded, Features
from router.routing.resolve import Group, Target
from router.routing.state import SLOW_START_S, TargetState

_RATE_LIMITED = "rate limited"


class Weigher:
    """Weighs the targets of groups. Holds nothing but `health`, and what would be looked up for every request."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._listings = Listings(health)

    def weigh(
        self, group: Group, ask: Ask, earlier: list[Option], excluded: list[Excluded], missing: int | None
    ) -> tuple[list[Option], bool]:
        """The usable targets of a group that are not among `earlier` ones, and whether health has nothing against any.

        The others are added to `excluded`. Where the configuration's order decides, those after the `missing` first
        good ones need not be looked at.
        """
        if group.effort:  # it takes longer so
            ask = ask.having(replace(ask.features, reasoning_effort=group.effort))
        now, reach, tokens, longer = ask.now, ask.reach, ask.features.prompt_tokens, 1000.0 * ask.prompt_factor
        served = None if ask.last is None else ask.last.key
        lazy = missing is not None and (ask.directives.sort or group.sort) == "order"
        all_well = True
        options: list[Option] = []
        for row in self._rows(group, ask, earlier):
            pace = row.pace
            if reach > row.reach or now > pace.until or (served is not None and row.key == served):
                option = self._weighed(row, group, ask, excluded)
                if option is None:
                    continue
                all_well = all_well and option.standing is WELL
            else:  # nothing is to be said of it but what was already
                factor = row.tokens.factor  # `TokenRatio.prompt_tokens` of a text, without a call
                counted = tokens if factor == 1.0 else int(tokens * factor)
                price = counted * row.read_pico_usd + row.written_pico_usd
                burden_ms = longer * pace.burden_s + row.writing_ms
                option = Option(ask, group, row, price, burden_ms, row.keeps, counted, pace)
            options.append(option)
            if lazy and missing is not None and option.comes_first and _suffice(options, missing, ask.features):
                break
        return options, all_well

    def _rows(self, group: Group, ask: Ask, earlier: list[Option]) -> Sequence[Row]:
        """The group's targets but those weighed earlier."""
        rows = self._listings.rows(group, ask)
        if not earlier:
            return rows
        seen = {option.row.key for option in earlier}
        return [row for row in rows if row.key not in seen]

    def _weighed(self, row: Row, group: Group, ask: Ask, excluded: list[Excluded]) -> Option | None:
        """One target, looked at in every respect; None if it is excluded."""
        features, now = ask.features, ask.now
        if ask.longest > row.window:
            refusal = row.refusal or self._refusal(row.target, group, ask)
            if refusal is not None:
                excluded.append(refusal)
                return None
        state = row.state or self._listings.state(row)
        pace = row.pace
        if now > pace.until:
            pace = state.latency.pace(features, now)
            row.stand(pace, group, streamed=features.stream)
        counted, cached = state.tokens.prompt_tokens(features), -1
        if ask.last is not None and ask.last.key == row.key:
            cached = state.cache_hits.expected(ask.last, counted, now)
        if ask.plain and counted <= row.edge and cached <= 0:
            price: float = counted * row.read_pico_usd + row.written_pico_usd
        else:
            price = _exact_price(row, ask, counted, max(0, cached))
        standing = self._standing(state, row.target.provider, features, now) if state.noted else WELL
        if state.noted:
            row.pace = UNKNOWN
        burden_ms = 1000.0 * ask.prompt_factor * pace.burden_s + row.writing_ms
        option = Option(ask, group, row, price, burden_ms, row.keeps, counted, pace, cached, standing)
        if ask.limited or standing is not WELL:
            refusal = _over_limit(option)
            if refusal is not None:
                excluded.append(refusal)
                return None
        return option

    def _refusal(self, target: Target, group: Group, ask: Ask) -> Excluded | None:
        """Why the target cannot serve such a request, or may not."""
        prompt_tokens = self._health.prompt_tokens(target.provider, target.model, ask.features)
        return target.unable(ask.features, prompt_tokens, group.space) or disallowed(target, ask.directives)

    def _standing(self, state: TargetState, provider: str, features: Features, now: float) -> Standing:
        """What health has against a target for this request."""
        blocked_s, why = self._health.block(state, provider, now)
        full = state.is_full(now)
        starting = not state.tripped and now - state.closed_at < SLOW_START_S
        if not blocked_s and not state.tripped and not starting and not full:
            state.noted = bool(state.gates)
            return WELL
        return Standing(
            why or _word(state, now, full=full),
            blocked_s > 0 or not state.may_pass(now),
            blocked_s,
            not blocked_s and not state.tripped and features.affinity > state.share(now),
            full,
        )


def _suffice(options: list[Option], missing: int, features: Features) -> bool:
    """Whether no more of them are needed where the configuration's order decides."""
    return sum(option.comes_first for option in options) >= missing and not is_tight(options, features)


def _exact_price(row: Row, ask: Ask, prompt_tokens: int, cached: int) -> float:
    """Picodollars where more than two rates count; inf: unknown."""
    usd = expected_cost(row.target.info, ask.features, prompt_tokens, row.length[0], ask.day, cached)
    return math.inf if usd is None else float(usd * PICO_USD)


def _over_limit(option: Option) -> Excluded | None:
    """The target as one that would break a limit of the caller's, or refuses for a known time, if it is."""
    ask, standing = option.ask, option.standing
    if ask.limited:
        reason = over_limit(option.expected_usd(), option.prediction(), ask.features, ask.directives)
        if reason:
            return option.excluded(reason)
    if standing.reason == _RATE_LIMITED:
        return option.excluded(f"{_RATE_LIMITED} for {standing.blocked_s:.1f} s", standing.blocked_s)
    return None


def _word(state: TargetState, now: float, *, full: bool) -> str:
    """Why a target that is not blocked is not asked like any other."""
    found = state.breaker(now)
    if full and found == "closed":
        return "at its concurrency limit"
    return "comes back by degrees" if found == "closed" else f"circuit breaker {found.replace('_', '-')}"
