"""The name of a conversation: the same in every turn, another for another caller, beginning or cache key."""

import json
from typing import Any

import pytest
from builders import KEY
from hypothesis import given
from hypothesis import strategies as st

from router.api.chat_request import parse_chat
from router.api.conversation import conversation_key
from router.settings.values import ClientKey

SYSTEM = {"role": "system", "content": "You are a helpful assistant. " * 100}
FIRST = {"role": "user", "content": "What is a turnout?"}
LATER = [{"role": "assistant", "content": "A piece of railway."}, {"role": "user", "content": "And a frog?"}]


def named(*messages: dict[str, Any], key: ClientKey = KEY, **fields: Any) -> int:
    body = json.dumps({"model": "chat", "messages": messages, **fields}).encode()
    return parse_chat(body, {"type": "http", "headers": []}, key).features.conversation


def test_a_conversation_keeps_its_name_while_it_grows() -> None:
    assert named(SYSTEM, FIRST) == named(SYSTEM, FIRST, *LATER) == named(SYSTEM, FIRST, *LATER, *LATER)


def test_what_else_a_request_says_is_not_part_of_the_name() -> None:
    assert named(SYSTEM, FIRST) == named(SYSTEM, FIRST, temperature=1, stream=True, reasoning_effort="high")


def test_other_beginnings_have_other_names() -> None:
    names = [
        named(SYSTEM, FIRST),
        named(FIRST),
        named(SYSTEM, {**FIRST, "content": "What is a turnout!"}),
        named({**SYSTEM, "content": SYSTEM["content"] + "!"}, FIRST),
        named({**SYSTEM, "content": "!" + SYSTEM["content"]}, FIRST),
        named(SYSTEM, {**FIRST, "content": [{"type": "text", "text": FIRST["content"]}]}),
        named(SYSTEM, FIRST, key=ClientKey(name="other", secret="x")),
        named(SYSTEM, FIRST, prompt_cache_key="a"),
        named(SYSTEM, FIRST, prompt_cache_key="b"),
    ]
    assert len(set(names)) == len(names)


def test_a_cache_key_joins_nothing_that_begins_differently() -> None:
    assert named(SYSTEM, FIRST, prompt_cache_key="app") != named(SYSTEM, *LATER, prompt_cache_key="app")


@pytest.mark.parametrize("content", ["", "a" * 100_000, [], [{"type": "image_url", "image_url": {"url": "x" * 5000}}]])
def test_any_content_has_a_name(content: object) -> None:
    assert named({"role": "user", "content": content}) > 0


def test_a_beginning_without_end_is_not_read_to_the_end() -> None:
    assert named(*[SYSTEM] * 50) == named(*[SYSTEM] * 50, FIRST)


def test_the_name_is_the_same_in_every_process() -> None:
    assert conversation_key("tester", [b'"hi"']) == 7158424511241519108


@given(st.text(max_size=20), st.lists(st.binary(max_size=3000), max_size=20), st.none() | st.integers() | st.text())
def test_a_name_is_never_zero_and_fits_a_signed_word(caller: str, opening: list[bytes], cache_key: object) -> None:
    assert 0 < conversation_key(caller, opening, cache_key) < 2**63
