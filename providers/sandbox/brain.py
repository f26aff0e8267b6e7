"""What a simulated model says. Pure and deterministic: the same prompt and seed give the same answer.

A plain prompt is answered with a sentence that names the sandbox and quotes the prompt. Commands in the text of the
last user turn change that:

    say: <text>         answers exactly <text>, to the end of the prompt
    words: N            answers `word1 word2 ... wordN`
    think: N            spends N tokens on thinking (models that think)
    wait: S             answers S seconds later
    inspect:            answers a JSON object that says what arrived (system text, turns, images, tools)
    no tools            calls no tool although tools are declared (mode AUTO)
    parallel: N         calls the tool N times
    call: NAME {...}    calls the tool NAME with exactly these arguments (may be repeated)
    A then: B           two steps of calls: those A asks for, and once their results are there those B asks for
    sandbox-fault: name;key=value     this request meets that fault (see `faults.FAULTS`)
    resume: HOW         how the model goes on with a text of its own: `exactly` (as it does without this command),
                        `repeat N` (with its last N words again), `restart` (from its beginning), `tight` (without the
                        white space between), `chatter` (with words about it first)

A conversation that ends with the model's own words, on a model that takes such a prefill, is answered with the rest of
what it says to the user turn before; so is a last user turn that ends in `Continue from: <words>`, beginning with those
words, which must be the last of what it said. Words that are not its own it does not know how to go on with: it says
its own.

With tools declared a user turn is answered with calls: to the tools that the text names (all of them, in parallel), or
else to the first one; two or more capitalised words ("Oslo and Rome") give one call each. Arguments fit the tool's
schema. Once the last step has its results the answer quotes those of all steps. With a JSON schema the text is an
instance of it; two schemas it knows, see `enhancement.py`: prompts of pictures it rewrites, and pictures it judges.
"""

import hashlib
import json
import re
from collections.abc import Collection
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from providers.sandbox.enhancement import enhancement_of
from providers.sandbox.instances import NoInstanceError, instance_of

_MOST_CALLS = 16
_THEN = "then:"
_JSON = json.JSONDecoder()  # it reads a value that more text follows
_SNIPPET = 160  # characters of the prompt that a plain answer quotes
_SAY = re.compile(r"\bsay:[ \t]*(.*)", re.DOTALL)
_WORDS = re.compile(r"\bwords:\s*(\d{1,6})")
_THINK = re.compile(r"\bthink:\s*(\d{1,6})")
_WAIT = re.compile(r"\bwait:\s*(\d{1,4}(?:\.\d+)?)")
_RESUME = re.compile(r"\bresume:\s*(exactly|repeat|restart|tight|chatter)(?:\s+(\d{1,4}))?")
_CONTINUE = re.compile(r"\bContinue from:[ \t]*(.*)", re.DOTALL)
_PARALLEL = re.compile(r"\bparallel:\s*(\d{1,3})")
_CALL = re.compile(r"\bcall:\s*([\w.-]+)\s*(?=\{)")
_PROPER = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-ZÀ-Þ][\w'’-]+")


Step = tuple[tuple[str, str], ...]  # (tool, content) of calls that were made together


class Tool(Struct, frozen=True):
    """A declared function: its name and the JSON Schema (or OpenAPI subset) of its arguments, None for none."""

    name: str
    schema: dict[str, Any] | None


class Prompt(Struct, frozen=True, kw_only=True):
    """A request in no dialect. `text` is that of the last user turn; `steps` are the tool results since then, not empty
    when the last turn brings some. `begun` is what the model has said of this answer; `before` the text of the user
    turn before the last, and what the model said to it. `mode` is auto, any, none or validated. Tokens are counted by
    `tokens_in`.
    """

    model: str
    text: str = ""
    system: str = ""
    begun: str = ""
    before: tuple[str, str] = ("", "")
    turns: int = 1
    images: int = 0
    steps: tuple[Step, ...] = ()
    tools: tuple[Tool, ...] = ()
    mode: str = "auto"
    allowed: frozenset[str] = frozenset()
    parallel: bool = True
    schema: dict[str, Any] | None = None
    json_object: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    thinking: int = 0
    seed: int = 0


class Call(Struct, frozen=True):
    name: str
    arguments: dict[str, Any]


class Reply(Struct, frozen=True, kw_only=True):
    """An answer in no dialect. `finish` is "stop", "length" or "calls"; the counts are tokens; `wait_s` seconds."""

    text: str = ""
    thoughts: str = ""
    thought_tokens: int = 0
    calls: tuple[Call, ...] = ()
    finish: str = "stop"
    tokens: int = 0
    wait_s: float = 0.0


def tokens_in(text: str) -> int:
    """Tokens of a text: four UTF-8 bytes each, rounded up."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4


def answer_to(prompt: Prompt) -> Reply:
    """The model's answer."""
    anchor = None
    if prompt.before[1] and (match := _CONTINUE.search(prompt.text)):
        anchor = match[1].strip()
        prompt = msgspec.structs.replace(prompt, text=prompt.before[0], begun=prompt.before[1])
    text = prompt.text
    commanded = ":" in text  # nearly every prompt has no command: one cheap look saves five searches
    thought_tokens = prompt.thinking
    wait_s = 0.0
    if commanded:
        if (match := _THINK.search(text)) and prompt.thinking > 0:
            thought_tokens = int(match[1])
        if match := _WAIT.search(text):
            wait_s = float(match[1])
    calls = _calls(prompt) if prompt.tools else ()
    if calls:
        tokens = sum(tokens_in(call.name) + tokens_in(orjson.dumps(call.arguments).decode()) for call in calls)
        return _within_limit(
            prompt, Reply(calls=calls, finish="calls", tokens=tokens, thought_tokens=thought_tokens, wait_s=wait_s)
        )
    said = _text(prompt, commanded=commanded)
    if prompt.begun:
        said = _rest(said, prompt.begun, anchor, _RESUME.search(text))
    for stop in prompt.stop:
        said = said.partition(stop)[0]
    return _within_limit(prompt, Reply(text=said, tokens=tokens_in(said), thought_tokens=thought_tokens, wait_s=wait_s))


def _within_limit(prompt: Prompt, reply: Reply) -> Reply:
    """The reply cut to `max_tokens`, thinking included; thoughts are worded here, once their length is known."""
    limit = prompt.max_tokens
    if limit is not None and reply.thought_tokens + reply.tokens > limit:
        thought_tokens = min(reply.thought_tokens, limit)
        room = limit - thought_tokens
        text = reply.text.encode()[: room * 4].decode("utf-8", "ignore")
        return Reply(
            text=text,
            thoughts=_thoughts(prompt, thought_tokens),
            thought_tokens=thought_tokens,
            finish="length",
            tokens=tokens_in(text),
            wait_s=reply.wait_s,
        )
    if not reply.thought_tokens:
        return reply
    return Reply(
        text=reply.text,
        thoughts=_thoughts(prompt, reply.thought_tokens),
        thought_tokens=reply.thought_tokens,
        calls=reply.calls,
        finish=reply.finish,
        tokens=reply.tokens,
        wait_s=reply.wait_s,
    )


def _thoughts(prompt: Prompt, tokens: int) -> str:
    if not tokens:
        return ""
    return f"**Reading the prompt**\n\nThe sandbox pretends to think about {prompt.text[:60]!r}."


def _text(prompt: Prompt, *, commanded: bool) -> str:
    if prompt.schema is not None or prompt.json_object:
        if prompt.schema and (known := enhancement_of(prompt.schema, prompt.text, prompt.seed)) is not None:
            return known
        return orjson.dumps(_structured(prompt)).decode()
    if prompt.steps:
        quoted = "; ".join(f"{name} returned {content}" for step in prompt.steps for name, content in step)
        return f"Sandbox: {quoted}."
    if commanded:
        if "inspect:" in prompt.text:
            return orjson.dumps(_inspected(prompt)).decode()
        if match := _SAY.search(prompt.text):
            return match[1].strip()
        if match := _WORDS.search(prompt.text):
            return " ".join(f"word{number}" for number in range(1, int(match[1]) + 1))
    seen = f" It came with {prompt.images} picture(s)." if prompt.images else ""
    snippet = " ".join(prompt.text[:_SNIPPET].split())
    return f"This is the sandbox answering as {prompt.model}; no real model was asked. You said: {snippet!r}.{seen}"


def _rest(whole: str, begun: str, anchor: str | None, how: re.Match[str] | None) -> str:
    """What is left to say of `whole` behind `begun`; with an `anchor`, that is said first."""
    known = begun.rstrip()
    if not whole.startswith(known) or (anchor is not None and not known.endswith(anchor)):
        return whole
    rest = whole[len(known) :]
    if anchor is not None:
        rest = anchor + rest
    elif begun != known:
        rest = rest.lstrip()
    match how[1] if how else "exactly":
        case "repeat":
            return " ".join(known.split()[-int((how and how[2]) or 1) :]) + (rest if rest[:1].isspace() else f" {rest}")
        case "restart":
            return whole
        case "tight":
            return rest.lstrip()
        case "chatter":
            return f"Sure, here is the rest: {rest}"
        case _:
            return rest


def _structured(prompt: Prompt) -> Any:
    if prompt.schema is None:
        return {"sandbox": True, "echo": prompt.text[:_SNIPPET]}
    try:
        return instance_of(prompt.schema, seed=f"{prompt.seed}/{prompt.text}")
    except NoInstanceError:
        return {}


def _inspected(prompt: Prompt) -> dict[str, Any]:
    return {
        "model": prompt.model,
        "system": prompt.system,
        "turns": prompt.turns,
        "images": prompt.images,
        "tools": [tool.name for tool in prompt.tools],
        "mode": prompt.mode,
        "max_tokens": prompt.max_tokens,
        "stop": list(prompt.stop),
    }


def _calls(prompt: Prompt) -> tuple[Call, ...]:
    if prompt.mode == "none":
        return ()
    asked = prompt.text.split(_THEN)
    text = asked[min(len(prompt.steps), len(asked) - 1)]
    if prompt.mode != "any" and (len(prompt.steps) >= len(asked) or "no tools" in text.lower()):
        return ()
    tools = [tool for tool in prompt.tools if not prompt.allowed or tool.name in prompt.allowed]
    if not tools:
        return ()
    if "call:" in text and (exact := _exact_calls(text, {tool.name for tool in tools})):
        return exact
    named = [tool for tool in tools if tool.name in text]
    chosen = named or tools[:1]
    names = {tool.name for tool in tools}
    items = [word for word in _PROPER.findall(text) if word not in names]
    if match := _PARALLEL.search(text):
        count = min(int(match[1]), _MOST_CALLS)
        chosen = [chosen[number % len(chosen)] for number in range(count)]
        items = (items or ["item"]) * count if len(items) < count else items
    elif len(chosen) == 1 and len(items) > 1 and _takes_text(chosen[0]):
        chosen = chosen * min(len(items), _MOST_CALLS)
    if not prompt.parallel:
        chosen = chosen[:1]
    return tuple(_call(prompt, tool, number, items) for number, tool in enumerate(chosen))


def _exact_calls(text: str, names: Collection[str]) -> tuple[Call, ...]:
    """The calls that the text spells out; those of undeclared tools, and what is no JSON, are not made."""
    calls: list[Call] = []
    for match in _CALL.finditer(text):
        try:
            arguments, _ = _JSON.raw_decode(text, match.end())
        except ValueError:
            continue
        if match[1] in names:
            calls.append(Call(match[1], arguments))
    return tuple(calls)


def _call(prompt: Prompt, tool: Tool, number: int, items: list[str]) -> Call:
    item = items[number % len(items)] if items else ""
    try:
        made = instance_of(tool.schema, seed=f"{prompt.seed}/{prompt.text}/{number}", item=item) if tool.schema else {}
    except NoInstanceError:
        made = {}
    return Call(tool.name, made if isinstance(made, dict) else {"value": made})


def _takes_text(tool: Tool) -> bool:
    properties = (tool.schema or {}).get("properties") or {}
    required = (tool.schema or {}).get("required") or []
    return any(
        str(sub.get("type", "")).lower() == "string" and not sub.get("enum")
        for key, sub in properties.items()
        if isinstance(sub, dict) and key in required
    )


def identifier(prefix: str, key: str, length: int = 24) -> str:
    """`prefix` and `length` (at most 64) hex digits that depend on `key` alone."""
    return prefix + hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()[:length]
