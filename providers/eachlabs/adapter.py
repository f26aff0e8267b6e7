"""The adapter for Eachlabs: create a prediction, poll it, fetch its picture without the key."""

from providers.addresses import may_carry_key
from providers.catalogue import Catalogue, lookup
from providers.eachlabs.translate import (
    Result,
    cancel_url,
    error_from,
    prediction_id,
    state_of,
    to_prediction,
    warnings_of,
)
from providers.errors import ProviderError
from providers.fetch import Fetcher
from providers.jobs import Done, JobTimings, Pending, run_job
from providers.results import Results
from providers.turns import Pace
from providers.types import ImageRequest, ImageResponse
from providers.upstream import Upstream, dated

_error_from = dated(error_from)


class EachlabsProvider:
    """Pictures from Eachlabs, one per call.

    `upstream` carries the key and reaches the API; `fetcher` has no key and opens results, at the API's own origin and
    at public hosts (with `result_hosts`: at those only). `cancel` addresses are followed on the API's origin only: both
    come out of an answer, and the key must not. `pace` bounds submissions and polls together, which the API counts.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        fetcher: Fetcher,
        models: Catalogue,
        timings: JobTimings | None = None,
        result_hosts: tuple[str, ...] = (),
        pace: Pace | None = None,
    ) -> None:
        self.name = name
        self._upstream = upstream
        self._results = Results(fetcher, upstream.base_url, result_hosts)
        self._models = models
        self._timings = timings or JobTimings()
        self._pace = pace

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        info = lookup(self._models, self.name, model)
        body = to_prediction(request, model, info)
        result: Result | None = None
        try:
            result = await self._run(body)
            picture = await self._results.picture(result.url)
        except ProviderError as error:
            error.provider = self.name
            if result is not None:
                error.cost_usd = result.cost_usd
            raise
        return ImageResponse(
            model=model, images=(picture,), reported_cost_usd=result.cost_usd, warnings=warnings_of(request, info)
        )

    async def _run(self, body: bytes) -> Result:
        cancel_at: str | None = None

        async def submit() -> str:
            await self._turn()
            return prediction_id((await self._upstream.post("/prediction", body, _error_from)).body)

        async def poll(job_id: str) -> Pending | Done[Result]:
            nonlocal cancel_at
            await self._turn()
            answer = (await self._upstream.get(f"/prediction/{job_id}", _error_from)).body
            cancel_at = cancel_url(answer) or cancel_at
            return state_of(answer)

        async def cancel(_job_id: str) -> None:
            if cancel_at is not None and may_carry_key(cancel_at, self._upstream.base_url):
                await self._upstream.post(cancel_at, b"{}", _error_from)

        return await run_job(submit, poll, cancel, self._timings)

    async def _turn(self) -> None:
        if self._pace is not None:
            await self._pace.turn()
