"""Chat deltas -> output items, in the order they come. A plain answer is one delta that nobody hears of."""

from collections.abc import Callable

import orjson

from providers.types import JsonObject, JsonValue
from router.api.responses.events import Tell
from router.api.responses.items import Call, Message, Picture, Reasoning
from router.api.responses.tools import Toolbox


class _Pending:
    """One call of the chat stream: its item once it has a name, what came before that, and what it carries."""

    __slots__ = ("custom", "early", "extra", "id", "item", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.custom = False
        self.early = ""
        self.extra: JsonValue = None
        self.item: Call | None = None


class Output:
    """The items of one answer. `new_id` makes an id for a prefix; `encrypted`: see `ParsedResponses`.

    One message or reasoning item is open at a time, and calls that are not yet whole; what comes next closes them.
    """

    def __init__(self, tell: Tell, new_id: Callable[[str], str], toolbox: Toolbox, *, encrypted: bool) -> None:
        self._tell = tell
        self._new_id = new_id
        self._toolbox = toolbox
        self._encrypted = encrypted
        self._items: list[Message | Reasoning | Call | Picture] = []
        self._open: Message | Reasoning | None = None
        self._messages: list[Message] = []
        self._calls: dict[int, _Pending] = {}
        self._characters = 0

    def feed(self, delta: JsonObject, logprobs: JsonValue = None) -> None:
        """Take one delta of the chat answer, or its whole message."""
        odds = _content_of(logprobs)
        thought, text, refusal = delta.get("reasoning_content"), delta.get("content"), delta.get("refusal")
        if thought and isinstance(thought, str):
            self._reasoning().think(thought)
        if text and isinstance(text, str):
            self._message().text(text, odds)
            self._characters += len(text)
        elif odds and self._messages:
            self._messages[-1].weigh(odds)
        if refusal and isinstance(refusal, str):
            self._message().refuse(refusal)
        if len(delta) > 1 or not (text or thought):
            self._rarer(delta)

    def finish(self, status: str) -> None:
        """Close everything; `status` is that of items which were still open."""
        for pending in self._calls.values():
            if pending.item is None and pending.name:
                self._start(pending)
        self._close_calls(status)
        self._close(status)

    def shown(self) -> list[JsonValue]:
        """The items as they are now."""
        return [item.shown() for item in self._items]

    def _rarer(self, delta: JsonObject) -> None:
        for picture in _list_of(delta.get("images")):
            self._close("completed")
            index = len(self._items)
            self._items.append(Picture(self._tell, self._new_id("ig"), index, picture))
        for position, call in enumerate(_list_of(delta.get("tool_calls"))):
            number = call.get("index")
            self._call(call, number if isinstance(number, int) else position)
        for annotation in _list_of(delta.get("annotations")):
            self._annotate(annotation)
        extra = delta.get("extra_content")
        if isinstance(extra, dict) and self._messages:
            self._messages[-1].extra = extra

    def _message(self) -> Message:
        if not isinstance(self._open, Message):
            self._close("completed")
            message = Message(self._tell, self._new_id("msg"), len(self._items), self._characters)
            self._items.append(message)
            self._messages.append(message)
            self._open = message
        return self._open

    def _reasoning(self) -> Reasoning:
        if not isinstance(self._open, Reasoning):
            self._close("completed")
            self._open = Reasoning(self._tell, self._new_id("rs"), len(self._items))
            self._items.append(self._open)
        return self._open

    def _close(self, status: str) -> None:
        if self._open is not None:
            self._open.close(status)
            self._open = None

    def _call(self, call: JsonObject, index: int) -> None:
        pending = self._calls.get(index)
        if pending is None:
            self._close_calls("completed", whole_only=True)
            pending = self._calls[index] = _Pending()
        pending.id = pending.id or str(call.get("id") or "")
        if call.get("extra_content") is not None:
            pending.extra = call["extra_content"]
        body = call.get("custom") if "custom" in call else call.get("function")
        if not isinstance(body, dict):
            return
        pending.custom = pending.custom or "custom" in call
        pending.name = pending.name or str(body.get("name") or "")
        text = body.get("input") if pending.custom else body.get("arguments")
        if isinstance(text, str) and text:
            if pending.item is None:
                pending.early += text
            else:
                pending.item.grow(text)
        if pending.item is None and pending.name:
            self._start(pending)

    def _start(self, pending: _Pending) -> None:
        if self._encrypted and isinstance(pending.extra, dict):
            self._reasoning().seal(pending.id, pending.extra)
        self._close("completed")
        name = self._toolbox.own_name(pending.name)
        prefix = "ctc" if pending.custom else "fc"
        item = Call(self._tell, self._new_id(prefix), len(self._items), pending.id, name, custom=pending.custom)
        self._items.append(item)
        pending.item = item
        if pending.early:
            item.grow(pending.early)

    def _close_calls(self, status: str, *, whole_only: bool = False) -> None:
        """Close the calls that are open; with `whole_only` those alone whose arguments can be parsed."""
        for pending in self._calls.values():
            item = pending.item
            if item is None or item.status != "in_progress":
                continue
            if whole_only and not (pending.custom or _is_json("".join(item.pieces))):
                continue
            item.extra = pending.extra
            item.close(status)

    def _annotate(self, annotation: JsonObject) -> None:
        """A source, flat as items have them, at the message that its passage begins in."""
        inner = annotation.get("url_citation")
        if not isinstance(inner, dict):
            return
        start, end = inner.get("start_index"), inner.get("end_index")
        if not isinstance(start, int) or not isinstance(end, int):
            start = end = 0
        holder = next((each for each in reversed(self._messages) if each.start <= start), None)
        if holder is not None:
            moved: JsonObject = {"start_index": start - holder.start, "end_index": end - holder.start}
            holder.annotate({"type": "url_citation", "title": "", "url": "", **inner, **moved})


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _content_of(logprobs: JsonValue) -> list[JsonValue]:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return content if isinstance(content, list) else []


def _list_of(value: JsonValue) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
