"""Finding, reading and checking the configuration: `load_settings` and what `turnout check` needs besides."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from router.errors import Problem, SettingsError
from router.settings.build import (
    KEY_PLACES,
    build_aliases,
    build_fetch,
    build_images,
    build_models,
    build_providers,
    build_routing,
    build_server,
    key_problems,
)
from router.settings.catalogue_file import LoadedCatalogue, catalogue_targets, load_catalogue
from router.settings.checks import Declared, find_problems, find_warnings
from router.settings.comfyui import LoadedWorkflows, load_workflows, with_workflows
from router.settings.document import Document, read_document
from router.settings.prices import with_fallback_prices
from router.settings.shapes import TurnoutShape
from router.settings.validate import validate
from router.settings.values import ModelSettings, Settings, TargetSettings

PATH_VARIABLE = "TURNOUT_CONFIG"
_NAME = "turnout.yaml"


class Inspection(NamedTuple):
    """What a configuration says as far as it can be used, and everything that is wrong with it."""

    settings: Settings
    problems: tuple[Problem, ...]


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The configuration at `path` (None: see `find_config`), filled in from `environ`.

    Raises SettingsError with every problem found, in the order of files and lines.
    """
    settings, problems = inspect_settings(path, environ)
    if problems:
        raise SettingsError(problems)
    return settings


def inspect_settings(path: Path | None, environ: Mapping[str, str]) -> Inspection:
    """Like `load_settings`, but gives back what could be read beside the problems. Raises only if there is no file."""
    file = find_config(path, environ)
    raw = read_document(file, environ)
    if raw.data is None:
        return Inspection(Settings(sources=(file,)), raw.problems)
    declared = Declared(raw.data)
    shape, document, misfits = validate(TurnoutShape, raw)
    problems = [*raw.problems, *_told_apart(misfits, _unset_problems(raw))]
    catalogue_path = file.with_name("models.yaml")
    if shape.catalogue:
        catalogue_path = file.parent / Path(shape.catalogue).expanduser()
    catalogue = _catalogue(catalogue_path, environ)
    workflows = load_workflows({name: each.workflows for name, each in shape.providers.items()}, document)
    settings = _build(shape, document, catalogue, workflows, environ, (file, catalogue_path, *workflows.files))
    problems += [*catalogue.problems, *workflows.problems, *key_problems(settings.server.keys, document)]
    problems += find_problems(settings, document, declared)
    settings = msgspec.structs.replace(settings, warnings=tuple(sorted(find_warnings(settings, document))))
    return Inspection(settings, tuple(sorted(set(problems), key=lambda problem: (problem.file != str(file), problem))))


def find_config(path: Path | None, environ: Mapping[str, str]) -> Path:
    """The file to read: `path`, else TURNOUT_CONFIG, else ./config/turnout.yaml, else the installed copy.

    Raises SettingsError when the one asked for, or all of them, are missing.
    """
    named = path or (Path(environ[PATH_VARIABLE]) if environ.get(PATH_VARIABLE) else None)
    places = [named] if named else [Path("config") / _NAME, Path(sys.prefix) / "share" / "turnout" / "config" / _NAME]
    for place in places:
        if place.is_file():
            return place
    if named:
        raise SettingsError([Problem(str(named), 0, "", "no such file")])
    looked = " and ".join(str(place) for place in places)
    raise SettingsError([Problem(_NAME, 0, "", f"not found (looked for {looked}); name one with --config")])


def _build(
    shape: TurnoutShape,
    document: Document,
    catalogue: LoadedCatalogue,
    workflows: LoadedWorkflows,
    environ: Mapping[str, str],
    sources: tuple[Path, ...],
) -> Settings:
    providers = build_providers(shape, document, workflows.by_provider)
    described = with_workflows(catalogue.models, workflows.by_provider)
    models = build_models(shape, document)
    return Settings(
        server=build_server(shape.server, environ),
        providers=providers,
        models=models,
        aliases=build_aliases(shape, document),
        routing=build_routing(shape.routing),
        images=build_images(shape.images, document),
        fetch=build_fetch(shape.fetch),
        catalogue=with_fallback_prices(described, providers, _targets(models)),
        catalogue_targets=catalogue_targets(catalogue, tuple(providers)),
        sources=sources,
    )


def _targets(models: Mapping[str, ModelSettings]) -> Iterator[TargetSettings]:
    for model in models.values():
        yield from model.targets


def _catalogue(path: Path, environ: Mapping[str, str]) -> LoadedCatalogue:
    document = read_document(path, environ)
    if document.data is None:
        return LoadedCatalogue({}, {}, document.problems)
    loaded = load_catalogue(document)
    return LoadedCatalogue(loaded.models, loaded.providers, (*document.problems, *loaded.problems))


def _unset_problems(document: Document) -> list[Problem]:
    """Variables that are not set. A provider's key may be: that provider is then off."""
    return [
        document.problem(loc, f"environment variable {name} is not set; give a default with ${{{name}:-...}}")
        for loc, name in document.unset.items()
        if not (loc[0] == "providers" and loc[2:] in KEY_PLACES)
    ]


def _told_apart(misfits: list[Problem], unset: list[Problem]) -> list[Problem]:
    """One problem a key: an unknown key is wrong whatever it holds, any other misfit is what an unset variable left."""
    unknown = {problem.key for problem in misfits if problem.message.startswith("unknown key")}
    empty = {problem.key for problem in unset} - unknown
    left = [problem for problem in misfits if problem.key not in empty]
    return [*(problem for problem in unset if problem.key in empty), *left]
