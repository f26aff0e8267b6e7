"""Server-sent events: bytes in any slices -> the data of whole events. Pure; no I/O, no JSON."""

import re

from providers.errors import BadResponseError

_BLANK_LINE = re.compile(rb"\r\n\r\n|\r\n\r|\n\n|\n\r\n|\n\r|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")
_SHORT = 4096  # bytes of an event's beginning that are cheaper to join with the next read than to search in place
_FIELDS = (b"event", b"id", b"retry", b"data")
_BOM = b"\xef\xbb\xbf"


class EventDecoder:
    """Cuts a byte stream into events and gives the data of each, lines joined by LF.

    Accepts LF, CRLF and CR line ends, comments, a leading BOM, several `data:` lines and a missing last blank line.
    Text outside any field is given as it is: Google sends error bodies unframed inside a stream. One event may be many
    megabytes (a picture); more than `max_event_bytes` raises BadResponseError.
    """

    def __init__(self, max_event_bytes: int = 64 * 1024 * 1024) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # never search a long event twice: that would be quadratic in its length
        self._max_event_bytes = max_event_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """The data of every event that `data` completes, in order; empty events and comments give nothing."""
        buffer = self._buffer
        if len(buffer) <= _SHORT:  # nearly every read of nearly every upstream: a quarter of the time
            if buffer:
                data = bytes(buffer) + data
                buffer.clear()
            blank_line = _blank_line_in(data)
            if blank_line:
                *frames, rest = data.split(blank_line)
                self._keep(rest)
                return [payload for frame in frames if (payload := _data_of(frame))]
            self._scanned = 0
        buffer += data
        events: list[bytes] = []
        start = 0
        position = self._scanned
        while match := _BLANK_LINE.search(buffer, position):
            payload = _data_of(bytes(buffer[start : match.start()]))
            if payload:
                events.append(payload)
            start = position = match.end()
        if start:
            del buffer[:start]
        self._keep(b"")
        return events

    def _keep(self, rest: bytes) -> None:
        self._buffer += rest
        self._scanned = max(0, len(self._buffer) - 3)
        if len(self._buffer) > self._max_event_bytes:
            raise BadResponseError("an event of the upstream's stream is too long", outcome="line_too_long")

    def finish(self) -> list[bytes]:
        """The last event, when the stream ended without its blank line."""
        payload = _data_of(bytes(self._buffer))
        self._buffer.clear()
        self._scanned = 0
        return [payload] if payload else []


def _blank_line_in(data: bytes) -> bytes:
    """What a blank line looks like where all lines end alike, in LF or in CRLF; empty when they do not."""
    returns = data.count(b"\r")
    if not returns:
        return b"\n\n"
    return b"\r\n\r\n" if returns == data.count(b"\n") == data.count(b"\r\n") else b""


def _data_of(frame: bytes) -> bytes:
    if frame.startswith(b"data: ") and b"\n" not in frame and b"\r" not in frame:  # nearly all
        return frame[6:]
    if frame.startswith(_BOM):
        frame = frame[3:]
    data: list[bytes] = []
    bare: list[bytes] = []
    for line in _LINE.split(frame):
        if line.startswith(b"data:"):
            data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line and not line.startswith(b":") and line.partition(b":")[0] not in _FIELDS:
            bare.append(line)
    return b"\n".join(data or bare).strip()
