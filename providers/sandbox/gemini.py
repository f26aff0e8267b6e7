"""The Gemini Developer API's native wire: generateContent, streamGenerateContent, countTokens, embeddings, models."""

import base64
import re
from collections.abc import Mapping
from typing import Any

import orjson

from providers.sandbox import gemini_caches, pictures
from providers.sandbox.brain import Prompt, Reply, Step, Tool, answer_to, identifier
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.gemini_answer import Told, chunks_of, merged, spoiled
from providers.sandbox.gemini_embeddings import EMBEDDING_MODELS, embed_batch, embed_one
from providers.sandbox.gemini_fields import COUNT, GENERATE, read, refuse
from providers.sandbox.gemini_listing import listing
from providers.sandbox.gemini_models import GEMINI_MODELS, IMAGE_TOKENS, LEVEL_TOKENS, GeminiModel, pixels
from providers.sandbox.gemini_rules import check_request
from providers.sandbox.gemini_turns import check_part, check_turns
from providers.sandbox.refusals import (
    GEMINI_JSON,
    RefusedError,
    gemini_bad_key,
    gemini_error,
    html_page,
)
from providers.sandbox.speech import RATE, speak

_PATH = re.compile(r"/v1(?:beta|alpha)?/models(?:/([^/:]+)(?::(\w+))?)?/?\Z")
_VERBS = {
    "generateContent": "generate",
    "streamGenerateContent": "stream",
    "countTokens": "count",
    "embedContent": "embed",
    "batchEmbedContents": "embed",
}
_QUERY = frozenset({b"alt", b"$alt", b"pageSize", b"pageToken", b""})
_TIER = b"x-gemini-service-tier"
_TIERS = frozenset({"standard", "flex", "priority"})

Json = Mapping[str, Any]


class Gemini:
    """The dialect for one sandbox."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config

    def route(self, incoming: Incoming) -> Route:
        return route(incoming, self._config)

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        return answer(incoming, route, self._config, fault)


def route(incoming: Incoming, config: SandboxConfig) -> Route:
    """Raises RefusedError for a URL that is not Gemini's."""
    if (cache := gemini_caches.PATH.match(incoming.path)) is not None:
        return Route(operation="cache", payload=cache[1])
    match = _PATH.match(incoming.path)
    if match is None:
        raise RefusedError(html_page(404))
    name, verb = match[1] or "", match[2]
    if verb is None:
        return Route(operation="models", model=name)
    if verb not in _VERBS or incoming.method != "POST":
        raise _not_found(name, verb)
    model = _known(name, config)
    return Route(operation=_VERBS[verb], model=name, slow=model is not None and model.image)


def answer(incoming: Incoming, route: Route, config: SandboxConfig, fault: Fault | None) -> Answer:
    """The answer to a routed request; `fault` is a content fault or None. Raises RefusedError."""
    _authenticate(incoming, config)
    streamed_array = False
    for pair in incoming.query.split(b"&"):
        key, _, value = pair.partition(b"=")
        if key == b"key":
            # the keys issued since 2026 are not found there, whatever they are
            raise RefusedError(gemini_error(404))
        if key not in _QUERY:
            raise refuse(
                f'Invalid JSON payload received. Unknown name "{key.decode("latin-1")}": Cannot bind query parameter.'
            )
        streamed_array = streamed_array or (key in (b"alt", b"$alt") and value != b"sse")
    if route.operation == "models":
        models = {name: model for name in config.gemini_models if (model := _known(name, config)) is not None}
        return listing(route.model, {**GEMINI_MODELS, **models})
    if route.operation == "cache":
        return _cache(incoming, route.payload, config)
    if route.operation == "embed":
        return _embeddings(incoming, route.model, fault)
    model = _known(route.model, config)
    if model is None:
        raise _not_found(route.model, "generateContent")
    request = _decoded(incoming.body)
    if route.operation == "count":
        return _count(request, model)
    told = _told(read(request, GENERATE), model, route.model, incoming, config.seed, fault)
    if route.operation == "stream":
        return _streamed(told, fault, as_events=b"alt=sse" in incoming.query and not streamed_array)
    whole = spoiled([merged(told)], fault, told)[0]
    return Answer(
        headers=(GEMINI_JSON, (_TIER, told.tier.encode())),
        body=orjson.dumps(whole),
        tokens=told.reply.tokens + told.reply.thought_tokens,
        wait_s=told.reply.wait_s,
        image=told.medium is not None,
    )


def _embeddings(incoming: Incoming, name: str, fault: Fault | None) -> Answer:
    model = EMBEDDING_MODELS.get(name)
    if model is None:
        raise _not_found(name, "embedContent")
    embed = embed_batch if incoming.path.endswith(":batchEmbedContents") else embed_one
    return embed(_decoded(incoming.body), model, fault)


def _cache(incoming: Incoming, name: str, config: SandboxConfig) -> Answer:
    """A cache is made, or looked at."""
    key = incoming.header(b"x-goog-api-key")
    if incoming.method == "GET":
        return gemini_caches.shown(name, GEMINI_MODELS, key)
    if incoming.method != "POST" or "/" in name:
        raise RefusedError(html_page(404))
    request = gemini_caches.read_creation(_decoded(incoming.body))
    model = _known(request["model"].removeprefix("models/"), config)
    if model is None:
        raise _not_found(request["model"].removeprefix("models/"), "createCachedContent")
    return gemini_caches.created(request, model, sum(_prompt_tokens(request, model).values()), key)


def _streamed(told: Told, fault: Fault | None, *, as_events: bool) -> Answer:
    chunks = [orjson.dumps(chunk) for chunk in spoiled(chunks_of(told), fault, told)]
    if as_events:
        frames = [b"data: " + chunk + b"\r\n\r\n" for chunk in chunks]
        kind = b"text/event-stream"
    else:
        frames = [(b",\r\n" if number else b"[") + chunk for number, chunk in enumerate(chunks)] + [b"\n]\n"]
        kind = GEMINI_JSON[1]
    return Answer(
        headers=((b"content-type", kind), (_TIER, told.tier.encode())),
        frames=tuple(frames),
        tokens=told.reply.tokens + told.reply.thought_tokens,
        wait_s=told.reply.wait_s,
        image=told.medium is not None,
    )


def _authenticate(incoming: Incoming, config: SandboxConfig) -> None:
    key = incoming.header(b"x-goog-api-key")
    if not key:
        raise RefusedError(
            gemini_error(
                403,
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key "
                "or other form of API consumer identity to call this API.",
            )
        )
    if (config.api_keys and key not in config.api_keys) or key.startswith("invalid"):
        raise RefusedError(gemini_bad_key())
    if key.startswith("leaked"):
        raise RefusedError(gemini_error(403, "Your API key was reported as leaked. Please use another API key."))


def _known(name: str, config: SandboxConfig) -> GeminiModel | None:
    return GEMINI_MODELS.get(config.gemini_models.get(name, name))


def _not_found(name: str, verb: str) -> RefusedError:
    return RefusedError(
        gemini_error(
            404,
            f"models/{name} is not found for API version v1beta, or is not supported for {verb}. Call ListModels to "
            "see the list of available models and their supported methods.",
        )
    )


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as exc:
        raise refuse(f"Invalid JSON payload received. {str(exc).capitalize()}.") from exc


def _told(request: Json, model: GeminiModel, name: str, incoming: Incoming, seed: int, fault: Fault | None) -> Told:
    """Check the request, let the model answer it, and count its tokens."""
    check_turns(request.get("contents") or [], model)
    for number, part in enumerate((request.get("systemInstruction") or {}).get("parts") or []):
        check_part(part, f"system_instruction.parts[{number}]", model)
    check_request(request, model)
    prompt = _prompt(request, model, name, seed)
    counts = _prompt_tokens(request, model)
    cached = 0
    if "cachedContent" in request:
        cached = gemini_caches.tokens_of(request["cachedContent"], model, incoming.header(b"x-goog-api-key"))
        counts["TEXT"] += cached
    if sum(counts.values()) > model.window:
        raise refuse(
            f"The input token count ({sum(counts.values())}) exceeds the maximum number of tokens allowed "
            f"({model.window})."
        )
    config: Json = request.get("generationConfig") or {}
    draws = model.image and "IMAGE" in (config.get("responseModalities") or ["TEXT", "IMAGE"])
    medium = None
    if draws:
        medium, prompt_reply = _picture(request, model, prompt, fault)
    elif model.speech:
        medium, prompt_reply = _speech(prompt)
    else:
        prompt_reply = answer_to(prompt)
    return Told(
        model=model,
        name=name,
        response_id=identifier("", incoming.key, 22),
        reply=prompt_reply,
        medium=medium,
        prompt_counts=counts,
        cached=cached,
        include_thoughts=bool((config.get("thinkingConfig") or {}).get("includeThoughts")),
        candidates=config.get("candidateCount", 1),
        searched=any("googleSearch" in tool for tool in request.get("tools") or ()),
        tier=_tier(request),
    )


def _tier(request: Json) -> str:
    tier = str(request.get("serviceTier") or "standard").lower()
    if tier not in _TIERS:
        raise refuse(f"Invalid value at 'service_tier' (type.googleapis.com/google.ai.ServiceTier), \"{tier}\"")
    return tier


def _picture(request: Json, model: GeminiModel, prompt: Prompt, fault: Fault | None) -> tuple[dict[str, Any], Reply]:
    """The inlineData of a drawn picture, and the words that come with it."""
    config: Json = request.get("generationConfig") or {}
    wanted: Json = config.get("imageConfig") or {}
    size = wanted.get("imageSize", "1K")
    width, height = pixels(model, wanted.get("aspectRatio", "1:1"), size)
    data = pictures.draw(prompt.text, width, height, black=fault is not None and fault.name == "black-image")
    tokens = IMAGE_TOKENS[size] if model.family > 2 else 1290
    words = "" if config.get("responseModalities") == ["IMAGE"] else "Here is your picture from the sandbox."
    reply = Reply(
        text=words,
        tokens=tokens + (len(words) + 3) // 4,
        thought_tokens=prompt.thinking,
        wait_s=answer_to(prompt).wait_s,
    )
    picture = {"mimeType": "image/png", "data": base64.b64encode(data).decode(), "tokens": tokens, "modality": "IMAGE"}
    return picture, reply


def _speech(prompt: Prompt) -> tuple[dict[str, Any], Reply]:
    """The inlineData of the prompt read aloud."""
    samples, tokens = speak(prompt.text)
    data = base64.b64encode(samples).decode()
    spoken = {"mimeType": f"audio/L16;codec=pcm;rate={RATE}", "data": data, "tokens": tokens, "modality": "AUDIO"}
    return spoken, Reply(text="", tokens=tokens, thought_tokens=0, wait_s=answer_to(prompt).wait_s)


def _prompt(request: Json, model: GeminiModel, name: str, seed: int) -> Prompt:
    contents: list[Json] = request["contents"]
    config: Json = request.get("generationConfig") or {}
    calling: Json = (request.get("toolConfig") or {}).get("functionCallingConfig") or {}
    return Prompt(
        model=name,
        text=_last_user_text(contents),
        begun="".join(part.get("text", "") for part in contents[-1]["parts"]) if _is_models(contents[-1]) else "",
        before=_before(contents),
        system=_text_of(request.get("systemInstruction") or {}),
        turns=len(contents),
        images=sum(bool({"inlineData", "fileData"} & part.keys()) for content in contents for part in content["parts"]),
        steps=_steps(contents),
        tools=tuple(
            Tool(one["name"], one.get("parametersJsonSchema") or one.get("parameters"))
            for tool in request.get("tools") or ()
            for one in tool.get("functionDeclarations") or ()
        ),
        mode=str(calling.get("mode", "AUTO")).lower(),
        allowed=frozenset(calling.get("allowedFunctionNames") or ()),
        schema=config.get("responseJsonSchema") or config.get("responseSchema"),
        json_object=config.get("responseMimeType") == "application/json",
        max_tokens=config.get("maxOutputTokens"),
        stop=tuple(config.get("stopSequences") or ()),
        thinking=_thinking_tokens(config.get("thinkingConfig") or {}, model),
        seed=seed ^ (config.get("seed") or 0),
    )


def _steps(contents: list[Json]) -> tuple[Step, ...]:
    """The function responses of every step since the user last spoke."""
    steps: list[Step] = []
    for content in reversed(contents):
        responses = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        if responses:
            steps.append(tuple((one["name"], orjson.dumps(one["response"]).decode()) for one in responses))
        elif content.get("role", "user") == "user":
            break
    return tuple(reversed(steps))


def _thinking_tokens(thinking: Json, model: GeminiModel) -> int:
    if "thinkingLevel" in thinking:
        return LEVEL_TOKENS[thinking["thinkingLevel"]]
    budget = thinking.get("thinkingBudget", -1)
    if budget == -1:
        return model.thinking
    return min(int(budget), max(model.thinking, 8))


def _last_user_text(contents: list[Json]) -> str:
    for content in reversed(contents):
        if content.get("role", "user") == "user" and (text := _text_of(content)):
            return text
    return ""


def _is_models(content: Json) -> bool:
    return content.get("role") == "model"


def _before(contents: list[Json]) -> tuple[str, str]:
    """The user turn before the last, and what the model said to it."""
    if len(contents) < 3 or _is_models(contents[-1]) or not _is_models(contents[-2]):
        return "", ""
    return _last_user_text(contents[:-2]), _text_of(contents[-2])


def _text_of(content: Json) -> str:
    return "\n".join(part["text"] for part in content.get("parts") or () if part.get("text"))


def _prompt_tokens(request: Json, model: GeminiModel) -> dict[str, int]:
    """Prompt tokens by modality: text at four bytes each, a picture at its family's price, tools as their JSON."""
    text = _text_of(request.get("systemInstruction") or {})
    size = len(text.encode())
    images = 0
    for content in request.get("contents") or ():
        for part in content["parts"]:
            if "text" in part:
                size += len(part["text"].encode())
            elif "inlineData" in part or "fileData" in part:
                images += 1
            else:
                size += len(orjson.dumps(part))
    if request.get("tools"):
        size += len(orjson.dumps(request["tools"]))
    counts = {"TEXT": (size + 3) // 4}
    if images:
        counts["IMAGE"] = images * (1120 if model.family >= 3 else 258)
    return counts


def _count(body: Any, model: GeminiModel) -> Answer:
    request = read(body, COUNT)
    inner = request.get("generateContentRequest")
    if inner is not None and "contents" in request:
        raise refuse("Only one of contents and generate_content_request may be set.")
    if inner is not None and not inner.get("model"):
        raise refuse("* CountTokensRequest.generate_content_request.model: model is required.\n")
    counted = inner if inner is not None else request
    check_turns(counted.get("contents") or [], model)
    counts = _prompt_tokens(counted, model)
    details = [{"modality": key, "tokenCount": value} for key, value in counts.items()]
    made = {"totalTokens": sum(counts.values()), "promptTokensDetails": details}
    return Answer(headers=(GEMINI_JSON,), body=orjson.dumps(made))
