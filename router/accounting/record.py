"""One record per client request, closed exactly once, whatever its end."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from providers.errors import ProviderError
from providers.types import JsonObject, Usage
from router.accounting.steps import Cost, Enhanced, Purpose, Step, attempt_json, cost_sum
from router.routing.cost import actual_cost, usage_cost
from router.routing.ladder import Tiering
from router.routing.plan import Attempt, Candidate, Excluded, Features, Plan
from router.settings.values import StreamMode

_EPOCH = date(1970, 1, 1)
Joint = Literal["afresh", "prefill", "instruction"]
CLIENT_CLOSED = 499  # the client left; nginx's number, for logs and metrics only


@lru_cache(maxsize=4)
def _day(number: int) -> date:
    return _EPOCH + timedelta(days=number)


def utc_day(seconds: float) -> date:
    """The UTC day of a Unix time: prices go by it."""
    return _day(int(seconds // 86400))


class Spent(Struct, frozen=True, gc=False):
    """What an attempt has cost that did not answer. `usage` None: not counted.

    `attempt` is its place in the list, -1 for one of a step.
    """

    attempt: int
    candidate: Candidate
    usage: Usage | None
    cost_usd: Decimal | None
    cost_source: str


class Mend(Struct, frozen=True, gc=False):
    """A stream that broke off after its first content, while another could go on with it.

    `broken` is the attempt that broke; `characters` of its text had been sent. `joint` is how the last attempt of the
    request was brought to go on; None: nobody was.
    """

    broken: int
    characters: int
    joint: Joint | None = None


class RequestRecord(Struct, eq=False):
    """Collects what happens to one request; `close()` hands it to `on_close` once, later calls are ignored.

    `created` is Unix time; other times are monotonic seconds. `choices` is how many answers or pictures were asked for,
    `attempts` the list dispatch appends to; `fetch_s` is the time that went into media by URL before. `shed` says why
    the router had no room for it, and `queued_s` how long it had waited by then. `interrupted` is set when a stream
    broke off after its first content;
    such a request still has status 200 on the wire. `usage` and `cost_usd` are those of the attempt that answered,
    `given` is its place where that is not the last (a weak answer, and no better one came), `spent` has what others
    cost, `steps` are further calls for the same request, which took `steps_s` in all, and the totals are what was
    billed for the request. Once closed it keeps what it can show and not the plan: thousands of those would push what
    the next request needs out of the processor's caches.
    """

    id: str
    kind: str
    path: str
    created: float
    started: float
    on_close: Callable[["RequestRecord"], None]
    attempts: list[Attempt] = []
    model: str = ""
    key_name: str = ""
    stream: bool = False
    features: Features | None = None
    choices: int = 1
    plan: Plan | None = None
    served_model: str = ""
    usage: Usage | None = None
    images: int = 0
    cost_usd: Decimal | None = None
    cost_source: str = "unknown"
    stream_mode: StreamMode = "live"
    spent: tuple[Spent, ...] = ()
    mend: Mend | None = None
    first_content_s: float | None = None
    fetch_s: float = 0.0
    steps: tuple[Step, ...] = ()
    steps_s: float = 0.0
    enhanced: Enhanced | None = None
    queued_s: float = 0.0
    shed: str = ""
    overhead_s: float = 0.0
    warnings: tuple[str, ...] = ()
    reason: str | None = None
    excluded: tuple[Excluded, ...] = ()
    tiering: Tiering | None = None
    given: int | None = None
    interrupted: bool = False
    error_code: str | None = None
    status: int = 0
    duration_s: float = 0.0
    closed: bool = False

    @property
    def served_by(self) -> Candidate | None:
        """The candidate that answered, if one did."""
        attempts, given = self.attempts, self.given
        if given is not None:
            return attempts[given].candidate
        if not attempts:
            return None
        last = attempts[-1]
        return last.candidate if last.error is None and not last.abandoned else None

    def settle(
        self,
        usage: Usage | None,
        *,
        images: int = 0,
        lost: int = 0,
        reported: Decimal | None = None,
    ) -> Candidate | None:
        """Take the answer's token counts (or pictures) and price them at the rates of the day it was asked.

        `lost` pictures are charged as well although they did not come. Gives who answered.
        """
        self.usage = usage
        self.images = images
        candidate = self.served_by
        if candidate is not None:
            self.cost_usd, self.cost_source = actual_cost(
                candidate.info,
                usage,
                utc_day(self.created),
                images=images + lost,
                features=self.features,
                reported=reported,
            )
        return candidate

    def spend(self, attempt: int, candidate: Candidate, usage: Usage) -> None:
        """Book an attempt that is given up although its upstream has answered in part; tokens may be an estimate."""
        day = utc_day(self.created)
        cost, source = actual_cost(candidate.info, usage, day)
        price = candidate.info.price_on(day)
        if cost is None and usage.estimated and price is not None:
            cost, source = usage_cost(price, usage), "estimated"
        self.spent += (Spent(attempt, candidate, usage, cost, "unknown" if cost is None else source),)

    def book_lost(self, step: Step | None = None) -> None:
        """Book the attempts at pictures that may have been charged and brought none: failed after that, or abandoned.

        What the upstream said of the price counts, else what was expected: a job that nobody waits for any more is
        usually finished and billed. Those of a `step`, else the request's own.
        """
        day = utc_day(self.created)
        for number, attempt in enumerate(self.attempts if step is None else step.attempts):
            place = number if step is None else -1
            error, candidate = attempt.error, attempt.candidate
            cost, source, usage = candidate.expected_cost_usd, "estimated", None
            if error is not None:
                if error.tokens is not None:
                    usage = Usage(prompt_tokens=error.tokens[0], completion_tokens=error.tokens[1])
                    cost, source = actual_cost(candidate.info, usage, day, reported=error.cost_usd)
                elif error.cost_usd is not None:
                    cost, source = error.cost_usd, "reported"
                elif not error.billed:
                    continue
            elif not attempt.abandoned:
                continue
            self.spent += (Spent(place, candidate, usage, cost, "unknown" if cost is None else source),)

    def give_after_all(self, attempt: int) -> None:
        """The answer of an attempt that was given up is given to the client: what it cost is what the answer costs."""
        self.given = attempt
        self.spent = tuple(spent for spent in self.spent if spent.attempt != attempt)

    def break_off(self, error: ProviderError, usage: Usage, characters: int) -> Candidate:
        """The stream of the last attempt broke after `characters` had been sent: it has failed after all."""
        last = len(self.attempts) - 1
        broken = self.attempts[last]
        self.attempts[last] = replace(broken, error=error)
        self.spend(last, broken.candidate, usage)
        self.mend = Mend(last, characters)
        return broken.candidate

    def rejoin(self, joint: Joint) -> None:
        """Another attempt, now the last, goes on with the stream that broke off."""
        if self.mend is not None:
            self.mend = replace(self.mend, joint=joint)

    def begin(self, purpose: Purpose) -> Step:
        """A further call begins."""
        step = Step(purpose)
        self.steps += (step,)
        return step

    @property
    def total_usage(self) -> Usage | None:
        """All tokens that were billed for the answer, those of attempts that were given up and of pictures that were
        made once more included; not those of helping models.
        """
        if not self.spent and not self.steps:
            return self.usage
        counted = [each.usage for each in self.spent if each.usage is not None]
        own = [step.usage for step in self.steps if step.purpose == "round" and step.served_by is not None]
        own.append(self.usage)
        if any(usage is not None for usage in own):
            counted += [usage or Usage(estimated=True) for usage in own]  # a sum with a gap is no count
        return Usage.total(counted) if len(counted) > 1 else counted[0] if counted else None

    @property
    def total_cost(self) -> tuple[Decimal | None, str]:
        """All that was billed in USD, None when a part of it is unknown, and where the figure is from."""
        if not self.spent and not self.steps:
            return self.cost_usd, self.cost_source
        return cost_sum(self._answer_parts() + self._step_parts("rewrite", "critique"))

    @property
    def answer_cost(self) -> Decimal | None:
        """The same without the helping models: what `total_usage` cost."""
        return cost_sum(self._answer_parts())[0]

    @property
    def helpers_cost(self) -> Decimal | None:
        """What the helping models cost, in USD; None when a part of it is unknown."""
        return self._steps_cost("rewrite", "critique")

    @property
    def added_cost(self) -> Decimal | None:
        """What all steps cost, in USD; None when a part of it is unknown."""
        return self._steps_cost("rewrite", "critique", "round")

    def _answer_parts(self) -> list[Cost]:
        own = [(self.cost_usd, self.cost_source)] if self.served_by is not None else []
        return [*((each.cost_usd, each.cost_source) for each in self.spent), *own, *self._step_parts("round")]

    def _steps_cost(self, *purposes: Purpose) -> Decimal | None:
        parts = self._step_parts(*purposes)
        return cost_sum(parts)[0] if parts else Decimal(0)

    def _step_parts(self, *purposes: Purpose) -> list[Cost]:
        billed = (step for step in self.steps if step.purpose in purposes and step.served_by is not None)
        return [(step.cost_usd, step.cost_source) for step in billed]

    def measure_overhead(self, now: float) -> float:
        """Note the seconds so far that were not spent waiting for others; called when the answer starts."""
        ours_s = now - self.started - self.fetch_s - self.steps_s - self.queued_s
        for attempt in self.attempts:
            ours_s -= attempt.duration_s - attempt.beside_s + attempt.queued_s
        self.overhead_s = ours_s if ours_s > 0 else 0.0
        return self.overhead_s

    def close(self, status: int, now: float, error_code: str | None = None) -> None:
        """The request is over. Only the first call counts."""
        if self.closed:
            return
        self.closed = True
        self.status = status
        self.error_code = error_code
        self.duration_s = now - self.started
        if self.plan is not None:
            self.reason, self.excluded, self.tiering = self.plan.reason, self.plan.excluded, self.plan.tiering
        if self.features is not None:
            self.choices = self.features.n
        self.plan = self.features = None
        self.on_close(self)

    def as_json(self) -> JsonObject:
        """The decision and its attempts once it is closed: `GET /v1/requests/{id}`. No prompt text anywhere."""
        cost_usd, cost_source = self.total_cost
        usage = self.total_usage
        return {
            "id": self.id,
            "object": "router.request",
            "created": int(self.created),
            "kind": self.kind,
            "model": self.model,
            "stream": self.stream,
            "stream_mode": self.stream_mode if self.stream else None,
            "status": self.status,
            "error": self.error_code,
            "interrupted": self.interrupted,
            "seam": self._seam_json(),
            "reason": self.reason,
            "tier": tier_json(self.tiering),
            "served_by": self.served_by.name if self.served_by else None,
            "served_model": self.served_model or None,
            "duration_ms": round(self.duration_s * 1000, 3),
            "first_content_ms": None if self.first_content_s is None else round(self.first_content_s * 1000, 3),
            "cost_usd": None if cost_usd is None else float(cost_usd),
            "cost_source": cost_source,
            "usage": usage.to_openai() if usage else None,
            "images": self.images,
            "warnings": list(self.warnings),
            "attempts": [self._attempt_json(place) for place in range(len(self.attempts))],
            "enhance": self._enhanced_json(),
            "excluded": [{"target": entry.name, "reason": entry.reason} for entry in self.excluded],
        }

    def _seam_json(self) -> JsonObject | None:
        mend, served = self.mend, self.served_by
        if mend is None:
            return None
        broken = self.attempts[mend.broken]
        return {
            "from": broken.candidate.name,
            "to": served.name if mend.joint and served else None,
            "reason": broken.outcome,
            "after_characters": mend.characters,
            "joint": mend.joint,
        }

    def enhance_json(self) -> JsonObject:
        """What an answer says of its enhancement; empty where there was none."""
        return self.enhanced.as_json(self.helpers_cost) if self.enhanced else {}

    def _enhanced_json(self) -> JsonObject | None:
        if self.enhanced is None and not self.steps:
            return None
        rewrite = self.enhanced.rewrite if self.enhanced else ""
        return {**self.enhance_json(), "rewrite": rewrite or None, "steps": [step.as_json() for step in self.steps]}

    def _attempt_json(self, place: int) -> JsonObject:
        shown = attempt_json(self.attempts[place])
        for spent in self.spent:
            if spent.attempt == place:  # with no cost of its own the request's is that of the attempt that answered
                cost = None if spent.cost_usd is None else float(spent.cost_usd)
                usage = spent.usage.to_openai() if spent.usage is not None else None
                shown |= {"usage": usage, "cost_usd": cost, "cost_source": spent.cost_source}
        return shown


def tier_json(tiering: Tiering | None) -> JsonObject | None:
    """What a ladder has decided, as the dry run and the record of a request show it; tiers count from 1."""
    if tiering is None:
        return None
    score = tiering.score
    return {
        "model": tiering.model,
        "tiers": [str(tier) for tier in tiering.tiers],
        "tier": tiering.tier + 1,
        "tier_by_score": tiering.scored + 1,
        "max_tier": tiering.limit + 1,
        "cost_quality": tiering.cost_quality,
        "score": round(score.value, 4),
        "parts": {
            "question": round(score.question, 4),
            "conversation": round(score.conversation, 4),
            "output": round(score.output, 4),
            "tools": round(score.tools, 4),
            "effort": round(score.effort, 4),
        },
        "note": tiering.note.strip(" ,()") or None,
    }


class RecentRecords:
    """The last closed records by id, in memory. `owner` keeps one client's records from another's eyes and hands."""

    def __init__(self, limit: int = 2000) -> None:
        self._records: dict[tuple[str, str], RequestRecord] = {}  # in the order they came
        self._limit = limit

    def add(self, record: RequestRecord) -> None:
        self._records[record.key_name, record.id] = record
        if len(self._records) > self._limit:
            del self._records[next(iter(self._records))]

    def get(self, request_id: str, owner: str) -> RequestRecord | None:
        return self._records.get((owner, request_id))
