"""Every recorded Gemini answer, translated, and checked against its raw JSON, which the test reads itself."""

import json
import re
from typing import Any

import pytest
from recorded import ABSENT, Exchange, load, names, present

from providers.errors import AuthenticationError, BadRequestError, ModelNotFoundError, ProviderError
from providers.gemini.failures import error_from
from providers.gemini.response import from_generate_content
from providers.gemini.stream import ChunkTranslator
from providers.gemini.translated import Reading
from providers.sse import EventDecoder
from providers.types import ChatChunk, Usage

pytestmark = pytest.mark.skipif(not present(), reason=ABSENT)

NOT_SERVED = {
    "embed-batch": "embeddings are not served",
    "models-list": "the model list is not read from upstreams",
    "googles-own-openai-compat-tool-1": "Google's OpenAI layer is the openai adapter's",
    "googles-own-openai-compat-tool-2": "Google's OpenAI layer is the openai adapter's",
}
ERRORS = {
    "error-400-api-key-on-stream": AuthenticationError,
    "error-400-invalid-role-vertex": BadRequestError,
    "error-404-embed": ModelNotFoundError,
    "error-404-model-retired": ModelNotFoundError,
    "error-404-model-vertex": ModelNotFoundError,
}
FINISHES = {"STOP": "stop", "MAX_TOKENS": "length"}
ALL = names("gemini")


def exchange_or_skip(name: str) -> Exchange:
    if name in NOT_SERVED:
        pytest.skip(NOT_SERVED[name])
    return load("gemini", name)


def is_stream(exchange: Exchange) -> bool:
    return exchange.path.endswith(":streamGenerateContent") and exchange.status == 200


def minter() -> Any:
    count = iter(range(1000))
    return lambda: f"call_{next(count)}"


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


def seen_usage(usage: Usage) -> tuple[int, int, int, int]:
    return usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens, usage.cached_tokens


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


def translate(body: bytes, cuts: list[int]) -> tuple[list[ChatChunk], str | None]:
    decoder, translator = EventDecoder(), ChunkTranslator(Reading(), minter())
    chunks: list[ChatChunk] = []
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        for event in decoder.feed(body[start:end]):
            chunks.extend(translator.feed(event))
    for event in decoder.finish():
        chunks.extend(translator.feed(event))
    chunks.extend(translator.finish())
    return chunks, translator.model


def joined_by_client(chunks: list[ChatChunk]) -> dict[str, Any]:
    """What a client's accumulator makes of the deltas."""
    message: dict[str, Any] = {"content": None, "tool_calls": [], "images": []}
    for chunk in chunks:
        delta: dict[str, Any] = dict(chunk.delta)
        if delta.get("content"):
            message["content"] = (message["content"] or "") + delta["content"]
        if delta.get("reasoning_content"):
            message["reasoning_content"] = message.get("reasoning_content", "") + delta["reasoning_content"]
        for call in delta.get("tool_calls", []):
            assert call["index"] == len(message["tool_calls"]), "each call has an index of its own, counted over all"
            message["tool_calls"].append(call)
        message["images"].extend(delta.get("images", []))
    return message


def test_there_is_recorded_traffic_of_every_kind() -> None:
    found = [load("gemini", name) for name in ALL]
    assert sum(is_stream(item) for item in found) >= 15
    assert sum(item.status >= 400 for item in found) == len(ERRORS)
    assert len(found) >= 60


@pytest.mark.parametrize("name", [name for name in ALL if name in ERRORS])
def test_a_recorded_error_is_classified_and_shows_nothing_of_the_account(name: str) -> None:
    exchange = load("gemini", name)
    error = error_from(exchange.status, exchange.headers, exchange.body)
    assert type(error) is ERRORS[name]
    assert error.status == exchange.status
    for secret in ("projects/", "googleapis", "fake-project", "http"):
        assert secret not in error.message


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_a_recorded_answer_says_what_its_raw_json_says(name: str) -> None:
    exchange = exchange_or_skip(name)
    want = expected(exchange)
    if is_stream(exchange):
        chunks, model = translate(exchange.body, [])
        finishes = [chunk for chunk in chunks if chunk.finish_reason is not None]
        assert [chunk.finish_reason for chunk in finishes] == [want["finish"]]
        assert finishes[0] is chunks[-1]
        assert finishes[0].native_finish_reason == want["native"]
        check_message(joined_by_client(chunks), want)
        assert chunks[-1].usage is not None
        assert seen_usage(chunks[-1].usage) == want["usage"]
        assert model == raw_objects(exchange)[0]["modelVersion"]
        return
    response = from_generate_content(exchange.body, model="asked", mint=minter())
    raw = raw_objects(exchange)[0]
    assert response.model == raw["modelVersion"]
    if "responseId" in raw:
        assert response.id == f"chatcmpl-{raw['responseId']}"
    choice: dict[str, Any] = dict(response.choices[0])
    assert len(response.choices) == 1
    assert choice["finish_reason"] == want["finish"]
    assert choice["native_finish_reason"] == want["native"]
    check_message(choice["message"], want)
    assert seen_usage(response.usage) == want["usage"]


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_a_recorded_stream_reads_the_same_however_the_network_cuts_it(name: str) -> None:
    exchange = exchange_or_skip(name)
    if not is_stream(exchange):
        return
    body = exchange.body
    whole = translate(body, [])
    assert translate(body, list(range(1, len(body)))) == whole, "byte by byte"
    for cut in {1, 5, 6, len(body) // 3, len(body) // 2, len(body) - 5, len(body) - 3, len(body) - 2, len(body) - 1}:
        assert translate(body, [cut]) == whole, f"cut at {cut}"
    assert translate(body.replace(b"\r\n", b"\n"), []) == whole, "line feeds only"
    assert translate(body.rstrip(), []) == whole, "without the last blank line"


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_a_recorded_stream_cut_short_is_never_taken_for_whole(name: str) -> None:
    exchange = exchange_or_skip(name)
    if not is_stream(exchange):
        return
    body = exchange.body
    last = body.rindex(b'"finishReason"')
    with pytest.raises(ProviderError) as caught:
        translate(body[:last], [])
    assert caught.value.outcome == "stream_truncated"
