"""One candidate of an answer, plain or streamed: its parts become the same deltas, its end the same last delta."""

from collections.abc import Callable

import orjson
from msgspec import Struct

from providers.errors import BadResponseError
from providers.gemini.arguments import coerced
from providers.gemini.finish import FILTERED, finish_reason, native_reason, refusal_of
from providers.gemini.grounding import annotations, searches
from providers.gemini.lenient import as_list, as_object, as_text
from providers.gemini.logprobs import logprobs_content
from providers.gemini.signature_cache import NO_RECALL, Recall, beside, call_key, picture_key
from providers.gemini.signatures import signed
from providers.gemini.translated import Reading
from providers.types import JsonObject, JsonValue

_SIDE_FIELDS = frozenset(
    {"groundingMetadata", "citationMetadata", "urlContextMetadata", "logprobsResult", "continuationToken"}
)

Mint = Callable[[], str]


class End(Struct, frozen=True, kw_only=True):
    """How a candidate ended: what is left to show, and why it stopped."""

    delta: JsonObject
    finish_reason: str
    native: str | None
    logprobs: JsonValue
    searches: int


class CandidateReader:
    """Reads one candidate, in one piece or in many. `mint` makes an id for a call that came without one; `recall`
    keeps the signatures of calls and pictures, for clients that will not send them back. `wav_of` is the type of the
    audio so far, where it is to become a WAV file.
    """

    def __init__(self, reading: Reading, mint: Mint, recall: Recall = NO_RECALL) -> None:
        self._reading = reading
        self._mint = mint
        self._recall = recall
        self._first_call = ""
        self._first_picture = ""
        self._texts: list[str] = []
        self._held: str | None = "" if reading.json_text else None
        self._shown = False
        self._ids: set[str] = set()
        self._calls = 0
        self._pictures = 0
        self._audio_id = ""
        self._signature = ""
        self._google: JsonObject = {}
        self._grounding: JsonObject = {}
        self._citations: JsonObject = {}
        self._read_urls: JsonObject = {}
        self._logprobs: list[JsonValue] = []
        self.native: str | None = None
        self.wav_of: str | None = None

    def feed(self, candidate: JsonObject) -> list[JsonObject]:
        """The deltas of the parts that this piece brings, in order."""
        deltas: list[JsonObject] = []
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        if isinstance(parts, list):
            for part in parts:
                delta = self._part(part) if isinstance(part, dict) else None
                if delta:
                    deltas.append(delta)
        if len(candidate) > 1 or content is None:
            self._remember(candidate)
        return deltas

    def finish(self) -> End:
        """The last delta and the reason. Raises BadResponseError for an answer no client could use."""
        last: JsonObject = {}
        if self._held:
            text = _unfenced(self._held)
            last["content"] = text
            self._texts.append(text)
            self._shown = True
        reason = finish_reason(self.native, shown=self._shown, called=self._calls > 0)
        if reason == "content_filter" and self.native in FILTERED:
            last["refusal"] = refusal_of(str(self.native))
        if reason == "tool_calls" and self._reading.legacy_function:
            reason = "function_call"
        if self._grounding or self._citations:
            sources = annotations("".join(self._texts), self._grounding, self._citations)
            if sources:
                last["annotations"] = sources
        extra = self._extra()
        if extra:
            last["extra_content"] = {"google": extra}
        return End(
            delta=last,
            finish_reason=reason,
            native=self.native,
            logprobs={"content": self._logprobs, "refusal": None} if self._logprobs else None,
            searches=searches(self._grounding, by_query=self._reading.searches_by_query) if self._grounding else 0,
        )

    def _extra(self) -> JsonObject:
        extra = dict(self._google)
        if self._signature:
            extra["thought_signature"] = self._signature
            anchor = self._first_call or self._first_picture
            if anchor:  # a text alone is not worth the memory: nobody checks its signature
                self._recall.keep(beside(anchor), self._signature)
        if self._grounding:
            extra["grounding_metadata"] = self._grounding
        if self._read_urls:
            extra["url_context_metadata"] = self._read_urls
        return extra

    def _remember(self, candidate: JsonObject) -> None:
        """Side fields. Middle chunks may send them empty or leave them out: only what says something replaces."""
        native = native_reason(candidate.get("finishReason"))
        if native is not None:
            self.native = native
        if _SIDE_FIELDS.isdisjoint(candidate):  # as in nearly every chunk
            return
        for key, kept in (
            ("groundingMetadata", self._grounding),
            ("citationMetadata", self._citations),
            ("urlContextMetadata", self._read_urls),
        ):
            found = candidate.get(key)
            if isinstance(found, dict):
                kept.update({name: value for name, value in found.items() if value not in (None, [], {}, "")})
        if "logprobsResult" in candidate:
            self._logprobs.extend(logprobs_content(as_object(candidate["logprobsResult"])))
        if as_text(candidate.get("continuationToken")):
            self._google["continuation_token"] = candidate["continuationToken"]

    def _part(self, part: JsonObject) -> JsonObject | None:
        text = part.get("text")
        signature = part.get("thoughtSignature")
        if part.get("thought") is True:
            # a picture in a thought is a draft and not part of the answer
            self._sign(signature)
            return {"reasoning_content": text} if isinstance(text, str) and text else None
        if isinstance(text, str):
            self._sign(signature)
            return self._text(text) if text else None
        if isinstance(part.get("functionCall"), dict):
            return self._call(as_object(part["functionCall"]), as_text(signature))
        if isinstance(part.get("inlineData"), dict):
            return self._media(as_object(part["inlineData"]), as_text(signature))
        self._sign(signature)
        self._server_side(part)
        return None

    def _sign(self, signature: JsonValue) -> None:
        if signature and isinstance(signature, str):
            self._signature = signature

    def _text(self, text: str) -> JsonObject | None:
        if self._held is not None:
            # JSON was asked for: a text that may be fenced waits for its end
            self._held += text
            if self._held.lstrip()[:1] in ("", "`"):
                return None
            text, self._held = self._held, None
        self._shown = True
        self._texts.append(text)
        return {"content": text}

    def _call(self, call: JsonObject, signature: str) -> JsonObject | None:
        name = as_text(call.get("name"))
        if not name or (self._reading.single_call and self._calls):
            return None
        args = as_object(call.get("args"))
        schema = self._reading.schemas.get(name)
        if schema and args:
            args = coerced(args, schema)
        entry = self._entry(name, args)
        self._shown = True
        self._calls += 1
        if self._reading.legacy_function:
            return {"function_call": entry["function"]}
        call_id = as_text(call.get("id"))
        if not call_id or call_id in self._ids:
            call_id = self._mint()
        self._ids.add(call_id)
        numbered: JsonObject = {"index": self._calls - 1, "id": call_id, **entry}
        self._first_call = self._first_call or call_key(call_id)
        if signature:
            numbered["extra_content"] = signed(signature)
            self._recall.keep(call_key(call_id), signature)
        return {"tool_calls": [numbered]}

    def _entry(self, name: str, args: JsonObject) -> JsonObject:
        public = self._reading.names.get(name, name)
        if name in self._reading.custom:
            return {"type": "custom", "custom": {"name": public, "input": as_text(args.get("input"))}}
        try:
            arguments = orjson.dumps(args).decode()
        except TypeError as exc:  # orjson writes 254 levels
            raise BadResponseError("the model's call is nested too deeply", outcome="malformed", billed=True) from exc
        return {"type": "function", "function": {"name": public, "arguments": arguments}}

    def _media(self, media: JsonObject, signature: str) -> JsonObject | None:
        mime, data = as_text(media.get("mimeType")), as_text(media.get("data"))
        if not data or not mime.startswith(("image/", "audio/")):
            return None
        self._shown = True
        if mime.startswith("audio/"):
            self._audio_id = self._audio_id or f"audio_{self._mint()}"
            if self._reading.wav:
                self.wav_of = mime
            # nothing is kept here, so it expires at once
            return {"audio": {"id": self._audio_id, "data": data, "expires_at": 0, "transcript": ""}}
        picture: JsonObject = {
            "type": "image_url",
            "index": self._pictures,
            "image_url": {"url": f"data:{mime};base64,{data}"},
        }
        if signature:
            picture["extra_content"] = signed(signature)
            key = picture_key(data)
            self._first_picture = self._first_picture or key
            self._recall.keep(key, signature)
        self._pictures += 1
        return {"images": [picture]}

    def _server_side(self, part: JsonObject) -> None:
        """What Google's own tools did: shown beside the answer; calls must come back as they are."""
        for key, kept in (
            ("executableCode", "code_execution"),
            ("codeExecutionResult", "code_execution"),
            ("toolCall", "server_tools"),
            ("toolResponse", "server_tools"),
        ):
            if isinstance(part.get(key), dict):
                self._shown = self._shown or kept == "code_execution"
                value = part if kept == "server_tools" else part[key]
                self._google[kept] = [*as_list(self._google.get(kept)), value]


def _unfenced(text: str) -> str:
    """The inside of a text that is one Markdown code fence; any other text as it is."""
    stripped = text.strip()
    if len(stripped) < 7 or not (stripped.startswith("```") and stripped.endswith("```")):
        return text
    head, _, inside = stripped[3:-3].partition("\n")
    if "```" in inside or not (head == "" or head.isalnum()):
        return text
    return inside.strip()
