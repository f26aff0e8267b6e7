"""Which rung of a ladder a request gets: what it cannot do without, its score, and what its conversation had before."""

from collections import OrderedDict
from collections.abc import Callable

from router.routing.budget import Allowance
from router.routing.ladder import Tiering
from router.routing.plan import Features
from router.routing.score import score_of
from router.settings.values import ModelSettings, TierSettings

_REMEMBERED_S = 3600.0
_MAX_REMEMBERED = 20_000  # conversations


def decide(
    model: ModelSettings,
    features: Features,
    cost_quality: float | None,
    held: int,
    obstacle: Callable[[TierSettings], str],
) -> Tiering:
    """The tier of one request. `held` is what its conversation has had, `obstacle(tier)` why a tier cannot serve.

    A tier that cannot is passed over upwards, then downwards; if none can, the first choice stands, and the planner
    says why. `cost_quality` None: the model's own.
    """
    tiers = model.tiers
    quality = model.cost_quality if cost_quality is None else cost_quality
    score = score_of(features)
    limit = len(tiers) - 1
    first = scored = tier_for(score.value, quality, len(tiers))
    if features.max_tier and features.max_tier <= limit:
        limit = features.max_tier - 1
    if held > first:
        first = held
    if first > limit:
        first = limit
    note = ""
    if first != scored:
        note = ", the most for this key" if first < scored else ", as before in this conversation"
    tier = first
    reason = obstacle(tiers[first])
    if reason:
        others = (*range(first + 1, limit + 1), *range(first - 1, -1, -1))
        tier = next((other for other in others if not obstacle(tiers[other])), first)
        if tier != first:
            note = f" ({tiers[first].use}: {reason})"
    if features.own_thinking and tiers[tier].reasoning_effort:
        note += ", thinking as asked for"
    return Tiering(model.name, tiers, tier, scored, limit, score, quality, note)


def tier_for(score: float, cost_quality: float, tiers: int) -> int:
    """The tier of a score: `cost_quality` 0 always gives the first, 1 the last, 0.5 divides the scores evenly."""
    tier = int((score + 2 * cost_quality - 1) * tiers)
    if tier < 0:
        return 0
    return tier if tier < tiers else tiers - 1


class TierMemory:
    """What conversations had before, so that none falls back to a lesser model half-way, and how often weak answers
    were asked for again.

    Only what is above the lowest tier needs to be remembered: for an hour after the last request, the latest twenty
    thousand conversations. A first turn is held to nothing, and what a later turn was given holds only for those behind
    the same reply: one of many conversations that begin with "Hello" must not raise all of them.
    """

    def __init__(self) -> None:
        self._tiers: OrderedDict[tuple[str, str, int], tuple[int, float]] = OrderedDict()
        self._escalations: dict[str, Allowance] = {}

    def held(self, model: str, features: Features, now: float) -> int:
        """The highest tier that this conversation had of `model`, 0 when that is forgotten."""
        if not self._tiers or not features.thread:
            return 0
        return max(
            self._of(model, features, features.conversation, now), self._of(model, features, features.thread, now)
        )

    def keep(self, model: str, features: Features, tier: int, now: float) -> None:
        """A request of this conversation was given `tier`."""
        name = features.thread or features.conversation
        if tier <= 0 or not name:
            return
        key = (model, features.key_name, name)
        self._tiers[key] = (max(tier, self._of(model, features, name, now)), now)
        self._tiers.move_to_end(key)
        if len(self._tiers) > _MAX_REMEMBERED:
            self._tiers.popitem(last=False)

    def _of(self, model: str, features: Features, name: int, now: float) -> int:
        found = self._tiers.get((model, features.key_name, name))
        return found[0] if found is not None and now - found[1] <= _REMEMBERED_S else 0

    def may_escalate(self, model: ModelSettings, now: float) -> bool:
        """Whether one more weak answer may be asked for again; it then counts."""
        found = self._escalations.get(model.name)
        if found is None:
            found = self._escalations[model.name] = Allowance(model.escalations_per_minute, now)
        return found.take(now)
