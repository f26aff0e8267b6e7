"""OpenAI `messages` -> `contents` and `systemInstruction`, in the turn order Google insists on.

The rules: the first turn is the user's, calls follow a user turn or results, all results of one assistant message
stand in one content of their own, in call order and as many as the calls, no part is empty, and signed parts are
never glued to others. Source: https://ai.google.dev/gemini-api/docs/function-calling (read 2026-11-20).
"""

from collections.abc import Sequence

import orjson
from msgspec import Struct

from providers.catalogue import ModelInfo
from providers.gemini.fields import refuse
from providers.gemini.lenient import as_list, as_object, as_text
from providers.gemini.parts import by_url, content_parts, text_part, text_parts
from providers.gemini.signatures import (
    DUMMY,
    call_signature,
    google_extra,
    issued_by_gemini,
    own_signature,
    split_id,
)
from providers.gemini.tools import Names
from providers.types import JsonObject, JsonValue

_PLACEHOLDER = "."  # a first user turn where the conversation has none: no words the model would answer
_CONTINUE = "Continue."
_MAX_PARSED = 256 * 1024  # bytes of a tool result that is still worth parsing; more travels as text


class Conversation(Struct, frozen=True, kw_only=True):
    """`contents` is never empty; `system` holds the parts of the system instruction."""

    contents: list[JsonObject]
    system: list[JsonValue]
    continued: bool = False


class _Call(Struct, frozen=True):
    """One call of the history: the bare id, the name on the wire, and the id when Gemini issued it."""

    id: str
    name: str
    issued: str | None


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


def assemble(messages: Sequence[JsonObject], info: ModelInfo, names: Names) -> Conversation:
    """The whole conversation in Google's terms.

    Raises BadRequestError, with the path of the message in `param`, for what OpenAI refuses too: unknown roles and
    parts, a call without its result, a result without its call.
    """
    builder = _Builder()
    system: list[JsonValue] = []
    modern = info.family == 0.0 or info.family >= 3.0
    current = _current_turn(messages)
    position = 0
    while position < len(messages):
        message, where = messages[position], f"messages[{position}]"
        if not isinstance(message, dict):
            raise refuse("a message must be an object", where, "invalid_type")
        position += 1
        match message.get("role"):
            case "system" | "developer":
                system.extend(text_parts(message.get("content"), f"{where}.content"))
            case "user":
                builder.add("user", content_parts(message.get("content"), f"{where}.content", part_resolution=modern))
            case "assistant":
                dummy = info.signatures and position > current
                parts, calls = _assistant(message, where, names, info, dummy=dummy)
                builder.add("model", parts)
                if calls:
                    position = _results(messages, position, calls, builder, system, modern)
            case "tool" | "function":
                raise refuse("this tool result answers no call before it", f"{where}.tool_call_id")
            case _:
                raise refuse("this role is not known", f"{where}.role", "unsupported_value")
    return _finished(builder, system, info)


def _current_turn(messages: Sequence[JsonObject]) -> int:
    """The position after the last user message: from there on Google checks signatures."""
    for position in range(len(messages) - 1, -1, -1):
        if as_object(messages[position]).get("role") == "user":
            return position + 1
    return 0


def _finished(builder: _Builder, system: list[JsonValue], info: ModelInfo) -> Conversation:
    contents = builder.contents
    if not contents or contents[0]["role"] != "user":
        contents.insert(0, {"role": "user", "parts": [text_part(_PLACEHOLDER)]})
    continued = contents[-1]["role"] == "model" and not info.prefill
    if continued:
        contents.append({"role": "user", "parts": [text_part(_CONTINUE)]})
    if system and not info.system:
        contents[0] = {"role": "user", "parts": [*system, *as_list(contents[0]["parts"])]}
        system = []
    return Conversation(contents=contents, system=system, continued=continued)


def _assistant(
    message: JsonObject, where: str, names: Names, info: ModelInfo, *, dummy: bool
) -> tuple[list[JsonValue], list[_Call]]:
    """The model parts of one assistant message, in the model's own order (text, pictures, calls), and its calls."""
    parts = _replayed(message)
    parts.extend(content_parts(message.get("content"), f"{where}.content", part_resolution=False))
    if as_text(message.get("refusal")):
        parts.append(text_part(as_text(message["refusal"])))
    pictures: list[JsonValue] = [_picture(item, f"{where}.images") for item in as_list(message.get("images"))]
    calls: list[_Call] = []
    call_parts: list[JsonValue] = []
    for part, call in _calls(message, where, names, info):
        calls.append(call)
        call_parts.append(part)
    _place_signature(own_signature(message), parts, call_parts)
    if dummy and call_parts:
        as_object(call_parts[0]).setdefault("thoughtSignature", DUMMY)
    return [*parts, *pictures, *call_parts], calls


def _replayed(message: JsonObject) -> list[JsonValue]:
    """Parts of Google's own tools, which must come back as they were."""
    return [
        part
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


def _calls(message: JsonObject, where: str, names: Names, info: ModelInfo) -> list[tuple[JsonObject, _Call]]:
    found: list[tuple[JsonObject, _Call]] = []
    calls = as_list(message.get("tool_calls"))
    legacy = message.get("function_call")
    if not calls and isinstance(legacy, dict):
        calls = [{"function": legacy}]
    for position, item in enumerate(calls):
        call = as_object(item)
        name, args = _name_and_args(call, f"{where}.tool_calls[{position}]")
        bare = split_id(as_text(call.get("id")))[0]
        issued = bare if info.call_ids and issued_by_gemini(bare) else None
        function: JsonObject = {"name": names.wire(name), "args": args}
        if issued:
            function = {"id": issued, **function}
        part: JsonObject = {"functionCall": function}
        signature = call_signature(call, message)
        if signature:
            part["thoughtSignature"] = signature
        found.append((part, _Call(bare, names.wire(name), issued)))
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
    return name, _arguments(as_text(arguments))


def _arguments(text: str) -> JsonObject:
    """The arguments as an object. One bad call in the history must not make the whole conversation unusable."""
    if not text.strip():
        return {}
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"_raw": text}
    return parsed if isinstance(parsed, dict) else {"_raw": text}


def _results(
    messages: Sequence[JsonObject],
    position: int,
    calls: list[_Call],
    builder: _Builder,
    system: list[JsonValue],
    modern: bool,
) -> int:
    """Gather the results of `calls` from `position` on; returns the position after them."""
    answers: list[JsonObject | None] = [None] * len(calls)
    media: list[JsonValue] = []
    while position < len(messages):
        message, where = as_object(messages[position]), f"messages[{position}]"
        role = message.get("role")
        if role in ("system", "developer"):
            system.extend(text_parts(message.get("content"), f"{where}.content"))
        elif role in ("tool", "function"):
            index = _answered(message, where, calls, answers)
            answers[index] = _response(message, where, calls[index], media, modern)
        else:
            break
        position += 1
    parts: list[JsonValue] = []
    for answer in answers:
        if answer is None:
            raise refuse(
                "every tool call must be followed by a message with its 'tool_call_id'",
                f"messages[{position}].tool_call_id",
                "missing_required_parameter",
            )
        parts.append(answer)
    builder.add("user", parts, sealed=True)
    builder.add("user", media)
    return position


def _answered(message: JsonObject, where: str, calls: list[_Call], answers: list[JsonObject | None]) -> int:
    """Which call a result answers. Some layers give every call the same empty id: those are taken in order."""
    call_id = split_id(as_text(message.get("tool_call_id")))[0]
    by_name = message.get("role") == "function"
    matches = [
        index
        for index, call in enumerate(calls)
        if (call.name == message.get("name") if by_name else call.id == call_id)
    ]
    if not matches and by_name and len(calls) == 1:
        matches = [0]  # the legacy form has one call, and its name may have been made legal
    for index in matches:
        if answers[index] is None:
            return index
    raise refuse(
        "two tool results answer one call" if matches else "this tool result answers no call before it",
        f"{where}.tool_call_id",
    )


def _response(message: JsonObject, where: str, call: _Call, media: list[JsonValue], modern: bool) -> JsonObject:
    """One `functionResponse` part. Pictures go inside it, or to `media` where the model takes no parts there."""
    parts = content_parts(message.get("content"), f"{where}.content", part_resolution=False)
    text = "\n".join(as_text(as_object(part)["text"]) for part in parts if "text" in as_object(part))
    pictures: list[JsonValue] = [part for part in parts if "text" not in as_object(part)]
    failed = message.get("is_error") is True
    response: JsonObject = {"name": call.name, "response": {"error": text} if failed else _result(text)}
    if call.issued:
        response = {"id": call.issued, **response}
    if modern and pictures:
        response["parts"] = pictures
    else:
        media.extend(pictures)
    return {"functionResponse": response}


def _result(text: str) -> JsonObject:
    """An object as it is, anything else as text under `output`.

    Arrays made models answer nothing, and a key `$ref` would be read as a reference to a media part.
    """
    if text.lstrip()[:1] == "{" and len(text) <= _MAX_PARSED and '"$ref"' not in text:
        try:
            parsed = orjson.loads(text)
        except orjson.JSONDecodeError:
            return {"output": text}
        if isinstance(parsed, dict):
            return parsed
    return {"output": text}
