"""What only providers of type gemini are told: where in Google Cloud they are, and how their translation chooses."""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from providers.options import Cloud, GeminiOptions
from router.errors import Problem
from router.settings.document import Document, Loc
from router.settings.fields import Shape, Text
from router.settings.values import ProviderSettings

_CATEGORY = re.compile(r"HARM_CATEGORY_[A-Z_]+")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,62}")
_LOCATION = re.compile(r"[a-z][a-z0-9-]{0,31}")
_MULTI_REGIONS = ("us", "eu")
_EXTRA = "pip install 'turnout[vertex]'"


def _category(value: str) -> str:
    if not _CATEGORY.fullmatch(value):
        raise ValueError("must be a harm category such as HARM_CATEGORY_HARASSMENT")
    return value


def _off(value: object) -> object:
    return "OFF" if value is False else value  # what YAML makes of a bare OFF


Category = Annotated[Text, AfterValidator(_category)]
Threshold = Annotated[
    Literal["BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"],
    BeforeValidator(_off),
]


class CloudShape(Shape):
    """A Google Cloud project, asked with Google credentials; or express mode, asked with an API key."""

    project: str | None = Field(default=None, description="Project id.")
    location: Text = Field(default="global", description="Region, `global`, or the multi-region `us` or `eu`.")
    credentials_file: Text | None = Field(
        default=None, description="A service account's JSON file. Default: Application Default Credentials."
    )
    express_key: str | None = Field(default=None, description="API key of express mode, as `${ENV}`; no project then.")


class GeminiShape(Shape):
    """Where the Gemini translation has a choice."""

    missing_results: Literal["refuse", "fill"] | None = Field(
        default=None, description="A tool call without its result: 400, or `{error: no result}`. Default refuse."
    )
    late_system: Literal["hoist", "inline"] | None = Field(
        default=None,
        description="System messages inside a conversation: moved to its head, or user text. Default hoist.",
    )
    logprobs: Literal["refuse", "drop"] | None = Field(
        default=None, description="No Gemini model has them: 400, or dropped with a warning. Default refuse."
    )
    json_with_tools: Literal["instruct", "refuse"] | None = Field(
        default=None, description="JSON beside functions before generation 3: told in words, or 400. Default instruct."
    )
    search_with_functions: Literal["drop", "refuse"] | None = Field(
        default=None, description="Built-in tools beside functions before generation 3: dropped, or 400. Default drop."
    )
    safety: Mapping[Category, Threshold] = Field(
        default={}, description="Thresholds by harm category, for requests that name none."
    )


def build_cloud(shape: CloudShape | None, folder: Path) -> Cloud | None:
    """`credentials_file` counts from `folder`, where the configuration lies."""
    if shape is None:
        return None
    file = shape.credentials_file
    return Cloud(
        project=(shape.project or "").strip(),
        location=shape.location,
        credentials_file=str(folder / Path(file).expanduser()) if file else None,
        express=shape.express_key is not None,
    )


def build_gemini(shape: GeminiShape) -> GeminiOptions:
    return GeminiOptions(**shape.model_dump(exclude_none=True))


def cloud_url(cloud: Cloud) -> str:
    """Where a location's models are. Source: https://cloud.google.com/vertex-ai/docs/general/locations (2026-11-20)."""
    if cloud.express:
        return "https://aiplatform.googleapis.com/v1beta1"
    if cloud.location == "global":
        return "https://aiplatform.googleapis.com/v1"
    if cloud.location in _MULTI_REGIONS:
        return f"https://aiplatform.{cloud.location}.rep.googleapis.com/v1"
    return f"https://{cloud.location}-aiplatform.googleapis.com/v1"


def google_problems(providers: Mapping[str, ProviderSettings], document: Document) -> Iterator[Problem]:
    """What makes a provider's Google settings unusable."""
    for name, provider in providers.items():
        loc: Loc = ("providers", name)
        for key in ("vertex", "gemini"):
            if (*loc, key) in document.lines and provider.type != "gemini":
                yield document.problem((*loc, key), f"only providers of type gemini have {key!r}")
        if provider.options.cloud is not None and provider.type == "gemini":
            yield from _cloud_problems(provider, provider.options.cloud, document, (*loc, "vertex"))


def _cloud_problems(provider: ProviderSettings, cloud: Cloud, document: Document, loc: Loc) -> Iterator[Problem]:
    named = {key for key in ("project", "express_key", "credentials_file") if (*loc, key) in document.lines}
    if not named & {"project", "express_key"}:
        yield document.problem(loc, "needs a 'project', or an 'express_key'")
    if cloud.express and named & {"project", "credentials_file"}:
        yield document.problem((*loc, "express_key"), "express mode has no project and no credentials file: keep one")
    if (*loc[:-1], "api_key") in document.lines:
        yield document.problem((*loc[:-1], "api_key"), "is not used with 'vertex': give 'vertex.express_key' instead")
    if cloud.project and not _PROJECT.fullmatch(cloud.project):
        yield document.problem((*loc, "project"), "must be a project id")
    if not _LOCATION.fullmatch(cloud.location):
        yield document.problem((*loc, "location"), f"must be a region, global, us or eu, got {cloud.location[:40]!r}")
    if provider.enabled and not cloud.express:
        yield from _credential_problems(cloud, document, loc)


def _credential_problems(cloud: Cloud, document: Document, loc: Loc) -> Iterator[Problem]:
    if not _installed("google.auth"):
        yield document.problem(loc, f"needs google-auth, which is not installed: {_EXTRA}")
    if cloud.credentials_file is None:
        return
    try:
        content = json.loads(Path(cloud.credentials_file).read_text("utf-8"))
        known = isinstance(content, dict) and content.get("type") == "service_account"
        reason = "" if known else "is not the JSON file of a service account"
    except OSError as exc:
        reason = f"cannot be read: {exc.strerror or exc}"
    except ValueError:
        reason = "is not JSON"
    if reason:
        yield document.problem((*loc, "credentials_file"), reason)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the namespace around it
        return False
