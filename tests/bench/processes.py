"""Processes under measurement: started on one core, asked for the CPU time they used, stopped by their own id."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOST = "127.0.0.1"
_TICKS = os.sysconf("SC_CLK_TCK")
_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
TARGET_CORE = {_CORES[0]}
OTHER_CORES = set(_CORES[1:]) or TARGET_CORE


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A child's environment: this checkout importable, its byte code cached as an installed one's is."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT), **(extra or {})}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


class Process:
    """A child pinned to `cores`. Its output goes to `log`; use as a context manager, which stops it."""

    def __init__(
        self,
        command: Sequence[str | Path],
        cores: set[int],
        log: IO[bytes],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        self.started = time.perf_counter()
        self._child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=cwd,
            env=environment(env),
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def wait_until_listening(self, port: int, timeout_s: float = 60.0) -> None:
        deadline = time.perf_counter() + timeout_s
        while time.perf_counter() < deadline:
            if self._child.poll() is not None:
                break
            try:
                socket.create_connection((HOST, port), 1).close()
                return
            except OSError:
                time.sleep(0.005)
        raise RuntimeError(f"nothing listens on port {port}")

    def cpu_s(self) -> float:
        """CPU seconds used so far, by the process, its threads and its children."""
        return sum(map(_cpu_s, self._tree()))

    def memory_mib(self) -> float:
        """Resident memory of the process and its children."""
        return sum(map(_resident_kib, self._tree())) / 1024

    def _tree(self) -> list[int]:
        found = [self._child.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, task.read_text().split())
        return found


def python(script: str, *args: object) -> list[str]:
    return [sys.executable, str(HERE / script), *map(str, args)]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS  # utime, stime, and those of ended children


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
