"""The finished pictures of a backend: their bytes, inline or behind an address, and what kind they are."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from providers.errors import ProviderError
from providers.fetch import Fetcher, fetch_result
from providers.looks import is_black
from providers.pictures import decoded_base64, to_picture
from providers.statuses import moderation_error
from providers.types import GeneratedImage


class Results:
    """Reads what a backend at `base_url` points to, without its key.

    A picture may lie at the backend's own origin and at public hosts; with `hosts`, at those only.
    """

    def __init__(self, fetcher: Fetcher, base_url: str, hosts: tuple[str, ...] = ()) -> None:
        self._fetcher = fetcher
        self._base_url = base_url
        self._hosts = hosts

    async def picture(self, address: str, revised_prompt: str | None = None) -> GeneratedImage:
        """The picture at an address or in a `data:` URL. Raises BadResponseError; it was billed."""
        if address.startswith("data:"):
            return to_picture(decoded_base64(address), revised_prompt)
        data = await fetch_result(self._fetcher, address, base_url=self._base_url, hosts=self._hosts)
        return to_picture(data, revised_prompt)


async def those_delivered(pictures: Iterable[Awaitable[GeneratedImage]]) -> tuple[list[GeneratedImage], list[str]]:
    """The pictures that can be had, and a warning for each that cannot. Raises when none can."""
    found: list[GeneratedImage] = []
    lost: list[str] = []
    failure: ProviderError | None = None
    for place, each in enumerate(pictures):
        try:
            found.append(await each)
        except ProviderError as error:
            failure = error
            lost.append(f"data[{place}]=not delivered")
    if failure is not None and not found:
        raise failure
    return found, lost


async def those_seen(made: Sequence[GeneratedImage]) -> tuple[list[GeneratedImage], list[str]]:
    """The pictures with something on them, and a warning for each without: some safety filters answer with black ones.

    Raises ContentBlockedError when all are black.
    """
    black = [await asyncio.to_thread(is_black, picture.data) for picture in made]
    if all(black):
        raise moderation_error(billed=True)
    lost = [f"data[{place}]=moderated" for place, refused in enumerate(black) if refused]
    return [picture for picture, refused in zip(made, black, strict=True) if not refused], lost
