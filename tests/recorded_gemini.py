"""What a recorded Gemini answer says, read from its raw JSON by a parser of the tests' own."""

import json
import re
from collections.abc import Iterable
from typing import Any

from recorded import Exchange

NOT_SERVED = {
    "models-list": "the model list is not read from upstreams",
    "googles-own-openai-compat-tool-1": "Google's OpenAI layer is the openai adapter's",
    "googles-own-openai-compat-tool-2": "Google's OpenAI layer is the openai adapter's",
}
FINISHES = {"STOP": "stop", "MAX_TOKENS": "length"}


def is_stream(exchange: Exchange) -> bool:
    return exchange.path.endswith(":streamGenerateContent") and exchange.status == 200


def raw_objects(exchange: Exchange) -> list[dict[str, Any]]:
    """The answer's objects, by a parser of the test's own."""
    text = exchange.body.decode()
    if text.lstrip().startswith("data:"):
        return [json.loads(frame[5:]) for frame in re.split(r"\r?\n\r?\n", text) if frame.strip()]
    parsed = json.loads(text)
    return parsed if isinstance(parsed, list) else [parsed]


def expected(exchange: Exchange) -> dict[str, Any]:
    """Text, reasoning, calls, pictures, usage and finish as the raw JSON has them."""
    text, reasoning, calls, pictures, native = "", "", [], [], None
    counts: dict[str, Any] = {}
    blocked = None
    for item in raw_objects(exchange):
        blocked = item.get("promptFeedback", {}).get("blockReason", blocked)
        counts.update(item.get("usageMetadata", {}))
        for candidate in item.get("candidates", []):
            native = candidate.get("finishReason", native)
            for part in candidate.get("content", {}).get("parts", []):
                if part.get("thought"):
                    reasoning += part.get("text", "")
                elif "text" in part:
                    text += part["text"]
                elif "functionCall" in part:
                    call = part["functionCall"]
                    signature = part.get("thoughtSignature")
                    calls.append((call["name"], call.get("args", {}), call.get("id"), signature))
                elif "inlineData" in part:
                    data = part["inlineData"]
                    pictures.append(f"data:{data['mimeType']};base64,{data['data']}")
    finish = "content_filter" if blocked else "tool_calls" if calls else FINISHES[native or ""]
    return {
        "text": text or None,
        "reasoning": reasoning,
        "calls": calls,
        "pictures": pictures,
        "finish": finish,
        "native": blocked or native,
        "usage": raw_usage(counts),
    }


def raw_usage(counts: dict[str, Any]) -> tuple[int, int, int, int]:
    prompt = counts.get("promptTokenCount", 0) + counts.get("toolUsePromptTokenCount", 0)
    thoughts = counts.get("thoughtsTokenCount", 0)
    output = counts.get("candidatesTokenCount", 0) + thoughts
    if counts.get("totalTokenCount", prompt + output) != prompt + output:
        output = counts["totalTokenCount"] - prompt  # a backend that counts thoughts inside the output
    return prompt, output, thoughts, counts.get("cachedContentTokenCount", 0)


def check_message(message: dict[str, Any], want: dict[str, Any]) -> None:
    assert message.get("content") == want["text"]
    assert message.get("reasoning_content", "") == want["reasoning"]
    assert [item["image_url"]["url"] for item in message.get("images", [])] == want["pictures"]
    calls = message.get("tool_calls", [])
    assert len(calls) == len(want["calls"])
    for call, (name, args, call_id, signature) in zip(calls, want["calls"], strict=True):
        assert call["function"]["name"] == name
        assert json.loads(call["function"]["arguments"]) == args
        assert call["id"] == call_id if call_id else call["id"].startswith("call_")
        assert call.get("extra_content", {}).get("google", {}).get("thought_signature") == signature
    assert len({call["id"] for call in calls}) == len(calls)


def joined_deltas(deltas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What a client's accumulator makes of the deltas of one choice."""
    message: dict[str, Any] = {"content": None, "tool_calls": [], "images": []}
    for delta in deltas:
        if delta.get("content"):
            message["content"] = (message["content"] or "") + delta["content"]
        if delta.get("reasoning_content"):
            message["reasoning_content"] = message.get("reasoning_content", "") + delta["reasoning_content"]
        for call in delta.get("tool_calls", []):
            assert call["index"] == len(message["tool_calls"]), "each call has an index of its own, counted over all"
            message["tool_calls"].append(call)
        message["images"].extend(delta.get("images", []))
    return message
