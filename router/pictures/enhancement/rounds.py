"""Which picture is made once more, how, and which one is kept; and what may still be spent on it. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from providers.catalogue import ModelInfo
from providers.types import GeneratedImage, ImageRequest
from router.pictures.enhancement.judging import Mark
from router.routing.plan import Plan
from router.settings.values import EnhanceSettings

_SEEDS = 2**32


class Judged(Struct, frozen=True):
    """A picture, the prompt that it stands for ("": the caller's own), and its mark; None: nobody could tell."""

    image: GeneratedImage
    prompt: str
    mark: Mark | None

    @property
    def score(self) -> float | None:
        return None if self.mark is None else self.mark.score


def rounds_allowed(wanted: int | None, settings: EnhanceSettings) -> tuple[int, str]:
    """How many further rounds there may be (0: nothing is judged), and what to tell a caller who gets less.

    `wanted` None: as many as the operator says.
    """
    allowed = settings.max_rounds
    if wanted == 0 or (wanted is None and allowed == 0):
        return 0, ""
    if settings.critique_model is None or allowed == 0:
        return 0, "not judged: no model is configured for it"
    if wanted is not None and wanted > allowed:
        return allowed, f"at most {allowed} further round(s), by the operator"
    return allowed if wanted is None else wanted, ""


def worst(pictures: Sequence[Judged], threshold: float) -> int | None:
    """The place of the picture to be made once more: the worst of those below the threshold that can be mended."""
    poor = [
        (each.mark.score, place)
        for place, each in enumerate(pictures)
        if each.mark is not None and each.mark.score < threshold and each.mark.fix
    ]
    return min(poor)[1] if poor else None


def better(new: Judged, old: Judged) -> bool:
    """Whether the new picture is to be kept in the old one's place: only if its mark says so."""
    return new.score is not None and not (new.mark and new.mark.unsafe) and new.score > (old.score or 0.0)


def edits(info: ModelInfo, request: ImageRequest) -> bool:
    """Whether a picture of this model is mended by editing it. A mask covers the caller's picture, not the new one."""
    return info.image is not None and info.image.references > 0 and request.mask is None


def once_more(request: ImageRequest, poor: Judged, info: ModelInfo, made: int) -> ImageRequest:
    """The request for one picture in the place of `poor`; `made` counts those that were made before.

    A model that edits gets the picture back with what is to be mended, and the caller's own pictures as far as it takes
    them. Any other draws anew from the amended prompt, with the next seed.
    """
    assert poor.mark is not None
    if not edits(info, request):
        seed = None if request.seed is None else (request.seed + made) % _SEEDS
        prompt = amended(request.prompt, poor)
        return replace(request, prompt=prompt, n=1, seed=seed, partial_images=0, prompt_is_final=True)
    assert info.image is not None
    pictures = (poor.image.as_input(), *request.images)[: info.image.references]
    return replace(
        request, prompt=poor.mark.fix, images=pictures, n=1, seed=None, partial_images=0, prompt_is_final=True
    )


def amended(prompt: str, poor: Judged) -> str:
    """The prompt with what is to be mended behind it."""
    fix = poor.mark.fix if poor.mark else ""
    return f"{poor.prompt or prompt}\n\n{fix}"


def left_usd(
    limit: Decimal | None, own_limit: Decimal | None, pictures: Decimal | None, spent: Decimal | None
) -> Decimal | None:
    """What enhancement may still spend; None: there is no limit, and 0 where a limit is and a cost is unknown.

    `limit` bounds the whole request, whose pictures cost `pictures`; `own_limit` what enhancement adds to that, which
    so far is `spent`.
    """
    left: list[Decimal] = []
    if limit is not None:
        left.append(limit - pictures - spent if pictures is not None and spent is not None else Decimal(0))
    if own_limit is not None:
        left.append(own_limit - spent if spent is not None else Decimal(0))
    return max(Decimal(0), min(left)) if left else None


def dearest(plan: Plan) -> Decimal | None:
    """What the pictures may cost, whoever of the candidates makes them; None: unknown."""
    known = [each.expected_cost_usd for each in plan.candidates if each.expected_cost_usd is not None]
    return max(known) if len(known) == len(plan.candidates) else None


def affordable(cost: Decimal | None, left: Decimal | None) -> bool:
    """Whether a cost (None: unknown) fits into what is left (None: no limit)."""
    return left is None or (cost is not None and cost <= left)
