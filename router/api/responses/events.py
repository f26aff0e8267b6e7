"""The events of a Responses stream: numbered, named twice (by field and by line), one line of JSON each."""

from collections.abc import Callable

import orjson

from providers.types import JsonValue

Tell = Callable[..., None]


class EventLog:
    """Numbers the events and holds them as bytes until they are taken."""

    __slots__ = ("_number", "_waiting")

    def __init__(self) -> None:
        self._number = 0
        self._waiting: list[bytes] = []

    def tell(self, kind: str, **fields: JsonValue) -> None:
        """One more event of the type `kind`."""
        data = orjson.dumps({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        self._waiting.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))

    def take(self) -> bytes:
        """The events since the last call."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data


def unheard(kind: str, **fields: JsonValue) -> None:
    """For an answer that is not streamed."""
