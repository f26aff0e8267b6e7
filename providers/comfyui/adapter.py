"""The adapter for ComfyUI: upload the pictures, queue the graph, watch its history, see what came out."""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping

import orjson

from providers.catalogue import Catalogue, lookup
from providers.comfyui.translate import (
    Asked,
    Queue,
    Uploads,
    check,
    error_from,
    job_id,
    queue_from,
    state_of,
    to_prompt,
    upload_name,
    view_error_from,
    without_graph,
)
from providers.errors import ModelNotFoundError, ProviderError
from providers.forms import form_file, form_of
from providers.jobs import Done, JobTimings, Pending, run_job
from providers.masks import clear_white_is_edit, with_mask
from providers.pictures import to_picture
from providers.results import those_delivered, those_seen
from providers.types import GeneratedImage, ImageInput, ImageRequest, ImageResponse
from providers.upstream import Upstream, dated
from providers.workflows import Workflow

TIMINGS = JobTimings(first_s=0.5, step_s=0.25, max_s=2.0, deadline_s=300.0, unknown_s=10.0)
_SEEDS = 2**32  # what every sampler takes
_LOOKS_PER_SEARCH = 5  # a history is small, the queue holds every graph in it
_FOLDER = (("subfolder", "turnout"), ("type", "input"), ("overwrite", "true"))

_error_from, _view_error_from = dated(error_from), dated(view_error_from)


class ComfyProvider:
    """Pictures from a ComfyUI server, one per call; a model is one of `workflows`. `upstream` reaches its root.

    What callers send is left in its folder `input/turnout`, under the hash of its content: the server has no way to
    delete it. A job that nobody waits for any more is taken out of the queue, or interrupted if it is the one running.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        models: Catalogue,
        workflows: Mapping[str, Workflow],
        timings: JobTimings = TIMINGS,
    ) -> None:
        self.name = name
        self._upstream = upstream
        self._models = models
        self._workflows = workflows
        self._timings = timings

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        try:
            workflow = self._workflows.get(model)
            if workflow is None:
                raise ModelNotFoundError("the provider has no workflow of that name")
            asked = check(request, workflow, lookup(self._models, self.name, model))
            views = await self._run(await self._prompt(request, workflow, asked), workflow)
            made, lost = await those_delivered(self._picture(view) for view in views[: request.n])
            pictures, refused = await those_seen(made)
        except ProviderError as error:
            error.provider = self.name
            raise
        lost += refused
        return ImageResponse(model=model, images=tuple(pictures), warnings=(*asked.warnings, *lost), lost=len(lost))

    async def _prompt(self, request: ImageRequest, workflow: Workflow, asked: Asked) -> bytes:
        request = await with_mask(request, clear_white_is_edit)
        uploads = Uploads(
            images=tuple([await self._upload(image) for image in request.images]),
            mask=await self._upload(request.mask) if request.mask is not None else None,
        )
        seed, serial = secrets.randbelow(_SEEDS), secrets.token_hex(4)
        return to_prompt(request, workflow, asked, uploads, seed=seed, serial=serial)

    async def _upload(self, image: ImageInput) -> str:
        content = await asyncio.to_thread(hashlib.sha256, image.data)
        form = form_of(_FOLDER, [form_file("image", image, content.hexdigest()[:32])])
        return upload_name((await self._upstream.post("/upload/image", form, _error_from)).body)

    async def _run(self, body: bytes, workflow: Workflow) -> tuple[str, ...]:
        looks = 0

        async def submit() -> str:
            return job_id((await self._upstream.post("/prompt", body, _error_from)).body)

        async def look(job: str) -> Pending | Done[tuple[str, ...]]:
            return state_of((await self._upstream.get(f"/history/{job}", _error_from)).body, job, workflow)

        async def poll(job: str) -> Pending | Done[tuple[str, ...]]:
            nonlocal looks
            looks += 1
            state = await look(job)
            if isinstance(state, Done) or looks % _LOOKS_PER_SEARCH:
                return state
            queue = await self._queue()  # a history that says nothing is also that of a server which has restarted
            if job in (*queue.running, *queue.pending) or isinstance(state := await look(job), Done):
                return state
            raise ModelNotFoundError("the upstream does not know the job")

        return await run_job(submit, poll, self._cancel, self._timings)

    async def _cancel(self, job: str) -> None:
        """Take a job out of the queue. Interrupting stops whatever runs, so only ours is."""
        queue = await self._queue()
        if job in queue.pending:
            await self._upstream.post("/queue", orjson.dumps({"delete": [job]}), _error_from)
            queue = await self._queue()  # it may have begun meanwhile
        if job in queue.running:
            # newer servers look at the id themselves, so that nothing comes between
            await self._upstream.post("/interrupt", orjson.dumps({"prompt_id": job}), _error_from)

    async def _queue(self) -> Queue:
        return queue_from((await self._upstream.get("/queue", _error_from)).body)

    async def _picture(self, view: str) -> GeneratedImage:
        return to_picture(without_graph((await self._upstream.get(view, _view_error_from)).body))
