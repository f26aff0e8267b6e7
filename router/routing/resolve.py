"""From the name a client sent to targets: aliases, rules, `use`, fallbacks, direct targets, each step noted."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from itertools import chain
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from providers.catalogue import Kind, ModelInfo, lookup
from router.errors import UnknownModelError
from router.routing.capability import find_unfit
from router.routing.ladder import Tiering
from router.routing.plan import Directives, Excluded, Features
from router.routing.rules import CompiledRules
from router.routing.tiers import TierMemory, decide
from router.settings.names import find_alias, is_direct
from router.settings.values import ModelSettings, Settings, Slo, Sort, StreamMode, TargetSettings, TierSettings

_MAX_NAMED = 1000  # clients must not make it grow without end
_MAX_HOPS = 8  # through aliases, rules and `use`; settings refuse cycles, direct names cannot make one
_Because = Literal["", "fallback"]  # why a name is looked up: it was asked for, or those before may not do
_PLAUSIBLE = re.compile(r"[^?#% \\\x00-\x1f\x80-\U0010ffff]{1,200}")  # a name that may stand in an upstream's path


class Target(Struct, frozen=True, kw_only=True, gc=False):
    """An upstream model with all that does not change between requests.

    `refusals` says why its provider cannot serve a kind of request, for each that it cannot. `chats`: nothing but the
    length of a prompt keeps it from answering text with text.
    """

    provider: str
    model: str
    key: tuple[str, str]
    info: ModelInfo
    chats: bool
    refusals: Mapping[Kind, Excluded]
    weight: float
    timeout_s: float | None

    def unable(self, features: Features, prompt_tokens: int, space: str = "") -> Excluded | None:
        """Why it can never serve such a request, if it cannot.

        `prompt_tokens` is how many its model counts, `space` the one that vectors must lie in, if any.
        """
        refusal = self.refusals.get(features.kind)
        if refusal is not None:
            return refusal
        unfit = find_unfit(self.info, features, prompt_tokens, space)
        if unfit is None:
            return None
        return Excluded(provider=self.provider, model=self.model, reason=unfit.reason, param=unfit.param)


class Group(Struct, frozen=True, gc=False):
    """Targets that compete with each other: those of one public model. Groups are asked one after the other.

    `holds`: so many tokens of text, prompt and answer, one of them can hold; -1 where none answers text with text.
    `first_ms` and `total_ms` are what first tokens and whole answers keep 19 times in 20, inf if nothing is said.
    `space` is the vector space that an embedding request's answer must lie in; "" for other requests. `ends` is the
    first day on which another model takes the place of one of them, None: none is known to end. `stream_mode` is what
    the first of the models on the way says that says any. `tier` is the place in the ladder that was met first on the
    way from the model asked for, -1 for none, `effort` what that tier has them asked for.
    """

    route: str
    targets: tuple[Target, ...]
    sort: Sort
    first_ms: float
    total_ms: float
    reason: str
    space: str = ""
    holds: int = -1
    ends: date | None = None
    stream_mode: StreamMode | None = None
    tier: int = -1
    effort: str = ""


class Trail:
    """One request on its way to targets, as of `now`, and what is noted on the way.

    `text_only` see `wants_text_only`. `tierings` are the decisions of the ladders that it met, by model; `tiering` is
    the one that counts.
    """

    __slots__ = ("directives", "features", "now", "text_only", "tiering", "tierings", "warnings")

    def __init__(self, features: Features, directives: Directives, now: float, *, text_only: bool) -> None:
        self.features = features
        self.directives = directives
        self.now = now
        self.text_only = text_only
        self.warnings: list[str] = []
        self.tierings: dict[str, Tiering] = {}
        self.tiering: Tiering | None = None


class _Walked(Struct, frozen=True, gc=False):
    """Where a name led. `depends`: rules or tiers on the way, other than its own, had to look at the request.

    `ladder` is the first model on the way whose tiers decided, "" for none.
    """

    group: Group
    warnings: tuple[str, ...]
    depends: bool
    ladder: str


class _Succeeded(Struct, frozen=True, gc=False):
    """A group's targets on one day, ended ones replaced, and the warnings that say so."""

    group: Group
    day: date
    targets: tuple[Target, ...]
    warnings: tuple[str, ...]


class Resolver:
    """Finds the groups of a request. `serving` names the providers that can serve each kind; None: all of them can.

    `memory` knows what tiers conversations had.
    """

    def __init__(
        self,
        settings: Settings,
        rules: CompiledRules,
        memory: TierMemory,
        serving: Mapping[Kind, Collection[str]] | None,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._memory = memory
        self._serving = serving
        # for configured names only: clients cannot make it grow
        self._walked: dict[tuple[str, int | None, int, bool, _Because], _Walked] = {}
        self._fixed: dict[_Because, dict[str, _Walked]] = {"": {}, "fallback": {}}  # no request leads them elsewhere
        self._succeeded: dict[str, _Succeeded] = {}
        self._named: dict[str, tuple[Target, ...]] = {}  # direct targets that clients asked for
        self._targets = {
            name: tuple(self._target(target) for target in targets)
            for name, targets in (
                *((name, model.targets) for name, model in settings.models.items()),
                *settings.catalogue_targets.items(),
            )
        }

    def groups(self, trail: Trail) -> Iterable[Group]:
        """The targets of the model asked for, then those of each fallback: the caller's first, then the model's.

        Notes in `trail` what was served under another name, and what a ladder decided. Raises UnknownModelError.
        """
        walked = self._found(trail.features.model, trail, "")
        if walked.warnings:
            trail.warnings += walked.warnings
        group = walked.group
        trail.tiering = trail.tierings.get(walked.ladder) if walked.ladder else None
        if not trail.directives.allow_fallbacks:
            return (group,)
        # the caller's names are looked up at once: a wrong one is an error even when nobody needs it
        wanted = [self._fallback(name, trail) for name in trail.directives.fallbacks]
        own = self._settings.models.get(group.route)
        if own is None or not own.fallbacks:
            return (group, *wanted)
        return chain((group, *wanted), (self._fallback(name, trail) for name in own.fallbacks))

    def tier(self, tiering: Tiering, tier: int, trail: Trail) -> Group:
        """The targets of one tier of a ladder, whatever the ladder has decided."""
        rung = tiering.tiers[tier]
        group = self._found(rung.use, trail, "").group
        effort = "" if trail.features.own_thinking else rung.reasoning_effort
        return replace(group, tier=tier, effort=effort)

    def on(self, day: date, group: Group, warnings: list[str]) -> Group:
        """The group as of `day` (UTC): a model that has ended is asked no more, its successor is, at the same provider.

        Notes it in `warnings`. Whoever still answers to the old name does so with another model at another price.
        """
        if group.ends is None or day < group.ends:
            return group
        succeeded = self._succeeded.get(group.route)
        if succeeded is None or succeeded.group.targets is not group.targets or succeeded.day != day:
            if len(self._succeeded) >= _MAX_NAMED:
                self._succeeded.clear()
            succeeded = self._succeeded[group.route] = self._on(day, group)
        warnings += succeeded.warnings
        return replace(group, targets=succeeded.targets)

    def _on(self, day: date, group: Group) -> _Succeeded:
        """The same, looked up anew."""
        targets = tuple([self._current(target, day) for target in group.targets])
        notes = [
            f"model={target.model} is served by {current.model}"
            for target, current in zip(group.targets, targets, strict=True)
            if current is not target
        ]
        return _Succeeded(group, day, targets, tuple(notes))

    def _current(self, target: Target, day: date) -> Target:
        for _ in range(_MAX_HOPS):
            ends = _end(target.info)
            if ends is None or day < ends:
                break
            target = self._target(
                TargetSettings(
                    provider=target.provider,
                    model=str(target.info.successor),
                    weight=target.weight,
                    timeout_s=target.timeout_s,
                )
            )
        return target

    def _fallback(self, name: str, trail: Trail) -> Group:
        """The targets of a fallback; what was served under another name is noted."""
        walked = self._found(name, trail, "fallback")
        if walked.warnings:
            trail.warnings += walked.warnings
        return walked.group

    def _found(self, name: str, trail: Trail, because: _Because) -> _Walked:
        """Where `name` leads. Where only its own rules and tiers depend on the request, the way is walked once."""
        walked = self._fixed[because].get(name)
        if walked is not None:
            return walked
        model = self._settings.models.get(name)
        if model is None:
            walked, fixed = self._walk(name, trail, because), self._fixed[because]
            if len(fixed) < _MAX_NAMED and not walked.depends and self._is_served(walked.group):
                fixed[name] = walked
            return walked
        place = self._rules.first_match(name, trail.features) if model.rules else None
        tier = self._tier_of(model, trail) if model.tiers and place is None else -1
        key = (name, place, tier, tier >= 0 and trail.features.own_thinking, because)
        walked = self._walked.get(key)
        if walked is None:
            walked = self._walk(name, trail, because)
            if not walked.depends:
                self._walked[key] = walked
                if not model.rules and not model.tiers:
                    self._fixed[because][name] = walked
        return walked

    def _is_served(self, group: Group) -> bool:
        """Whether no provider of the group is off. One that is does not exist where a client names it."""
        return all(self._settings.providers[target.provider].enabled for target in group.targets)

    def _tier_of(self, model: ModelSettings, trail: Trail) -> int:
        """What the ladder of `model` decides for this request, once."""
        found = trail.tierings.get(model.name)
        if found is None:
            features = trail.features
            held = self._memory.held(model.name, features, trail.now) if features.thread else 0

            def obstacle(tier: TierSettings) -> str:
                return self._obstacle(tier.use, trail)

            found = trail.tierings[model.name] = decide(model, features, trail.directives.cost_quality, held, obstacle)
        return found.tier

    def _obstacle(self, name: str, trail: Trail) -> str:
        """Why no target of a tier's model can serve a request with the answer it asks for; empty when one can."""
        features, group = trail.features, self._found(name, trail, "").group
        needed = features.prompt_tokens + features.max_tokens
        if trail.text_only and needed <= group.holds:
            return ""
        reason = ""
        for target in group.targets:
            refusal = None if trail.text_only and target.chats else target.unable(features, features.prompt_tokens)
            if refusal is not None:
                reason = refusal.reason
            elif needed > target.info.context_tokens:
                reason = f"holds {target.info.context_tokens} tokens, prompt and answer may have {needed}"
            else:
                return ""
        return reason

    def _walk(self, name: str, trail: Trail, because: _Because) -> _Walked:
        """Follow aliases, rules, tiers and `use` to targets, noting each step."""
        settings, features, asked = self._settings, trail.features, name
        reasons, warnings = [f"{because} {name}"] if because else [], list[str]()
        sort: Sort | None = None
        mode: StreamMode | None = None
        ladder, tier, effort = "", -1, ""
        depends = False
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
                group = _group(name, targets, sort or "cost", Slo(), " ".join((*reasons, f"direct {name}")))
                return _Walked(
                    replace(group, stream_mode=mode, tier=tier, effort=effort), tuple(warnings), depends, ladder
                )
            mode = mode or model.stream_mode
            depends = depends or (bool(model.rules or model.tiers) and name != asked)
            place = self._rules.first_match(name, features) if model.rules else None
            if place is not None:
                rule = model.rules[place]
                reasons.append(f"rule {place + 1} of {name}->{rule.use}")
                sort = rule.sort or sort
                name = rule.use
            elif model.tiers:  # the decision itself says why
                at = self._tier_of(model, trail)
                if not ladder:
                    ladder, tier = name, -1 if because else at
                    effort = "" if features.own_thinking else model.tiers[at].reasoning_effort
                name = model.tiers[at].use
            elif model.use is not None:
                reasons.append(f"{name}->{model.use}")
                name = model.use
            else:
                group = _group(name, self._targets[name], sort or model.sort, model.slo, " ".join(reasons))
                return _Walked(
                    replace(group, stream_mode=mode, tier=tier, effort=effort), tuple(warnings), depends, ladder
                )
        raise UnknownModelError(f"the model '{features.model}' leads in a circle")

    def _direct(self, name: str, *, asked: bool) -> tuple[Target, ...]:
        """The targets of a name that is no model. `asked`: the client sent this name itself.

        To a client a provider without a key does not exist; one that only the configuration leads to is excluded later.
        """
        listed = self._targets.get(name) or self._named.get(name)
        if listed:
            return listed
        provider, slash, upstream_model = name.partition("/")
        known = self._settings.providers.get(provider)
        if slash and known is not None and (known.enabled or not asked) and _plausible(upstream_model):
            found = (self._target(TargetSettings(provider=provider, model=upstream_model)),)
            if known.enabled and len(self._named) < _MAX_NAMED:
                self._named[name] = found
            return found
        raise UnknownModelError(f"The model '{shown(name)}' does not exist or you do not have access to it.")

    def _target(self, target: TargetSettings) -> Target:
        provider = self._settings.providers[target.provider]
        refusals: dict[Kind, Excluded] = {}
        for kind in get_args(Kind):
            reason = ""
            if not provider.enabled:
                reason = f"provider off: {provider.off_reason}"
            elif self._serving is not None and target.provider not in self._serving[kind]:
                reason = f"{provider.type} providers serve no {kind}"
            if reason:
                refusals[kind] = Excluded(provider=target.provider, model=target.model, reason=reason)
        info = lookup(self._settings.catalogue, target.provider, target.model)
        return Target(
            provider=target.provider,
            model=target.model,
            key=(target.provider, target.model),
            info=info,
            chats=info.kind == "chat" and "text" in info.outputs and "chat" not in refusals,
            refusals=refusals,
            weight=target.weight,
            timeout_s=target.timeout_s,
        )


def _group(route: str, targets: tuple[Target, ...], sort: Sort, slo: Slo, reason: str) -> Group:
    ends = [end for target in targets if (end := _end(target.info)) is not None]
    first_ms = math.inf if slo.ttft_p95_ms is None else float(slo.ttft_p95_ms)
    total_ms = math.inf if slo.total_p95_ms is None else float(slo.total_p95_ms)
    holds = max((target.info.context_tokens for target in targets if target.chats), default=-1)
    return Group(route, targets, sort, first_ms, total_ms, reason, holds=holds, ends=min(ends, default=None))


def _end(info: ModelInfo) -> date | None:
    """The day from which the model's successor is asked in its place; vectors of another model are no replacement."""
    return info.retires if info.successor and info.kind != "embedding" else None


def shown(name: str) -> str:
    """At most 64 printable characters of what the client sent."""
    return "".join(char if char.isprintable() else "?" for char in name[:64])


def _alias_of(name: str, settings: Settings) -> str | None:
    """What an alias stands for; a name that is served as it is needs no glob."""
    alias = settings.aliases.get(name)
    if alias is None and name not in settings.catalogue_targets and not is_direct(settings, name):
        alias = find_alias(settings.aliases, name)
    return None if alias is None else alias.to


def _plausible(model: str) -> bool:
    return _PLAUSIBLE.fullmatch(model) is not None and ".." not in model
