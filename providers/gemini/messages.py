"""OpenAI `messages` -> `contents` and `systemInstruction`, in the turn order Google insists on.

The rules: the first turn is the user's, calls follow a user turn or results, all results of one assistant message
stand in one content of their own, in call order and as many as the calls, no part is empty, and signed parts are
never glued to others. Source: https://ai.google.dev/gemini-api/docs/function-calling (read 2026-11-20).
"""

from collections.abc import Sequence

from msgspec import Struct

from providers.catalogue import ModelInfo
from providers.gemini.arguments import written_arguments
from providers.gemini.fields import refuse
from providers.gemini.lenient import as_list, as_object, as_text
from providers.gemini.parts import by_url, content_parts, plain_parts, text_part, text_parts
from providers.gemini.results import Call, gather
from providers.gemini.signature_cache import NO_RECALL, Recall, beside, call_key, picture_key
from providers.gemini.signatures import (
    DUMMY,
    call_signature,
    google_extra,
    issued_by_gemini,
    own_signature,
    split_id,
)
from providers.gemini.terms import USUAL, Terms, fit_contents
from providers.gemini.tools import Names
from providers.types import JsonObject, JsonValue

_PLACEHOLDER = "."  # a first user turn where the conversation has none: no words the model would answer
_CONTINUE = "Continue."
_TOLD = ("user", "system", "developer")


class Conversation(Struct, frozen=True, kw_only=True):
    """`contents` is never empty; `system` holds the parts of the system instruction.

    `continued`: a user turn was put behind a last model turn; `mended`: tool results were made up or left out;
    `unheard`: spoken answers were left out, because only their ids came back.
    """

    contents: list[JsonObject]
    system: list[JsonValue]
    continued: bool = False
    mended: bool = False
    unheard: bool = False


class _History(Struct, frozen=True):
    """What holds for every message of one conversation."""

    info: ModelInfo
    names: Names
    recall: Recall
    terms: Terms


class _Builder:
    """Grows `contents`, joining neighbours of one role. A sealed content (results) takes nothing more."""

    def __init__(self) -> None:
        self.contents: list[JsonObject] = []
        self._open: list[JsonValue] | None = None
        self._role = ""

    def add(self, role: str, parts: list[JsonValue], *, sealed: bool = False) -> None:
        if not parts:
            return
        if self._open is not None and self._role == role and not sealed:
            self._open.extend(parts)
            return
        self.contents.append({"role": role, "parts": parts})
        self._role = role
        self._open = None if sealed else parts


def assemble(
    messages: Sequence[JsonObject], info: ModelInfo, names: Names, recall: Recall = NO_RECALL, terms: Terms = USUAL
) -> Conversation:
    """The whole conversation in Google's terms; `recall` knows the signatures that clients lose.

    Raises BadRequestError, with the path of the message in `param`, for what OpenAI refuses too: unknown roles and
    parts, a call without its result, a result without its call.
    """
    history = _History(info, names, recall, terms)
    assembly = _Assembly(history, _checked_from(messages, history))
    position = 0
    while position < len(messages):
        position = assembly.add(messages, position)
    return _finished(assembly)


class _Assembly:
    """What has been made of the messages so far. `checked`: see `_checked_from`."""

    def __init__(self, history: _History, checked: int) -> None:
        self.builder = _Builder()
        self.system: list[JsonValue] = []
        self.mended = False
        self.unheard = False
        self.history = history
        self._checked = checked
        self._modern = history.info.family == 0.0 or history.info.family >= 3.0
        self._fill = history.terms.options.missing_results == "fill"

    def add(self, messages: Sequence[JsonObject], position: int) -> int:
        """Take the message at `position`, and the results that belong to it; gives the position of the next."""
        message = messages[position]
        if isinstance(message, dict) and isinstance(content := message.get("content"), str):
            role = message.get("role")
            if role in _TOLD:  # nearly all: a bare text cannot be wrong, so no error needs to know where it stands
                parts = plain_parts(content)
                if role == "user":
                    self.builder.add("user", parts)
                else:
                    self._instruct(parts)
                return position + 1
        where = f"messages[{position}]"
        if not isinstance(message, dict):
            raise refuse("a message must be an object", where, "invalid_type")
        match message.get("role"):
            case "system" | "developer":
                self._instruct(text_parts(message.get("content"), f"{where}.content"))
            case "user":
                content = message.get("content")
                self.builder.add("user", content_parts(content, f"{where}.content", part_resolution=self._modern))
            case "assistant":
                parts, calls = _assistant(message, where, self.history, dummy=position >= self._checked)
                self.unheard = self.unheard or _unheard(message)
                self.builder.add("model", parts)
                return self._results(messages, position + 1, calls) if calls else position + 1
            case "tool" | "function":
                if not self._fill:
                    raise refuse("this tool result answers no call before it", f"{where}.tool_call_id")
                self.mended = True
            case _:
                raise refuse("this role is not known", f"{where}.role", "unsupported_value")
        return position + 1

    def _results(self, messages: Sequence[JsonObject], position: int, calls: list[Call]) -> int:
        found = gather(messages, position, calls, modern=self._modern, fill=self._fill)
        self.mended = self.mended or found.mended
        self.builder.add("user", found.parts, sealed=True)
        self.builder.add("user", found.media)
        self._instruct(found.system)
        return found.position

    def _instruct(self, parts: list[JsonValue]) -> None:
        """System text: in front of the conversation, or where it stands as the user's words if that was chosen."""
        if self.builder.contents and self.history.terms.options.late_system == "inline":
            self.builder.add("user", parts)
        else:
            self.system.extend(parts)


def _checked_from(messages: Sequence[JsonObject], history: _History) -> int:
    """From which position on an unsigned first call gets the placeholder; beyond the end: nowhere.

    Google checks what follows the last user message. Once it has refused a signature, every step gets one.
    """
    info, unsigned = history.info, history.recall.unsigned
    if not (info.signatures or (unsigned and not info.known)):
        return len(messages)
    if unsigned:
        return 0
    for position in range(len(messages) - 1, -1, -1):
        if as_object(messages[position]).get("role") == "user":
            return position + 1
    return 0


def _finished(assembly: _Assembly) -> Conversation:
    contents, system, info = assembly.builder.contents, assembly.system, assembly.history.info
    if not contents or contents[0]["role"] != "user":
        contents.insert(0, {"role": "user", "parts": [text_part(_PLACEHOLDER)]})
    continued = contents[-1]["role"] == "model" and not info.prefill
    if continued:
        contents.append({"role": "user", "parts": [text_part(_CONTINUE)]})
    if system and not info.system:
        contents[0] = {"role": "user", "parts": [*system, *as_list(contents[0]["parts"])]}
        system = []
    fit_contents(contents, assembly.history.terms.dialect)
    return Conversation(
        contents=contents, system=system, continued=continued, mended=assembly.mended, unheard=assembly.unheard
    )


def _assistant(
    message: JsonObject, where: str, history: _History, *, dummy: bool
) -> tuple[list[JsonValue], list[Call]]:
    """The model parts of one assistant message, in the model's own order (text, pictures, calls), and its calls."""
    parts = _replayed(message, history)
    parts.extend(content_parts(message.get("content"), f"{where}.content", part_resolution=False))
    for words in (as_text(message.get("refusal")), _transcript(message)):
        if words:
            parts.append(text_part(words))
    pictures: list[JsonValue] = [_picture(item, f"{where}.images") for item in as_list(message.get("images"))]
    anchor = _sign_pictures(parts + pictures, history) if parts or pictures else ""
    calls: list[Call] = []
    call_parts: list[JsonValue] = []
    for part, call in _calls(message, where, history):
        calls.append(call)
        call_parts.append(part)
    if calls:
        anchor = call_key(calls[0].id) or anchor
    signature = own_signature(message)
    if signature or anchor:
        _place_signature(history.recall.settled(signature, beside(anchor)), parts, call_parts)
    if dummy and call_parts:
        as_object(call_parts[0]).setdefault("thoughtSignature", DUMMY)
    return [*parts, *pictures, *call_parts], calls


def _transcript(message: JsonObject) -> str:
    """The words of a spoken answer, where the client sends back more than its id: the sound is kept nowhere."""
    if "audio" not in message or message.get("content"):
        return ""
    return as_text(as_object(message["audio"]).get("transcript"))


def _unheard(message: JsonObject) -> bool:
    return bool(message.get("audio")) and not message.get("content") and not _transcript(message)


def _sign_pictures(parts: list[JsonValue], history: _History) -> str:
    """Settle the signatures of the pictures among `parts`, in place; gives the first one's key.

    Picture models refuse a picture of theirs without one: there the placeholder stands in for a lost signature.
    """
    first = ""
    for part in parts:
        picture = as_object(part)
        media = as_object(picture.get("inlineData"))
        if not as_text(media.get("mimeType")).startswith("image/"):
            continue
        key = picture_key(as_text(media.get("data")))
        first = first or key
        signature = history.recall.settled(as_text(picture.pop("thoughtSignature", None)) or None, key)
        if signature is None and history.info.kind == "image" and history.info.signatures:
            signature = DUMMY
        if signature:
            picture["thoughtSignature"] = signature
    return first


def _replayed(message: JsonObject, history: _History) -> list[JsonValue]:
    """Parts of Google's own tools, which must come back as they were (to the API that knows them)."""
    if not history.terms.dialect.server_tools:
        return []
    unsigned = history.recall.unsigned
    return [
        {key: value for key, value in as_object(part).items() if not (unsigned and key == "thoughtSignature")}
        for part in as_list(google_extra(message).get("server_tools"))
        if as_object(part).keys() & {"toolCall", "toolResponse"}
    ]


def _place_signature(signature: str | None, texts: list[JsonValue], calls: list[JsonValue]) -> None:
    """The message's own signature: on its last text; without text on an unsigned first call, else on an empty text."""
    if signature is None:
        return
    last = as_object(texts[-1]) if texts else {}
    if "text" in last:
        last["thoughtSignature"] = signature
    elif calls and "thoughtSignature" not in as_object(calls[0]):
        as_object(calls[0])["thoughtSignature"] = signature
    else:
        texts.append({"text": "", "thoughtSignature": signature})


def _picture(item: JsonValue, where: str) -> JsonObject:
    """A picture we handed out earlier (`message.images[]`), back as the model part it was."""
    entry = as_object(item)
    holder = entry.get("image_url")
    url = holder if isinstance(holder, str) else as_text(as_object(holder).get("url"))
    part = by_url(url, where, "image/png")
    signature = own_signature(entry)
    if signature:
        part["thoughtSignature"] = signature
    return part


def _calls(message: JsonObject, where: str, history: _History) -> list[tuple[JsonObject, Call]]:
    found: list[tuple[JsonObject, Call]] = []
    calls = as_list(message.get("tool_calls"))
    legacy = message.get("function_call")
    if not calls and isinstance(legacy, dict):
        calls = [{"function": legacy}]
    ids = history.info.call_ids and history.terms.dialect.call_ids
    for position, item in enumerate(calls):
        call = as_object(item)
        name, args = _name_and_args(call, f"{where}.tool_calls[{position}]")
        name = history.names.wire(name)
        bare = split_id(as_text(call.get("id")))[0]
        issued = bare if ids and issued_by_gemini(bare) else None
        part: JsonObject = {
            "functionCall": {"id": issued, "name": name, "args": args} if issued else {"name": name, "args": args}
        }
        signature = history.recall.settled(call_signature(call, message), call_key(bare))
        if signature:
            part["thoughtSignature"] = signature
        found.append((part, Call(bare, name, issued)))
    return found


def _name_and_args(call: JsonObject, where: str) -> tuple[str, JsonObject]:
    custom = call.get("custom")
    holder = as_object(custom) or as_object(call.get("function"))
    name = as_text(holder.get("name"))
    if not name:
        raise refuse("a tool call needs a name", where, "missing_required_parameter")
    if isinstance(custom, dict):
        return name, {"input": as_text(custom.get("input"))}
    arguments = holder.get("arguments")
    if isinstance(arguments, dict):
        return name, arguments
    return name, written_arguments(as_text(arguments))
