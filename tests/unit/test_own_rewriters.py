"""A prompt that was rewritten here is not rewritten once more by a backend that can be told so."""

from typing import Any

import orjson
import pytest

from providers.bfl.translate import to_task
from providers.catalogue import ModelInfo
from providers.ideogram.translate import to_call
from providers.openai.dialects import SEEDREAM, TOGETHER, to_dialect
from providers.types import ImageRequest

UNKNOWN = ModelInfo(name="m", known=False)


def seedream(request: ImageRequest) -> dict[str, Any]:
    return dict(orjson.loads(to_dialect(request, "seedream-4-5-251128", UNKNOWN, SEEDREAM).body))


def together(request: ImageRequest) -> dict[str, Any]:
    return dict(orjson.loads(to_dialect(request, "m", UNKNOWN, TOGETHER).body))


def bfl(request: ImageRequest) -> dict[str, Any]:
    return dict(orjson.loads(to_task(request, UNKNOWN).body))


def ideogram_v3(request: ImageRequest) -> dict[str, Any]:
    return dict(to_call(request, "ideogram-v3", UNKNOWN).texts)


def ideogram_v4(request: ImageRequest) -> dict[str, Any]:
    return dict(orjson.loads(to_call(request, "ideogram-4-6", UNKNOWN).body or b""))


SWITCHES = [
    (seedream, "optimize_prompt", False),
    (bfl, "prompt_upsampling", False),
    (ideogram_v3, "magic_prompt", "OFF"),
]


@pytest.mark.parametrize(("sent", "name", "off"), SWITCHES)
def test_the_switch_is_off_for_a_final_prompt_and_the_callers_word_wins(sent: Any, name: str, off: object) -> None:
    plain = ImageRequest(model="m", prompt="a barn")
    assert name not in sent(plain)
    final = ImageRequest(model="m", prompt="a barn", prompt_is_final=True)
    assert sent(final)[name] == off
    own = ImageRequest(model="m", prompt="a barn", prompt_is_final=True, extra={name: "ON"})
    assert sent(own)[name] == "ON"


@pytest.mark.parametrize("sent", [together, ideogram_v4])
def test_a_backend_without_a_switch_is_sent_none(sent: Any) -> None:
    plain, final = (ImageRequest(model="m", prompt="a barn", prompt_is_final=is_final) for is_final in (False, True))
    assert sent(plain) == sent(final)
