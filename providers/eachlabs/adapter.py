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
from providers.errors import BadResponseError, ProviderError
from providers.jobs import Done, JobTimings, Pending, run_job
from providers.types import ImageRequest, ImageResponse
from providers.upstream import Upstream


class EachlabsProvider:
    """Pictures from Eachlabs, one per call.

    `upstream` carries the key and reaches the API; `files` has no key and fetches results, from the API's own origin
    or from `result_hosts` (a name covers its subdomains; https only). `cancel` addresses are followed on the API's
    origin only: both come out of an answer, and the key must not.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        files: Upstream,
        models: Catalogue,
        timings: JobTimings | None = None,
        result_hosts: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self._upstream = upstream
        self._files = files
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
        url = _url(address)
        if url is None or not self._trusted(url):
            raise BadResponseError("the upstream's picture lies elsewhere", outcome="bad_image", billed=True)
        try:
            return (await self._files.get(address, _file_error)).body
        except ProviderError as error:
            error.billed = True
            raise

    def _trusted(self, url: URL) -> bool:
        if url.origin() == self._origin:
            return True
        host = (url.host or "").lower()
        own_port = url.scheme == "https" and url.is_default_port()
        return own_port and any(host == name or host.endswith(f".{name}") for name in self._result_hosts)


def _error_from(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    return error_from(status, headers, body, datetime.now(UTC))


def _file_error(status: int, _headers: Mapping[str, str], _body: bytes) -> ProviderError:
    message = "the upstream's picture could not be fetched"
    return BadResponseError(message, status=status, outcome="bad_image", billed=True)


def _url(text: str) -> URL | None:
    try:
        url = URL(text, encoded=True)  # a signed address must go out as it came
        return url if url.scheme in ("http", "https") and url.host and url.user is None else None
    except ValueError:
        return None
