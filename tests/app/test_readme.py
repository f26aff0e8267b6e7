"""What README.md tells people to paste works as it stands, but for the port."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harness import ROOT, Turnout

from router.settings import load_settings

README = (ROOT / "README.md").read_text("utf-8")
HERE = "http://127.0.0.1:8080"


def block(language: str, containing: str) -> str:
    """The one fenced block of this language that contains this text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [text for text in blocks if containing in text]
    return found


def test_the_curl_example_works(router: Turnout) -> None:
    command = block("sh", "chat/completions").replace(HERE, router.url)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_the_python_example_works(router: Turnout) -> None:
    code = block("python", "import OpenAI").replace(HERE, router.url)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer, size = done.stdout.strip().splitlines()
    assert answer.startswith("gemini-")
    assert int(size) > 1000


def test_the_configuration_example_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "turnout.yaml"
    file.write_text(block("yaml", "providers:"), "utf-8")
    (tmp_path / "models.yaml").write_bytes((ROOT / "config" / "models.yaml").read_bytes())
    settings = load_settings(file, {"GEMINI_API_KEY": "k"})
    assert settings.models["auto"].usual == "gemini-flash"


@pytest.mark.parametrize("field", ["sort", "max_cost_usd", "deadline_ms", "only", "fallbacks"])
def test_the_fields_of_the_routing_example_are_understood(router: Turnout, field: str) -> None:
    example = yaml.safe_load(block("json", '"router"'))
    body = example | {"messages": [{"role": "user", "content": "hi"}], "router": {field: example["router"][field]}}
    assert router.http.post("/v1/chat/completions", json=body).status_code == 200


@pytest.mark.parametrize("path", re.findall(r"\]\((docs/[^)#]+)\)", README))
def test_every_page_the_readme_links_to_exists(path: str) -> None:
    assert (ROOT / path).exists()
