"""What holds for every request of one provider: which of Google's two APIs it is, and what its operator chose.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference and
https://ai.google.dev/api/generate-content (read 2026-11-20).
"""

import re
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from providers.errors import UnsupportedFieldError
from providers.gemini.fields import refuse
from providers.gemini.lenient import as_list, as_object, as_text
from providers.gemini.signature_cache import origin_of
from providers.options import Cloud, GeminiOptions
from providers.types import JsonObject, JsonValue

_FILES_API = "https://generativelanguage.googleapis.com/"
_MEDIA = frozenset({"inlineData", "fileData"})
_NOT_IN_LABEL = re.compile(r"[^a-z0-9_-]")
_LABEL_LENGTH = 63
_MAX_LABELS = 64


class Dialect(Struct, frozen=True, kw_only=True):
    """One of Google's APIs: what it takes that another refuses. Either answers a field of the other's with 400.

    `call_ids`: calls and results may carry ids. `server_tools`: built-in tools go together with functions, and what
    they did is sent back. `body_tier`: the service tier is a field, else headers. `labels`: a request may be labelled.
    `files`: the Files API exists. `bare_media`: a user turn may be a picture without a word. `google`: fields of the
    `google` object that only this API knows, with the place they go to. `safety`: fields of a safety setting.
    `refused`: settings of built-in tools that only the other API knows, by tool; `lacks`: such tools themselves.
    """

    name: str
    call_ids: bool = True
    server_tools: bool = True
    body_tier: bool = True
    labels: bool = False
    files: bool = True
    bare_media: bool = True
    google: Mapping[str, str] = {}
    safety: tuple[str, ...] = ("category", "threshold")
    refused: Mapping[str, frozenset[str]] = {}
    lacks: frozenset[str] = frozenset()


DEVELOPER = Dialect(
    name="developer",
    refused={"googleSearch": frozenset({"excludeDomains", "exclude_domains"})},
    lacks=frozenset({"enterpriseWebSearch"}),
)
VERTEX = Dialect(
    name="vertex",
    server_tools=False,
    body_tier=False,
    labels=True,
    files=False,
    bare_media=False,
    google={
        "labels": "",
        "model_armor_config": "modelArmorConfig",
        "modelArmorConfig": "modelArmorConfig",
        "audio_timestamp": "generationConfig.audioTimestamp",
        "audioTimestamp": "generationConfig.audioTimestamp",
        "routing_config": "generationConfig.routingConfig",
        "routingConfig": "generationConfig.routingConfig",
    },
    safety=("category", "threshold", "method"),
    refused={"googleSearch": frozenset({"timeRangeFilter", "time_range_filter"})},
    lacks=frozenset({"fileSearch", "mcpServers"}),
)
# An API key instead of a project. It refuses ids of calls: https://github.com/vercel/ai/issues/15664 (read 2026-11-20).
EXPRESS = replace(VERTEX, name="express", call_ids=False)


class Terms(Struct, frozen=True, kw_only=True):
    """A provider's dialect, its operator's choices, and where in Google Cloud it is (None: not there)."""

    dialect: Dialect = DEVELOPER
    options: GeminiOptions = GeminiOptions()
    cloud: Cloud | None = None

    def path(self, model: str) -> str:
        """The path of a model below the base URL, without the verb."""
        cloud = self.cloud
        if cloud is None:
            return f"/models/{model}"
        if cloud.express:
            return f"/publishers/google/models/{model}"
        return f"/projects/{cloud.project}/locations/{cloud.location}/publishers/google/models/{model}"

    def origin(self, family: float, provider: str) -> str:
        """Where the signatures of a model are valid. A key's project is not known: its provider stands for it."""
        project = self.cloud.project if self.cloud is not None else ""
        return origin_of(family, self.dialect.name, project or provider)


USUAL = Terms()


def terms_of(options: GeminiOptions, cloud: Cloud | None) -> Terms:
    """The terms of a provider: Google Cloud's API where one is configured, the Developer API otherwise."""
    if cloud is None:
        return Terms(options=options)
    return Terms(dialect=EXPRESS if cloud.express else VERTEX, options=options, cloud=cloud)


def tier_headers(tier: str) -> dict[str, str]:
    """How Google Cloud is asked for a service tier ("flex" or "priority")."""
    return {"x-vertex-ai-llm-request-type": "shared", "x-vertex-ai-llm-shared-request-type": tier}


def safety_settings(asked: JsonValue, terms: Terms) -> list[JsonValue]:
    """The caller's settings over the operator's: one per category, of several the last.

    Raises BadRequestError for one without category or threshold.
    """
    by_category: dict[str, JsonValue] = {
        category: {"category": category, "threshold": threshold} for category, threshold in terms.options.safety.items()
    }
    given: list[JsonValue] = asked if isinstance(asked, list) else [] if asked is None else [asked]
    for item in given:
        entry = as_object(item)
        kept = {name: entry[name] for name in terms.dialect.safety if as_text(entry.get(name))}
        if not {"category", "threshold"} <= kept.keys():
            raise refuse("a safety setting needs 'category' and 'threshold'", "safety_settings")
        by_category[as_text(kept["category"])] = kept
    return list(by_category.values())


def add_cloud_fields(asked: Mapping[str, JsonValue], google: JsonObject, body: JsonObject, dialect: Dialect) -> None:
    """What only Google Cloud takes: labels (the request's metadata), and its own fields at their places in `body`."""
    if dialect.labels:
        labels = _labels(as_object(asked.get("metadata")) | as_object(google.get("labels")))
        if labels:
            body["labels"] = labels
    for name, place in dialect.google.items():
        if name in google and place:
            holder, _, field = place.rpartition(".")
            target = as_object(body.setdefault(holder, {})) if holder else body
            target[field] = google[name]


def _labels(metadata: JsonObject) -> JsonObject:
    """Names and values as Google Cloud writes labels; what has no place in one is left out."""
    found: JsonObject = {}
    for name, value in metadata.items():
        label = _NOT_IN_LABEL.sub("_", name.lower())[:_LABEL_LENGTH]
        if label[:1].isalpha() and isinstance(value, str) and len(found) < _MAX_LABELS:
            found[label] = _NOT_IN_LABEL.sub("_", value.lower())[:_LABEL_LENGTH]
    return found


def fit_contents(contents: list[JsonObject], dialect: Dialect) -> None:
    """Make finished `contents` what the dialect takes, in place.

    Raises UnsupportedFieldError for a file that lies in the other API's store.
    """
    if dialect.files and dialect.bare_media:
        return
    for content in contents:
        parts = as_list(content.get("parts"))
        for part in parts:
            uri = as_text(as_object(as_object(part).get("fileData")).get("fileUri"))
            if uri.startswith(_FILES_API) and not dialect.files:
                raise UnsupportedFieldError("this provider does not hold that file", param="messages")
        if content.get("role") == "user" and not dialect.bare_media and _wordless(parts):
            parts.append({"text": " "})


def _wordless(parts: list[JsonValue]) -> bool:
    """Whether a turn is media only. Results of tools count as words: nothing may stand beside them."""
    keys = {key for part in parts for key in as_object(part)}
    return bool(keys & _MEDIA) and not keys & {"text", "functionResponse"}
