"""Images as server-sent events: previews, one completed event per picture, comments meanwhile, errors that SDKs raise.

The answer is committed by the first preview or the first comment, whichever comes first; a failure before that is an
ordinary HTTP error with its own status.
"""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import orjson

from providers.types import ImagePreview, ImageRequest, JsonObject
from router.api.envelope import Headers, error_answer
from router.api.gateway import Exchange
from router.api.image_answer import Finished, described
from router.api.sse import HEADERS, KEEP_ALIVE
from router.pictures.transcode import pixel_size

_KEEP_ALIVE_S = 10.0  # proxies cut silent connections after 60 to 100 s; some load balancers after 15


class ImageEventWriter:
    """Writes the events of one answer; `told` gives our headers at the moment of commitment."""

    def __init__(self, exchange: Exchange, request: ImageRequest, told: Callable[[], Headers]) -> None:
        self._exchange = exchange
        self._request = request
        self._told = told
        self._name = "image_edit" if request.images else "image_generation"
        self._lock = asyncio.Lock()  # a comment must not come between headers and event

    @contextlib.asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Comments whenever nothing else was sent for a while, until the block ends."""
        ping = asyncio.create_task(self._ping())
        try:
            yield
        finally:
            ping.cancel()
            await asyncio.wait([ping])

    async def preview(self, preview: ImagePreview) -> None:
        """The preview as the upstream sent it."""
        record = self._exchange.record
        if record.first_content_s is None:
            record.first_content_s = self._exchange.gateway.health.now() - record.started
        measured = pixel_size(preview.data)
        await self._event(
            "partial_image",
            {
                "b64_json": base64.b64encode(preview.data).decode("ascii"),
                "partial_image_index": preview.index,
                **self._common(preview.mime, f"{measured[0]}x{measured[1]}" if measured else ""),
            },
        )

    async def completed(self, picture: Finished, item: JsonObject, index: int, usage: JsonObject) -> None:
        """A finished picture; `item` holds it as `b64_json` or `url`. With several, `image_index` counts them."""
        place: JsonObject = {"image_index": index} if self._request.n > 1 else {}
        common = self._common(picture.mime, picture.size) | described(picture, self._request)
        await self._event("completed", {**item, **place, **common, "usage": usage})

    async def failed(self, exc: BaseException) -> str | None:
        """The event that ends an answer which broke off; gives the error's code. No `[DONE]` follows."""
        answer = error_answer(exc)
        await self._write(b'event: error\ndata: {"type":"error",' + answer.body[1:] + b"\n\n")
        return answer.code

    async def end(self) -> None:
        await self._exchange.send({"type": "http.response.body", "body": b""})

    def _common(self, mime: str, size: str) -> JsonObject:
        """The fields that SDKs' types require of every event."""
        return {
            "created_at": int(time.time()),
            "size": size,
            "quality": self._request.quality or "auto",
            "background": self._request.background or "auto",
            "output_format": mime.removeprefix("image/"),
        }

    async def _event(self, kind: str, data: JsonObject) -> None:
        name = f"{self._name}.{kind}"
        await self._write(b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **data})))

    async def _write(self, data: bytes) -> None:
        async with self._lock:
            if not self._exchange.started_response:
                await self._exchange.start(200, [*HEADERS, *self._told()])
            await self._exchange.send({"type": "http.response.body", "body": data, "more_body": True})

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_ALIVE_S)
            await self._write(KEEP_ALIVE)
