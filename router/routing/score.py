"""How hard a request looks, from 0 to 1: a sum of a few lengths and of what the caller asked for. Pure, no words read.

The length of the question is the only sign in the text itself: of those that can be counted cheaply (digits, operators,
code, lists, formulas, question marks) none told better than length alone where both models' answers were known, see
`docs/routing.md`. `turnout eval` puts this very function to the test.
"""

import math
from collections.abc import Mapping

from router.routing.ladder import Score
from router.routing.plan import Features


class _Length:
    """Counts from 0 at `least` to `weight` at `most`, the same for every doubling."""

    __slots__ = ("_least", "_log_least", "_most", "_slope", "_weight")

    def __init__(self, least: int, most: int, weight: float) -> None:
        self._least = least
        self._most = most
        self._weight = weight
        self._log_least = math.log(least)
        self._slope = weight / math.log(most / least)

    def part(self, amount: int) -> float:
        if amount <= self._least:
            return 0.0
        if amount >= self._most:
            return self._weight
        return self._slope * (math.log(amount) - self._log_least)


_QUESTION = _Length(64, 16 * 1024, 0.8)  # bytes
_CONVERSATION = _Length(1024, 256 * 1024, 0.2)
_OUTPUT = _Length(1024, 64 * 1024, 0.1)  # tokens
_PARALLEL_TOOLS = 0.1  # several calls at once are what the smaller models get wrong; one call they do as well
_EFFORT: Mapping[str, float] = {
    "none": -0.2, "minimal": -0.2, "low": -0.1, "medium": 0.1, "high": 0.2, "xhigh": 0.3, "max": 0.3,
}  # fmt: skip


def score_of(features: Features) -> Score:
    """Grows with the question, the conversation and the answer asked for; a higher effort never lowers it."""
    question, conversation = _QUESTION.part(features.question_bytes), _CONVERSATION.part(features.prompt_bytes)
    output = _OUTPUT.part(features.max_tokens) if features.max_tokens else 0.0
    tools = _PARALLEL_TOOLS if features.parallel_tools and features.tools > 1 else 0.0
    effort = _EFFORT.get(features.reasoning_effort, 0.0) if features.reasoning_effort else 0.0
    total = question + conversation + output + tools + effort
    value = 0.0 if total < 0.0 else total if total < 1.0 else 1.0
    return Score(value, question, conversation, output, tools, effort)
