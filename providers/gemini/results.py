"""The results of one assistant message's tool calls -> `functionResponse` parts: all of them, in call order.

Google wants as many responses as there were calls, in one content that holds nothing else.
Source: https://ai.google.dev/gemini-api/docs/function-calling (read 2026-11-20).
"""

from collections.abc import Sequence

import orjson
from msgspec import Struct

from providers.gemini.fields import refuse
from providers.gemini.lenient import as_object, as_text
from providers.gemini.parts import content_parts, text_parts
from providers.gemini.signatures import split_id
from providers.types import JsonObject, JsonValue

_MAX_PARSED = 256 * 1024  # bytes of a tool result that is still worth parsing; more travels as text


class Call(Struct, frozen=True):
    """One call of the history: the bare id, the name on the wire, and the id when Gemini issued it."""

    id: str
    name: str
    issued: str | None


class Results(Struct, frozen=True, kw_only=True):
    """What followed the calls. `position` is that of the message after them; `media` goes behind the responses where
    the model takes none inside them; `system` holds the system texts that stood between; `mended`: something was
    made up or left out."""

    position: int
    parts: list[JsonValue]
    media: list[JsonValue]
    system: list[JsonValue]
    mended: bool


def gather(messages: Sequence[JsonObject], position: int, calls: list[Call], *, modern: bool, fill: bool) -> Results:
    """The results of `calls` from `position` on. `modern`: the model takes media inside a response.

    Raises BadRequestError for a missing, second or foreign result; with `fill` the first becomes an error text, of
    two the last counts, and the third is left out.
    """
    answers: list[JsonObject | None] = [None] * len(calls)
    media: dict[int, list[JsonValue]] = {}
    system: list[JsonValue] = []
    mended = False
    while position < len(messages):
        message, where = as_object(messages[position]), f"messages[{position}]"
        role = message.get("role")
        if role in ("system", "developer"):
            system.extend(text_parts(message.get("content"), f"{where}.content"))
        elif role in ("tool", "function"):
            index = _answered(message, where, calls, answers, fill=fill)
            mended = mended or index is None or answers[index] is not None
            if index is not None:
                answers[index], beside = _response(message, where, calls[index], modern=modern)
                if beside:
                    media[index] = beside
        else:
            break
        position += 1
    parts: list[JsonValue] = []
    for index, answer in enumerate(answers):
        mended = mended or answer is None
        parts.append(answer if answer is not None else _no_result(calls[index], position, fill=fill))
    after = [part for index in sorted(media) for part in media[index]] if media else []
    return Results(position=position, parts=parts, media=after, system=system, mended=mended)


def _no_result(call: Call, position: int, *, fill: bool) -> JsonObject:
    if not fill:
        raise refuse(
            "every tool call must be followed by a message with its 'tool_call_id'",
            f"messages[{position}].tool_call_id",
            "missing_required_parameter",
        )
    return _part(call, {"error": "no result"})


def _answered(
    message: JsonObject, where: str, calls: list[Call], answers: list[JsonObject | None], *, fill: bool
) -> int | None:
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
    if fill:
        return matches[-1] if matches else None
    raise refuse(
        "two tool results answer one call" if matches else "this tool result answers no call before it",
        f"{where}.tool_call_id",
    )


def _response(message: JsonObject, where: str, call: Call, *, modern: bool) -> tuple[JsonObject, list[JsonValue]]:
    """One `functionResponse` part, and the media that the model does not take inside it."""
    parts = content_parts(message.get("content"), f"{where}.content", part_resolution=False)
    text = "\n".join(as_text(as_object(part)["text"]) for part in parts if "text" in as_object(part))
    media: list[JsonValue] = [part for part in parts if "text" not in as_object(part)]
    made = _part(call, {"error": text} if message.get("is_error") is True else _result(text))
    if modern and media:
        as_object(made["functionResponse"])["parts"] = media
        media = []
    return made, media


def _part(call: Call, response: JsonObject) -> JsonObject:
    made: JsonObject = {"name": call.name, "response": response}
    return {"functionResponse": {"id": call.issued, **made} if call.issued else made}


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
