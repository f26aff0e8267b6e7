"""`logprobsResult` -> OpenAI's `logprobs.content`."""

from itertools import zip_longest

from providers.gemini.lenient import as_list, as_object, as_text
from providers.types import JsonObject, JsonValue


def logprobs_content(result: JsonObject) -> list[JsonValue]:
    """One entry per token. A missing log probability is 0.0: protobuf JSON leaves out defaults."""
    chosen, top = as_list(result.get("chosenCandidates")), as_list(result.get("topCandidates"))
    content: list[JsonValue] = []
    for token, others in zip_longest(chosen, top[: len(chosen)]):
        alternatives: list[JsonValue] = [_entry(item) for item in as_list(as_object(others).get("candidates"))]
        content.append({**_entry(token), "top_logprobs": alternatives})
    return content


def _entry(token: JsonValue) -> JsonObject:
    source = as_object(token)
    text, logprob = as_text(source.get("token")), source.get("logProbability")
    known = isinstance(logprob, int | float) and not isinstance(logprob, bool)
    return {"token": text, "logprob": logprob if known else 0.0, "bytes": list(text.encode())}
