"""What a request names by URL is fetched before the first attempt: that time is no upstream's latency nor failure."""

import asyncio

from msgspec.structs import replace

from providers.base import MediaLoader
from providers.errors import BadRequestError
from providers.types import ChatRequest
from router.api.gateway import Exchange
from router.errors import InvalidRequestError


async def load_media(exchange: Exchange, request: ChatRequest) -> None:
    """Fetch the media of a chat request that has some if the first candidate needs them; the deadline covers that too.

    A later candidate fetches for itself what is still missing: it is rarely asked. Raises InvalidRequestError naming
    the part whose URL cannot be fetched; when the time runs out, the plan is left without any.
    """
    record, gateway = exchange.record, exchange.gateway
    plan = record.plan
    if plan is None:
        return
    provider = gateway.chat_providers[plan.candidates[0].provider]
    if not isinstance(provider, MediaLoader):
        return
    started = gateway.health.now()
    late = False
    try:
        async with asyncio.timeout(plan.deadline_s):
            await provider.load_media(request)
    except TimeoutError:
        late = True
    except BadRequestError as exc:
        raise InvalidRequestError(exc.message, param=exc.param, code=exc.code) from exc
    finally:
        record.fetch_s = gateway.health.now() - started
    record.plan = replace(plan, deadline_s=0.0 if late else plan.deadline_s - record.fetch_s)
