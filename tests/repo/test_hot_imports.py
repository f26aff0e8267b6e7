"""What starting the router loads: nothing heavy that most requests never need."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("litellm", "PIL", "google", "openai", "numpy", "httpx", "typer", "rich")


def test_importing_the_application_loads_no_heavy_package() -> None:
    code = f"import sys, router.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_importing_the_application_is_quick() -> None:
    """As `python -X importtime` sees it: under 0.6 s in all, the best of three runs on whatever machine this is."""
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", "import router.app"],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        rows = re.findall(r"^import time:\s+\d+ \|\s+(\d+) \|\s*(\S+)$", done.stderr, re.M)
        imported = {name: int(microseconds) for microseconds, name in rows}
        assert not {name for name in imported if name.partition(".")[0] in HEAVY}
        seconds.append(imported["router.app"] / 1e6)
    assert min(seconds) < 0.6, seconds
