"""Conformance vectors of the Gemini wire, as data.

Those that depend on the provider (V04 inline, V35 filled, V40, V48's labels, V47 and V49 refused) stand in
`gemini_terms_vectors.py`; those about routing (V57's retry, V69 to V74) in `tests/app`; V12's fetch in
`tests/app/test_media_by_url.py`.
"""

from typing import Any

from providers.catalogue import ImageCapabilities, ModelInfo, Thinking

SIG = "c2ln"
DUMMY = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="

_NEW: dict[str, Any] = {"sampling": False, "penalties": False, "prefill": False, "signatures": True, "call_ids": True}
_PRO: dict[str, Any] = {"sampling": False, "penalties": False, "signatures": True, "call_ids": True}
_OLD: dict[str, Any] = {"family": 2.5, "penalties": False, "tools_with_json": False, "call_ids": False}


def _levels(*levels: str) -> Thinking:
    return Thinking(kind="level", levels=levels)


def _budget(low: int, high: int, *, off: bool) -> Thinking:
    return Thinking(kind="budget", budget_min=low, budget_max=high, can_disable=off)


_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
MODELS = {
    info.name: info
    for info in (
        ModelInfo(name="gemini-3.8-flash", family=3.8, thinking=_levels("low", "medium", "high"), **_NEW),
        ModelInfo(name="gemini-3.1-pro-preview", family=3.1, thinking=_levels("low", "medium", "high"), **_PRO),
        ModelInfo(
            name="gemini-3.1-flash-lite", family=3.1, thinking=_levels("minimal", "low", "medium", "high"), **_PRO
        ),
        ModelInfo(name="gemini-2.5-pro", thinking=_budget(128, 32768, off=False), **_OLD),
        ModelInfo(name="gemini-2.5-flash", thinking=_budget(1, 24576, off=True), **_OLD),
        ModelInfo(name="gemini-2.5-flash-lite", thinking=_budget(512, 24576, off=True), **_OLD),
        ModelInfo(name="gemini-2.0-flash", family=2.0, tools_with_json=False, call_ids=False),
        ModelInfo(
            name="gemini-3.1-flash-image",
            kind="image",
            family=3.1,
            tools=False,
            outputs=frozenset({"text", "image"}),
            thinking=_levels("minimal", "high"),
            image=ImageCapabilities(
                tiers=("512", "1K", "2K", "4K"), ratios=(*_RATIOS, "1:4", "4:1", "1:8", "8:1"), references=14
            ),
            **_PRO,
        ),
        ModelInfo(
            name="gemini-2.5-flash-image",
            kind="image",
            family=2.5,
            tools=False,
            outputs=frozenset({"text", "image"}),
            image=ImageCapabilities(ratios=_RATIOS, references=3),
        ),
        ModelInfo(name="gemma-old-wire", family=2.0, json_schema=False),
    )
}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any = None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def call(call_id: str, name: str = "f", arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def result(call_id: str, content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


def signed(signature: str = SIG) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": signature}}}


def function(name: str, parameters: Any = None, **more: Any) -> dict[str, Any]:
    tool: dict[str, Any] = {"name": name, **more}
    if parameters is not None:
        tool["parameters"] = parameters
    return {"type": "function", "function": tool}


def turn(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def called(name: str = "f", args: Any = None, signature: str | None = None, call_id: str | None = None) -> Any:
    part: dict[str, Any] = {"functionCall": {"name": name, "args": args or {}}}
    if call_id:
        part["functionCall"]["id"] = call_id
    if signature:
        part["thoughtSignature"] = signature
    return part


def answered(response: Any, name: str = "f", call_id: str | None = None) -> Any:
    inner: dict[str, Any] = {"name": name, "response": response}
    if call_id:
        inner["id"] = call_id
    return {"functionResponse": inner}


HI = [user("hi")]
X_TOOL = {
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
    "additionalProperties": False,
    "$schema": "http://json-schema.org/draft-07/schema#",
}
X_CLEAN = {
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
    "additionalProperties": False,
}
F = function("f", X_TOOL)
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
ROUND = [
    user("w?"),
    assistant(tool_calls=[call("call_a", "f", '{"c":"Oslo"}', **signed())]),
    result("call_a", '{"t":3}'),
]

# Each: id, messages, fields, model (None: gemini-3.8-flash), what the body holds, which keys it lacks.
REQUESTS: list[tuple[str, list[Any], dict[str, Any], str | None, dict[str, Any], tuple[str, ...]]] = [
    (
        "V01 plain",
        HI,
        {},
        None,
        {"contents": [turn("user", "hi")]},
        ("generationConfig", "tools", "toolConfig", "systemInstruction"),
    ),
    (
        "V02 system and developer",
        [{"role": "system", "content": "A"}, {"role": "developer", "content": "B"}, *HI],
        {},
        None,
        {"systemInstruction": {"parts": [{"text": "A"}, {"text": "B"}]}, "contents": [turn("user", "hi")]},
        (),
    ),
    ("V03 system only", [{"role": "system", "content": "A"}], {}, None, {"contents": [turn("user", ".")]}, ()),
    (
        "V04 late system",
        [user("a"), assistant("b"), {"role": "system", "content": "S"}, user("c")],
        {},
        None,
        {
            "systemInstruction": {"parts": [{"text": "S"}]},
            "contents": [turn("user", "a"), turn("model", "b"), turn("user", "c")],
        },
        (),
    ),
    (
        "V05 first is assistant",
        [assistant("hello"), *HI],
        {},
        None,
        {"contents": [turn("user", "."), turn("model", "hello"), turn("user", "hi")]},
        (),
    ),
    ("V06 consecutive users", [user("a"), user("b")], {}, None, {"contents": [turn("user", "a", "b")]}, ()),
    (
        "V07 consecutive assistants",
        [user("a"), assistant("b"), assistant("c"), user("d")],
        {},
        None,
        {"contents": [turn("user", "a"), turn("model", "b", "c"), turn("user", "d")]},
        (),
    ),
    (
        "V08 empty texts",
        [user(""), user([{"type": "text", "text": ""}, {"type": "text", "text": "x"}]), assistant(""), user("y")],
        {},
        None,
        {"contents": [turn("user", "x", "y")]},
        (),
    ),
    (
        "V09 ends with assistant",
        [user("a"), assistant("b")],
        {},
        None,
        {"contents": [turn("user", "a"), turn("model", "b"), turn("user", "Continue.")]},
        (),
    ),
    (
        "V09 prefill",
        [user("a"), assistant("b")],
        {},
        "gemini-3.1-pro-preview",
        {"contents": [turn("user", "a"), turn("model", "b")]},
        (),
    ),
    (
        "V10 data URI",
        [user([{"type": "image_url", "image_url": {"url": "data:image/jpg;base64,QU\nJD"}}])],
        {},
        None,
        {"contents": [turn("user", {"inlineData": {"mimeType": "image/jpeg", "data": "QUJD"}})]},
        (),
    ),
    (
        "V10 bare string",
        [user([{"type": "input_image", "image_url": "data:image/png;charset=x;base64,QUJD"}])],
        {},
        None,
        {"contents": [turn("user", {"inlineData": {"mimeType": "image/png", "data": "QUJD"}})]},
        (),
    ),
    (
        "V10 percent-encoded",
        [user([{"type": "image_url", "image_url": {"url": "data:image/svg+xml,%41BC"}}])],
        {},
        None,
        {"contents": [turn("user", {"inlineData": {"mimeType": "image/svg+xml", "data": "QUJD"}})]},
        (),
    ),
    (
        "V11 order",
        [user([{"type": "text", "text": "a"}, PNG, {"type": "text", "text": "b"}])],
        {},
        None,
        {"contents": [turn("user", "a", {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}, "b")]},
        (),
    ),
    (
        "V13 references",
        [
            user(
                [
                    {"type": "image_url", "image_url": {"url": url}}
                    for url in (
                        "https://generativelanguage.googleapis.com/v1beta/files/abc",
                        "gs://b/o.pdf",
                        "https://www.youtube.com/watch?v=x",
                        "https://youtu.be/x",
                    )
                ]
            )
        ],
        {},
        None,
        {
            "contents": [
                turn(
                    "user",
                    {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
                    {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/o.pdf"}},
                    {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}},
                    {"fileData": {"fileUri": "https://youtu.be/x"}},
                )
            ]
        },
        (),
    ),
    (
        "V14 detail",
        [user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ==", "detail": "low"}}])],
        {},
        None,
        {
            "contents": [
                turn(
                    "user",
                    {
                        "inlineData": {"mimeType": "image/png", "data": "QQ=="},
                        "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
                    },
                )
            ]
        },
        (),
    ),
    (
        "V14 detail on 2.5",
        [user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ==", "detail": "low"}}])],
        {},
        "gemini-2.5-flash",
        {"contents": [turn("user", {"inlineData": {"mimeType": "image/png", "data": "QQ=="}})]},
        (),
    ),
    (
        "V15 audio",
        [user([{"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}}])],
        {},
        None,
        {"contents": [turn("user", {"inlineData": {"mimeType": "audio/mp3", "data": "QQ=="}})]},
        (),
    ),
    (
        "V16 file",
        [
            user(
                [
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="}},
                    {"type": "file", "file": {"filename": "a.csv", "file_data": "QQ=="}},
                    {"type": "file", "file": {"file_id": "files/x"}},
                ]
            )
        ],
        {},
        None,
        {
            "contents": [
                turn(
                    "user",
                    {"inlineData": {"mimeType": "application/pdf", "data": "QQ=="}},
                    {"inlineData": {"mimeType": "text/csv", "data": "QQ=="}},
                    {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
                )
            ]
        },
        (),
    ),
    (
        "V17 tools",
        HI,
        {"tools": [F, function("g"), function("h", {"type": "object", "properties": {}})]},
        None,
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "f", "parametersJsonSchema": X_CLEAN},
                        {"name": "g"},  # V18
                        {"name": "h"},  # V18
                    ]
                }
            ]
        },
        ("toolConfig",),
    ),
    (
        "V17 the old dialect",
        HI,
        {"tools": [F]},
        "gemma-old-wire",
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "f",
                            "parameters": {
                                "type": "object",
                                "properties": {"x": {"type": "integer"}},
                                "required": ["x"],
                                "propertyOrdering": ["x"],
                            },
                        }
                    ]
                }
            ]
        },
        (),
    ),
    (
        "V26 bad names",
        HI,
        {"tools": [function("1st/tool"), function("1st:tool")]},
        None,
        {"tools": [{"functionDeclarations": [{"name": "_1st_tool"}, {"name": "_1st_tool_2"}]}]},
        (),
    ),
    (
        "V27 none",
        HI,
        {"tools": [F], "tool_choice": "none"},
        None,
        {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
        (),
    ),
    ("V27 auto", HI, {"tools": [F], "tool_choice": "auto"}, None, {}, ("toolConfig",)),
    (
        "V27 required",
        HI,
        {"tools": [F], "tool_choice": "required"},
        None,
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        (),
    ),
    (
        "V27 named",
        HI,
        {"tools": [F], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        None,
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}},
        (),
    ),
    (
        "V27 legacy",
        HI,
        {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
        None,
        {
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        },
        (),
    ),
    (
        "V28 strict",
        HI,
        {"tools": [function("f", X_TOOL, strict=True)]},
        None,
        {"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}},
        (),
    ),
    (
        "V28 strict and required",
        HI,
        {"tools": [function("f", X_TOOL, strict=True)], "tool_choice": "required"},
        None,
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        (),
    ),
    *(
        (
            f"V29 allowed {mode}",
            HI,
            {
                "tools": [F, function("g")],
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": mode, "tools": [{"type": "function", "function": {"name": "g"}}]},
                },
            },
            None,
            {"toolConfig": {"functionCallingConfig": {"mode": native, "allowedFunctionNames": ["g"]}}},
            (),
        )
        for mode, native in (("auto", "VALIDATED"), ("required", "ANY"))
    ),
    ("V30 no tools", HI, {"tools": [], "tool_choice": "auto"}, None, {}, ("tools", "toolConfig")),
    (
        "V31 round trip",
        ROUND,
        {},
        None,
        {
            "contents": [
                turn("user", "w?"),
                turn("model", called("f", {"c": "Oslo"}, SIG)),
                turn("user", answered({"t": 3})),
            ]
        },
        (),
    ),
    (
        "V32 an id of Gemini's",
        [user("w?"), assistant(tool_calls=[call("x9k2", **signed())]), result("x9k2")],
        {},
        None,
        {
            "contents": [
                turn("user", "w?"),
                turn("model", called(signature=SIG, call_id="x9k2")),
                turn("user", answered({"output": "ok"}, call_id="x9k2")),
            ]
        },
        (),
    ),
    (
        "V32 on 2.5",
        [user("w?"), assistant(tool_calls=[call("x9k2")]), result("x9k2")],
        {},
        "gemini-2.5-flash",
        {"contents": [turn("user", "w?"), turn("model", called()), turn("user", answered({"output": "ok"}))]},
        (),
    ),
    (
        "V33 and V34 and V38: results out of order, text after them, no signature",
        [
            user("w?"),
            assistant("both", tool_calls=[call("call_a"), call("call_b", "g")]),
            result("call_b", "2"),
            {"role": "system", "content": "S"},
            result("call_a", "1"),
        ],
        {},
        None,
        {
            "contents": [
                turn("user", "w?"),
                turn("model", "both", called(signature=DUMMY), called("g")),
                turn("user", answered({"output": "1"}), answered({"output": "2"}, "g")),
            ]
        },
        (),
    ),
    (
        "V34 results then text: an earlier turn needs no signature",
        [user("w?"), assistant(tool_calls=[call("call_a")]), result("call_a", "1"), user("and?")],
        {},
        None,
        {
            "contents": [
                turn("user", "w?"),
                turn("model", called()),
                turn("user", answered({"output": "1"})),
                turn("user", "and?"),
            ]
        },
        (),
    ),
    (
        "V38 on 2.5",
        [user("w?"), assistant(tool_calls=[call("call_a")]), result("call_a", "1")],
        {},
        "gemini-2.5-flash",
        {"contents": [turn("user", "w?"), turn("model", called()), turn("user", answered({"output": "1"}))]},
        (),
    ),
    *(
        (
            f"V36 result {content!r}",
            [user("w?"), assistant(tool_calls=[call("call_a", **signed())]), result("call_a", content)],
            {},
            None,
            {"contents": [turn("user", "w?"), turn("model", called(signature=SIG)), turn("user", answered(response))]},
            (),
        )
        for content, response in (
            ("42", {"output": "42"}),
            ("[1]", {"output": "[1]"}),
            ('{"$ref":"#"}', {"output": '{"$ref":"#"}'}),
            ("", {"output": ""}),
            ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"output": "a\nb"}),
        )
    ),
    (
        "V37 picture in a result",
        [user("w?"), assistant(tool_calls=[call("call_a", **signed())]), result("call_a", [PNG])],
        {},
        None,
        {
            "contents": [
                turn("user", "w?"),
                turn("model", called(signature=SIG)),
                turn(
                    "user",
                    {
                        "functionResponse": {
                            "name": "f",
                            "response": {"output": ""},
                            "parts": [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}],
                        }
                    },
                ),
            ]
        },
        (),
    ),
    (
        "V37 on 2.5",
        [user("w?"), assistant(tool_calls=[call("call_a")]), result("call_a", [PNG]), user("so?")],
        {},
        "gemini-2.5-flash",
        {
            "contents": [
                turn("user", "w?"),
                turn("model", called()),
                turn("user", answered({"output": ""})),
                turn("user", {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}, "so?"),
            ]
        },
        (),
    ),
    (
        "V39 LiteLLM id",
        [user("w?"), assistant(tool_calls=[call("call_0a__thought__c2ln")]), result("call_0a__thought__c2ln")],
        {},
        None,
        {
            "contents": [
                turn("user", "w?"),
                turn("model", called(signature=SIG)),
                turn("user", answered({"output": "ok"})),
            ]
        },
        (),
    ),
    (
        "V43 budget below the limit",
        HI,
        {"reasoning_effort": "high", "max_completion_tokens": 1000},
        "gemini-2.5-flash",
        {"generationConfig": {"maxOutputTokens": 1000, "thinkingConfig": {"thinkingBudget": 500}}},
        (),
    ),
    (
        "V44 sampling on a new model",
        HI,
        {"temperature": 0.2, "top_p": 0.9, "presence_penalty": 0.5},
        None,
        {},
        ("generationConfig",),
    ),
    (
        "V44 sampling on 2.5",
        HI,
        {"temperature": 0.2, "top_p": 0.9, "presence_penalty": 0.5, "frequency_penalty": 0.0},
        "gemini-2.5-flash",
        {"generationConfig": {"temperature": 0.2, "topP": 0.9}},
        (),
    ),
    ("V45 stop", HI, {"stop": "X"}, None, {"generationConfig": {"stopSequences": ["X"]}}, ()),
    ("V45 stop list", HI, {"stop": ["a", ""]}, None, {"generationConfig": {"stopSequences": ["a"]}}, ()),
    ("V46 seed", HI, {"seed": 9999999999}, None, {"generationConfig": {"seed": 9999999999 & 0x7FFFFFFF}}, ()),
    (
        "V46 json_schema",
        HI,
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": X_TOOL, "strict": True}}},
        None,
        {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": X_CLEAN}},
        ("systemInstruction",),
    ),
    (
        "V46 json_object",
        HI,
        {"response_format": {"type": "json_object"}},
        None,
        {"generationConfig": {"responseMimeType": "application/json"}},
        (),
    ),
    (
        "V47 json_schema and tools on 2.5",
        HI,
        {
            "tools": [function("f")],
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "string"}}},
        },
        "gemini-2.5-flash",
        {
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
            "systemInstruction": {
                "parts": [
                    {
                        "text": "Unless you call a tool, answer with JSON only, without a code fence. "
                        'It must match this JSON schema: {"type":"string"}'
                    }
                ]
            },
        },
        ("generationConfig",),
    ),
    ("V48 tier auto", HI, {"service_tier": "auto", "metadata": {"a": "b"}}, None, {}, ("serviceTier", "labels")),
    ("V48 tier flex", HI, {"service_tier": "flex", "foo": 1}, None, {"serviceTier": "flex"}, ("foo",)),
    ("V48 tier fast", HI, {"service_tier": "fast"}, None, {"serviceTier": "priority"}, ()),
    ("V49 search", HI, {"web_search_options": {}}, None, {"tools": [{"googleSearch": {}}]}, ("toolConfig",)),
    (
        "V49 search and functions",
        HI,
        {"web_search_options": {}, "tools": [function("f")]},
        None,
        {
            "tools": [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}],
            "toolConfig": {"includeServerSideToolInvocations": True},
        },
        (),
    ),
    (
        "V49 search and functions on 2.5",
        HI,
        {"web_search_options": {}, "tools": [function("f")]},
        "gemini-2.5-flash",
        {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
        ("toolConfig",),
    ),
]

# Each: id, messages, fields, model, the error's class name, its param.
REFUSALS: list[tuple[str, list[Any], dict[str, Any], str | None, str, str | None]] = [
    (
        "V12 remote picture",
        [user([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://x.test/i.png"}}])],
        {},
        None,
        "UnsupportedFieldError",
        "messages[0].content[1]",
    ),
    (
        "V16 a file of another provider",
        [user([{"type": "file", "file": {"file_id": "file-123"}}])],
        {},
        None,
        "UnsupportedFieldError",
        "messages[0].content[0]",
    ),
    (
        "V27 unknown tool",
        HI,
        {"tools": [F], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        None,
        "BadRequestError",
        "tool_choice",
    ),
    (
        "V35 a result is missing",
        [user("w?"), assistant(tool_calls=[call("call_a"), call("call_b")]), result("call_a"), user("x")],
        {},
        None,
        "BadRequestError",
        "messages[3].tool_call_id",
    ),
    (
        "V35 a result answers nothing",
        [user("w?"), assistant(tool_calls=[call("call_a")]), result("call_z")],
        {},
        None,
        "BadRequestError",
        "messages[2].tool_call_id",
    ),
    (
        "V35 two results for one call",
        [user("w?"), assistant(tool_calls=[call("call_a")]), result("call_a"), result("call_a")],
        {},
        None,
        "BadRequestError",
        "messages[3].tool_call_id",
    ),
    ("V45 six stops", HI, {"stop": list("abcdef")}, None, "BadRequestError", "stop"),
    ("V46 seed of text", HI, {"seed": "x"}, None, "BadRequestError", "seed"),
    ("logprobs", HI, {"logprobs": True}, None, "UnsupportedFieldError", "logprobs"),
    ("max_tokens of zero", HI, {"max_tokens": 0}, None, "BadRequestError", "max_tokens"),
    ("unknown role", [{"role": "wizard", "content": "x"}], {}, None, "BadRequestError", "messages[0].role"),
    (
        "unknown part",
        [user([{"type": "hologram"}])],
        {},
        None,
        "BadRequestError",
        "messages[0].content[0]",
    ),
    ("tools on a picture model", HI, {"tools": [F]}, "gemini-3.1-flash-image", "UnsupportedFieldError", "tools"),
    ("pictures of a text model", HI, {"modalities": ["text", "image"]}, None, "UnsupportedFieldError", "modalities"),
    (
        "remote schema",
        HI,
        {"tools": [function("f", {"type": "object", "properties": {"a": {"$ref": "https://x.test/s"}}})]},
        None,
        "BadRequestError",
        "tools[0].function.parameters",
    ),
]

_LITE31 = "gemini-3.1-flash-lite"
# V42: effort, model, the exact thinkingConfig (None: absent).
EFFORTS: list[tuple[str | None, str, dict[str, Any] | None]] = [
    *((effort, "gemini-2.0-flash", None) for effort in (None, "none", "low", "high", "max")),
    *((None, model, None) for model in ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-3.8-flash")),
    ("none", "gemini-2.5-pro", {"thinkingBudget": 128, "includeThoughts": False}),
    ("minimal", "gemini-2.5-pro", {"thinkingBudget": 128}),
    ("low", "gemini-2.5-pro", {"thinkingBudget": 1024}),
    ("medium", "gemini-2.5-pro", {"thinkingBudget": 8192}),
    ("high", "gemini-2.5-pro", {"thinkingBudget": 24576}),
    ("xhigh", "gemini-2.5-pro", {"thinkingBudget": 32768}),
    ("max", "gemini-2.5-pro", {"thinkingBudget": 32768}),
    *(("none", model, {"thinkingBudget": 0}) for model in ("gemini-2.5-flash", "gemini-2.5-flash-lite")),
    *(("minimal", model, {"thinkingBudget": 1024}) for model in ("gemini-2.5-flash", "gemini-2.5-flash-lite")),
    *(("low", model, {"thinkingBudget": 1024}) for model in ("gemini-2.5-flash", "gemini-2.5-flash-lite")),
    *(("medium", model, {"thinkingBudget": 8192}) for model in ("gemini-2.5-flash", "gemini-2.5-flash-lite")),
    *(("xhigh", model, {"thinkingBudget": 24576}) for model in ("gemini-2.5-flash", "gemini-2.5-flash-lite")),
    ("none", "gemini-3.8-flash", {"thinkingLevel": "LOW", "includeThoughts": False}),
    ("minimal", "gemini-3.8-flash", {"thinkingLevel": "LOW"}),
    ("low", "gemini-3.8-flash", {"thinkingLevel": "LOW"}),
    ("medium", "gemini-3.8-flash", {"thinkingLevel": "MEDIUM"}),
    ("high", "gemini-3.8-flash", {"thinkingLevel": "HIGH"}),
    ("xhigh", "gemini-3.8-flash", {"thinkingLevel": "HIGH"}),
    ("max", "gemini-3.8-flash", {"thinkingLevel": "HIGH"}),
    ("none", _LITE31, {"thinkingLevel": "MINIMAL", "includeThoughts": False}),
    ("minimal", _LITE31, {"thinkingLevel": "MINIMAL"}),
    ("low", "gemini-3.1-flash-image", {"thinkingLevel": "MINIMAL"}),
    ("medium", "gemini-3.1-flash-image", {"thinkingLevel": "HIGH"}),
]

# V56: native reason, finish_reason with content, finish_reason without (None: an error).
FINISHES: list[tuple[str | None, str | None, str | None]] = [
    ("STOP", "stop", None),
    ("MAX_TOKENS", "length", "length"),
    *(
        (reason, "content_filter", "content_filter")
        for reason in (
            "SAFETY",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "RECITATION",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "MODEL_ARMOR",
        )
    ),
    *(
        (reason, "stop", None)
        for reason in (
            "LANGUAGE",
            "OTHER",
            "IMAGE_OTHER",
            "FINISH_REASON_UNSPECIFIED",
            "NO_IMAGE",
            "ESCALATION",
            "SOMETHING_NEW",
            None,
        )
    ),
    *(
        (reason, None, None)
        for reason in (
            "MALFORMED_FUNCTION_CALL",
            "MALFORMED_RESPONSE",
            "UNEXPECTED_TOOL_CALL",
            "TOO_MANY_TOOL_CALLS",
            "MISSING_THOUGHT_SIGNATURE",
        )
    ),
    ("CONTINUATION", "length", "length"),
]

STREAM_V62 = [
    {
        "candidates": [{"content": {"parts": [{"text": "Plan.", "thought": True}], "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 40, "thoughtsTokenCount": 31},
        "modelVersion": "gemini-3.8-flash",
        "responseId": "r1",
    },
    {
        "candidates": [{"content": {"parts": [{"text": "Caf\u00e9\u2028"}], "role": "model"}, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": 1,
            "totalTokenCount": 41,
            "thoughtsTokenCount": 31,
        },
        "modelVersion": "gemini-3.8-flash",
        "responseId": "r1",
    },
    {
        "candidates": [
            {
                "content": {"parts": [{"text": "", "thoughtSignature": "RW9r"}], "role": "model"},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": 3,
            "totalTokenCount": 43,
            "thoughtsTokenCount": 31,
        },
        "modelVersion": "gemini-3.8-flash",
        "responseId": "r1",
    },
]

ERROR_429: dict[str, Any] = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota... Please retry in 20.04s.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "20"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20.040000000s"},
        ],
    }
}
