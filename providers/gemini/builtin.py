"""The tools that Google runs itself: what clients call them, and which of Google's two APIs takes which settings.

Source: https://ai.google.dev/api/caching#Tool and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference#tool (read 2026-11-20).
"""

import re
from collections.abc import Mapping

from providers.errors import UnsupportedFieldError
from providers.gemini.fields import refuse
from providers.gemini.terms import Dialect
from providers.types import JsonObject, JsonValue

# Google's own form, an object with the tool's name as its key, in both spellings of protobuf.
_BY_KEY = {
    "googleSearch": "googleSearch",
    "google_search": "googleSearch",
    "codeExecution": "codeExecution",
    "code_execution": "codeExecution",
    "urlContext": "urlContext",
    "url_context": "urlContext",
    "googleMaps": "googleMaps",
    "google_maps": "googleMaps",
    "fileSearch": "fileSearch",
    "file_search": "fileSearch",
    "computerUse": "computerUse",
    "computer_use": "computerUse",
    "mcpServers": "mcpServers",
    "mcp_servers": "mcpServers",
    "enterpriseWebSearch": "enterpriseWebSearch",
    "enterprise_web_search": "enterpriseWebSearch",
}
# By `type`, as OpenAI names its own. Of those only the search is the same thing.
_SAME_BY_TYPE = ("googleSearch", "codeExecution", "urlContext", "googleMaps")
_BY_TYPE = {name: tool for name, tool in _BY_KEY.items() if tool in _SAME_BY_TYPE}
_LISTS = frozenset({"mcpServers"})
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


def read_built_in(tool: JsonObject, where: str, warnings: list[str]) -> tuple[str, JsonValue]:
    """A tool's name on the wire and its settings. Settings in OpenAI's form have no place and are named in `warnings`.

    Raises UnsupportedFieldError for a tool that is not known here, BadRequestError for settings that are none.
    """
    kind = tool.get("type")
    if not isinstance(kind, str):
        key = next((key for key in tool if key in _BY_KEY), None)
        if key is None:
            raise UnsupportedFieldError("this type of tool is not supported here", param=f"{where}.type")
        return _BY_KEY[key], _settings(_BY_KEY[key], tool[key], f"{where}.{key}")
    name = _BY_TYPE.get(kind) or ("googleSearch" if kind.startswith("web_search") else None)
    if name is None:
        raise UnsupportedFieldError("this type of tool is not supported here", param=f"{where}.type")
    own = next((key for key in tool if _BY_KEY.get(key) == name), None)
    warnings.extend(lost(where, {key: value for key, value in tool.items() if key not in ("type", own)}))
    return name, _settings(name, tool[own], f"{where}.{own}") if own else {}


def lost(where: str, settings: Mapping[str, JsonValue]) -> list[str]:
    """A warning for each of `settings` that says something. Only plain names are repeated: they are a caller's text."""
    return [
        f"{where}.{key}=dropped" if _PLAIN_NAME.fullmatch(key) else f"{where}=dropped"
        for key, value in settings.items()
        if value not in (None, {}, [], "")
    ]


def for_dialect(name: str, settings: JsonValue, dialect: Dialect, warnings: list[str]) -> JsonObject:
    """The tool as this API takes it, without the settings that only the other one knows.

    Raises UnsupportedFieldError for a tool that only the other one has.
    """
    if name in dialect.lacks:
        raise UnsupportedFieldError(f"this provider has no tool '{name}'", param="tools")
    refused = dialect.refused.get(name, frozenset())
    if not isinstance(settings, dict) or not refused & settings.keys():
        return {name: settings}
    warnings.extend(f"tools.{name}.{field}=dropped" for field in settings if field in refused)
    return {name: {field: value for field, value in settings.items() if field not in refused}}


def _settings(name: str, value: JsonValue, where: str) -> JsonValue:
    if name in _LISTS:
        if not isinstance(value, list):
            raise refuse("these settings must be an array", where, "invalid_type")
        return value
    if value is None or value is True:  # `{"googleSearch": true}`, as some clients write it
        return {}
    if not isinstance(value, dict):
        raise refuse("a built-in tool's settings must be an object", where, "invalid_type")
    return value
