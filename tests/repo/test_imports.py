"""What a start pays for: the heavy libraries are imported by whoever needs them first, never before."""

import json
import subprocess
import sys

import pytest

HEAVY = ("litellm", "openai", "google", "PIL", "numpy", "uvicorn")


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after `code`."""
    report = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", ["router.app", "router.settings", "router.routing.planner", "providers.registry"])
def test_importing_us_imports_none_of_the_heavy_libraries(module: str) -> None:
    assert loaded_by(f"import {module}").isdisjoint(HEAVY)


def test_a_configuration_with_a_litellm_provider_does_not_import_it_either() -> None:
    code = """
from pathlib import Path
import tempfile
from router.app import create_app
from router.settings import load_settings
folder = Path(tempfile.mkdtemp())
(folder / "turnout.yaml").write_text('''
providers:
  any: {type: litellm, model_prefix: "anthropic/", api_key: "k"}
models:
  chat: {targets: [any/claude-sonnet-4-5]}
''')
(folder / "models.yaml").write_text("models: {}")
settings = load_settings(folder / "turnout.yaml", {})
assert settings.catalogue["any/claude-sonnet-4-5"].prices[0].input
create_app(settings)
"""
    assert "litellm" not in loaded_by(code)
