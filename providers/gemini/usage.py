"""`usageMetadata` -> token counts in OpenAI's terms."""

from providers.gemini.lenient import as_count, as_text
from providers.types import JsonObject, JsonValue, Usage

_TIERS = {
    "standard": "default",
    # Google Cloud's `trafficType`
    "on_demand": "default",
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
    "provisioned_throughput": "scale",
}


def usage_from_metadata(metadata: JsonObject, searches: int = 0) -> Usage:
    """Token counts of one answer; an absent field counts 0, `estimated` when the upstream sent no count at all.

    `promptTokenCount` includes cached tokens; what server-side tools fed back in is added to it. Thoughts are billed
    as output and are added to `completion_tokens`, unless the total shows that this backend has already done so.
    Source: https://ai.google.dev/api/generate-content#UsageMetadata (read 2026-11-20).
    """
    get = metadata.get
    prompt, output = as_count(get("promptTokenCount")), as_count(get("candidatesTokenCount"))
    thoughts, fed_back = as_count(get("thoughtsTokenCount")), as_count(get("toolUsePromptTokenCount"))
    total = get("totalTokenCount")
    if thoughts and total is not None and prompt + output + fed_back == as_count(total):
        output = max(output - thoughts, 0)
    audio_in, image_in = _of_modalities(get("promptTokensDetails"))
    audio_out, image_out = _of_modalities(get("candidatesTokensDetails"))
    return Usage(
        prompt_tokens=prompt + fed_back,
        completion_tokens=output + thoughts,
        cached_tokens=min(as_count(get("cachedContentTokenCount")), prompt),
        reasoning_tokens=thoughts,
        audio_prompt_tokens=audio_in,
        image_prompt_tokens=image_in,
        audio_completion_tokens=audio_out,
        image_completion_tokens=image_out,
        searches=searches,
        tier=tier_of(metadata),
        estimated=not (prompt or output or thoughts or fed_back or total),
    )


def tier_of(metadata: JsonObject) -> str:
    """The service tier that served, in OpenAI's words where they differ; "" when the upstream does not say."""
    if "serviceTier" not in metadata and "trafficType" not in metadata:
        return ""
    tier = (as_text(metadata.get("serviceTier")) or as_text(metadata.get("trafficType"))).lower()
    return _TIERS.get(tier, tier)


def _of_modalities(details: JsonValue) -> tuple[int, int]:
    """Audio and picture tokens. The lists may be partial or absent: nothing is ever derived by subtraction."""
    audio = image = 0
    if isinstance(details, list):
        for entry in details:
            if not isinstance(entry, dict):
                continue
            modality = entry.get("modality")
            if modality == "AUDIO":
                audio += as_count(entry.get("tokenCount"))
            elif modality == "IMAGE":
                image += as_count(entry.get("tokenCount"))
    return audio, image
