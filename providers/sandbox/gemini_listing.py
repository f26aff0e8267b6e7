"""Gemini's models list."""

from collections.abc import Mapping
from typing import Any

import orjson

from providers.sandbox.exchange import Answer
from providers.sandbox.gemini_models import GeminiModel
from providers.sandbox.refusals import GEMINI_JSON, RefusedError, gemini_error


def listing(name: str, models: Mapping[str, GeminiModel]) -> Answer:
    """All of `models` by name, or the one that is asked for. Raises RefusedError for one that is not among them."""
    if not name:
        return _answer({"models": [_described(one, model) for one, model in models.items()]})
    if name not in models:
        raise RefusedError(
            gemini_error(
                404,
                f"models/{name} is not found for API version v1beta, or is not supported for getModel. Call ListModels "
                "to see the list of available models and their supported methods.",
            )
        )
    return _answer(_described(name, models[name]))


def _answer(made: dict[str, Any]) -> Answer:
    return Answer(headers=(GEMINI_JSON,), body=orjson.dumps(made))


def _described(name: str, model: GeminiModel) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "description": "Simulated by the sandbox.",
        "inputTokenLimit": model.window,
        "outputTokenLimit": model.max_output,
        "supportedGenerationMethods": ["generateContent", "countTokens", "createCachedContent"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": model.thinking > 0 or bool(model.levels),
    }
