"""The image backends as tests drive them: each adapter against the sandbox's dialect of it, with fast timings."""

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from providers.base import ImageProvider
from providers.bfl.adapter import BflProvider
from providers.catalogue import Catalogue
from providers.comfyui.adapter import ComfyProvider
from providers.fal.adapter import FalProvider
from providers.fetch import Fetcher
from providers.ideogram.adapter import IdeogramProvider
from providers.jobs import JobTimings
from providers.midjourney.adapter import MidjourneyProvider
from providers.midjourney.bridges import BRIDGES
from providers.openai.adapter import OpenAIProvider
from providers.openai.dialects import OPENROUTER, SEEDREAM, TOGETHER, XAI, ImageDialect
from providers.replicate.adapter import ReplicateProvider
from providers.sandbox.config import FaultRule, SandboxConfig
from providers.sandbox.forms import form_fields
from providers.sandbox.server import SandboxServer
from providers.stability.adapter import StabilityProvider
from providers.stable_diffusion.adapter import StableDiffusionProvider
from providers.upstream import Upstream
from providers.workflows import Place, Workflow

FAST = JobTimings(first_s=0.01, step_s=0.0, max_s=0.01, deadline_s=5.0, unknown_s=0.1)

FLUX = "black-forest-labs/FLUX.1"

Make = Callable[[Upstream, Fetcher, Catalogue, JobTimings], ImageProvider]


@dataclass(frozen=True)
class Backend:
    """One backend: the type of its provider, what its key travels in, and which of its models can do what
    (`edits`: from a picture; `masked`: only what a mask leaves open).

    `settings` is what its provider is told besides, as YAML; `type` is then only the dialect's name where `protocol` is
    another. `submit` and `poll` are the sandbox's names of the operations that make and that watch a picture; `cancels`
    says that a job can be taken back, `fetches` that results lie behind addresses. `mask_sent` finds the mask in the
    body (given with its content type) of the last `mask_in`, or of `submit`; with `white` that is where it edits.
    """

    type: str
    path: str
    key: Mapping[str, str]
    make: Make
    model: str
    edits: str = ""
    masked: str = ""
    mask_sent: Callable[[bytes, str], bytes] = lambda body, content_type: b""
    mask_in: str = ""
    white: bool = True
    submit: str = "submit"
    poll: str = ""
    settings: str = ""
    protocol: str = ""
    cancels: bool = False
    fetches: bool = True


def from_data_url(url: str) -> bytes:
    assert url.startswith("data:image/png;base64,")
    return base64.b64decode(url.partition(",")[2])


def kin(type_: str, path: str, dialect: ImageDialect, model: str, edits: str = "") -> Backend:
    return Backend(
        type=type_,
        path=path,
        key={"authorization": "Bearer k"},
        make=lambda up, fetcher, models, _: OpenAIProvider(type_, up, models, fetcher, dialect=dialect),
        model=model,
        edits=edits or model,
        submit="images",
        fetches=False,
    )


GRAPHS = Path(__file__).parent / "wire" / "comfyui"
TEXT_TO_IMAGE = Path(__file__).parents[1] / "config" / "workflows" / "text-to-image.json"


def workflow(file: Path, **more: Any) -> Workflow:
    """One of our graphs: their samplers and texts are the same nodes."""
    return Workflow(
        graph=orjson.loads(file.read_bytes()),
        prompt=(Place("6", "text"),),
        negative_prompt=(Place("7", "text"),),
        seed=(Place("3", "seed"),),
        **more,
    )


WORKFLOWS = {
    "text": workflow(TEXT_TO_IMAGE, width=(Place("5", "width"),), height=(Place("5", "height"),)),
    "edit": workflow(GRAPHS / "edit.json", images=(Place("10", "image"),)),
    "inpaint": workflow(GRAPHS / "inpaint.json", images=(Place("10", "image"),), mask=(Place("12", "image"),)),
}
_INPUTS = "prompt: Positive Prompt.text, negative_prompt: 7.text, seed: 3.seed"
COMFY_SETTINGS = f"""workflows: {{
      text: {{file: "{TEXT_TO_IMAGE}", inputs: {{{_INPUTS}, width: 5.width, height: 5.height}}}},
      edit: {{file: "{GRAPHS / "edit.json"}", inputs: {{{_INPUTS}, image: 10.image}}}},
      inpaint: {{file: "{GRAPHS / "inpaint.json"}", inputs: {{{_INPUTS}, image: 10.image, mask: 12.image}}}}}}"""


def uploaded_mask(body: bytes, kind: str) -> bytes:
    return form_fields(body, kind)["image"][0].data  # type: ignore[no-any-return]


BACKENDS = {
    each.type: each
    for each in (
        Backend(
            type="bfl",
            path="bfl/v1",
            key={"x-key": "k"},
            make=lambda up, fetcher, models, timings: BflProvider("bfl", up, fetcher, models, timings),
            model="flux-2-pro",
            edits="flux-2-pro",
            masked="flux-pro-1.0-fill",
            mask_sent=lambda body, _: base64.b64decode(orjson.loads(body)["mask"]),
            poll="poll",
        ),
        Backend(
            type="fal",
            path="fal",
            key={"authorization": "Key k"},
            make=lambda up, fetcher, models, timings: FalProvider("fal", up, fetcher, models, timings),
            model="fal-ai/flux/schnell",
            edits="fal-ai/flux/dev/image-to-image",
            masked="fal-ai/flux-lora/inpainting",
            mask_sent=lambda body, _: from_data_url(orjson.loads(body)["mask_url"]),
            poll="poll",
            cancels=True,
        ),
        Backend(
            type="replicate",
            path="replicate/v1",
            key={"authorization": "Bearer k"},
            make=lambda up, fetcher, models, timings: ReplicateProvider("replicate", up, fetcher, models, timings),
            model="black-forest-labs/flux-schnell",
            edits="black-forest-labs/flux-dev",
            masked="black-forest-labs/flux-fill-pro",
            mask_sent=lambda body, _: from_data_url(orjson.loads(body)["input"]["mask"]),
            poll="poll",
            cancels=True,
        ),
        kin(
            "together",
            "together/v1",
            TOGETHER,
            "black-forest-labs/FLUX.1-schnell",
            "black-forest-labs/FLUX.1-kontext-pro",
        ),
        kin("xai", "xai/v1", XAI, "grok-imagine-image-2.0"),
        kin("seedream", "seedream/api/v3", SEEDREAM, "seedream-4-0-250828"),
        kin("openrouter", "openrouter/api/v1", OPENROUTER, "some/model"),
        Backend(
            type="ideogram",
            path="ideogram",
            key={"api-key": "k"},
            make=lambda up, fetcher, models, _: IdeogramProvider("ideogram", up, fetcher, models),
            model="ideogram-4-6",
            edits="ideogram-4-6",
            masked="ideogram-v3",
            mask_sent=lambda body, kind: form_fields(body, kind)["mask"][0].data,
            white=False,
        ),
        Backend(
            type="stable-diffusion",
            path="stable-diffusion",
            key={"authorization": "Basic dTpw"},
            make=lambda up, _fetcher, models, _timings: StableDiffusionProvider("stable-diffusion", up, models),
            model="default",
            edits="default",
            masked="default",
            mask_sent=lambda body, _: base64.b64decode(orjson.loads(body)["mask"]),
            fetches=False,
        ),
        Backend(
            type="comfyui",
            path="comfyui",
            key={"authorization": "Bearer k"},
            make=lambda up, _fetcher, models, timings: ComfyProvider("comfyui", up, models, WORKFLOWS, timings),
            model="text",
            edits="edit",
            masked="inpaint",
            mask_sent=uploaded_mask,
            mask_in="upload",
            poll="poll",
            cancels=True,
            fetches=False,
            settings=COMFY_SETTINGS,
        ),
        Backend(
            type="midjourney",
            path="midjourney",
            key={"mj-api-secret": "k"},
            make=lambda up, fetcher, models, timings: MidjourneyProvider(
                "midjourney", up, fetcher, models, BRIDGES["midjourney-proxy"], timings
            ),
            model="midjourney",
            edits="midjourney",
            poll="poll",
            cancels=True,
            settings="midjourney: {unofficial: true}",
        ),
        Backend(
            type="legnext",
            path="legnext/api/v1",
            key={"x-api-key": "k"},
            make=lambda up, fetcher, models, timings: MidjourneyProvider(
                "legnext", up, fetcher, models, BRIDGES["legnext"], timings
            ),
            model="midjourney",
            poll="poll",
            settings="midjourney: {dialect: legnext, unofficial: true}",
            protocol="midjourney",
        ),
        Backend(
            type="stability",
            path="stability/v2beta",
            key={"authorization": "Bearer k"},
            make=lambda up, _fetcher, models, _timings: StabilityProvider("stability", up, models),
            model="stable-image-core",
            edits="stable-image-ultra",
            masked="stable-image-inpaint",
            mask_sent=lambda body, kind: form_fields(body, kind)["mask"][0].data,
            fetches=False,
        ),
    )
}


@dataclass
class Running:
    provider: ImageProvider
    sandbox: SandboxServer

    def seen(self, operation: str) -> list[dict[str, Any]]:
        """What the sandbox received for one operation; the bodies as they came under `raw`."""
        log = self.sandbox.sandbox.log
        pairs = zip(log.entries(), log.bodies(), strict=True)
        return [{**entry, "raw": raw} for entry, raw in pairs if entry["operation"] == operation]

    def fault(self, name: str, **where: Any) -> None:
        self.sandbox.sandbox.faults.set([FaultRule(fault=name, **where)])


@asynccontextmanager
async def running(
    backend: Backend, models: Catalogue, *, timings: JobTimings = FAST, config: SandboxConfig | None = None
) -> AsyncIterator[Running]:
    """The adapter of `backend`, open, in front of a sandbox of its own."""
    async with SandboxServer(config or SandboxConfig(job_s=0.03)) as sandbox:
        upstream = Upstream(
            provider=backend.type,
            base_url=f"{sandbox.base_url}/p/{backend.type}/{backend.path}",
            headers=backend.key,
            idle_timeout_s=2.0,
        )
        fetcher = Fetcher()
        await upstream.open()
        await fetcher.open()
        try:
            yield Running(backend.make(upstream, fetcher, models, timings), sandbox)
        finally:
            await upstream.aclose()
            await fetcher.aclose()
