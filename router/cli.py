"""The command line: `turnout serve | check | schema | simulate | eval | images batch`.

Exit codes: 0, 2 for a configuration, a name or a file that cannot be used; of a batch 1 for prompts that were not made,
130 when it was interrupted.
"""

import importlib.metadata
import json
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from providers.types import JsonValue
from router import __version__
from router.errors import Problem, SettingsError

DISTRIBUTION = "turnout"
PACKAGES = ("router", "providers")

app = typer.Typer(
    name="turnout",
    help="One OpenAI-compatible endpoint that routes each request by latency and cost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its frames show local variables, and those hold keys
)

images = typer.Typer(no_args_is_help=True, help="Pictures from the command line, through a running router.")
app.add_typer(images, name="images")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file. Default: TURNOUT_CONFIG, config/turnout.yaml."),
]


def main() -> None:
    """The console script."""
    app()


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"turnout {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One OpenAI-compatible endpoint that routes each request by latency and cost."""


@app.command()
def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="TCP port.")] = None,
    sandbox: Annotated[
        bool | None, typer.Option("--sandbox/--no-sandbox", help="Simulated upstreams. Default: if no key is set.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Run the router."""
    # here and not above: the web framework takes 0.3 s to import, which `check` and `--version` should not pay
    from router.serve import serve as run

    raise typer.Exit(run(config=config, host=host, port=port, sandbox=sandbox, log_level=log_level))


@app.command()
def check(config: ConfigOption = None) -> None:
    """Validate the configuration: say `ok`, or every problem with its file, line and key."""
    # here and not above: pydantic takes 0.1 s to import
    from router.pictures.signing import Signer
    from router.routing.rules import compile_rules
    from router.settings import has_provider_key, inspect_settings

    problems = installation_problems(importlib.metadata.packages_distributions())
    try:
        settings, found = inspect_settings(config, os.environ)
        problems += found
        compile_rules(settings)
        if settings.images.signing is not None:
            Signer(settings.images.signing)
    except SettingsError as exc:
        problems += exc.problems
    if problems:
        _refuse(sorted(problems))
    for warning in settings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    on = sum(provider.enabled for provider in settings.providers.values())
    models = len(settings.models.keys() | settings.catalogue_targets.keys())
    typer.echo(f"ok: {len(settings.providers)} providers ({on} on), {models} models, {len(settings.aliases)} aliases")
    if not has_provider_key(settings):
        typer.echo("no provider key is set: `turnout serve` will answer from the sandbox")


@app.command()
def simulate(
    scenarios: Annotated[list[str] | None, typer.Argument(help="s1 ... s6, s6x8. Default: all.")] = None,
    players: Annotated[str, typer.Option(help="Ways of routing, by comma. Default: all but ablations.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each scenario.")] = 20,
    first_seed: Annotated[int, typer.Option(help="The first of the seeds.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes. Default: as many as there are cores.")] = (
        os.cpu_count() or 1
    ),
    trace: Annotated[Path | None, typer.Option(help="Arrivals and lengths from a CSV of Azure's LLM traces.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there; `-`: to stdout.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Write pictures to this folder (`turnout[plots]`).")] = None,
) -> None:
    """Judge routing in virtual time, against an oracle and against other routers' published rules."""
    # here and not above: it imports all of the routing
    from router.simulate.command import Request, UnknownNameError, run

    names = tuple(name.strip() for name in players.split(",") if name.strip())
    try:
        run(Request(tuple(scenarios or ()), names, seeds, first_seed, jobs, trace, json_file, plots))
    except SettingsError as exc:
        _refuse(exc.problems)
    except (UnknownNameError, OSError) as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(2) from exc


@images.command()
def batch(
    prompts: Annotated[Path, typer.Argument(help="A prompt a line, or a JSON object of fields; `-`: standard input.")],
    out: Annotated[Path, typer.Option(help="The folder for pictures, journal and contact sheet; the same goes on.")],
    base_url: Annotated[str, typer.Option(envvar="TURNOUT_BASE_URL", help="The router.")] = "http://127.0.0.1:8080/v1",
    api_key: Annotated[str, typer.Option(envvar="TURNOUT_API_KEY", help="The client key, if the router has keys.")] = (
        "none"
    ),
    model: Annotated[str, typer.Option(help="A public model, or provider/model.")] = "image",
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT.")] = None,
    quality: Annotated[str | None, typer.Option(help="low, medium, high, auto.")] = None,
    image_format: Annotated[str | None, typer.Option("--format", help="png, jpeg or webp.")] = None,
    n: Annotated[int, typer.Option(min=1, max=10, help="Pictures of each prompt.")] = 1,
    sort: Annotated[str | None, typer.Option(help="cost, latency or quality.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at once.")] = 4,
    max_cost_usd: Annotated[
        float | None, typer.Option(min=0, help="Begin no more once so much is spent, earlier runs included.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option(help="Ask again for what was refused.")] = False,
    repeat_lost: Annotated[bool, typer.Option(help="Ask again for what may have been paid for.")] = False,
    sheet: Annotated[bool, typer.Option("--sheet/--no-sheet", help="Draw a contact sheet.")] = True,
) -> None:
    """Make a picture of every prompt in a file; run again to go on where it stopped. Nothing is paid twice."""
    from router.batch.command import Order, run  # here and not above: `serve` has no use for it

    usual: dict[str, JsonValue] = {
        "model": model, "n": n, "size": size, "quality": quality, "output_format": image_format,
    }  # fmt: skip
    fields = {name: value for name, value in usual.items() if value is not None}
    if sort is not None:
        fields["router"] = {"sort": sort}
    order = Order(
        prompts=prompts,
        folder=out,
        base_url=base_url,
        api_key=api_key,
        fields=fields,
        concurrency=concurrency,
        max_cost_usd=None if max_cost_usd is None else Decimal(str(max_cost_usd)),
        retry_failed=retry_failed,
        repeat_lost=repeat_lost,
        sheet=sheet,
    )
    try:
        raise typer.Exit(run(order))
    except SettingsError as exc:
        _refuse(exc.problems)
    except OSError as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(2) from exc


@app.command("eval")
def evaluate(
    data: Annotated[Path, typer.Option(help="CSV or CSV.gz of prompts with both models' correctness.")],
    pair: Annotated[str, typer.Option(help="Only pairs of models whose name holds this.")] = "",
    tiers: Annotated[int, typer.Option(min=2, help="Tiers of the ladder.")] = 3,
    price_ratio: Annotated[float, typer.Option(min=0.01, help="The strong model's price of a token, weak = 1.")] = 3.2,
    resamples: Annotated[int, typer.Option(min=1, help="Resamples for the intervals.")] = 100,
    least: Annotated[int, typer.Option(min=1, help="Fewest prompts of a group that is shown.")] = 300,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there; `-`: to stdout.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Write a picture to this folder (`turnout[plots]`).")] = None,
) -> None:
    """Judge the score of tiers on prompts of which a weak and a strong model's answers are known."""
    # here and not above: it imports what reads requests, 0.3 s
    from router.evaluate.command import run
    from router.evaluate.data import DataError
    from router.evaluate.report import Plan

    try:
        run(data, pair, Plan(tiers=tiers, price_ratio=price_ratio, resamples=resamples, least=least), json_file, plots)
    except (DataError, OSError) as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(2) from exc


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    # here and not above: pydantic takes 0.1 s to import
    from router.settings import settings_schema

    typer.echo(json.dumps(settings_schema(), indent=2))


def installation_problems(owners: Mapping[str, list[str]]) -> list[Problem]:
    """A problem for each of our packages that another distribution has installed as well.

    pip lets two distributions own one package: the later overwrites files of the earlier, and what then runs is
    neither. `owners` is what `importlib.metadata.packages_distributions()` gives.
    """
    problems = []
    for package in PACKAGES:
        others = sorted({name for name in owners.get(package, []) if name.lower() != DISTRIBUTION})
        if others:
            message = f"is also installed by {', '.join(others)}: give turnout an environment of its own"
            problems.append(Problem(f"package {package!r}", 0, "", message))
    return problems


def _refuse(problems: list[Problem] | tuple[Problem, ...]) -> None:
    for problem in problems:
        typer.echo(str(problem), err=True)
    raise typer.Exit(2)
