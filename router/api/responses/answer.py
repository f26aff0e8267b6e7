"""ChatResponse -> the response object, and chunks -> its events."""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal

import orjson

from providers.errors import ProviderError
from providers.types import ChatChunk, ChatResponse, JsonObject, JsonValue, Usage
from router.api.envelope import INTERRUPTED
from router.api.responses.events import EventLog, Tell, unheard
from router.api.responses.memory import ItemMemory
from router.api.responses.output import Output
from router.api.responses.request import ParsedResponses, repeated_of

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponsesWire:
    """The response object and its events. `stem` is a fresh random text that every id of this answer begins with,
    behind its prefix; `clock` gives the seconds since 1970; `memory` keeps the items if the client may name them."""

    def __init__(self, parsed: ParsedResponses, stem: str, clock: Callable[[], float], memory: ItemMemory) -> None:
        self._parsed = parsed
        self._memory = memory
        self._stem = stem
        self._clock = clock

    def whole(self, response: ChatResponse, cost_usd: Decimal | None) -> bytes:
        choice = response.choices[0]
        message, finish = choice.get("message"), choice.get("finish_reason")
        output = self._output(unheard)
        output.feed(message if isinstance(message, dict) else {}, choice.get("logprobs"))
        reason = finish if isinstance(finish, str) else "stop"
        output.finish("incomplete" if reason in _INCOMPLETE else "completed")
        items = output.shown()
        self._keep(items)
        shell = self._shell(response.model, response.extra)
        return orjson.dumps(shell.ended(items, reason, response.usage, cost_usd))

    def renderer(self, request_id: str, model: str, extra: Mapping[str, JsonValue]) -> "ResponsesRenderer":
        log = EventLog()
        return ResponsesRenderer(log, self._output(log.tell), self._shell(model, extra), self._keep)

    def told(self, warnings: tuple[str, ...]) -> tuple[str, ...]:
        return (*self._parsed.warnings, *self._parsed.names.in_warnings(warnings))

    def _keep(self, items: list[JsonValue]) -> None:
        if self._parsed.remembered:
            self._memory.keep(self._parsed.chat.request.caller, items)

    def _shell(self, model: str, extra: Mapping[str, JsonValue]) -> "_Shell":
        return _Shell(self._parsed.repeated, f"resp_{self._stem}", model, extra.get("service_tier"), self._clock)

    def _output(self, tell: Tell) -> Output:
        made = 0

        def new_id(prefix: str) -> str:
            nonlocal made
            made += 1
            return f"{prefix}_{self._stem}{made:04x}"

        return Output(tell, new_id, self._parsed.toolbox, encrypted=self._parsed.encrypted)


class ResponsesRenderer:
    """One streamed answer, from `response.created` to `response.completed`, `.incomplete` or `.failed`. `keep` is
    handed the items of an answer that came to its end."""

    def __init__(self, log: EventLog, output: Output, shell: "_Shell", keep: Callable[[list[JsonValue]], None]) -> None:
        self._keep = keep
        self._log = log
        self._output = output
        self._shell = shell
        self._reason = "stop"
        self.finished: Collection[int] = ()

    def opening(self) -> bytes:
        for kind in ("response.created", "response.in_progress"):
            self._log.tell(kind, response=self._shell.object("in_progress", []))
        return self._log.take()

    def render(self, batch: Sequence[ChatChunk]) -> bytes:
        for chunk in batch:
            if chunk.delta or chunk.logprobs is not None:
                self._output.feed(chunk.delta, chunk.logprobs)
            if chunk.finish_reason is not None:
                self._reason = chunk.finish_reason
                self.finished = (chunk.index,)
        return self._log.take()

    def closing(self, usage: Usage, cost_usd: Decimal | None) -> bytes:
        incomplete = self._reason in _INCOMPLETE
        self._output.finish("incomplete" if incomplete else "completed")
        items = self._output.shown()
        self._keep(items)
        ended = self._shell.ended(items, self._reason, usage, cost_usd)
        self._log.tell("response.incomplete" if incomplete else "response.completed", response=ended)
        return self._log.take()

    def failure(self, exc: ProviderError) -> bytes:
        """Two events: clients that read events look for the first, SDKs raise at the `error` of the second."""
        code = exc.code or INTERRUPTED
        failed = self._shell.object("failed", self._output.shown())
        failed["error"] = {"code": "server_error", "message": exc.message}  # of the codes that clients know
        self._log.tell("response.failed", response=failed)
        error: JsonObject = {"message": exc.message, "type": "server_error", "param": None, "code": code}
        self._log.tell("error", code=code, message=exc.message, param=None, error=error)
        return self._log.take()


class _Shell:
    """The response object around its output."""

    def __init__(
        self, repeated: JsonObject, response_id: str, model: str, tier: JsonValue, clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._fixed: JsonObject = {
            "id": response_id,
            "object": "response",
            "created_at": int(clock()),
            "status": "in_progress",
            "model": model,
            "output": [],
            "usage": None,
            "error": None,
            "incomplete_details": None,
            **repeated_of(repeated),
        }
        if tier is not None:
            self._fixed["service_tier"] = tier

    def object(self, status: str, output: list[JsonValue]) -> JsonObject:
        return {**self._fixed, "status": status, "output": output}

    def ended(self, output: list[JsonValue], finish_reason: str, usage: Usage, cost_usd: Decimal | None) -> JsonObject:
        """The object of an answer that came to its end. `finish_reason` is the chat answer's."""
        reason = _INCOMPLETE.get(finish_reason)
        made = self.object("incomplete" if reason else "completed", output)
        if reason:
            made["incomplete_details"] = {"reason": reason}
        else:
            made["completed_at"] = int(self._clock())
        made["usage"] = _usage(usage, cost_usd)
        return made


def _usage(usage: Usage, cost_usd: Decimal | None) -> JsonObject:
    shown: JsonObject = {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
    if cost_usd is not None:
        shown["cost"] = float(cost_usd)
    return shown
