"""Input items -> chat messages.

What the model said in one turn (reasoning, text, calls) is one assistant message, and the results of its calls stand
behind it, wherever the caller put them.
"""

from collections.abc import Callable

from providers.types import JsonObject, JsonValue
from router.api.responses.parts import Placed, content_of, parts_of, refuse, text_of
from router.api.responses.signatures import opened
from router.api.responses.tools import Toolbox

Recall = Callable[[str], JsonObject | None]

_ROLES = ("user", "assistant", "system", "developer")
# What OpenAI's own tools did: told in the text that followed, and for no other model to read.
_TRACES = frozenset({"web_search_call", "file_search_call", "code_interpreter_call", "mcp_list_tools", "mcp_call"})


class _Turn:
    """One chat message in the making. `calls` and `results` are an assistant's; `call_id` is a result's."""

    __slots__ = ("call_id", "calls", "extra", "images", "parts", "results", "role", "thoughts", "where")

    def __init__(self, role: str, where: str, parts: list[Placed], call_id: str = "") -> None:
        self.role = role
        self.where = where
        self.parts = parts
        self.call_id = call_id
        self.calls: list[Placed] = []
        self.images: list[JsonObject] = []
        self.thoughts = ""
        self.extra: JsonValue = None
        self.results: list[_Turn] = []

    def message(self) -> JsonObject:
        made: JsonObject = {"role": self.role, "content": content_of(self.parts) if self.parts else None}
        if self.role == "tool":
            made["tool_call_id"] = self.call_id
        if self.thoughts:
            made["reasoning_content"] = self.thoughts
        if self.images:
            made["images"] = list(self.images)
        if self.calls:
            made["tool_calls"] = [call for call, _ in self.calls]
        if len(made) == 2 and not self.parts:
            made["content"] = ""  # an empty answer is one, too
        if self.extra is not None:
            made["extra_content"] = self.extra
        return made

    def note(self, known: dict[str, str], position: int) -> None:
        """Say where this message, its parts and its calls come from."""
        own = f"messages[{position}]"
        known[own] = self.where
        if self.role == "tool":
            known[f"{own}.tool_call_id"] = f"{self.where}.call_id"
            known[f"{own}.content"] = f"{self.where}.output"
        for index, (_, where) in enumerate(self.parts):
            known[f"{own}.content[{index}]"] = where
        for index, (_, where) in enumerate(self.calls):
            known[f"{own}.tool_calls[{index}]"] = where


class Transcript:
    """The messages of one request, grown item by item. `recall` gives the item that has an id, None if nobody knows."""

    def __init__(self, toolbox: Toolbox, recall: Recall) -> None:
        self.warnings: list[str] = []
        self._toolbox = toolbox
        self._recall = recall
        self._turns: list[_Turn] = []
        self._open: _Turn | None = None  # the assistant's turn, while what it said goes on
        self._owners: dict[str, _Turn] = {}
        self._extras: dict[str, JsonObject] = {}

    def instruct(self, text: str) -> None:
        """The text that comes before all else."""
        self._turns.append(_Turn("system", "instructions", parts_of(text, "instructions")))

    def read(self, value: JsonValue) -> None:
        """The whole `input`. Raises 400 naming the item."""
        if isinstance(value, str):
            self._turns.append(_Turn("user", "input", parts_of(value, "input")))
            return
        if value is None:
            raise refuse("'input' is required", "input", "missing_required_parameter")
        if not isinstance(value, list):
            raise refuse("'input' must be a string or a list of items", "input", "invalid_type")
        if not value:
            raise refuse("'input' must not be empty", "input")
        for index, item in enumerate(value):
            where = f"input[{index}]"
            if not isinstance(item, dict):
                raise refuse(f"'{where}' must be an object", where, "invalid_type")
            self._item(item, where)

    def messages(self) -> list[JsonObject]:
        """The chat messages, in order."""
        for turn in self._turns:
            for call, _ in turn.calls:
                extra = self._extras.get(str(call["id"]))
                if extra is not None:
                    call.setdefault("extra_content", extra)
        return [turn.message() for turn in self._in_order()]

    def places(self) -> dict[str, str]:
        """Chat path -> the caller's, for every message, part and call."""
        known: dict[str, str] = {}
        for position, turn in enumerate(self._in_order()):
            turn.note(known, position)
        return known

    def _in_order(self) -> list[_Turn]:
        return [each for turn in self._turns for each in (turn, *turn.results)]

    def _item(self, item: JsonObject, where: str) -> None:
        kind = item.get("type", "message" if "role" in item else None)
        match kind:
            case "message":
                self._message(item, where)
            case "function_call" | "custom_tool_call":
                self._call(item, where, custom=kind == "custom_tool_call")
            case "function_call_output" | "custom_tool_call_output":
                self._result(item, where)
            case "reasoning":
                self._reasoning(item, where)
            case "additional_tools":
                self._toolbox.read(item.get("tools"), f"{where}.tools")
            case "image_generation_call":
                self._picture(item, where)
            case "item_reference":
                self._reference(item, where)
            case str() if kind in _TRACES:
                self.warnings.append(f"{where}=dropped")
            case None:
                raise refuse(f"'{where}.type' is required", f"{where}.type", "missing_required_parameter")
            case _:
                raise refuse(f"'{where}.type': items of type {str(kind)[:40]!r} are not supported", where)

    def _reference(self, item: JsonObject, where: str) -> None:
        kept = self._recall(text_of(item, "id", where))
        if kept is None:
            raise refuse(
                f"'{where}' refers to an item that is not remembered here, or no longer; send the item itself "
                "(AI SDK: providerOptions.openai.store = false)",
                where,
                "unsupported_value",
            )
        self._item(kept, where)

    def _message(self, item: JsonObject, where: str) -> None:
        role = item.get("role")
        if role not in _ROLES:
            field = f"{where}.role"
            raise refuse(f"'{field}' must be one of {', '.join(_ROLES)}, got {str(role)[:32]!r}", field)
        parts = parts_of(item.get("content"), f"{where}.content")
        if role != "assistant":
            self._open = None
            self._turns.append(_Turn(str(role), where, parts or [({"type": "text", "text": ""}, f"{where}.content")]))
            return
        turn = self._open
        if turn is None or (turn.parts and not turn.calls):
            turn = self._begin(where)
        turn.parts.extend(parts)
        if isinstance(item.get("extra_content"), dict):
            turn.extra = item["extra_content"]

    def _begin(self, where: str) -> _Turn:
        turn = self._open = _Turn("assistant", where, [])
        self._turns.append(turn)
        return turn

    def _said(self, where: str) -> _Turn:
        """The assistant's turn that an item at `where` belongs to."""
        return self._open or self._begin(where)

    def _call(self, item: JsonObject, where: str, *, custom: bool) -> None:
        call_id = text_of(item, "call_id", where)
        name = self._toolbox.chat_name(text_of(item, "name", where), item.get("namespace"))
        call: JsonObject
        if custom:
            call = {"id": call_id, "type": "custom", "custom": {"name": name, "input": text_of(item, "input", where)}}
        else:
            arguments = text_of(item, "arguments", where)
            call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        if isinstance(item.get("extra_content"), dict):
            call["extra_content"] = item["extra_content"]
        turn = self._said(where)
        turn.calls.append((call, where))
        self._owners[call_id] = turn

    def _result(self, item: JsonObject, where: str) -> None:
        call_id = text_of(item, "call_id", where)
        parts = parts_of(item.get("output"), f"{where}.output") or [({"type": "text", "text": ""}, f"{where}.output")]
        result = _Turn("tool", where, parts, call_id)
        owner = self._owners.get(call_id)
        if owner is None:
            self._turns.append(result)  # the chat request's own check refuses it
            return
        owner.results.append(result)
        if owner is self._open:
            self._open = None

    def _reasoning(self, item: JsonObject, where: str) -> None:
        """Another model's reasoning is not for this one: what is not ours to open stays closed."""
        kept = item.get("encrypted_content")
        found = opened(kept) if isinstance(kept, str) else None
        if found is not None:
            self._extras[found[0]] = found[1]
        summary = parts_of(item.get("summary") or [], f"{where}.summary")
        text = "\n\n".join(str(part.get("text", "")) for part, _ in summary)
        if text:
            turn = self._said(where)
            turn.thoughts = f"{turn.thoughts}\n\n{text}" if turn.thoughts else text

    def _picture(self, item: JsonObject, where: str) -> None:
        url = f"data:image/{item.get('output_format') or 'png'};base64,{text_of(item, 'result', where)}"
        picture: JsonObject = {"type": "image_url", "image_url": {"url": url}}
        if isinstance(item.get("extra_content"), dict):
            picture["extra_content"] = item["extra_content"]
        self._said(where).images.append(picture)
