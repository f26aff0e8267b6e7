"""One public name, one vector space: what a configuration may not say about embedding models.

Vectors of different models cannot be compared. A name behind which now one of them answers and now another, by health,
price or rule, would fill a caller's index with numbers that mean nothing beside each other, and nobody would see it.
"""

from collections.abc import Iterator

from providers.catalogue import lookup, vector_space
from router.errors import Problem
from router.settings.document import Document
from router.settings.names import resolve_alias
from router.settings.values import ModelSettings, Settings, TargetSettings


def space_problems(settings: Settings, document: Document) -> Iterator[Problem]:
    """A problem for each model whose rules, targets and fallbacks lead to different vector spaces, where they part."""
    for model in settings.models.values():
        branches = [_own(model, settings), *(_reached(name, settings, {model.name}) for name in _references(model))]
        found = sorted(set[str]().union(*branches))
        if len(found) > 1 and (len(branches[0]) > 1 or not any(len(branch) > 1 for branch in branches)):
            message = (
                f"leads to vectors of {' and of '.join(found)}, which cannot be compared: one name serves one of them, "
                "from as many providers as sell it"
            )
            yield document.problem(("models", model.name), message)


def _own(model: ModelSettings, settings: Settings) -> frozenset[str]:
    return _spaces(model.targets, settings)


def _spaces(targets: tuple[TargetSettings, ...], settings: Settings) -> frozenset[str]:
    """The spaces of `targets`; of models that the catalogue does not know only beside one that makes vectors."""
    sold = [lookup(settings.catalogue, target.provider, target.model) for target in targets]
    if not any(info.kind == "embedding" for info in sold):
        return frozenset()
    return frozenset(vector_space(info) for info in sold if info.kind == "embedding" or not info.known)


def _reached(name: str, settings: Settings, seen: set[str]) -> frozenset[str]:
    """The spaces that a reference leads to, through aliases and models."""
    name, _ = resolve_alias(settings, name)
    if name in seen:
        return frozenset()
    model = settings.models.get(name)
    if model is None:
        provider, slash, upstream = name.partition("/")
        direct = (TargetSettings(provider=provider, model=upstream),) if slash else ()
        return _spaces(settings.catalogue_targets.get(name) or direct, settings)
    inner = [_reached(each, settings, {*seen, name}) for each in _references(model)]
    return _own(model, settings).union(*inner)


def _references(model: ModelSettings) -> Iterator[str]:
    yield from (rule.use for rule in model.rules)
    if model.use:
        yield model.use
    yield from (tier.use for tier in model.tiers)
    yield from model.fallbacks
