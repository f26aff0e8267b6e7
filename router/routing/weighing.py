"""What each able target of a model would cost and take for one request, and what health has against asking it."""

import math

from msgspec.structs import replace

from router.routing.cost import PICO_USD, expected_cost
from router.routing.failover import is_tight
from router.routing.filters import disallowed, over_limit
from router.routing.health import Health
from router.routing.latency import FRESH_S
from router.routing.listing import Listings, Row
from router.routing.options import WELL, Ask, Option, Standing
from router.routing.plan import Excluded, Features
from router.routing.resolve import Group, Target
from router.routing.state import SLOW_START_S, TargetState
from router.routing.token_ratio import MOST

_PICTURES = ("picture", 1000.0)  # of them no pace is kept, and a prompt makes none take longer
_FULL = 1.0  # of `Prediction.crowd`
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
            ask = replace(ask, features=replace(ask.features, reasoning_effort=group.effort))
        features, directives, last, now = ask.features, ask.directives, ask.last, ask.now
        health, listings = self._health, self._listings
        outlook = health.lengths.outlook(group.route, features, now) if features.kind == "chat" else None
        seen = {option.row.key for option in earlier} if earlier else ()
        longest = _longest(ask)
        unpriced, limited, streamed = not ask.plain, ask.limited, features.stream
        effort, longer = (
            _PICTURES if features.kind == "image" else (features.reasoning_effort, 1000 * ask.prompt_factor)
        )
        first_ms, total_ms, no_slo = _slo(group, streamed=streamed)
        blocks = bool(health.provider_blocks)
        lazy = missing is not None and (directives.sort or group.sort) == "order"
        all_well = True
        options: list[Option] = []
        for row in listings.rows(group, ask.day, outlook):
            if seen and row.key in seen:
                continue
            if longest > row.window:
                refusal = self._refusal(row.target, group, ask)
                if refusal is not None:
                    excluded.append(refusal)
                    continue
            state = row.state or listings.state(row)
            prompt_tokens, cached = features.prompt_tokens, -1
            factor = state.tokens.factor
            if factor != 1.0:  # TokenRatio.prompt_tokens, without a call
                prompt_tokens = int((prompt_tokens - features.media_tokens) * factor) + features.media_tokens
            if last is not None and last.key == row.key:
                cached = state.cache_hits.expected(last, prompt_tokens, now)
            if unpriced or prompt_tokens > row.edge or cached > 0:
                price = _exact_price(row, ask, prompt_tokens, cached)
            else:
                price = prompt_tokens * row.read_pico_usd + row.written_pico_usd
            pace = state.latency.paces.get(effort)
            if pace is None or now - pace.made > FRESH_S:
                pace = state.latency.pace(features, now)
            wait_ms = pace.ttft_s * (longer * pace.slow)
            if not streamed:
                wait_ms += row.length[0] * pace.each_ms * pace.tpot_s
            keeps = no_slo or (
                pace.usual95_ms <= first_ms
                and pace.crowd <= _FULL
                and pace.usual95_ms + row.length[1] * pace.each95_ms <= total_ms
            )
            standing = WELL
            if state.noted or blocks:
                standing = self._standing(state, row.target.provider, features, now)
            burden_ms = wait_ms * (1.0 + pace.crowd)
            option = Option(ask, group, row, price, wait_ms, burden_ms, keeps, prompt_tokens, cached, pace, standing)
            if limited or standing is not WELL:
                refusal = _over_limit(option)
                if refusal is not None:
                    excluded.append(refusal)
                    continue
                all_well = all_well and standing is WELL
            options.append(option)
            if lazy and missing is not None and option.comes_first:
                missing -= 1
                if missing <= 0 and not is_tight(options, features):
                    break
        return options, all_well

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


def _longest(ask: Ask) -> float:
    """Tokens that a model may count for the prompt at most; inf where every target has to be looked at."""
    if ask.text_only and not ask.directives.only and not ask.directives.ignore:
        return MOST * ask.features.prompt_tokens
    return math.inf


def _slo(group: Group, *, streamed: bool) -> tuple[float, float, bool]:
    """Milliseconds that first token and whole answer may take, inf if nothing is said; whether it is of both."""
    first_ms, total_ms = group.slo.ttft_p95_ms if streamed else None, group.slo.total_p95_ms
    if first_ms is None and total_ms is None:
        return math.inf, math.inf, True
    return math.inf if first_ms is None else first_ms, math.inf if total_ms is None else total_ms, False


def _exact_price(row: Row, ask: Ask, prompt_tokens: int, cached: int) -> float:
    """Picodollars where more than two rates count; inf: unknown."""
    usd = expected_cost(row.target.info, ask.features, prompt_tokens, row.length[0], ask.day, max(0, cached))
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
