"""Tool calls of a stream put in order: each gets one number, one id and one name, whatever the upstream sends. Pure."""

from collections.abc import Callable

import orjson

from providers.types import JsonObject, JsonValue

_PASSED = ("extra_content", "custom")


class _Call:
    """One call so far. `text` collects its arguments, only to see whether they are complete."""

    __slots__ = ("id", "name", "number", "text")

    def __init__(self, number: int, call_id: str) -> None:
        self.number = number
        self.id = call_id
        self.name = ""
        self.text = ""


class CallTranslator:
    """Repairs `delta.tool_calls` of one choice.

    The index may be missing or always 0 (Google's OpenAI layer), the id empty, repeated on every delta or new on
    every delta (old vLLM), the name repeated, the arguments an object. Out come calls numbered 0, 1, 2 in order of
    appearance; id, type and name stand on the first delta of each and nowhere else.
    """

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[JsonValue, _Call] = {}

    def feed(self, entries: list[JsonValue]) -> list[JsonValue]:
        """The repaired entries; those that say nothing are left out."""
        out: list[JsonValue] = []
        for entry in entries:
            if isinstance(entry, dict):
                delta = self._entry(entry)
                if delta is not None:
                    out.append(delta)
        return out

    def close(self) -> list[JsonValue]:
        """Deltas that give `{}` to calls whose arguments never came: an empty string is not JSON."""
        return [
            {"index": call.number, "function": {"arguments": "{}"}}
            for call in self._calls
            if call.name and not call.text.strip()
        ]

    def __bool__(self) -> bool:
        return bool(self._calls)

    def _entry(self, entry: JsonObject) -> JsonObject | None:
        function = entry.get("function")
        body = function if isinstance(function, dict) else {}
        name, text = body.get("name"), body.get("arguments")
        name = name if isinstance(name, str) else ""
        if not isinstance(text, str):
            text = "" if text is None else orjson.dumps(text).decode()
        call = self._known(entry, name)
        first = call is None
        if call is None:
            call = self._add(entry)
        call.text += text
        return _delta(call, entry, name, text, first=first)

    def _known(self, entry: JsonObject, name: str) -> _Call | None:
        """The call this entry continues; None when it starts one."""
        call_id, index = entry.get("id"), entry.get("index")
        if isinstance(call_id, str) and call_id in self._by_id:
            return self._by_id[call_id]
        call = self._by_index.get(index) if isinstance(index, int) else (self._calls[-1] if self._calls else None)
        if call is None or not name or not call.name:
            return call
        # A name where one is known already: a repeated one, or the next call under a repeated index.
        return None if call_id or name != call.name or _complete(call.text) else call

    def _add(self, entry: JsonObject) -> _Call:
        call_id, index = entry.get("id"), entry.get("index")
        sent = call_id if isinstance(call_id, str) and call_id else ""
        call = _Call(len(self._calls), sent or f"call_{self._new_id()}")
        self._calls.append(call)
        self._by_id[call.id] = call
        if isinstance(index, int):
            self._by_index[index] = call
        return call


def _delta(call: _Call, entry: JsonObject, name: str, text: str, *, first: bool) -> JsonObject | None:
    delta: JsonObject = {"index": call.number}
    if first:
        delta["id"] = call.id
        delta["type"] = "custom" if "custom" in entry else "function"
    for key in _PASSED:
        if entry.get(key) is not None:
            delta[key] = entry[key]
    function: JsonObject = {}
    if name and not call.name:
        call.name = function["name"] = name
    if "custom" not in entry and (text or function or first):
        function["arguments"] = text
    if function:
        delta["function"] = function
    return delta if len(delta) > 1 else None


def _complete(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
