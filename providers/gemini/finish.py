"""Why Google stopped -> OpenAI's `finish_reason`, or an error where there is nothing a client could use.

Source: https://ai.google.dev/api/generate-content#FinishReason (read 2026-11-20).
"""

from providers.errors import BadResponseError
from providers.types import JsonValue

FILTERED = frozenset(
    {
        "SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "RECITATION", "MODEL_ARMOR", "JAILBREAK",
        "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
    }
)  # fmt: skip
_CUT = frozenset({"MAX_TOKENS", "CONTINUATION"})
_MALFORMED = frozenset(
    {
        "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    }
)  # fmt: skip
# With `enum-encoding=int` enums come as numbers; beyond these five the two Google APIs disagree.
_NUMBERED = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}


def native_reason(value: JsonValue) -> str | None:
    """The name of a finish reason; None when the upstream sent none."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return _NUMBERED.get(value, str(value))
    return None


def finish_reason(native: str | None, *, shown: bool, called: bool) -> str:
    """OpenAI's value for a native one. `shown`: the answer has content; `called`: a call was passed on.

    Raises BadResponseError for malformed calls, and for an end without content that is neither a cut nor a filter.
    """
    name = native or "FINISH_REASON_UNSPECIFIED"
    if name in _MALFORMED:
        raise BadResponseError("the model produced a malformed answer", outcome="malformed", billed=True, resend="same")
    if called:
        return "tool_calls"
    if name in FILTERED:
        return "content_filter"
    if name in _CUT:
        return "length"
    if not shown:
        raise BadResponseError("the model's answer is empty", outcome="empty", billed=True)
    return "stop"


def refusal_of(native: str) -> str:
    """What a client is told when a filter of the provider ended the answer."""
    return f"Blocked by the provider: {native}"
