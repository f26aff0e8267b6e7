"""A request as every target is weighed for it: what is worked out once."""

from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from router.routing.capability import wants_text_only
from router.routing.latency import prompt_factor
from router.routing.output_length import kind_of
from router.routing.plan import Directives, Features
from router.routing.token_ratio import MOST
from router.routing.warm_cache import Last

_ENDLESS = 1 << 60

Alike = tuple[object, ...]
"""What requests have in common that targets stand alike before."""


class Ask(Struct, frozen=True, gc=False):
    """One request. `last`: who served the conversation before.

    `longest`: how many tokens a model may count for the prompt at most, `_ENDLESS` where every target has to be looked
    at; `reach` is the same where prices and the caller's limits count as well. `limited`: the caller set a limit on
    cost or time. `plain`: it is charged for the tokens of one text read and one written. `writes`: the answer is no
    picture. `prompt_factor` see `LatencyModel.predict`.
    """

    features: Features
    directives: Directives
    last: Last | None
    now: float
    day: date
    alike: Alike
    longest: int
    reach: int
    limited: bool
    text_only: bool
    plain: bool
    writes: bool
    prompt_factor: float

    @classmethod
    def of(cls, features: Features, directives: Directives, last: Last | None, now: float, day: date) -> "Ask":
        text_only, writes = wants_text_only(features), features.kind != "image"
        limited = directives.max_cost_usd is not None or directives.max_latency_ms is not None
        plain = (
            writes and features.n == 1 and not (features.media_tokens or features.service_tier or features.image_out)
        )
        longest = _ENDLESS
        if text_only and not (directives.only or directives.ignore):
            longest = MOST * features.prompt_tokens
        return cls(
            features,
            directives,
            last,
            now,
            day,
            _alike(features),
            longest,
            longest if plain and not limited else _ENDLESS,
            limited,
            text_only,
            plain,
            writes,
            prompt_factor(features) if writes else 1.0,  # a prompt makes no picture take longer
        )

    def having(self, features: Features) -> "Ask":
        """The same with other features: a tier's effort, or no stream."""
        return replace(self, features=features, alike=_alike(features))


def _alike(features: Features) -> Alike:
    kind = features.kind
    return (*kind_of(features), features.max_tokens, features.stream) if kind == "chat" else (kind, features.stream)
