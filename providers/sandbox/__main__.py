"""`python -m providers.sandbox`: simulated upstreams in a process of their own, for benchmarks and rehearsals."""

import argparse
import asyncio
import sys
from pathlib import Path

import orjson

from providers.sandbox.config import Latency, SandboxConfig, config_from
from providers.sandbox.server import SandboxServer


def main() -> int:
    """Serve until interrupted; prints the base URL on the first line of standard output."""
    parser = argparse.ArgumentParser(prog="python -m providers.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--config", type=Path, help="a JSON file with the fields of SandboxConfig")
    parser.add_argument("--ttft-ms", type=float, help="median time to first token of every model")
    parser.add_argument("--tokens-per-s", type=float, help="speed of every model; 0: everything at once")
    options = parser.parse_args()
    try:
        config = config_from(orjson.loads(options.config.read_bytes())) if options.config else SandboxConfig()
    except (OSError, ValueError) as exc:
        print(exc, file=sys.stderr)
        return 2
    if options.ttft_ms is not None or options.tokens_per_s is not None:
        default = Latency()
        latency = Latency(
            ttft_ms=default.ttft_ms if options.ttft_ms is None else options.ttft_ms,
            tokens_per_s=default.tokens_per_s if options.tokens_per_s is None else options.tokens_per_s,
        )
        config = config.with_latency({**config.latency, "*": latency})
    try:
        _loop_runner().run(_serve(config, options.host, options.port))
    except KeyboardInterrupt:
        return 0
    return 0


async def _serve(config: SandboxConfig, host: str, port: int) -> None:
    async with SandboxServer(config, host=host, port=port) as server:
        print(server.base_url, flush=True)
        await asyncio.Event().wait()


def _loop_runner() -> asyncio.Runner:
    try:
        import uvloop  # not there on Windows
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


if __name__ == "__main__":
    raise SystemExit(main())
