"""The values between a request and its plan: the request as targets are weighed for it, and a target weighed.

Every able target is weighed, few are asked. So an `Option` holds what choosing among them needs, in numbers that are
cheap to compare; what is shown and kept (`Candidate`: its prediction, its price) is made of those that were chosen.
"""

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from providers.catalogue import ModelInfo
from router.routing.ask import Ask
from router.routing.cost import expected_cost
from router.routing.latency import Pace
from router.routing.listing import Row
from router.routing.plan import Candidate, Excluded, Prediction
from router.routing.resolve import Group

_SERVED = "served this conversation before"


class Standing(Struct, frozen=True, gc=False):
    """What health has against a target for now, if anything; see `Candidate`. `blocked_s`: for so long it refuses."""

    reason: str = ""
    last_resort: bool = False
    blocked_s: float = 0.0
    starting: bool = False
    full: bool = False


WELL = Standing()


class Option(Struct, frozen=True, gc=False, eq=False):
    """An able target, weighed. `ask` is the request as its group gets it.

    `pico_usd` is what it would cost: a whole number by its row's rates, inf if unknown. `burden_ms` is what everybody
    waits for this request: the caller (`wait_ms`), and those whom it slows down. Who looks at his own wait alone fills
    the best target until it is no better than the next. `keeps`: the target keeps the SLO, and one more request does
    not keep it from serving as many as it could. `prompt_tokens` are those that its model counts, `cached` those of
    them that its cache should hold, -1 if it did not serve the conversation last.
    """

    ask: Ask
    group: Group
    row: Row
    pico_usd: float
    burden_ms: float
    keeps: bool
    prompt_tokens: int
    pace: Pace
    cached: int = -1
    standing: Standing = WELL

    @property
    def info(self) -> ModelInfo:
        return self.row.target.info

    @property
    def wait_ms(self) -> float:
        return self.burden_ms / (1.0 + self.pace.crowd)

    @property
    def last_resort(self) -> bool:
        return self.standing.last_resort

    @property
    def comes_first(self) -> bool:
        """Whether health has nothing against asking it before others."""
        return not (self.standing.last_resort or self.standing.full)

    def candidate(self, probe: str = "") -> Candidate:
        """The target as it goes into a plan; `probe` says why it is asked first although others look better."""
        ask, row, group, standing = self.ask, self.row, self.group, self.standing
        target = row.target
        found = Candidate(
            target.provider,
            target.model,
            target.info,
            group.route,
            self.pace.prediction(row.length, ask.prompt_factor) if ask.writes else self.prediction(),
            target.timeout_s,
            self.expected_usd(),
            target.weight,
            tier=group.tier,
            effort=group.effort,
        )
        if standing is WELL and self.cached < 0 and not probe:
            return found
        return replace(
            found,
            reason=self.reason() or probe,
            last_resort=standing.last_resort,
            blocked=standing.blocked_s > 0,
            probe=bool(probe),
            starting=standing.starting,
            full=standing.full,
        )

    def excluded(self, reason: str, blocked_s: float = 0.0) -> Excluded:
        """The target as one that is not to be asked."""
        return Excluded(
            provider=self.row.target.provider,
            model=self.row.target.model,
            reason=reason,
            blocked_s=blocked_s,
            expected_cost_usd=self.expected_usd(),
            prediction=self.prediction(),
        )

    def reason(self) -> str:
        """What is to be said of it: what health has against it, else that it knows the conversation."""
        if self.standing.reason or self.cached < 0:
            return self.standing.reason
        return f"about {self.cached} tokens of the prompt in its cache" if self.cached else _SERVED

    def prediction(self) -> Prediction:
        """How long the target would take."""
        ask, row = self.ask, self.row
        if not ask.writes and row.state is not None:
            return row.state.latency.predict(ask.features, row.length, ask.prompt_factor, ask.now)
        return self.pace.prediction(row.length, ask.prompt_factor)

    def expected_usd(self) -> Decimal | None:
        """What it would cost, to the last digit; None is unknown."""
        row = self.row
        if isinstance(self.pico_usd, int):
            return self.prompt_tokens * row.read_usd + row.written_usd
        ask, cached = self.ask, max(0, self.cached)
        return expected_cost(row.target.info, ask.features, self.prompt_tokens, row.length[0], ask.day, cached)
