"""Image requests over real sockets: what reaches the upstream and what comes back."""

import base64
import io
from collections.abc import Callable
from typing import Any

import pytest
from harness import Turnout
from pictures import picture
from PIL import Image

GENERATE, EDIT, VARY = "/v1/images/generations", "/v1/images/edits", "/v1/images/variations"


def size_of(item: dict[str, Any]) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(item["b64_json"], validate=True))) as opened:
        return opened.size


@pytest.mark.parametrize("model", ["image", "gpt-image-2", "dall-e-2", "gemini-3.1-flash-image"])
@pytest.mark.parametrize("form", ["b64_json", "url", None])
def test_every_model_answers_in_the_form_that_was_asked_for(router: Turnout, model: str, form: str | None) -> None:
    asked = {"model": model, "prompt": "a barn", "size": "1024x1024", "response_format": form}
    answer = router.http.post(GENERATE, json=asked)
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["data"]
    assert set(item) - {"revised_prompt"} == {form or "b64_json"}
    assert all("response_format" not in entry["body"] for entry in router.requests() if entry["model"] == "gpt-image-2")


RETIRED = {
    "dall-e-2": "image",
    "dall-e-3": "image",
    "gpt-image-1": "gpt-image-2",
    "imagen-3.0-generate-002": "gemini-nano-banana-2.1",
    "imagen-4.0-generate-001": "gemini-nano-banana-2.1",
    "imagen-4.0-ultra-generate-001": "gemini-3-pro-image",
    "gemini-2.0-flash-exp-image-generation": "gemini-nano-banana-2.1",
    "gemini-2.0-flash-preview-image-generation": "gemini-nano-banana-2.1",
}


@pytest.mark.parametrize(("gone", "successor"), RETIRED.items())
def test_a_retired_name_is_served_by_its_successor_and_says_so(router: Turnout, gone: str, successor: str) -> None:
    answer = router.http.post(GENERATE, json={"model": gone, "prompt": "a barn"})
    assert answer.status_code == 200, answer.text
    assert f"model={gone} is served by {successor}" in answer.headers["x-router-warnings"]
    served = answer.headers["x-router-model"]
    assert served in [entry["model"] for entry in router.requests()]
    assert served == successor or successor in router.settings.models


def test_variations_are_edits_in_the_shipped_configuration(router: Turnout) -> None:
    files = {"image": ("upload", picture(64, 64), "application/octet-stream")}
    answer = router.http.post(VARY, data={"model": "gpt-image-2", "n": "2"}, files=files)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == 2
    (call,) = router.requests(operation="edits")
    assert "Make a variation" in call["body"]["head"]


def test_variations_without_an_instruction_are_gone(turnout: Callable[..., Turnout]) -> None:
    plain = turnout("providers:\n  p: {type: openai, api_key: k}\nmodels:\n  m: {targets: [p/gpt-image-2]}\n")
    answer = plain.http.post(VARY, files={"image": ("a.png", picture(), "image/png")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "endpoint_retired")


def test_a_ratio_reaches_pixel_upstreams_as_pixels_and_gemini_as_a_ratio(router: Turnout) -> None:
    for model in ("gpt-image-2", "gemini-3.1-flash-image"):
        answer = router.http.post(GENERATE, json={"model": model, "prompt": "a barn", "aspect_ratio": "16:9"})
        assert answer.status_code == 200, answer.text
        width, height = size_of(answer.json()["data"][0])
        assert width / height == pytest.approx(16 / 9, rel=0.02)
    pixels, ratio = (entry["body"] for entry in router.requests())
    assert (pixels["size"], "aspect_ratio" in pixels) == ("1360x768", False)
    assert ratio["generationConfig"]["imageConfig"]["aspectRatio"] == "16:9"


def test_what_the_edge_did_not_use_is_named(router: Turnout) -> None:
    asked = {"model": "gpt-image-2", "prompt": "a barn", "size": "1024x1024", "aspect_ratio": "16:9"}
    answer = router.http.post(GENERATE, json=asked)
    assert "aspect_ratio=ignored" in answer.headers["x-router-warnings"]


def test_a_failure_of_ours_behind_a_made_picture_is_not_to_be_retried(turnout: Callable[..., Turnout]) -> None:
    broken = turnout(
        "providers:\n  p: {type: openai, api_key: k}\nmodels:\n  m: {targets: [p/gpt-image-2]}\n"
        "images: {store_dir: /dev/null/nowhere}\n"
    )
    answer = broken.http.post(GENERATE, json={"model": "m", "prompt": "a barn", "response_format": "url"})
    assert (answer.status_code, answer.headers.get("x-should-retry")) == (500, "false")
    refused = broken.http.post(GENERATE, json={"model": "m"})
    assert "x-should-retry" not in refused.headers


@pytest.mark.parametrize(
    ("limit_mib", "asked", "status", "kind"),
    [
        (64, {}, 200, "png"),
        (0.1, {}, 200, "webp"),
        (0.1, {"output_format": "png"}, 400, ""),
        (0.001, {}, 400, ""),
        (0.001, {"response_format": "url"}, 200, "png"),
    ],
)
def test_an_answer_holds_only_so_much(
    turnout: Callable[..., Turnout], limit_mib: float, asked: dict[str, str], status: int, kind: str
) -> None:
    router = turnout(
        "providers:\n  p: {type: openai, api_key: k}\nmodels:\n  m: {targets: [p/gpt-image-2]}\n"
        f"images: {{response_limit_mib: {limit_mib}}}\n"
    )
    answer = router.http.post(GENERATE, json={"model": "m", "prompt": "a barn", "n": 2, **asked})
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["output_format"] == kind
        assert ("the answer would exceed" in answer.headers.get("x-router-warnings", "")) == (kind == "webp")
        return
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("response_too_large", "response_format")
    assert answer.headers["x-should-retry"] == "false"
    assert router.http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()["cost_usd"] > 0
