"""The values of a ladder's decision: how hard a request looked, and which tier it was given."""

from msgspec import Struct

from router.settings.values import TierSettings


class Score(Struct, frozen=True, gc=False):
    """How hard a request looks: `value` is the sum of the parts, kept within 0 and 1."""

    value: float
    question: float
    conversation: float
    output: float
    tools: float
    effort: float


class Tiering(Struct, frozen=True, gc=False):
    """A ladder's decision for one request. Tiers count from 0 here, from 1 where people read them.

    `scored` is the tier that the score alone would give, `limit` the highest that this caller may have; `note` says
    what made `tier` another one.
    """

    model: str
    tiers: tuple[TierSettings, ...]
    tier: int
    scored: int
    limit: int
    score: Score
    cost_quality: float
    note: str = ""

    @property
    def chosen(self) -> TierSettings:
        return self.tiers[self.tier]

    @property
    def reason(self) -> str:
        return f"{self.model}: score {self.score.value:.2f} -> {self.tiers[self.tier]}{self.note}"
