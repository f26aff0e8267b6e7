"""Where messages name media by URL, and what stands there instead once they were fetched."""

import base64
from typing import Any

import orjson
import pytest
from loopback import Reply, Seen, serving
from pictures import picture

from providers.errors import BadRequestError
from providers.fetch import Fetcher
from providers.gemini.media import inlined, load_media
from providers.types import ChatRequest, Fetched

URL = "https://x.test/a.bin"
PNG = picture()


def request(*parts: Any, role: str = "user", raw: bytes | None = None, **message: Any) -> ChatRequest:
    messages = [{"role": role, "content": list(parts), **message}]
    return ChatRequest(model="m", messages_json=raw or orjson.dumps(messages), fields={})


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def fetched(mime: str = "image/png", url: str = URL, data: bytes = b"data") -> dict[str, Fetched]:
    return {url: Fetched(data=data, mime=mime, final_url=url)}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("image/png", "image/png"),
        ("audio/mpeg", "audio/mp3"),
        ("video/quicktime", "video/mov"),
        ("video/x-msvideo", "video/avi"),
        ("application/pdf", "application/pdf"),
    ],
)
def test_what_was_fetched_stands_in_the_message_under_googles_name_for_its_type(found: str, told: str) -> None:
    asked = request({"type": "text", "text": URL}, image(URL))
    asked.fetched.update(fetched(found))
    content = inlined(asked).messages()[0]["content"]
    data = f"data:{told};base64,{base64.b64encode(b'data').decode()}"
    assert content == [{"type": "text", "text": URL}, image(data)]
    assert asked.messages()[0]["content"] == [{"type": "text", "text": URL}, image(URL)]


def test_a_request_without_fetched_media_stays_the_same_object() -> None:
    asked = request(image(URL))
    assert inlined(asked) is asked


def test_a_file_named_by_id_becomes_a_file_by_its_data() -> None:
    asked = request({"type": "file", "file": {"file_id": URL}})
    asked.fetched.update(fetched("application/pdf"))
    (part,) = inlined(asked).messages()[0]["content"]  # type: ignore[misc,union-attr]
    assert part["file"]["file_data"].startswith("data:application/pdf;base64,")  # type: ignore[index,call-overload]


def test_pictures_of_earlier_answers_may_be_urls_too() -> None:
    asked = request(role="assistant", images=[{"type": "image_url", "image_url": {"url": URL}}])
    asked.fetched.update(fetched())
    (picture,) = inlined(asked).messages()[0]["images"]  # type: ignore[misc]
    assert picture["image_url"]["url"].startswith("data:image/png")  # type: ignore[index,call-overload]


NOTHING_TO_FETCH = [
    request({"type": "text", "text": f"see {URL}"}),
    request({"type": "text", "text": f'"image_url": "{URL}"', "image_url": URL}),
    request(image("data:image/png;base64,AA==")),
    request(image("gs://b/o.png"), image("https://youtu.be/x"), image("files/x"), image("ftp://x.test/a")),
    request(image("https://generativelanguage.googleapis.com/v1beta/files/x")),
    request(image(URL), role="system"),
    request(image(URL), role="developer"),
    request(7, None, "text", {"type": "image_url"}, {"type": "image_url", "image_url": {"url": 7}}, {"type": "file"}),
    ChatRequest(model="m", messages_json=b'[{"role":"user","content":"hi"},7,null]', fields={}),
]


@pytest.mark.parametrize("asked", NOTHING_TO_FETCH)
async def test_what_needs_no_fetch_needs_no_open_fetcher(asked: ChatRequest) -> None:
    await load_media(asked, Fetcher())
    assert asked.fetched == {}


@pytest.mark.parametrize(
    "asked",
    [
        request(image("https://127.0.0.1/")),
        request(image("HTTPS://127.0.0.1/")),
        request(raw=b'[{"role":"user","content":[{"type":"image_url","image_url":"https:\\/\\/127.0.0.1\\/"}]}]'),
        request(role="assistant", images=[image("http://x.test/")]),
        request(image("https://[x/")),
        request({"type": "file", "file_data": "https://127.0.0.1/"}, role="tool", tool_call_id="c"),
    ],
)
async def test_an_address_is_found_in_any_spelling_of_the_message(asked: ChatRequest) -> None:
    fetcher = Fetcher()
    await fetcher.open()
    try:
        with pytest.raises(BadRequestError) as caught:
            await load_media(asked, fetcher)
    finally:
        await fetcher.aclose()
    assert caught.value.code == "invalid_image_url"
    assert str(caught.value.param).startswith("messages[0].")


async def test_what_was_fetched_before_is_not_asked_for_again() -> None:
    asked = request(image(URL))
    asked.fetched.update(fetched())
    await load_media(asked, Fetcher())


async def test_the_media_of_one_request_are_bounded_together() -> None:
    async def script(_: Seen, reply: Reply) -> None:
        await reply.whole(PNG)

    async with serving(script) as server:
        asked = request(image(f"{server.url}/a"), image(f"{server.url}/b"))
        fetcher = Fetcher(trusted_origins=[server.url])
        await fetcher.open()
        try:
            with pytest.raises(BadRequestError) as caught:
                await load_media(asked, fetcher, max_total_bytes=2 * len(PNG) - 1)
            assert "the media of this request exceed" in caught.value.message
            await load_media(request(image(f"{server.url}/a")), fetcher, max_total_bytes=len(PNG))
        finally:
            await fetcher.aclose()
