"""The fault catalogue: every failure the sandbox can show, by name, and the book of rules that says when.

A refused connection cannot be shown from inside a listening process: point the router at a closed port for that.
"""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from providers.sandbox.config import FaultRule

_QUIET_OPERATIONS = frozenset({"models", "count", "cache", "cancel", "file"})  # struck only by a rule that names them
_STATUS = re.compile(r"status-([2-5]\d\d)\Z")
_IN_PROMPT = re.compile(rb"sandbox-fault:\s*([a-z0-9-]+(?:;[a-z_]+=[^;\s\"\\]+)*)")

# Kinds. refusal: an error status in the dialect's own body. line: done to the connection or instead of any answer.
# content: the dialect says something else. delivery: a good answer, badly sent. job: create-and-poll only.
FAULTS: Mapping[str, tuple[str, str]] = {
    "429-retry-info": ("refusal", "429 with RetryInfo in Gemini's body; delay=20.04s (elsewhere: as 429-retry-after)"),
    "429-retry-after": ("refusal", "429 with Retry-After: seconds=7"),
    "429-retry-after-date": ("refusal", "429 with Retry-After as an HTTP date, seconds=7 from now"),
    "429-retry-after-ms": ("refusal", "429 with retry-after-ms: ms=1500"),
    "429-per-day": ("refusal", "429 for a daily quota (OpenAI: insufficient_quota)"),
    "429-text-only": ("refusal", "429 whose only hint is 'Please retry in {seconds}s' in the message; seconds=26.66"),
    "bad-key": ("refusal", "our key is refused (Gemini: 400 API_KEY_INVALID, others 401)"),
    "html-error": ("refusal", "a front end's HTML page; status=524"),
    "context-too-long": ("refusal", "400: the prompt exceeds the model's window"),
    "reset": ("line", "TCP reset after the request was read, no bytes sent; seconds=0 before it"),
    "empty-reply": ("line", "connection closed in good order without a byte"),
    "stall": ("line", "nothing is sent for seconds=3600, then the normal answer"),
    "slow-headers": ("line", "one header byte per seconds=0.2, for ever"),
    "stall-first-byte": ("line", "200 and headers, then silence for seconds=3600, then the normal answer"),
    "html-200": ("line", "200 with an HTML error page"),
    "empty-body": ("line", "200 with an empty body"),
    "no-content": ("line", "204"),
    "bad-json": ("line", "200 with a body that is not JSON"),
    "invalid-utf8": ("delivery", "the answer's text holds bytes that are not UTF-8"),
    "redirect": ("line", "307 to location=http://127.0.0.1:9/"),
    "huge-headers": ("line", "200 with bytes=1000000 of headers"),
    "gzip-bomb": ("line", "200, content-encoding gzip, a small body that unpacks to bytes=1000000000"),
    "error-in-200": ("line", "200 whose body is the dialect's error object; status=503"),
    "endless-stream": ("line", "200 and a stream that repeats one chunk every seconds=0.01 without end"),
    "long-line": ("line", "200 and a stream of bytes=80000000 with no line end"),
    "comments-only": ("line", "200 and a stream of nothing but SSE comments every seconds=0.05"),
    "truncated-json": ("delivery", "the body stops half-way, framed as if complete"),
    "short-body": ("delivery", "Content-Length promises more than is sent before the connection closes"),
    "extra-bytes": ("delivery", "bytes follow the end that Content-Length declared"),
    "wrong-content-type": ("delivery", "the right body declared as type=text/plain"),
    "early-hints": ("delivery", "103 Early Hints before the answer"),
    "slow-chunks": ("delivery", "seconds=0.2 between any two writes"),
    "one-byte-chunks": ("delivery", "every byte is a chunk of its own"),
    "crlf": ("delivery", "events end in CRLF"),
    "lf": ("delivery", "events end in LF"),
    "cr": ("delivery", "events end in CR"),
    "odd-framing": ("delivery", "events with a BOM, comments, an event: line and no space after the colon"),
    "stall-mid-stream": ("delivery", "after=3 events, then silence for seconds=3600"),
    "reset-mid-stream": ("delivery", "after=3 events, then a TCP reset"),
    "truncate": ("delivery", "after=3 events, then a clean end without a finish"),
    "no-done": ("delivery", "the stream ends after its finish reason but without [DONE]"),
    "data-after-done": ("delivery", "one more event after the end of the stream"),
    "error-first-event": ("delivery", "the first event of the stream is an error object; status=503"),
    "error-mid-stream": ("delivery", "after=3 events, then an error object; status=503"),
    "error-unframed": ("delivery", "after=3 events, then a pretty-printed error body without data:; status=503"),
    "brown-out": ("delivery", "the normal answer, factor=10 times slower"),
    "empty-candidate": ("content", "a finished answer with nothing in it"),
    "no-candidates": ("content", "an answer without candidates or choices"),
    "blocked-prompt": ("content", "the prompt was refused by a safety filter; reason=PROHIBITED_CONTENT"),
    "safety": ("content", "the answer was cut by a safety filter (images: moderation)"),
    "malformed-function-call": ("content", "a broken tool call"),
    "max-tokens-no-text": ("content", "the whole output budget went into thinking"),
    "other-text": ("content", "the answer is text=no JSON, and finish=stop (or length)"),
    "finish-before-text": ("content", "an empty finished candidate precedes the text"),
    "unknown-finish": ("content", "a finish reason nobody has heard of, with content"),
    "usage-missing": ("content", "no token counts"),
    "usage-odd": ("content", "negative, null and text token counts"),
    "unknown-fields": ("content", "unknown fields, enums and part types among the known ones"),
    "no-image": ("content", "an image model that answers without an image"),
    "image-safety": ("content", "the picture was refused"),
    "black-image": ("content", "an all-black picture"),
    "bad-image": ("content", "image data that is no image"),
    "one-bad-image": ("content", "the first of several pictures is image data that is no image"),
    "job-never-ends": ("job", "the job stays in processing"),
    "job-fails": ("job", "the job ends in error"),
    "job-internal-url": ("job", "the result URL points into the link-local network"),
    "poll-404": ("job", "a poll answers 404 for an accepted job"),
    "poll-500": ("job", "a poll answers 500"),
    "backwards": ("job", "a poll answers starting after processing, once"),
}


class Fault(Struct, frozen=True):
    """One fault about to strike: its name, kind and arguments."""

    name: str
    kind: str
    args: Mapping[str, Any] = {}

    def number(self, key: str, default: float) -> float:
        """A numeric argument. Falls back to `default` when absent or not a number."""
        try:
            return float(self.args.get(key, default))
        except (TypeError, ValueError):
            return default

    def text(self, key: str, default: str) -> str:
        return str(self.args.get(key, default))


def fault_named(name: str, args: Mapping[str, Any] | None = None) -> Fault:
    """Raises ValueError, listing the catalogue, for a name that is not in it."""
    if match := _STATUS.match(name):
        return Fault(name, "refusal", {**(args or {}), "status": int(match[1])})
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}; there are status-N, {', '.join(FAULTS)}")
    return Fault(name, FAULTS[name][0], args or {})


def parse_fault(text: str) -> Fault:
    """A fault from `name[;key=value...]`, the form of the `x-sandbox-fault` header. Raises ValueError."""
    name, *pairs = (piece.strip() for piece in text.split(";"))
    args = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    return fault_named(name, args)


def fault_in_prompt(body: bytes, label: str) -> Fault | None:
    """The fault a prompt asks for by `sandbox-fault: name;key=value`; `label=x` confines it to one provider label."""
    if b"sandbox-fault:" not in body:
        return None
    match = _IN_PROMPT.search(body)
    if match is None:
        return None
    fault = parse_fault(match[1].decode())
    return fault if fault.args.get("label", label) == label else None


class FaultBook:
    """The rules in force. The first rule that matches a request strikes it, and counts down its `times`."""

    def __init__(self, rules: Sequence[FaultRule] = (), seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a simulation, repeatable on purpose
        self._rules: list[FaultRule] = []
        self._left: list[int | None] = []
        self.set(rules)

    def set(self, rules: Sequence[FaultRule]) -> None:
        """Replace all rules. Raises ValueError for an unknown fault and changes nothing then."""
        for rule in rules:
            fault_named(rule.fault)
        self._rules, self._left = list(rules), [rule.times for rule in rules]

    def set_json(self, body: bytes) -> None:
        """Replace all rules by a JSON list of them. Raises ValueError."""
        try:
            self.set(msgspec.json.decode(body, type=list[FaultRule]))
        except msgspec.MsgspecError as exc:
            raise ValueError(str(exc)) from exc

    def as_list(self) -> list[dict[str, Any]]:
        """The rules with `left`, how often each may still strike (None: for ever)."""
        return [{**msgspec.to_builtins(rule), "left": left} for rule, left in zip(self._rules, self._left, strict=True)]

    def strike(self, label: str, model: str, operation: str) -> Fault | None:
        """The fault for this request, if any."""
        if not self._rules:
            return None
        for index, rule in enumerate(self._rules):
            if self._matches(index, rule, label, model, operation):
                left = self._left[index]
                self._left[index] = None if left is None else left - 1
                return fault_named(rule.fault, rule.args)
        return None

    def _matches(self, index: int, rule: FaultRule, label: str, model: str, operation: str) -> bool:
        if rule.on != operation and (rule.on is not None or operation in _QUIET_OPERATIONS):
            return False
        if self._left[index] == 0 or rule.label not in (None, label) or rule.model not in (None, model):
            return False
        if FAULTS.get(rule.fault, ("",))[0] == "job" and rule.on is None and operation not in ("submit", "poll"):
            return False
        return rule.rate >= 1 or self._random.random() < rule.rate
