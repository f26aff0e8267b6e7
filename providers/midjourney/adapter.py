"""The adapter for Midjourney's bridges: submit a line, watch the job, cut its grid."""

import asyncio
from collections.abc import Sequence

from providers.catalogue import Catalogue, lookup
from providers.errors import ProviderError
from providers.fetch import Fetcher
from providers.jobs import Done, JobTimings, Pending, run_job
from providers.midjourney.bridges import Bridge, Made, error_from
from providers.midjourney.grid import quarters
from providers.midjourney.prompt import to_line
from providers.pictures import to_picture
from providers.results import Results, those_delivered
from providers.types import GeneratedImage, ImageRequest, ImageResponse
from providers.upstream import Upstream, dated
from providers.xmp import Origin

TIMINGS = JobTimings(first_s=2.0, step_s=1.0, max_s=5.0, deadline_s=300.0, unknown_s=15.0)

_error_from = dated(error_from)


class MidjourneyProvider:
    """Pictures from Midjourney, four in one job; how many of them are wanted does not change its price.

    `upstream` carries the bridge's key and reaches it; `fetcher` has no key and opens results.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        fetcher: Fetcher,
        models: Catalogue,
        bridge: Bridge,
        timings: JobTimings = TIMINGS,
        result_hosts: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self._upstream = upstream
        self._results = Results(fetcher, upstream.base_url, result_hosts)
        self._models = models
        self._bridge = bridge
        self._timings = timings

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        try:
            asked = to_line(request, model, lookup(self._models, self.name, model), self._bridge.references)
            made = await self._run(self._bridge.to_job(asked.text, request.images))
            pictures, lost = await self._pictures(made, request)
        except ProviderError as error:
            error.provider = self.name
            raise
        return ImageResponse(model=model, images=tuple(pictures), warnings=(*asked.warnings, *lost))

    async def _run(self, body: bytes) -> Made:
        bridge = self._bridge

        async def submit() -> str:
            return bridge.job_from((await self._upstream.post(bridge.submit, body, _error_from)).body)

        async def poll(job: str) -> Pending | Done[Made]:
            return bridge.state_from((await self._upstream.get(bridge.watch.format(job), _error_from)).body)

        async def cancel(job: str) -> None:
            if bridge.cancel:
                await self._upstream.post(bridge.cancel.format(job), b"{}", _error_from)

        return await run_job(submit, poll, cancel, self._timings)

    async def _pictures(self, made: Made, request: ImageRequest) -> tuple[Sequence[GeneratedImage], Sequence[str]]:
        if not made.grid:
            return await those_delivered(self._results.picture(url) for url in made.urls[: request.n])
        whole = await self._results.picture(made.urls[0])
        origin: Origin = "edited" if request.images else "generated"
        cut = await asyncio.to_thread(quarters, whole.data, request.n, origin)
        return [to_picture(data) for data in cut], ()
