"""Output items while they grow: each tells of itself in events, and is the finished object in the end."""

from providers.types import JsonObject, JsonValue
from router.api.responses.events import Tell
from router.api.responses.signatures import sealed


class _Text:
    """One content part of a message: text or a refusal."""

    __slots__ = ("annotations", "kind", "logprobs", "pieces")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.logprobs: list[JsonValue] = []
        self.annotations: list[JsonValue] = []

    def shown(self) -> JsonObject:
        text = "".join(self.pieces)
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": self.annotations, "logprobs": self.logprobs}


class Message:
    """A message of the assistant. `start`: how many characters of text the answer had before it."""

    __slots__ = ("_open", "_parts", "_place", "_tell", "extra", "start", "status")

    def __init__(self, tell: Tell, item_id: str, index: int, start: int) -> None:
        self._tell = tell
        self._place: JsonObject = {"item_id": item_id, "output_index": index}
        self._parts: list[_Text] = []
        self._open: _Text | None = None
        self.extra: JsonValue = None
        self.start = start
        self.status = "in_progress"
        tell("response.output_item.added", output_index=index, item=self.shown())

    def shown(self) -> JsonObject:
        item: JsonObject = {
            "id": self._place["item_id"],
            "type": "message",
            "status": self.status,
            "role": "assistant",
            "content": [part.shown() for part in self._parts],
        }
        if self.extra is not None:
            item["extra_content"] = self.extra
        return item

    def text(self, text: str, logprobs: list[JsonValue]) -> None:
        part = self._part("output_text")
        part.pieces.append(text)
        part.logprobs.extend(logprobs)
        told: list[JsonValue] = [_without_bytes(entry) for entry in logprobs]
        self._tell("response.output_text.delta", **self._at(), delta=text, logprobs=told)

    def refuse(self, text: str) -> None:
        self._part("refusal").pieces.append(text)
        self._tell("response.refusal.delta", **self._at(), delta=text)

    def weigh(self, logprobs: list[JsonValue]) -> None:
        """Log probabilities that came after their text."""
        if self._open is not None and self._open.kind == "output_text":
            self._open.logprobs.extend(logprobs)

    def annotate(self, annotation: JsonObject) -> None:
        """A source. It belongs to the last text, also where that has been told already."""
        part = next((each for each in reversed(self._parts) if each.kind == "output_text"), None)
        if part is None:
            return
        part.annotations.append(annotation)
        if part is self._open:
            self._tell(
                "response.output_text.annotation.added",
                **self._at(),
                annotation_index=len(part.annotations) - 1,
                annotation=annotation,
            )

    def close(self, status: str) -> None:
        self._close_part()
        self.status = status
        self._tell("response.output_item.done", output_index=self._place["output_index"], item=self.shown())

    def _at(self) -> JsonObject:
        return {**self._place, "content_index": len(self._parts) - 1}

    def _part(self, kind: str) -> _Text:
        if self._open is None or self._open.kind != kind:
            self._close_part()
            self._open = _Text(kind)
            self._parts.append(self._open)
            self._tell("response.content_part.added", **self._at(), part=self._open.shown())
        return self._open

    def _close_part(self) -> None:
        part, self._open = self._open, None
        if part is None:
            return
        shown = part.shown()
        if part.kind == "refusal":
            self._tell("response.refusal.done", **self._at(), refusal=shown["refusal"])
        else:
            told: list[JsonValue] = [_without_bytes(entry) for entry in part.logprobs]
            self._tell("response.output_text.done", **self._at(), text=shown["text"], logprobs=told)
        self._tell("response.content_part.done", **self._at(), part=shown)


class Reasoning:
    """The model's thoughts as one summary; with `seal`, what a call must bring back."""

    __slots__ = ("_pieces", "_place", "_sealed", "_tell")

    def __init__(self, tell: Tell, item_id: str, index: int) -> None:
        self._tell = tell
        self._place: JsonObject = {"item_id": item_id, "output_index": index}
        self._pieces: list[str] = []
        self._sealed: str | None = None
        tell("response.output_item.added", output_index=index, item=self.shown())

    def shown(self) -> JsonObject:
        item: JsonObject = {"id": self._place["item_id"], "type": "reasoning", "summary": []}
        if self._pieces:
            item["summary"] = [self._part()]
        if self._sealed is not None:
            item["encrypted_content"] = self._sealed
        return item

    def think(self, text: str) -> None:
        if not self._pieces:
            part: JsonObject = {"type": "summary_text", "text": ""}
            self._tell("response.reasoning_summary_part.added", **self._place, summary_index=0, part=part)
        self._pieces.append(text)
        self._tell("response.reasoning_summary_text.delta", **self._place, summary_index=0, delta=text)

    def seal(self, call_id: str, extra_content: JsonObject) -> None:
        self._sealed = sealed(call_id, extra_content)

    def close(self, status: str) -> None:
        if self._pieces:
            part = self._part()
            self._tell("response.reasoning_summary_text.done", **self._place, summary_index=0, text=part["text"])
            self._tell("response.reasoning_summary_part.done", **self._place, summary_index=0, part=part)
        self._tell("response.output_item.done", output_index=self._place["output_index"], item=self.shown())

    def _part(self) -> JsonObject:
        return {"type": "summary_text", "text": "".join(self._pieces)}


class Call:
    """A call of a function, or of a custom tool, whose input is free text. `name`: see `Toolbox.own_name`."""

    __slots__ = ("_call_id", "_custom", "_name", "_place", "_tell", "extra", "pieces", "status")

    def __init__(self, tell: Tell, item_id: str, index: int, call_id: str, name: JsonObject, *, custom: bool) -> None:
        self._tell = tell
        self._place: JsonObject = {"item_id": item_id, "output_index": index}
        self._call_id = call_id
        self._name = name
        self._custom = custom
        self.pieces: list[str] = []
        self.extra: JsonValue = None
        self.status = "in_progress"
        tell("response.output_item.added", output_index=index, item=self.shown())

    def shown(self) -> JsonObject:
        item: JsonObject = {
            "id": self._place["item_id"],
            "type": "custom_tool_call" if self._custom else "function_call",
            "status": self.status,
            "call_id": self._call_id,
            **self._name,
            "input" if self._custom else "arguments": "".join(self.pieces),
        }
        if self.extra is not None:
            item["extra_content"] = self.extra
        return item

    def grow(self, text: str) -> None:
        self.pieces.append(text)
        kind = "custom_tool_call_input" if self._custom else "function_call_arguments"
        self._tell(f"response.{kind}.delta", **self._place, delta=text)

    def close(self, status: str) -> None:
        self.status = status
        text = "".join(self.pieces)
        if self._custom:
            self._tell("response.custom_tool_call_input.done", **self._place, input=text)
        else:
            name = self._name["name"]
            self._tell("response.function_call_arguments.done", **self._place, name=name, arguments=text)
        self._tell("response.output_item.done", output_index=self._place["output_index"], item=self.shown())


class Picture:
    """A picture that came in the answer, whole."""

    __slots__ = ("_item",)

    def __init__(self, tell: Tell, item_id: str, index: int, picture: JsonObject) -> None:
        self._item: JsonObject = {
            "id": item_id,
            "type": "image_generation_call",
            "status": "in_progress",
            "result": None,
        }
        place: JsonObject = {"item_id": item_id, "output_index": index}
        tell("response.output_item.added", output_index=index, item=dict(self._item))
        tell("response.image_generation_call.in_progress", **place)
        holder = picture.get("image_url")
        url = holder.get("url") if isinstance(holder, dict) else holder
        head, _, data = str(url or "").partition(";base64,")
        if data:
            self._item |= {"result": data, "output_format": head.rpartition("/")[2]}
        else:
            self._item["url"] = url
        self._item["status"] = "completed"
        if picture.get("extra_content") is not None:
            self._item["extra_content"] = picture["extra_content"]
        tell("response.image_generation_call.completed", **place)
        tell("response.output_item.done", output_index=index, item=self._item)

    def shown(self) -> JsonObject:
        return self._item


def _without_bytes(entry: JsonValue) -> JsonObject:
    """A log probability as events have them: without the bytes of the token."""
    if not isinstance(entry, dict):
        return {}
    lean: JsonObject = {key: entry[key] for key in ("token", "logprob") if key in entry}
    others = entry.get("top_logprobs")
    lean["top_logprobs"] = [_without_bytes(other) for other in others] if isinstance(others, list) else []
    return lean
