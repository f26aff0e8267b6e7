"""Other gateways, for the same requests on the same box: each in an environment of its own below `.venvs`.

One that cannot be installed or started is left out, and the reason is said. Both are asked on the OpenAI wire only, and
neither may reach anything but the simulated upstream. `portkey/package.json` holds @hono/node-server back: from 1.19 on
this gateway answers every stream with 500.
"""

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from processes import HERE, HOST, ROOT, TARGET_CORE, Process, free_port
from targets import KEY, Endpoint, Target

_ENVIRONMENTS = ROOT / ".venvs"
_LITELLM, _PORTKEY = _ENVIRONMENTS / "litellm-proxy", _ENVIRONMENTS / "portkey"
_INSTALL_S = 600
_START_S = 90  # importing the proxy takes many seconds

Say = Callable[[str], None]


def peers(stack: contextlib.ExitStack, upstream: str, log: IO[bytes], say: Say) -> list[Target]:
    """Every other gateway that could be installed and started; they stop when `stack` closes."""
    found: list[Target] = []
    for name, install, start in (("litellm", _install_litellm, _litellm), ("portkey", _install_portkey, _portkey)):
        try:
            install(say)
            found.append(stack.enter_context(start(upstream, log)))
        except (RuntimeError, OSError, subprocess.SubprocessError) as exc:
            say(f"{name} is left out: {exc}")
    return found


def _install_litellm(say: Say) -> None:
    lock = HERE / "litellm-proxy.lock"
    if _stamped(_LITELLM, lock):
        return
    say("installing litellm[proxy] (about a minute) ...")
    shutil.rmtree(_LITELLM, ignore_errors=True)
    venv.create(_LITELLM, with_pip=True)
    pip = [_LITELLM / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", lock], _LITELLM)
    _stamp(_LITELLM, lock)


def _install_portkey(say: Say) -> None:
    wanted = HERE / "portkey" / "package.json", HERE / "portkey" / "package-lock.json"
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise RuntimeError("it needs node and npm")
    if _stamped(_PORTKEY, wanted[1]):
        return
    say("installing @portkey-ai/gateway ...")
    shutil.rmtree(_PORTKEY, ignore_errors=True)
    _PORTKEY.mkdir(parents=True)
    for file in wanted:
        shutil.copy(file, _PORTKEY)
    _run([npm, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"], _PORTKEY)
    _stamp(_PORTKEY, wanted[1])


@contextlib.contextmanager
def _litellm(upstream: str, log: IO[bytes]) -> Iterator[Target]:
    port = free_port()
    config = f"""
model_list:
  - model_name: bench-model
    litellm_params: {{model: openai/bench-model, api_base: "{upstream}/v1", api_key: bench}}
litellm_settings: {{telemetry: false}}
general_settings: {{master_key: sk-{KEY}}}
"""
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NO_DOCS": "True", "PYTHONPATH": ""}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(config)
        command = [_LITELLM / "bin" / "litellm", "--config", file, "--host", HOST, "--port", str(port)]
        with _started("litellm", [*command, "--telemetry", "False"], port, log, env, Path(folder)) as process:
            headers = [f"authorization: Bearer sk-{KEY}"]
            yield Target("litellm", process, port, {"openai": Endpoint("/v1/chat/completions", "bench-model", headers)})


@contextlib.contextmanager
def _portkey(upstream: str, log: IO[bytes]) -> Iterator[Target]:
    port = free_port()
    script = _PORTKEY / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    env = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": HOST}
    command = [str(shutil.which("node")), script, f"--port={port}", "--headless"]
    with _started("portkey", command, port, log, env, _PORTKEY) as process:
        headers = [
            f"authorization: Bearer {KEY}",
            "x-portkey-provider: openai",
            f"x-portkey-custom-host: {upstream}/v1",
        ]
        yield Target("portkey", process, port, {"openai": Endpoint("/v1/chat/completions", "bench-model", headers)})


def _started(
    name: str, command: Sequence[str | Path], port: int, log: IO[bytes], env: dict[str, str], cwd: Path
) -> AbstractContextManager[Process]:
    @contextlib.contextmanager
    def running() -> Iterator[Process]:
        with Process(command, TARGET_CORE, log, env=env, cwd=cwd) as process:
            try:
                process.wait_until_listening(port, _START_S)
            except RuntimeError as exc:
                raise RuntimeError(f"{name} did not start: {exc}") from exc
            yield process

    return running()


def _run(command: Sequence[str | Path], cwd: Path) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=_INSTALL_S,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise RuntimeError(f"{Path(command[0]).name} failed: {said[-1]}")


def _stamped(folder: Path, lock: Path) -> bool:
    file = folder / "stamp"
    return file.is_file() and file.read_text() == _digest(lock)


def _stamp(folder: Path, lock: Path) -> None:
    (folder / "stamp").write_text(_digest(lock))


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
