"""Upstream prose made safe to show: no keys, no URLs, one bounded line."""

import re

_KEY = re.compile(
    r"\b(?:sk|gsk|pk|rk|xai|hf|r8)[-_][\w*.-]{4,}|\bAIza[\w-]{6,}|\bAQ\.[\w-]{6,}|\bbearer\s+\S+",
    re.ASCII | re.IGNORECASE,
)
_URL = re.compile(r"\b(?:https?|wss?|file|ftp)://[^\s\"'<>)\]]+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_MAX_CHARS = 1000  # a message, not a document: some upstreams quote the whole request


def redacted(text: str) -> str:
    """`text` without keys and URLs, without control characters, at most 1,000 characters."""
    text = _CONTROL.sub(" ", text[: 4 * _MAX_CHARS])
    text = _URL.sub("[url]", _KEY.sub("[key]", text)).strip()
    return text if len(text) <= _MAX_CHARS else text[:_MAX_CHARS] + "…"
