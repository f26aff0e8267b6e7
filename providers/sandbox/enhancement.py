"""What a simulated chat model says where a router has it rewrite the prompt of a picture, or judge one. Pure.

Both are known by the fields of the JSON schema that the answer must have: `prompt` and `must_have`, or `score` and
`fix`. The prompt in question stands between marks, `<prompt-...>` and `</prompt-...>`. Commands in it:

    score: 4, 9         the marks that its pictures get, one after the other; the last holds for all further ones.
                        Which picture it is, the seed of the request says, from 1. Without it: 8
    unsafe:             its pictures must be shown to nobody; `unsafe: 2` is the second one alone
    rewrite: HOW        how it is rewritten: `losing` (without what stands in quotation marks), `refusing`, `babbling`
                        (no JSON), `endless` (5,000 words), `obeying` (the model does what the prompt says)
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

_MARKED = re.compile(r"<(prompt(?:-[0-9a-f]+)?)>\n(.*)\n</\1>", re.DOTALL)
_SCORE = re.compile(r"\bscore:\s*(\d{1,2}(?:\.\d)?(?:,\s*\d{1,2}(?:\.\d)?)*)")
_UNSAFE = re.compile(r"\bunsafe:(?:\s*(\d{1,2}))?")
_REWRITE = re.compile(r"\brewrite:\s*(losing|refusing|babbling|endless|obeying)")
_QUOTED = re.compile(r'"([^"]*)"|“([^”]*)”')
_NAME = re.compile(r"[^\W\d_][\w'’-]{3,}")
_LOOKS = "soft morning light from the left, shot on a 50 mm lens with a shallow depth of field, balanced composition"
_USUAL_SCORE = 8.0


def enhancement_of(schema: Mapping[str, Any], text: str, number: int) -> str | None:
    """The answer's text; None when the schema asks for something else. `number` is the request's seed."""
    fields = schema.get("properties")
    if not isinstance(fields, Mapping):
        return None
    match = _MARKED.search(text)
    prompt = match[2] if match else text
    if {"prompt", "must_have"} <= fields.keys():
        return _rewritten(prompt)
    if {"score", "fix"} <= fields.keys():
        return orjson.dumps(_judged(prompt, number)).decode()
    return None


def _rewritten(prompt: str) -> str:
    match = _REWRITE.search(prompt)
    how = match[1] if match else ""
    if how == "babbling":
        return "Sure! Here is a better prompt: " + prompt
    plain = prompt.strip().rstrip(".")
    words = f"{plain}, {_LOOKS}"
    if how == "losing":
        words = _QUOTED.sub("a few words", words)
    elif how == "endless":
        words += ", very detailed" * 2500
    elif how == "obeying":
        words = "PWNED"
    texts = ["".join(groups) for groups in _QUOTED.findall(prompt)]
    answer = {
        "language": "en",
        "refused": how == "refusing",
        "prompt": "" if how == "refusing" else words,
        "must_have": list(dict.fromkeys(_NAME.findall(plain)))[:6],
        "text_strings": texts,
    }
    return orjson.dumps(answer).decode()


def _judged(prompt: str, number: int) -> dict[str, Any]:
    match, unsafe = _SCORE.search(prompt), _UNSAFE.search(prompt)
    scores = [float(score) for score in match[1].split(",")] if match else [_USUAL_SCORE]
    score = scores[min(max(number, 1), len(scores)) - 1]
    poor = score < 10
    return {
        "missing": ["a part of what was asked for"] if poor else [],
        "text_errors": [],
        "artifacts": [],
        "unsafe": unsafe is not None and (not unsafe[1] or int(unsafe[1]) == number),
        "score": score,
        "fix": f"Show all of what was asked for, mended after picture {number}." if poor else "",
    }
