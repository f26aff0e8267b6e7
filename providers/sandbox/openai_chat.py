"""OpenAI chat completions: validation, the whole answer, the chunks of a stream."""

import time
from typing import Any

import orjson

from providers.sandbox.brain import Call, Prompt, Reply, Step, Tool, answer_to, identifier, tokens_in
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer
from providers.sandbox.faults import Fault
from providers.sandbox.gemini_models import GEMINI_MODELS
from providers.sandbox.openai_rules import check_chat
from providers.sandbox.refusals import JSON, RefusedError, openai_error

_SSE = (b"content-type", b"text/event-stream; charset=utf-8")
_DONE = b"data: [DONE]\n\n"
_PIECE = 9  # characters of tool arguments per delta: small, so that arguments really arrive in pieces
_EFFORT_TOKENS = {"none": 0, "minimal": 0, "low": 4, "medium": 8, "high": 16, "xhigh": 32, "max": 64}

Json = dict[str, Any]


def chat_answer(payload: Json, key: str, config: SandboxConfig, fault: Fault | None) -> Answer:
    """The answer to POST /v1/chat/completions. Raises RefusedError with OpenAI's body."""
    check_chat(payload, strict=config.openai_strict)
    if fault is not None and fault.name == "blocked-prompt":
        raise RefusedError(_policy_refusal())
    n = payload.get("n") or 1
    replies = [answer_to(_prompt(payload, config.seed ^ (payload.get("seed") or 0) ^ number)) for number in range(n)]
    told = _Told(payload, key, replies, fault)
    headers = (JSON, (b"x-request-id", identifier("req_", key, 32).encode()), (b"openai-processing-ms", b"3"))
    tokens = sum(reply.tokens + reply.thought_tokens for reply in replies)
    if not payload.get("stream"):
        return Answer(headers=headers, body=orjson.dumps(told.whole()), tokens=tokens, wait_s=replies[0].wait_s)
    return Answer(headers=(_SSE, *headers[1:]), frames=tuple(told.frames()), tokens=tokens, wait_s=replies[0].wait_s)


def _policy_refusal() -> Answer:
    return openai_error(
        400,
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
        code="content_policy_violation",
    )


class _Told:
    """One answer, in the shapes of the wire."""

    def __init__(self, payload: Json, key: str, replies: list[Reply], fault: Fault | None) -> None:
        self._payload = payload
        self._key = key
        self._fault = fault.name if fault else ""
        self._replies = [_spoiled(reply, fault) if fault else reply for reply in replies]
        self._head: Json = {
            "id": identifier("chatcmpl-", key, 28),
            "created": int(time.time()),
            "model": payload["model"],
            "service_tier": "default",
            "system_fingerprint": None,
        }

    def whole(self) -> Json:
        choices = [self._choice(number, reply) for number, reply in enumerate(self._replies)]
        if self._fault == "no-candidates":
            choices = []
        made: Json = {**self._head, "object": "chat.completion", "choices": choices, "usage": self._usage()}
        return _odd_usage(made, self._fault)

    def _choice(self, number: int, reply: Reply) -> Json:
        message: Json = {"role": "assistant", "content": reply.text, "refusal": None, "annotations": []}
        if reply.calls:
            message["content"] = None
            message["tool_calls"] = [self._call(number, place, call) for place, call in enumerate(reply.calls)]
        if self._fault == "unknown-fields":
            message["hologram"] = {"format": "GLTF"}
        return {"index": number, "message": message, "logprobs": None, "finish_reason": self._finish(reply)}

    def _call(self, number: int, place: int, call: Call) -> Json:
        function = {"name": call.name, "arguments": self._arguments(call)}
        return {"id": identifier("call_", f"{self._key}/{number}/{place}"), "type": "function", "function": function}

    def _arguments(self, call: Call) -> str:
        text = orjson.dumps(call.arguments).decode()
        return text[: max(1, len(text) // 2)] if self._fault == "malformed-function-call" else text

    def _finish(self, reply: Reply) -> str:
        match self._fault:
            case "safety" | "image-safety":
                return "content_filter"
            case "unknown-finish":
                return "finished_by_comet"
            case _:
                return {"calls": "tool_calls"}.get(reply.finish, reply.finish)

    def frames(self) -> list[bytes]:
        """Role, deltas, finish and (when asked) usage, then [DONE]; several choices take turns."""
        include_usage = bool((self._payload.get("stream_options") or {}).get("include_usage"))
        each = [self._deltas(number, reply) for number, reply in enumerate(self._replies)]
        if self._fault == "no-candidates":
            each = []
        ordered = [delta for turn in range(max(map(len, each), default=0)) for delta in _nth(each, turn)]
        chunk: Json = {**self._head, "object": "chat.completion.chunk"}
        if include_usage:
            chunk["usage"] = None
        frames = [b"data: " + orjson.dumps({**chunk, "choices": [delta]}) + b"\n\n" for delta in ordered]
        if include_usage and self._fault != "usage-missing":
            last = _odd_usage({**chunk, "choices": [], "usage": self._usage()}, self._fault)
            frames.append(b"data: " + orjson.dumps(last) + b"\n\n")
        return [*frames, _DONE]

    def _deltas(self, number: int, reply: Reply) -> list[Json]:
        deltas: list[Json] = [{"role": "assistant", "content": None if reply.calls else "", "refusal": None}]
        deltas += [{"content": piece} for piece in _pieces(reply.text)]
        for place, call in enumerate(reply.calls):
            deltas += self._call_deltas(number, place, call)
        if self._fault == "unknown-fields":
            deltas[0]["hologram"] = {"format": "GLTF"}
        made: list[Json] = [
            {"index": number, "delta": delta, "logprobs": None, "finish_reason": None} for delta in deltas
        ]
        if self._fault == "finish-before-text":
            made.insert(0, {"index": number, "delta": {}, "logprobs": None, "finish_reason": "stop"})
        return [*made, {"index": number, "delta": {}, "logprobs": None, "finish_reason": self._finish(reply)}]

    def _call_deltas(self, number: int, place: int, call: Call) -> list[Json]:
        """The call's head with empty arguments, then its arguments in pieces."""
        whole = self._call(number, place, call)
        text = whole["function"]["arguments"]
        head = {**whole, "index": place, "function": {"name": call.name, "arguments": ""}}
        rest = [
            {"index": place, "function": {"arguments": text[start : start + _PIECE]}}
            for start in range(0, len(text), _PIECE)
        ]
        return [{"tool_calls": [one]} for one in (head, *rest)]

    def _usage(self) -> Json:
        prompt, images = _prompt_tokens(self._payload)
        thoughts = sum(reply.thought_tokens for reply in self._replies)
        completion = sum(reply.tokens for reply in self._replies) + thoughts
        return {
            "prompt_tokens": prompt + images,
            "completion_tokens": completion,
            "total_tokens": prompt + images + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": thoughts,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def _nth(each: list[list[Json]], turn: int) -> list[Json]:
    return [deltas[turn] for deltas in each if turn < len(deltas)]


def _pieces(text: str) -> list[str]:
    words = text.split(" ") if text else []
    return [word if number == 0 else " " + word for number, word in enumerate(words) if number or word]


def _spoiled(reply: Reply, fault: Fault) -> Reply:
    match fault.name:
        case "empty-candidate" | "no-image":
            return Reply(thought_tokens=reply.thought_tokens)
        case "safety" | "image-safety":
            return Reply(thought_tokens=reply.thought_tokens)
        case "max-tokens-no-text":
            return Reply(finish="length", thought_tokens=64)
        case "other-text":
            text = fault.text("text", "no JSON")
            return Reply(text=text, finish=fault.text("finish", "stop"), tokens=tokens_in(text))
        case "malformed-function-call" if not reply.calls:
            return Reply(calls=(Call("get_weather", {"city": "Oslo"}),), finish="calls", tokens=8)
        case _:
            return reply


def _odd_usage(made: Json, fault: str) -> Json:
    if fault == "usage-missing":
        made.pop("usage", None)
    elif fault == "usage-odd":
        made["usage"] = {"prompt_tokens": -5, "completion_tokens": None, "total_tokens": "many"}
    elif fault == "unknown-fields":
        made["brand_new_field"] = {"deep": [1, 2, 3]}
    return made


def _prompt(payload: Json, seed: int) -> Prompt:
    messages: list[Json] = payload["messages"]
    choice = payload.get("tool_choice") or "auto"
    shape = payload.get("response_format") or {}
    stop = payload.get("stop") or ()
    effort = payload.get("reasoning_effort") or "none"
    return Prompt(
        model=payload["model"],
        text=_last_user_text(messages),
        begun=text_of(messages[-1]) if messages[-1]["role"] == "assistant" and _takes_prefill(payload["model"]) else "",
        before=_before(messages),
        system="\n".join(text_of(one) for one in messages if one["role"] in ("system", "developer")),
        turns=sum(1 for one in messages if one["role"] not in ("system", "developer")),
        images=sum(1 for one in messages for part in _parts(one) if part.get("type") == "image_url"),
        steps=_steps(messages),
        tools=_tools(payload),
        mode=_mode(choice),
        allowed=_allowed(choice),
        parallel=payload.get("parallel_tool_calls") is not False,
        schema=(shape.get("json_schema") or {}).get("schema"),
        json_object=shape.get("type") == "json_object",
        max_tokens=payload.get("max_completion_tokens") or payload.get("max_tokens"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        thinking=_EFFORT_TOKENS.get(effort, 0),
        seed=seed ^ (payload.get("seed") or 0),
    )


def _tools(payload: Json) -> tuple[Tool, ...]:
    functions = [one["function"] for one in payload.get("tools") or () if one.get("type") == "function"]
    return tuple(Tool(one["name"], one.get("parameters")) for one in functions)


def _mode(choice: Any) -> str:
    if isinstance(choice, str):
        return {"required": "any"}.get(choice, choice)
    if choice.get("type") == "allowed_tools":
        return "any" if choice["allowed_tools"].get("mode") == "required" else "auto"
    return "any"


def _allowed(choice: Any) -> frozenset[str]:
    if isinstance(choice, str):
        return frozenset()
    if choice.get("type") == "allowed_tools":
        return frozenset(one["function"]["name"] for one in choice["allowed_tools"].get("tools") or ())
    return frozenset({choice["function"]["name"]})


def _steps(messages: list[Json]) -> tuple[Step, ...]:
    """The tool messages of every step since the user last spoke."""
    names = {call["id"]: call["function"]["name"] for one in messages for call in one.get("tool_calls") or ()}
    steps: list[list[tuple[str, str]]] = []
    following = ""
    for message in reversed(messages):
        if message["role"] == "user":
            break
        if message["role"] == "tool":
            if following != "tool":
                steps.append([])
            steps[-1].append((names.get(message.get("tool_call_id"), "tool"), text_of(message)))
        following = message["role"]
    return tuple(tuple(reversed(step)) for step in reversed(steps))


def _parts(message: Json) -> list[Json]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def text_of(message: Json) -> str:
    """The text of a message, parts joined by newlines."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in _parts(message) if part.get("type") == "text")


def _last_user_text(messages: list[Json]) -> str:
    return next((text_of(one) for one in reversed(messages) if one["role"] == "user"), "")


def _takes_prefill(model: str) -> bool:
    """OpenAI's own models answer anew; Gemini behind this wire goes on where it does on its own."""
    gemini = GEMINI_MODELS.get(model)
    return gemini is not None and gemini.prefill


def _before(messages: list[Json]) -> tuple[str, str]:
    """The user turn before the last, and what the model said to it."""
    if len(messages) < 3 or [one["role"] for one in messages[-2:]] != ["assistant", "user"]:
        return "", ""
    return _last_user_text(messages[:-2]), text_of(messages[-2])


def _prompt_tokens(payload: Json) -> tuple[int, int]:
    """Tokens of the text (tools included) and of the pictures in a request."""
    texts = sum(tokens_in(text_of(one)) for one in payload["messages"])
    calls = [one["tool_calls"] for one in payload["messages"] if one.get("tool_calls")]
    extra = [value for value in (payload.get("tools"), calls or None) if value]
    images = sum(1 for one in payload["messages"] for part in _parts(one) if part.get("type") == "image_url")
    return texts + sum(len(orjson.dumps(value)) // 4 for value in extra), images * 255
