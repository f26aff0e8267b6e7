"""The order and content of a Gemini conversation: who may speak when, what a turn may hold, whose signatures count."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from providers.sandbox.gemini_fields import PART_DATA, refuse
from providers.sandbox.gemini_models import GeminiModel

DUMMY_SIGNATURE = base64.b64encode(b"skip_thought_signature_validator").decode()  # documented by Google
_ROLES = frozenset({"user", "model", "function", "tool"})
_MIME_TYPES = frozenset(
    [
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/heic",
        "image/heif",
        "audio/wav",
        "audio/x-wav",
        "audio/mp3",
        "audio/mpeg",
        "audio/aiff",
        "audio/aac",
        "audio/ogg",
        "audio/flac",
        "audio/pcm",
        "video/mp4",
        "video/mpeg",
        "video/mov",
        "video/quicktime",
        "video/avi",
        "video/x-flv",
        "video/mpg",
        "video/webm",
        "video/wmv",
        "video/3gpp",
        "application/pdf",
        "application/json",
    ]
)

Json = Mapping[str, Any]


def signature_for(model: GeminiModel, part: Json) -> str:
    """The signature that binds a call to the model family that made it; texts and images only say their kind."""
    return base64.b64encode(f"sandbox:{model.family}:{_digest(part)}".encode()).decode()


def check_turns(contents: list[Json], model: GeminiModel) -> None:
    """Raises RefusedError for the first turn that Gemini would not take."""
    if not contents:
        raise refuse("* GenerateContentRequest.contents: contents is not specified\n")
    for number, content in enumerate(contents):
        _content(content, f"contents[{number}]", model)
    if contents[0].get("role") == "model":
        raise refuse("Please ensure that multiturn requests begin with a user turn.")
    _calls_and_responses(contents)
    _signatures(contents, model)
    if contents[-1].get("role") == "model" and not model.prefill:
        raise refuse("Requests ending with a model turn are not supported.")


def _content(content: Json, path: str, model: GeminiModel) -> None:
    if content.get("role", "user") not in _ROLES:
        raise refuse("Please use a valid role: user, model.")
    parts = content.get("parts") or []
    if not parts:
        raise refuse(f"* GenerateContentRequest.{path}.parts: contents.parts must not be empty.\n")
    for number, part in enumerate(parts):
        check_part(part, f"{path}.parts[{number}]", model)


def check_part(part: Json, path: str, model: GeminiModel) -> None:
    """One part holds exactly one kind of data, and that data is well-formed."""
    kinds = [key for key in part if key in PART_DATA]
    if len(kinds) > 1:
        raise refuse(f"Invalid value at '{path}' (oneof), oneof field 'data' is already set. Cannot set '{kinds[1]}'")
    empty_text = kinds == ["text"] and part["text"] == "" and "thoughtSignature" not in part
    if not kinds or empty_text:
        raise refuse(
            f"* GenerateContentRequest.{path}.data: required oneof field 'data' must have one initialized field\n"
        )
    if kinds == ["inlineData"]:
        _media_type(part["inlineData"].get("mimeType", ""))
    if kinds == ["functionCall"] or kinds == ["functionResponse"]:
        _call_part(part[kinds[0]], kinds[0], path, model)


def _media_type(mime: str) -> None:
    bare = mime.partition(";")[0].lower()
    if bare not in _MIME_TYPES and not bare.startswith("text/") and bare != "audio/l16":
        raise refuse(f"Unsupported MIME type: {mime}")


def _call_part(part: Json, kind: str, path: str, model: GeminiModel) -> None:
    snake = "function_call" if kind == "functionCall" else "function_response"
    if not part.get("name"):
        raise refuse(f"* GenerateContentRequest.{path}.{snake}.name: Name cannot be empty.\n")
    if kind == "functionResponse" and "response" not in part:
        raise refuse(f"* GenerateContentRequest.{path}.{snake}.response: response is required.\n")
    if "id" in part and model.family < 3:
        raise refuse(f"Invalid JSON payload received. Unknown name \"id\" at '{path}.{snake}': Cannot find field.")


def _calls_and_responses(contents: list[Json]) -> None:
    """Calls follow a user turn; their responses come next, all together, alone, in order."""
    waiting: list[Json] = []
    previous_role = ""
    for content in contents:
        calls = _parts(content, "functionCall")
        responses = _parts(content, "functionResponse")
        if waiting or responses:
            _match(waiting, responses, content)
        if calls and previous_role in ("", "model"):
            raise refuse(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
        waiting = calls
        previous_role = content.get("role", "user")
    if waiting:
        raise refuse(
            "Please ensure that function call turn is followed by a function response turn: a request may not end in "
            "a function call."
        )


def _match(calls: list[Json], responses: list[Json], content: Json) -> None:
    if not calls:
        raise refuse("Please ensure that function response turn comes immediately after a function call turn.")
    if len(calls) != len(responses) or len(content["parts"]) != len(responses):
        raise refuse(
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            "of the function call turn."
        )
    for call, response in zip(calls, responses, strict=True):
        if call["name"] != response["name"]:
            raise refuse(
                "Please ensure that function response parts name the functions of the function call turn, in order."
            )
        if call.get("id") != response.get("id"):
            raise refuse("functionResponse.id does not match functionCall.id")


def _signatures(contents: list[Json], model: GeminiModel) -> None:
    if model.family < 3:
        return
    start = max((number for number, content in enumerate(contents) if _is_user_text(content)), default=-1)
    for number, content in enumerate(contents):
        if content.get("role") != "model":
            continue
        if number > start:
            _first_call_signed(content, number)
        for place, part in enumerate(content["parts"]):
            _signature(part, model)
            if model.image and "inlineData" in part and "thoughtSignature" not in part:
                raise refuse(
                    f"Image part is missing a thought_signature in content position {number + 1}, part position "
                    f"{place + 1}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more "
                    "details."
                )


def _first_call_signed(content: Json, number: int) -> None:
    first = next((part for part in content["parts"] if "functionCall" in part), None)
    if first is not None and "thoughtSignature" not in first:
        raise refuse(
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
            "correctly, and missing thought_signature may lead to degraded model performance. Additional data, "
            f"function call `default_api:{first['functionCall']['name']}`, position {number + 1}. Please refer to "
            "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
        )


def _signature(part: Json, model: GeminiModel) -> None:
    """Ours, from the same family and on the part it was made for; or the documented dummy."""
    signature = part.get("thoughtSignature")
    if signature is None or signature == DUMMY_SIGNATURE:
        return
    try:
        known = base64.b64decode(signature).decode().split(":")
    except (binascii.Error, UnicodeDecodeError):
        known = []
    if known != ["sandbox", str(model.family), _digest(part)]:
        raise refuse("Corrupted thought signature.")


def _digest(part: Json) -> str:
    call = part.get("functionCall")
    if call is None:
        return "image" if "inlineData" in part else "text"
    # orjson writes 3.0 and 3 differently, and a JSON round trip through a client may turn one into the other
    text = orjson.dumps([call["name"], _integral(call.get("args") or {})], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _integral(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _integral(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_integral(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _parts(content: Json, kind: str) -> list[Json]:
    return [part[kind] for part in content.get("parts") or () if kind in part]


def _is_user_text(content: Json) -> bool:
    parts: Iterable[Json] = content.get("parts") or ()
    return content.get("role", "user") == "user" and any("functionResponse" not in part for part in parts)
