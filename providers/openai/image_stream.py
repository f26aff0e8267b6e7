"""The events of a streamed image answer -> previews on the way, and the answer at the end. Pure."""

from providers.errors import BadResponseError
from providers.openai.errors import inner_error
from providers.openai.images import ImageAnswer, ImageItem, decoded_base64
from providers.openai.response import json_from
from providers.openai.usage import cost_from, image_usage_from
from providers.pictures import sniff_mime
from providers.types import ImagePreview, JsonObject

_PARTIAL, _COMPLETED = ".partial_image", ".completed"


class ImageEvents:
    """Takes the events of one answer in order: `image_generation.*` or `image_edit.*`; others mean nothing here.

    `shown`: at least one preview was given out, so the upstream has begun to charge.
    """

    def __init__(self, model: str) -> None:
        self.shown = False
        self._model = model
        self._items: list[ImageItem] = []
        self._last: JsonObject = {}

    @property
    def complete(self) -> bool:
        """Whether a picture has come, and not only previews."""
        return bool(self._items)

    def feed(self, event: bytes) -> list[ImagePreview]:
        """The previews in one event's data. Raises what an error event means, BadResponseError for what is not JSON."""
        if event == b"[DONE]":
            return []
        said = json_from(event)
        if said.get("error"):
            error = inner_error(said)
            error.billed = True
            raise error
        kind, text = said.get("type"), said.get("b64_json")
        data = decoded_base64(text) if isinstance(text, str) else b""
        if not isinstance(kind, str) or not data:
            return []
        if kind.endswith(_COMPLETED):
            self._items.append(ImageItem(data=data))
            self._last = said
            return []
        mime, index = sniff_mime(data), said.get("partial_image_index")
        if not kind.endswith(_PARTIAL) or mime is None:
            return []
        self.shown = True
        return [ImagePreview(data=data, mime=mime, index=index if isinstance(index, int) else 0)]

    def finish(self) -> ImageAnswer:
        """The answer. Raises BadResponseError (`stream_truncated`) when it never completed."""
        if not self._items:
            raise BadResponseError(
                "the upstream's stream ended without a picture", outcome="stream_truncated", billed=True
            )
        usage = self._last.get("usage")
        return ImageAnswer(
            items=tuple(self._items), model=self._model, usage=image_usage_from(usage), cost_usd=cost_from(usage)
        )
