"""ComfyUI: its queue is everybody's, its cache answers with nothing, and its workflows come out of files."""

import asyncio
import io
import json
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from image_backends import BACKENDS, FAST, GRAPHS, TEXT_TO_IMAGE, WORKFLOWS, Running, running
from msgspec.structs import replace
from pictures import picture
from PIL import Image

from providers.comfyui import translate
from providers.comfyui.adapter import ComfyProvider
from providers.errors import BadResponseError, ModelNotFoundError, UnavailableError
from providers.types import ImageInput, ImageRequest
from providers.workflows import Place
from router.errors import Problem
from router.settings import Settings, inspect_settings, settings_schema

BACKEND = BACKENDS["comfyui"]
ASK = ImageRequest(model="public", prompt="a cat")


async def until(up: Running, operation: str, times: int = 1) -> None:
    while len(up.seen(operation)) < times:
        await asyncio.sleep(0.005)


async def cut(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_waiting_job_is_taken_out_of_the_queue_and_the_running_one_is_let_be() -> None:
    async with running(BACKEND, {}) as up:
        up.fault("job-never-ends", on="submit", times=1)
        others = asyncio.create_task(up.provider.images(ASK, "text"))
        await until(up, "poll")
        ours = asyncio.create_task(up.provider.images(ASK, "text"))
        await until(up, "poll", 6)
        await cut(ours)
        (cancelled,) = up.seen("cancel")
        assert (cancelled["path"], list(cancelled["body"])) == ("/p/comfyui/comfyui/queue", ["delete"])
        await cut(others)
        assert [entry["path"] for entry in up.seen("cancel")][1:] == ["/p/comfyui/comfyui/interrupt"]


async def test_nothing_is_interrupted_for_a_job_that_has_ended() -> None:
    async with running(BACKEND, {}) as up:
        await up.provider.images(ASK, "text")
        job = up.sandbox.sandbox.log.entries()[1]["path"].rpartition("/")[2]
        assert isinstance(up.provider, ComfyProvider)
        await up.provider._cancel(job)
        assert up.seen("cancel") == []


async def test_the_same_request_with_the_same_seed_is_answered_again() -> None:
    async with running(BACKEND, {}) as up:
        for _ in range(2):
            assert len((await up.provider.images(replace(ASK, seed=5), "text")).images) == 1
        first, second = (entry["body"]["prompt"] for entry in up.seen("submit"))
        assert first["3"]["inputs"]["seed"] == second["3"]["inputs"]["seed"] == 5
        assert first != second


async def test_seeds_that_nobody_gave_differ() -> None:
    async with running(BACKEND, {}) as up:
        await asyncio.gather(*(up.provider.images(ASK, "text") for _ in range(3)))
        assert len({entry["body"]["prompt"]["3"]["inputs"]["seed"] for entry in up.seen("submit")}) == 3


async def test_a_job_that_a_restarted_server_forgot_is_given_up() -> None:
    async with running(BACKEND, {}, timings=replace(FAST, unknown_s=0.0)) as up:
        up.fault("job-never-ends", on="submit")
        task = asyncio.create_task(up.provider.images(ASK, "text"))
        await until(up, "poll", 2)
        up.sandbox.sandbox._dialects["comfyui"]._jobs.clear()  # type: ignore[attr-defined]
        with pytest.raises(UnavailableError) as caught:
            await asyncio.wait_for(task, 2)
    assert caught.value.outcome == "job_failed"


async def test_a_refused_workflow_names_its_node_and_input() -> None:
    broken = replace(WORKFLOWS["text"], graph=json.loads(TEXT_TO_IMAGE.read_text().replace("sd_xl_base", "missing")))
    backend = changed(BACKEND, make=lambda up, _, models, timings: ComfyProvider("c", up, models, {"text": broken}))
    async with running(backend, {}) as up:
        with pytest.raises(ModelNotFoundError) as caught:
            await up.provider.images(ASK, "text")
    assert caught.value.message == (
        "the upstream refuses the workflow: node 4 (CheckpointLoaderSimple), ckpt_name: Value not in list"
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": {"type": "x", "message": "Prompt has no outputs"}, "node_errors": {}}', "Prompt has no outputs"),
        (b'{"error": "no prompt", "node_errors": []}', "no prompt"),
        (b'{"error": {"message": "m"}, "node_errors": {"3": {"errors": []}, "4": 7}}', "m"),
        (b"<html>", "without a reason"),
        (b"[]", "without a reason"),
    ],
)
def test_whatever_a_refusal_says_is_a_clear_error(body: bytes, reason: str) -> None:
    error = translate.error_from(400, {}, body)
    assert isinstance(error, ModelNotFoundError)
    assert error.message == f"the upstream refuses the workflow: {reason}"


@pytest.mark.parametrize("fault", ["status-404", "status-524", "html-200"])
async def test_a_finished_picture_that_cannot_be_had_was_paid_for(fault: str) -> None:
    async with running(BACKEND, {}) as up:
        up.fault(fault, on="view")
        with pytest.raises(BadResponseError) as caught:
            await up.provider.images(ASK, "text")
    assert (caught.value.outcome, caught.value.billed) == ("bad_image", True)


async def test_a_name_without_a_workflow_asks_nobody() -> None:
    async with running(BACKEND, {}) as up:
        with pytest.raises(ModelNotFoundError):
            await up.provider.images(ASK, "nobody")
        assert up.sandbox.sandbox.log.total == 0


async def test_the_operators_graph_does_not_leave_the_house() -> None:
    async with running(BACKEND, {}) as up:
        (made,) = (await up.provider.images(ASK, "text")).images
    with Image.open(io.BytesIO(made.data)) as opened:
        opened.load()
        assert dict(opened.text) == {"Software": "Turnout sandbox"}  # type: ignore[attr-defined]
    assert b"KSampler" not in made.data


def test_only_texts_with_graphs_are_taken_out_of_a_png() -> None:
    png = picture(8, 8)
    assert translate.without_graph(png) == png
    assert translate.without_graph(b"\xff\xd8\xff no png") == b"\xff\xd8\xff no png"
    graph, manifest = b"\0\0\0\x09tEXtprompt\0{}crc-", b"\0\0\0\x02caBX..crc-"
    assert translate.without_graph(png[:33] + graph + png[33:]) == png
    signed = png[:33] + graph + manifest + png[33:]
    assert translate.without_graph(signed) == signed
    truncated = png[:40]
    assert translate.without_graph(truncated).startswith(b"\x89PNG")


async def test_a_picture_is_uploaded_under_its_content_and_the_graph_names_it() -> None:
    async with running(BACKEND, {}) as up:
        for _ in range(2):
            image = ImageInput(picture(64, 64), "image/png", "../../evil.png")
            await up.provider.images(replace(ASK, images=(image,)), "edit")
        first, second = (entry["body"]["prompt"]["10"]["inputs"]["image"] for entry in up.seen("submit"))
    assert first == second
    assert first.startswith("turnout/")
    assert "evil" not in first


CONFIG = """\
providers:
  comfy:
    type: comfyui
    base_url: http://127.0.0.1:8188
    workflows:
      sdxl:
        file: flows/sdxl.json
        inputs:
          prompt: {prompt}
          negative_prompt: 7.text
          seed: {seed}
          width: 5.width
          height: {height}
models:
  draw: {{targets: [comfy/{target}]}}
"""
USUAL = {"prompt": "Positive Prompt.text", "seed": "3.seed", "height": "5.height", "target": "sdxl"}


def inspected(folder: Path, graph: str | None = None, text: str = "", **values: str) -> tuple[Settings, list[Problem]]:
    (folder / "flows").mkdir()
    (folder / "flows" / "sdxl.json").write_text(graph if graph is not None else TEXT_TO_IMAGE.read_text())
    (folder / "models.yaml").write_text("models: {comfy/sdxl: {image_s: 3, prices: [{per_image: [{usd: 0.001}]}]}}\n")
    file = folder / "turnout.yaml"
    file.write_text(text or CONFIG.format(**{**USUAL, **values}))
    settings, problems = inspect_settings(file, {})
    return settings, list(problems)


def test_a_workflow_is_a_model_whose_abilities_are_its_inputs(tmp_path: Path) -> None:
    settings, problems = inspected(tmp_path)
    assert problems == []
    assert settings.warnings == ()
    flow = settings.providers["comfy"].options.workflows["sdxl"]
    assert (flow.prompt, flow.seed, flow.images) == ((Place("6", "text"),), (Place("3", "seed"),), ())
    info = settings.catalogue["comfy/sdxl"]
    assert (info.kind, info.image_s, len(info.prices)) == ("image", 3, 1)
    assert info.image is not None
    assert (info.image.references, info.image.mask, info.image.pixels is not None) == (0, False, True)
    assert settings.sources[-1] == tmp_path / "flows" / "sdxl.json"


YAML, JSON = "turnout.yaml", "flows/sdxl.json"
AT = "providers.comfy.workflows.sdxl."


@pytest.mark.parametrize(
    ("values", "line", "key", "message"),
    [
        ({"prompt": "66.text"}, 9, AT + "inputs.prompt", "no node '66' in sdxl.json"),
        ({"prompt": "Positive Promt.text"}, 9, AT + "inputs.prompt", "did you mean 'Positive Prompt'?"),
        ({"prompt": "text"}, 9, AT + "inputs.prompt", "must be node.input"),
        ({"prompt": "6.txt"}, 9, AT + "inputs.prompt", "no input 'txt'; did you mean 'text'?"),
        ({"prompt": "3.positive"}, 9, AT + "inputs.prompt", "is wired to node '6'"),
        ({"prompt": "3.seed"}, 9, AT + "inputs.prompt", "is no text"),
        ({"seed": "3.sampler_name"}, 11, AT + "inputs.seed", "is no whole number"),
        ({"seed": "[3.seed, 3.cfg.x]"}, 11, AT + "inputs.seed[1]", "no node '3.cfg'"),
        ({"seed": "[]"}, 11, AT + "inputs.seed", "must not be empty"),
        ({"height": "[]"}, 12, AT + "inputs.width", "needs 'height' as well"),
        ({"target": "sdxk"}, 15, "models.draw.targets[0]", "no workflow 'sdxk' in provider 'comfy'; did you mean"),
    ],
)
def test_what_is_wrong_with_the_inputs_is_one_line_at_its_key(
    tmp_path: Path, values: dict[str, str], line: int, key: str, message: str
) -> None:
    _, problems = inspected(tmp_path, **values)
    (problem,) = problems
    assert (Path(problem.file).name, problem.line, problem.key) == (YAML, line, key)
    assert message in problem.message


@pytest.mark.parametrize(
    ("graph", "line", "key", "message"),
    [
        ('{\n "3": {\n', 3, "", "not JSON"),
        ('{"nodes": [], "links": []}', 1, "", "Export (API)"),
        ("[]", 1, "", "must be a workflow's graph"),
        ("{}", 1, "", "must be a workflow's graph"),
        ('{\n "3": {"inputs": {}, "class_type": "X"},\n "7": {"inputs": {}}\n}', 3, "7", "no 'class_type'"),
        ('{\n\n "3": {"class_type": "X"}}', 3, "3", "no 'inputs'"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_its_line(
    tmp_path: Path, graph: str, line: int, key: str, message: str
) -> None:
    _, (problem,) = inspected(tmp_path, graph)
    assert (problem.file, problem.line, problem.key) == (str(tmp_path / JSON), line, key)
    assert message in problem.message


def test_two_nodes_of_one_title_are_told_apart_by_id(tmp_path: Path) -> None:
    twice = TEXT_TO_IMAGE.read_text().replace("Negative Prompt", "Positive Prompt")
    _, (problem,) = inspected(tmp_path, twice)
    assert "nodes 6, 7 of sdxl.json are all called 'Positive Prompt'" in problem.message


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("providers:\n  c: {type: comfyui}\n", 2, "providers.c", "needs 'workflows'"),
        (
            "providers:\n  c: {type: openai, api_key: k, workflows: {a: {file: flows/sdxl.json, inputs: "
            "{prompt: 6.text, seed: 3.seed}}}}\n",
            2,
            "providers.c.workflows",
            "only providers of type comfyui",
        ),
        (
            "providers:\n  c:\n    type: comfyui\n    workflows:\n      a:\n        file: flows/none.json\n"
            "        inputs: {prompt: 6.text, seed: 3.seed}\n",
            0,
            "",
            "cannot be read",
        ),
        (
            "providers:\n  c:\n    type: comfyui\n    workflows:\n      a:\n        file: flows/sdxl.json\n"
            "        inputs: {prompt: 6.text}\n",
            7,
            "providers.c.workflows.a.inputs",
            "'seed' is missing",
        ),
    ],
)  # fmt: skip
def test_workflows_belong_to_comfyui_and_comfyui_has_some(
    tmp_path: Path, text: str, line: int, key: str, message: str
) -> None:
    _, problems = inspected(tmp_path, text=text)
    problem = problems[0]
    assert (problem.line, problem.key) == (line, key)
    assert message in problem.message
    assert len(problems) == 1


def test_a_mask_belongs_to_a_picture(tmp_path: Path) -> None:
    text = (
        "providers:\n  c:\n    type: comfyui\n    workflows:\n      a:\n        file: flows/sdxl.json\n"
        "        inputs:\n          prompt: 6.text\n          seed: 3.seed\n          mask: 12.image\n"
    )
    _, (problem,) = inspected(tmp_path, (GRAPHS / "inpaint.json").read_text(), text)
    assert (problem.line, problem.message) == (10, "needs 'image' as well")


def test_the_schema_takes_one_place_or_several() -> None:
    for seed, right in (("3.seed", True), (["3.seed", "12.noise_seed"], True), (3, False)):
        flow = {"file": "a.json", "inputs": {"prompt": "6.text", "seed": seed}}
        written = {"providers": {"c": {"type": "comfyui", "workflows": {"a": flow}}}}
        assert jsonschema.Draft202012Validator(settings_schema()).is_valid(written) == right
