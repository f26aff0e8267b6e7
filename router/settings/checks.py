"""What no single value shows: names that lead nowhere, circles, and configurations that cannot serve."""

import importlib.util
import re
from collections.abc import Iterable, Iterator

from providers.catalogue import lookup
from router.errors import Problem
from router.settings.azure import azure_problems, azure_warnings
from router.settings.comfyui import comfyui_problems
from router.settings.document import Document, Loc
from router.settings.google import google_problems
from router.settings.midjourney import midjourney_problems
from router.settings.names import find_alias, is_direct, resolve_alias
from router.settings.spaces import space_problems
from router.settings.validate import nearest
from router.settings.values import ModelSettings, Settings, TargetSettings

_PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_MAX_HOPS = 8
_PUBLIC_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")


class Declared:
    """Every name the file declares, those included whose own entry is at fault: one fault is one problem."""

    def __init__(self, data: object) -> None:
        self.readable = isinstance(data, dict)
        sections = data if isinstance(data, dict) else {}
        self.providers = _names(sections.get("providers"))
        self.models = _names(sections.get("models"))
        self.aliases = _names(sections.get("aliases"))


def find_problems(settings: Settings, document: Document, declared: Declared) -> list[Problem]:
    """All that makes `settings` unusable although each value alone is legal."""
    problems = [*_name_problems(settings, document)]
    for model in settings.models.values():
        problems += _model_problems(model, settings, document, declared)
    for alias in settings.aliases.values():
        problems += _reference_problems(settings, document, declared, ("aliases", alias.name), alias.to)
    for at, name in _helpers(settings):
        problems += _reference_problems(settings, document, declared, at, name)
    problems += _circles(settings, document)
    problems += _capacity_problems(settings, document)
    problems += space_problems(settings, document)
    problems += google_problems(settings.providers, document)
    problems += azure_problems(settings.providers, document)
    problems += comfyui_problems(settings, document)
    problems += midjourney_problems(settings.providers, document)
    problems += _bucket_problems(settings, document)
    if not declared.providers and declared.readable:
        problems.append(document.problem((), "no providers: name at least one under 'providers'"))
    return problems


def _capacity_problems(settings: Settings, document: Document) -> Iterator[Problem]:
    for provider in settings.providers.values():
        if provider.capacity and not provider.self_hosted:
            loc = ("providers", provider.name, "capacity")
            yield document.problem(loc, "only a self_hosted server gets slower the more it has")


def _bucket_problems(settings: Settings, document: Document) -> Iterator[Problem]:
    bucket, loc = settings.images.bucket, ("images", "s3")
    if bucket is None:
        return
    if importlib.util.find_spec("obstore") is None:
        yield document.problem(loc, "needs obstore, which is not installed: pip install 'turnout[s3]'")
    if (bucket.access_key_id is None) != (bucket.secret_access_key is None):
        yield document.problem(loc, "needs both 'access_key_id' and 'secret_access_key', or neither")


def find_warnings(settings: Settings, document: Document) -> list[Problem]:
    """What works, but hardly as it was meant."""
    warnings = [*azure_warnings(settings, document)]
    live = any(provider.enabled for provider in settings.providers.values())  # else the sandbox serves all of them
    for model in settings.models.values():
        loc: Loc = ("models", model.name)
        sold = [lookup(settings.catalogue, target.provider, target.model) for target in model.targets]
        kinds = sorted({info.kind for info in sold if info.known})
        if len(kinds) > 1:
            mixture = f"mixes {' and '.join(kinds)} targets: each request can use only one kind"
            warnings.append(document.problem(loc, mixture))
        for index, target in enumerate(model.targets):
            if not lookup(settings.catalogue, target.provider, target.model).known:
                warnings.append(document.problem((*loc, "targets", index), _unknown_upstream(target, settings)))
        for index, tier in enumerate(model.tiers):
            if tier.reasoning_effort and _thoughtless(settings, tier.use):
                unheard = f"no target of {tier.use!r} can be told how much to think"
                warnings.append(document.problem((*loc, "tiers", index), unheard))
        off = [settings.providers[each.provider] for each in model.targets if each.provider in settings.providers]
        if live and off and not any(provider.enabled for provider in off):
            reasons = ", ".join(sorted({f"{provider.name}: {provider.off_reason}" for provider in off}))
            warnings.append(document.problem(loc, f"none of its providers is on ({reasons})"))
    return warnings


def _thoughtless(settings: Settings, name: str) -> bool:
    """Whether the catalogue knows every target that a name usually leads to, and none that thinks."""
    led = _led(settings, name)
    name, _ = resolve_alias(settings, name)
    targets = led.targets if led else settings.catalogue_targets.get(name, ())
    sold = [lookup(settings.catalogue, target.provider, target.model) for target in targets]
    return bool(sold) and all(info.known and info.thinking is None for info in sold)


def _led(settings: Settings, name: str) -> ModelSettings | None:
    """The model that a name leads to by aliases and `use`, if it leads to one."""
    for _ in range(_MAX_HOPS):
        name, _ = resolve_alias(settings, name)
        model = settings.models.get(name)
        if model is None or model.use is None:
            return model
        name = model.use
    return None


def _unknown_upstream(target: TargetSettings, settings: Settings) -> str:
    sold = [
        name for name, found in settings.catalogue_targets.items() if target.provider in {t.provider for t in found}
    ]
    hint = nearest(target.model, sold)
    priced = lookup(settings.catalogue, target.provider, target.model).prices
    unknown = "its abilities are" if priced else "its abilities and its price are"
    return f"{target.name} is not in the catalogue, so {unknown} unknown{hint if 'did you mean' in hint else ''}"


def _name_problems(settings: Settings, document: Document) -> Iterator[Problem]:
    for name in settings.providers:
        if not _PROVIDER_NAME.fullmatch(name):
            yield document.problem(("providers", name), f"{name!r} must be lower-case letters, digits, '-' and '_'")
    for name, provider in settings.providers.items():
        if provider.options.model_prefix and provider.type != "litellm":
            yield document.problem(("providers", name, "model_prefix"), f"is for type litellm, not {provider.type}")
    names = [("models", name) for name in settings.models] + [("aliases", name) for name in settings.aliases]
    for section, name in names:
        plain = name.removesuffix("*") if section == "aliases" else name
        loc: Loc = (section, name)
        if plain and not _PUBLIC_NAME.fullmatch(plain):
            yield document.problem(loc, f"{name!r} must be letters, digits and . _ : / @ + -")
        elif plain.partition("/")[0] in settings.providers and "/" in plain:
            yield document.problem(loc, f"{name!r} hides direct targets of the provider {plain.partition('/')[0]!r}")
        elif section == "aliases" and name in settings.models:
            yield document.problem(loc, f"{name!r} is already a model (line {settings.models[name].line})")


def _model_problems(
    model: ModelSettings, settings: Settings, document: Document, declared: Declared
) -> Iterator[Problem]:
    loc: Loc = ("models", model.name)
    given = {each[2] for each in document.lines if each[:2] == loc and len(each) > 2}
    ways = [key for key in ("use", "tiers", "targets") if getattr(model, key)]
    if not ways and not given & {"use", "tiers", "targets"}:
        what = "'use', 'tiers' or 'targets' for requests that no rule matches" if model.rules else "'targets' or 'use'"
        yield document.problem(loc, f"needs {what}")
    if len(ways) > 1:
        yield document.problem((*loc, ways[0]), f"{' and '.join(map(repr, ways))} exclude each other: keep one")
    yield from _tier_problems(model, settings, document, given)
    if model.sort == "weighted" and model.targets and not any(target.weight for target in model.targets):
        yield document.problem((*loc, "targets"), "sort: weighted needs a weight above 0")
    for index, target in enumerate(model.targets):
        if target.provider not in declared.providers:
            hint = nearest(target.provider, declared.providers)
            yield document.problem((*loc, "targets", index), f"unknown provider {target.provider!r}{hint}")
    for at, name in _references(model):
        yield from _reference_problems(settings, document, declared, at, name)


def _references(model: ModelSettings) -> Iterator[tuple[Loc, str]]:
    loc: Loc = ("models", model.name)
    for index, rule in enumerate(model.rules):
        yield (*loc, "rules", index, "use"), rule.use
    if model.use:
        yield (*loc, "use"), model.use
    for index, tier in enumerate(model.tiers):
        yield (*loc, "tiers", index, "use"), tier.use
    for index, name in enumerate(model.fallbacks):
        yield (*loc, "fallbacks", index), name


def _helpers(settings: Settings) -> Iterator[tuple[Loc, str]]:
    """The models that image requests are enhanced with."""
    enhance, loc = settings.images.enhance, ("images", "enhance")
    for key, name in (("rewrite_model", enhance.rewrite_model), ("critique_model", enhance.critique_model)):
        if name:
            yield (*loc, key), name


def _tier_problems(
    model: ModelSettings, settings: Settings, document: Document, given: set[str | int]
) -> Iterator[Problem]:
    """A ladder of one rung is none, a rung twice is never climbed to, and its knobs mean nothing without it."""
    loc: Loc = ("models", model.name)
    for key in ("cost_quality", "escalations_per_minute"):
        if key in given and "tiers" not in given:
            yield document.problem((*loc, key), f"{key!r} needs 'tiers'")
    if len(model.tiers) == 1:
        yield document.problem((*loc, "tiers"), f"one tier is no choice: write 'use: {model.tiers[0].use}'")
    for index, tier in enumerate(model.tiers):
        same = [other for other in model.tiers[:index] if str(other) == str(tier)]
        unread = not tier.reasoning_effort and (*loc, "tiers", index, "reasoning_effort") in document.lines
        if same and not unread:
            yield document.problem((*loc, "tiers", index), f"{tier} is a tier already (line {same[0].line})")
        led = _led(settings, tier.use)
        if led is not None and led.tiers and led is not model:
            yield document.problem((*loc, "tiers", index), f"{tier.use!r} leads to the tiers of {led.name!r}")


def _reference_problems(
    settings: Settings, document: Document, declared: Declared, at: Loc, name: str
) -> Iterator[Problem]:
    known = declared.models | declared.aliases | settings.catalogue_targets.keys()
    if name in known or find_alias(settings.aliases, name):
        return
    provider, slash, model = name.partition("/")
    if slash and model and provider in declared.providers:
        return
    if slash:
        hint = nearest(provider, declared.providers)
        yield document.problem(at, f"unknown model {name!r}: no provider {provider!r}{hint}")
    else:
        yield document.problem(at, f"unknown model {name!r}{nearest(name, known)}")


def _circles(settings: Settings, document: Document) -> Iterator[Problem]:
    """Each circle of rules, `use`, `fallbacks` and aliases, once, where it closes."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> Iterator[Problem]:
        for at, to in _edges(settings, name):
            if to in path:
                circle = " -> ".join([*path[path.index(to) :], to])
                yield document.problem(at, f"goes round in a circle: {circle}")
            elif to not in done:
                yield from walk(to, [*path, to])
        done.add(name)

    for name in (*settings.models, *settings.aliases):
        if name not in done:
            yield from walk(name, [name])


def _edges(settings: Settings, name: str) -> Iterable[tuple[Loc, str]]:
    """Where `name` leads next, each with the place that says so; a wildcard alias counts by its own name."""
    if name in settings.models:
        return [(at, _node(settings, to)) for at, to in _references(settings.models[name])]
    if name in settings.aliases:
        return [(("aliases", name), _node(settings, settings.aliases[name].to))]
    return []


def _node(settings: Settings, name: str) -> str:
    if name in settings.models or name in settings.catalogue_targets or is_direct(settings, name):
        return name if name not in settings.aliases else settings.aliases[name].name
    alias = find_alias(settings.aliases, name)
    return alias.name if alias else name


def _names(section: object) -> set[str]:
    return {str(name) for name in section} if isinstance(section, dict) else set()
