"""The fields of a generateContent request, and Google's way of refusing what is not one of them.

`read` takes JSON as protobuf's JSON parser does: camelCase and snake_case alike, int64 also as strings, unknown names
and wrong types refused with the path spelled in snake_case.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from providers.sandbox.refusals import RefusedError, gemini_error

Spec = Any  # "str", "int", ... | Mapping (a message) | [Spec] (a list) | frozenset (an enum)

_CAMEL = re.compile(r"_([a-z0-9])")
_SNAKE = re.compile(r"([A-Z])")
_KIND = {"int": "TYPE_INT32", "float": "TYPE_FLOAT", "bool": "TYPE_BOOL", "str": "TYPE_STRING", "bytes": "TYPE_BYTES"}
_INT32 = 1 << 31

_SCHEMA: dict[str, Spec] = {
    "type": frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"}),
    "format": "str",
    "title": "str",
    "description": "str",
    "nullable": "bool",
    "enum": ["str"],
    "maxItems": "int64",
    "minItems": "int64",
    "required": ["str"],
    "minProperties": "int64",
    "maxProperties": "int64",
    "minimum": "float",
    "maximum": "float",
    "minLength": "int64",
    "maxLength": "int64",
    "pattern": "str",
    "example": "any",
    "default": "any",
    "propertyOrdering": ["str"],
}
_SCHEMA["items"] = _SCHEMA
_SCHEMA["anyOf"] = [_SCHEMA]
_SCHEMA["properties"] = ("map", _SCHEMA)

_BLOB = {"mimeType": "str", "data": "bytes", "displayName": "str"}
_FILE = {"mimeType": "str", "fileUri": "str", "displayName": "str"}
_PART: dict[str, Spec] = {
    "text": "str",
    "inlineData": _BLOB,
    "fileData": _FILE,
    "functionCall": {"id": "str", "name": "str", "args": "object"},
    "functionResponse": {
        "id": "str",
        "name": "str",
        "response": "object",
        "parts": [{"inlineData": _BLOB, "fileData": _FILE}],
        "willContinue": "bool",
        "scheduling": "str",
    },
    "executableCode": {"id": "str", "language": "str", "code": "str"},
    "codeExecutionResult": {"id": "str", "outcome": "str", "output": "str"},
    "toolCall": "object",
    "toolResponse": "object",
    "thought": "bool",
    "thoughtSignature": "bytes",
    "videoMetadata": {"startOffset": "str", "endOffset": "str", "fps": "float"},
    "mediaResolution": {"level": "str"},
    "partMetadata": "object",
    "mediaProcessing": "str",
}
PART_DATA = frozenset(
    {"text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult",
     "toolCall", "toolResponse"}
)  # fmt: skip
CONTENT = {"role": "str", "parts": [_PART]}
_LEVELS = frozenset({"THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH"})
_GENERATION: dict[str, Spec] = {
    "stopSequences": ["str"],
    "responseMimeType": "str",
    "responseSchema": _SCHEMA,
    "responseJsonSchema": "any",
    "responseFormat": "object",
    "responseModalities": [frozenset({"MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO"})],
    "candidateCount": "int",
    "maxOutputTokens": "int",
    "temperature": "float",
    "topP": "float",
    "topK": "int",
    "seed": "int",
    "presencePenalty": "float",
    "frequencyPenalty": "float",
    "responseLogprobs": "bool",
    "logprobs": "int",
    "speechConfig": "object",
    "thinkingConfig": {"includeThoughts": "bool", "thinkingBudget": "int", "thinkingLevel": _LEVELS},
    "imageConfig": {"aspectRatio": "str", "imageSize": "str"},
    "mediaResolution": frozenset(
        {"MEDIA_RESOLUTION_UNSPECIFIED", "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"}
    ),
    "enableAffectiveDialog": "bool",
    "enableEnhancedCivicAnswers": "bool",
}
_DECLARATION = {
    "name": "str",
    "description": "str",
    "parameters": _SCHEMA,
    "parametersJsonSchema": "any",
    "response": _SCHEMA,
    "responseJsonSchema": "any",
    "behavior": "str",
}
BUILT_IN_TOOLS = frozenset(
    {"googleSearch", "urlContext", "codeExecution", "googleMaps", "fileSearch", "computerUse", "mcpServers"}
)
_TOOL: dict[str, Spec] = {"functionDeclarations": [_DECLARATION], **dict.fromkeys(BUILT_IN_TOOLS, "any")}
_MODES = frozenset({"MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"})
GENERATE: dict[str, Spec] = {
    "model": "str",
    "contents": [CONTENT],
    "systemInstruction": CONTENT,
    "tools": [_TOOL],
    "toolConfig": {
        "functionCallingConfig": {"mode": _MODES, "allowedFunctionNames": ["str"]},
        "retrievalConfig": "object",
        "includeServerSideToolInvocations": "bool",
    },
    "safetySettings": [{"category": "str", "threshold": "str"}],
    "generationConfig": _GENERATION,
    "cachedContent": "str",
    "serviceTier": "str",
    "store": "bool",
    "continuationToken": "str",
}
COUNT: dict[str, Spec] = {"contents": [CONTENT], "generateContentRequest": GENERATE}


def refuse(message: str) -> RefusedError:
    """A 400 INVALID_ARGUMENT with this message, to be raised."""
    return RefusedError(gemini_error(400, message))


def read(value: Any, spec: Spec, path: str = "") -> Any:
    """`value` checked against `spec`, with camelCase keys. Raises RefusedError with Google's message."""
    if isinstance(spec, str):
        return _scalar(value, spec, path)
    if isinstance(spec, frozenset):
        return _enum(value, spec, path)
    if isinstance(spec, list):
        # protobuf's JSON takes no lone value for a repeated field
        if not isinstance(value, list):
            raise _invalid(path, "", value)
        return [read(entry, spec[0], f"{path}[{number}]") for number, entry in enumerate(value)]
    if not isinstance(value, dict):
        raise _invalid(path, "", value)
    if isinstance(spec, tuple):
        entries = enumerate(value.items())
        return {key: read(entry, spec[1], f"{path}[{number}].value") for number, (key, entry) in entries}
    return _message(value, spec, path)


def _message(value: Mapping[str, Any], spec: Mapping[str, Spec], path: str) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for key, entry in value.items():
        name = key if key in spec else _CAMEL.sub(lambda match: match[1].upper(), key)
        if name not in spec:
            raise _unknown(key, path)
        if entry is not None:  # null means absent in protobuf's JSON
            inner = _SNAKE.sub(r"_\1", name).lower()
            known[name] = read(entry, spec[name], f"{path}.{inner}" if path else inner)
    return known


def _unknown(key: str, path: str) -> RefusedError:
    where = f" at '{path}'" if path else ""
    text = f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.'
    violation = {"field": path, "description": text} if path else {"description": text}
    details = ({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]},)
    return RefusedError(gemini_error(400, text, details=details))


def _invalid(path: str, kind: str, value: Any) -> RefusedError:
    shown = f'"{value}"' if isinstance(value, str) else value
    kind = f" ({kind})" if kind else ""
    return refuse(f"Invalid value at '{path}'{kind}, {str(shown)[:200]}")


def _enum(value: Any, names: frozenset[str], path: str) -> str:
    # only the schema's types and the thinking levels are taken in lower case
    name = value.upper() if isinstance(value, str) and ("STRING" in names or "MINIMAL" in names) else value
    if not isinstance(name, str) or name not in names:
        raise _invalid(path, "type.googleapis.com/google.ai.generativelanguage.v1beta", value)
    return name


def _scalar(value: Any, kind: str, path: str) -> Any:
    match kind:
        case "any":
            return value
        case "object":
            if isinstance(value, dict):
                return value
        case "str":
            if isinstance(value, str):
                return value
        case "bool":
            if isinstance(value, bool):
                return value
        case "bytes":
            return _bytes(value, path)
        case "float":
            if isinstance(value, int | float) and not isinstance(value, bool):
                return value
        case _:
            return _integer(value, kind, path)
    raise _invalid(path, _KIND.get(kind, ""), value)


def _integer(value: Any, kind: str, path: str) -> int:
    try:
        number = int(value) if not isinstance(value, bool) and float(value) == int(value) else None
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or (kind == "int" and not -_INT32 <= number < _INT32):
        raise _invalid(path, "TYPE_INT64" if kind == "int64" else "TYPE_INT32", value)
    return number


def _bytes(value: Any, path: str) -> str:
    try:
        base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
    except (AttributeError, binascii.Error, ValueError) as exc:
        shown = value[:40] if isinstance(value, str) else value
        text = f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for \"{shown}\""
        raise refuse(text) from exc
    return str(value)
