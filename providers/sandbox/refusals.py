"""Error answers in each dialect's own words: what the real providers send for a status.

Shapes as recorded from the providers (2026-11): Google's `{"error": {"code", "message", "status", "details"}}`,
OpenAI's `{"error": {"message", "type", "param", "code"}}`, Eachlabs' `{"error": "..."}`, FastAPI's `{"detail": ...}`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from providers.sandbox.exchange import Answer, Header

GEMINI_JSON: Header = (b"content-type", b"application/json; charset=UTF-8")
JSON: Header = (b"content-type", b"application/json")

_RPC = "type.googleapis.com/google.rpc."
_GEMINI_STATUS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: (
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential.",
    ),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    408: ("CANCELLED", "The operation was cancelled."),
    413: ("INVALID_ARGUMENT", "Request payload size exceeds the limit: 104857600 bytes."),
    422: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    500: (
        "INTERNAL",
        "An internal error has occurred. Please retry or report in https://developers.generativeai.google",
    ),
    501: ("UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled."),
    502: ("UNAVAILABLE", "The service is currently unavailable."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    529: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
}
_OPENAI_STATUS: dict[int, tuple[str, str | None, str]] = {  # type, code, message
    400: ("invalid_request_error", "invalid_value", "Invalid value in the request."),
    401: (
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: sk-****. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    403: (
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    408: ("server_error", None, "Request timed out."),
    413: ("invalid_request_error", "request_too_large", "Request too large."),
    422: ("invalid_request_error", "invalid_value", "Unprocessable entity."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    501: ("server_error", "not_implemented", "Not implemented."),
    503: ("server_error", "service_unavailable", "The engine is currently overloaded, please try again later."),
    529: ("server_error", "overloaded", "The engine is currently overloaded, please try again later."),
}
_HTML = (
    b"<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Error %d (Server Error)!!1</title>\n"
    b"<p><b>%d.</b> <ins>That\xe2\x80\x99s an error.</ins>\n<p>The server encountered a temporary error and could not "
    b"complete your request.<p>Please try again in 30 seconds.\n"
)


class RefusedError(Exception):
    """A dialect refuses the request; `answer` says so in that dialect."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def html_page(status: int) -> Answer:
    """A front end's error page: what 502, 504 and 524 look like when no API server was reached, or was too slow."""
    return Answer(
        status=status, headers=((b"content-type", b"text/html; charset=UTF-8"),), body=_HTML % (status, status)
    )


def gemini_body(
    status: int, message: str = "", *, name: str = "", details: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Google's error object. `name` is the canonical status ("INVALID_ARGUMENT"), by default that of `status`."""
    default_name, default_message = _GEMINI_STATUS.get(status, ("UNKNOWN", "Unknown Error."))
    error: dict[str, Any] = {"code": status, "message": message or default_message, "status": name or default_name}
    if details:
        error["details"] = list(details)
    return {"error": error}


def gemini_error(
    status: int, message: str = "", *, name: str = "", details: Sequence[Mapping[str, Any]] = ()
) -> Answer:
    return Answer(
        status=status,
        headers=(GEMINI_JSON,),
        body=orjson.dumps(gemini_body(status, message, name=name, details=details), option=orjson.OPT_INDENT_2),
    )


def gemini_bad_key() -> Answer:
    """400, not 401: this is how Google refuses a wrong API key."""
    message = "API key not valid. Please pass a valid API key."
    info = {
        "@type": _RPC + "ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    localized = {"@type": _RPC + "LocalizedMessage", "locale": "en-US", "message": message}
    return gemini_error(400, message, details=(info, localized))


def gemini_quota(model: str, *, delay: str | None = "20.04s", per_day: bool = False, limit: int = 20) -> Answer:
    """Google's 429 with QuotaFailure and (unless `delay` is None) RetryInfo. `delay` is a protobuf duration."""
    period = "PerDay" if per_day else "PerMinute"
    failure = {
        "@type": _RPC + "QuotaFailure",
        "violations": [
            {
                "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
                "quotaId": f"GenerateRequests{period}PerProjectPerModel-FreeTier",
                "quotaDimensions": {"location": "global", "model": model},
                "quotaValue": str(limit),
            }
        ],
    }
    details: list[dict[str, Any]] = [
        failure,
        {
            "@type": _RPC + "Help",
            "links": [
                {
                    "description": "Learn more about Gemini API quotas",
                    "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
                }
            ],
        },
    ]
    message = "You exceeded your current quota, please check your plan and billing details."
    if delay is not None:
        details.append({"@type": _RPC + "RetryInfo", "retryDelay": delay})
        message += f"\nPlease retry in {delay}."
    return gemini_error(429, message, details=details)


def openai_body(
    status: int, message: str = "", *, kind: str = "", code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """OpenAI's error object with all four keys. Without a message, what OpenAI says for that status."""
    default_kind, default_code, default_message = _OPENAI_STATUS.get(status, _OPENAI_STATUS[500])
    if not message:
        message, code = default_message, code or default_code
    return {"error": {"message": message, "type": kind or default_kind, "param": param, "code": code}}


def openai_error(
    status: int,
    message: str = "",
    *,
    kind: str = "",
    code: str | None = None,
    param: str | None = None,
    headers: tuple[Header, ...] = (),
) -> Answer:
    body = openai_body(status, message, kind=kind, code=code, param=param)
    return Answer(status=status, headers=(JSON, *headers), body=orjson.dumps(body, option=orjson.OPT_INDENT_2))


def eachlabs_error(status: int, message: str = "") -> Answer:
    return _plain_error("eachlabs", status, message)


def _fastapi(status: int, text: str) -> dict[str, Any]:
    return {"detail": [{"loc": ["body"], "msg": text, "type": "value_error"}] if status == 422 else text}


# What the gateway before the models says; the models speak as OpenAI's.
_AZURE_STATUS = {
    401: "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource.",
    404: "Resource not found",
    408: "The operation was timeout.",
    429: "Requests to the Creates a completion for the chat message Operation under Azure OpenAI API have exceeded "
    "call rate limit of your current pricing tier. Please retry after 7 seconds.",
}


def _azure(status: int, text: str) -> dict[str, Any]:
    code = "Timeout" if status == 408 else str(status)
    return {"error": {"code": code, "message": text or _AZURE_STATUS[status]}}


_PLAIN: Mapping[str, Callable[[int, str], dict[str, Any]]] = {
    "stability": lambda _, text: {"id": "5f3c", "name": "bad_request", "errors": [text]},
    "replicate": lambda status, text: {"title": "Request failed", "detail": text, "status": status},
    "legnext": lambda status, text: {"code": status, "message": text},
    "comfyui": lambda _, text: {"error": {"type": "invalid_prompt", "message": text, "details": ""}, "node_errors": {}},
    **dict.fromkeys(("bfl", "fal", "stable-diffusion"), _fastapi),
}
"""The error bodies of those who have no object for it, by dialect; any other says `{"error": "..."}`."""


def plain_body(dialect: str, status: int, message: str = "") -> dict[str, Any]:
    text = message or _OPENAI_STATUS.get(status, _OPENAI_STATUS[500])[2]
    return _PLAIN[dialect](status, text) if dialect in _PLAIN else {"error": text}


def _plain_error(dialect: str, status: int, message: str) -> Answer:
    return Answer(status=status, headers=(JSON,), body=orjson.dumps(plain_body(dialect, status, message)))


OPENAI_SHAPED = frozenset({"openai", "azure", "together", "xai", "seedream", "openrouter"})


def error_object(dialect: str, status: int, message: str = "") -> dict[str, Any]:
    """The error body of a status as an object, for errors that arrive inside a 200."""
    if dialect == "gemini":
        return gemini_body(status, message)
    if dialect == "azure" and status in _AZURE_STATUS:
        return _azure(status, message)
    if dialect in OPENAI_SHAPED:
        return openai_body(status, message)
    return plain_body(dialect, status, message)


def error_answer(dialect: str, status: int, message: str = "") -> Answer:
    """A whole error answer as the provider of `dialect` would send it for `status`."""
    if status in (502, 504, 524) and not message:
        return html_page(status)
    if dialect == "gemini":
        return gemini_error(status, message)
    if dialect == "azure" and status in _AZURE_STATUS:
        return json_answer(_azure(status, message), status)
    if dialect in OPENAI_SHAPED:
        return openai_error(status, message)
    return _plain_error(dialect, status, message)


def json_answer(value: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status=status, headers=(JSON,), body=orjson.dumps(value))


def json_payload(dialect: str, body: bytes, status: int = 422) -> dict[str, Any]:
    """The object in a request's body. Raises RefusedError (`status`)."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise RefusedError(error_answer(dialect, status, "JSON decode error")) from exc
    if not isinstance(payload, dict):
        raise RefusedError(error_answer(dialect, status, "Input should be a valid dictionary"))
    return payload
