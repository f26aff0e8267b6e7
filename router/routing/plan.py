"""The values of a routing decision: what is known of a request, who may serve it, and what happened.

Nothing here holds text of a prompt: a plan is logged and shown. `gc=False` where no cycle can pass through a value:
thousands of plans are kept, and the collector would walk over all of them again and again.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from providers.catalogue import Kind, ModelInfo
from providers.errors import ProviderError, Resend
from providers.types import ImageSize
from router.routing.ladder import Tiering
from router.settings.values import FailoverSettings, Sort, StreamMode

T = TypeVar("T")

_MIN_STREAM_TIMEOUT_S = 10.0
_MIN_WHOLE_TIMEOUT_S = 30.0
_WHOLE_TIMEOUT_P95S = 2.0
_HEDGE_P50S = 2.0  # however narrow the spread is: less than twice the usual wait is not late
_STREAM_TIMEOUT_P95S = 4.0  # a first token later than four times the predicted p95 is a stall


class Features(Struct, frozen=True, kw_only=True, gc=False):
    """What the planner knows of a request. Counts, never content.

    `prompt_tokens` is an estimate from `prompt_bytes` (text only) and the media parts, which are `media_tokens` of it;
    `max_tokens` is 0 when the caller set no limit. `affinity` is a number in [0, 1) that stays the same for the same
    request: choices among equals are made with it, so that a dry run and the request it describes agree. `conversation`
    is a number that all requests of one conversation of one caller have, 0 where there is no conversation; `thread` is
    the same from its second turn on, when it can be told from others that began alike, 0 before. `question_bytes` is
    the text of the last message that a user wrote; `own_thinking`: the caller said itself how much to think; `max_tier`
    is the highest tier its key may have, counted from 1, 0 for any. Of an embedding request, `longest_tokens` is the
    largest of its `inputs`, `token_ids` tells that they come as such.
    """

    kind: Kind = "chat"
    model: str = ""
    prompt_bytes: int = 0
    question_bytes: int = 0
    prompt_tokens: int = 0
    media_tokens: int = 0
    messages: int = 0
    max_tokens: int = 0
    images: int = 0
    audio: int = 0
    files: int = 0
    tools: int = 0
    parallel_tools: bool = False
    json_schema: bool = False
    reasoning_effort: str = ""
    own_thinking: bool = False
    max_tier: int = 0
    service_tier: str = ""
    stream: bool = False
    n: int = 1
    image_out: bool = False
    audio_out: bool = False
    quality: str = ""
    size: ImageSize | None = None
    edit: bool = False
    mask: bool = False
    transparent: bool = False
    partial_images: int = 0
    inputs: int = 0
    longest_tokens: int = 0
    token_ids: bool = False
    dimensions: int = 0
    key_name: str = ""
    key_tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    hour_utc: int = 0
    affinity: float = 0.0
    conversation: int = 0
    thread: int = 0

    @property
    def width(self) -> int:
        """Pixels of the picture asked for, 0 when the size was left open."""
        return self.size.width if self.size else 0

    @property
    def height(self) -> int:
        return self.size.height if self.size else 0


class Enhance(Struct, frozen=True, gc=False):
    """What is to be done about a prompt and the pictures made of it.

    `rewrite`: a model words the prompt anew first. `rounds` is how many more pictures may be made after a model has
    judged the first; 0: none is judged, None: as many as the operator says.
    """

    rewrite: bool = True
    rounds: int | None = None


class Directives(Struct, frozen=True, kw_only=True, gc=False):
    """What the caller said about routing in this request; None or empty means it said nothing."""

    sort: Sort | None = None
    max_cost_usd: Decimal | None = None
    max_latency_ms: float | None = None
    deadline_ms: float | None = None
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    stream_mode: StreamMode | None = None
    strict: bool = False
    enhance: Enhance | None = None
    cost_quality: float | None = None


class Prediction(Struct, frozen=True, gc=False):
    """How long a candidate is expected to take for this request, in milliseconds; `tpot` is per output token.

    `known`: it rests on what was seen, not on the catalogue alone. `output_tokens` is how long its answer is expected.
    """

    ttft_ms: float
    ttft_p95_ms: float
    total_ms: float
    total_p95_ms: float
    tpot_p95_ms: float = 0.0
    known: bool = False
    output_tokens: float = 0.0


class Candidate(Struct, frozen=True, gc=False):
    """One upstream that may serve the request, and what it is expected to cost and take.

    `timeout_s` is what the configuration says of this target, see `Plan.timeout_s`. `route` is the public model whose
    target this is. `expected_cost_usd` None is unknown. `retry` marks the same target listed again.
    `last_resort` marks one that health would rather not ask, `blocked` one that is known to refuse for now. `resend`
    is set on one that is asked a second time because its first error said how (see `ProviderError`). `probe` marks one
    that is asked first to learn of it, `starting` one whose breaker closed just now and that not this turn, `full` one
    that has as many requests under way as it takes. `tier` is the place in the plan's ladder that it answers for, -1
    for none, `effort` what that tier has it asked for.
    """

    provider: str
    model: str
    info: ModelInfo
    route: str
    prediction: Prediction
    timeout_s: float | None = None
    expected_cost_usd: Decimal | None = None
    weight: float = 1.0
    reason: str = ""
    retry: bool = False
    last_resort: bool = False
    blocked: bool = False
    resend: Resend | None = None
    probe: bool = False
    starting: bool = False
    full: bool = False
    tier: int = -1
    effort: str = ""

    def asked(self, features: Features) -> Features:
        """A request as this candidate gets it: with its tier's effort, how long it takes is another matter."""
        return replace(features, reasoning_effort=self.effort) if self.effort else features

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"


class Excluded(Struct, frozen=True, kw_only=True, gc=False):
    """A target that may not serve this request, and why.

    `param` is the field of the request that it cannot serve, where there is one to name; `blocked_s` > 0 says for how
    long, when only time helps.
    """

    provider: str
    model: str
    reason: str
    param: str = ""
    blocked_s: float = 0.0
    expected_cost_usd: Decimal | None = None
    prediction: Prediction | None = None

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"


class Patience(Struct, frozen=True, gc=False):
    """How long one attempt at a request may take, where its target has no timeout of its own.

    A whole answer has `whole_s`, or less if it can be no longer than `max_tokens`. The first content of a stream has
    `first_s` (None: not a stream), or less where it is predicted to come soon.
    """

    whole_s: float
    first_s: float | None = None
    max_tokens: int = 0

    def timeout_s(self, prediction: Prediction) -> float:
        if self.first_s is not None:
            stalled_s = _STREAM_TIMEOUT_P95S * prediction.ttft_p95_ms / 1000
            return min(self.first_s, max(_MIN_STREAM_TIMEOUT_S, stalled_s))
        return self.whole_timeout_s(prediction)

    def whole_timeout_s(self, prediction: Prediction) -> float:
        """The wait for a whole answer, also where it comes as a stream."""
        if not self.max_tokens:
            return self.whole_s
        # the longest answer it may be, with as much again to spare
        longest_s = (prediction.ttft_p95_ms + self.max_tokens * prediction.tpot_p95_ms) / 1000
        return min(self.whole_s, max(_MIN_WHOLE_TIMEOUT_S, _WHOLE_TIMEOUT_P95S * longest_s))


class Plan(Struct, frozen=True, kw_only=True, gc=False):
    """Who is asked, in which order, within how many seconds; whole before the first attempt.

    `attempts`: so many may be made, if need be at the same target. `hedged`: the second may be started beside the first
    when that one is late. `tiering` is what a ladder of tiers on the way has decided, if there was one.
    """

    model: str
    kind: Kind
    candidates: tuple[Candidate, ...]
    excluded: tuple[Excluded, ...] = ()
    reason: str = ""
    attempts: int = 1
    deadline_s: float
    patience: Patience
    stream_mode: StreamMode = "live"
    failover: FailoverSettings = FailoverSettings()
    warnings: tuple[str, ...] = ()
    hedged: bool = False
    tiering: Tiering | None = None

    def hedge_after_s(self, candidate: Candidate) -> float:
        """How long this candidate may keep the request waiting before a second one is started beside it."""
        found = candidate.prediction
        if self.ends_with_first_content:
            return max(found.ttft_p95_ms, _HEDGE_P50S * found.ttft_ms) / 1000
        return max(found.total_p95_ms, _HEDGE_P50S * found.total_ms) / 1000

    @property
    def ends_with_first_content(self) -> bool:
        """Whether an attempt has succeeded once a stream's first content is there; its upstream is then still busy."""
        return self.patience.first_s is not None and self.stream_mode != "buffered"

    def timeout_s(self, candidate: Candidate) -> float:
        """How long an attempt may wait: for a whole answer (also a buffered one), or a stream's first content."""
        if self.stream_mode == "buffered" and self.patience.first_s is not None:
            return self.patience.whole_timeout_s(candidate.prediction)
        return self.first_timeout_s(candidate)

    def first_timeout_s(self, candidate: Candidate) -> float:
        """The same, where a buffered answer's wait is that for its first content."""
        return self.patience.timeout_s(candidate.prediction) if candidate.timeout_s is None else candidate.timeout_s


class Attempt(Struct, frozen=True, kw_only=True):
    """One call to one candidate. `duration_s` runs until the answer, the first content, or the failure.

    `queued_s` is how long the request had waited before for the upstream to have room.
    `hedge`: it was started beside an earlier one that was late, `beside_s` of its time while that one was under way.
    `outrun`: it was given up (`abandoned`) because the other of the two had answered.
    """

    candidate: Candidate
    duration_s: float
    queued_s: float = 0.0
    error: ProviderError | None = None
    abandoned: bool = False
    hedge: bool = False
    beside_s: float = 0.0
    outrun: bool = False

    @property
    def outcome(self) -> str:
        if self.abandoned:
            return "outrun" if self.outrun else "cancelled"
        return "ok" if self.error is None else self.error.outcome


class Outcome(Struct, Generic[T], frozen=True):
    """What the loop brought back: the value, and every attempt it took; the last one is who served."""

    value: T
    attempts: tuple[Attempt, ...]

    @property
    def served_by(self) -> Candidate:
        return self.attempts[-1].candidate
