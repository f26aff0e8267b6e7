"""Gemini's answers: one told story as a whole body or as stream chunks, and the ways its content can be spoiled."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from providers.sandbox.brain import Reply, identifier
from providers.sandbox.faults import Fault
from providers.sandbox.gemini_models import GeminiModel
from providers.sandbox.gemini_turns import signature_for

_FINISH = {"stop": "STOP", "calls": "STOP", "length": "MAX_TOKENS"}
_SEARCH_TOKENS = 12

Chunk = dict[str, Any]


class Told(Struct, frozen=True, kw_only=True):
    """Everything an answer is made of. `medium` is inlineData plus its `tokens` and their `modality`; counts are tokens
    by modality, `cached` those of them that a named cache holds, `tier` is the service tier that serves.
    """

    model: GeminiModel
    name: str
    response_id: str
    reply: Reply
    medium: dict[str, Any] | None
    prompt_counts: Mapping[str, int]
    cached: int = 0
    include_thoughts: bool
    candidates: int
    searched: bool
    tier: str = "standard"


def merged(told: Told) -> Chunk:
    """The whole answer of generateContent."""
    parts = _thought_parts(told)
    if told.reply.text:
        parts.append({"text": told.reply.text})
    parts += _call_parts(told) + _medium_parts(told)
    if told.model.family >= 3 and parts and set(parts[-1]) == {"text"}:
        parts[-1]["thoughtSignature"] = signature_for(told.model, {})
    content: Chunk = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    candidate = {"content": content, "finishReason": _FINISH[told.reply.finish], **_grounding(told)}
    candidates = [{**candidate, "index": number} for number in range(told.candidates)]
    return _chunk(told, candidates, told.reply.tokens * told.candidates)


def chunks_of(told: Told) -> list[Chunk]:
    """The answer of streamGenerateContent: thoughts, text word by word, calls one by one, then an empty last part.

    Usage is cumulative and on every chunk; before the first visible token it has no candidatesTokenCount.
    """
    chunks = [_chunk(told, [_candidate([part])], 0) for part in _thought_parts(told)]
    chunks += _text_chunks(told)
    whole_parts = _call_parts(told) + _medium_parts(told)
    chunks += [_chunk(told, [_candidate([part])], told.reply.tokens) for part in whole_parts]
    last: Chunk = {"text": ""}
    if told.model.family >= 3 and not told.reply.calls and told.medium is None:
        last["thoughtSignature"] = signature_for(told.model, {})
    empty = told.reply.finish == "length" and not told.reply.text
    candidate = _candidate([] if empty else [last])
    candidate["finishReason"] = _FINISH[told.reply.finish]
    candidate.update(_grounding(told))
    chunks.append(_chunk(told, [candidate], told.reply.tokens))
    return chunks


def _text_chunks(told: Told) -> list[Chunk]:
    """One chunk per word. Built by hand from what they share: benchmarks live on this path."""
    usage = _usage(told, 1)
    before = usage["totalTokenCount"] - 1
    tail = {"modelVersion": told.model.name, "responseId": told.response_id}
    chunks: list[Chunk] = []
    sent = 0
    for piece in _pieces(told.reply.text):
        sent += len(piece.encode())
        tokens = min((sent + 3) // 4, told.reply.tokens)
        counted = usage.copy()
        counted["candidatesTokenCount"] = tokens
        counted["totalTokenCount"] = before + tokens
        candidate = {"content": {"parts": [{"text": piece}], "role": "model"}, "index": 0}
        chunks.append({"candidates": [candidate], "usageMetadata": counted, **tail})
    return chunks


def _pieces(text: str) -> list[str]:
    """Words with the blank before them: as models stream, and joined again they are the text."""
    words = text.split(" ")
    return [word if number == 0 else " " + word for number, word in enumerate(words) if number or word]


def _candidate(parts: list[Chunk]) -> Chunk:
    return {"content": {"parts": parts, "role": "model"} if parts else {"role": "model"}, "index": 0}


def _chunk(told: Told, candidates: list[Chunk], tokens: int) -> Chunk:
    return {
        "candidates": candidates,
        "usageMetadata": _usage(told, tokens),
        "modelVersion": told.model.name,
        "responseId": told.response_id,
    }


def _usage(told: Told, tokens: int) -> Chunk:
    prompt = sum(told.prompt_counts.values())
    thoughts = told.reply.thought_tokens
    searched = _SEARCH_TOKENS if told.searched else 0
    usage: Chunk = {"promptTokenCount": prompt}
    if tokens:
        usage["candidatesTokenCount"] = tokens
    usage["totalTokenCount"] = prompt + tokens + thoughts + searched
    usage["promptTokensDetails"] = [
        {"modality": modality, "tokenCount": count} for modality, count in told.prompt_counts.items()
    ]
    if told.cached:
        usage["cachedContentTokenCount"] = told.cached
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": told.cached}]
    if told.medium is not None and tokens >= told.medium["tokens"]:
        usage["candidatesTokensDetails"] = [{"modality": told.medium["modality"], "tokenCount": told.medium["tokens"]}]
    if searched:
        usage["toolUsePromptTokenCount"] = searched
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    usage["serviceTier"] = told.tier
    return usage


def _thought_parts(told: Told) -> list[Chunk]:
    shown = told.include_thoughts and told.reply.thoughts
    return [{"text": told.reply.thoughts, "thought": True}] if shown else []


def _call_parts(told: Told) -> list[Chunk]:
    parts: list[Chunk] = []
    for number, call in enumerate(told.reply.calls):
        made: Chunk = {"name": call.name}
        if call.arguments:  # protobuf leaves an empty object out
            made["args"] = call.arguments
        if told.model.call_ids:
            made["id"] = identifier("", f"{told.response_id}/{number}", 8)
        part: Chunk = {"functionCall": made}
        if number == 0 and told.model.family >= 3:
            part["thoughtSignature"] = signature_for(told.model, part)
        parts.append(part)
    return parts


def _medium_parts(told: Told) -> list[Chunk]:
    if told.medium is None:
        return []
    part: Chunk = {"inlineData": {key: told.medium[key] for key in ("mimeType", "data")}}
    if told.model.family >= 3 and told.model.image:
        part["thoughtSignature"] = signature_for(told.model, part)
    return [part]


def _grounding(told: Told) -> Chunk:
    if not told.searched or not told.reply.text:
        return {}
    length = len(told.reply.text.encode())
    return {
        "groundingMetadata": {
            "webSearchQueries": ["sandbox"],
            "searchEntryPoint": {"renderedContent": "<div>sandbox</div>"},
            "groundingChunks": [{"web": {"uri": "https://example.com/sandbox", "title": "example.com"}}],
            "groundingSupports": [
                {"segment": {"endIndex": length, "text": told.reply.text}, "groundingChunkIndices": [0]}
            ],
        }
    }


def spoiled(chunks: list[Chunk], fault: Fault | None, told: Told) -> list[Chunk]:
    """The chunks (or the one whole body) as a content fault leaves them."""
    if fault is None:
        return chunks
    if fault.name in _ENDINGS:
        return [_ending(fault, told)]
    match fault.name:
        case "no-candidates":
            return [{key: value for key, value in chunks[-1].items() if key != "candidates"}]
        case "blocked-prompt":
            return [_blocked(told, fault.text("reason", "PROHIBITED_CONTENT"))]
        case "other-text":
            candidate = _candidate([{"text": fault.text("text", "no JSON")}])
            candidate["finishReason"] = _FINISH[fault.text("finish", "stop")]
            return [_chunk(told, [candidate], told.reply.tokens)]
        case "finish-before-text":
            early = _chunk(told, [{"content": {"role": "model"}, "finishReason": "STOP", "index": 0}], 0)
            return [early, *chunks] if len(chunks) > 1 else chunks
        case "unknown-finish":
            chunks[-1]["candidates"][0]["finishReason"] = "FINISHED_BY_COMET"
        case "usage-missing":
            for chunk in chunks:
                del chunk["usageMetadata"]
        case "usage-odd":
            for chunk in chunks:
                chunk["usageMetadata"] = {
                    "promptTokenCount": -5,
                    "candidatesTokenCount": None,
                    "totalTokenCount": "many",
                    "thoughtsTokenCount": 10**15,
                }
        case "unknown-fields":
            _decorate(chunks)
        case "bad-image":
            _replace_pictures(chunks)
    return chunks


_ENDINGS: dict[str, tuple[str, str]] = {  # fault -> finishReason, finishMessage
    "empty-candidate": ("STOP", ""),
    "safety": ("SAFETY", ""),
    "malformed-function-call": (
        "MALFORMED_FUNCTION_CALL",
        "Malformed function call: print(default_api.get_weather(city='Oslo'",
    ),
    "max-tokens-no-text": ("MAX_TOKENS", ""),
    "no-image": ("NO_IMAGE", "Unable to show the generated image."),
    "image-safety": (
        "IMAGE_SAFETY",
        "Unable to show the generated image. The image was filtered out because it violated the policy.",
    ),
}


def _ending(fault: Fault, told: Told) -> Chunk:
    reason, message = _ENDINGS[fault.name]
    candidate: Chunk = {"content": {"role": "model"}, "finishReason": reason, "index": 0}
    if message:
        candidate["finishMessage"] = message
    if fault.name == "safety":
        candidate["safetyRatings"] = [
            {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
        ]
    chunk = _chunk(told, [candidate], 0)
    if fault.name == "max-tokens-no-text":
        prompt = chunk["usageMetadata"]["promptTokenCount"]
        chunk["usageMetadata"].update(thoughtsTokenCount=64, totalTokenCount=prompt + 64)
    return chunk


def _blocked(told: Told, reason: str) -> Chunk:
    prompt = sum(told.prompt_counts.values())
    return {
        "promptFeedback": {"blockReason": reason},
        "usageMetadata": {"promptTokenCount": prompt, "totalTokenCount": prompt},
        "modelVersion": told.model.name,
        "responseId": told.response_id,
    }


def _decorate(chunks: list[Chunk]) -> None:
    for chunk in chunks:
        chunk["brandNewField"] = {"deep": [1, 2, 3]}
        chunk["usageMetadata"]["trafficType"] = "ON_DEMAND"
        candidate = chunk["candidates"][0]
        candidate["safetyRatings"] = None
        candidate["avgLogprobs"] = -0.1
        candidate["novelScore"] = "high"
        if "parts" in candidate["content"]:
            candidate["content"]["parts"].append({"hologram": {"format": "GLTF"}})


def _replace_pictures(chunks: list[Chunk]) -> None:
    for chunk in chunks:
        for part in chunk["candidates"][0]["content"].get("parts", ()):
            if "inlineData" in part:
                part["inlineData"] = {"mimeType": "image/png", "data": "bm90IGEgcGljdHVyZQ=="}
