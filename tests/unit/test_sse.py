"""Events come out whole and in order, however the bytes are cut and whatever line ends the upstream prefers."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import BadResponseError
from providers.sse import EventDecoder


def decode(*slices: bytes) -> list[bytes]:
    decoder = EventDecoder()
    events = [event for data in slices for event in decoder.feed(data)]
    return events + decoder.finish()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\n\r\ndata: b\r\n\n", [b"a", b"b"]),
        (b"data: a\n\rdata: b\n\r", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b": ping\n\ndata: a\n\n: pong\n\n", [b"a"]),
        (b"event: x\nid: 7\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data\n\ndata:\n\ndata: a\n\n", [b"a"]),
        (b"event: ping\n\n", []),
        (b"", []),
        ("data: a\u2028b\u2029c\n\n".encode(), ["a\u2028b\u2029c".encode()]),
        ("data: žluť 🐎\n\n".encode(), ["žluť 🐎".encode()]),
        (b'{"error":{"code":500}}\n\n', [b'{"error":{"code":500}}']),
        (b'data: a\n\n{"error":\n{"code":500}}', [b"a", b'{"error":\n{"code":500}}']),
    ],
)
def test_every_variant_of_the_framing_is_read_at_every_cut(stream: bytes, events: list[bytes]) -> None:
    assert decode(stream) == events
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == events
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], stream[cut:]) == events, cut


LINES = st.sampled_from([b"data: x", b"data:y", b": c", b"event: e", b"", b'{"a":1}', b"data: \xc3\xa9", b"data"])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=20), st.lists(st.integers(0, 200), max_size=8))
def test_any_slicing_gives_the_same_events(lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(line + end for line, end in lines)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    slices = [stream[a:b] for a, b in pairwise(places)]
    assert decode(*slices) == decode(stream)


def test_an_event_of_eight_megabytes_takes_linear_time() -> None:
    payload = b"A" * 8_000_000
    stream = b"data: " + payload + b"\n\n"
    started = time.perf_counter()
    events = decode(*(stream[i : i + 65536] for i in range(0, len(stream), 65536)))
    assert time.perf_counter() - started < 1.0
    assert events == [payload]


def test_a_line_without_end_is_refused_at_the_cap() -> None:
    decoder = EventDecoder(max_event_bytes=1000)
    for _ in range(10):
        decoder.feed(b"x" * 100)
    with pytest.raises(BadResponseError) as caught:
        decoder.feed(b"x")
    assert caught.value.outcome == "line_too_long"


def test_a_long_stream_of_short_events_never_meets_the_cap() -> None:
    decoder = EventDecoder(max_event_bytes=100)
    assert sum(len(decoder.feed(b"data: 0123456789\n\n")) for _ in range(1000)) == 1000
