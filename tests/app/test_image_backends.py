"""Every image backend through the whole router, asked with OpenAI's own SDK over real sockets."""

import base64
import io
from collections.abc import Iterator

import openai
import pytest
from harness import Turnout, eventually
from image_backends import BACKENDS, Backend
from pictures import picture
from PIL import Image

from providers.sandbox.config import FaultRule, SandboxConfig

ALL = list(BACKENDS.values())


def configuration() -> str:
    lines = ["providers:"]
    for each in ALL:
        url = f"{{sandbox}}/p/{each.type}/{each.path}"
        lines.append(f'  {each.type}: {{type: {each.protocol or each.type}, api_key: k, base_url: "{url}"')
        lines.append(f"    , {each.settings}}}" if each.settings else "    }")
    lines.append('  second: {type: openai, api_key: k, base_url: "{sandbox}/p/second/openai/v1"}')
    lines.append("models:")
    for each in ALL:
        targets = f"[{each.type}/{each.model}, second/gpt-image-2]"
        lines.append(f"  {each.type}-first: {{targets: {targets}, sort: order}}")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def running() -> Iterator[Turnout]:
    with Turnout(configuration(), sandbox=SandboxConfig(job_s=0.0)) as turnout:
        yield turnout


@pytest.fixture
def router(running: Turnout) -> Turnout:
    running.clear()
    return running


@pytest.fixture
def client(router: Turnout) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=router.base_url, api_key="k") as opened:
        yield opened


def every(backends: list[Backend]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("backend", backends, ids=lambda each: each.type)


def decoded(text: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text or "")))


@every(ALL)
def test_generate(backend: Backend, router: Turnout, client: openai.OpenAI) -> None:
    answer = client.images.with_raw_response.generate(
        model=f"{backend.type}/{backend.model}", prompt="a red barn", n=2, size="1024x1024", extra_body={"seed": 5}
    )
    assert answer.headers["x-router-provider"] == backend.type
    made = answer.parse()
    assert made.data is not None
    assert [(decoded(item.b64_json).format, decoded(item.b64_json).size) for item in made.data] == [
        ("PNG", (1024, 1024))
    ] * 2
    assert made.data[0].b64_json != made.data[1].b64_json or len(router.requests(operation=backend.submit)) == 2
    assert not router.requests(label="second")


@every([each for each in ALL if each.edits])
def test_edit(backend: Backend, router: Turnout, client: openai.OpenAI) -> None:
    answer = client.images.with_raw_response.edit(
        model=f"{backend.type}/{backend.edits}", prompt="at dusk", image=("a.png", picture(64, 64)), timeout=20
    )
    made = answer.parse()
    assert answer.headers["x-router-provider"] == backend.type
    assert made.data is not None
    assert decoded(made.data[0].b64_json).format == "PNG"


@every([each for each in ALL if each.cancels])
def test_a_client_that_leaves_takes_the_upstreams_job_along(backend: Backend, router: Turnout) -> None:
    router.faults(FaultRule(fault="job-never-ends", label=backend.type, on=backend.submit))
    hasty = openai.OpenAI(base_url=router.base_url, api_key="k", timeout=1.0, max_retries=0)
    with hasty as client, pytest.raises(openai.APITimeoutError):
        client.images.generate(model=f"{backend.type}/{backend.model}", prompt="a cat")
    assert len(eventually(lambda: router.requests(label=backend.type, operation="cancel"), 1.0)) == 1


@every([each for each in ALL if each.masked])
def test_edit_with_a_mask(backend: Backend, router: Turnout, client: openai.OpenAI) -> None:
    mask = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(mask, "PNG")
    made = client.images.edit(
        model=f"{backend.type}/{backend.masked}",
        prompt="a door",
        image=("a.png", picture(64, 64)),
        mask=("m.png", mask.getvalue()),
    )
    assert made.data is not None
    assert decoded(made.data[0].b64_json).format == "PNG"
    assert len(router.requests(operation=backend.submit)) == 1


@every(ALL)
def test_moderation_is_openais_error_and_stops_there(backend: Backend, router: Turnout, client: openai.OpenAI) -> None:
    router.faults(FaultRule(fault="image-safety", label=backend.type, on=backend.submit))
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model=f"{backend.type}-first", prompt="a cat")
    assert caught.value.code == "moderation_blocked"
    assert not router.requests(label="second")
    assert len(router.requests(operation=backend.submit)) == 1, "the SDK does not try again"


@every(ALL)
def test_an_upstream_that_is_down_is_passed_over(backend: Backend) -> None:
    with Turnout(configuration(), sandbox=SandboxConfig(job_s=0.0)) as turnout:
        turnout.faults(FaultRule(fault="status-503", label=backend.type))
        with openai.OpenAI(base_url=turnout.base_url, api_key="k") as client:
            answer = client.images.with_raw_response.generate(model=f"{backend.type}-first", prompt="a cat")
    assert (answer.headers["x-router-provider"], answer.headers["x-router-attempts"]) == ("second", "2")


@every(ALL)
def test_what_is_lost_is_named(backend: Backend, client: openai.OpenAI) -> None:
    answer = client.images.with_raw_response.generate(
        model=f"{backend.type}/{backend.model}", prompt="a cat", size="4096x512", extra_body={"nonsense": 1}
    )
    assert "nonsense=dropped" in answer.headers["x-router-warnings"]
