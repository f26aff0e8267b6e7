"""One dispatch of an image request: pictures from one of a plan's candidates."""

from msgspec.structs import replace

from providers.base import Show
from providers.types import ImageRequest, ImageResponse
from router.api.gateway import Gateway
from router.pictures.fanout import make_pictures
from router.routing.dispatch import dispatch
from router.routing.plan import Attempt, Candidate, Features, Outcome, Plan

_INSISTENCE = "Generate an image. "  # for a model that answered in words alone


async def draw(
    gateway: Gateway,
    plan: Plan,
    features: Features,
    request: ImageRequest,
    attempts: list[Attempt],
    show: Show | None = None,
) -> Outcome[ImageResponse]:
    """The pictures; what making them tells of latency is learned. `show` gets previews."""

    async def call(candidate: Candidate) -> ImageResponse:
        provider = gateway.image_providers[candidate.provider]
        asked = replace(request, prompt=f"{_INSISTENCE}{request.prompt}") if candidate.resend == "insist" else request
        return await make_pictures(provider, asked, candidate.model, candidate.info, show)

    outcome = await dispatch(plan, call, gateway.health, attempts)
    served = outcome.served_by
    latency = gateway.health.target(served.provider, served.model, served.info).latency
    latency.observe_whole(features, outcome.attempts[-1].duration_s, 0, gateway.health.now())
    return outcome
