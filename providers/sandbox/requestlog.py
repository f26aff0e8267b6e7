"""What the sandbox has received: a bounded list, cheap to append to, decoded only when somebody looks."""

import time
from collections import deque
from typing import Any

import orjson

from providers.sandbox.exchange import Header

_KEPT_BODY_BYTES = 256 * 1024


class Entry:
    """One received request, updated until its answer has ended."""

    __slots__ = (
        "body",
        "client_gone",
        "connections",
        "dialect",
        "duration_s",
        "fault",
        "headers",
        "label",
        "method",
        "model",
        "operation",
        "path",
        "query",
        "started",
        "status",
        "time",
    )  # fmt: skip

    def __init__(self, method: str, path: str, query: bytes, headers: list[Header], connections: int) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.connections = connections
        self.label = self.dialect = self.operation = self.model = self.fault = ""
        self.body = b""
        self.status = 0
        self.client_gone = False
        self.time = time.time()
        self.started = time.monotonic()
        self.duration_s: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready. `body` is the decoded JSON, or a summary of what is not JSON or too large to keep."""
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query.decode("latin-1"),
            "label": self.label,
            "dialect": self.dialect,
            "operation": self.operation,
            "model": self.model,
            "fault": self.fault,
            "headers": {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers},
            "body": _readable(self.body),
            "status": self.status,
            "client_disconnected": self.client_gone,
            "time": self.time,
            "duration_s": self.duration_s,
            "open_connections": self.connections,
        }


class RequestLog:
    """The newest `size` requests, oldest first."""

    def __init__(self, size: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self.total = 0

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self.total += 1

    def clear(self) -> None:
        self._entries.clear()
        self.total = 0

    def entries(self) -> list[dict[str, Any]]:
        return [entry.as_dict() for entry in list(self._entries)]

    def bodies(self) -> list[bytes]:
        """The bodies as they came, in the same order."""
        return [entry.body for entry in list(self._entries)]


def _readable(body: bytes) -> Any:
    if not body:
        return None
    if len(body) > _KEPT_BODY_BYTES:
        return {"bytes": len(body), "head": body[:200].decode("utf-8", "replace")}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return {"bytes": len(body), "head": body[:2000].decode("utf-8", "replace")}
