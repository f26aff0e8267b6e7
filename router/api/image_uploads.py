"""The pictures of an image request, in every shape clients send them -> `ImageInput`, each looked at once."""

import base64
from collections.abc import Mapping, MutableMapping

from msgspec import Struct

from providers.pictures import sniff_mime
from providers.types import ImageInput
from router.errors import InvalidRequestError
from router.pictures.transcode import check_upload

MAX_IMAGES = 16
_MAX_IMAGE_BYTES = 50 * 1024 * 1024
_URL_SAFE = str.maketrans("-_", "+/")


class Upload(Struct, frozen=True):
    """A picture whose header was read: `size` is its width and height in pixels."""

    picture: ImageInput
    size: tuple[int, int]


class Uploads(Struct, frozen=True):
    """What an edit works on; the mask covers the first picture."""

    images: tuple[ImageInput, ...] = ()
    mask: ImageInput | None = None


def take_uploads(fields: MutableMapping[str, object]) -> Uploads:
    """Remove `image`, `images` and `mask` from `fields` and give the pictures, those of `image` first.

    Each may be an `Upload`, bytes that were fetched, a data URL, bare base64, or `{"image_url": ...}` around one.
    Raises 400 naming the picture at fault.
    """
    items = [item for name in ("image", "images") for item in _listed(fields.pop(name, None))]
    masks = _listed(fields.pop("mask", None))
    if len(items) > MAX_IMAGES:
        raise InvalidRequestError(f"at most {MAX_IMAGES} pictures are accepted", param="image")
    if len(masks) > 1:
        raise InvalidRequestError("one mask is accepted", param="mask")
    images = [_given(item, f"image[{position}]") for position, item in enumerate(items)]
    mask = _given(masks[0], "mask") if masks else None
    if mask is not None and not images:
        raise InvalidRequestError("'mask' needs a picture to edit", param="mask")
    if mask is not None and mask.size != images[0].size:
        raise InvalidRequestError("'mask' must have the size of the first picture", param="mask")
    return Uploads(tuple(image.picture for image in images), mask.picture if mask else None)


def upload(data: bytes, where: str, filename: str = "image.png") -> Upload:
    """One picture a caller sent. Its type is that of its bytes: SDKs declare `application/octet-stream`."""
    if len(data) > _MAX_IMAGE_BYTES:
        raise InvalidRequestError(f"'{where}' exceeds {_MAX_IMAGE_BYTES} bytes", param=where, code="image_too_large")
    size = check_upload(data, where)
    return Upload(ImageInput(data, sniff_mime(data) or "image/png", filename[-100:]), size)


def _listed(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    return [] if value is None or value == "" else [value]


def _given(item: object, where: str) -> Upload:
    if isinstance(item, Upload):
        return item
    if isinstance(item, bytes):
        return upload(item, where)
    if isinstance(item, Mapping):
        if item.get("file_id"):
            raise InvalidRequestError(f"'{where}.file_id' is not supported", param=where, code="unsupported_value")
        item = item.get("image_url") or item.get("url")
        item = item.get("url") if isinstance(item, Mapping) else item
    if not isinstance(item, str):
        raise InvalidRequestError(f"'{where}' must be a picture", param=where, code="invalid_type")
    if item[:8].lower().startswith(("http://", "https://")):
        raise InvalidRequestError(
            f"'{where}': pictures by URL are not fetched; send a data URL", param=where, code="invalid_image_url"
        )
    return upload(_decoded(item, where), where)


def _decoded(item: str, where: str) -> bytes:
    """Bytes of a data URL or of bare base64, with either alphabet, padded or not, broken into lines or not."""
    text = item.partition(",")[2] if item[:5].lower() == "data:" else item
    try:
        return base64.b64decode(text.translate(_URL_SAFE) + "==", validate=False)  # more padding than needed is fine
    except ValueError as exc:
        raise InvalidRequestError(f"'{where}' is not valid base64", param=where) from exc
