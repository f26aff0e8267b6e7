"""What messages name by http(s) URL, fetched and put inline before they are translated.

Google reads its own files, objects in Cloud Storage and YouTube itself: those stay as they are. Anything else it would
have to fetch, which it does unreliably (robots, logins) and not for every model.
"""

import asyncio
import base64
from collections.abc import Iterator

import orjson
from msgspec import Struct
from msgspec.structs import replace

from providers.batches import all_or_none
from providers.errors import BadRequestError
from providers.fetch import Fetcher, fetch_for_caller
from providers.gemini.lenient import as_list, as_object, as_text
from providers.gemini.parts import is_remote
from providers.types import ChatRequest, Fetched, JsonObject

ACCEPTED = ("image/", "audio/", "video/", "application/pdf")
_MAX_URLS = 32
_MAX_TOTAL_BYTES = 70 * 1024 * 1024  # Google takes 100 MB in one request, and base64 adds a third
_PARALLEL = 4
_MEDIA_PARTS = frozenset({"image_url", "input_image", "video_url", "file", "input_file"})
_GOOGLES_NAMES = {"audio/mpeg": "audio/mp3", "video/quicktime": "video/mov", "video/x-msvideo": "video/avi"}


class _Slot(Struct, frozen=True):
    """A place in the messages that names a medium: its URL, where the data go instead, and its part's path."""

    url: str
    holder: JsonObject
    key: str
    where: str


async def load_media(request: ChatRequest, fetcher: Fetcher, *, max_total_bytes: int = _MAX_TOTAL_BYTES) -> None:
    """Fetch what the messages name by URL into `request.fetched`, each address once.

    Raises BadRequestError (`invalid_image_url`, `param` the part's path) for the first that cannot be had, and for more
    than 32 addresses or `max_total_bytes` in all.
    """
    if not names_media(request):
        return
    wanted: dict[str, str] = {}
    for slot in _slots(request.messages()):
        if slot.url not in request.fetched:
            wanted.setdefault(slot.url, slot.where)
            if len(wanted) > _MAX_URLS:
                raise _refused(f"at most {_MAX_URLS} media are fetched for one request", slot.where)
    gate = asyncio.Semaphore(_PARALLEL)

    async def one(url: str, where: str) -> None:
        async with gate:
            found = await fetch_for_caller(fetcher, url, param=where, accept=ACCEPTED)
        if sum(len(each.data) for each in request.fetched.values()) + len(found.data) > max_total_bytes:
            raise _refused(f"the media of this request exceed {max_total_bytes} bytes", where)
        request.fetched[url] = found

    await all_or_none([one(url, where) for url, where in wanted.items()])


def inlined(request: ChatRequest) -> ChatRequest:
    """The request with a data URL wherever `request.fetched` has what lies at the URL; the same one if nowhere."""
    if not request.fetched:
        return request
    messages = request.messages()
    for slot in _slots(messages):
        found = request.fetched.get(slot.url)
        if found is not None:
            slot.holder[slot.key] = _data_url(found)
    return replace(request, messages_json=orjson.dumps(messages))


def names_media(request: ChatRequest) -> bool:
    """Whether there may be a medium's URL among the bytes: most prompts have none and are not decoded for this.

    JSON may escape slashes.
    """
    found = request.messages_json
    return (b"://" in found or b":\\/\\/" in found) and (b'_url"' in found or b'"file' in found or b'"input_' in found)


def _slots(messages: list[JsonObject]) -> Iterator[_Slot]:
    """Every place that holds a URL which Google cannot read itself. System messages hold text only."""
    for position, item in enumerate(messages):
        message, where = as_object(item), f"messages[{position}]"
        if message.get("role") in ("system", "developer"):
            continue
        for place, part in enumerate(as_list(message.get("content"))):
            if as_object(part).get("type") in _MEDIA_PARTS:
                yield from _slots_of(as_object(part), f"{where}.content[{place}]")
        for picture in as_list(message.get("images")):
            yield from _slots_of(as_object(picture), f"{where}.images")


def _slots_of(part: JsonObject, where: str) -> Iterator[_Slot]:
    file = as_object(part.get("file")) or part
    for holder, key, into in (
        (part, "image_url", "image_url"),
        (as_object(part.get("image_url")), "url", "url"),
        (part, "video_url", "video_url"),
        (as_object(part.get("video_url")), "url", "url"),
        (file, "file_data", "file_data"),
        (file, "file_id", "file_data"),
    ):
        url = as_text(holder.get(key)).strip()
        if is_remote(url):
            yield _Slot(url, holder, into, where)


def _data_url(found: Fetched) -> str:
    mime = _GOOGLES_NAMES.get(found.mime, found.mime)
    return f"data:{mime};base64,{base64.b64encode(found.data).decode()}"


def _refused(message: str, where: str) -> BadRequestError:
    return BadRequestError(message, param=where, code="invalid_image_url")
