"""The adapter for Stability AI: one form, one picture in the answer."""

from providers.catalogue import Catalogue, lookup
from providers.errors import ProviderError
from providers.forms import form_of
from providers.masks import white_is_edit, with_mask
from providers.stability.translate import error_from, picture_from, to_form
from providers.statuses import may_be_billed
from providers.types import ImageRequest, ImageResponse
from providers.upstream import Upstream, dated

_JSON = {"accept": "application/json"}  # else the bytes come bare, and with them no word of what was filtered

_error_from = dated(error_from)


class StabilityProvider:
    """Pictures from Stability AI, one per call. `upstream` carries the key and reaches `/v2beta`."""

    def __init__(self, name: str, upstream: Upstream, models: Catalogue) -> None:
        self.name = name
        self._upstream = upstream
        self._models = models

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        try:
            request = await with_mask(request, white_is_edit)
            asked = to_form(request, model, lookup(self._models, self.name, model))
            form = form_of(asked.texts, asked.files)
            answer = await self._upstream.post(asked.path, form, _error_from, headers=_JSON)
            picture = picture_from(answer.body)
        except ProviderError as error:
            error.provider = self.name
            error.billed = error.billed or may_be_billed(error)
            raise
        return ImageResponse(model=model, images=(picture,), warnings=asked.warnings)
