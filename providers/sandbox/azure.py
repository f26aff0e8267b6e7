"""Azure OpenAI: OpenAI's operations by deployment, its own paths, header and refusals."""

import re
from typing import Any

import orjson
from msgspec.structs import replace

from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.files import Files
from providers.sandbox.openai import OpenAI
from providers.sandbox.refusals import JSON, RefusedError, error_answer, openai_error

_DIALECT = "azure"
_V1 = re.compile(r"/openai/v1(/.+)\Z")
_CLASSIC = re.compile(r"/openai/deployments/([^/]+)(/.+)\Z")
_DATED = re.compile(rb"(?:^|&)api-version=\d{4}-\d\d-\d\d(?:-preview)?(?:&|\Z)")
_PICTURES = ("images", "edits")
_PROMPT_JUDGED = {
    "choices": [], "created": 0, "id": "", "model": "", "object": "",
    "prompt_filter_results": [
        {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
    ],
}  # fmt: skip


class Azure:
    """The dialect for one sandbox. A deployment of any name serves whatever is asked of it."""

    def __init__(self, config: SandboxConfig, files: Files) -> None:
        self._config = config
        self._openai = OpenAI(config, files)

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL, one without its version, or a body that cannot be read."""
        dated = _DATED.search(incoming.query) is not None
        if match := _V1.match(incoming.path):
            if dated:
                raise RefusedError(openai_error(400, "API version not supported", code="BadRequest"))
            return self._openai.route(replace(incoming, path=match[1]))
        match = _CLASSIC.match(incoming.path)
        if match is None or not dated:
            raise RefusedError(error_answer(_DIALECT, 404))
        route = self._openai.route(replace(incoming, path=match[2]))
        if route.operation in _PICTURES and "model" in route.payload:
            raise RefusedError(_no_such_model(route.payload["model"]))
        return replace(route, model=match[1], payload={**route.payload, "model": match[1]})

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content fault or None. Raises RefusedError."""
        key = incoming.header(b"api-key")
        if not self._config.takes(key):
            raise RefusedError(error_answer(_DIALECT, 401))
        name = fault.name if fault else ""
        if name == "blocked-prompt" and route.operation == "chat":
            raise RefusedError(_filtered())
        if name in ("blocked-prompt", "safety", "image-safety") and route.operation in _PICTURES:
            raise RefusedError(_moderated())
        if route.operation in _PICTURES and not route.model.startswith("gpt-image"):
            route = replace(route, payload={**route.payload, "model": "gpt-image-2"})  # whatever it is called
        opened = {**incoming.headers, b"authorization": f"Bearer {key}".encode("latin-1")}
        answer = self._openai.answer(replace(incoming, headers=opened), route, fault)
        if route.operation == "chat" and answer.frames is not None:
            first = b"data: " + orjson.dumps(_PROMPT_JUDGED) + b"\n\n"
            return replace(answer, frames=(first, *answer.frames))
        return answer


def _no_such_model(name: Any) -> Answer:
    return openai_error(
        400,
        f"The model '{name}' does not exist.",
        kind="image_generation_user_error",
        code="invalid_value",
        param="model",
    )


def _filtered() -> Answer:
    error = {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
        "Please modify your prompt and retry.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
        },
    }
    return Answer(status=400, headers=(JSON,), body=orjson.dumps({"error": error}))


def _moderated() -> Answer:
    return openai_error(
        400,
        "Your request was rejected by the safety system. If you believe this is an error, contact us at Azure support "
        "ticket and include the request ID 00000000-0000-0000-0000-000000000000. safety_violations=[violence].",
        kind="image_generation_user_error",
        code="moderation_blocked",
    )
