"""What Gemini refuses although every field is known: turn order, thinking, tools, sampling, pictures, schemas.

Each rule raises RefusedError with the message Google gives. Functions take the request as `gemini_fields.read` left it.
"""

import re
from collections.abc import Mapping
from typing import Any

from providers.sandbox.gemini_fields import BUILT_IN_TOOLS, refuse
from providers.sandbox.gemini_models import GeminiModel

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}\Z")
_MIME_TYPES = frozenset({"text/plain", "application/json", "text/x.enum"})
_JSON_MIME_TYPES = frozenset({"application/json", "text/x.enum"})
_STRING_FORMATS = frozenset({"enum", "date-time"})
_NUMBER_FORMATS = frozenset({"float", "double", "int32", "int64"})

Json = Mapping[str, Any]


def check_request(request: Json, model: GeminiModel) -> None:
    """All rules but those about `contents` (see `gemini_turns`)."""
    _cached_content(request)
    _safety(request)
    declared = _tools(request, model)
    _tool_config(request, declared)
    config: Json = request.get("generationConfig") or {}
    _sampling(config, model)
    _thinking(config.get("thinkingConfig"), model)
    _output(config, model, has_functions=bool(declared))
    _picture(config, model)


def _cached_content(request: Json) -> None:
    given = any(key in request for key in ("systemInstruction", "tools", "toolConfig"))
    if given and "cachedContent" in request:
        raise refuse(
            "CachedContent can not be used with GenerateContent request setting system_instruction, tools or "
            "tool_config.\n\nProposed fix: move those values to CachedContent from GenerateContent request."
        )


def _safety(request: Json) -> None:
    seen = [setting.get("category") for setting in request.get("safetySettings") or []]
    if len(seen) != len(set(seen)):
        raise refuse("* GenerateContentRequest.safety_settings: element is duplicated.\n")


def _tools(request: Json, model: GeminiModel) -> list[str]:
    """The names of all declared functions."""
    tools: list[Json] = request.get("tools") or []
    declarations = [one for tool in tools for one in tool.get("functionDeclarations") or []]
    names = [str(one.get("name", "")) for one in declarations]
    for number, (name, declaration) in enumerate(zip(names, declarations, strict=True)):
        _declaration(name, declaration, f"tools[0].function_declarations[{number}]")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise refuse(f"Duplicate function declaration found: {twice}")
    if len(names) > 512:
        raise refuse("At most 512 function declarations are supported.")
    if names and model.image:
        raise refuse("Function calling is not enabled for this model")
    if names and any(key in BUILT_IN_TOOLS for tool in tools for key in tool):
        _built_in_with_functions(request, model)
    return names


def _built_in_with_functions(request: Json, model: GeminiModel) -> None:
    if model.family < 3:
        raise refuse("Tool use with function calling is unsupported")
    if not (request.get("toolConfig") or {}).get("includeServerSideToolInvocations"):
        raise refuse(
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function "
            "calling."
        )


def _declaration(name: str, declaration: Json, path: str) -> None:
    if not _NAME.match(name):
        raise refuse(
            f"Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), "
            f"underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128. At {path}.name"
        )
    if "parameters" in declaration and "parametersJsonSchema" in declaration:
        raise refuse(f"Only one of parameters and parameters_json_schema may be set at '{path}'.")
    if "parameters" in declaration:
        check_openapi(declaration["parameters"], f"{path}.parameters")
    check_json_schema(declaration.get("parametersJsonSchema"), f"{path}.parameters_json_schema")


def _tool_config(request: Json, declared: list[str]) -> None:
    calling: Json | None = (request.get("toolConfig") or {}).get("functionCallingConfig")
    if calling is None:
        return
    if not declared:
        raise refuse("Function calling config is set without function_declarations.")
    allowed: list[str] = calling.get("allowedFunctionNames") or []
    if allowed and calling.get("mode", "AUTO") not in ("ANY", "VALIDATED"):
        raise refuse("`allowed_function_names` should be set only when the function calling mode is ANY.")
    for name in allowed:
        if name not in declared:
            raise refuse(f"Function {name} in `allowed_function_names` is not declared in function_declarations.")


def _sampling(config: Json, model: GeminiModel) -> None:
    for key in ("presencePenalty", "frequencyPenalty"):
        if config.get(key):
            raise refuse("Penalty is not enabled for this model")
    if config.get("responseLogprobs") or config.get("logprobs") is not None:
        raise refuse(f"Logprobs is not enabled for models/{model.name}")
    if not model.sampling and any(key in config for key in ("temperature", "topP", "topK")):
        raise refuse("Sampling parameters are not supported for this model.")
    if not 0 <= config.get("temperature", 1) <= 2:
        raise refuse("Unable to submit request because temperature must be in the range [0.0, 2.0].")
    if not 0 <= config.get("topP", 1) <= 1:
        raise refuse("* GenerateContentRequest.generation_config.top_p: top_p must be in the range [0.0, 1.0].\n")
    candidates = config.get("candidateCount", 1)
    if not 1 <= candidates <= 8:
        raise refuse("* GenerateContentRequest.generation_config.candidate_count: must be in the range [1, 8].\n")
    if candidates > 1 and (model.family >= 3 or model.image):
        raise refuse("Multiple candidates is not enabled for this model")
    stops: list[str] = config.get("stopSequences") or []
    if len(stops) > 5 or "" in stops:
        raise refuse("* GenerateContentRequest.generation_config.stop_sequences: at most 5, none of them empty.\n")


def _thinking(thinking: Json | None, model: GeminiModel) -> None:
    if thinking is None:
        return
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    if not model.levels and model.budget is None and (model.family < 3 or budget is not None or level is not None):
        raise refuse("thinking_config is not supported.")
    if budget is not None and level is not None:
        raise refuse("You can only set only one of thinking budget and thinking level.")
    if level is not None:
        if not model.levels:
            raise refuse("Thinking level is not supported for this model.")
        if level not in model.levels:
            raise refuse(
                f"Thinking level {level} is not supported for this model. Please retry with other thinking level."
            )
    if budget is not None and model.budget is not None:
        _budget(budget, model)


def _budget(budget: int, model: GeminiModel) -> None:
    least, most = model.budget or (0, 0)
    if budget == 0 and not model.can_disable:
        raise refuse("Budget 0 is invalid. This model only works in thinking mode.")
    if budget not in (0, -1) and not least <= budget <= most:
        raise refuse(f"The thinking budget {budget} is invalid. Please choose a value between {least} and {most}.")


def _output(config: Json, model: GeminiModel, *, has_functions: bool) -> None:
    most = config.get("maxOutputTokens", 1)
    if most < 1 or most > model.max_output:
        raise refuse(
            f"Unable to submit request because it has a maxOutputTokens value of {most} but the supported range is "
            f"from 1 (inclusive) to {model.max_output + 1} (exclusive). Update the value and try again."
        )
    mime = config.get("responseMimeType", "text/plain")
    if mime not in _MIME_TYPES:
        raise refuse(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are `text/plain`, "
            "`application/json`, `application/xml`, `application/yaml` and `text/x.enum`.\n"
        )
    wants_schema = "responseSchema" in config or "responseJsonSchema" in config
    if "responseSchema" in config and "responseJsonSchema" in config:
        raise refuse("Only one of response_schema and response_json_schema may be set.")
    if wants_schema and mime not in _JSON_MIME_TYPES:
        raise refuse(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when response mimetype is "
            "`application/json` or `text/x.enum`.\n"
        )
    if has_functions and mime == "application/json" and model.family < 3:
        raise refuse("Function calling with a response mime type: 'application/json' is unsupported")
    if mime == "application/json" and model.image:
        raise refuse(f"JSON mode is not enabled for models/{model.name}")
    if "responseSchema" in config:
        check_openapi(config["responseSchema"], "generation_config.response_schema")
    check_json_schema(config.get("responseJsonSchema"), "generation_config.response_json_schema")


def _picture(config: Json, model: GeminiModel) -> None:
    modalities = config.get("responseModalities") or []
    accepted = {"TEXT", "IMAGE"} if model.image else {"AUDIO"} if model.speech else {"TEXT"}
    if not accepted >= set(modalities) or (model.speech and not modalities):
        raise refuse(
            f"The requested combination of response modalities ({', '.join(modalities)}) is not supported by the "
            f"model. models/{model.name} accepts the following combination of response modalities:\n* "
            + ", ".join(sorted(accepted, reverse=True))
        )
    picture: Json | None = config.get("imageConfig")
    if picture is None:
        return
    if not model.image:
        raise refuse("Image generation is not enabled for this model.")
    ratio, size = picture.get("aspectRatio"), picture.get("imageSize")
    if ratio is not None and ratio not in model.ratios:
        raise refuse(f"Aspect ratio {ratio!r} is not supported. Allowed: {', '.join(sorted(model.ratios))}.")
    if size is not None and size not in model.image_sizes:
        allowed = ", ".join(sorted(model.image_sizes)) or "none"
        raise refuse(f"Image size {size!r} is not supported for this model. Allowed: {allowed}.")


def check_openapi(schema: Json, path: str) -> None:
    """The OpenAPI subset's own rules. Unknown keys were refused while reading."""
    kind = str(schema.get("type", "")).upper()
    shown = schema.get("format")
    if kind == "STRING" and shown is not None and shown not in _STRING_FORMATS:
        raise refuse(f"* {path}.format: only 'enum' and 'date-time' are supported for STRING type\n")
    if kind in ("NUMBER", "INTEGER") and shown is not None and shown not in _NUMBER_FORMATS:
        raise refuse(f"* {path}.format: only 'float', 'double', 'int32' and 'int64' are supported for {kind} type\n")
    for number, value in enumerate(schema.get("enum") or []):
        if value == "":
            raise refuse(f"* {path}.enum[{number}]: cannot be empty\n")
        if kind not in ("STRING", ""):
            raise refuse(f"* {path}.enum: only allowed for STRING type\n")
    if kind == "ARRAY" and not schema.get("items"):
        raise refuse(f"* {path}.items: missing field.\n")
    _openapi_object(schema, kind, path)
    for key, sub in (schema.get("properties") or {}).items():
        check_openapi(sub, f"{path}.properties[{key}]")
    for number, sub in enumerate(schema.get("anyOf") or []):
        check_openapi(sub, f"{path}.any_of[{number}]")
    if schema.get("items"):
        check_openapi(schema["items"], f"{path}.items")


def _openapi_object(schema: Json, kind: str, path: str) -> None:
    properties = schema.get("properties") or {}
    if kind == "OBJECT" and not properties:
        raise refuse(f"* {path}.properties: should be non-empty for OBJECT type\n")
    for number, name in enumerate(schema.get("required") or []):
        if name not in properties:
            raise refuse(f"* {path}.required[{number}]: property is not defined\n")


def check_json_schema(schema: Any, path: str) -> None:
    """JSON Schema: only what is documented as refused, a `$ref` with siblings. Names of properties are not keywords."""
    if isinstance(schema, list):
        for number, entry in enumerate(schema):
            check_json_schema(entry, f"{path}[{number}]")
        return
    if not isinstance(schema, dict):
        return
    siblings = [key for key in schema if not key.startswith("$")]
    if isinstance(schema.get("$ref"), str) and siblings:
        raise refuse(f"* {path}: a schema with $ref may have no other keys, found {siblings[0]!r}\n")
    for key, entry in schema.items():
        if key in ("properties", "$defs"):
            for name, sub in entry.items() if isinstance(entry, dict) else ():
                check_json_schema(sub, f"{path}.{key}[{name}]")
        elif key in ("items", "prefixItems", "anyOf", "oneOf", "additionalProperties"):
            check_json_schema(entry, f"{path}.{key}")
