"""The lines that `turnout serve` prints to be pasted, pasted."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from harness import Turnout

from router.serve import banner

CURL = "Try it with curl:"
SDK = "Or with the OpenAI SDK (pip install openai):"


def printed(router: Turnout, heading: str) -> str:
    """The lines below a heading of the banner, as they stand there."""
    lines = banner(router.settings).splitlines()
    below = lines[lines.index(heading) + 1 :]
    return "\n".join(below[: below.index("")] if "" in below else below)


def run(command: list[str], text: str, **environ: str) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "TURNOUT"))}
    done = subprocess.run(
        command, input=text, env=plain | environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("keys", [{}, {"me": "sk-of-mine"}], ids=["no client key", "a client key"])
def test_the_curl_line_works_as_pasted(keys: dict[str, str], turnout: Callable[..., Turnout]) -> None:
    router = turnout(keys=keys)
    line = printed(router, CURL)
    assert "\n" not in line
    assert "sk-of-mine" not in line
    answer = run(["bash", "-s"], line, TURNOUT_API_KEY=keys.get("me", ""))
    assert '"object":"chat.completion"' in answer
    assert "Say hello" in answer


@pytest.mark.parametrize("keys", [{}, {"me": "sk-of-mine"}], ids=["no client key", "a client key"])
def test_the_sdk_lines_work_as_pasted(keys: dict[str, str], turnout: Callable[..., Turnout]) -> None:
    router = turnout(keys=keys)
    said = run([sys.executable, "-"], printed(router, SDK), TURNOUT_API_KEY=keys.get("me", ""))
    assert said.startswith("gemini-")
    assert "Say hello" in said


def test_the_sandbox_says_so(router: Turnout) -> None:
    assert "every upstream is simulated" in banner(router.settings)
