"""What pictures are expected to cost, by the golden table, and what is booked for them."""

import base64
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from harness import SHIPPED, Turnout
from image_cost_vectors import PROMPT, ROWS, Row
from pictures import picture

from providers.types import ImageSize
from router.pictures.sizes import parse_size
from router.routing.health import Health
from router.routing.plan import Directives, Features
from router.routing.planner import Planner
from router.routing.rules import compile_rules
from router.settings import Settings, load_settings, use_sandbox

TODAY = date(2026, 11, 28)
PNG = "data:image/png;base64," + base64.b64encode(picture(64, 64)).decode()
MASK = "data:image/png;base64," + base64.b64encode(picture(64, 64, mode="RGBA")).decode()


@pytest.fixture(scope="module")
def shipped() -> Settings:
    return use_sandbox(load_settings(SHIPPED, {}), "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def asked() -> Iterator[Turnout]:
    with Turnout() as turnout:
        yield turnout


def body(row: Row) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": row.target, "prompt": PROMPT, "n": row.n}
    fields |= {name: value for name, value in (("size", row.size), ("quality", row.quality)) if value}
    if row.references:
        fields["images"] = [{"image_url": PNG}] * row.references
    if row.mask:
        fields["mask"] = {"image_url": MASK}
    if row.partial_images:
        fields |= {"stream": True, "partial_images": row.partial_images}
    return fields


def size_of(row: Row) -> ImageSize | None:
    return parse_size(row.size)


def test_the_table_is_one() -> None:
    assert len(ROWS) >= 40
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert sum(row.usd is None for row in ROWS) == 2


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_expected_cost_is_what_the_price_page_says(row: Row, shipped: Settings) -> None:
    planner = Planner(shipped, compile_rules(shipped), Health(lambda: 1000.0))
    features = Features(
        kind="image",
        model=row.target,
        prompt_tokens=len(PROMPT) // 4,
        n=row.n,
        images=row.references,
        edit=bool(row.references),
        mask=row.mask,
        partial_images=row.partial_images,
        quality=row.quality or "",
        size=size_of(row),
        image_out=True,
    )
    plan = planner.plan(features, Directives(), 1000.0, row.day or TODAY)
    assert plan.candidates[0].expected_cost_usd == row.usd


@pytest.mark.parametrize("row", [row for row in ROWS if row.day is None], ids=lambda row: row.name)
def test_the_dry_run_says_the_same(row: Row, asked: Turnout) -> None:
    answer = asked.http.post("/v1/route", json=body(row)).json()
    shown = answer["candidates"][0]["expected_cost_usd"]
    assert shown == (None if row.usd is None else pytest.approx(float(row.usd), abs=1e-12))


@pytest.mark.parametrize("row", [row for row in ROWS if row.silent], ids=lambda row: row.name)
def test_where_the_backend_tells_nothing_the_same_is_booked(row: Row, asked: Turnout) -> None:
    path = "/v1/images/edits" if row.references else "/v1/images/generations"
    answer = asked.http.post(path, json=body(row))
    assert answer.status_code == 200, answer.text
    record = asked.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    told = answer.headers.get("x-router-cost-usd")
    if row.usd is None:
        assert (told, record["cost_usd"], record["cost_source"]) == (None, None, "unknown")
    else:
        assert told is not None
        assert Decimal(told) == row.usd
        assert (record["cost_usd"], record["cost_source"]) == (pytest.approx(float(row.usd)), "catalogue")
