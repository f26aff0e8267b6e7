"""`turnout check`, `schema` and `--version`: what they print and how they exit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from router import __version__
from router.cli import app, installation_problems

ROOT = Path(__file__).parents[2]
SHIPPED = len(yaml.safe_load((ROOT / "config" / "turnout.yaml").read_text())["providers"])
BAD = """\
catalogue: {root}/config/models.yaml
providers:
  google: {{type: gemni, api_key: "${{NO_KEY_AT_ALL}}"}}
models:
  auto:
    rules:
      - {{when: "prompt_tokens < 0", use: flash}}
      - {{when: "promt > 3", use: flash}}
    use: flash
  flash: {{targets: [goggle/x]}}
"""


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith("_API_KEY") or name.startswith("TURNOUT"):
            monkeypatch.delenv(name)


def test_the_shipped_configuration_is_ok() -> None:
    result = CliRunner().invoke(app, ["check", "--config", str(ROOT / "config" / "turnout.yaml")])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"ok: {SHIPPED} providers (0 on), ")
    assert "sandbox" in result.stdout


def test_a_key_switches_its_provider_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "hunter2")
    result = CliRunner().invoke(app, ["check", "-c", str(ROOT / "config" / "turnout.yaml")])
    assert result.stdout.startswith(f"ok: {SHIPPED} providers (1 on), ")
    assert "hunter2" not in result.output


def test_every_problem_is_one_line_on_stderr_and_the_exit_code_is_2(tmp_path: Path) -> None:
    path = tmp_path / "turnout.yaml"
    path.write_text(BAD.format(root=ROOT))
    result = CliRunner().invoke(app, ["check", "--config", str(path)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.removeprefix(str(path)).split(": ")[:2] for line in result.stderr.splitlines()] == [
        [":3", "providers.google.type"],
        [":7", "models.auto.rules[0].when"],
        [":8", "models.auto.rules[1].when"],
        [":10", "models.flash.targets[0]"],
    ]


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", "--config", str(tmp_path / "no.yaml")])
    assert (result.exit_code, result.stderr) == (2, f"{tmp_path / 'no.yaml'}: no such file\n")


def test_warnings_do_not_fail_the_check(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("models: {}\n")
    path = tmp_path / "turnout.yaml"
    path.write_text("providers:\n  up: {type: openai, base_url: http://127.0.0.1:9}\nmodels:\n  a: {targets: [up/x]}\n")
    result = CliRunner().invoke(app, ["check", "--config", str(path)])
    assert result.exit_code == 0
    assert result.stderr.startswith(f"warning: {path}:4: models.a.targets[0]: up/x is not in the catalogue")


def test_a_second_owner_of_our_packages_is_refused() -> None:
    assert installation_problems({"router": ["turnout"], "providers": ["Turnout", "turnout"]}) == []
    assert installation_problems({}) == []
    found = [str(each) for each in installation_problems({"router": ["turnout", "other"], "providers": ["turnout"]})]
    assert found == ["package 'router': is also installed by other: give turnout an environment of its own"]


def test_check_refuses_a_second_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: {"providers": ["turnout", "other"]})
    result = CliRunner().invoke(app, ["check", "--config", str(ROOT / "config" / "turnout.yaml")])
    assert result.exit_code == 2
    assert "also installed by other" in result.stderr


def test_schema_prints_json() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "Turnout configuration"


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"turnout {__version__}\n")


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    heavy = ["fastapi", "aiohttp", "pydantic", "uvicorn", "PIL", "litellm"]
    code = f"import router.cli, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
