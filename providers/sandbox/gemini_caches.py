"""Gemini's cachedContents: prompts kept upstream, created once and named by later requests.

The name says how many tokens the cache holds and whose it is, so that nothing has to be remembered: a cache belongs to
one key and one model, as the real one belongs to a project and a model.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from providers.sandbox.exchange import Answer
from providers.sandbox.gemini_fields import CONTENT, GENERATE, Spec, read, refuse
from providers.sandbox.gemini_models import GeminiModel
from providers.sandbox.refusals import GEMINI_JSON, RefusedError, gemini_error

PATH = re.compile(r"/v1(?:beta|alpha)?/(cachedContents(?:/[^/:]+)?)/?\Z")
CREATE: dict[str, Spec] = {
    "model": "str",
    "displayName": "str",
    "contents": [CONTENT],
    "systemInstruction": CONTENT,
    "tools": GENERATE["tools"],
    "toolConfig": GENERATE["toolConfig"],
    "ttl": "str",
    "expireTime": "str",
}
_NAME = re.compile(r"cachedContents/([1-9]\d{0,6})-([0-9a-f]{16})\Z")
_USUAL_TTL_S = 3600.0

Json = Mapping[str, Any]


def read_creation(body: Any) -> Json:
    """The request of a creation. Raises RefusedError for what Google does not take."""
    request: Json = read(body, CREATE)
    if not str(request.get("model", "")).startswith("models/"):
        raise refuse("* CreateCachedContentRequest.cached_content.model: unexpected model name format\n")
    if not request.get("contents") and "systemInstruction" not in request:
        raise refuse("* CreateCachedContentRequest.cached_content.contents: contents is not specified\n")
    return request


def created(request: Json, model: GeminiModel, tokens: int, key: str) -> Answer:
    """The answer to a creation: the new cache of `tokens` tokens."""
    return _described(f"cachedContents/{tokens}-{_owner(model, key)}", model, tokens, _ttl_s(request))


def shown(name: str, models: Mapping[str, GeminiModel], key: str) -> Answer:
    """One cache. Raises RefusedError for one that this key does not own."""
    for model in models.values():
        tokens = _tokens(name, model, key)
        if tokens is not None:
            return _described(name, model, tokens, _USUAL_TTL_S)
    raise not_held()


def tokens_of(name: str, model: GeminiModel, key: str) -> int:
    """How many tokens a cache holds. Raises RefusedError (403) for another key's, another model's or an unknown one."""
    tokens = _tokens(name, model, key)
    if tokens is None:
        raise not_held()
    return tokens


def not_held() -> RefusedError:
    return RefusedError(gemini_error(403, "CachedContent not found (or permission denied)"))


def _tokens(name: str, model: GeminiModel, key: str) -> int | None:
    match = _NAME.match(name)
    return int(match[1]) if match and match[2] == _owner(model, key) else None


def _owner(model: GeminiModel, key: str) -> str:
    return hashlib.blake2b(f"{key}/{model.name}".encode(), digest_size=8).hexdigest()


def _ttl_s(request: Json) -> float:
    try:
        return float(str(request.get("ttl") or f"{_USUAL_TTL_S}s").removesuffix("s"))
    except ValueError as exc:
        raise refuse("Invalid value at 'cached_content.ttl' (type.googleapis.com/google.protobuf.Duration)") from exc


def _described(name: str, model: GeminiModel, tokens: int, ttl_s: float) -> Answer:
    now = datetime.now(UTC)
    made = {
        "name": name,
        "model": f"models/{model.name}",
        "createTime": now.isoformat(),
        "updateTime": now.isoformat(),
        "expireTime": (now + timedelta(seconds=ttl_s)).isoformat(),
        "displayName": "",
        "usageMetadata": {"totalTokenCount": tokens},
    }
    return Answer(headers=(GEMINI_JSON,), body=orjson.dumps(made))
