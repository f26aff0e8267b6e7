"""What only providers of type azure are told: the version of the API, and which deployment serves which model."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from providers.catalogue import lookup
from providers.options import AzureOptions
from router.errors import Problem
from router.settings.document import Document, Loc
from router.settings.fields import Shape, Text
from router.settings.validate import nearest
from router.settings.values import ProviderSettings, Settings

_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?|[a-z][a-z0-9]*")
_DEPLOYMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PATHS = ("/openai/v1", "/openai")  # as the portal shows them; they are ours to add


def _dated(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value  # what YAML makes of a bare 2024-10-21


def _version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise ValueError("must be a date such as 2025-04-01-preview, or a word such as preview")
    return value


def _deployment(value: str) -> str:
    if not _DEPLOYMENT.fullmatch(value):
        raise ValueError("must be a deployment's name: letters, digits, '-', '_' and '.'")
    return value


class AzureShape(Shape):
    """How an Azure OpenAI resource is asked."""

    api_version: Annotated[Text, BeforeValidator(_dated), AfterValidator(_version)] | None = Field(
        default=None,
        description="A date (`2025-04-01-preview`): paths by deployment. A word or nothing: the v1 paths.",
    )
    deployments: Mapping[Text, Annotated[Text, AfterValidator(_deployment)]] = Field(
        default={}, description="By model, the deployment that serves it. Default: one of the model's own name."
    )


def build_azure(shape: AzureShape) -> AzureOptions:
    return AzureOptions(api_version=shape.api_version or "", deployments=dict(shape.deployments))


def resource_url(base_url: str) -> str:
    """The resource itself, of an address that may end in one of the API's paths."""
    ending = next((path for path in _PATHS if base_url.endswith(path)), "")
    return base_url.removesuffix(ending)


def azure_warnings(settings: Settings, document: Document) -> Iterator[Problem]:
    """Models with a deployment that the catalogue does not know: mostly names that are spelt otherwise."""
    for name, provider in settings.providers.items():
        for model in provider.options.azure.deployments:
            if not lookup(settings.catalogue, name, model).known:
                message = f"{model!r} is not in the catalogue{nearest(model, settings.catalogue)}"
                yield document.problem(("providers", name, "azure", "deployments", model), message)


def azure_problems(providers: Mapping[str, ProviderSettings], document: Document) -> Iterator[Problem]:
    """What makes a provider's Azure settings unusable."""
    for name, provider in providers.items():
        loc: Loc = ("providers", name)
        if provider.type != "azure":
            if (*loc, "azure") in document.lines:
                yield document.problem((*loc, "azure"), "only providers of type azure have 'azure'")
        elif not provider.base_url:
            yield document.problem(loc, "needs the resource's 'base_url': https://NAME.openai.azure.com")
