"""Calls that the router makes besides the one that answers, for the same request: what each was for, and its cost."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from providers.types import JsonObject, Usage
from router.routing.cost import actual_cost
from router.routing.plan import Attempt, Candidate, Features

Purpose = Literal["rewrite", "critique", "round"]
Cost = tuple[Decimal | None, str]
"""USD, None when unknown, and where the figure is from."""

_CERTAINTY = ("unknown", "estimated", "catalogue", "reported")  # of a cost; a sum is as certain as its weakest part


class Step(Struct, eq=False):
    """A further call that the router made for the same request: a rewrite of its prompt, a judgement, a picture made
    once more. `attempts` is the list dispatch appends to.
    """

    purpose: Purpose
    attempts: list[Attempt] = []
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    cost_source: str = "unknown"

    @property
    def served_by(self) -> Candidate | None:
        """Who answered, if the last attempt did."""
        last = self.attempts[-1] if self.attempts else None
        return last.candidate if last is not None and last.error is None and not last.abandoned else None

    def settle(
        self,
        day: date,
        usage: Usage | None,
        *,
        images: int = 0,
        features: Features | None = None,
        reported: Decimal | None = None,
    ) -> None:
        """Take the answer's token counts (or the pictures that `features` describe) and price them by the day."""
        self.usage = usage
        served = self.served_by
        if served is not None:
            self.cost_usd, self.cost_source = actual_cost(
                served.info, usage, day, images=images, features=features, reported=reported
            )

    def as_json(self) -> JsonObject:
        return {
            "step": self.purpose,
            "usage": self.usage.to_openai() if self.usage else None,
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            "cost_source": self.cost_source,
            "attempts": [attempt_json(attempt) for attempt in self.attempts],
        }


class Enhanced(Struct, frozen=True):
    """What became of a prompt and its pictures. `rewrite` is one word for metrics, "" where none was asked for.

    `rewrite_model` is the upstream model whose words were used; `rounds` is how often pictures were made; `scores` the
    marks in the order they were given, None where the judge could not tell.
    """

    prompt_sha256: str
    rewrite: str = ""
    rewrite_model: str | None = None
    rounds: int = 1
    scores: tuple[float | None, ...] = ()

    def as_json(self, cost_usd: Decimal | None) -> JsonObject:
        """`router.enhance` of an answer; `cost_usd` is what the helping models cost."""
        return {
            "rounds": self.rounds,
            "scores": list(self.scores),
            "rewrite_model": self.rewrite_model,
            "cost_usd": None if cost_usd is None else float(cost_usd),
            "original_prompt_sha256": self.prompt_sha256,
        }


def cost_sum(parts: Sequence[Cost]) -> Cost:
    """Costs together, as certain as the least certain; unknown when one is, or when there is none."""
    known = [cost for cost, _ in parts if cost is not None]
    if not parts or len(known) < len(parts):
        return None, "unknown"
    return sum(known, Decimal(0)), min((source for _, source in parts), key=_CERTAINTY.index)


def attempt_json(attempt: Attempt) -> JsonObject:
    """One attempt as `GET /v1/requests/{id}` shows it."""
    candidate = attempt.candidate
    expected = candidate.expected_cost_usd
    shown: JsonObject = {
        "target": candidate.name,
        "outcome": attempt.outcome,
        "status": attempt.error.status if attempt.error else None,
        "duration_ms": round(attempt.duration_s * 1000, 3),
        "queued_ms": round(attempt.queued_s * 1000, 3),
        "predicted_ms": round(candidate.prediction.total_ms, 1),
        "predicted_ttft_ms": round(candidate.prediction.ttft_ms, 1),
        "expected_cost_usd": None if expected is None else float(expected),
    }
    if attempt.hedge:
        shown["hedge"] = True
    return shown
