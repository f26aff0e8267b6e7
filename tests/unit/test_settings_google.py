"""`vertex:` and `gemini:` of a provider: what they mean, and one clear line for what is wrong with them."""

import importlib.util
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from providers.options import Cloud, GeminiOptions
from router.errors import Problem
from router.settings import Settings, inspect_settings, use_sandbox

MODELS = "models:\n  chat: {targets: [up/gemini-3.8-flash]}\n"


def inspected(folder: Path, provider: str, environ: dict[str, str] | None = None) -> tuple[Settings, list[Problem]]:
    file = folder / "turnout.yaml"
    file.write_text(f"providers:\n  up: {provider}\n{MODELS}")
    (folder / "models.yaml").write_text("models: {}\n")
    settings, problems = inspect_settings(file, environ or {})
    return settings, [problem for problem in problems if "google-auth" not in problem.message]


@pytest.mark.parametrize(
    ("vertex", "cloud", "url"),
    [
        ("{project: p1}", Cloud(project="p1"), "https://aiplatform.googleapis.com/v1"),
        (
            "{project: p1, location: europe-west4}",
            Cloud(project="p1", location="europe-west4"),
            "https://europe-west4-aiplatform.googleapis.com/v1",
        ),
        (
            "{project: p1, location: eu}",
            Cloud(project="p1", location="eu"),
            "https://aiplatform.eu.rep.googleapis.com/v1",
        ),
        ('{express_key: "AQ.k"}', Cloud(express=True), "https://aiplatform.googleapis.com/v1beta1"),
    ],
)
def test_a_location_has_its_own_host(tmp_path: Path, vertex: str, cloud: Cloud, url: str) -> None:
    settings, problems = inspected(tmp_path, f"{{type: gemini, vertex: {vertex}}}")
    assert problems == []
    up = settings.providers["up"]
    assert (up.options.cloud, up.base_url, up.enabled) == (cloud, url, True)
    assert up.api_key == ("AQ.k" if cloud.express else None)


def test_a_base_url_stands_in_for_the_vendors_host(tmp_path: Path) -> None:
    settings, _ = inspected(tmp_path, '{type: gemini, base_url: "http://127.0.0.1:9/v1", vertex: {project: p1}}')
    assert settings.providers["up"].base_url == "http://127.0.0.1:9/v1"


def test_a_credentials_file_counts_from_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "account.json").write_text(json.dumps({"type": "service_account"}))
    settings, problems = inspected(tmp_path, "{type: gemini, vertex: {project: p1, credentials_file: account.json}}")
    assert problems == []
    cloud = settings.providers["up"].options.cloud
    assert cloud is not None
    assert cloud.credentials_file == str(tmp_path / "account.json")


@pytest.mark.parametrize(
    ("provider", "key", "message"),
    [
        ("{type: openai, api_key: k, vertex: {project: p1}}", "providers.up.vertex", "only providers of type gemini"),
        ("{type: openai, api_key: k, gemini: {}}", "providers.up.gemini", "only providers of type gemini"),
        ("{type: gemini, vertex: {location: global}}", "providers.up.vertex", "needs a 'project'"),
        (
            "{type: gemini, vertex: {project: p1, express_key: k}}",
            "providers.up.vertex.express_key",
            "express mode has no project",
        ),
        ("{type: gemini, api_key: k, vertex: {project: p1}}", "providers.up.api_key", "is not used with 'vertex'"),
        ("{type: gemini, vertex: {project: ../x}}", "providers.up.vertex.project", "must be a project id"),
        ("{type: gemini, vertex: {project: p1, location: a/b}}", "providers.up.vertex.location", "must be a region"),
        (
            "{type: gemini, vertex: {project: p1, credentials_file: missing.json}}",
            "providers.up.vertex.credentials_file",
            "cannot be read",
        ),
        (
            "{type: gemini, vertex: {project: p1, credentials_file: turnout.yaml}}",
            "providers.up.vertex.credentials_file",
            "is not JSON",
        ),
        (
            "{type: gemini, vertex: {projekt: p1, express_key: k}}",
            "providers.up.vertex.projekt",
            "did you mean 'project'?",
        ),
        ("{type: gemini, api_key: k, gemini: {logprobs: maybe}}", "providers.up.gemini.logprobs", "refuse, drop"),
        (
            "{type: gemini, api_key: k, gemini: {safety: {RUDE: OFF}}}",
            "providers.up.gemini.safety.RUDE",
            "harm category",
        ),
        (
            "{type: gemini, api_key: k, gemini: {safety: {HARM_CATEGORY_HARASSMENT: NEVER}}}",
            "providers.up.gemini.safety.HARM_CATEGORY_HARASSMENT",
            "BLOCK_NONE",
        ),
    ],
)
def test_what_cannot_work_is_one_clear_line(tmp_path: Path, provider: str, key: str, message: str) -> None:
    _, problems = inspected(tmp_path, provider)
    (problem,) = problems
    assert problem.line == 2
    assert problem.key == key or problem.key.startswith(f"{key}.")
    assert message in problem.message


def test_a_project_needs_the_library_that_gets_its_tokens(tmp_path: Path) -> None:
    file = tmp_path / "turnout.yaml"
    file.write_text(f"providers:\n  up: {{type: gemini, vertex: {{project: p1}}}}\n{MODELS}")
    (tmp_path / "models.yaml").write_text("models: {}\n")
    messages = [problem.message for problem in inspect_settings(file, {}).problems]
    try:
        installed = importlib.util.find_spec("google.auth") is not None
    except ModuleNotFoundError:
        installed = False
    assert messages == (
        [] if installed else ["needs google-auth, which is not installed: pip install 'turnout[vertex]'"]
    )


def test_a_project_whose_variable_is_not_set_is_off_and_no_problem(tmp_path: Path) -> None:
    settings, problems = inspected(tmp_path, '{type: gemini, vertex: {project: "${GCP_PROJECT}"}}')
    assert problems == []
    assert settings.providers["up"].off_reason == "GCP_PROJECT is not set"


def test_the_switches_have_the_translations_own_defaults(tmp_path: Path) -> None:
    settings, problems = inspected(tmp_path, "{type: gemini, api_key: k, gemini: {}}")
    assert (settings.providers["up"].options.gemini, problems) == (GeminiOptions(), [])
    settings, problems = inspected(
        tmp_path,
        "{type: gemini, api_key: k, gemini: {missing_results: fill, safety: {HARM_CATEGORY_HARASSMENT: OFF}}}",
    )
    wanted = GeminiOptions(missing_results="fill", safety={"HARM_CATEGORY_HARASSMENT": "OFF"})
    assert (settings.providers["up"].options.gemini, problems) == (wanted, [])


def test_in_the_sandbox_no_provider_is_in_google_cloud(tmp_path: Path) -> None:
    settings, _ = inspected(tmp_path, "{type: gemini, vertex: {project: p1}, gemini: {logprobs: drop}}")
    options = use_sandbox(settings, "http://127.0.0.1:9").providers["up"].options
    assert options == replace(settings.providers["up"].options, cloud=None)
    assert options.gemini.logprobs == "drop"


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    settings, _ = inspected(tmp_path, "{type: gemini, vertex: {express_key: AQ.secret}}")
    assert "AQ.secret" not in repr(settings)
    _, problems = inspected(tmp_path, "{type: gemini, vertex: {express_key: [AQ.secret]}}")
    assert "AQ.secret" not in str(problems)
