"""`n` pictures from backends that make one at a time: parallel calls, partial success, one answer."""

import asyncio
from decimal import Decimal

from msgspec.structs import replace

from providers.base import ImageProvider, PreviewingProvider, Show
from providers.catalogue import ModelInfo
from providers.errors import BadRequestError, BadResponseError, ContentBlockedError, ProviderError, RateLimitedError
from providers.types import ImageRequest, ImageResponse, LostPictures, Usage

_PARALLEL = 6  # calls of one request at a time: several backends admit no more than ten in all


async def make_pictures(
    provider: ImageProvider, request: ImageRequest, model: str, info: ModelInfo, show: Show | None = None
) -> ImageResponse:
    """All `request.n` pictures of one upstream model.

    k of n (k > 0) is a success with the warning `n=k of n`. None at all raises the failure the caller can do most
    about: moderation, then its own request, then rate limits, then the rest. Seeds are varied, or every call would
    draw the same picture. `show` gets the previews of a single picture, where the provider has any.
    """
    if show is not None and request.n == 1 and request.partial_images and isinstance(provider, PreviewingProvider):
        return await provider.preview_images(request, model, show)
    per_call = info.image.per_call if info.image is not None else 1
    if request.n <= per_call:
        response = await provider.images(request, model)
        return replace(response, warnings=(*response.warnings, *_missing(request, len(response.images))))
    gate = asyncio.Semaphore(_PARALLEL)

    async def one(position: int, count: int) -> ImageResponse:
        seed = None if request.seed is None else (request.seed + position) % 2**32
        async with gate:
            return await provider.images(replace(request, n=count, seed=seed), model)

    counts = [min(per_call, request.n - start) for start in range(0, request.n, per_call)]
    tasks = [asyncio.ensure_future(one(position, count)) for position, count in enumerate(counts)]
    try:
        results = await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()
    return _joined(request, counts, results)


def _joined(request: ImageRequest, counts: list[int], results: list[ImageResponse | BaseException]) -> ImageResponse:
    failures: list[LostPictures] = []
    made: list[ImageResponse] = []
    for place, (count, result) in enumerate(zip(counts, results, strict=True)):
        match result:
            case ImageResponse():
                made.append(result)
            case ProviderError():
                failures.append(LostPictures(index=place * counts[0], count=count, error=result))
            case BaseException():
                raise result
    if not made:
        raise _foremost([each.error for each in failures])
    images = tuple(image for response in made for image in response.images)
    warnings = tuple(dict.fromkeys(warning for response in made for warning in response.warnings))
    return ImageResponse(
        model=made[0].model,
        images=images,
        usage=_summed(made),
        reported_cost_usd=_reported(made),
        lost=sum(response.lost for response in made) + sum(each.count for each in failures if each.error.billed),
        failures=tuple(failures),
        warnings=(*warnings, *_missing(request, len(images))),
    )


def _missing(request: ImageRequest, made: int) -> tuple[str, ...]:
    return (f"n={made} of {request.n}",) if made < request.n else ()


def _foremost(errors: list[ProviderError]) -> ProviderError:
    """The failure that the caller can do most about, billed if any of them was, dead if all of those are."""
    first = min(errors, key=_rank)
    billed = [error for error in errors if error.billed]
    costs = [error.cost_usd for error in billed if error.cost_usd is not None]
    first.dead = all(error.dead for error in billed)
    first.cost_usd = sum(costs, Decimal(0)) if costs and len(costs) == len(billed) else None
    first.billed = bool(billed)
    return first


def _rank(error: ProviderError) -> int:
    order = (ContentBlockedError, BadRequestError, RateLimitedError, BadResponseError)
    return next((position for position, kind in enumerate(order) if isinstance(error, kind)), len(order))


def _summed(made: list[ImageResponse]) -> Usage | None:
    if all(response.usage is None for response in made):
        return None
    return Usage.total([response.usage or Usage(estimated=True) for response in made])  # a sum with a gap is no count


def _reported(made: list[ImageResponse]) -> Decimal | None:
    figures = [response.reported_cost_usd for response in made]
    return sum((f for f in figures if f is not None), Decimal(0)) if all(f is not None for f in figures) else None
