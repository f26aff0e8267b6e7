"""The simulated models know two schemas: prompts of pictures are rewritten, pictures judged."""

from typing import Any

import jsonschema
import orjson
import pytest

from providers.sandbox.brain import Prompt, answer_to
from providers.types import ImageRequest
from router.pictures.enhancement.judging import judge_chat
from router.pictures.enhancement.rewriting import rewrite_chat, rewrite_from


def said(body: Any) -> str:
    """What a simulated model answers to the chat request."""
    content = body["messages"][1]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    schema = body["response_format"]["json_schema"]["schema"]
    answer = answer_to(Prompt(model="m", text=text, schema=schema, seed=body.get("seed", 0))).text
    if answer.startswith("{"):
        jsonschema.Draft202012Validator(schema).validate(orjson.loads(answer))
    return answer


def rewrite(prompt: str) -> str:
    return said(rewrite_chat(ImageRequest(model="m", prompt=prompt), "m"))


def score(prompt: str, number: int) -> Any:
    return orjson.loads(said(judge_chat("m", prompt, (), (), b"jpeg", number)))


def test_a_rewrite_keeps_all_and_adds_to_it() -> None:
    prompt = 'Three cats under the sign "Open 24h" in Rome.'
    better = rewrite_from(rewrite(prompt), prompt)
    assert better.prompt.startswith(prompt.rstrip("."))
    assert "light" in better.prompt
    assert better.text_strings == ("Open 24h",)


@pytest.mark.parametrize(
    ("how", "holds"),
    [("losing", "a few words"), ("refusing", '"refused":true'), ("babbling", "Sure!"), ("obeying", '"prompt":"PWNED"')],
)
def test_a_command_makes_it_rewrite_badly(how: str, holds: str) -> None:
    assert holds in rewrite(f'A sign "Open". rewrite: {how}')


@pytest.mark.parametrize(("number", "points"), [(1, 4), (2, 9.5), (3, 9.5)])
def test_marks_are_given_in_the_order_of_the_command(number: int, points: float) -> None:
    mark = score("A barn. score: 4, 9.5", number)
    assert (mark["score"], mark["unsafe"], bool(mark["fix"])) == (points, False, True)


def test_without_a_command_pictures_are_good_enough() -> None:
    assert score("A barn", 1)["score"] == 8
    assert score("A barn. score: 10", 1)["fix"] == ""


@pytest.mark.parametrize(("text", "unsafe"), [("unsafe:", [True, True]), ("unsafe: 2", [False, True])])
def test_a_command_makes_pictures_unsafe(text: str, unsafe: list[bool]) -> None:
    assert [score(f"A barn. {text}", number)["unsafe"] for number in (1, 2)] == unsafe


def test_any_other_schema_gets_an_instance() -> None:
    schema = {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}
    answer = answer_to(Prompt(model="m", text="x", schema=schema)).text
    jsonschema.Draft202012Validator(schema).validate(orjson.loads(answer))
