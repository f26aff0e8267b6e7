"""What the messages of a chat request look like: counts and lengths, and a refusal of what no upstream could take.

They are looked at, not decoded: a 400 KB prompt for an OpenAI-compatible upstream then costs two scans and no copy.
"""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from router.errors import InvalidRequestError

_MAX_MESSAGES = 8192
_TALKERS = frozenset({"system", "developer", "user", "assistant"})
_ROLES = _TALKERS | {"tool", "function"}
_PART_TYPES = frozenset(
    {"text", "image_url", "input_audio", "file", "refusal", "input_text", "input_image", "video_url", "output_text"}
)

_NULL = Raw(b"null")
_QUOTE, _BRACKET = ord('"'), ord("[")


class _Message(Struct):
    role: str
    content: Raw = _NULL
    tool_calls: Raw = _NULL
    function_call: Raw = _NULL
    tool_call_id: str | None = None
    images: Raw = _NULL
    refusal: Raw = _NULL
    audio: Raw = _NULL
    reasoning: Raw = _NULL
    reasoning_content: Raw = _NULL
    reasoning_details: Raw = _NULL

    def says_nothing(self) -> bool:
        """Whether there is neither content nor anything that may stand in its place."""
        return all(
            bytes(value) in (b"null", b"[]")
            for value in (
                self.tool_calls, self.function_call, self.refusal, self.audio, self.images, self.reasoning,
                self.reasoning_content, self.reasoning_details,
            )
        )  # fmt: skip


class _Part(Struct):
    type: str
    text: Raw = Raw(b"")


class _Call(Struct):
    id: str | None = None


_message_list = msgspec.json.Decoder(list[_Message])
_part_list = msgspec.json.Decoder(list[_Part])
_call_list = msgspec.json.Decoder(list[_Call])


class MessagesShape(Struct):
    """Filled by `read`, which raises InvalidRequestError (400) naming the message at fault.

    `question_bytes` is the text of the last message that a user wrote; `opening` are the contents of the messages up to
    the first that one wrote, still encoded, and `reply` what follows them.
    """

    count: int = 0
    text_bytes: int = 0
    question_bytes: int = 0
    images: int = 0
    audio: int = 0
    files: int = 0
    call_ids: set[str] = set()
    opening: list[Raw] = []
    reply: Raw | None = None

    def read(self, raw: bytes) -> None:
        if raw == b"null":
            raise InvalidRequestError("'messages' is required", param="messages", code="missing_required_parameter")
        try:
            messages = _message_list.decode(raw)
        except (msgspec.ValidationError, msgspec.DecodeError) as exc:
            raise invalid_shape(exc, "messages") from exc
        if not messages:
            raise InvalidRequestError("'messages' must not be empty", param="messages", code="invalid_value")
        if len(messages) > _MAX_MESSAGES:
            raise InvalidRequestError(f"more than {_MAX_MESSAGES} messages", param="messages")
        self.count = len(messages)
        opened, plain_bytes = 0, 0  # messages up to the first that a user wrote; text of those that are only text
        for position, message in enumerate(messages, 1):
            content, role = message.content, message.role
            if (
                memoryview(content)[0] == _QUOTE  # not all of it: a prompt may be megabytes
                and role in _TALKERS
                and message.tool_calls is _NULL
            ):
                size = len(content) - 2
                plain_bytes += size
            else:
                before = self.text_bytes
                self._read_message(message, f"messages[{position - 1}]")
                size = self.text_bytes - before
            if role == "user":
                self.question_bytes = size
                opened = opened or position
        self.text_bytes += plain_bytes
        self._read_opening(messages, opened or len(messages))

    def _read_opening(self, messages: Sequence[_Message], count: int) -> None:
        self.opening = [message.content for message in messages[:count]]
        if len(messages) > count:
            reply = messages[count]
            self.reply = reply.content if reply.tool_calls is _NULL else reply.tool_calls

    def _read_message(self, message: _Message, where: str) -> None:
        role = message.role
        if role not in _ROLES:
            raise InvalidRequestError(
                f"'{where}.role' must be one of {', '.join(sorted(_ROLES))}, got {role[:32]!r}", param=f"{where}.role"
            )
        if message.tool_calls != _NULL:
            self._read_calls(message.tool_calls, where)
        if role == "tool" and message.tool_call_id not in self.call_ids:
            raise InvalidRequestError(
                f"'{where}.tool_call_id' answers no preceding tool call",
                param=f"{where}.tool_call_id",
            )
        content = message.content
        first = memoryview(content)[0]
        if first == _QUOTE:
            self.text_bytes += len(content) - 2
        elif first == _BRACKET:
            self._read_parts(content, where)
        elif content != _NULL:
            raise InvalidRequestError(
                f"'{where}.content' must be a string or a list of parts",
                param=f"{where}.content",
                code="invalid_type",
            )
        elif role != "assistant" or message.says_nothing():
            raise InvalidRequestError(
                f"'{where}.content' is required", param=f"{where}.content", code="missing_required_parameter"
            )

    def _read_calls(self, calls: Raw, where: str) -> None:
        try:
            for call in _call_list.decode(calls):
                if call.id is not None:
                    self.call_ids.add(call.id)
        except (msgspec.ValidationError, msgspec.DecodeError) as exc:
            raise invalid_shape(exc, f"{where}.tool_calls") from exc
        self.text_bytes += len(calls)

    def _read_parts(self, content: Raw, where: str) -> None:
        try:
            parts = _part_list.decode(content)
        except (msgspec.ValidationError, msgspec.DecodeError) as exc:
            raise invalid_shape(exc, f"{where}.content") from exc
        for position, part in enumerate(parts):
            match part.type:
                case "text" | "input_text" | "output_text":
                    if bytes(memoryview(part.text)[:1]) != b'"':
                        field = f"{where}.content[{position}].text"
                        raise InvalidRequestError(f"'{field}' must be a string", param=field, code="invalid_type")
                    self.text_bytes += len(part.text) - 2
                case "refusal":
                    pass
                case "image_url" | "input_image":
                    self.images += 1
                case "input_audio":
                    self.audio += 1
                case "file" | "video_url":
                    self.files += 1
                case _:
                    raise InvalidRequestError(
                        f"'{where}.content[{position}].type' must be one of {', '.join(sorted(_PART_TYPES))}, "
                        f"got {part.type[:32]!r}",
                        param=f"{where}.content[{position}]",
                    )


def invalid_shape(exc: Exception, where: str) -> InvalidRequestError:
    """msgspec's complaint with its path turned into ours: `$[1].role` -> `messages[1].role`."""
    text, _, path = str(exc).partition(" - at `")
    param = where + path.rstrip("`").removeprefix("$") if path else where
    missing = re.fullmatch(r"Object missing required field `(\w+)`", text)
    if missing:
        param = f"{param}.{missing[1]}"
        return InvalidRequestError(f"'{param}' is required", param=param, code="missing_required_parameter")
    return InvalidRequestError(f"'{param}': {text}", param=param, code="invalid_type")
