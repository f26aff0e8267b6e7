"""Four pictures of which one does not come, links that expire, results that lead nowhere: for whichever backend."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from harness import SHIPPED, Turnout, eventually
from image_matrix import ROWS, Row, configuration

from providers.catalogue import ImageCapabilities, lookup
from providers.sandbox.config import FaultRule, SandboxConfig
from router.settings import load_settings

# What litellm silences when it is imported, and pytest un-silences: it uses pydantic in ways that pydantic warns of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Item .* is using the `ReadOnly` qualifier:UserWarning"),
]
GENERATIONS = "/v1/images/generations"
FETCHED = [row for row in ROWS if row.fetches]
CATALOGUE = load_settings(SHIPPED, {}).catalogue


def calls(row: Row) -> int:
    """Into how many upstream calls four pictures are split."""
    able = lookup(CATALOGUE, row.provider, row.model).image or ImageCapabilities()
    return -(-4 // able.per_call)


def ask(turnout: Turnout, row: Row, **more: Any) -> httpx.Response:
    return turnout.http.post(GENERATIONS, json={"model": row.as_json()["model"], "prompt": "a barn", **more})


@pytest.mark.parametrize("row", [row for row in ROWS if calls(row) > 1], ids=lambda row: row.name)
def test_one_call_that_a_filter_took_leaves_the_other_pictures(row: Row, backends: Turnout) -> None:
    check_some_of_four(backends, row, "image-safety")


@pytest.mark.parametrize("name", ["gemini-flash", "bfl", "stability"])
def test_one_call_that_takes_too_long_leaves_the_other_pictures(name: str, turnout: Callable[..., Turnout]) -> None:
    row = next(row for row in ROWS if row.name == name)
    router = turnout(configuration(idle_timeout_s=1.5), sandbox=SandboxConfig(job_s=0.0))
    assert ask(router, row).status_code == 200, "and is drawn from here on"
    router.clear()
    began = time.monotonic()
    check_some_of_four(router, row, "stall", seconds=30)
    assert time.monotonic() - began < 10


def check_some_of_four(backends: Turnout, row: Row, fault: str, **args: int) -> None:
    """One upstream call of several goes wrong: the others' pictures come, and nothing is asked for twice."""
    backends.faults(FaultRule(fault=fault, label=row.provider, on=row.operation, times=1, args=args))
    answer = ask(backends, row, n=4)
    assert answer.status_code == 200, answer.text
    made = len(answer.json()["data"])
    assert 0 < made < 4
    assert f"n={made} of 4" in answer.headers["x-router-warnings"]
    assert answer.headers["x-router-partial"] == f"{made}/4"
    lost = answer.json()["router"]["errors"]
    assert len({each["index"] for each in lost}) == len(lost) == 4 - made
    assert {each["provider"] for each in lost} == {row.provider}
    assert all(each["code"] and each["message"] for each in lost)
    assert len(backends.requests(label=row.provider, operation=row.operation)) == calls(row)


@pytest.mark.parametrize("row", FETCHED, ids=lambda row: row.name)
def test_a_result_that_leads_in_circles_is_given_up(row: Row, backends: Turnout) -> None:
    backends.faults(FaultRule(fault="redirect", label=row.provider, on="file", args={"location": "?again"}))
    answer = ask(backends, row)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
    assert 2 <= len(backends.requests(label=row.provider, operation="file")) <= 4
    assert len(backends.requests(label=row.provider, operation=row.operation)) == 1


@pytest.mark.parametrize("row", FETCHED, ids=lambda row: row.name)
def test_a_result_that_drips_is_left_at_the_deadline(row: Row, backends: Turnout) -> None:
    backends.faults(FaultRule(fault="slow-headers", label=row.provider, on="file"))
    began = time.monotonic()
    answer = ask(backends, row, router={"deadline_ms": 700})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - began < 5


def test_a_link_dies_at_its_time_and_cannot_be_made_to_live(turnout: Callable[..., Turnout]) -> None:
    router = turnout(configuration() + "images: {ttl_s: 3}\n")
    (item,) = ask(router, ROWS[0], response_format="url").json()["data"]
    url = httpx.URL(item["url"])
    assert router.http.get(url).status_code == 200
    later = url.copy_set_param("exp", str(int(url.params["exp"]) + 60))
    assert router.http.get(later).status_code == 404
    gone = eventually(lambda: next((a for a in [router.http.get(url)] if a.status_code != 200), None), timeout_s=10)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")
