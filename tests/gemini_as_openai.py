"""A recorded Gemini request as the OpenAI request that a client of ours would have sent for it."""

import json
from typing import Any

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_TRIMMED = "<request text trimmed"  # how the recordings mark media they do not hold in full


def openai_request(body: dict[str, Any], *, model: str, stream: bool) -> dict[str, Any]:
    """The chat request. Fields that only Gemini has travel in `google`, as our clients send them."""
    request: dict[str, Any] = {"model": model, "messages": _messages(body)}
    request |= _tools(body)
    request |= _generation(body.get("generationConfig") or {})
    google = dict(request.pop("google", {}))
    if "safetySettings" in body:
        google["safety_settings"] = body["safetySettings"]
    if "cachedContent" in body:
        google["cached_content"] = body["cachedContent"]
    if google:
        request["google"] = google
    if stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    return request


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    system = _parts(body.get("systemInstruction") or {})
    if system:
        messages.append({"role": "system", "content": [{"type": "text", "text": part["text"]} for part in system]})
    open_calls: list[str] = []
    for number, content in enumerate(body["contents"]):
        parts = [_camel(part) for part in _parts(content)]
        if content.get("role") == "model":
            message, open_calls = _assistant(parts, number)
            messages.append(message)
            continue
        for part in parts:
            if "functionResponse" in part:
                result = json.dumps(part["functionResponse"]["response"], ensure_ascii=False)
                messages.append({"role": "tool", "tool_call_id": open_calls.pop(0), "content": result})
        said = [_part(part) for part in parts if "functionResponse" not in part]
        if said:
            messages.append({"role": "user", "content": said})
    return messages


def _parts(content: dict[str, Any]) -> list[dict[str, Any]]:
    parts = content.get("parts", [])
    return parts if isinstance(parts, list) else [parts]  # protobuf JSON takes a lone message for a list of one


def _assistant(parts: list[dict[str, Any]], number: int) -> tuple[dict[str, Any], list[str]]:
    text = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    message: dict[str, Any] = {"role": "assistant", "content": text}
    calls = []
    for position, part in enumerate(part for part in parts if "functionCall" in part):
        call = part["functionCall"]
        entry: dict[str, Any] = {
            "id": call.get("id") or f"call_{number}_{position}",
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call.get("args", {}))},
        }
        if "thoughtSignature" in part:
            entry["extra_content"] = {"google": {"thought_signature": part["thoughtSignature"]}}
        calls.append(entry)
    if calls:
        message["tool_calls"] = calls
    return message, [call["id"] for call in calls]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    inline = part["inlineData"]
    mime = inline.get("mimeType") or inline["mime_type"]
    data = inline["data"]
    if _TRIMMED in data:
        data = _PNG if mime.startswith("image/") else "QUJD"
    if mime.startswith("audio/"):
        return {"type": "input_audio", "input_audio": {"data": data, "format": "wav" if "wav" in mime else "mp3"}}
    if mime.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{data}"}}
    return {"type": "file", "file": {"filename": "document.pdf", "file_data": f"data:{mime};base64,{data}"}}


def _tools(body: dict[str, Any]) -> dict[str, Any]:
    tools: list[dict[str, Any]] = []
    fields: dict[str, Any] = {}
    for tool in body.get("tools") or []:
        for declaration in tool.get("functionDeclarations", []):
            function = {"name": declaration["name"], "description": declaration.get("description") or ""}
            schema = declaration.get("parametersJsonSchema") or declaration.get("parameters")
            if schema:
                function["parameters"] = _lower(schema)
            tools.append({"type": "function", "function": function})
        if "googleSearch" in tool:
            fields["web_search_options"] = {}
        if "codeExecution" in tool:
            tools.append({"codeExecution": {}})
    if tools:
        fields["tools"] = tools
    config = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    names = config.get("allowedFunctionNames") or []
    match config.get("mode"):
        case "NONE":
            fields["tool_choice"] = "none"
        case "ANY" if len(names) == 1:
            fields["tool_choice"] = {"type": "function", "function": {"name": names[0]}}
        case "ANY":
            fields["tool_choice"] = "required"
        case "AUTO":
            fields["tool_choice"] = "auto"
    return fields


def _generation(config: dict[str, Any]) -> dict[str, Any]:
    config = _camel(config)
    fields: dict[str, Any] = {}
    for theirs, ours in (
        ("temperature", "temperature"),
        ("maxOutputTokens", "max_completion_tokens"),
        ("stopSequences", "stop"),
        ("seed", "seed"),
        ("imageConfig", "image_config"),
    ):
        if config.get(theirs) is not None:
            fields[ours] = config[theirs]
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema:
        wrapped = {"name": "answer", "schema": _lower(schema)}
        fields["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    elif config.get("responseMimeType") == "application/json":
        fields["response_format"] = {"type": "json_object"}
    if config.get("responseModalities"):
        fields["modalities"] = [name.lower() for name in config["responseModalities"]]
    if config.get("thinkingConfig"):
        fields["google"] = {"thinking_config": config["thinkingConfig"]}
    return fields


def _camel(value: dict[str, Any]) -> dict[str, Any]:
    """Protobuf JSON may be written in snake_case: the outermost keys in camelCase."""
    renamed = {}
    for key, item in value.items():
        head, *tail = key.split("_")
        renamed[head + "".join(word.capitalize() for word in tail)] = item
    return renamed


def _lower(schema: Any) -> Any:
    """The OpenAPI dialect's upper-case types as JSON Schema's."""
    if isinstance(schema, dict):
        return {
            key: value.lower() if key == "type" and isinstance(value, str) else _lower(value)
            for key, value in schema.items()
        }
    return [_lower(item) for item in schema] if isinstance(schema, list) else schema
