"""Azure OpenAI: where a deployment lies, what Azure's refusals mean, and what its settings may say."""

from pathlib import Path

import orjson
import pytest

from providers.catalogue import ModelInfo
from providers.errors import (
    AuthenticationError,
    BadRequestError,
    ContentBlockedError,
    ModelNotFoundError,
    ProviderError,
    RateLimitedError,
    UpstreamTimeoutError,
)
from providers.openai.azure import Deployments
from providers.openai.errors import error_from
from providers.openai.images import Spoken, image_fields
from providers.options import AzureOptions
from providers.types import ImageRequest
from router.errors import Problem
from router.settings import Settings, inspect_settings, use_sandbox

CHAT, PICTURES = "/chat/completions", "/images/generations"
URL = "https://res.openai.azure.com"


@pytest.mark.parametrize(
    ("version", "path", "called"),
    [
        ("", "/openai/v1/images/generations", "pics"),
        ("preview", "/openai/v1/images/generations?api-version=preview", "pics"),
        (
            "2025-04-01-preview",
            "/openai/deployments/pics/images/generations?api-version=2025-04-01-preview",
            "",
        ),
    ],
)
def test_the_version_chooses_the_form_of_the_paths(version: str, path: str, called: str) -> None:
    at = Deployments(AzureOptions(api_version=version, deployments={"gpt-image-2": "pics"}))
    assert (at.path(PICTURES, "gpt-image-2"), at.picture_model("gpt-image-2")) == (path, called)
    assert (at.name_of("gpt-5.5"), at.path(CHAT, "gpt-5.5")) == ("gpt-5.5", path_of(version))


def path_of(version: str) -> str:
    if version.startswith("2"):
        return f"/openai/deployments/gpt-5.5{CHAT}?api-version={version}"
    return f"/openai/v1{CHAT}" + (f"?api-version={version}" if version else "")


def test_a_model_without_a_name_is_not_said_and_keeps_openais_parameters() -> None:
    request = ImageRequest(model="m", prompt="a cat", seed=7, quality="hd", extra={"response_format": "url"})
    fields = image_fields(request, Spoken(name="", gpt=True), ModelInfo(name="m"))
    assert fields == {"prompt": "a cat", "n": 1, "quality": "high"}


FILTERED = {
    "message": "The response was filtered",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}},
}


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, FILTERED, ContentBlockedError),
        (400, {"code": "content_filter", "message": "filtered"}, ContentBlockedError),
        (400, {"code": "contentFilter", "message": "Your task failed as a result of our safety system."},
         ContentBlockedError),
        (400, {"code": "moderation_blocked", "type": "image_generation_user_error", "message": "rejected"},
         ContentBlockedError),
        (400, {"code": "invalid_value", "param": "model", "message": "The model 'pics' does not exist."},
         BadRequestError),
        (401, {"code": "401", "message": "Access denied due to invalid subscription key"}, AuthenticationError),
        (404, {"code": "404", "message": "Resource not found"}, ModelNotFoundError),
        (404, {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}, ModelNotFoundError),
        (408, {"code": "Timeout", "message": "The operation was timeout."}, UpstreamTimeoutError),
        (429, {"code": "429", "message": "exceeded call rate limit"}, RateLimitedError),
    ],
)  # fmt: skip
def test_azures_refusals_have_their_class(status: int, error: dict[str, object], kind: type[ProviderError]) -> None:
    assert type(error_from(status, {}, orjson.dumps({"error": error}))) is kind


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [({"retry-after-ms": "1500", "retry-after": "2"}, 1.5), ({"retry-after": "9"}, 9.0), ({}, 6.0)],
)
def test_the_wait_is_in_a_header_or_at_last_in_words(headers: dict[str, str], wait_s: float) -> None:
    body = {"error": {"code": "429", "message": "exceeded token rate limit. Please retry after 6 seconds. Contact us"}}
    assert error_from(429, headers, orjson.dumps(body)).retry_after_s == wait_s


def inspected(folder: Path, provider: str) -> tuple[Settings, tuple[Problem, ...]]:
    file = folder / "turnout.yaml"
    file.write_text(f"providers:\n  up:\n    {provider}\nmodels:\n  chat: {{targets: [up/gpt-5.5]}}\n")
    (folder / "models.yaml").write_text("models: {gpt-5.5: {}}\n")
    return inspect_settings(file, {})


@pytest.mark.parametrize("version", ["2024-10-21", '"2024-10-21"', "2025-04-01-preview", "preview"])
def test_a_version_may_be_written_as_it_is(tmp_path: Path, version: str) -> None:
    settings, problems = inspected(tmp_path, f"type: azure\n    base_url: {URL}\n    azure: {{api_version: {version}}}")
    assert problems == ()
    assert settings.providers["up"].options.azure.api_version == version.strip('"')


@pytest.mark.parametrize("ending", ["", "/", "/openai", "/openai/v1", "/openai/v1/"])
def test_an_address_is_the_resources_however_it_was_copied(tmp_path: Path, ending: str) -> None:
    settings, problems = inspected(tmp_path, f'type: azure\n    api_key: k\n    base_url: "{URL}{ending}"')
    assert problems == ()
    assert (settings.providers["up"].base_url, settings.providers["up"].enabled) == (URL, True)
    assert use_sandbox(settings, "http://s").providers["up"].base_url == "http://s/p/up/azure"


def test_a_deployment_of_a_model_that_nobody_knows_is_worth_a_warning(tmp_path: Path) -> None:
    deployed = "azure:\n      deployments:\n        gpt-5.5: talk\n        gpt-5: talk"
    settings, problems = inspected(tmp_path, f"type: azure\n    base_url: {URL}\n    {deployed}")
    assert problems == ()
    (warning,) = settings.warnings
    assert (warning.line, warning.message) == (8, "'gpt-5' is not in the catalogue; did you mean 'gpt-5.5'?")


@pytest.mark.parametrize(
    ("provider", "line", "key", "message"),
    [
        ("type: azure\n    api_key: k", 2, "providers.up", "needs the resource's 'base_url'"),
        (f"type: azure\n    base_url: {URL}\n    azure: {{api_version: 2025}}", 5, "providers.up.azure.api_version",
         "must be text"),
        (f"type: azure\n    base_url: {URL}\n    azure:\n      api_version: v1/x", 6,
         "providers.up.azure.api_version", "must be a date such as 2025-04-01-preview"),
        (f"type: azure\n    base_url: {URL}\n    azure:\n      deployments:\n        gpt: a/../b", 7,
         "providers.up.azure.deployments.gpt", "must be a deployment's name"),
        (f"type: azure\n    base_url: {URL}\n    azure: {{api_versoin: preview}}", 5,
         "providers.up.azure.api_versoin", "did you mean 'api_version'?"),
        (f"type: openai\n    base_url: {URL}\n    azure: {{api_version: preview}}", 5,
         "providers.up.azure", "only providers of type azure"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_at_its_key(tmp_path: Path, provider: str, line: int, key: str, message: str) -> None:
    _, problems = inspected(tmp_path, provider)
    (problem,) = problems
    assert (problem.line, problem.key) == (line, key)
    assert message in problem.message
