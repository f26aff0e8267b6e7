"""Who is asked, in which order: a pure function of the request, the settings and what has been learned.

The same function serves the live path and the dry run. No clock, no I/O, no randomness: `now` and `day` are
arguments, and choices among equals use `features.affinity`.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from msgspec.structs import replace

from providers.catalogue import Kind, vector_space
from router.errors import RouterError
from router.routing import probes
from router.routing.ask import Ask
from router.routing.cost import PICO_USD
from router.routing.failover import is_tight, may_be_tight, with_room
from router.routing.filters import limiting_field, nearest_feasible
from router.routing.health import Health
from router.routing.ladder import Tiering
from router.routing.options import Option
from router.routing.ordering import by_caller, ordered
from router.routing.plan import Candidate, Directives, Excluded, Features, Patience, Plan
from router.routing.resolve import Group, Resolver, Trail, shown
from router.routing.rules import CompiledRules
from router.routing.weighing import Weigher
from router.settings.values import Settings, Sort

_OFF = "provider off"
_PROBE = "asked to learn how it does"


class NoCandidateError(RouterError):
    """Nobody may serve this request. 400 when the request's own limits or needs are why, 503 when health is.

    `lacking`: it is a field of the request (`param`) that no model has a place for.
    """

    def __init__(
        self,
        message: str,
        excluded: Sequence[Excluded],
        *,
        status: int,
        param: str | None = None,
        lacking: bool = False,
    ) -> None:
        code = "unsupported_parameter" if lacking else "no_candidate"
        super().__init__(message, param=param, code=code if status == 400 else "upstream_unavailable")
        self.excluded = tuple(excluded)
        self.status_code = status


class AllBlockedError(RouterError):
    """Every candidate is rate limited; `retry_after_s` is when the first of them is free again."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"

    def __init__(self, excluded: Sequence[Excluded]) -> None:
        self.retry_after_s = min(entry.blocked_s for entry in excluded if entry.blocked_s > 0)
        super().__init__(f"every upstream for this model is rate limited; retry in {self.retry_after_s:.1f} s")
        self.excluded = tuple(excluded)


class Planner:
    """Holds what does not change between requests: settings, compiled rules, and what health has learned."""

    def __init__(
        self,
        settings: Settings,
        rules: CompiledRules,
        health: Health,
        serving: Mapping[Kind, Collection[str]] | None = None,
    ) -> None:
        """`serving` names the providers that can serve each kind; None: all of them can."""
        self._routing = routing = settings.routing
        self._unlimited = {  # by whether it is a stream
            False: Patience(routing.deadline_s),
            True: Patience(routing.deadline_s, routing.ttft_timeout_s),
        }
        self._health = health
        self._weigher = Weigher(health)
        self._resolver = Resolver(settings, rules, health.tiers, serving)

    def plan(self, features: Features, directives: Directives, now: float, day: date, *, full: bool = False) -> Plan:
        """The whole plan for one request.

        Fallbacks are looked at only while candidates are missing, unless `full` wants every target judged: the
        candidates are the same. Raises UnknownModelError (404), NoCandidateError (400: no target can or may; 503: none
        is healthy) and AllBlockedError (429, with the true wait).
        """
        routing = self._routing
        attempts = routing.attempts if directives.allow_fallbacks else 1
        judge_all = full or bool(directives.order)
        last = self._health.conversations.last(features.conversation, now) if features.conversation else None
        ask = Ask.of(features, directives, last, now, day)
        patience = self._patience(features)
        long = may_be_tight(features)
        trail = Trail(features, directives, now, text_only=ask.text_only)
        warnings = trail.warnings
        groups: list[Group] = []
        usable: list[Option] = []
        excluded: list[Excluded] = []
        missing, mode = attempts, routing.stream_mode
        for found in self._resolver.groups(trail):
            group = found if found.ends is None else self._resolver.on(day, found, warnings)
            if features.kind == "embedding":
                group = _in_one_space(group, groups)
            if not groups:
                mode = directives.stream_mode or group.stream_mode or routing.stream_mode
                if mode == "buffered" and features.stream:
                    features = replace(features, stream=False)  # whose caller waits for the whole of it
                    ask = ask.having(features)
            groups.append(group)
            options, all_well = self._weigher.weigh(group, ask, usable, excluded, None if judge_all else missing)
            found_order = ordered(options, directives.sort or group.sort, features.affinity, last)
            if all_well:
                usable += found_order
                missing -= len(options)
            else:
                usable += _late_starters_last(found_order)
                missing -= sum(option.comes_first for option in options)
            if missing <= 0 and not judge_all and not (long and is_tight(usable, features)):
                break
        first = groups[0]
        probe = None
        if len(usable) > 1 and self._health.may_probe(first.route, now) and _explores(first, directives):
            probe = self._probe(first, usable, ask)
            if probe is not None:
                usable = [probe, *(option for option in usable if option is not probe)]
        if directives.order:
            usable = by_caller(usable, directives.order)
        healthy = usable
        if missing > attempts - len(usable):  # health would rather not ask some of them, or some have no room
            healthy = [option for option in usable if not option.last_resort]
            healthy.sort(key=lambda option: option.standing.full)
        if usable and not healthy:  # the last candidate is never shut out: least bad goes
            healthy = [min(usable, key=lambda option: option.standing.blocked_s > 0)]
            warnings.append("health=last resort")
        if not healthy:
            raise _refusal(features, directives, excluded)
        chosen = with_room(healthy, attempts, features) if long else healthy[:attempts]
        candidates = [option.candidate(_PROBE if option is probe else "") for option in chosen]
        tiering = trail.tiering
        if directives.cost_quality is not None and tiering is None:
            warnings.append("router.cost_quality=ignored")
        if len(healthy) < len(usable):
            excluded += [option.excluded(option.reason()) for option in usable if option not in healthy]
        return Plan(
            model=features.model,
            kind=features.kind,
            candidates=_with_retry(candidates, features, routing.attempts),
            excluded=tuple(excluded),
            reason=_explain(groups, healthy[0], candidates[0].prediction.total_ms, directives.sort, tiering),
            attempts=attempts,
            deadline_s=min(patience.whole_s, (directives.deadline_ms or math.inf) / 1000),
            patience=patience,
            stream_mode=mode,
            failover=routing.failover,
            warnings=tuple(dict.fromkeys(warnings)) if warnings else (),
            hedged=routing.hedge.enabled and features.kind == "chat" and len(healthy) > 1,
            tiering=tiering,
        )

    def stronger(
        self, plan: Plan, than: Candidate, features: Features, directives: Directives, now: float, day: date
    ) -> tuple[Candidate, ...]:
        """The best healthy candidate of each tier above that of `than`, from the next one up; none above a fallback."""
        tiering = plan.tiering
        if tiering is None or than.tier < 0 or not directives.allow_fallbacks:
            return ()
        ask = Ask.of(features, directives, None, now, day)
        trail = Trail(features, directives, now, text_only=ask.text_only)
        found: list[Candidate] = []
        for tier in range(than.tier + 1, tiering.limit + 1):
            group = self._resolver.on(day, self._resolver.tier(tiering, tier, trail), trail.warnings)
            if (group.route, group.effort) == (than.route, than.effort):  # the caller's own thinking makes them one
                continue
            options, _ = self._weigher.weigh(group, ask, [], [], None)
            best = ordered(options, directives.sort or group.sort, features.affinity)
            found += [option.candidate() for option in best if not option.last_resort][:1]
        return tuple(found)

    def _probe(self, group: Group, usable: list[Option], ask: Ask) -> Option | None:
        """The target of the group in front that is due to be learned of, if one is.

        Fallbacks are none of it: a plan that needs none does not look at them, a dry run does.
        """
        own = [option for option in usable if option.group.route == group.route]
        probe = probes.due(own, ask.now, priced=(ask.directives.sort or group.sort) == "cost")
        if probe is None:
            self._health.no_probe_due(group.route, ask.now)
        return probe

    def _patience(self, features: Features) -> Patience:
        routing = self._routing
        if features.kind == "image":
            return Patience(routing.image_deadline_s)
        if not features.max_tokens:
            return self._unlimited[features.stream]
        return Patience(routing.deadline_s, routing.ttft_timeout_s if features.stream else None, features.max_tokens)


def _late_starters_last(options: list[Option]) -> list[Option]:
    """In the same order, but those that come back by degrees and are not to have this request after the others."""
    if not any(option.standing.starting for option in options):
        return options
    return sorted(options, key=lambda option: option.standing.starting)


def _explores(group: Group, directives: Directives) -> bool:
    """Whether the order of targets is the router's to find, so that it may spend a request on finding it."""
    return (directives.sort or group.sort) in ("cost", "latency") and directives.allow_fallbacks


def _refusal(features: Features, directives: Directives, excluded: list[Excluded]) -> RouterError:
    """Why nobody is left, as the error the caller can act on."""
    if any(entry.blocked_s > 0 for entry in excluded):
        return AllBlockedError(excluded)
    reasons = "; ".join(f"{entry.name}: {entry.reason}" for entry in excluded) or "no targets"
    if all(entry.reason.startswith(_OFF) for entry in excluded):
        return NoCandidateError(f"no upstream for '{shown(features.model)}' is configured", excluded, status=503)
    message = f"no upstream can serve this request with these limits ({reasons})"
    nearest, field = nearest_feasible(excluded, features, directives)
    if nearest:
        message = f"{message}. Nearest feasible: {nearest}"
    able = [entry for entry in excluded if not entry.reason.startswith(_OFF)]
    lacking = features.kind == "image" and all(entry.param for entry in able)
    param = field or limiting_field(directives, excluded)
    return NoCandidateError(message, excluded, status=400, param=param, lacking=lacking)


def _in_one_space(group: Group, earlier: Sequence[Group]) -> Group:
    """The group, bound to the vector space of the first target that may make vectors, whatever that one's health.

    It must never change: vectors of different models cannot be compared.
    """
    space = next((other.space for other in earlier if other.space), "")
    if not space:
        able = (target.info for target in group.targets if target.info.kind == "embedding" or not target.info.known)
        space = next((vector_space(info) for info in able), "")
    return replace(group, space=space)


def _with_retry(candidates: Sequence[Candidate], features: Features, attempts: int) -> tuple[Candidate, ...]:
    """A sole candidate is listed twice: one retry on the same target. Pictures cost too much for that."""
    if len(candidates) == 1 and attempts > 1 and features.kind != "image":
        return (*candidates, replace(candidates[0], retry=True))
    return tuple(candidates)


def _explain(
    groups: Sequence[Group], first: Option, total_ms: float, sort: Sort | None, tiering: Tiering | None
) -> str:
    """How the model asked for led to the first candidate, which is to take `total_ms`, in one line."""
    group, target = groups[0], first.row.target
    path = group.reason
    if tiering is not None:
        path = f"{tiering.reason}; {path}" if path else tiering.reason
    if first.group.route != group.route:
        group = next(other for other in groups if other.route == first.group.route)
        path = " ".join(dict.fromkeys(part for part in (path, group.reason) if part))
    # a float: formatting a Decimal costs ten times as much, and six digits are not money but a reason
    price = "unknown" if first.pico_usd == math.inf else f"${first.pico_usd / PICO_USD:.6f}"
    choice = f"{sort or group.sort}: {target.provider}/{target.model} about {price} {total_ms:.0f} ms"
    return f"{path}; {choice}" if path else choice
