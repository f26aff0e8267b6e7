"""The OpenAI wire: chat completions, images, embeddings, models. This file routes, authenticates and reads bodies."""

from typing import Any

import orjson

from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.files import Files
from providers.sandbox.forms import form_fields
from providers.sandbox.openai_chat import chat_answer
from providers.sandbox.openai_embeddings import embeddings_answer
from providers.sandbox.openai_images import images_answer
from providers.sandbox.refusals import JSON, RefusedError, openai_error

_OPERATIONS = {
    "/chat/completions": "chat",
    "/embeddings": "embed",
    "/images/generations": "images",
    "/images/edits": "edits",
}
_LISTED = ("gpt-5.5", "gpt-5.5-mini", "gpt-image-2", "gpt-image-2.5-flare", "text-embedding-3-small")


class OpenAI:
    """The dialect for one sandbox: its configuration and the files that `response_format: url` points to."""

    def __init__(self, config: SandboxConfig, files: Files) -> None:
        self._config = config
        self._files = files

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        path = incoming.path.removeprefix("/v1")
        if incoming.method == "GET" and (path == "/models" or path.startswith("/models/")):
            return Route(operation="models", model=path.removeprefix("/models").lstrip("/"))
        operation = _OPERATIONS.get(path)
        if operation is None or incoming.method != "POST":
            raise RefusedError(
                openai_error(
                    404,
                    f"Invalid URL ({incoming.method} {incoming.path})",
                    kind="invalid_request_error",
                    code="unknown_url",
                )
            )
        payload = _payload(incoming)
        model = payload.get("model")
        return Route(
            operation=operation,
            model=model if isinstance(model, str) else "",
            payload=payload,
            slow=operation in ("images", "edits"),
        )

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content fault or None. Raises RefusedError."""
        self._authenticate(incoming)
        if route.operation == "models":
            return self._models(route.model)
        if not route.model:
            raise RefusedError(
                openai_error(
                    400, "you must provide a model parameter", kind="invalid_request_error", code=None, param=None
                )
            )
        if self._config.openai_models and route.model not in self._config.openai_models:
            raise RefusedError(_no_model(route.model))
        if route.operation == "chat":
            return chat_answer(route.payload, incoming.key, self._config, fault)
        if route.operation == "embed":
            return embeddings_answer(route.payload, fault, strict=self._config.openai_strict)
        return images_answer(route.payload, incoming, self._files, fault, edit=route.operation == "edits")

    def _authenticate(self, incoming: Incoming) -> None:
        scheme, _, key = incoming.header(b"authorization").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise RefusedError(
                openai_error(
                    401,
                    "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                    "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                    kind="invalid_request_error",
                )
            )
        if (self._config.api_keys and key not in self._config.api_keys) or key.startswith("invalid"):
            raise RefusedError(openai_error(401))

    def _models(self, name: str) -> Answer:
        names = sorted(self._config.openai_models) or list(_LISTED)
        if name:
            if self._config.openai_models and name not in names:
                raise RefusedError(_no_model(name))
            return Answer(headers=(JSON,), body=orjson.dumps(_described(name)))
        return Answer(
            headers=(JSON,), body=orjson.dumps({"object": "list", "data": [_described(one) for one in names]})
        )


def _no_model(name: str) -> Answer:
    return openai_error(
        404, f"The model `{name}` does not exist or you do not have access to it.", code="model_not_found"
    )


def _described(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_795_000_000, "owned_by": "sandbox"}


def _payload(incoming: Incoming) -> dict[str, Any]:
    """The body's fields: JSON, or a form whose files are `forms.Upload`."""
    kind = incoming.header(b"content-type")
    if kind.startswith("multipart/form-data"):
        return form_fields(incoming.body, kind)
    try:
        payload = orjson.loads(incoming.body)
    except orjson.JSONDecodeError as exc:
        raise RefusedError(
            openai_error(
                400,
                "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
                "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
            )
        ) from exc
    if not isinstance(payload, dict):
        raise RefusedError(
            openai_error(400, "Invalid type for the request body: expected an object.", code="invalid_type")
        )
    return payload
