"""Bytes -> a validated Responses request: the chat request it stands for, and what its answer must repeat."""

from collections.abc import Mapping, MutableMapping
from functools import partial
from typing import NoReturn

import orjson
from msgspec import Raw, Struct
from starlette.types import Scope

from providers.types import JsonObject, JsonValue
from router.api.chat_fields import flag, require_shallow
from router.api.chat_request import ParsedChat, decode_fields, decode_object, parse_chat
from router.api.responses.input import Transcript
from router.api.responses.memory import ItemMemory
from router.api.responses.names import Names
from router.api.responses.parts import refuse
from router.api.responses.tools import Toolbox
from router.errors import InvalidRequestError
from router.settings.values import ClientKey

# Each refers to something that OpenAI keeps between requests.
_KEPT_THERE = {
    "previous_response_id": "send the whole conversation in 'input'",
    "conversation": "send the whole conversation in 'input'",
    "prompt": "send the prompt's text in 'instructions' and 'input'",
}
# The chat request's names for what has another one here, or no place at all.
_ELSEWHERE = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "functions": "tools",
    "function_call": "tool_choice",
    "web_search_options": "tools",
    "logprobs": "include",
    "n": None,
}
_DROPPED = ("context_management", "image", "access_programs", "max_tool_calls")  # with a warning: no upstream has them
_SILENT = ("client_metadata",)  # about the client, without any effect on the answer
_REPEATED = (
    "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls", "prompt_cache_key",
    "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "temperature", "text", "tool_choice",
    "tools", "top_logprobs", "top_p", "truncation", "user",
)  # fmt: skip
_TELLING = frozenset({"instructions", "tools", "text", "reasoning", "max_output_tokens", "include", "stream"})
_ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"


class ParsedResponses(Struct, frozen=True, kw_only=True):
    """One request as the edge hands it on.

    `repeated` are the fields that the answer's object shows again; `encrypted`: reasoning items shall carry what the
    client must send back; `remembered`: the client may refer to the answer's items (it has not said `store: false`);
    `warnings` are this translation's own losses.
    """

    chat: ParsedChat
    names: Names
    toolbox: Toolbox
    repeated: JsonObject
    encrypted: bool
    remembered: bool
    warnings: tuple[str, ...]


def parse_responses(body: bytes, scope: Scope, key: ClientKey, memory: ItemMemory) -> ParsedResponses:
    """Validate one body; `memory` knows the items that it may refer to.

    Raises InvalidRequestError (400) naming the field as the caller wrote it.
    """
    fields = decode_fields(decode_object(body))
    for name, value in fields.items():
        if isinstance(value, dict | list):
            require_shallow(name[:64], value)
    stored = _refuse_state(fields)
    repeated = {name: fields[name] for name in _REPEATED if name in fields}
    toolbox = Toolbox()
    toolbox.read(fields.pop("tools", None), "tools")
    transcript = Transcript(toolbox, partial(memory.find, key.name))
    instructions = fields.pop("instructions", None)
    if instructions is not None:
        if not isinstance(instructions, str):
            raise refuse("'instructions' must be a string", "instructions", "invalid_type")
        transcript.instruct(instructions)
    transcript.read(fields.pop("input", None))
    warnings = _dropped(fields)
    include = _include(fields.pop("include", None))
    known = transcript.places() | toolbox.places
    chat: JsonObject = {"messages": list(transcript.messages())}
    _add_tools(chat, fields, toolbox)
    _add_text(chat, fields.pop("text", None))
    _add_reasoning(chat, fields, known)
    _add_limits(chat, fields, include)
    names = Names(known)
    try:
        parsed = parse_chat(orjson.dumps({**fields, **chat}), scope, key)
    except InvalidRequestError as exc:
        names.rename(exc)
        raise
    warnings = [*warnings, *toolbox.warnings, *transcript.warnings]
    if warnings and parsed.directives.strict:
        lost = warnings[0].partition("=")[0]
        raise refuse(f"'{lost}' cannot be expressed here, and the request is strict", lost, "unsupported_parameter")
    return ParsedResponses(
        chat=parsed,
        names=names,
        toolbox=toolbox,
        repeated=repeated,
        encrypted=_ENCRYPTED in include,
        remembered=stored,
        warnings=tuple(warnings),
    )


def _refuse_state(fields: MutableMapping[str, JsonValue]) -> bool:
    """Refuse what would need a memory of earlier requests, and the names that the chat request has for things. Gives
    what `store` says."""
    for name, instead in _KEPT_THERE.items():
        if name in fields:
            raise refuse(f"'{name}': the router keeps no responses; {instead}", name, "unsupported_parameter")
    if flag(fields.pop("background", None), "background"):
        raise refuse(
            "'background': the router keeps no responses to fetch later; wait for the answer, or stream it",
            "background",
            "unsupported_parameter",
        )
    for name in fields:
        if name in _ELSEWHERE:
            _say_where(name, _ELSEWHERE[name])
    return flag(fields.pop("store", True), "store")


def _say_where(name: str, here: str | None) -> NoReturn:
    told = f"here it is '{here}'" if here else "there is one answer to a request here"
    raise refuse(f"'{name}' belongs to chat completions; {told}", name, "unsupported_parameter")


def _dropped(fields: MutableMapping[str, JsonValue]) -> list[str]:
    """Take out what has no counterpart; gives the warnings."""
    for name in _SILENT:
        fields.pop(name, None)
    warnings = [f"{name}=dropped" for name in _DROPPED if fields.pop(name, None) is not None]
    truncation = fields.pop("truncation", None)
    if truncation not in (None, "auto", "disabled"):
        raise refuse("'truncation' must be auto or disabled", "truncation")
    if truncation == "auto":
        warnings.append("truncation=dropped")
    options = fields.pop("stream_options", None)
    if options is not None and not isinstance(options, dict):
        raise refuse("'stream_options' must be an object", "stream_options", "invalid_type")
    return warnings


def _include(value: JsonValue) -> list[JsonValue]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise refuse("'include' must be a list of strings", "include", "invalid_type")
    return value


def _add_tools(chat: JsonObject, fields: MutableMapping[str, JsonValue], toolbox: Toolbox) -> None:
    choice = toolbox.choice(fields.pop("tool_choice", None))
    if choice is not None:
        chat["tool_choice"] = choice
    if toolbox.declared:
        chat["tools"] = toolbox.declared
    if toolbox.search is not None:
        chat["web_search_options"] = toolbox.search
    modalities = fields.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise refuse("'modalities': a response holds no audio; use chat completions", "modalities")
    if toolbox.draws and modalities is None:
        chat["modalities"] = ["text", "image"]


def _add_text(chat: JsonObject, text: JsonValue) -> None:
    """`text.format` and `text.verbosity`."""
    if text is None:
        return
    if not isinstance(text, dict):
        raise refuse("'text' must be an object", "text", "invalid_type")
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    form = text.get("format")
    if form is None:
        return
    if not isinstance(form, dict):
        raise refuse("'text.format' must be an object", "text.format", "invalid_type")
    if form.get("type") != "json_schema":
        chat["response_format"] = form
        return
    inner: JsonObject = {key: value for key, value in form.items() if key != "type" and value is not None}
    chat["response_format"] = {"type": "json_schema", "json_schema": inner}


def _add_reasoning(chat: JsonObject, fields: MutableMapping[str, JsonValue], known: MutableMapping[str, str]) -> None:
    """The effort; and the model's thoughts, if a summary is asked for. Only Gemini can be asked to show them."""
    reasoning = fields.pop("reasoning", None)
    if reasoning is None:
        return
    if not isinstance(reasoning, dict):
        raise refuse("'reasoning' must be an object", "reasoning", "invalid_type")
    if reasoning.get("effort") is not None:
        chat["reasoning_effort"] = reasoning["effort"]
    if reasoning.get("summary") is None and reasoning.get("generate_summary") is None:
        return
    if "google" in fields:
        chat["google"] = _with_thoughts(_object(fields["google"]))
        return
    # as Google's own OpenAI layer takes it; upstreams that know nothing of Google do not get it
    known["extra_body"] = "reasoning.summary"
    extra = _object(fields.get("extra_body"))
    chat["extra_body"] = {**extra, "google": _with_thoughts(_object(extra.get("google")))}


def _with_thoughts(google: JsonObject) -> JsonObject:
    """Google's own options with its thoughts asked for, unless they say otherwise themselves."""
    return {**google, "thinking_config": {"include_thoughts": True, **_object(google.get("thinking_config"))}}


def _add_limits(chat: JsonObject, fields: MutableMapping[str, JsonValue], include: list[JsonValue]) -> None:
    limit = fields.pop("max_output_tokens", None)
    if limit is not None:
        chat["max_completion_tokens"] = limit
    top = fields.get("top_logprobs")
    if _LOGPROBS in include or top not in (None, 0):
        chat["logprobs"] = True
    elif top == 0:
        del fields["top_logprobs"]  # OpenAI's clients send it to say that they want none


def is_for_a_response(top: Mapping[str, Raw]) -> bool:
    """Whether a body with `input` asks for a response, not for embeddings: by its items, or by what stands beside."""
    if "input" not in top or "messages" in top:
        return False
    start = bytes(memoryview(top["input"])[:64]).replace(b" ", b"").replace(b"\n", b"")
    return start.startswith(b"[{") or not _TELLING.isdisjoint(top)


def repeated_of(fields: Mapping[str, JsonValue]) -> JsonObject:
    """What every response object says about its request, defaults included."""
    text = fields.get("text")
    return {
        "background": False,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "service_tier": None,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": None,
        "truncation": "disabled",
        "user": None,
        **fields,
        "metadata": fields.get("metadata", {}),
        "reasoning": {"effort": None, "summary": None, **_object(fields.get("reasoning"))},
        "store": False,
        "text": {"format": {"type": "text"}, **_object(text)},
    }


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
