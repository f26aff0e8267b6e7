"""The adapter for fal.ai's queue: submit, watch the status, read the result, fetch its pictures without the key."""

from providers.addresses import may_carry_key
from providers.catalogue import Catalogue, lookup
from providers.errors import BadResponseError, ProviderError
from providers.fal.translate import (
    Queued,
    Result,
    error_from,
    queued_from,
    result_error_from,
    result_from,
    status_of,
    to_input,
)
from providers.fetch import Fetcher
from providers.image_terms import model_path
from providers.jobs import Done, JobTimings, Pending, run_job
from providers.masks import white_is_edit, with_mask
from providers.results import Results, those_delivered
from providers.types import ImageRequest, ImageResponse
from providers.upstream import Upstream, dated

TIMINGS = JobTimings(first_s=0.5, step_s=0.25, max_s=2.0, deadline_s=300.0, unknown_s=10.0)

_AT_THE_QUEUE, _OF_A_RESULT = dated(error_from), dated(result_error_from)


class FalProvider:
    """Pictures from fal.ai's apps; a model is an app's path (`fal-ai/flux/schnell`).

    `upstream` carries the key, and the key stays at its origin; `fetcher` has none and opens results.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        fetcher: Fetcher,
        models: Catalogue,
        timings: JobTimings = TIMINGS,
        result_hosts: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self._upstream = upstream
        self._results = Results(fetcher, upstream.base_url, result_hosts)
        self._models = models
        self._timings = timings

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        try:
            request = await with_mask(request, white_is_edit)
            asked = to_input(request, lookup(self._models, self.name, model))
            result = await self._run(model, asked.body)
            pictures, lost = await those_delivered(self._results.picture(url) for url in result.urls)
        except ProviderError as error:
            error.provider = self.name
            raise
        lost = [*result.warnings, *lost]
        return ImageResponse(model=model, images=tuple(pictures), warnings=(*asked.warnings, *lost), lost=len(lost))

    async def _run(self, model: str, body: bytes) -> Result:
        queued: Queued | None = None

        async def submit() -> str:
            nonlocal queued
            queued = queued_from((await self._upstream.post(f"/{model_path(model)}", body, _AT_THE_QUEUE)).body)
            return self._own(queued.status_url)

        async def poll(status_url: str) -> Pending | Done[Result]:
            assert queued is not None, "what is polled was submitted"
            state = status_of((await self._upstream.get(status_url, _AT_THE_QUEUE)).body)
            if isinstance(state, Pending):
                return state
            return Done(result_from((await self._upstream.get(self._own(queued.response_url), _OF_A_RESULT)).body))

        async def cancel(_status_url: str) -> None:
            assert queued is not None, "what is cancelled was submitted"
            if queued.cancel_url is not None:
                await self._upstream.put(self._own(queued.cancel_url), b"", _AT_THE_QUEUE)

        return await run_job(submit, poll, cancel, self._timings)

    def _own(self, url: str) -> str:
        if not may_carry_key(url, self._upstream.base_url):
            raise BadResponseError("the upstream's queue lies elsewhere", outcome="ssrf_block", billed=True)
        return url
