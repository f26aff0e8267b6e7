"""Answers that a filter withheld whole: a good answer with nothing in it, or, as configured, a failed attempt.

Upstreams that refuse a prompt with 200 and `content_filter` are treated as those that refuse it with an error, where
`routing.failover.content_policy` lets refusals go to the next candidate.
"""

from providers.errors import ContentBlockedError
from providers.streams import PrimedStream
from providers.types import ChatResponse, JsonValue, Usage
from router.accounting.record import RequestRecord
from router.routing.plan import Candidate

_REFUSED = "content_filter"
_FRAME = frozenset({"role", "refusal"})


def unless_withheld(record: RequestRecord, candidate: Candidate, response: ChatResponse) -> ChatResponse:
    """The answer. Raises ContentBlockedError, its cost booked, when it holds nothing because a filter withheld it."""
    if any(choice.get("finish_reason") != _REFUSED or _says(choice.get("message")) for choice in response.choices):
        return response
    raise _blocked(record, candidate, response.usage)


async def unless_withheld_stream(record: RequestRecord, candidate: Candidate, stream: PrimedStream) -> PrimedStream:
    """The same of a stream that has begun; one that is refused is closed."""
    first = stream.first
    if any(_says(chunk.delta) for chunk in first) or not any(chunk.finish_reason == _REFUSED for chunk in first):
        return stream
    await stream.aclose()
    usage = next((chunk.usage for chunk in reversed(first) if chunk.usage is not None), Usage(estimated=True))
    raise _blocked(record, candidate, usage)


def _says(message: JsonValue) -> bool:
    """Whether there is anything in it but the word that it was refused."""
    return isinstance(message, dict) and any(value for key, value in message.items() if key not in _FRAME)


def _blocked(record: RequestRecord, candidate: Candidate, usage: Usage) -> ContentBlockedError:
    if usage.prompt_tokens:
        record.spend(len(record.attempts), candidate, usage)
    return ContentBlockedError("a filter withheld the answer", provider=candidate.provider, billed=True)
