"""The adapter for Eachlabs: create a prediction, poll it, fetch its picture without the key."""

from collections.abc import Mapping
from datetime import UTC, datetime

from yarl import URL

from providers.catalogue import Catalogue, lookup
from providers.eachlabs.translate import (
    Result,
    cancel_url,
    data_url_bytes,
    error_from,
    picture_of,
    prediction_id,
    state_of,
    to_prediction,
    warnings_of,
)
from providers.errors import ProviderError
from providers.fetch import Fetcher, fetch_result
from providers.jobs import Done, JobTimings, Pending, run_job
from providers.types import ImageRequest, ImageResponse
from providers.upstream import Upstream


class EachlabsProvider:
    """Pictures from Eachlabs, one per call.

    `upstream` carries the key and reaches the API; `fetcher` has no key and opens results, at the API's own origin and
    at public hosts (with `result_hosts`: at those only). `cancel` addresses are followed on the API's origin only: both
    come out of an answer, and the key must not.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        fetcher: Fetcher,
        models: Catalogue,
        timings: JobTimings | None = None,
        result_hosts: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self._upstream = upstream
        self._fetcher = fetcher
        self._models = models
        self._timings = timings or JobTimings()
        self._result_hosts = result_hosts
        self._origin = URL(upstream.base_url).origin()

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        body = to_prediction(request, model, lookup(self._models, self.name, model))
        try:
            result = await self._run(body)
            picture = picture_of(await self._fetch(result.url))
        except ProviderError as error:
            error.provider = self.name
            raise
        return ImageResponse(
            model=model, images=(picture,), reported_cost_usd=result.cost_usd, warnings=warnings_of(request)
        )

    async def _run(self, body: bytes) -> Result:
        cancel_at: str | None = None

        async def submit() -> str:
            return prediction_id((await self._upstream.post("/prediction", body, _error_from)).body)

        async def poll(job_id: str) -> Pending | Done[Result]:
            nonlocal cancel_at
            answer = (await self._upstream.get(f"/prediction/{job_id}", _error_from)).body
            cancel_at = cancel_url(answer) or cancel_at
            return state_of(answer)

        async def cancel(_job_id: str) -> None:
            url = _url(cancel_at or "")
            if url is not None and url.origin() == self._origin:
                await self._upstream.post(str(url), b"{}", _error_from)

        return await run_job(submit, poll, cancel, self._timings)

    async def _fetch(self, address: str) -> bytes:
        if address.startswith("data:"):
            return data_url_bytes(address)
        return await fetch_result(self._fetcher, address, base_url=self._upstream.base_url, hosts=self._result_hosts)


def _error_from(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    return error_from(status, headers, body, datetime.now(UTC))


def _url(text: str) -> URL | None:
    try:
        url = URL(text, encoded=True)  # a signed address must go out as it came
        return url if url.scheme in ("http", "https") and url.host and url.user is None else None
    except ValueError:
        return None
