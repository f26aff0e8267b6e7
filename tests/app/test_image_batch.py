"""`turnout images batch` as people run it: a process of its own, cut off and gone on with, against the real router."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Turnout, eventually
from PIL import Image

from providers.sandbox.config import FaultRule, Latency, SandboxConfig

CONFIG = """
providers: {google: {type: gemini, api_key: "k"}}
models: {image: {targets: [google/gemini-3.1-flash-image]}}
"""
SLOW = SandboxConfig(latency={"*": Latency(image_ms=250)})
PROMPTS = [f"picture number {number}" for number in range(20)]


class Command:
    """The command line with a router, a file of prompts and a folder."""

    def __init__(self, router: Turnout, folder: Path) -> None:
        self.router = router
        self.out = folder / "out"
        self.file = folder / "prompts.txt"

    def start(self, *more: str, prompts: list[str] = PROMPTS) -> subprocess.Popen[str]:
        self.file.write_text("\n".join(prompts), "utf-8")
        return subprocess.Popen(
            [
                sys.executable, "-c", "from router.cli import main; main()", "images", "batch", str(self.file),
                "--out", str(self.out), "--base-url", self.router.base_url, "--concurrency", "2", *more,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "160"},
        )  # fmt: skip

    def run(self, *more: str, prompts: list[str] = PROMPTS) -> tuple[int, str]:
        process = self.start(*more, prompts=prompts)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    def made(self) -> int:
        """How many pictures the upstream was asked for."""
        return len(self.router.requests())

    def entries(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.out / "batch.jsonl").read_text("utf-8").splitlines()
        return [entry for entry in map(json.loads, lines) if entry["type"] == kind]

    def pictures(self) -> list[Path]:
        return sorted(self.out.glob("0*.png"))


@pytest.fixture
def slow(turnout: Callable[..., Turnout], tmp_path: Path) -> Command:
    return Command(turnout(CONFIG, sandbox=SLOW), tmp_path)


@pytest.fixture
def quick(turnout: Callable[..., Turnout], tmp_path: Path) -> Command:
    return Command(turnout(CONFIG), tmp_path)


def test_every_prompt_becomes_a_picture_on_a_sheet(quick: Command) -> None:
    code, said = quick.run("--format", "jpeg", prompts=["# a comment", "", "a red door", '{"prompt": "two", "n": 2}'])
    assert code == 0, said
    assert "2 of 2 prompts done" in said
    names = sorted(path.name for path in quick.out.glob("0*"))
    assert [name[:10] for name in names] == ["0001-a-red", "0002-two-" + names[1][9], "0002-two-" + names[2][9]]
    assert {path.suffix for path in quick.out.glob("0*")} == {".jpg"}
    with Image.open(quick.out / "contact-sheet.jpg") as sheet:
        assert sheet.width > 512
        assert b"trainedAlgorithmicMedia" in sheet.info["xmp"]
    done = quick.entries("done")
    assert [entry["number"] for entry in done] == [1, 2]
    assert all(float(entry["cost_usd"]) > 0 and entry["model"] == "gemini-3.1-flash-image" for entry in done)


def test_a_batch_that_is_done_asks_for_nothing_more(quick: Command) -> None:
    assert quick.run(prompts=PROMPTS[:3])[0] == 0
    asked = quick.made()
    code, said = quick.run(prompts=["another", *PROMPTS[:3]])
    assert (code, quick.made() - asked) == (0, 1), said
    assert len(quick.pictures()) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_lets_what_is_under_way_end_and_the_next_run_goes_on(slow: Command) -> None:
    process = slow.start()
    eventually(lambda: slow.made() >= 4, 20)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 130, said
    done = len(slow.entries("done"))
    assert 2 <= done < 20
    assert done == slow.made() == len(slow.pictures())
    assert (slow.out / "contact-sheet.jpg").exists()
    code, said = slow.run()
    assert code == 0, said
    assert "20 of 20 prompts done" in said
    assert slow.made() == len(slow.pictures()) == 20


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
@pytest.mark.parametrize("how", ["ctrl-c twice", "kill"])
def test_what_was_under_way_when_a_run_was_cut_off_is_not_paid_twice(slow: Command, how: str) -> None:
    process = slow.start()
    eventually(lambda: slow.made() >= 3, 20)
    if how == "kill":
        process.kill()
    else:
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGKILL)
    assert len(slow.entries("sent")) > len(slow.entries("done"))
    code, said = slow.run()
    assert code == 0, said
    assert slow.made() == len(slow.pictures()) == 20


def test_what_can_no_longer_be_collected_is_not_asked_for_again_unbidden(quick: Command) -> None:
    assert quick.run(prompts=PROMPTS[:1])[0] == 0
    journal = quick.out / "batch.jsonl"
    lines = [line for line in journal.read_text("utf-8").splitlines() if '"done"' not in line]
    sent = json.loads(lines[-1])
    journal.write_text("\n".join([*lines[:-1], json.dumps({**sent, "at": sent["at"] - 3600}), '{"type":"do']), "utf-8")
    asked = quick.made()
    code, said = quick.run(prompts=PROMPTS[:1])
    assert (code, quick.made() - asked) == (1, 0)
    assert "--repeat-lost" in said
    assert quick.run("--repeat-lost", prompts=PROMPTS[:1])[0] == 0


def test_refusals_are_told_and_only_asked_again_when_told_to(quick: Command) -> None:
    quick.router.faults(FaultRule(fault="image-safety", times=1))
    code, said = quick.run("--concurrency", "1", prompts=PROMPTS[:3])
    assert code == 1
    assert "moderation_blocked" in said
    asked = quick.made()
    assert quick.run(prompts=PROMPTS[:3])[0] == 1
    assert quick.made() == asked
    assert quick.run("--retry-failed", prompts=PROMPTS[:3])[0] == 0
    assert quick.made() == asked + 1


def test_a_limit_on_cost_ends_a_batch(quick: Command) -> None:
    code, said = quick.run("--max-cost-usd", "0.1", "--concurrency", "1")
    assert code == 1
    assert "the limit on cost is reached" in said
    assert quick.made() == 2  # 0.067 each


def test_no_router_is_said_in_one_line_and_costs_nothing(quick: Command) -> None:
    code, said = quick.run("--base-url", "http://127.0.0.1:9/v1", prompts=PROMPTS[:1])
    assert code == 1
    assert "router_unreachable" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (["# nothing"], "holds no prompt"),
        (["ok", "{broken"], "prompts.txt:2: is not JSON"),
        (['{"size": "1024x1024"}'], "'prompt' must be a text"),
        (['{"prompt": "x", "stream": true}'], "'stream' has no place in a batch"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_line(quick: Command, prompts: list[str], message: str) -> None:
    code, said = quick.run(prompts=prompts)
    assert code == 2
    assert message in said
    assert quick.made() == 0
