"""Image requests: JSON and multipart as clients send them, and what is refused before anybody is asked."""

import base64
import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from builders import KEY
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pictures import bomb, picture
from PIL import Image

from router.api.image_request import ParsedImage, parse_edit, parse_generation, parse_variation
from router.errors import InvalidRequestError, RouterError, UnsupportedMediaTypeError
from router.settings.values import ImageSettings, ServerSettings, Settings

SETTINGS = Settings()
PNG, JPEG, WEBP, GIF = (picture(kind=kind) for kind in ("PNG", "JPEG", "WEBP", "GIF"))
BOUNDARY = "xxBOUNDARYxx"
JSON_TYPE = "application/json"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(data: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{encoded(data)}"


def receiver(body: bytes) -> Any:
    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def scope(content_type: str, **headers: str) -> dict[str, Any]:
    given_headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "headers": [(b"content-type", content_type.encode()), *given_headers]}


async def generation(content_type: str = JSON_TYPE, **fields: Any) -> ParsedImage:
    body = json.dumps({"prompt": "a cat", **fields}).encode()
    return await parse_generation(scope(content_type), receiver(body), SETTINGS, KEY)


async def edit_json(**fields: Any) -> ParsedImage:
    body = json.dumps({"prompt": "a hat", **fields}).encode()
    return await parse_edit(scope(JSON_TYPE), receiver(body), SETTINGS, KEY)


Part = tuple[str, bytes | str, str | None, str | None]  # name, content, file name, type


def form(*parts: Part) -> bytes:
    lines = []
    for name, content, filename, mime in parts:
        lines.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode())
        if filename is not None:
            lines[-1] += f'; filename="{filename}"'.encode()
        if mime is not None:
            lines[-1] += f"\r\nContent-Type: {mime}".encode()
        lines[-1] += b"\r\n\r\n" + (content.encode() if isinstance(content, str) else content) + b"\r\n"
    return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode()


def text(name: str, value: str) -> Part:
    return (name, value, None, None)


def file(name: str, data: bytes, mime: str = "image/png", filename: str = "cat.png") -> Part:
    return (name, data, filename, mime)


async def edit(*parts: Part, content_type: str = FORM_TYPE) -> ParsedImage:
    return await parse_edit(scope(content_type), receiver(form(*parts)), SETTINGS, KEY)


PROMPT = text("prompt", "a hat")


# --- generations


async def test_a_prompt_is_enough() -> None:
    found = await generation()
    assert (found.request.model, found.request.prompt, found.request.n, found.request.size) == (
        "image",
        "a cat",
        1,
        None,
    )
    assert found.delivery == "b64_json"
    assert (found.features.kind, found.features.image_out, found.features.edit) == ("image", True, False)
    assert found.features.prompt_tokens == 2


async def test_every_field_finds_its_place_and_unknown_ones_travel_on() -> None:
    found = await generation(
        model="gpt-image-2:floor", n=3, size="1536x1024", quality="high", background="transparent",
        output_format="webp", output_compression=80, moderation="low", seed=7, negative_prompt="dogs", user="u",
        response_format="url", style="vivid", partial_images=0, guidance=7.5, router={"only": ["a"]},
        provider={"ignore": ["b"]},
    )  # fmt: skip
    request = found.request
    assert (request.model, request.n, str(request.size), request.quality) == ("gpt-image-2", 3, "1536x1024", "high")
    assert (request.background, request.output_format, request.output_compression) == ("transparent", "webp", 80)
    assert (request.moderation, request.seed, request.negative_prompt, request.user) == ("low", 7, "dogs", "u")
    assert request.extra == {"guidance": 7.5}
    assert found.delivery == "url"
    assert (found.directives.sort, found.directives.only, found.directives.ignore) == ("cost", ("a",), ("b",))
    features = found.features
    assert (features.n, features.transparent, features.quality, features.key_tags) == (3, True, "high", ("batch",))


BAD_FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("prompt missing", {"prompt": None}, "prompt"),
    ("prompt empty", {"prompt": ""}, "prompt"),
    ("prompt a list", {"prompt": ["x"]}, "prompt"),
    ("prompt of 100 KB", {"prompt": "x" * 100_000}, "prompt"),
    ("model a number", {"model": 5}, "model"),
    ("model of 10 KB", {"model": "x" * 10_000}, "model"),
    ("size", {"size": "0x0"}, "size"),
    ("size a number", {"size": 1024}, "size"),
    ("n 0", {"n": 0}, "n"),
    ("n 100", {"n": 100}, "n"),
    ("n huge", {"n": 10**9}, "n"),
    ("n true", {"n": True}, "n"),
    ("n a float", {"n": 1.5}, "n"),
    ("n words", {"n": "two"}, "n"),
    ("n a superscript", {"n": "\u00b2"}, "n"),
    ("quality", {"quality": "best"}, "quality"),
    ("response_format", {"response_format": "png"}, "response_format"),
    ("output_format", {"output_format": "bmp"}, "output_format"),
    ("background", {"background": "green"}, "background"),
    ("output_compression", {"output_compression": 101}, "output_compression"),
    ("seed", {"seed": -1}, "seed"),
    ("seed huge", {"seed": 2**32}, "seed"),
    ("stream a number", {"stream": 5}, "stream"),
    ("stream a word", {"stream": "yes"}, "stream"),
    ("partial_images", {"stream": True, "partial_images": 4}, "partial_images"),
    ("user a number", {"user": 5}, "user"),
    ("negative_prompt a list", {"negative_prompt": []}, "negative_prompt"),
    ("router", {"router": {"sort": "x"}}, "router.sort"),
    ("aspect_ratio", {"aspect_ratio": "wide"}, "aspect_ratio"),
    ("aspect_ratio 0", {"aspect_ratio": "1:0"}, "aspect_ratio"),
    ("aspect_ratio extreme", {"aspect_ratio": "99:1"}, "aspect_ratio"),
    ("aspect_ratio a number", {"aspect_ratio": 1.5}, "aspect_ratio"),
    ("resolution", {"resolution": "8K"}, "resolution"),
    ("markup", {"markup": {"image_url": "data:,"}}, "markup"),
    ("mask without a picture", {"mask": data_url(PNG)}, "mask"),
    ("api_base", {"api_base": "http://x"}, "api_base"),
    ("unknown field 500 deep", {"odd": json.loads("[" * 500 + "]" * 500)}, "odd"),
]


@pytest.mark.parametrize(("fields", "param"), [row[1:] for row in BAD_FIELDS], ids=[row[0] for row in BAD_FIELDS])
async def test_a_bad_field_is_a_400_that_names_it(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await generation(**fields)
    assert (caught.value.status, caught.value.param) == (400, param)


async def test_previews_are_for_the_stream_of_one_picture() -> None:
    found = await generation(stream=True, partial_images=2)
    assert (found.stream, found.request.partial_images, found.warnings) == (True, 2, ())
    form_found = await edit(PROMPT, file("image", PNG), text("stream", "true"), text("partial_images", "1"))
    assert (form_found.stream, form_found.request.partial_images) == (True, 1)
    for fields, why in (({"stream": True, "n": 2}, "n is above 1"), ({}, "not a stream")):
        found = await generation(partial_images=2, **fields)
        assert (found.request.partial_images, found.warnings) == (0, (f"partial_images=ignored: {why}",))


async def test_nulls_and_empty_text_mean_absent() -> None:
    found = await generation(size=None, n=None, quality="", background=None, seed="", output_format="", model="")
    assert (found.request.size, found.request.n, found.request.quality, found.request.model) == (None, 1, None, "image")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", FORM_TYPE])
async def test_a_generation_is_json(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        await generation(content_type)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"prompt": NaN}', b'{"prompt":"\\ud800 x"}'])
async def test_broken_json_is_a_400(body: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await parse_generation(scope(JSON_TYPE), receiver(body), SETTINGS, KEY)
    assert caught.value.code == "invalid_json"


# --- edits as JSON

SHAPES: list[tuple[str, Any]] = [
    ("data URL", {"image": data_url(PNG)}),
    ("list of data URLs", {"image": [data_url(PNG)]}),
    ("bare base64", {"image": encoded(PNG)}),
    ("images", {"images": [data_url(PNG)]}),
    ("image_url object", {"images": [{"image_url": {"url": data_url(PNG)}}]}),
    ("image_url text", {"images": [{"type": "input_image", "image_url": data_url(PNG)}]}),
    ("url object", {"images": [{"url": data_url(PNG)}]}),
    ("url-safe alphabet", {"image": base64.urlsafe_b64encode(PNG).decode()}),
    ("no padding", {"image": encoded(PNG).rstrip("=")}),
    ("line breaks", {"image": base64.encodebytes(PNG).decode()}),
    ("line breaks, no padding", {"image": base64.encodebytes(PNG).decode().rstrip("=\n")}),
    ("spaces around", {"image": f"  {encoded(PNG)}\n"}),
    ("no declared type", {"image": "data:;base64," + encoded(PNG)}),
]


@pytest.mark.parametrize("fields", [row[1] for row in SHAPES], ids=[row[0] for row in SHAPES])
async def test_a_picture_may_come_in_many_shapes(fields: dict[str, Any]) -> None:
    found = await edit_json(**fields)
    assert [(image.data, image.mime) for image in found.request.images] == [(PNG, "image/png")]
    assert (found.features.edit, found.features.images) == (True, 1)
    assert "image" not in found.request.extra


@pytest.mark.parametrize("more", range(4))
@pytest.mark.parametrize("padded", [False, True])
async def test_padding_may_be_there_or_not(more: int, padded: bool) -> None:
    data = PNG + b"\x00" * more
    text = encoded(data) if padded else encoded(data).rstrip("=")
    found = await edit_json(images=[text, f"data:image/png;base64,{text}\n"])
    assert [image.data for image in found.request.images] == [data, data]


async def test_the_type_is_that_of_the_bytes_not_the_declared_one() -> None:
    images = [data_url(data, "image/png") for data in (PNG, JPEG, WEBP, GIF)]
    found = await edit_json(images=images)
    assert [image.mime for image in found.request.images] == ["image/png", "image/jpeg", "image/webp", "image/gif"]


async def test_pictures_of_two_fields_are_taken_together() -> None:
    found = await edit_json(images=[data_url(PNG)], image=data_url(JPEG))
    assert [image.mime for image in found.request.images] == ["image/jpeg", "image/png"]
    assert found.request.extra == {}


async def test_a_generation_that_brings_pictures_is_an_edit() -> None:
    found = await generation(image=[data_url(PNG)], mask=data_url(PNG))
    assert (found.features.edit, found.features.images, found.features.mask) == (True, 1, True)
    assert found.request.extra == {}


async def test_each_picture_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    really = Image.open

    def spy(*args: Any, **options: Any) -> Any:
        opened.append(args)
        return really(*args, **options)

    monkeypatch.setattr(Image, "open", spy)
    await edit_json(images=[data_url(PNG), data_url(PNG)], mask=data_url(PNG))
    await edit(PROMPT, file("image", PNG), file("mask", PNG))
    assert len(opened) == 3 + 2


BAD_PICTURES: list[tuple[str, Any]] = [
    ("missing", None),
    ("empty", ""),
    ("no pictures", []),
    ("number", 5),
    ("numbers", [5]),
    ("bad base64", "data:image/png;base64,!!!!"),
    ("one letter", "A"),
    ("not ASCII", "é" * 8),
    ("no comma", "data:image/png;base64"),
    ("nothing after the comma", "data:image/png;base64,"),
    ("not base64", "data:image/png,hello"),
    ("https", "https://example.com/cat.png"),
    ("http", {"image_url": {"url": "http://169.254.169.254/"}}),
    ("file", "file:///etc/passwd"),
    ("file id", {"file_id": "file-1"}),
    ("empty object", {}),
    ("nested", {"image_url": {"url": {"url": "x"}}}),
    ("SVG", data_url(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml")),
    ("HTML", data_url(b"<html><body>hello</body></html>")),
    ("PDF", data_url(b"%PDF-1.7 hello")),
    ("ZIP", data_url(b"PK\x03\x04hello")),
    ("TIFF", data_url(picture(kind="TIFF"))),
    ("BMP", data_url(picture(kind="BMP"))),
    ("ICO", data_url(picture(kind="ICO", width=16, height=16))),
    ("TGA", data_url(picture(kind="TGA"))),
    ("zero bytes", data_url(b"")),
    ("head only", data_url(PNG[:12])),
    ("bomb", data_url(bomb())),
    ("large bomb", data_url(bomb(65_000, 65_000))),
    ("small bomb", data_url(bomb(8000, 8000))),
    ("17 pictures", [data_url(PNG)] * 17),
]


@pytest.mark.parametrize("value", [row[1] for row in BAD_PICTURES], ids=[row[0] for row in BAD_PICTURES])
async def test_what_is_no_picture_is_a_400(value: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await edit_json(image=value)
    assert caught.value.status == 400
    assert str(caught.value.param).startswith("image")


@pytest.mark.parametrize("side", [8000, 30_000, 65_000])
async def test_a_bomb_is_refused_for_its_pixels_before_they_are_decoded(side: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await edit_json(image=data_url(bomb(side, side)))
    assert caught.value.code == "image_too_large"


async def test_a_mask_has_the_size_of_the_first_picture() -> None:
    found = await edit_json(image=data_url(PNG), mask=data_url(picture(mode="RGBA")))
    assert found.request.mask is not None
    assert found.features.mask
    for mask in (picture(width=9), b"junk", bomb()):
        with pytest.raises(InvalidRequestError) as caught:
            await edit_json(image=data_url(PNG), mask=data_url(mask))
        assert caught.value.param == "mask"


# --- shape beside size

SHAPES_ASKED: list[tuple[dict[str, Any], str, str]] = [
    ({"aspect_ratio": "16:9"}, "1360x768", "1K"),
    ({"aspect_ratio": "9:16", "resolution": "2k"}, "1536x2736", "2K"),
    ({"aspect_ratio": "1:1", "size": "4K"}, "4096x4096", "4K"),
    ({"image_config": {"aspect_ratio": "3:2", "image_size": "1K"}}, "1248x832", "1K"),
    ({"resolution": "2K"}, "2048x2048", "2K"),
    ({"aspect_ratio": "auto", "size": "auto"}, "None", ""),
    ({"aspect_ratio": "", "size": ""}, "None", ""),
]


@pytest.mark.parametrize(("fields", "size", "tier"), SHAPES_ASKED)
async def test_a_ratio_is_a_size(fields: dict[str, Any], size: str, tier: str) -> None:
    found = await generation(**fields)
    assert str(found.request.size) == size
    assert (found.request.size.tier if found.request.size else "") == tier
    assert (found.request.extra, found.warnings) == ({}, ())


async def test_pixels_win_over_a_ratio_and_say_so() -> None:
    found = await generation(size="1024x1024", aspect_ratio="16:9", resolution="2K")
    assert str(found.request.size) == "1024x1024"
    assert found.warnings == ("aspect_ratio=ignored: size says it", "resolution=ignored: size says it")


# --- edits as forms


@pytest.mark.parametrize(
    "names", [["image"], ["image[]"], ["image[]", "image[]"], ["image[0]", "image[1]"], ["images"]]
)
@pytest.mark.parametrize("mime", ["image/png", "application/octet-stream", "image/jpeg"])
async def test_a_form_may_name_its_pictures_as_every_sdk_does(names: list[str], mime: str) -> None:
    found = await edit(PROMPT, *(file(name, PNG, mime) for name in names))
    assert [(image.data, image.mime, image.filename) for image in found.request.images] == [
        (PNG, "image/png", "cat.png")
    ] * len(names)
    assert found.request.prompt == "a hat"


async def test_a_form_carries_numbers_masks_and_directives_as_text() -> None:
    found = await edit(
        PROMPT, file("image", PNG), file("mask", PNG), text("n", "2"), text("size", "1024x1024"), text("seed", "5"),
        text("model", "image"), text("quality", "low"), text("router", '{"sort": "latency"}'), text("guidance", "3"),
    )  # fmt: skip
    request = found.request
    assert (request.n, request.seed, str(request.size), request.quality) == (2, 5, "1024x1024", "low")
    assert request.mask is not None
    assert found.directives.sort == "latency"
    assert request.extra == {"guidance": "3"}


async def test_nested_and_listed_fields_of_a_form_are_those_of_json() -> None:
    found = await edit(
        PROMPT, file("image", PNG), text("svg[model]", "m"), text("svg[reasoning][effort]", "low"), text("arr[]", "a"),
        text("arr[]", "b"), text("flag", "true"),
    )  # fmt: skip
    assert found.request.extra == {
        "svg": {"model": "m", "reasoning": {"effort": "low"}},
        "arr": ["a", "b"],
        "flag": "true",
    }


VARY = Settings(images=ImageSettings(variation_prompt="vary it"))


async def test_a_variation_is_an_edit_by_the_operators_words() -> None:
    sent = form(file("image", PNG), text("model", "dall-e-2"), text("n", "2"), text("response_format", "b64_json"))
    found = await parse_variation(scope(FORM_TYPE), receiver(sent), VARY, KEY)
    assert (found.request.prompt, found.request.n, found.request.model) == ("vary it", 2, "dall-e-2")
    assert found.features.edit


async def test_variations_that_nobody_maps_are_gone() -> None:
    with pytest.raises(RouterError) as caught:
        await parse_variation(scope(FORM_TYPE), receiver(form(file("image", PNG))), SETTINGS, KEY)
    assert (caught.value.status, caught.value.code) == (410, "endpoint_retired")


async def test_a_file_name_is_only_a_name() -> None:
    found = await edit(PROMPT, file("image", PNG, filename="../" * 100 + "x.png"))
    assert len(found.request.images[0].filename) <= 100


BAD_FORMS: list[tuple[str, list[Part]]] = [
    ("no picture", [PROMPT]),
    ("no prompt", [file("image", PNG)]),
    ("text for a picture", [PROMPT, text("image", "hello")]),
    ("SVG", [PROMPT, file("image", b"<svg/>", "image/png")]),
    ("empty file", [PROMPT, file("image", b"")]),
    ("bomb", [PROMPT, file("image", bomb())]),
    ("17 pictures", [PROMPT, *[file("image[]", PNG)] * 17]),
    ("65 files", [PROMPT, *[file(f"f{n}", PNG) for n in range(65)]]),
    ("201 fields", [*[text(f"f{n}", "x") for n in range(201)]]),
    ("mask of another size", [PROMPT, file("image", PNG), file("mask", picture(width=9))]),
    ("n words", [PROMPT, file("image", PNG), text("n", "two")]),
    ("n superscript", [PROMPT, file("image", PNG), text("n", "\u00b2")]),
    ("router not JSON", [PROMPT, file("image", PNG), text("router", "{")]),
    ("router a list", [PROMPT, file("image", PNG), text("router", "[]")]),
    ("router a file", [PROMPT, file("image", PNG), file("router", PNG)]),
    ("prompt a file", [file("prompt", b"hello", "text/plain"), file("image", PNG)]),
    ("stream", [PROMPT, file("image", PNG), text("stream", "yes")]),
    ("api_key", [PROMPT, file("image", PNG), text("api_key", "x")]),
    ("two masks", [PROMPT, file("image", PNG), file("mask[]", PNG), file("mask[]", PNG)]),
    ("markup", [PROMPT, file("image", PNG), file("markup", PNG)]),
    ("a file nobody knows", [PROMPT, file("image", PNG), file("sketch", PNG)]),
    ("a text and an object", [PROMPT, file("image", PNG), text("svg", "x"), text("svg[model]", "m")]),
    ("a text and a list", [PROMPT, file("image", PNG), text("a", "x"), text("a[]", "m")]),
]


@pytest.mark.parametrize("parts", [row[1] for row in BAD_FORMS], ids=[row[0] for row in BAD_FORMS])
async def test_a_bad_form_is_a_400(parts: list[Part]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await edit(*parts)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=other"],
)
async def test_a_form_without_its_boundary_is_a_400(content_type: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await edit(PROMPT, file("image", PNG), content_type=content_type)
    assert caught.value.status == 400


async def test_an_edit_is_a_form_or_json() -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        await edit(PROMPT, content_type="text/plain")


async def test_a_form_above_the_limit_is_a_413() -> None:
    small = Settings(server=ServerSettings(upload_limit_bytes=100))
    with pytest.raises(RouterError) as caught:
        await parse_edit(scope(FORM_TYPE), receiver(form(PROMPT, file("image", PNG))), small, KEY)
    assert caught.value.status == 413


WHOLE = form(PROMPT, file("image", PNG), text("n", "1"), text("router", "{}"))


@effort(max_examples=150)
@given(
    st.binary(max_size=200)
    | st.integers(0, len(WHOLE)).map(lambda end: WHOLE[:end])
    | st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)).map(
        lambda spot: WHOLE[: spot[0]] + bytes([spot[1]]) + WHOLE[spot[0] + 1 :]
    )
)
async def test_any_form_is_parsed_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidRequestError):
        await parse_edit(scope(FORM_TYPE), receiver(data), SETTINGS, KEY)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted({name for _, fields, _ in BAD_FIELDS for name in fields} | {"image", "images", "file", "image[]"})


@effort(max_examples=200)
@given(st.dictionaries(st.sampled_from(NAMES), json_values, max_size=4))
async def test_any_json_is_parsed_or_refused(fields: dict[str, Any]) -> None:
    for call in (generation, edit_json):
        with contextlib.suppress(InvalidRequestError):
            await call(**fields)
