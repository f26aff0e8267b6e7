"""The adapter for Black Forest Labs: submit a task, poll the address it names, fetch the picture without the key."""

from collections.abc import Callable

from providers.addresses import may_carry_key
from providers.bfl.translate import Task, error_from, state_of, task_of, to_task
from providers.catalogue import Catalogue, lookup
from providers.errors import BadResponseError, ProviderError
from providers.fetch import Fetcher
from providers.image_terms import model_path
from providers.jobs import Done, JobTimings, Pending, run_job
from providers.masks import white_is_edit, with_mask
from providers.results import Results
from providers.types import ImageRequest, ImageResponse
from providers.upstream import Upstream, dated

RESULT_HOSTS = ("bfl.ai", "blob.core.windows.net")
"""Where finished pictures lie, in the vendor's own cloud and in Azure's."""
TIMINGS = JobTimings(first_s=0.5, step_s=0.25, max_s=2.0, deadline_s=120.0, unknown_s=5.0)
_DOMAINS = ("bfl.ai",)  # tasks are polled at regional siblings of the API

_error_from = dated(error_from)


class BflProvider:
    """Pictures from Black Forest Labs, one per call.

    `upstream` carries the key and reaches the API and its siblings; `fetcher` has no key and opens results. A task
    cannot be cancelled: one that nobody waits for any more is left to finish, and has been paid for.
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
        task: Task | None = None

        def accepted(found: Task) -> None:
            nonlocal task
            task = found

        try:
            request = await with_mask(request, white_is_edit)
            asked = to_task(request, lookup(self._models, self.name, model))
            picture = await self._results.picture(await self._run(model, asked.body, accepted))
        except ProviderError as error:
            error.provider = self.name
            if task is not None and error.billed:
                error.cost_usd = task.cost_usd
            raise
        cost_usd = task.cost_usd if task is not None else None
        return ImageResponse(model=model, images=(picture,), reported_cost_usd=cost_usd, warnings=asked.warnings)

    async def _run(self, model: str, body: bytes, accepted: Callable[[Task], None]) -> str:
        """The address of the picture; `accepted` is told of the task as soon as there is one."""

        async def submit() -> str:
            task = task_of((await self._upstream.post(f"/{model_path(model)}", body, _error_from)).body)
            accepted(task)
            if not may_carry_key(task.polling_url, self._upstream.base_url, _DOMAINS):
                raise BadResponseError("the upstream's task lies elsewhere", outcome="ssrf_block", billed=True)
            return task.polling_url

        async def poll(url: str) -> Pending | Done[str]:
            return state_of((await self._upstream.get(url, _error_from)).body)

        async def cancel(_url: str) -> None:
            return

        return await run_job(submit, poll, cancel, self._timings)
