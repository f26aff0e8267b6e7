"""Midjourney's bridges: lines that nobody can put parameters into, answers by code, grids cut in four, and consent."""

import io
import re
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_backends import BACKENDS, running
from msgspec.structs import replace
from PIL import Image

from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import (
    BadResponseError,
    ContentBlockedError,
    ModelNotFoundError,
    ProviderError,
    RateLimitedError,
    UnavailableError,
)
from providers.midjourney.bridges import BRIDGES
from providers.midjourney.grid import quarters
from providers.midjourney.prompt import plain, to_line
from providers.types import ImageInput, ImageRequest
from router.errors import Problem
from router.pictures.fanout import make_pictures
from router.settings import Settings, inspect_settings, use_sandbox

ASK = ImageRequest(model="public", prompt="a cat")
PROXY = BRIDGES["midjourney-proxy"]
INFO = ModelInfo(name="midjourney", known=False)


PIECES = st.sampled_from([*"-\u2014\u2013\u200b\n {}:/ahtps", "--ar ", "https://"])


@given(st.lists(PIECES, max_size=40).map("".join))
def test_no_text_makes_a_parameter_an_address_or_a_permutation(text: str) -> None:
    words, _ = plain(text)
    assert "--" not in words
    assert not re.search("[\u2010-\u2015\u2212\u200b{}\\n]|://", words)
    assert plain(words) == (words, False), "once is enough"
    line = to_line(replace(ASK, prompt=text, negative_prompt=text), "midjourney-v7", INFO, 4).text
    assert re.findall(r"--\w+", line) == [*(["--no"] if words else []), "--v"]


@pytest.mark.parametrize("model", ["midjourney-7", "v7", "midjourney-v7 --no x", "midjourney-v", "", "flux"])
def test_a_name_that_is_no_version_is_not_asked_for(model: str) -> None:
    with pytest.raises(ModelNotFoundError):
        to_line(ASK, model, INFO, 4)


@pytest.mark.parametrize("code", [1, 21, 22])
def test_taken_known_and_queued_jobs_are_watched(code: int) -> None:
    assert PROXY.job_from(orjson.dumps({"code": code, "result": "1320098173412546"})) == "1320098173412546"
    assert PROXY.job_from(orjson.dumps({"code": code, "result": 1320098173412546})) == "1320098173412546"


@pytest.mark.parametrize(
    ("answer", "kind", "billed"),
    [
        ({"code": 23, "description": "queue full"}, RateLimitedError, False),
        ({"code": 24, "description": "banned", "properties": {"bannedWord": "x"}}, ContentBlockedError, False),
        ({"code": 3, "description": "no account"}, UnavailableError, False),
        ({"code": 4, "description": "quota_not_enough"}, UnavailableError, False),
        ({"code": 9, "description": "failure"}, UnavailableError, False),
        ({"code": 1, "result": "../../x"}, BadResponseError, True),
        ({"code": 1}, BadResponseError, True),
        ({"result": "1"}, BadResponseError, True),
        ({"error": "x"}, BadResponseError, True),
    ],
)
def test_every_other_code_has_its_class(answer: object, kind: type[ProviderError], billed: bool) -> None:
    with pytest.raises(ProviderError) as caught:
        PROXY.job_from(orjson.dumps(answer))
    assert (type(caught.value), caught.value.billed) == (kind, billed)
    if kind is ContentBlockedError:
        assert caught.value.code == "moderation_blocked"


@pytest.mark.parametrize("body", [b"", b"null", b" \n"])
@pytest.mark.parametrize("bridge", BRIDGES.values(), ids=BRIDGES.keys())
def test_an_answer_about_nothing_is_a_job_that_is_not_known(bridge: object, body: bytes) -> None:
    with pytest.raises(ModelNotFoundError):
        bridge.state_from(body)  # type: ignore[attr-defined]


def grid(width: int, height: int, kind: str = "PNG") -> bytes:
    """Red, green, blue and white, row by row."""
    picture = Image.new("RGB", (width, height))
    for place, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]):
        x, y = place % 2 * (width // 2), place // 2 * (height // 2)
        picture.paste(colour, (x, y, x + width // 2, y + height // 2))
    sink = io.BytesIO()
    picture.save(sink, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return sink.getvalue()


@pytest.mark.parametrize(("size", "kind"), [((64, 32), "PNG"), ((64, 32), "WEBP"), ((65, 33), "PNG")])
def test_a_grid_is_cut_into_its_four_pictures(size: tuple[int, int], kind: str) -> None:
    cut = [Image.open(io.BytesIO(data)) for data in quarters(grid(*size, kind), 4, "generated")]
    assert [picture.size for picture in cut] == [(32, 16)] * 4
    colours = [picture.getcolors() for picture in cut]
    assert colours == [[(512, each)] for each in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]]
    assert len(quarters(grid(*size, kind), 2, "generated")) == 2


@pytest.mark.parametrize(
    ("origin", "said"),
    [("generated", "/trainedAlgorithmicMedia"), ("edited", "/compositeWithTrainedAlgorithmicMedia")],
)
def test_what_is_cut_carries_the_mark_for_machines(origin: str, said: str) -> None:
    (data,) = quarters(grid(8, 8), 1, origin)  # type: ignore[arg-type]
    with Image.open(io.BytesIO(data)) as opened:
        assert said in opened.info["XML:com.adobe.xmp"]


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", grid(64, 64)[:100]])
def test_what_is_no_grid_is_a_bad_image_that_was_paid_for(data: bytes) -> None:
    with pytest.raises(BadResponseError) as caught:
        quarters(data, 4, "generated")
    assert (caught.value.outcome, caught.value.billed) == ("bad_image", True)


@pytest.mark.parametrize("limit", [None, 59_000_000], ids=["by ours alone", "by Pillow's"])
def test_a_grid_too_large_to_decode_is_refused_by_its_header(
    limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = io.BytesIO()
    Image.new("1", (10_000, 6_000)).save(sink, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)  # a warning, which tests turn into an error
    with pytest.raises(BadResponseError):
        quarters(sink.getvalue(), 4, "generated")


@pytest.mark.parametrize(("n", "jobs"), [(1, 1), (4, 1), (5, 2), (10, 3)])
@pytest.mark.parametrize("name", ["midjourney", "legnext"])
async def test_four_pictures_are_one_job(name: str, n: int, jobs: int) -> None:
    info = ModelInfo(name="midjourney", image=ImageCapabilities(ratios=("1:1",), per_call=4))
    async with running(BACKENDS[name], {"midjourney": info}) as up:
        answer = await make_pictures(up.provider, replace(ASK, n=n), "midjourney", info)
        assert len(answer.images) == n
        assert len({image.data for image in answer.images[:4]}) == min(n, 4)
        assert len(up.seen("submit")) == jobs
        assert answer.reported_cost_usd is None or answer.reported_cost_usd > Decimal(0)


async def test_three_of_four_pictures_are_three_and_a_warning() -> None:
    async with running(BACKENDS["legnext"], {}) as up:
        up.fault("status-403", on="file", times=1)
        answer = await up.provider.images(replace(ASK, n=4), "midjourney")
    assert (len(answer.images), answer.warnings) == (3, ("data[0]=not delivered",))


async def test_a_banned_word_is_moderation_at_once() -> None:
    async with running(BACKENDS["midjourney"], {}) as up:
        up.fault("blocked-prompt", on="submit")
        with pytest.raises(ContentBlockedError) as caught:
            await up.provider.images(ASK, "midjourney")
        assert (caught.value.billed, up.seen("poll")) == (False, [])


async def test_the_simulated_one_knows_no_parameter_that_we_do_not_set() -> None:
    async with running(BACKENDS["midjourney"], {}) as up:
        every = replace(ASK, seed=1, quality="max", negative_prompt="b", extra={"chaos": 1, "stylize": 2, "weird": 3})
        image = ImageInput(grid(8, 8), "image/png")
        assert (await up.provider.images(replace(every, images=(image,)), "midjourney-niji-7")).images
        (asked,) = up.seen("submit")
        assert asked["body"]["base64Array"][0].startswith("data:image/png;base64,")


def inspected(folder: Path, provider: str) -> tuple[Settings, list[Problem]]:
    file = folder / "turnout.yaml"
    file.write_text(f"providers:\n  up:\n    {provider}\nmodels:\n  m: {{targets: [up/midjourney]}}\n")
    (folder / "models.yaml").write_text("models: {}\n")
    settings, problems = inspect_settings(file, {})
    return settings, list(problems)


PROXY_AT = "type: midjourney\n    base_url: http://127.0.0.1:8080\n    api_key: k\n    "


@pytest.mark.parametrize(
    ("provider", "line", "key", "message"),
    [
        (PROXY_AT, 2, "providers.up", "say 'midjourney: {unofficial: true}'"),
        (PROXY_AT + "midjourney: {dialect: legnext}", 6, "providers.up.midjourney", "unofficial: true"),
        (PROXY_AT + "midjourney:\n      unofficial: false", 7, "providers.up.midjourney.unofficial",
         "unofficial: true"),
        (PROXY_AT + "midjourney: {unofficial: true, dialect: legnxt}", 6, "providers.up.midjourney.dialect",
         "did you mean 'legnext'?"),
        ("type: midjourney\n    api_key: k\n    midjourney: {unofficial: true}", 2, "providers.up", "'base_url'"),
        ("type: openai\n    api_key: k\n    midjourney: {unofficial: true}", 5, "providers.up.midjourney",
         "only providers of type midjourney"),
    ],
)  # fmt: skip
def test_a_bridge_is_on_only_where_somebody_vouches_for_it(
    tmp_path: Path, provider: str, line: int, key: str, message: str
) -> None:
    _, (problem,) = inspected(tmp_path, provider)
    assert (problem.line, problem.key) == (line, key)
    assert message in problem.message


@pytest.mark.parametrize(
    ("options", "url", "simulated"),
    [
        ("base_url: http://127.0.0.1:8080\n    midjourney: {unofficial: true}", "http://127.0.0.1:8080", "midjourney"),
        ("midjourney: {unofficial: true, dialect: legnext}", "https://api.legnext.ai/api/v1", "legnext/api/v1"),
    ],
)
def test_a_bridge_is_where_it_is_and_simulated_as_what_it_is(
    tmp_path: Path, options: str, url: str, simulated: str
) -> None:
    settings, problems = inspected(tmp_path, f"type: midjourney\n    api_key: k\n    {options}")
    assert problems == []
    assert (settings.providers["up"].base_url, settings.providers["up"].enabled) == (url, True)
    assert use_sandbox(settings, "http://s").providers["up"].base_url == f"http://s/p/up/{simulated}"
