"""Azure OpenAI in both of its forms, through the whole router and asked with OpenAI's own SDK."""

import base64
import io
from collections.abc import Iterator

import httpx
import openai
import pytest
from harness import Turnout
from pictures import picture
from PIL import Image

from providers.sandbox.config import FaultRule, SandboxConfig

VERSION = "2025-04-01-preview"
FORMS = ("v1", "classic")
CONFIG = f"""
providers:
  v1:
    type: azure
    api_key: k
    base_url: "{{sandbox}}/p/v1/azure/openai/v1/"
    azure: {{deployments: {{gpt-image-2: pics, gpt-5.5: talk, text-embedding-3-small: vectors}}}}
  classic:
    type: azure
    api_key: k
    base_url: "{{sandbox}}/p/classic/azure"
    azure:
      api_version: {VERSION}
      deployments: {{gpt-image-2: pics, gpt-5.5: talk, text-embedding-3-small: vectors}}
  second: {{type: openai, api_key: k, base_url: "{{sandbox}}/p/second/openai/v1"}}
models:
  v1-first: {{targets: [v1/gpt-image-2, second/gpt-image-2], sort: order}}
  classic-first: {{targets: [classic/gpt-image-2, second/gpt-image-2], sort: order}}
  v1-talk: {{targets: [v1/gpt-5.5, second/gpt-5.5], sort: order}}
  classic-talk: {{targets: [classic/gpt-5.5, second/gpt-5.5], sort: order}}
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Turnout]:
    with Turnout(CONFIG, sandbox=SandboxConfig()) as turnout:
        yield turnout


@pytest.fixture
def router(running: Turnout) -> Turnout:
    running.clear()
    return running


@pytest.fixture
def client(router: Turnout) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=router.base_url, api_key="k", max_retries=0) as opened:
        yield opened


both = pytest.mark.parametrize("form", FORMS)


def at(form: str, deployment: str, path: str) -> tuple[str, str]:
    """Path and query of a call, as that form of the wire has them."""
    if form == "v1":
        return f"/p/v1/azure/openai/v1{path}", ""
    return f"/p/classic/azure/openai/deployments/{deployment}{path}", f"api-version={VERSION}"


@both
def test_chat_plain_and_streamed(form: str, router: Turnout, client: openai.OpenAI) -> None:
    plain = client.chat.completions.create(model=f"{form}/gpt-5.5", messages=[{"role": "user", "content": "hello"}])
    chunks = list(
        client.chat.completions.create(
            model=f"{form}/gpt-5.5",
            messages=[{"role": "user", "content": "hello"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == plain.choices[0].message.content
    assert chunks[-1].usage is not None
    for call in router.requests(operation="chat"):
        assert (call["path"], call["query"]) == at(form, "talk", "/chat/completions")
        assert call["headers"]["api-key"] == "k"
        assert "authorization" not in call["headers"]


@both
def test_embeddings(form: str, router: Turnout, client: openai.OpenAI) -> None:
    made = client.embeddings.create(model=f"{form}/text-embedding-3-small", input=["a", "b"], dimensions=8)
    assert [len(item.embedding) for item in made.data] == [8, 8]
    (call,) = router.requests(operation="embed")
    assert (call["path"], call["query"]) == at(form, "vectors", "/embeddings")


@both
def test_a_picture_is_made(form: str, router: Turnout, client: openai.OpenAI) -> None:
    answer = client.images.with_raw_response.generate(
        model=f"{form}/gpt-image-2", prompt="a barn", n=2, size="1536x1024", quality="hd", response_format="b64_json"
    )
    made = answer.parse()
    assert made.data is not None
    assert [Image.open(io.BytesIO(base64.b64decode(item.b64_json or ""))).size for item in made.data] == [
        (1536, 1024)
    ] * 2
    assert float(answer.headers["x-router-cost-usd"]) > 0, "at the price of the model, whatever it is called there"
    (call,) = router.requests(operation="images")
    assert (call["path"], call["query"]) == at(form, "pics", "/images/generations")
    assert call["body"].get("model") == ("pics" if form == "v1" else None)
    assert "response_format" not in call["body"]


@both
def test_an_edit_keeps_the_callers_mask(form: str, router: Turnout, client: openai.OpenAI) -> None:
    mask = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(mask, "PNG")
    made = client.images.edit(
        model=f"{form}/gpt-image-2",
        prompt="a door",
        image=[("a.png", picture(64, 64)), ("b.png", picture(64, 64))],
        mask=("m.png", mask.getvalue()),
    )
    assert made.data is not None
    (call,) = router.requests(operation="edits")
    assert (call["path"], call["query"]) == at(form, "pics", "/images/edits")
    raw = router.on_loop(lambda: router._sandbox.sandbox.log.bodies()[-1])
    assert (b'name="model"' in raw) == (form == "v1")
    assert mask.getvalue() in raw


@both
def test_a_picture_is_streamed_with_previews(form: str, router: Turnout, client: openai.OpenAI) -> None:
    events = list(client.images.generate(model=f"{form}/gpt-image-2", prompt="a barn", stream=True, partial_images=2))
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    (call,) = router.requests(operation="images")
    assert call["body"]["stream"] is True


@both
def test_what_its_filter_refuses_is_openais_error_and_stops_there(
    form: str, router: Turnout, client: openai.OpenAI
) -> None:
    router.faults(FaultRule(fault="blocked-prompt", label=form))
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model=f"{form}-first", prompt="a cat")
    assert caught.value.code == "moderation_blocked"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=f"{form}-talk", messages=[{"role": "user", "content": "hello"}])
    assert caught.value.code == "content_policy_violation"
    assert not router.requests(label="second")


@both
@pytest.mark.parametrize("fault", ["429-retry-after", "bad-key", "status-404", "status-408", "status-524", "html-200"])
def test_what_is_wrong_with_it_is_passed_over(form: str, fault: str) -> None:
    with Turnout(CONFIG, sandbox=SandboxConfig()) as turnout:
        turnout.faults(FaultRule(fault=fault, label=form))
        with openai.OpenAI(base_url=turnout.base_url, api_key="k", max_retries=0) as client:
            said = client.chat.completions.with_raw_response.create(
                model=f"{form}-talk", messages=[{"role": "user", "content": "hello"}]
            )
            assert said.headers["x-router-provider"] == "second"
            drawn = client.images.with_raw_response.generate
            if fault in ("status-408", "status-524", "html-200"):  # it may have been made, and is not bought twice
                with pytest.raises(openai.APIStatusError) as caught:
                    drawn(model=f"{form}-first", prompt="a cat")
                assert caught.value.response.headers["x-should-retry"] == "false"
            else:
                assert drawn(model=f"{form}-first", prompt="a cat").headers["x-router-provider"] == "second"


def test_the_simulated_azure_refuses_what_azure_refuses(router: Turnout) -> None:
    asked = {"prompt": "a cat"}
    pictures = f"{router.sandbox_url}/p/x/azure/openai/deployments/pics/images/generations"
    key, dated = {"api-key": "k"}, {"api-version": VERSION}
    with httpx.Client(trust_env=False) as http:
        assert http.post(pictures, json=asked, headers=key, params=dated).status_code == 200
        for answer, status, code in (
            (http.post(pictures, json=asked, headers=key), 404, "404"),
            (http.post(pictures, json=asked, headers={"authorization": "Bearer k"}, params=dated), 401, "401"),
            (http.post(pictures, json={**asked, "model": "pics"}, headers=key, params=dated), 400, "invalid_value"),
            (
                http.post(pictures, json={**asked, "response_format": "url"}, headers=key, params=dated),
                400,
                "unknown_parameter",
            ),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        v1 = f"{router.sandbox_url}/p/x/azure/openai/v1/images/generations"
        assert http.post(v1, json=asked, headers=key).status_code == 400
        assert http.post(v1, json={**asked, "model": "pics"}, headers=key).status_code == 200
        assert http.post(v1, json={**asked, "model": "pics"}, headers=key, params=dated).status_code == 400
