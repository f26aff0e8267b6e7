"""Who is asked, in which order: a pure function of the request, the settings and what has been learned.

The same function serves the live path and the dry run. No clock, no I/O, no randomness: `now` and `day` are
arguments, and choices among equals use `features.affinity`.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import takewhile

from msgspec import Struct
from msgspec.structs import replace

from providers.catalogue import ModelInfo, lookup
from router.errors import RouterError, UnknownModelError
from router.routing import cost
from router.routing.health import Health, capped
from router.routing.plan import Candidate, Directives, Excluded, Features, Kind, Plan, Prediction, Sort
from router.routing.rules import CompiledRules
from router.settings.names import find_alias, is_direct
from router.settings.values import Settings, Slo, TargetSettings

_MIN_STREAM_TIMEOUT_S = 10.0
_MIN_WHOLE_TIMEOUT_S = 30.0
_WHOLE_TIMEOUT_P95S = 2.0
_STREAM_TIMEOUT_P95S = 4.0  # a first token later than four times the predicted p95 is a stall
_NEAR_BEST = 1.05  # costs within 5 % of the least count as equal: weights decide there
_MAX_HOPS = 8  # through aliases, rules and `use`; settings refuse cycles, direct names cannot make one
_PLAUSIBLE = re.compile(r"[^?#% \\\x00-\x1f\x80-\U0010ffff]{1,200}")  # a name that may stand in an upstream's path


class NoCandidateError(RouterError):
    """Nobody may serve this request. 400 when the request's own limits or needs are why, 503 when health is."""

    def __init__(self, message: str, excluded: Sequence[Excluded], *, status: int, param: str | None = None) -> None:
        super().__init__(message, param=param, code="no_candidate" if status == 400 else "upstream_unavailable")
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


class Group(Struct, frozen=True):
    """Targets that compete with each other: those of one public model. Groups are asked one after the other."""

    route: str
    targets: tuple[TargetSettings, ...]
    sort: Sort
    slo: Slo
    reason: str


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
        self._settings = settings
        self._serving = serving
        self._rules = rules
        self._health = health

    def plan(self, features: Features, directives: Directives, now: float, day: date) -> Plan:
        """The whole plan for one request.

        Raises UnknownModelError (404), NoCandidateError (400: no target can or may; 503: none is healthy) and
        AllBlockedError (429, with the true wait).
        """
        groups, warnings = self._groups(features, directives)
        usable: list[Candidate] = []
        excluded: list[Excluded] = []
        seen: set[tuple[str, str]] = set()
        output_tokens = self._health.usual_output(features.model, now)
        for group in groups:
            candidates: list[Candidate] = []
            for target in group.targets:
                entry = self._consider(target, group, features, directives, output_tokens, now, day)
                if isinstance(entry, Excluded):
                    excluded.append(entry)
                elif (target.provider, target.model) not in seen:
                    seen.add((target.provider, target.model))
                    candidates.append(entry)
            usable += _ordered(candidates, directives.sort or group.sort, group.slo, features)
        usable = _caller_order(usable, directives.order)
        healthy = [candidate for candidate in usable if not candidate.last_resort]
        if usable and not healthy:  # the last candidate is never shut out: least bad goes
            healthy = [min(usable, key=lambda candidate: candidate.blocked)]
            warnings = (*warnings, "health=last resort")
        if not healthy:
            raise self._refusal(features, directives, excluded)
        if len(healthy) < len(usable):
            excluded += [_held_back(candidate) for candidate in usable if candidate not in healthy]
        routing = self._settings.routing
        chosen = healthy[: routing.attempts if directives.allow_fallbacks else 1]
        return Plan(
            model=features.model,
            kind=features.kind,
            candidates=_with_retry(tuple(chosen), features, routing.attempts),
            excluded=tuple(excluded),
            reason=_explain(groups, chosen[0], directives.sort),
            deadline_s=self._deadline_s(features, directives),
            stream_mode=directives.stream_mode or routing.stream_mode,
            warnings=warnings,
        )

    def _groups(self, features: Features, directives: Directives) -> tuple[list[Group], tuple[str, ...]]:
        warnings: list[str] = []
        group = self._resolve(features.model, features, [], warnings)
        groups = [group]
        if directives.allow_fallbacks:
            own = self._settings.models.get(group.route)
            names = (*directives.fallbacks, *(own.fallbacks if own else ()))
            groups += [self._resolve(name, features, [f"fallback {name}"], warnings) for name in names]
        return groups, tuple(dict.fromkeys(warnings))

    def _resolve(self, name: str, features: Features, reasons: list[str], warnings: list[str]) -> Group:
        """Follow aliases, rules and `use` to targets, noting each step."""
        settings = self._settings
        sort: Sort | None = None
        for _ in range(_MAX_HOPS):
            model = settings.models.get(name)
            if model is None:
                alias = _alias_of(name, settings)
                if alias is not None:
                    reasons.append(f"alias {name}->{alias}")
                    warnings.append(f"model={name} is served by {alias}")
                    name = alias
                    continue
                targets = self._direct(name, asked=name == features.model)
                return Group(name, targets, sort or "cost", Slo(), " ".join((*reasons, f"direct {name}")))
            rule = self._rules.first_match(name, features.variables()) if model.rules else None
            if rule is not None:
                reasons.append(f"rule {model.rules.index(rule) + 1} of {name}->{rule.use}")
                sort = rule.sort or sort
                name = rule.use
            elif model.use is not None:
                reasons.append(f"{name}->{model.use}")
                name = model.use
            else:
                return Group(name, model.targets, sort or model.sort, model.slo, " ".join(reasons))
        raise UnknownModelError(f"the model '{features.model}' leads in a circle")

    def _direct(self, name: str, *, asked: bool) -> tuple[TargetSettings, ...]:
        """The targets of a name that is no model. `asked`: the client sent this name itself.

        To a client a provider without a key does not exist; one that only the configuration leads to is excluded later.
        """
        listed = self._settings.catalogue_targets.get(name)
        if listed:
            return listed
        provider, slash, upstream_model = name.partition("/")
        known = self._settings.providers.get(provider)
        if slash and known is not None and (known.enabled or not asked) and _plausible(upstream_model):
            return (TargetSettings(provider=provider, model=upstream_model),)
        raise UnknownModelError(f"The model '{_shown(name)}' does not exist or you do not have access to it.")

    def _consider(
        self,
        target: TargetSettings,
        group: Group,
        features: Features,
        directives: Directives,
        output_tokens: float,
        now: float,
        day: date,
    ) -> Candidate | Excluded:
        """`output_tokens` is how long an answer of this route usually is."""
        provider = self._settings.providers[target.provider]
        info = lookup(self._settings.catalogue, target.provider, target.model)
        if not provider.enabled:
            return Excluded(provider=target.provider, model=target.model, reason=f"provider off: {provider.off_reason}")
        if self._serving is not None and target.provider not in self._serving[features.kind]:
            return Excluded(
                provider=target.provider,
                model=target.model,
                reason=f"{provider.type} providers serve no {features.kind}",
            )
        reason = _incapable(info, features) or _disallowed(target, directives)
        if reason:
            return Excluded(provider=target.provider, model=target.model, reason=reason)
        tokens = capped(output_tokens, features, info)
        state = self._health.target(target.provider, target.model, info)
        prediction = state.latency.predict(features, tokens, now)
        expected = cost.expected_cost(info, features, tokens, day)
        reason = _over_limit(expected, prediction, features, directives)
        blocked_s, why = self._health.blocked_s(target.provider, target.model, info, now)
        if not reason and why == "rate limited":
            reason = f"rate limited for {blocked_s:.1f} s"
        if reason:
            return Excluded(
                provider=target.provider,
                model=target.model,
                reason=reason,
                blocked_s=blocked_s if reason.startswith("rate limited") else 0.0,
                expected_cost_usd=expected,
                prediction=prediction,
            )
        breaker, may_pass = state.breaker(now), state.may_pass(now)
        return Candidate(
            provider=target.provider,
            model=target.model,
            info=info,
            route=group.route,
            timeout_s=self._timeout_s(target, features, prediction),
            prediction=prediction,
            expected_cost_usd=expected,
            weight=target.weight,
            reason=why or (f"circuit breaker {breaker.replace('_', '-')}" if breaker != "closed" else ""),
            last_resort=bool(why) or not may_pass,
            blocked=bool(why),
        )

    def _timeout_s(self, target: TargetSettings, features: Features, prediction: Prediction) -> float:
        """How long one attempt may wait: for a stream's first content, or for a whole answer."""
        if target.timeout_s is not None:
            return target.timeout_s
        routing = self._settings.routing
        if features.kind == "image":
            return routing.image_deadline_s
        if features.stream:
            stalled_s = _STREAM_TIMEOUT_P95S * prediction.ttft_p95_ms / 1000
            return min(routing.ttft_timeout_s, max(_MIN_STREAM_TIMEOUT_S, stalled_s))
        if features.max_tokens:  # the longest answer it may be, with as much again to spare
            longest_s = (prediction.ttft_p95_ms + features.max_tokens * prediction.tpot_p95_ms) / 1000
            return min(routing.deadline_s, max(_MIN_WHOLE_TIMEOUT_S, _WHOLE_TIMEOUT_P95S * longest_s))
        return routing.deadline_s

    def _deadline_s(self, features: Features, directives: Directives) -> float:
        routing = self._settings.routing
        longest = routing.image_deadline_s if features.kind == "image" else routing.deadline_s
        return min(longest, directives.deadline_ms / 1000) if directives.deadline_ms else longest

    def _refusal(self, features: Features, directives: Directives, excluded: list[Excluded]) -> RouterError:
        """Why nobody is left, as the error the caller can act on."""
        if any(entry.blocked_s > 0 for entry in excluded):
            return AllBlockedError(excluded)
        reasons = "; ".join(f"{entry.name}: {entry.reason}" for entry in excluded) or "no targets"
        if all(entry.reason.startswith("provider off") for entry in excluded):
            return NoCandidateError(f"no upstream for '{_shown(features.model)}' is configured", excluded, status=503)
        message = f"no upstream can serve this request with these limits ({reasons})"
        nearest = _nearest(excluded, features, directives)
        if nearest:
            message = f"{message}. Nearest feasible: {nearest}"
        return NoCandidateError(message, excluded, status=400, param=_limiting_field(directives, excluded))


def _alias_of(name: str, settings: Settings) -> str | None:
    """What an alias stands for; a name that is served as it is needs no glob."""
    alias = settings.aliases.get(name)
    if alias is None and name not in settings.catalogue_targets and not is_direct(settings, name):
        alias = find_alias(settings.aliases, name)
    return None if alias is None else alias.to


def _plausible(model: str) -> bool:
    return _PLAUSIBLE.fullmatch(model) is not None and ".." not in model


def _shown(name: str) -> str:
    """At most 64 printable characters of what the client sent."""
    return "".join(char if char.isprintable() else "?" for char in name[:64])


def _incapable(info: ModelInfo, features: Features) -> str:
    """What the request needs and the model lacks; empty when nothing."""
    if features.kind != info.kind and info.known and not (features.kind == "chat" and info.kind == "image"):
        return f"is a {info.kind} model"
    if features.kind == "image":
        return _incapable_of_image(info, features)
    if info.kind == "image" and "text" not in info.outputs:
        return "does not chat"
    for wanted, needed in (
        ("image", features.images),
        ("audio", features.audio),
        ("file", features.files),
    ):
        if needed and wanted not in info.inputs:
            return f"takes no {wanted} input"
    if features.image_out and info.known and "image" not in info.outputs:
        return "makes no pictures"
    if features.audio_out and info.known and "audio" not in info.outputs:
        return "makes no audio"
    if features.tools and not info.tools:
        return "has no tools"
    if features.json_schema and not info.json_schema:
        return "has no JSON schema output"
    if features.json_schema and features.tools and not info.tools_with_json:
        return "cannot combine tools with a JSON schema"
    if features.prompt_tokens > info.context_tokens:
        return f"holds {info.context_tokens} tokens, the prompt has about {features.prompt_tokens}"
    return ""


def _incapable_of_image(info: ModelInfo, features: Features) -> str:
    image = info.image
    if image is None:
        return "" if not info.known else "makes no pictures"
    if features.images > image.references and features.edit:
        return f"takes at most {image.references} reference pictures"
    if features.mask and not image.mask:
        return "takes no mask"
    if features.transparent and not image.transparent:
        return "has no transparent background"
    return f"makes at most {image.max_n} pictures a request" if features.n > image.max_n else ""


def _disallowed(target: TargetSettings, directives: Directives) -> str:
    if not directives.only and not directives.ignore:
        return ""
    names = (target.provider, target.name, target.model)
    if directives.only and not any(name in directives.only for name in names):
        return "not among the caller's `only`"
    if any(name in directives.ignore for name in names):
        return "among the caller's `ignore`"
    return ""


def _over_limit(expected: Decimal | None, prediction: Prediction, features: Features, directives: Directives) -> str:
    limit = directives.max_cost_usd
    if limit is not None:
        if expected is None:
            return "its price is unknown, so max_cost_usd cannot be kept"
        if expected > limit:
            return f"expected to cost ${expected:.6f}, above max_cost_usd ${limit:.6f}"
    if directives.max_latency_ms is not None:
        wait = _wait_ms(prediction, features)
        if wait > directives.max_latency_ms:
            return f"expected to take {wait:.0f} ms, above max_latency_ms {directives.max_latency_ms:.0f}"
    return ""


def _limiting_field(directives: Directives, excluded: Sequence[Excluded]) -> str | None:
    if directives.max_cost_usd is not None and any("max_cost_usd" in entry.reason for entry in excluded):
        return "router.max_cost_usd"
    if directives.max_latency_ms is not None and any("max_latency_ms" in entry.reason for entry in excluded):
        return "router.max_latency_ms"
    return "model"


def _nearest(excluded: Sequence[Excluded], features: Features, directives: Directives) -> str:
    """The excluded target that comes closest to the caller's limit, with the limit that would admit it."""
    if directives.max_cost_usd is not None:
        priced = [
            (entry.expected_cost_usd, entry.name)
            for entry in excluded
            if entry.expected_cost_usd is not None and "max_cost_usd" in entry.reason
        ]
        if priced:
            price, name = min(priced)
            return f"{name} at about ${price:.6f}"
    if directives.max_latency_ms is not None:
        timed = [(_wait_ms(entry.prediction, features), entry.name) for entry in excluded if entry.prediction]
        if timed:
            wait, name = min(timed)
            return f"{name} at about {wait:.0f} ms"
    return ""


def _ordered(candidates: list[Candidate], sort: Sort, slo: Slo, features: Features) -> list[Candidate]:
    """Best first by `sort`; equals keep the order of the configuration."""
    match sort:
        case "order":
            return candidates
        case "quality":
            return sorted(candidates, key=lambda c: (-c.info.quality, _money(c)))
        case "latency":
            return sorted(candidates, key=lambda c: _wait_ms(c.prediction, features))
        case "weighted":
            return list(_weighted(candidates, [c.weight for c in candidates], features.affinity))
        case "cost":
            return _cheapest_first(candidates, slo, features)


def _cheapest_first(candidates: list[Candidate], slo: Slo, features: Features) -> list[Candidate]:
    """Those predicted to keep the SLO by cost, then the others by latency; an unknown price comes last."""
    keeping: list[Candidate] = []
    missing: list[Candidate] = []
    for candidate in candidates:
        (keeping if _keeps(candidate.prediction, slo, features) else missing).append(candidate)
    keeping.sort(key=_money)
    missing.sort(key=lambda c: _wait_ms(c.prediction, features))
    if keeping and keeping[0].expected_cost_usd is not None:
        most = _money(keeping[0]) * _NEAR_BEST
        near = list(takewhile(lambda c: _money(c) <= most, keeping))
        if any(c.weight != 1.0 for c in near):
            keeping = [*_weighted(near, [c.weight for c in near], features.affinity), *keeping[len(near) :]]
    return keeping + missing


def _keeps(prediction: Prediction, slo: Slo, features: Features) -> bool:
    first_ok = slo.ttft_p95_ms is None or not features.stream or prediction.ttft_p95_ms <= slo.ttft_p95_ms
    return first_ok and (slo.total_p95_ms is None or prediction.total_p95_ms <= slo.total_p95_ms)


def _money(candidate: Candidate) -> float:
    return math.inf if candidate.expected_cost_usd is None else float(candidate.expected_cost_usd)


def _wait_ms(prediction: Prediction, features: Features) -> float:
    """What the caller waits for: a stream's first content, or the whole answer."""
    return prediction.ttft_ms if features.stream else prediction.total_ms


def _weighted(candidates: Sequence[Candidate], weights: Sequence[float], u: float) -> Iterator[Candidate]:
    """A draw without replacement by weight; `u` in [0, 1) decides all of it, so equal requests draw equally.

    Weight 0 comes last: no share of the traffic, but still somebody to fail over to.
    """
    left = [pair for pair in zip(candidates, weights, strict=True) if pair[1] > 0]
    while left:
        total = sum(weight for _, weight in left)
        mark = u * total
        for position, (candidate, weight) in enumerate(left):
            if mark < weight or position == len(left) - 1:
                yield candidate
                u = min(max(mark / weight, 0.0), 1 - 1e-9)  # what is left of u within this share is uniform again
                del left[position]
                break
            mark -= weight
    yield from (candidate for candidate, weight in zip(candidates, weights, strict=True) if weight <= 0)


def _caller_order(candidates: list[Candidate], order: Sequence[str]) -> list[Candidate]:
    if not order:
        return candidates

    def rank(candidate: Candidate) -> int:
        names = (candidate.name, candidate.model, candidate.provider)
        return min((order.index(name) for name in names if name in order), default=len(order))

    return sorted(candidates, key=rank)


def _with_retry(candidates: tuple[Candidate, ...], features: Features, attempts: int) -> tuple[Candidate, ...]:
    """A sole candidate is listed twice: one retry on the same target. Pictures cost too much for that."""
    if len(candidates) == 1 and attempts > 1 and features.kind == "chat":
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


def _explain(groups: Sequence[Group], first: Candidate, sort: Sort | None) -> str:
    group = next((group for group in groups if group.route == first.route), groups[0])
    path = " ".join(dict.fromkeys(part for part in (groups[0].reason, group.reason) if part))
    price = "unknown" if first.expected_cost_usd is None else f"${first.expected_cost_usd:.6f}"
    choice = f"{sort or group.sort}: {first.name} about {price} {first.prediction.total_ms:.0f} ms"
    return f"{path}; {choice}" if path else choice
