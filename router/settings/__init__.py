"""The configuration: files and environment in, frozen values out. Nothing else in the router reads `config/`."""

from router.settings.loader import Inspection, find_config, inspect_settings, load_settings
from router.settings.names import find_alias, is_direct, resolve_alias
from router.settings.sandbox import has_provider_key, use_sandbox
from router.settings.schema import settings_schema
from router.settings.values import (
    DEFAULT_BASE_URLS,
    Alias,
    ClientKey,
    FetchSettings,
    Hedge,
    ImageFormat,
    ImageSettings,
    ModelSettings,
    ProviderOptions,
    ProviderSettings,
    ProviderType,
    RoutingSettings,
    RuleSettings,
    ServerSettings,
    Settings,
    Slo,
    Sort,
    StreamMode,
    TargetSettings,
)

__all__ = [
    "DEFAULT_BASE_URLS",
    "Alias",
    "ClientKey",
    "FetchSettings",
    "Hedge",
    "ImageFormat",
    "ImageSettings",
    "Inspection",
    "ModelSettings",
    "ProviderOptions",
    "ProviderSettings",
    "ProviderType",
    "RoutingSettings",
    "RuleSettings",
    "ServerSettings",
    "Settings",
    "Slo",
    "Sort",
    "StreamMode",
    "TargetSettings",
    "find_alias",
    "find_config",
    "has_provider_key",
    "inspect_settings",
    "is_direct",
    "load_settings",
    "resolve_alias",
    "settings_schema",
    "use_sandbox",
]
