"""The same configuration with every upstream replaced by the built-in simulated one."""

import msgspec

from router.settings.values import ProviderSettings, ProviderType, Settings

_WIRE: dict[ProviderType, str] = {
    "gemini": "gemini/v1beta",
    "openai": "openai/v1",
    "azure": "azure",
    "eachlabs": "eachlabs/v1",
    "bfl": "bfl/v1",
    "stability": "stability/v2beta",
    "fal": "fal",
    "replicate": "replicate/v1",
    "together": "together/v1",
    "xai": "xai/v1",
    "seedream": "seedream/api/v3",
    "openrouter": "openrouter/api/v1",
    "ideogram": "ideogram",
    "stable-diffusion": "stable-diffusion",
    "comfyui": "comfyui",
    "midjourney": "midjourney",
    "litellm": "openai/v1",
}

_LEGNEXT = "legnext/api/v1"


def has_provider_key(settings: Settings) -> bool:
    """Whether any real upstream can be asked: one has a key, or is local and needs none."""
    return any(provider.enabled or provider.api_key for provider in settings.providers.values())


def use_sandbox(settings: Settings, base_url: str) -> Settings:
    """`settings` with every provider on and at the sandbox under `base_url`: all of them or none, never a mixture."""
    root = base_url.rstrip("/")
    providers = {name: _simulated(provider, root) for name, provider in settings.providers.items()}
    return msgspec.structs.replace(settings, providers=providers, sandbox=True)


def _simulated(provider: ProviderSettings, root: str) -> ProviderSettings:
    legnext = provider.type == "midjourney" and provider.options.midjourney.dialect == "legnext"
    url = f"{root}/p/{provider.name}/{_LEGNEXT if legnext else _WIRE[provider.type]}"
    # it speaks the Developer API and knows no tokens; to litellm it is an OpenAI, whatever the vendor
    prefix = "openai/" if provider.type == "litellm" else ""
    options = msgspec.structs.replace(provider.options, cloud=None, model_prefix=prefix)
    return msgspec.structs.replace(
        provider, base_url=url, api_key="sandbox", enabled=True, off_reason="", options=options
    )
