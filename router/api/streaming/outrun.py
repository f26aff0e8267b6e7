"""What becomes of an attempt that was outrun by the one started beside it: let go of, and booked.

An upstream that was cut off before its first byte has read the prompt all the same: that is what it is taken to cost.
"""

from typing import Protocol

from providers.streams import PrimedStream
from providers.types import Usage
from router.accounting.record import RequestRecord
from router.routing.dispatch import Discard


class Counted(Protocol):
    """An answer that came whole, with its token counts if the upstream sent any."""

    @property
    def usage(self) -> Usage | None: ...


def discard_answers(record: RequestRecord) -> Discard[Counted]:
    """For whole answers, also those that came as a stream."""

    async def discard(place: int, answer: Counted | None) -> None:
        book(record, place, None if answer is None else answer.usage)

    return discard


def discard_streams(record: RequestRecord) -> Discard[PrimedStream]:
    """For streams whose first content is there."""

    async def discard(place: int, answer: PrimedStream | None) -> None:
        if answer is not None:
            await answer.aclose()
        book(record, place, None)

    return discard


def book(record: RequestRecord, place: int, usage: Usage | None) -> None:
    """Enter what the attempt at this place has cost, unless that is done; without a count, the prompt's tokens."""
    if any(spent.attempt == place for spent in record.spent):
        return
    if usage is None:
        tokens = record.features.prompt_tokens if record.features else 0
        usage = Usage(prompt_tokens=tokens, estimated=True)
    record.spend(place, record.attempts[place].candidate, usage)
