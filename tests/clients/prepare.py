"""Makes the environments that the client tests run in, from the locks beside this file; quick when nothing changed.

    .venvs/openai-2, .venvs/openai-3   OpenAI's Python SDK, one per lock
    .venvs/agents                      LangChain, Pydantic AI and OpenAI's Agents SDK together
    .venvs/s3                          moto, which speaks S3 on a loopback port
    .venvs/node                        npm packages: OpenAI's SDK twice, the AI SDK, and a Node new enough for all
    .venvs/codex                       Codex, OpenAI's coding agent
    .venvs/exiftool                    exiftool out of Debian's package, unpacked, where it is not installed

Each holds a stamp, the hash of what it was made from. Exit code 1 when a Python environment could not be made. Node
and exiftool are not required: without them this says so, and the tests that need them skip with the same reason.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".venvs"
PYTHON_CLIENTS = ("openai-2", "openai-3", "agents", "s3")
NODE = ENVIRONMENTS / "node"
CODEX = ENVIRONMENTS / "codex"
EXIFTOOL = ENVIRONMENTS / "exiftool"
SKIPPED = "skipped"  # the file in each of these that holds the reason

_NEEDS_NODE = {"openai-7": 22, "ai": 22}  # packages that refuse an older one
_EXIFTOOL_PACKAGE = "libimage-exiftool-perl"
_STAMP = "stamp"
_TIMEOUT_S = 600


def main() -> int:
    """Bring every environment up to date. Gives the exit code."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    failed = [name for name in PYTHON_CLIENTS if not _python(name)]
    _node(NODE)
    _node(CODEX)
    _exiftool(EXIFTOOL)
    if failed:
        print(f"could not make {', '.join(failed)}: the client tests need the package registries once", file=sys.stderr)
    return 1 if failed else 0


def python_of(name: str) -> Path:
    """The interpreter of the Python environment `name`."""
    return ENVIRONMENTS / name / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def node_for(package: str) -> tuple[Path | None, str]:
    """A Node that runs `package` (its folder in node_modules), or None and the reason why there is none."""
    skipped = NODE / SKIPPED
    if skipped.is_file():
        return None, skipped.read_text()
    found = shutil.which("node")
    newer = next(NODE.glob("node_modules/node-*/bin/node"), None)
    if package not in _NEEDS_NODE:
        return (Path(found), "") if found else (newer, "no node on this machine")
    if newer is None and found and _major(found) >= _NEEDS_NODE[package]:
        return Path(found), ""
    return newer, f"{package} needs Node {_NEEDS_NODE[package]}, which is not to be had here"


def codex() -> tuple[Path | None, str]:
    """The launcher of Codex, which is a script for Node, or None and the reason why there is none."""
    skipped = CODEX / SKIPPED
    if skipped.is_file():
        return None, skipped.read_text()
    if next(CODEX.glob("node_modules/@openai/codex-*"), None) is None:
        return None, f"there is no Codex for {sys.platform} on {platform.machine()}"
    return CODEX / "node_modules/@openai/codex/bin/codex.js", ""


def exiftool() -> tuple[list[str] | None, str]:
    """How exiftool is called, or None and the reason why there is none."""
    if found := shutil.which("exiftool"):
        return [found], ""
    script = EXIFTOOL / "usr/bin/exiftool"
    if script.is_file():
        return ["perl", "-I", str(EXIFTOOL / "usr/share/perl5"), str(script)], ""
    skipped = EXIFTOOL / SKIPPED
    return None, skipped.read_text() if skipped.is_file() else "no exiftool: tests/clients/prepare.py fetches it"


def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30).stdout
    return int(said.strip().removeprefix("v").partition(".")[0] or 0)


def _python(name: str) -> bool:
    lock = HERE / f"{name}.lock"
    folder = ENVIRONMENTS / name
    stamp = _digest(lock, platform.python_version())
    if _stamped(folder, stamp):
        return True
    print(f"installing {name} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    pip = [str(python_of(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wrong = _run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(lock)], folder)
    if wrong:
        print(f"{name}: {wrong}", file=sys.stderr)
        return False
    (folder / _STAMP).write_text(stamp)
    return True


def _node(folder: Path) -> None:
    """The npm packages of one environment, by the lock in the folder of the same name beside this file."""
    wanted = [HERE / folder.name / "package.json", HERE / folder.name / "package-lock.json"]
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    stamp = _digest(*wanted, " ".join(missing))
    if _stamped(folder, stamp):
        if missing:
            _say_skipped(folder.name, (folder / SKIPPED).read_text())
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if missing:
        reason = f"no {' and no '.join(missing)} on this machine"
        (folder / _STAMP).write_text(stamp)
    else:
        print(f"installing {folder.name} ...", flush=True)
        for file in wanted:
            shutil.copy(file, folder)
        npm = [str(shutil.which("npm")), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        reason = _run(npm, folder)
        if not reason:
            (folder / _STAMP).write_text(stamp)
    if reason:
        (folder / SKIPPED).write_text(reason)
        _say_skipped(folder.name, reason)


def _exiftool(folder: Path) -> None:
    """The package, fetched by the machine's own apt and unpacked: nothing is installed, and root is not needed."""
    missing = [tool for tool in ("apt-get", "dpkg-deb", "perl") if shutil.which(tool) is None]
    stamp = _digest(_EXIFTOOL_PACKAGE, " ".join(missing))
    if shutil.which("exiftool") or (_stamped(folder, stamp) and not missing):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    reason = f"no exiftool, and no {' and no '.join(missing)} to fetch it" if missing else _unpacked(folder)
    if reason:
        (folder / SKIPPED).write_text(reason)
        print(f"exiftool is not to be had: {reason}", file=sys.stderr)
    else:
        (folder / _STAMP).write_text(stamp)


def _unpacked(folder: Path) -> str:
    """What went wrong; empty when nothing did. A machine that never listed its packages is made to, by root."""
    print("fetching exiftool ...", flush=True)
    fetch = ["apt-get", "-qq", "download", _EXIFTOOL_PACKAGE]
    wrong = _run(fetch, folder)
    if wrong and os.geteuid() == 0:
        wrong = _run(["apt-get", "-qq", "update"], folder) or _run(fetch, folder)
    package = next(folder.glob("*.deb"), None)
    if wrong or package is None:
        return wrong or "apt-get fetched nothing"
    return _run(["dpkg-deb", "-x", package.name, "."], folder)


def _say_skipped(name: str, reason: str) -> None:
    print(f"the clients in {name} are skipped: {reason}", file=sys.stderr)


def _digest(*parts: Path | str) -> str:
    made_of = hashlib.sha256()
    for part in parts:
        made_of.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        made_of.update(b"\0")
    return made_of.hexdigest()


def _stamped(folder: Path, stamp: str) -> bool:
    file = folder / _STAMP
    return file.is_file() and file.read_text() == stamp


def _run(command: list[str], folder: Path) -> str:
    """What went wrong, in a line; empty when nothing did."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return str(exc)
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    said = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no message")
    return f"{Path(command[0]).name} failed with exit code {done.returncode}: {said}"


if __name__ == "__main__":
    sys.exit(main())
