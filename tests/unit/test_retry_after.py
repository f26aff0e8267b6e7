"""Retry advice in all its spellings; nothing an upstream writes can raise or exceed an hour."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.retry_after import parse_advice, parse_retry_after, parse_retry_info

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1e12"}, 3600.0),
        ({"retry-after": "1000000000000"}, 3600.0),
        ({"retry-after": "9" * 500}, 3600.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1_000"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2037 12:00:00 GMT"}, 3600.0),
        ({"retry-after": "Friday, 20-Nov-26 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT", "date": "Fri, 20 Nov 2026 12:00:20 GMT"}, 10.0),
        ({"retry-after": "Fri, 99 Nov 2026 12:00:30 GMT"}, None),
    ],
)
def test_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(headers, NOW) == seconds


def test_a_date_without_any_clock_is_no_advice() -> None:
    assert parse_retry_after({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, None) is None


@given(st.text(), st.text())
def test_no_header_value_raises_or_leaves_the_range(one: str, two: str) -> None:
    seconds = parse_retry_after({"retry-after": one, "retry-after-ms": two, "date": two}, NOW)
    assert seconds is None or 0.0 <= seconds <= 3600.0


@given(st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d{1,3}:\d{1,3}:\d{1,3} ([+-]\d{1,6}|GMT)\Z"))
def test_no_date_raises_or_leaves_the_range(text: str) -> None:
    seconds = parse_retry_after({"retry-after": text}, NOW)
    assert seconds is None or 0.0 <= seconds <= 3600.0


def info(delay: object) -> list[object]:
    return [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        (info("45.837906927s"), 45.837906927),
        (info("26s"), 26.0),
        (info("-1s"), None),
        (info("26"), None),
        (info(26), None),
        ([{"@type": "other"}, *info("3s")], 3.0),
        ([1, None, "x"], None),
        ({"retryDelay": "3s"}, None),
        (None, None),
    ],
)
def test_googles_retry_info(details: object, seconds: float | None) -> None:
    assert parse_retry_info(details) == seconds


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached. Please try again in 20s.", 20.0),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 120ms.", 0.12),
        ("Please retry in 26.66s.", 26.66),
        ("Please try again in 9999h.", 3600.0),
        ("Please try again later", None),
        ("", None),
    ],
)
def test_advice_in_prose(message: str, seconds: float | None) -> None:
    assert parse_advice(message) == pytest.approx(seconds) if seconds else parse_advice(message) is None


@given(st.text())
def test_no_prose_raises(message: str) -> None:
    assert (parse_advice(message) or 0.0) <= 3600.0
