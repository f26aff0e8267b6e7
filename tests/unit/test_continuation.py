"""What another model is asked, so that it goes on with a text: the exact conversation, and who can do it at all."""

from typing import Any

import orjson
import pytest
from builders import info

from providers.types import ChatRequest
from router.api.streaming.continuation import INSTRUCTION, continuation, obstacle
from router.routing.plan import Features

QUESTION = {"role": "user", "content": "words: 60"}
SENT = 'word1 "two"\n word3 word4 word5 word6 word7'


def request(**fields: Any) -> ChatRequest:
    return ChatRequest(model="chat", messages_json=b' [ {"role":"user","content":"words: 60"} ] ', fields=fields)


def messages(asked: ChatRequest) -> Any:
    return orjson.loads(asked.messages_json)


def test_while_nothing_was_sent_the_question_is_the_same() -> None:
    asked = continuation(request(max_tokens=9), info(), "", "")
    assert (asked.request, asked.joint, asked.seam.closed) == (request(max_tokens=9), "afresh", True)


def test_a_prefill_ends_with_the_white_space_that_is_known_to_follow() -> None:
    asked = continuation(request(), info(prefill=True), SENT, "\n\n")
    assert asked.joint == "prefill"
    assert messages(asked.request) == [QUESTION, {"role": "assistant", "content": f"{SENT}\n\n"}]


@pytest.mark.parametrize("model", [info(prefill=False), info(known=False)], ids=["has no prefill", "is not described"])
def test_any_other_model_is_told_where_to_begin(model: Any) -> None:
    asked = continuation(request(), model, SENT, " ")
    assert asked.joint == "instruction"
    assert messages(asked.request) == [
        QUESTION,
        {"role": "assistant", "content": SENT},
        {"role": "user", "content": INSTRUCTION + "word3 word4 word5 word6 word7"},
    ]


def test_what_is_written_counts_against_the_callers_limit() -> None:
    long = "word " * 99 + "word"
    limits = request(max_tokens=1000, max_completion_tokens=50, temperature=1)
    asked = continuation(limits, info(prefill=True), long, " ").request
    assert asked.fields == {"max_tokens": 875, "max_completion_tokens": 1, "temperature": 1}
    told = continuation(limits, info(prefill=False), long, " ").request.fields["max_tokens"]
    assert told == 1000 - 118, "the words it begins with are written again"


OBSTACLES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("", {}, {}),
    ("", {}, {"response_format": {"type": "text"}, "logprobs": False, "temperature": 0}),
    ("tools", {"tools": 1}, {}),
    ("tools", {}, {"functions": []}),
    ("response_format", {}, {"response_format": {"type": "json_object"}}),
    ("response_format", {"json_schema": True}, {"response_format": {"type": "json_schema"}}),
    ("n", {"n": 2}, {}),
    ("modalities", {"image_out": True}, {}),
    ("modalities", {"audio_out": True}, {}),
    ("logprobs", {}, {"logprobs": True}),
    ("web_search_options", {}, {"web_search_options": {}}),
]


@pytest.mark.parametrize(("field", "features", "fields"), OBSTACLES)
def test_only_one_plain_text_can_be_gone_on_with(field: str, features: dict[str, Any], fields: dict[str, Any]) -> None:
    assert obstacle(Features(**features), fields) == field
