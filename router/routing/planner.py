"""Who is asked, in which order: a pure function of the request, the settings and what has been learned.

The same function serves the live path and the dry run. No clock, no I/O, no randomness: `now` and `day` are
arguments, and choices among equals use `features.affinity`.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from providers.catalogue import Kind, vector_space
from router.errors import RouterError
from router.routing import cost, probes
from router.routing.capability import wants_text_only
from router.routing.failover import is_tight, with_room
from router.routing.filters import disallowed, limiting_field, nearest_feasible, over_limit
from router.routing.health import Health
from router.routing.ladder import Tiering
from router.routing.latency import prompt_factor
from router.routing.ordering import by_caller, ordered
from router.routing.output_length import Outlook
from router.routing.plan import Candidate, Directives, Excluded, Features, Patience, Plan
from router.routing.resolve import Group, Resolver, Target, Trail, shown
from router.routing.rules import CompiledRules
from router.routing.state import SLOW_START_S, TargetState
from router.routing.token_ratio import MOST
from router.routing.warm_cache import Last
from router.settings.values import Settings, Sort, StreamMode

_NOT_WRITTEN = (0.0, 0.0)  # of pictures and vectors no tokens are expected

_OFF = "provider off"


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


class _Asked(Struct, frozen=True, gc=False):
    """A request as every target is judged for it: what is worked out once.

    `limited`: the caller set a limit on cost or time. `last`: who served the conversation before. `prompt_factor` see
    `LatencyModel.predict`.
    """

    features: Features
    directives: Directives
    limited: bool
    text_only: bool
    last: Last | None
    prompt_factor: float
    now: float
    day: date


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
        self._routing = settings.routing
        self._health = health
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
        asked = self._ask(features, directives, last, now, day)
        patience = self._patience(features)
        trail = Trail(features, directives, now)
        warnings = trail.warnings
        groups: list[Group] = []
        usable: list[Candidate] = []
        excluded: list[Excluded] = []
        seen: set[tuple[str, str]] = set()
        missing = attempts
        for found in self._resolver.groups(trail):
            group = found if found.ends is None else self._resolver.on(day, found, warnings)
            if features.kind == "embedding":
                group = _in_one_space(group, groups)
            groups.append(group)
            if len(groups) == 1 and features.stream and self._mode(directives, group) == "buffered":
                features = replace(features, stream=False)  # whose caller waits for the whole of it
                asked = replace(asked, features=features)
            candidates = self._judge(group, asked, seen, excluded, None if judge_all else missing)
            found_order = ordered(candidates, directives.sort or group.sort, group.slo, features, last)
            usable += _late_starters_last(found_order)
            for candidate in candidates:
                missing -= not (candidate.last_resort or candidate.full)
            if missing <= 0 and not judge_all and not is_tight(usable, features):
                break
        first = groups[0]
        if len(usable) > 1 and self._health.may_probe(first.route, now) and _explores(first, directives):
            usable = self._with_probe(first, usable, asked)
        if directives.order:
            usable = by_caller(usable, directives.order)
        healthy = usable
        if missing > attempts - len(usable):  # health would rather not ask some of them, or some have no room
            healthy = [candidate for candidate in usable if not candidate.last_resort]
            healthy.sort(key=lambda candidate: candidate.full)
        if usable and not healthy:  # the last candidate is never shut out: least bad goes
            healthy = [min(usable, key=lambda candidate: candidate.blocked)]
            warnings.append("health=last resort")
        if not healthy:
            raise _refusal(features, directives, excluded)
        kept = with_room(healthy, attempts, features)
        tiering = trail.tiering
        if directives.cost_quality is not None and tiering is None:
            warnings.append("router.cost_quality=ignored")
        if len(healthy) < len(usable):
            excluded += [_held_back(candidate) for candidate in usable if candidate not in healthy]
        return Plan(
            model=features.model,
            kind=features.kind,
            candidates=_with_retry(tuple(kept), features, routing.attempts),
            excluded=tuple(excluded),
            reason=_explain(groups, healthy[0], directives.sort, tiering),
            deadline_s=self._deadline_s(features, directives),
            patience=patience,
            stream_mode=self._mode(directives, groups[0]),
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
        asked, trail = self._ask(features, directives, None, now, day), Trail(features, directives, now)
        found: list[Candidate] = []
        for tier in range(than.tier + 1, tiering.limit + 1):
            group = self._resolver.on(day, self._resolver.tier(tiering, tier, trail), trail.warnings)
            if (group.route, group.effort) == (than.route, than.effort):  # the caller's own thinking makes them one
                continue
            candidates = self._judge(group, asked, set(), [], None)
            best = ordered(candidates, directives.sort or group.sort, group.slo, features)
            found += [candidate for candidate in best if not candidate.last_resort][:1]
        return tuple(found)

    @staticmethod
    def _ask(features: Features, directives: Directives, last: Last | None, now: float, day: date) -> _Asked:
        return _Asked(
            features,
            directives,
            directives.max_cost_usd is not None or directives.max_latency_ms is not None,
            wants_text_only(features),
            last,
            prompt_factor(features),
            now,
            day,
        )

    def _judge(
        self,
        group: Group,
        asked: _Asked,
        seen: set[tuple[str, str]],
        excluded: list[Excluded],
        missing: int | None,
    ) -> list[Candidate]:
        """The usable targets of a group that were not `seen` among earlier ones; the others are added to `excluded`.

        Where the configuration's order decides, those after the `missing` first good ones need not be looked at.
        """
        directives = asked.directives
        if group.effort:  # it takes longer so
            asked = replace(asked, features=replace(asked.features, reasoning_effort=group.effort))
        lazy = missing is not None and (directives.sort or group.sort) == "order"
        choosy = bool(directives.only or directives.ignore)
        longest = MOST * asked.features.prompt_tokens if asked.text_only else math.inf
        outlook = self._health.lengths.outlook(group.route, asked.features, asked.now)
        candidates: list[Candidate] = []
        for target in group.targets:
            if target.key in seen:
                continue
            if choosy or not target.chats or longest > target.info.context_tokens:
                prompt_tokens = self._health.prompt_tokens(target.provider, target.model, asked.features)
                refusal = target.unable(asked.features, prompt_tokens, group.space) or disallowed(target, directives)
                if refusal is not None:
                    excluded.append(refusal)
                    continue
            entry = self._weigh(target, group, asked, outlook)
            if isinstance(entry, Excluded):
                excluded.append(entry)
                continue
            seen.add(target.key)
            candidates.append(entry)
            if lazy and missing is not None and not entry.last_resort and not entry.full:
                missing -= 1
                if missing <= 0 and not is_tight(candidates, asked.features):
                    break
        return candidates

    def _weigh(self, target: Target, group: Group, asked: _Asked, outlook: Outlook) -> Candidate | Excluded:
        """What an able target would cost and take, and whether limits or its health keep it out."""
        features, now = asked.features, asked.now
        provider, model, info = target.provider, target.model, target.info
        length = _NOT_WRITTEN
        if features.kind == "chat":
            length = outlook.worked_out.get(model) or outlook.of(model)  # most often without a call
        if length[1] > info.max_output_tokens:
            length = (min(length[0], info.max_output_tokens), info.max_output_tokens)
        state = self._health.target(provider, model, info)
        prediction = state.latency.predict(features, length, asked.prompt_factor, now)
        prompt_tokens, cached, warm = features.prompt_tokens, 0, ""
        factor = state.tokens.factor
        if factor != 1.0:  # TokenRatio.prompt_tokens, without ten calls
            prompt_tokens = int((prompt_tokens - features.media_tokens) * factor) + features.media_tokens
        if asked.last is not None and asked.last.key == target.key:
            cached = state.cache_hits.expected(asked.last, prompt_tokens, now)
            warm = f"about {cached} tokens of the prompt in its cache" if cached else "served this conversation before"
        expected = cost.expected_cost(info, features, prompt_tokens, length[0], asked.day, cached)
        reason = over_limit(expected, prediction, features, asked.directives) if asked.limited else ""
        blocked_s, why = self._health.block(state, provider, now)
        if not reason and why == "rate limited":
            reason = f"rate limited for {blocked_s:.1f} s"
        if reason:
            return Excluded(
                provider=provider,
                model=model,
                reason=reason,
                blocked_s=blocked_s if reason.startswith("rate limited") else 0.0,
                expected_cost_usd=expected,
                prediction=prediction,
            )
        candidate = Candidate(
            provider,
            model,
            info,
            group.route,
            prediction,
            target.timeout_s,
            expected,
            target.weight,
            warm,
            tier=group.tier,
            effort=group.effort,
        )
        full = bool(state.gates) and state.is_full(now)
        if not blocked_s and not state.tripped and now - state.closed_at >= SLOW_START_S and not full:
            return candidate
        return replace(
            candidate,
            starting=not blocked_s and not state.tripped and features.affinity > state.share(now),
            reason=why or _word(state, now, full=full),
            last_resort=blocked_s > 0 or not state.may_pass(now),
            blocked=blocked_s > 0,
            full=full,
        )

    def _with_probe(self, group: Group, usable: list[Candidate], asked: _Asked) -> list[Candidate]:
        """With the target of the group in front that is due to be learned of, if one is.

        Fallbacks are none of it: a plan that needs none does not look at them, a dry run does.
        """
        priced = (asked.directives.sort or group.sort) == "cost"
        own = [candidate for candidate in usable if candidate.route == group.route]
        probe = probes.due(own, self._health, asked.features, asked.now, priced=priced)
        if probe is None:
            self._health.no_probe_due(group.route, asked.now)
            return usable
        reason = probe.reason or "asked to learn how it does"
        rest = [candidate for candidate in usable if candidate is not probe]
        return [replace(probe, probe=True, reason=reason), *rest]

    def _patience(self, features: Features) -> Patience:
        routing = self._routing
        if features.kind == "image":
            return Patience(routing.image_deadline_s)
        return Patience(routing.deadline_s, routing.ttft_timeout_s if features.stream else None, features.max_tokens)

    def _mode(self, directives: Directives, first: Group) -> StreamMode:
        return directives.stream_mode or first.stream_mode or self._routing.stream_mode

    def _deadline_s(self, features: Features, directives: Directives) -> float:
        longest = self._routing.image_deadline_s if features.kind == "image" else self._routing.deadline_s
        return min(longest, directives.deadline_ms / 1000) if directives.deadline_ms else longest


def _word(state: TargetState, now: float, *, full: bool) -> str:
    """Why a target that is not blocked is not asked like any other."""
    found = state.breaker(now)
    if full and found == "closed":
        return "at its concurrency limit"
    return "comes back by degrees" if found == "closed" else f"circuit breaker {found.replace('_', '-')}"


def _late_starters_last(candidates: list[Candidate]) -> list[Candidate]:
    """In the same order, but those that come back by degrees and are not to have this request after the others."""
    if not any(candidate.starting for candidate in candidates):
        return candidates
    return sorted(candidates, key=lambda candidate: candidate.starting)


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


def _with_retry(candidates: tuple[Candidate, ...], features: Features, attempts: int) -> tuple[Candidate, ...]:
    """A sole candidate is listed twice: one retry on the same target. Pictures cost too much for that."""
    if len(candidates) == 1 and attempts > 1 and features.kind != "image":
        return (*candidates, replace(candidates[0], retry=True))
    return candidates


def _held_back(candidate: Candidate) -> Excluded:
    return Excluded(
        provider=candidate.provider,
        model=candidate.model,
        reason=candidate.reason,
        expected_cost_usd=candidate.expected_cost_usd,
        prediction=candidate.prediction,
    )


def _explain(groups: Sequence[Group], first: Candidate, sort: Sort | None, tiering: Tiering | None) -> str:
    """How the model asked for led to the first candidate, in one line."""
    group = groups[0]
    path = group.reason
    if tiering is not None:
        path = f"{tiering.reason}; {path}" if path else tiering.reason
    if first.route != group.route:
        group = next(other for other in groups if other.route == first.route)
        path = " ".join(dict.fromkeys(part for part in (path, group.reason) if part))
    # float: formatting a Decimal costs ten times as much, and six digits are not money but a reason
    price = "unknown" if first.expected_cost_usd is None else f"${float(first.expected_cost_usd):.6f}"
    choice = f"{sort or group.sort}: {first.name} about {price} {first.prediction.total_ms:.0f} ms"
    return f"{path}; {choice}" if path else choice
