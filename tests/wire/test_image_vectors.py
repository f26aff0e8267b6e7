"""Every image backend's translation on vectors: what goes out for a request, and what its answers mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bfl_vectors
import comfyui_vectors
import fal_vectors
import ideogram_vectors
import midjourney_vectors
import openai_kin_vectors
import orjson
import pytest
import replicate_vectors
import stability_vectors
import stable_diffusion_vectors
from image_backends import WORKFLOWS
from image_vectors import Sent, Told

from providers.bfl import translate as bfl
from providers.catalogue import ModelInfo, lookup
from providers.comfyui import translate as comfyui
from providers.errors import ProviderError, UnsupportedFieldError
from providers.fal import translate as fal
from providers.ideogram import translate as ideogram
from providers.jobs import Done, Pending
from providers.midjourney.bridges import BRIDGES, Bridge
from providers.midjourney.prompt import to_line
from providers.openai.dialects import OPENROUTER, SEEDREAM, TOGETHER, XAI, ImageDialect, to_dialect
from providers.openai.images import from_images
from providers.replicate import translate as replicate
from providers.stability import translate as stability
from providers.stable_diffusion import translate as stable_diffusion
from providers.types import ImageRequest
from router.settings import load_settings

CATALOGUE = load_settings(Path(__file__).parents[2] / "config" / "turnout.yaml", {}).catalogue

Written = tuple[dict[str, Any], tuple[str, ...]]


def to_bfl(request: ImageRequest, model: str, info: ModelInfo) -> Written:
    made = bfl.to_task(request, info)
    return orjson.loads(made.body), made.warnings


def to_stability(request: ImageRequest, model: str, info: ModelInfo) -> Written:
    made = stability.to_form(request, model, info)
    files = {file.field: file.filename for file in made.files}
    return {"path": made.path, **dict(made.texts), **files}, made.warnings


def to_fal(request: ImageRequest, model: str, info: ModelInfo) -> Written:
    made = fal.to_input(request, info)
    return orjson.loads(made.body), made.warnings


def fal_result(body: bytes) -> Any:
    result = fal.result_from(body)
    return result.urls, result.warnings


def to_replicate(request: ImageRequest, model: str, info: ModelInfo) -> Written:
    made = replicate.to_prediction(request, model, info)
    return {"path": made.path, **orjson.loads(made.body)}, made.warnings


def to_kin(dialect: ImageDialect) -> Callable[[ImageRequest, str, ModelInfo], Written]:
    def write(request: ImageRequest, model: str, info: ModelInfo) -> Written:
        made = to_dialect(request, model, info, dialect)
        return {"path": made.path, **orjson.loads(made.body)}, made.warnings

    return write


def items(body: bytes) -> Any:
    return len(from_images(body, model="m").items)


KIN = {"together": TOGETHER, "xai": XAI, "seedream": SEEDREAM, "openrouter": OPENROUTER}


def to_ideogram(request: ImageRequest, model: str, info: ModelInfo) -> Written:
    made = ideogram.to_call(request, model, info)
    files = {file.field: file.filename for file in made.files}
    fields = dict(made.texts) if made.body is None else orjson.loads(made.body)
    return {"path": made.path, **fields, **files}, made.warnings


def ideogram_result(body: bytes) -> Any:
    made = ideogram.made_from(body)
    return made.pictures, made.warnings


def to_stable_diffusion(request: ImageRequest, model: str, info: ModelInfo) -> Written:
    made = stable_diffusion.to_call(request, model, info)
    return {"path": made.path, **orjson.loads(made.body)}, made.warnings


def to_comfyui(request: ImageRequest, model: str, info: ModelInfo) -> Written:
    """The inputs that differ from those of the workflow's file, by node and name."""
    flow = WORKFLOWS[model]
    asked = comfyui.check(request, flow, info)
    names = comfyui.Uploads(
        images=tuple(f"turnout/{place}.png" for place in range(len(request.images))),
        mask=None if request.mask is None else "turnout/mask.png",
    )
    body = orjson.loads(comfyui.to_prompt(request, flow, asked, names, seed=99, serial="f00d"))
    assert body["prompt"].keys() == flow.graph.keys()
    changed = {
        f"{node}.{name}": value
        for node, each in body["prompt"].items()
        for name, value in each["inputs"].items()
        if value != flow.graph[node]["inputs"][name]  # type: ignore[index,call-overload]
    }
    return changed, asked.warnings


def to_midjourney(bridge: Bridge) -> Callable[[ImageRequest, str, ModelInfo], Written]:
    def write(request: ImageRequest, model: str, info: ModelInfo) -> Written:
        asked = to_line(request, model, info, bridge.references)
        return {"path": bridge.submit, **orjson.loads(bridge.to_job(asked.text, request.images))}, asked.warnings

    return write


def midjourney_state(bridge: Bridge) -> Callable[[bytes], Any]:
    def meaning(body: bytes) -> Any:
        found = bridge.state_from(body)
        return "pending" if isinstance(found, Pending) else (found.value.urls, found.value.grid)

    return meaning


def state(read: Callable[[bytes], Pending | Done[Any]]) -> Callable[[bytes], Any]:
    def meaning(body: bytes) -> Any:
        found = read(body)
        return "pending" if isinstance(found, Pending) else found.value

    return meaning


WRITERS: dict[str, Callable[[ImageRequest, str, ModelInfo], Written]] = {
    "bfl": to_bfl,
    "comfyui": to_comfyui,
    "midjourney": to_midjourney(BRIDGES["midjourney-proxy"]),
    "legnext": to_midjourney(BRIDGES["legnext"]),
    "fal": to_fal,
    "replicate": to_replicate,
    **{name: to_kin(dialect) for name, dialect in KIN.items()},
    "ideogram": to_ideogram,
    "stable-diffusion": to_stable_diffusion,
    "stability": to_stability,
}
READERS: dict[str, Callable[[bytes], Any]] = {
    "bfl": state(bfl.state_of),
    "midjourney": midjourney_state(BRIDGES["midjourney-proxy"]),
    "legnext": midjourney_state(BRIDGES["legnext"]),
    "comfyui": state(lambda body: comfyui.state_of(body, "j1", WORKFLOWS["inpaint"])),
    "fal": fal_result,
    "replicate": state(replicate.state_of),
    **dict.fromkeys(KIN, items),
    "ideogram": ideogram_result,
    "stable-diffusion": lambda body: len(stable_diffusion.pictures_from(body, 1)),
    "stability": lambda body: stability.picture_from(body).mime,
}
MODULES = (
    bfl_vectors,
    comfyui_vectors,
    fal_vectors,
    ideogram_vectors,
    midjourney_vectors,
    openai_kin_vectors,
    replicate_vectors,
    stability_vectors,
    stable_diffusion_vectors,
)
SENT: list[Sent] = [vector for module in MODULES for vector in module.SENT]
TOLD: list[Told] = [vector for module in MODULES for vector in module.TOLD]


@pytest.mark.parametrize("vector", SENT, ids=lambda each: f"{each.backend}: {each.name}")
def test_a_request_goes_out_as_the_backend_wants_it(vector: Sent) -> None:
    request = ImageRequest(**{"model": "public", "prompt": "a cat", **vector.given})
    info = lookup(CATALOGUE, vector.backend, vector.model)
    if vector.body is None:
        with pytest.raises(UnsupportedFieldError) as caught:
            WRITERS[vector.backend](request, vector.model, info)
        assert caught.value.param == vector.param
        return
    assert WRITERS[vector.backend](request, vector.model, info) == (vector.body, vector.warnings)


@pytest.mark.parametrize("vector", TOLD, ids=lambda each: f"{each.backend}: {each.name}")
def test_an_answer_means_what_the_backend_means(vector: Told) -> None:
    body = orjson.dumps(vector.answer)
    if vector.error is None:
        assert READERS[vector.backend](body) == vector.means
        return
    with pytest.raises(ProviderError) as caught:
        READERS[vector.backend](body)
    error = caught.value
    assert (type(error), error.outcome, error.billed) == (vector.error, vector.outcome, vector.billed)


def test_every_backend_has_vectors_of_both_kinds() -> None:
    assert {each.backend for each in SENT} == WRITERS.keys()
    assert {each.backend for each in TOLD} == READERS.keys()
