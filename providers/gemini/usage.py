"""`usageMetadata` -> token counts in OpenAI's terms."""

from providers.gemini.lenient import as_count, as_list, as_object, as_text
from providers.types import JsonObject, JsonValue, Usage


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
    prompt_details, output_details = get("promptTokensDetails"), get("candidatesTokensDetails")
    return Usage(
        prompt_tokens=prompt + fed_back,
        completion_tokens=output + thoughts,
        cached_tokens=min(as_count(get("cachedContentTokenCount")), prompt),
        reasoning_tokens=thoughts,
        audio_prompt_tokens=_of_modality(prompt_details, "AUDIO"),
        image_prompt_tokens=_of_modality(prompt_details, "IMAGE"),
        audio_completion_tokens=_of_modality(output_details, "AUDIO"),
        image_completion_tokens=_of_modality(output_details, "IMAGE"),
        searches=searches,
        estimated=not (prompt or output or thoughts or fed_back or total),
    )


def _of_modality(details: JsonValue, modality: str) -> int:
    """Tokens of one modality. The lists may be partial or absent: nothing is ever derived by subtraction."""
    if not details:
        return 0
    return sum(
        as_count(as_object(entry).get("tokenCount"))
        for entry in as_list(details)
        if as_text(as_object(entry).get("modality")) == modality
    )
