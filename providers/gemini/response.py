"""A whole `generateContent` answer -> a chat answer. Pure; ids are handed in."""

import base64
from collections.abc import Sequence

import orjson

from providers.errors import BadResponseError
from providers.gemini.candidate import CandidateReader, Mint
from providers.gemini.failures import error_in_answer
from providers.gemini.finish import native_reason, refusal_of
from providers.gemini.lenient import as_list, as_object, as_text
from providers.gemini.signature_cache import NO_RECALL, Recall
from providers.gemini.speech import as_wav, joined_audio
from providers.gemini.translated import Reading
from providers.gemini.usage import usage_from_metadata
from providers.types import ChatResponse, JsonObject, JsonValue

_TEXTS = ("content", "reasoning_content")
_SPOKEN = frozenset(_TEXTS)


def from_generate_content(
    body: bytes, *, model: str, mint: Mint, reading: Reading | None = None, recall: Recall = NO_RECALL
) -> ChatResponse:
    """The answer in OpenAI's terms. `model` is what was asked for, used when the upstream does not say what served.

    A blocked prompt is an answer: one choice with a refusal and `content_filter`. Raises BadResponseError for an
    answer that is empty, malformed or unreadable, and what an error object inside the 200 stands for.
    """
    data = parsed(body)
    rules = reading or Reading()
    choices: list[JsonObject] = []
    searches = 0
    for candidate in as_list(data.get("candidates")):
        if isinstance(candidate, dict):
            choice, searched = _choice(candidate, len(choices), CandidateReader(rules, mint, recall))
            choices.append(choice)
            searches += searched
    if not choices:
        blocked = blocked_by(data)
        if blocked is None:
            raise BadResponseError("the provider's answer holds no candidate", outcome="empty", billed=True)
        choices.append(_blocked_choice(blocked))
    usage = usage_from_metadata(as_object(data.get("usageMetadata")), searches)
    return ChatResponse(
        id=f"chatcmpl-{as_text(data.get('responseId')) or mint()}",
        model=as_text(data.get("modelVersion")) or model,
        choices=choices,
        usage=usage,
        extra=extra_of(usage.tier),
    )


def parsed(body: bytes) -> JsonObject:
    """The answer's object. Raises BadResponseError when there is none, and the error an `error` object stands for."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadResponseError("the provider's answer is not JSON") from exc
    if isinstance(data, list):
        data = next(iter(data), None)
    if not isinstance(data, dict):
        raise BadResponseError("the provider's answer is not an object")
    if data.get("error"):
        raise error_in_answer(data["error"])
    return data


def blocked_by(data: JsonObject) -> str | None:
    """Why the prompt was blocked, or None. Feedback without a reason is only ratings."""
    return native_reason(as_object(data.get("promptFeedback")).get("blockReason"))


def extra_of(tier: str) -> JsonObject:
    """Further top-level fields of the answer: the service tier, if it is known."""
    return {"service_tier": tier} if tier else {}


def joined(deltas: Sequence[JsonObject], wav_of: str | None = None) -> JsonObject:
    """One message from the deltas of one candidate; `wav_of`: audio of that type becomes a WAV file."""
    message: JsonObject = {"role": "assistant", "content": None, "refusal": None}
    keys = set[str]().union(*deltas)
    for key in _TEXTS:
        if key in keys:
            message[key] = "".join([as_text(delta[key]) for delta in deltas if key in delta])
    if keys <= _SPOKEN:  # nearly all
        return message
    for key in ("tool_calls", "images", "annotations"):
        entries: list[JsonValue] = [item for delta in deltas for item in as_list(delta.get(key))]
        if entries:
            message[key] = [_unnumbered(item) for item in entries] if key == "tool_calls" else entries
    for key in ("function_call", "refusal", "extra_content"):
        for delta in deltas:
            if key in delta:
                message[key] = delta[key]
    spoken = [as_object(delta["audio"]) for delta in deltas if "audio" in delta]
    if spoken:
        message["audio"] = {**spoken[0], "data": _one_audio([as_text(piece.get("data")) for piece in spoken], wav_of)}
    return message


def _choice(candidate: JsonObject, position: int, reader: CandidateReader) -> tuple[JsonObject, int]:
    deltas = reader.feed(candidate)
    end = reader.finish()
    index = candidate.get("index")
    choice: JsonObject = {
        "index": index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else position,
        "message": joined([*deltas, end.delta], reader.wav_of),
        "logprobs": end.logprobs,
        "finish_reason": end.finish_reason,
        "native_finish_reason": end.native,
    }
    return choice, end.searches


def _blocked_choice(reason: str) -> JsonObject:
    return {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": refusal_of(reason)},
        "logprobs": None,
        "finish_reason": "content_filter",
        "native_finish_reason": reason,
    }


def _unnumbered(call: JsonValue) -> JsonObject:
    """A call of a whole message: only streams number them."""
    return {key: value for key, value in as_object(call).items() if key != "index"}


def _one_audio(pieces: list[str], wav_of: str | None) -> str:
    """Base64 of all pieces together: a WAV file of samples of the type `wav_of`, or what they are."""
    if wav_of is not None:
        return as_wav(pieces, wav_of)
    return pieces[0] if len(pieces) == 1 else base64.b64encode(joined_audio(pieces)).decode()
