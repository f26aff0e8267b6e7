"""A chat request that the router itself makes while it serves another one, by the same path as any client's."""

from collections.abc import Sequence
from decimal import Decimal

import orjson
from msgspec import Struct
from msgspec.structs import replace

from providers.catalogue import ModelInfo
from providers.errors import BadResponseError
from providers.types import ChatRequest, JsonObject
from router.accounting.record import RequestRecord, utc_day
from router.accounting.steps import Purpose
from router.api.answering import complete
from router.api.chat_request import ParsedChat, parse_chat
from router.api.gateway import Gateway
from router.routing.plan import Plan
from router.settings.values import ClientKey

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")


class Aside(Struct, frozen=True):
    """A planned one: nobody has been asked yet."""

    parsed: ParsedChat
    plan: Plan

    @property
    def expected_cost_usd(self) -> Decimal | None:
        """What the first candidate is expected to cost; None: unknown."""
        return self.plan.candidates[0].expected_cost_usd


class Said(Struct, frozen=True):
    text: str
    model: str


def plan_aside(
    gateway: Gateway, key: ClientKey, body: JsonObject, deadline_s: float, max_cost_usd: Decimal | None
) -> Aside:
    """The plan for a chat body, in the name of the client that is being served. Raises RouterError."""
    limits: JsonObject = {"deadline_ms": max(1.0, deadline_s * 1000)}
    if max_cost_usd is not None:
        limits["max_cost_usd"] = f"{max_cost_usd:.12f}"
    # the client's own headers speak of its own request
    parsed = parse_chat(orjson.dumps({**body, "router": limits}), {"type": "http", "headers": []}, key)
    plan = gateway.plan(parsed.features, parsed.directives)
    return Aside(replace(parsed, request=suited(parsed.request, [each.info for each in plan.candidates])), plan)


def suited(request: ChatRequest, models: Sequence[ModelInfo]) -> ChatRequest:
    """The request as all of the models take it: with a temperature only where none refuses it, and with as little
    thinking as there is: thoughts count against the few tokens of the answer, and against the seconds.
    """
    fields = dict(request.fields)
    if not all(model.sampling for model in models):
        fields.pop("temperature", None)
    if all(model.thinking is not None for model in models):
        fields["reasoning_effort"] = max((_least_effort(model) for model in models), key=_EFFORTS.index)
    return replace(request, fields=fields)


def _least_effort(model: ModelInfo) -> str:
    levels = {level.lower() for level in model.thinking.levels} if model.thinking else set[str]()
    return next((effort for effort in _EFFORTS if effort in levels), _EFFORTS[0])


async def ask(gateway: Gateway, record: RequestRecord, aside: Aside, purpose: Purpose) -> Said:
    """The text of the answer. All of its attempts are in the record, whatever their end, and what it cost.

    How long answers of the model are is not learned from it: these are shorter than what clients ask for. Raises
    RouterError and ProviderError.
    """
    step = record.begin(purpose)
    response = (await complete(gateway, aside.parsed, aside.plan, step.attempts)).value
    step.settle(utc_day(record.created), response.usage)
    message = response.choices[0].get("message") if response.choices else None
    text = message.get("content") if isinstance(message, dict) else None
    if not isinstance(text, str) or not text:
        raise BadResponseError("the helping model said nothing", outcome="empty")
    return Said(text, response.model)
