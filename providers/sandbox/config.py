"""What an operator can set on the sandbox. Frozen values; nothing here does I/O."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")


class Latency(Struct, frozen=True, kw_only=True):
    """How slow a simulated model is.

    `ttft_ms` is the median time to first token in milliseconds, `sigma` the spread of its log-normal distribution
    (0: always the median). `tokens_per_s` paces the rest; 0 sends everything at once. A picture takes `image_ms`.
    """

    ttft_ms: float = 2.0
    sigma: float = 0.0
    tokens_per_s: float = 5000.0
    image_ms: float = 5.0


class FaultRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault and where it strikes.

    `label`, `model` and `on` (an operation: generate, stream, count, embed, chat, images, edits, submit, poll, cancel,
    file, models, cache) narrow it; None matches all, except that `models`, `count`, `cache`, `cancel` and `file` are
    only struck when named. `times` is how often it may strike (None: for ever), `rate` the share of matching requests
    it strikes (0 to 1). `args` belong to the fault: see `faults.FAULTS`.
    """

    fault: str
    label: str | None = None
    model: str | None = None
    on: str | None = None
    times: int | None = None
    rate: float = 1.0
    args: Mapping[str, Any] = {}


class SandboxConfig(Struct, frozen=True, kw_only=True):
    """The whole configuration of a sandbox.

    Keys of `latency`, `quota_rpm` and `parallel` are `label/model`, `model`, `label/*` or `*`; the first of these that
    exists wins. `quota_rpm` is requests per minute, beyond which the dialect's own 429 is answered; `parallel` requests
    at a time, beyond which it is a 429 that names no time. `gemini_models` maps further
    Gemini model names to the known one they behave like; any name works in the OpenAI and Eachlabs dialects, except
    that a non-empty `openai_models` makes every other name a 404. `api_keys`, when not empty, are the only keys taken;
    otherwise every key is, except those beginning with `invalid`. `openai_strict` refuses unknown chat fields as
    OpenAI does. `job_s` is how long a create-and-poll job takes, in seconds. `max_body_bytes` bounds a request.
    """

    seed: int = 0
    latency: Mapping[str, Latency] = {}
    quota_rpm: Mapping[str, int] = {}
    parallel: Mapping[str, int] = {}
    faults: tuple[FaultRule, ...] = ()
    api_keys: frozenset[str] = frozenset()
    gemini_models: Mapping[str, str] = {}
    openai_models: frozenset[str] = frozenset()
    openai_strict: bool = True
    job_s: float = 0.05
    log_size: int = 2000
    max_body_bytes: int = 100 * 1024 * 1024

    def takes(self, key: str) -> bool:
        """Whether a request with this key is let in."""
        return bool(key) and (not self.api_keys or key in self.api_keys) and not key.startswith("invalid")

    def with_latency(self, latency: Mapping[str, Latency]) -> "SandboxConfig":
        """The same configuration with other latencies."""
        return msgspec.structs.replace(self, latency=latency)

    def latency_of(self, label: str, model: str) -> Latency:
        """The latency of one model as one provider serves it."""
        return _lookup(self.latency, label, model) or _DEFAULT_LATENCY

    def quota_of(self, label: str, model: str) -> int | None:
        """Requests per minute of one model at one provider; None: unlimited."""
        return _lookup(self.quota_rpm, label, model)

    def parallel_of(self, label: str, model: str) -> int | None:
        """Requests that one model at one provider takes at a time; None: any number."""
        return _lookup(self.parallel, label, model)


_DEFAULT_LATENCY = Latency()


def _lookup(table: Mapping[str, T], label: str, model: str) -> T | None:
    if not table:
        return None
    for key in (f"{label}/{model}", model, f"{label}/*", "*"):
        if key in table:
            return table[key]
    return None


def config_from(values: Mapping[str, Any]) -> SandboxConfig:
    """A SandboxConfig from plain JSON or YAML values. Raises ValueError naming the field that is wrong."""
    try:
        return msgspec.convert(values, SandboxConfig)
    except msgspec.ValidationError as exc:
        raise ValueError(f"sandbox: {exc}") from exc
