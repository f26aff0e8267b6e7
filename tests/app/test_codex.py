"""Codex, OpenAI's coding agent, as npm ships it, on `POST /v1/responses`: the only wire it speaks.

`codex exec` runs in an empty git folder with a home of its own and a provider configured as the README says. It can
reach loopback only. The simulated model calls Codex's own tools (`call: exec_command {...}`), and Codex executes them.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clients import prepare
from harness import ROOT, Turnout
from msgspec import Struct
from pictures import picture

from providers.sandbox.config import FaultRule

KEY = "sk-turnout-codex"
MODEL = "gemini-3.8-flash"
# Codex gives models that it knows by name other tools: a free-text patch tool, one tool that runs scripts.
CONFIG = """
providers:
  google: {type: gemini, api_key: "k"}
models:
  auto:        {targets: [google/gemini-3.8-flash]}
  gpt-5.5:     {targets: [google/gemini-3.8-flash]}
  gpt-6.1-sol: {targets: [google/gemini-3.8-flash]}
"""
WORDS = " ".join(f"word{number}" for number in range(1, 41))
# Where a request that is not for loopback goes: nobody listens on the discard port.
NOWHERE = {f"{scheme}_PROXY": "http://127.0.0.1:9" for scheme in ("HTTP", "HTTPS", "ALL")} | {"NO_PROXY": "127.0.0.1"}


class Done(Struct):
    """One run, ended: the exit code, the items it finished, its last event, and what it printed besides."""

    code: int
    items: list[dict[str, Any]]
    last: dict[str, Any]
    stderr: str

    def said(self) -> str:
        return str([item["text"] for item in self.items if item["type"] == "agent_message"][-1])


class Codex:
    """Runs `codex exec` against `router` in the empty git folder `work`."""

    def __init__(self, router: Turnout, folder: Path) -> None:
        script, reason = prepare.codex()
        node, none = prepare.node_for("codex")
        if script is None or node is None:
            pytest.skip(reason or none)
        if shutil.which("git") is None:
            pytest.skip("no git on this machine")
        self.router = router
        self.work = folder / "work"
        self._home = folder / "home"
        self._home.mkdir()
        subprocess.run(["git", "init", "--quiet", str(self.work)], check=True)
        settings = configuration().replace("http://127.0.0.1:8080/v1", router.base_url)
        retries = "request_max_retries = 1\nstream_max_retries = 1\n"
        (self._home / "config.toml").write_text(settings + retries)
        self._command = [str(node), str(script), "exec", "--json", "--dangerously-bypass-approvals-and-sandbox"]

    def run(self, *prompt: str, model: str = "auto") -> Done:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._home), "CODEX_HOME": str(self._home)}
        done = subprocess.run(
            [*self._command, "--model", model, *prompt],
            cwd=self.work,
            env={**environment, **NOWHERE, "TURNOUT_API_KEY": KEY},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        told = [json.loads(line) for line in done.stdout.splitlines()]
        items = [event["item"] for event in told if event["type"] == "item.completed"]
        return Done(done.returncode, items, told[-1] if told else {}, done.stderr)

    def requests(self) -> list[dict[str, Any]]:
        return self.router.requests(operation="stream")


def configuration() -> str:
    """The provider's configuration as the README shows it."""
    return (ROOT / "README.md").read_text("utf-8").partition("```toml\n")[2].partition("```")[0]


@pytest.fixture
def codex(turnout: Callable[..., Turnout], tmp_path: Path) -> Codex:
    return Codex(turnout(CONFIG, keys={"codex": KEY}), tmp_path)


def parts_of(entry: dict[str, Any], kind: str) -> list[Any]:
    """Every part of this kind in the request's contents."""
    return [part for content in entry["body"]["contents"] for part in content["parts"] if kind in part]


def test_codex_is_answered(codex: Codex) -> None:
    done = codex.run("no tools words: 40")
    assert (done.code, done.said()) == (0, WORDS), done.stderr
    assert done.last["type"] == "turn.completed"
    assert done.last["usage"]["output_tokens"] > 0
    (entry,) = codex.requests()
    assert (entry["status"], entry["model"]) == (200, MODEL)
    assert len(entry["body"]["tools"][0]["functionDeclarations"]) > 4, "its usual tools are there"


def test_codex_runs_a_command_for_the_model_and_tells_it_the_result(codex: Codex) -> None:
    done = codex.run('call: exec_command {"cmd": "echo done by turnout | tee made.txt"}')
    assert done.code == 0, done.stderr
    assert (codex.work / "made.txt").read_text() == "done by turnout\n"
    (command,) = (item for item in done.items if item["type"] == "command_execution")
    assert (command["exit_code"], command["aggregated_output"]) == (0, "done by turnout\n")
    assert "done by turnout" in done.said()


def test_codex_goes_several_steps_and_every_one_reaches_gemini_signed(codex: Codex) -> None:
    done = codex.run(
        'call: exec_command {"cmd": "echo one > a.txt"} call: exec_command {"cmd": "echo two > b.txt"} '
        'then: call: exec_command {"cmd": "cat a.txt b.txt"}'
    )
    assert done.code == 0, done.stderr
    assert "one\\ntwo" in done.said()
    *_, last = codex.requests()
    calls = parts_of(last, "functionCall")
    assert [part["functionCall"]["name"] for part in calls] == ["exec_command"] * 3
    assert ["thoughtSignature" in part for part in calls] == [True, False, True]
    assert len(parts_of(last, "functionResponse")) == 3


def test_codex_resumes_a_session_at_a_router_that_knows_nothing_of_it(
    codex: Codex, turnout: Callable[..., Turnout], tmp_path: Path
) -> None:
    assert codex.run('call: exec_command {"cmd": "echo first"}').code == 0
    signed = [part["thoughtSignature"] for part in parts_of(codex.requests()[-1], "functionCall")]
    another = turnout(CONFIG, keys={"codex": KEY})
    settings = tmp_path / "home" / "config.toml"
    settings.write_text(settings.read_text().replace(codex.router.base_url, another.base_url))
    done = codex.run("resume", "--last", "no tools say: still here")
    assert (done.code, done.said()) == (0, "still here"), done.stderr
    (entry,) = another.requests(operation="stream")
    assert [part["thoughtSignature"] for part in parts_of(entry, "functionCall")] == signed


def test_codex_patches_a_file_with_its_free_text_tool(codex: Codex) -> None:
    patch = "*** Begin Patch\n*** Add File: new.txt\n+made by a patch\n*** End Patch\n"
    done = codex.run(f"call: apply_patch {json.dumps({'input': patch})}", model="gpt-5.5")
    assert done.code == 0, done.stderr
    assert (codex.work / "new.txt").read_text() == "made by a patch\n"
    assert "Success" in done.said()


def test_codex_runs_a_script_that_calls_its_tools(codex: Codex) -> None:
    script = "const done = await tools.exec_command({cmd: 'echo by script | tee made.txt'}); text(done.output);"
    done = codex.run(f"call: functions__exec {json.dumps({'input': script})}", model="gpt-6.1-sol")
    assert done.code == 0, done.stderr
    assert (codex.work / "made.txt").read_text() == "by script\n"
    assert "by script" in done.said()


def test_codex_shows_the_model_a_picture(codex: Codex) -> None:
    file = codex.work / "seen.png"
    file.write_bytes(picture())
    done = codex.run(f"call: view_image {json.dumps({'path': str(file)})}")
    assert done.code == 0, done.stderr
    *_, last = codex.requests()
    assert "inlineData" in json.dumps(last["body"]["contents"][-1])


def test_codex_tries_again_after_a_stream_that_broke_off(codex: Codex) -> None:
    codex.router.faults(FaultRule(fault="reset-mid-stream", args={"after": 3}, times=1))
    done = codex.run("no tools words: 40")
    assert (done.code, done.said()) == (0, WORDS), done.stderr
    assert len(codex.requests()) == 2


def test_codex_never_takes_a_broken_answer_for_a_whole_one(codex: Codex) -> None:
    codex.router.faults(FaultRule(fault="truncate", args={"after": 3}))
    done = codex.run("no tools words: 40")
    assert done.code != 0
    assert done.last["type"] == "turn.failed", done.last
