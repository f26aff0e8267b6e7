"""Pictures of an edit that the caller names by URL, fetched before the request is validated."""

import asyncio
from collections.abc import Mapping

from providers.errors import BadRequestError
from providers.fetch import Fetcher, fetch_for_caller
from router.errors import InvalidRequestError

_PARALLEL = 4
_SCHEMES = ("http://", "https://")


async def fetch_pictures(fields: Mapping[str, object], fetcher: Fetcher | None, most: int) -> dict[str, object]:
    """`fields` with bytes wherever `image`, `images` or `mask` named a picture by http(s) URL, each fetched once.

    `most` bounds the addresses of one request. Without a fetcher URLs are left for validation to refuse. Raises
    InvalidRequestError (`invalid_image_url`) naming the first that cannot be had.
    """
    given = {name: fields[name] for name in ("image", "images", "mask") if name in fields}
    wanted = {url: where for url, where in _urls(given).items() if fetcher is not None}
    if not wanted or fetcher is None:
        return dict(fields)
    if len(wanted) > most:
        raise InvalidRequestError(f"at most {most} pictures are accepted", param="image")
    gate = asyncio.Semaphore(_PARALLEL)

    async def one(url: str, where: str) -> bytes:
        async with gate:
            found = await fetch_for_caller(fetcher, url, param=where, accept=("image/",))
        return found.data

    tasks = {url: asyncio.create_task(one(url, where)) for url, where in wanted.items()}
    try:
        await asyncio.gather(*tasks.values())
    except BadRequestError as exc:
        raise InvalidRequestError(exc.message, param=exc.param, code=exc.code) from exc
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    found = {url: task.result() for url, task in tasks.items()}
    return {**fields, **{name: _replaced(value, found) for name, value in given.items()}}


def _urls(given: Mapping[str, object]) -> dict[str, str]:
    """The addresses with the place of their first use, as error messages name it."""
    found: dict[str, str] = {}
    for name, value in given.items():
        items = value if isinstance(value, list) else [value]
        for position, item in enumerate(items):
            url = _url(item)
            if url is not None:
                found.setdefault(url, "mask" if name == "mask" else f"image[{position}]")
    return found


def _url(item: object) -> str | None:
    """The address in a picture's place: a string, or `{"image_url": ...}` around one."""
    if isinstance(item, Mapping):
        item = item.get("image_url") or item.get("url")
        item = item.get("url") if isinstance(item, Mapping) else item
    return item if isinstance(item, str) and item.lower().startswith(_SCHEMES) else None


def _replaced(value: object, found: Mapping[str, bytes]) -> object:
    if isinstance(value, list):
        return [_replaced(item, found) for item in value]
    url = _url(value)
    return value if url is None else found[url]
