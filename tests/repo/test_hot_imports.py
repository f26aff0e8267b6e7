"""What starting the router loads: nothing heavy that most requests never need."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("litellm", "PIL", "google", "openai", "numpy", "httpx", "typer", "rich")

FRAMEWORKS = "fastapi, aiohttp, prometheus_client, pydantic, cel_expr_python"


def test_importing_the_application_loads_no_heavy_package() -> None:
    code = f"import sys, router.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_importing_the_application_is_quick(tmp_path: Path) -> None:
    """Under 0.6 s, or on a slow machine under twice what its frameworks alone take: the best of three runs each.

    Processor time, so that a busy machine is no slow import; with byte code.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def seconds(modules: str) -> float:
        code = f"import time; t = time.process_time(); import {modules}; print(time.process_time() - t)"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
            env={**kept, "PYTHONPYCACHEPREFIX": str(tmp_path)},
        )  # fmt: skip
        return float(done.stdout)

    def best(modules: str) -> float:
        seconds(modules)  # fills the byte code cache
        return min(seconds(modules) for _ in range(3))

    found = best("router.app")
    assert found < 0.6 or found < 2 * best(FRAMEWORKS)
