"""What an image answer says: the pictures in the format that was asked for, and OpenAI's fields around them."""

import base64
from collections.abc import Iterator, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from providers.types import GeneratedImage, ImageRequest, JsonObject, LostPictures, Usage
from providers.xmp import Origin
from router.accounting.record import RequestRecord
from router.errors import RouterError
from router.pictures.provenance import is_signed
from router.pictures.signing import Signer
from router.pictures.transcode import pixel_size, to_format

_WEBP_QUALITY = 90


class Finished(Struct, frozen=True):
    """One picture as the client gets it. `size` is what it really measures (`1024x768`), "" when nobody can tell.

    `unsigned`: it was to be signed and could not be.
    """

    content: bytes
    mime: str
    size: str
    revised_prompt: str | None = None
    unsigned: bool = False

    @property
    def output_format(self) -> str:
        return self.mime.removeprefix("image/")

    @property
    def b64_json(self) -> str:
        return base64.b64encode(self.content).decode("ascii")


async def finish(
    image: GeneratedImage, request: ImageRequest, default_format: str, model: str = "", signer: Signer | None = None
) -> Finished:
    """The upstream's picture in the format of the request. Raises BadResponseError for one that does not decode.

    With a `signer` it carries a manifest that names `model`; one that came signed and fits stays as it is.
    """
    origin: Origin = "edited" if request.images else "generated"
    wanted = request.output_format or default_format
    content, mime = await to_format(
        image.data, image.mime, wanted, request.output_compression, origin, keep_signed=signer is None
    )
    measured = pixel_size(content)
    size = f"{measured[0]}x{measured[1]}" if measured else ""
    if signer is None or is_signed(content):
        return Finished(content, mime, size, image.revised_prompt)
    signed = await signer.sign(content, mime, origin, model, (image.data, image.mime))
    return Finished(signed or content, mime, size, image.revised_prompt, unsigned=signed is None)


class ResponseTooLargeError(RouterError):
    """The pictures are made, and too many bytes for one answer."""

    status = 400
    type = "invalid_request_error"
    code = "response_too_large"

    def __init__(self, limit: int) -> None:
        advice = "ask with response_format=url, or for fewer or smaller ones"
        super().__init__(f"the pictures exceed {limit} bytes of base64; {advice}", param="response_format")


def fit(pictures: Sequence[Finished], limit: int) -> bool:
    """Whether all of them together are within `limit` bytes of base64."""
    return sum(-(-len(each.content) // 3) * 4 for each in pictures) <= limit


def smaller(request: ImageRequest) -> ImageRequest:
    """The request for pictures of fewer bytes, where it leaves the format open."""
    return replace(request, output_format="webp", output_compression=_WEBP_QUALITY)


def described(first: Finished, request: ImageRequest) -> JsonObject:
    """The fields beside the pictures; `first` stands for all."""
    fields: JsonObject = {"output_format": first.output_format}
    if first.size:
        fields["size"] = first.size
    if request.quality:
        fields["quality"] = request.quality
    if request.background:
        fields["background"] = request.background
    return fields


def delivery_warnings(pictures: Sequence[Finished], request: ImageRequest) -> tuple[str, ...]:
    """Where the pictures are not what was asked for."""
    first = pictures[0]
    found: list[str] = []
    if request.size and first.size and str(request.size) != first.size:
        found.append(f"size={request.size} became {first.size}")
    wanted = request.output_format
    if wanted and (odd := next((p for p in pictures if p.output_format != wanted), None)):
        found.append(f"output_format={wanted} became {odd.output_format}: signed pictures are not rewritten")
    if any(picture.unsigned for picture in pictures):
        found.append("c2pa=not signed")
    return tuple(found)


def told_apart(record: RequestRecord, failures: Sequence[LostPictures] = ()) -> JsonObject:
    """The router's own object in an answer, where it has something to say there."""
    told: JsonObject = {}
    if record.enhanced is not None:
        told["enhance"] = record.enhance_json()
    if failures:
        told["errors"] = [*_lost_json(failures)]
    return {"router": told} if told else {}


def _lost_json(failures: Sequence[LostPictures]) -> Iterator[JsonObject]:
    """Each picture that did not come, by its place among those that were asked for."""
    for each in failures:
        error = each.error
        for index in range(each.index, each.index + each.count):
            yield {"index": index, "provider": error.provider, "code": error.code, "message": error.message}


def usage_json(usage: Usage, cost_usd: Decimal | None) -> JsonObject:
    """The `usage` of OpenAI's image answers, with `cost` (USD) where it is known."""
    text_in = max(0, usage.prompt_tokens - usage.image_prompt_tokens)
    image_out = usage.image_completion_tokens
    shown: JsonObject = {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"text_tokens": text_in, "image_tokens": usage.image_prompt_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {
            "text_tokens": max(0, usage.completion_tokens - image_out),
            "image_tokens": image_out,
        },
        "total_tokens": usage.total_tokens,
    }
    if cost_usd is not None:
        shown["cost"] = float(cost_usd)
    return shown
