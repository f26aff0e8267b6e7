"""The adapter for Replicate: create a prediction, watch it, fetch its pictures without the key."""

from providers.addresses import may_carry_key
from providers.catalogue import Catalogue, lookup
from providers.errors import BadResponseError, ProviderError
from providers.fetch import Fetcher
from providers.jobs import Done, JobTimings, Pending, run_job
from providers.masks import white_is_edit, with_mask
from providers.replicate.translate import Prediction, Translated, error_from, prediction_from, state_of, to_prediction
from providers.results import Results, those_delivered
from providers.types import ImageRequest, ImageResponse
from providers.upstream import Upstream, dated

RESULT_HOSTS = ("replicate.delivery",)
TIMINGS = JobTimings(first_s=0.5, step_s=0.5, max_s=3.0, deadline_s=300.0, unknown_s=10.0)

_error_from = dated(error_from)


class ReplicateProvider:
    """Pictures from Replicate's models (`owner/name`, or `owner/name:version`).

    `upstream` carries the key, and the key stays at its origin; `fetcher` has none and opens results. No answer is
    waited for at creation (`Prefer: wait`): only a prediction whose address is known can be taken back.
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
        self._results = Results(fetcher, upstream.base_url, result_hosts or RESULT_HOSTS)
        self._models = models
        self._timings = timings

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        try:
            request = await with_mask(request, white_is_edit)
            asked = to_prediction(request, model, lookup(self._models, self.name, model))
            urls = await self._run(asked)
            pictures, lost = await those_delivered(self._results.picture(url) for url in urls)
        except ProviderError as error:
            error.provider = self.name
            raise
        return ImageResponse(model=model, images=tuple(pictures), warnings=(*asked.warnings, *lost), lost=len(lost))

    async def _run(self, asked: Translated) -> tuple[str, ...]:
        prediction: Prediction | None = None

        async def submit() -> str:
            nonlocal prediction
            prediction = prediction_from((await self._upstream.post(asked.path, asked.body, _error_from)).body)
            if not may_carry_key(prediction.get_url, self._upstream.base_url):
                raise BadResponseError("the upstream's job lies elsewhere", outcome="ssrf_block", billed=True)
            return prediction.get_url

        async def poll(url: str) -> Pending | Done[tuple[str, ...]]:
            return state_of((await self._upstream.get(url, _error_from)).body)

        async def cancel(_url: str) -> None:
            url = prediction.cancel_url if prediction is not None else None
            if url is not None and may_carry_key(url, self._upstream.base_url):
                await self._upstream.post(url, b"", _error_from)

        return await run_job(submit, poll, cancel, self._timings)
