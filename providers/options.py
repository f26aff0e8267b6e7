"""What an operator may set for one type of provider. Values only: settings fill them, adapters read them."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct


class Cloud(Struct, frozen=True, kw_only=True):
    """Where a Gemini model runs in Google Cloud, and who pays.

    `location` is a region, `global`, or the multi-region `us` or `eu`. `credentials_file` is a service account's JSON;
    None: Application Default Credentials. With `express` an API key is used instead, and no project is named.
    """

    project: str = ""
    location: str = "global"
    credentials_file: str | None = None
    express: bool = False


class GeminiOptions(Struct, frozen=True, kw_only=True):
    """Where the Gemini translation has a choice. The defaults lose least and invent nothing.

    `missing_results`: a tool call without its result is refused, or answered with `{"error": "no result"}`.
    `late_system`: system messages inside a conversation join the system instruction, or stay in place as user text.
    `logprobs`: refused (another provider may have them), or dropped with a warning.
    `json_with_tools`: where a model takes no JSON type beside functions (before generation 3) the schema is told in
    words, or the request is refused. `search_with_functions`: where a model cannot do both, the built-in tool is
    dropped with a warning, or the request is refused. `safety` maps harm categories to thresholds and holds for every
    request that does not say otherwise.
    """

    missing_results: Literal["refuse", "fill"] = "refuse"
    late_system: Literal["hoist", "inline"] = "hoist"
    logprobs: Literal["refuse", "drop"] = "refuse"
    json_with_tools: Literal["instruct", "refuse"] = "instruct"
    search_with_functions: Literal["drop", "refuse"] = "drop"
    safety: Mapping[str, str] = {}


class AzureOptions(Struct, frozen=True, kw_only=True):
    """How an Azure OpenAI resource is asked.

    `api_version` is a date (`2025-04-01-preview`) for paths by deployment, a word (`preview`) or "" for the v1 paths.
    `deployments`: by model, the name of its deployment where that is another.
    """

    api_version: str = ""
    deployments: Mapping[str, str] = {}


class MidjourneyOptions(Struct, frozen=True, kw_only=True):
    """Which bridge to Midjourney is spoken to. `unofficial`: the operator knows that none of them is Midjourney's."""

    dialect: Literal["midjourney-proxy", "legnext"] = "midjourney-proxy"
    unofficial: bool = False
