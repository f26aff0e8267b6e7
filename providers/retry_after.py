"""How long an upstream asks us to wait: headers, Google's `RetryInfo`, and as a last resort the message. Pure.

Every result is in seconds and lies in [0, 3600]; whatever cannot be read gives None, never an exception.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from providers.types import JsonValue

MAX_WAIT_S = 3600.0  # longer advice is a mistake more often than a plan; a quota has its own error class

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE]\+?[0-9]{1,4})?|\.[0-9]+", re.ASCII)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|h|m|s)", re.ASCII)
_ADVICE = re.compile(
    r"(?:retry|try again) (?:in|after) ((?:[0-9]+(?:\.[0-9]+)? ?(?:ms|h|m|s))+)", re.ASCII | re.IGNORECASE
)
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MILLISECOND_HEADERS = ("retry-after-ms", "x-ms-retry-after-ms")


def parse_retry_after(headers: Mapping[str, str], now: datetime | None) -> float | None:
    """Seconds to wait by `retry-after-ms`, `x-ms-retry-after-ms` or `retry-after`, in that order.

    `retry-after` is seconds (fractions allowed) or an HTTP date, which is measured against the answer's own `date`
    header where there is one, so that a skewed clock does no harm, and else against `now` (aware; None: the date is
    not used). A past date is 0; a negative number is no advice.
    """
    for name in _MILLISECOND_HEADERS:
        value = _number(_header(headers, name))
        if value is not None:
            return _clamped(value / 1000.0)
    text = _header(headers, "retry-after")
    seconds = _number(text)
    if seconds is not None:
        return _clamped(seconds)
    moment, start = _instant(text), _instant(_header(headers, "date")) or now
    return None if moment is None or start is None else _clamped((moment - start).total_seconds())


def parse_retry_info(details: JsonValue) -> float | None:
    """Seconds from the `google.rpc.RetryInfo` of an error's `details`: a duration such as "45.837906927s"."""
    if not isinstance(details, list):
        return None
    for detail in details:
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith("google.rpc.RetryInfo"):
            delay = detail.get("retryDelay")
            if isinstance(delay, str) and delay.endswith("s"):
                seconds = _number(delay[:-1])
                return None if seconds is None else _clamped(seconds)
    return None


def parse_advice(message: str) -> float | None:
    """Seconds from prose such as "Please try again in 6m0s.": only where no header and no field says it."""
    found = _ADVICE.search(message)
    if found is None:
        return None
    return _clamped(sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION.findall(found[1])))


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:  # a plain dict, as tests and other clients have it, is case-sensitive
        value = next((value for key, value in headers.items() if key.lower() == name), "")
    return value.strip()


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _clamped(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_WAIT_S)
