"""The adapter for A1111, Forge and sd-server: one call, the pictures in its answer."""

import asyncio

from providers.catalogue import Catalogue, lookup
from providers.errors import ProviderError
from providers.looks import pixel_size
from providers.masks import white_is_edit, with_mask
from providers.pictures import to_picture
from providers.results import those_delivered, those_seen
from providers.stable_diffusion.translate import error_from, pictures_from, to_call
from providers.statuses import may_be_billed
from providers.types import GeneratedImage, ImageRequest, ImageResponse
from providers.upstream import Upstream, dated

_error_from = dated(error_from)


class StableDiffusionProvider:
    """Pictures from a Stable Diffusion server. `upstream` reaches its root.

    A call that nobody waits for any more is dropped with its connection. The server's `interrupt` is not used: it stops
    whatever is running, and that may be somebody else's.
    """

    def __init__(self, name: str, upstream: Upstream, models: Catalogue) -> None:
        self.name = name
        self._upstream = upstream
        self._models = models

    async def images(self, request: ImageRequest, model: str) -> ImageResponse:
        try:
            request = await with_mask(request, white_is_edit)
            measured = await asyncio.to_thread(pixel_size, request.images[0].data) if request.images else None
            asked = to_call(request, model, lookup(self._models, self.name, model), measured)
            answer = await self._upstream.post(asked.path, asked.body, _error_from)
            read, broken = await those_delivered(_picture(data) for data in pictures_from(answer.body, request.n))
            pictures, black = await those_seen(read)
        except ProviderError as error:
            error.provider = self.name
            error.billed = error.billed or may_be_billed(error)
            raise
        lost = [*broken, *black]
        return ImageResponse(model=model, images=tuple(pictures), warnings=(*asked.warnings, *lost), lost=len(lost))


async def _picture(data: bytes) -> GeneratedImage:
    return to_picture(data)
