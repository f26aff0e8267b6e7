"""An answer that is plainly unusable is asked for again a tier higher, before the client has seen any of it.

It is a further attempt inside the one loop and the one deadline, paid from the retry budget, and rationed: a client
that provokes weak answers must not be able to buy dear ones without end. The weak answer is kept, and given where
nothing better comes: an escalation never turns an answer into an error.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from msgspec.structs import replace

from providers.errors import ProviderError
from providers.types import JsonObject, Usage
from router.api.chat_request import ParsedChat
from router.api.gateway import Exchange
from router.api.weakness import weakness
from router.routing.dispatch import AllAttemptsFailedError, Discard, WeakAnswerError, dispatch
from router.routing.plan import Candidate, Outcome, Plan

T = TypeVar("T")


class Escalation(Generic[T]):
    """Of one request whose plan has tiers."""

    def __init__(self, exchange: Exchange, parsed: ParsedChat, plan: Plan) -> None:
        self._exchange = exchange
        self._parsed = parsed
        self._plan = plan
        self._kept: tuple[int, T] | None = None  # the weak answer, and the place of its attempt
        self._why = ""

    def judge(self, candidate: Candidate, answer: T, choices: Sequence[JsonObject], usage: Usage | None = None) -> T:
        """The answer, if it will do or must do. Raises WeakAnswerError where a better one can be asked for.

        The tokens it took are then booked as those of an attempt that was given up; None: the caller does that.
        """
        why = weakness(choices, self._parsed.request.fields)
        if not why:
            return answer
        stronger = self._stronger(candidate)
        if not stronger:
            self._note(f"router.escalation=not made: {why}")
            return answer
        record = self._exchange.record
        self._kept = (len(record.attempts), answer)
        if usage is not None:
            record.spend(len(record.attempts), candidate, usage)
        self._why = f"{why} from {candidate.route}"
        raise WeakAnswerError(why, stronger, provider=candidate.provider)

    async def dispatch(self, call: Callable[[Candidate], Awaitable[T]], discard: Discard[T] | None) -> Outcome[T]:
        """As `dispatch` does; a weak answer comes back where nothing better did. Raises what `dispatch` raises."""
        record, health = self._exchange.record, self._exchange.gateway.health
        try:
            outcome = await dispatch(self._plan, call, health, record.attempts, discard)
        except (AllAttemptsFailedError, ProviderError):
            if self._kept is None:
                raise
            place, answer = self._kept
            record.give_after_all(place)
            self._note(f"router.escalation=failed: {self._why}")
            return Outcome(answer, tuple(record.attempts[: place + 1]))
        tiering = self._plan.tiering
        if self._kept is not None and tiering is not None:
            served = outcome.served_by
            health.tiers.keep(tiering.model, self._parsed.features, served.tier, health.now())
            better = tiering.tiers[served.tier] if served.tier >= 0 else served.route
            reason = f"{self._plan.reason}; escalated to {better}: {self._why}"
            record.plan = replace(record.plan or self._plan, reason=reason)
        return outcome

    def _stronger(self, candidate: Candidate) -> tuple[Candidate, ...]:
        """Who may be asked instead: as many as attempts are left, and nobody once the ration is used up."""
        gateway, tiering = self._exchange.gateway, self._plan.tiering
        left = gateway.settings.routing.attempts - len(self._exchange.record.attempts) - 1
        if left <= 0 or tiering is None:
            return ()
        found = gateway.stronger(self._plan, candidate, self._parsed.features, self._parsed.directives)[:left]
        model = gateway.settings.models[tiering.model]
        return found if found and gateway.health.tiers.may_escalate(model, gateway.health.now()) else ()

    def _note(self, warning: str) -> None:
        record = self._exchange.record
        plan = record.plan or self._plan
        record.plan = replace(plan, warnings=(*plan.warnings, warning))


def escalation_of(exchange: Exchange, parsed: ParsedChat, plan: Plan) -> Escalation[T] | None:
    """None: the model that was asked for has no tiers, so there is nobody better to ask."""
    return None if plan.tiering is None else Escalation(exchange, parsed, plan)
