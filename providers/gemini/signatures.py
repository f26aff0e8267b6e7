"""Thought signatures and call ids: taken from whatever an OpenAI client sent back, and handed out.

A signature is the encrypted carrier of the model's hidden reasoning and belongs to the exact part that carried it.
Generation 3 and later refuse a current turn whose first call of a step has none.
Source: https://ai.google.dev/gemini-api/docs/thought-signatures (read 2026-11-20).
"""

from providers.gemini.lenient import as_list, as_object, as_text
from providers.types import JsonObject

# base64 of "skip_thought_signature_validator": Google's documented last resort for a lost signature.
DUMMY = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="

_SEPARATOR = "__thought__"

# Ids that somebody else made: ours and OpenAI's (`call_`), Anthropic's, OpenAI responses', vLLM's. Gemini's are bare.
_FOREIGN = ("call_", "toolu_", "fc_", "ctc_", "chatcmpl-", "functions.", "tool_")


def issued_by_gemini(call_id: str) -> bool:
    """Whether Gemini made this id, so that it may go upstream. Decided by prefix: the router keeps no state."""
    return bool(call_id) and not call_id.startswith(_FOREIGN)


def split_id(call_id: str) -> tuple[str, str | None]:
    """The bare id and the signature that LiteLLM hides in it (`call_0a__thought__c2ln`)."""
    bare, found, signature = call_id.partition(_SEPARATOR)
    return bare, signature if found and signature else None


def google_extra(holder: JsonObject) -> JsonObject:
    """`extra_content.google` of a message, a call or a picture."""
    if "extra_content" not in holder:
        return {}
    return as_object(as_object(holder.get("extra_content")).get("google"))


def own_signature(holder: JsonObject) -> str | None:
    """The signature a message, call or picture carries itself: Google's convention first, then LiteLLM's."""
    if "extra_content" not in holder and "provider_specific_fields" not in holder:
        return None
    return (
        as_text(google_extra(holder).get("thought_signature"))
        or as_text(as_object(holder.get("provider_specific_fields")).get("thought_signature"))
        or None
    )


def call_signature(call: JsonObject, message: JsonObject) -> str | None:
    """The signature of one call of an assistant message, from any of the places clients keep it.

    Anthropic's `thinking_blocks` are not read: a Claude signature looks the same, and Gemini refuses it.
    """
    call_id = as_text(call.get("id"))
    return (
        own_signature(call)
        or split_id(call_id)[1]
        or own_signature(as_object(call.get("function")))
        or _from_details(message, call_id)
    )


def _from_details(message: JsonObject, call_id: str) -> str | None:
    """OpenRouter's form: `reasoning_details[{type: reasoning.encrypted, data, id}]`, Google's entries only."""
    for entry in as_list(message.get("reasoning_details")):
        detail = as_object(entry)
        if detail.get("type") != "reasoning.encrypted" or not call_id or detail.get("id") != call_id:
            continue
        if as_text(detail.get("format") or "google").startswith("google"):
            return as_text(detail.get("data")) or None
    return None


def signed(signature: str) -> JsonObject:
    """`extra_content` that carries a signature to the client and, in its history, back."""
    return {"google": {"thought_signature": signature}}
