"""One enhanced request: what was asked, who may be asked for help, and the time and money that are left."""

import contextlib
from collections.abc import Iterator
from decimal import Decimal

from msgspec.structs import replace

from providers.errors import ContentBlockedError, ProviderError
from providers.types import JsonObject
from router.accounting.steps import Enhanced, Purpose
from router.api.enhancing.aside import Aside, Said, ask, plan_aside
from router.api.gateway import Exchange
from router.api.image_request import ParsedImage
from router.errors import RouterError
from router.pictures.enhancement.rewriting import Rewrite, prompt_digest
from router.pictures.enhancement.rounds import dearest, left_usd
from router.routing.plan import Enhance, Plan


class Enhancing:
    """The state of one request on its way. `rewrite` is the prompt in use, None: the caller's own.

    `warnings` says what was left out; the record has the rest.
    """

    def __init__(self, exchange: Exchange, parsed: ParsedImage, wish: Enhance) -> None:
        plan = exchange.record.plan
        assert plan is not None
        self.gateway = exchange.gateway
        self.record = exchange.record
        self.key = exchange.key
        self.settings = exchange.gateway.settings.images.enhance
        self.parsed = parsed
        self.wish = wish
        self.rewrite: Rewrite | None = None
        self.warnings: list[str] = []
        self.enhanced = Enhanced(prompt_digest(parsed.request.prompt))
        self.note()
        self._plan = plan
        now = self.gateway.health.now()
        self._ends = self._helped_until = now + plan.deadline_s
        if parsed.directives.max_latency_ms is not None:
            self._helped_until = min(self._ends, now + parsed.directives.max_latency_ms / 1000)

    @property
    def plan(self) -> Plan:
        """The plan for the pictures, with the time that is left for them."""
        return replace(self._plan, deadline_s=self.left_s)

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self._ends - self.gateway.health.now())

    @property
    def help_s(self) -> float:
        """Seconds in which something more may be begun: until the deadline, or the caller's limit on the wait."""
        return max(0.0, self._helped_until - self.gateway.health.now())

    @property
    def left_usd(self) -> Decimal | None:
        """What may be spent besides the pictures that were asked for, at what they cost or may cost; None: no limit."""
        record = self.record
        pictures = record.cost_usd if record.served_by is not None else dearest(self._plan)
        return left_usd(self.parsed.directives.max_cost_usd, self.settings.max_cost_usd, pictures, record.added_cost)

    def note(self, **changes: object) -> None:
        """Put what is known by now into the record."""
        self.record.enhanced = self.enhanced = replace(self.enhanced, **changes)

    def warn(self, warning: str) -> None:
        """Tell the caller, once."""
        if f"enhance={warning}" not in self.warnings:
            self.warnings.append(f"enhance={warning}")

    def aside(self, body: JsonObject, limit_s: float, limit_usd: Decimal | None) -> Aside:
        """A helping chat request, planned. Raises RouterError."""
        return plan_aside(self.gateway, self.key, body, limit_s, limit_usd)

    async def ask(self, aside: Aside, purpose: Purpose) -> Said:
        """Raises RouterError and ProviderError."""
        return await ask(self.gateway, self.record, aside, purpose)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """The time of this block is spent on waiting for others."""
        began = self.gateway.health.now()
        try:
            yield
        finally:
            self.record.steps_s += self.gateway.health.now() - began


def why(exc: RouterError | ProviderError) -> tuple[str, str]:
    """Why a helping model was of no help: a word for metrics, and words for the caller."""
    if exc.param == "router.max_cost_usd":
        return "over_budget", "over the limit of cost"
    if exc.code == "upstream_timeout":
        return "timeout", "no answer in time"
    if isinstance(exc, ContentBlockedError):
        return "refused", "a safety filter refused"
    return "failed", f"the model failed ({exc.code})"
