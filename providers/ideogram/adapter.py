"""The adapter for Ideogram: one call, its pictures fetched without the key."""

from providers.catalogue import Catalogue, lookup
from providers.errors import ProviderError
from providers.fetch import Fetcher
from providers.forms import form_of
from providers.ideogram.translate import Outgoing, error_from, made_from, to_call
from providers.masks import black_is_edit, with_mask
from providers.results import Results, those_delivered
from providers.statuses import may_be_billed
from providers.types import ImageRequest, ImageResponse
from providers.upstream import Upstream, dated

RESULT_HOSTS = ("ideogram.ai",)

_error_from = dated(error_from)


class IdeogramProvider:
    """Pictures from Ideogram. `upstream` carries the key and reaches the API's root; `fetcher` has no key."""

    def __init__(
        self, name: str, upstream: Upstream, fetcher: Fetcher, models: Catalogue, result_hosts: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self._upstream = upstream
        self._results = Results(fetcher, upstream.base_url, result_hosts or RESULT_HOSTS)
        self._models = models

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        try:
            request = await with_mask(request, black_is_edit)
            asked = to_call(request, model, lookup(self._models, self.name, model))
            made = made_from(await self._ask(asked))
            pictures, lost = await those_delivered(self._results.picture(*each) for each in made.pictures)
        except ProviderError as error:
            error.provider = self.name
            error.billed = error.billed or may_be_billed(error)
            raise
        return ImageResponse(
            model=model, images=tuple(pictures), warnings=(*asked.warnings, *made.warnings, *lost), lost=len(lost)
        )

    async def _ask(self, asked: Outgoing) -> bytes:
        body = form_of(asked.texts, asked.files) if asked.body is None else asked.body
        return (await self._upstream.post(asked.path, body, _error_from)).body
