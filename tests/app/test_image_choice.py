"""Which image backend is chosen: by the catalogue's prices and by latencies that were really measured."""

from collections.abc import Iterator
from typing import Any

import pytest
from harness import SHIPPED, Turnout

from providers.sandbox.config import Latency, SandboxConfig

GENERATE = "/v1/images/generations"
# One model at its vendor's and at a reseller's who asks more for it. By the catalogue the vendor is the quicker one.
CATALOGUE = """
as_of: 2026-11-20
source: https://example.com/prices
models:
  vendor/pic:
    kind: image
    outputs: [image]
    image_s: 0.1
    image: {per_call: 10, qualities: [low, high], references: 1}
    prices: [{per_image: [{quality: low, usd: 0.03}, {quality: high, usd: 0.12}]}]
  reseller/pic:
    like: vendor/pic
    image_s: 0.2
    prices: [{per_image: [{quality: low, usd: 0.05}, {quality: high, usd: 0.20}]}]
  masked/pic:
    like: vendor/pic
    image: {references: 1, mask: true, transparent: true, edits_only: true}
    prices: [{per_image: [{usd: 0.5}]}]
"""
CONFIG = """
providers:
  vendor: {type: openai, api_key: k, base_url: "{sandbox}/p/vendor/openai/v1"}
  reseller: {type: openai, api_key: k, base_url: "{sandbox}/p/reseller/openai/v1"}
  masked: {type: openai, api_key: k, base_url: "{sandbox}/p/masked/openai/v1"}
models:
  cheap: {targets: [reseller/pic, vendor/pic], sort: cost}
  quick: {targets: [reseller/pic, vendor/pic], sort: latency}
  kept: {targets: [reseller/pic, vendor/pic], sort: cost, slo: {total_p95_ms: 300}}
  able: {targets: [reseller/pic, vendor/pic, masked/pic], sort: cost}
"""
SPEEDS = {"vendor/*": Latency(image_ms=350), "reseller/*": Latency(image_ms=5)}


@pytest.fixture(scope="module")
def measured() -> Iterator[tuple[Turnout, dict[str, str]]]:
    """A router that has drawn with both, and whom it would have asked before."""
    with Turnout(CONFIG, catalogue=CATALOGUE, sandbox=SandboxConfig(latency=SPEEDS)) as turnout:
        before = {model: chosen(turnout, model) for model in ("cheap", "quick", "kept")}
        for provider in ("vendor", "reseller"):
            for _ in range(8):
                answer = draw(turnout, "cheap", router={"only": [provider]})
                assert answer["provider"] == provider
        yield turnout, before


def draw(turnout: Turnout, model: str, **more: Any) -> dict[str, Any]:
    answer = turnout.http.post(GENERATE, json={"model": model, "prompt": "x", "quality": "low", **more})
    assert answer.status_code == 200, answer.text[:500]
    return {"provider": answer.headers["x-router-provider"], "reason": answer.headers["x-router-reason"]}


def chosen(turnout: Turnout, model: str, quality: str = "low", **more: Any) -> str:
    """Whom the dry run names."""
    plan = turnout.http.post("/v1/route", json={"model": model, "prompt": "x", "quality": quality, **more}).json()
    return str(plan["provider"])


def test_before_anything_is_measured_the_catalogue_says_who_is_quick(measured: tuple[Turnout, dict[str, str]]) -> None:
    _, before = measured
    assert before == {"cheap": "vendor", "quick": "vendor", "kept": "vendor"}


def test_afterwards_the_one_that_was_quicker_is_asked(measured: tuple[Turnout, dict[str, str]]) -> None:
    turnout, _ = measured
    assert [draw(turnout, model)["provider"] for model in ("cheap", "quick", "kept")] == [
        "vendor",
        "reseller",
        "reseller",  # dearer, but the cheap one was not in time
    ]
    assert "reseller/pic" in draw(turnout, "quick")["reason"]


def test_the_same_request_goes_by_what_its_caller_wants(measured: tuple[Turnout, dict[str, str]]) -> None:
    turnout, _ = measured
    assert draw(turnout, "cheap", router={"sort": "latency"})["provider"] == "reseller"
    assert draw(turnout, "quick", router={"sort": "cost"})["provider"] == "vendor"
    assert draw(turnout, "cheap", router={"max_latency_ms": 150})["provider"] == "reseller"
    refused = turnout.http.post(
        GENERATE, json={"model": "quick", "prompt": "x", "quality": "low", "router": {"max_cost_usd": 0.01}}
    )
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "router.max_cost_usd")
    assert "vendor/pic at about $0.030000" in refused.json()["error"]["message"]


def test_what_was_measured_of_one_quality_says_nothing_of_another(measured: tuple[Turnout, dict[str, str]]) -> None:
    turnout, _ = measured
    assert (chosen(turnout, "quick", "low"), chosen(turnout, "quick", "high")) == ("reseller", "vendor")
    assert chosen(turnout, "quick", "low", size="4096x4096") == "vendor"


def test_one_model_has_the_price_of_who_sells_it(measured: tuple[Turnout, dict[str, str]]) -> None:
    turnout, _ = measured
    plan = turnout.http.post("/v1/route", json={"model": "cheap", "prompt": "x", "quality": "high", "n": 3}).json()
    assert {each["target"]: each["expected_cost_usd"] for each in plan["candidates"]} == {
        "vendor/pic": pytest.approx(0.36),
        "reseller/pic": pytest.approx(0.6),
    }


def test_who_cannot_is_passed_over_before_the_choice_and_the_reason_is_named(
    measured: tuple[Turnout, dict[str, str]],
) -> None:
    turnout, _ = measured
    plan = turnout.http.post("/v1/route", json={"model": "able", "prompt": "x", "background": "transparent"}).json()
    assert plan["target"] is None
    assert {each["target"]: each["reason"] for each in plan["excluded"]} == {
        "reseller/pic": "has no transparent background",
        "vendor/pic": "has no transparent background",
        "masked/pic": "only edits pictures",
    }
    answer = turnout.http.post(GENERATE, json={"model": "able", "prompt": "x", "background": "transparent"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "background")


def test_the_shipped_image_model_is_cheap_or_quick_or_good_as_its_caller_wants() -> None:
    with Turnout(SHIPPED) as turnout:
        asked = {"model": "image", "prompt": "a barn"}

        def first(**router: Any) -> str:
            plan = turnout.http.post("/v1/route", json={**asked, "router": router}).json()
            return str(plan["target"])

        assert first() == "bfl/flux-2-pro"  # 0.03 in ten seconds; GPT image costs less and takes longer
        assert first(sort="latency") == "eachlabs/flux-1-1-pro"
        assert first(sort="quality") == "google/gemini-nano-banana-2.1"
        draft = turnout.http.post("/v1/route", json={**asked, "model": "image-draft"}).json()
        assert draft["target"] == "together/black-forest-labs/FLUX.1-schnell"
        entry = turnout.http.get("/v1/models/gpt-image-2").json()
        assert entry["pricing"] == {"image": "0.053"}
        assert {"size": "3840x2160", "quality": "high", "usd": "0.401"} in entry["image_prices"]
        assert turnout.http.get("/v1/models/flux-2-pro").json()["image_prices"] == [
            {"usd": "0.03", "further_megapixel_usd": "0.015"}
        ]
        assert turnout.http.get("/v1/models/gemini-nano-banana-2.1").json()["pricing"]["image"] == "0.0336"
