"""What a model name stands for: a public model, an alias, a catalogue name or a direct target."""

from collections.abc import Mapping

from router.settings.values import Alias, Settings


def find_alias(aliases: Mapping[str, Alias], name: str) -> Alias | None:
    """The alias that `name` is: an exact one, else the longest `beginning*` that fits; None when there is none."""
    exact = aliases.get(name)
    if exact is not None:
        return exact
    globs = (alias for alias in aliases.values() if alias.name.endswith("*") and name.startswith(alias.name[:-1]))
    return max(globs, key=lambda alias: len(alias.name), default=None)


def is_direct(settings: Settings, name: str) -> bool:
    """Whether `name` is `provider/upstream-model` of a configured provider."""
    provider, slash, model = name.partition("/")
    return bool(slash and model) and provider in settings.providers


def resolve_alias(settings: Settings, name: str) -> tuple[str, Alias | None]:
    """`name` with every alias followed, and the last alias used (None: it was none).

    Order: models, exact aliases, direct targets, catalogue names, then aliases with `*`. An unknown name comes back
    as it is; so does a name in a circle, which the loader refuses beforehand.
    """
    used: Alias | None = None
    seen = {name}
    while name not in settings.models:
        alias = settings.aliases.get(name)
        if alias is None and not is_direct(settings, name) and name not in settings.catalogue_targets:
            alias = find_alias(settings.aliases, name)
        if alias is None or alias.to in seen:
            break
        used, name = alias, alias.to
        seen.add(name)
    return name, used
