"""What each able target of a model would cost and take for one request, and what health has against asking it."""

import math
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from router.routing.cost import PICO_USD, Rates, expected_cost, rates_on
from router.routing.failover import is_tight
from router.routing.filters import disallowed, over_limit
from router.routing.health import Health
from router.routing.options import WELL, Ask, Option, Standing
from router.routing.output_length import Outlook
from router.routing.plan import Excluded, Features
from router.routing.resolve import Group, Target
from router.routing.state import SLOW_START_S, TargetState
from router.routing.token_ratio import MOST

_NOT_WRITTEN = (0.0, 0.0)  # of pictures and vectors no tokens are expected
_FULL = 1.0  # of `Prediction.crowd`
_MAX_LISTINGS = 1000  # clients may name targets
_RATE_LIMITED = "rate limited"


class _Listed(Struct):
    """A target with what is looked up once: its rates of the day, and what is remembered of it once it was weighed."""

    target: Target
    rates: Rates
    state: TargetState | None = None


class _Listing(Struct, frozen=True):
    """The targets of a group as they are listed on one day, while `Health.forgotten` has not changed."""

    targets: tuple[Target, ...]
    day: date
    forgotten: int
    listed: tuple[_Listed, ...]


class Weigher:
    """Weighs the targets of groups. Holds nothing but `health`, and what would be looked up for every request."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._listings: dict[str, _Listing] = {}

    def weigh(
        self,
        group: Group,
        ask: Ask,
        seen: set[tuple[str, str]],
        excluded: list[Excluded],
        missing: int | None,
    ) -> list[Option]:
        """The usable targets of a group that were not `seen` among earlier ones; the others are added to `excluded`.

        Where the configuration's order decides, those after the `missing` first good ones need not be looked at.
        """
        if group.effort:  # it takes longer so
            ask = replace(ask, features=replace(ask.features, reasoning_effort=group.effort))
        features, directives, now = ask.features, ask.directives, ask.now
        lazy = missing is not None and (directives.sort or group.sort) == "order"
        choosy = bool(directives.only or directives.ignore)
        longest = MOST * features.prompt_tokens if ask.text_only else math.inf
        outlook = self._health.lengths.outlook(group.route, features, now)
        options: list[Option] = []
        for listed in self._listed(group, ask.day):
            target = listed.target
            if target.key in seen:
                continue
            if choosy or not target.chats or longest > target.info.context_tokens:
                refusal = self._refusal(target, group, ask)
                if refusal is not None:
                    excluded.append(refusal)
                    continue
            option = self._option(listed, group, ask, outlook)
            if ask.limited or option.standing.reason == _RATE_LIMITED:
                reason = _over_limit(option)
                if reason:
                    excluded.append(
                        option.excluded(reason, option.standing.blocked_s if reason.startswith(_RATE_LIMITED) else 0.0)
                    )
                    continue
            seen.add(target.key)
            options.append(option)
            if lazy and missing is not None and option.comes_first:
                missing -= 1
                if missing <= 0 and not is_tight(options, features):
                    break
        return options

    def _option(self, listed: _Listed, group: Group, ask: Ask, outlook: Outlook) -> Option:
        """An able target, weighed."""
        features, now, target = ask.features, ask.now, listed.target
        state = listed.state or self._state(listed)
        length = _NOT_WRITTEN
        if features.kind == "chat":
            length = outlook.worked_out.get(target.model) or outlook.of(target.model)  # most often without a call
            most = target.info.max_output_tokens
            if length[1] > most:
                length = (min(length[0], most), most)
        prompt_tokens, cached = features.prompt_tokens, -1
        factor = state.tokens.factor
        if factor != 1.0:  # TokenRatio.prompt_tokens, without ten calls
            prompt_tokens = int((prompt_tokens - features.media_tokens) * factor) + features.media_tokens
        if ask.last is not None and ask.last.key == target.key:
            cached = state.cache_hits.expected(ask.last, prompt_tokens, now)
        rates = listed.rates
        if ask.plain and cached <= 0 and prompt_tokens <= rates.edge:
            price: float = prompt_tokens * rates.input + round(length[0] * features.n) * rates.output
        else:
            usd = expected_cost(target.info, features, prompt_tokens, length[0], ask.day, max(0, cached))
            price = math.inf if usd is None else int(usd * PICO_USD)
        wait, crowd, first95, whole95 = state.latency.glance(features, length, ask.prompt_factor, now)
        first_ms, total_ms = group.slo.ttft_p95_ms if features.stream else None, group.slo.total_p95_ms
        keeps = (first_ms is None and total_ms is None) or (
            (first_ms is None or first95 <= first_ms) and (total_ms is None or whole95 <= total_ms) and crowd <= _FULL
        )
        standing = WELL
        if (
            state.tripped
            or state.gates
            or state.blocked_until > now
            or now - state.closed_at < SLOW_START_S
            or self._health.provider_blocks
        ):
            standing = self._standing(state, target.provider, features, now)
        return Option(
            ask, group, target, state, price, wait, wait * (1.0 + crowd), keeps, length, prompt_tokens, cached, standing
        )

    def _listed(self, group: Group, day: date) -> tuple[_Listed, ...]:
        found, forgotten = self._listings.get(group.route), self._health.forgotten
        if found is None or found.targets is not group.targets or found.day != day or found.forgotten != forgotten:
            if len(self._listings) >= _MAX_LISTINGS:
                self._listings.clear()
            listed = tuple(_Listed(target, rates_on(day, target.info)) for target in group.targets)
            found = self._listings[group.route] = _Listing(group.targets, day, forgotten, listed)
        return found.listed

    def _state(self, listed: _Listed) -> TargetState:
        target = listed.target
        state = listed.state = self._health.target(target.provider, target.model, target.info)
        return state

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
            return WELL
        return Standing(
            why or _word(state, now, full=full),
            blocked_s > 0 or not state.may_pass(now),
            blocked_s,
            not blocked_s and not state.tripped and features.affinity > state.share(now),
            full,
        )


def _over_limit(option: Option) -> str:
    """Whether the target would break a limit of the caller's, or refuses for a known time."""
    ask, standing = option.ask, option.standing
    if ask.limited:
        reason = over_limit(option.expected_usd(), option.prediction(), ask.features, ask.directives)
        if reason:
            return reason
    return f"rate limited for {standing.blocked_s:.1f} s" if standing.reason == _RATE_LIMITED else ""


def _word(state: TargetState, now: float, *, full: bool) -> str:
    """Why a target that is not blocked is not asked like any other."""
    found = state.breaker(now)
    if full and found == "closed":
        return "at its concurrency limit"
    return "comes back by degrees" if found == "closed" else f"circuit breaker {found.replace('_', '-')}"
