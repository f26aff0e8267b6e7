"""What every endpoint shares: the moment of planning, request ids, header values, and the list of models."""

from typing import Any

import pytest
from builders import Desk, model, settings, target

from providers.registry import Connected
from router.accounting.metrics import Metrics
from router.api.gateway import Gateway, header_text, request_id
from router.api.models import ModelsHandler
from router.settings.values import Settings


def gateway(configured: Settings, planner: Any = None) -> Gateway:
    desk = Desk(configured)
    metrics, nobody = Metrics((), desk.health, {}), Connected({}, {}, {}, ())
    return Gateway(configured, planner or desk.planner, desk.health, metrics, nobody)


GOOD_IDS = ["abc", "req_1", "a.b:c-d_e", "x" * 128]
BAD_IDS = ["", "a b", "x" * 129, "a\r\nb", "é", "<script>", 'a"b']


@pytest.mark.parametrize("given", GOOD_IDS)
def test_a_harmless_request_id_is_kept(given: str) -> None:
    assert request_id({"headers": [(b"x-request-id", given.encode())]}) == given


@pytest.mark.parametrize("given", BAD_IDS)
def test_any_other_request_id_is_replaced(given: str) -> None:
    made = request_id({"headers": [(b"x-request-id", given.encode())]})
    assert made.startswith("req_")
    assert made != request_id({"headers": []})


@pytest.mark.parametrize("text", ["plain", "a\r\nset-cookie: x", "é\u202e\U0001f600", "\x00\x7f", "x" * 5000, ""])
def test_a_header_value_is_short_printable_ascii(text: str) -> None:
    value = header_text(text)
    assert len(value) <= 1024
    assert all(32 <= byte < 127 for byte in value)


def test_an_alias_of_an_alias_is_listed_with_its_targets() -> None:
    configured = settings(model("chat", target("a/m")), aliases={"newer": "chat", "older": "newer"})
    entry = ModelsHandler(gateway(configured))._entry("older")
    assert entry["alias_of"] == "chat"
    assert [each["target"] for each in entry["targets"]] == ["a/m"]  # type: ignore
