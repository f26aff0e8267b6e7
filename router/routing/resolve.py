"""From the name a client sent to targets: aliases, rules, `use`, fallbacks, direct targets, each step noted."""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from providers.catalogue import Kind, ModelInfo, lookup
from router.errors import UnknownModelError
from router.routing.plan import Directives, Excluded, Features
from router.routing.rules import CompiledRules
from router.settings.names import find_alias, is_direct
from router.settings.values import Settings, Slo, Sort, StreamMode, TargetSettings

_MAX_NAMED = 1000  # clients must not make it grow without end
_MAX_HOPS = 8  # through aliases, rules and `use`; settings refuse cycles, direct names cannot make one
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


class Group(Struct, frozen=True, gc=False):
    """Targets that compete with each other: those of one public model. Groups are asked one after the other.

    `space` is the vector space that an embedding request's answer must lie in; "" for other requests. `ends` is the
    first day on which another model takes the place of one of them, None: none is known to end. `stream_mode` is what
    the first of the models on the way says that says any.
    """

    route: str
    targets: tuple[Target, ...]
    sort: Sort
    slo: Slo
    reason: str
    space: str = ""
    ends: date | None = None
    stream_mode: StreamMode | None = None


class _Walked(Struct, frozen=True, gc=False):
    """Where a name led. `depends`: rules on the way, other than its own, had to look at the request."""

    group: Group
    warnings: tuple[str, ...]
    depends: bool


class Resolver:
    """Finds the groups of a request. `serving` names the providers that can serve each kind; None: all of them can."""

    def __init__(
        self, settings: Settings, rules: CompiledRules, serving: Mapping[Kind, Collection[str]] | None
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._serving = serving
        self._walked: dict[
            tuple[str, int | None, str], _Walked
        ] = {}  # for configured names only: clients cannot make it grow
        self._named: dict[str, tuple[Target, ...]] = {}  # direct targets that clients asked for
        self._targets = {
            name: tuple(self._target(target) for target in targets)
            for name, targets in (
                *((name, model.targets) for name, model in settings.models.items()),
                *settings.catalogue_targets.items(),
            )
        }

    def groups(self, features: Features, directives: Directives, warnings: list[str]) -> Iterator[Group]:
        """The targets of the model asked for, then those of each fallback: the caller's first, then the model's.

        Notes in `warnings` what was served under another name. Raises UnknownModelError.
        """
        group = self._resolve(features.model, features, "", warnings)
        if not directives.allow_fallbacks:
            yield group
            return
        # the caller's names are looked up at once: a wrong one is an error even when nobody needs it
        wanted = [self._resolve(name, features, f"fallback {name}", warnings) for name in directives.fallbacks]
        yield group
        yield from wanted
        own = self._settings.models.get(group.route)
        for name in own.fallbacks if own else ():
            yield self._resolve(name, features, f"fallback {name}", warnings)

    def on(self, day: date, group: Group, warnings: list[str]) -> Group:
        """The group as of `day` (UTC): a model that has ended is asked no more, its successor is, at the same provider.

        Notes it in `warnings`. Whoever still answers to the old name does so with another model at another price.
        """
        if group.ends is None or day < group.ends:
            return group
        targets = []
        for target in group.targets:
            current = self._current(target, day)
            if current is not target:
                warnings.append(f"model={target.model} is served by {current.model}")
            targets.append(current)
        return replace(group, targets=tuple(targets))

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

    def _resolve(self, name: str, features: Features, because: str, warnings: list[str]) -> Group:
        """The group that `name` leads to. Where only its own rules depend on the request, the way is walked once."""
        model = self._settings.models.get(name)
        place = self._rules.first_match(name, features) if model is not None and model.rules else None
        key = (name, place, because)
        walked = self._walked.get(key)
        if walked is None:
            walked = self._walk(name, features, because)
            if model is not None and not walked.depends:
                self._walked[key] = walked
        if walked.warnings:
            warnings += walked.warnings
        return walked.group

    def _walk(self, name: str, features: Features, because: str) -> "_Walked":
        """Follow aliases, rules and `use` to targets, noting each step."""
        settings, asked = self._settings, name
        reasons, warnings = [because] if because else [], list[str]()
        sort: Sort | None = None
        mode: StreamMode | None = None
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
                return _Walked(replace(group, stream_mode=mode), tuple(warnings), depends)
            mode = mode or model.stream_mode
            depends = depends or (bool(model.rules) and name != asked)
            place = self._rules.first_match(name, features) if model.rules else None
            if place is not None:
                rule = model.rules[place]
                reasons.append(f"rule {place + 1} of {name}->{rule.use}")
                sort = rule.sort or sort
                name = rule.use
            elif model.use is not None:
                reasons.append(f"{name}->{model.use}")
                name = model.use
            else:
                group = _group(name, self._targets[name], sort or model.sort, model.slo, " ".join(reasons))
                return _Walked(replace(group, stream_mode=mode), tuple(warnings), depends)
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
    return Group(route, targets, sort, slo, reason, ends=min(ends, default=None))


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
