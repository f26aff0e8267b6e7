"""What starting the router loads: nothing heavy that most requests never need."""

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
