"""After the pictures were made: each is judged, the worst is made once more, and the better one is kept."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from providers.batches import all_or_none
from providers.errors import ContentBlockedError, ProviderError
from providers.types import GeneratedImage, ImageRequest, ImageResponse
from router.accounting.record import utc_day
from router.api.drawing import draw
from router.api.enhancing.aside import Aside
from router.api.enhancing.state import Enhancing, why
from router.errors import RouterError
from router.pictures.enhancement.judging import SIDE, Mark, UnreadableMarkError, judge_chat, mark_from
from router.pictures.enhancement.rounds import Judged, affordable, amended, better, once_more, rounds_allowed, worst
from router.pictures.transcode import reduced
from router.routing.plan import Candidate, Directives, Features, Outcome, Plan

_SHORTEST_S = 0.5  # with less time left no judge is asked


async def improved(state: Enhancing, request: ImageRequest, outcome: Outcome[ImageResponse]) -> ImageResponse:
    """The answer with the best pictures there are. `request` is what they were made from; the record is settled.

    Raises ContentBlockedError when the judge says that none of them must be shown.
    """
    response = outcome.value
    prompt = state.rewrite.prompt if state.rewrite else ""
    pictures = [Judged(image, prompt, None) for image in response.images]
    rounds, less = rounds_allowed(state.wish.rounds, state.settings)
    if less:
        state.warn(less)
    if rounds:
        pictures = await _Judging(state, request, outcome.served_by).best(pictures, rounds)
    images = (replace(each.image, revised_prompt=each.image.revised_prompt or each.prompt or None) for each in pictures)
    return replace(response, images=tuple(images))


class _Judging:
    """The rounds of one request. All are made by the target that made the first: another has another hand."""

    def __init__(self, state: Enhancing, request: ImageRequest, served: Candidate) -> None:
        self._state = state
        self._request = request
        self._served = served
        self._made = request.n
        self._judge_usd: Decimal | None = None  # what one more mark is expected to cost

    async def best(self, pictures: Sequence[Judged], rounds: int) -> list[Judged]:
        marks = await self._judge([each.image for each in pictures])
        judged = [replace(each, mark=mark) for each, mark in zip(pictures, marks, strict=True)]
        safe = [each for each in judged if not (each.mark and each.mark.unsafe)]
        if len(safe) < len(judged):
            return self._only(safe, len(judged))
        for _ in range(rounds):
            place = worst(judged, self._state.settings.threshold)
            more = None if place is None else await self._again(judged[place])
            if place is None or more is None:
                break
            if better(more, judged[place]):
                judged[place] = more
            if more.mark is None or more.mark.unsafe:
                break
        return judged

    def _only(self, safe: list[Judged], made: int) -> list[Judged]:
        """What may be shown; there are no further rounds then. Raises ContentBlockedError when that is nothing."""
        self._state.record.images = len(safe)
        if not safe:
            raise ContentBlockedError(
                "the picture was made and then refused: the judge found it unsafe",
                code="moderation_blocked",
                provider=self._served.provider,
                billed=True,
            )
        self._state.warnings.append(f"n={len(safe)} of {made}: the judge found the others unsafe")
        return safe

    async def _again(self, poor: Judged) -> Judged | None:
        """One picture in the place of a poor one, judged; None when it cannot be had."""
        state = self._state
        request = once_more(self._request, poor, self._served.info, self._made)
        try:
            features = self._features(request)
            plan = self._plan(features)
            if reason := self._obstacle(plan, request):
                state.warn(f"no further round: {reason}")
                return None
            step = state.record.begin("round")
            try:
                with state.waiting():
                    outcome = await draw(state.gateway, plan, features, request, step.attempts)
            finally:
                state.record.book_lost(step)
        except (RouterError, ProviderError) as exc:
            state.warn(f"no further round: {why(exc)[1]}")
            return None
        response = outcome.value
        step.settle(
            utc_day(state.record.created),
            response.usage,
            images=len(response.images) + response.lost,
            features=features,
            reported=response.reported_cost_usd,
        )
        self._made += 1
        state.note(rounds=state.enhanced.rounds + 1)
        (mark,) = await self._judge(response.images[:1])
        return Judged(response.images[0], amended(self._request.prompt, poor), mark)

    def _features(self, request: ImageRequest) -> Features:
        """Those of a request for one more picture; its model is the target that made the first."""
        return replace(
            self._state.parsed.features,
            model=self._served.name,
            n=1,
            images=len(request.images),
            edit=bool(request.images),
            mask=request.mask is not None,
        )

    def _plan(self, features: Features) -> Plan:
        """The plan for one more picture. Raises RouterError."""
        state = self._state
        deadline_ms = max(1.0, state.left_s * 1000)
        limits = Directives(max_cost_usd=state.left_usd, deadline_ms=deadline_ms, allow_fallbacks=False)
        return state.gateway.plan(features, limits)

    def _obstacle(self, plan: Plan, request: ImageRequest) -> str:
        """Why the round is not worth beginning; "" when it is. A picture that cannot be judged is not."""
        first, image = plan.candidates[0], self._served.info.image
        costs = (first.expected_cost_usd, self._judge_usd)
        known = [cost for cost in costs if cost is not None]
        if not affordable(sum(known, Decimal(0)) if len(known) == len(costs) else None, self._state.left_usd):
            return "over the limit of cost"
        if first.prediction.total_ms / 1000 > self._state.help_s:
            return "no time is left"
        if image is not None and image.prompt_chars and len(request.prompt) > image.prompt_chars:
            return "the prompt would be too long for the backend"
        return ""

    async def _judge(self, images: Sequence[GeneratedImage]) -> list[Mark | None]:
        """A mark for each picture; None where there is none to be had."""
        state = self._state
        marks: list[Mark | None] = [None] * len(images)
        limit_s = min(state.settings.critique_timeout_s, state.help_s)
        try:
            if limit_s < _SHORTEST_S:
                state.warn("not judged: no time is left")
            else:
                asides = await self._asides(images, limit_s)
                with state.waiting():
                    marks = await all_or_none([self._mark(aside) for aside in asides])
        except (RouterError, ProviderError) as exc:
            state.warn(f"not judged: {why(exc)[1]}")
        scores = (None if mark is None else mark.score for mark in marks)
        state.note(scores=(*state.enhanced.scores, *scores))
        return marks

    async def _asides(self, images: Sequence[GeneratedImage], limit_s: float) -> list[Aside]:
        """A planned judgement for each picture. Raises RouterError, and BadResponseError for what does not decode."""
        state, rewrite, left = self._state, self._state.rewrite, self._state.left_usd
        share = None if left is None else left / len(images)
        planned: list[Aside] = []
        for number, image in enumerate(images, len(state.enhanced.scores) + 1):
            body = judge_chat(
                str(state.settings.critique_model),
                state.parsed.request.prompt,
                rewrite.must_have if rewrite else (),
                rewrite.text_strings if rewrite else (),
                await reduced(image.data, SIDE),
                number,
            )
            planned.append(state.aside(body, limit_s, share))
        self._judge_usd = planned[0].expected_cost_usd
        return planned

    async def _mark(self, aside: Aside) -> Mark | None:
        try:
            return mark_from((await self._state.ask(aside, "critique")).text)
        except (RouterError, ProviderError) as exc:
            self._state.warn(f"not judged: {why(exc)[1]}")
        except UnreadableMarkError:
            self._state.warn("not judged: the judge's answer cannot be read")
        return None
