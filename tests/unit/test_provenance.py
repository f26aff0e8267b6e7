"""The mark on pictures we write, read back by others, and signed pictures, which are left alone."""

import gzip
import io
import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from pictures import picture
from PIL import Image

from providers.pictures import sniff_mime
from providers.types import GeneratedImage, ImageInput, ImageRequest
from providers.xmp import Origin
from router.api.image_answer import delivery_warnings, described, finish
from router.pictures.provenance import is_signed
from router.pictures.transcode import to_format

# made by c2pa-python 0.38.1 with a certificate of its own authority; its reader calls them valid
SIGNED = {path.stem: gzip.decompress(path.read_bytes()) for path in (Path(__file__).parent / "signed").glob("*.gz")}
FORMATS = ["png", "jpeg", "webp"]
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MEANINGS: list[tuple[Origin, str]] = [
    ("generated", TERM + "trainedAlgorithmicMedia"),
    ("edited", TERM + "compositeWithTrainedAlgorithmicMedia"),
]
SPACE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


async def written(wanted: str, origin: Origin, data: bytes | None = None) -> bytes:
    given = data or picture(24, 16, "GIF")
    made, _ = await to_format(given, str(sniff_mime(given)), wanted, None, origin)
    return made


def packet(data: bytes) -> bytes:
    """The XMP packet where each format's specification puts it; written without regard to the code under test."""
    if data[1:4] == b"PNG":
        place = 8
        while place < len(data):
            (length,) = struct.unpack_from(">I", data, place)
            body = data[place + 8 : place + 8 + length]
            if data[place + 4 : place + 8] == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0"):
                assert body[18:20] == b"\0\0"  # not compressed
                return body[20:].split(b"\0", 2)[2]
            place += 12 + length
    elif data[:2] == b"\xff\xd8":
        place = 2
        while data[place + 1] != 0xDA:
            (length,) = struct.unpack_from(">H", data, place + 2)
            body = data[place + 4 : place + 2 + length]
            if data[place + 1] == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
                return body[29:]
            place += 2 + length
    else:
        place = 12
        while place < len(data):
            name, length = struct.unpack_from("<4sI", data, place)
            if name == b"XMP ":
                return data[place + 8 : place + 8 + length]
            place += 8 + length + length % 2
    raise AssertionError("no XMP")


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize(("origin", "meaning"), MEANINGS)
async def test_what_we_write_says_that_a_model_made_it(wanted: str, origin: Origin, meaning: str) -> None:
    root = ElementTree.fromstring(packet(await written(wanted, origin)))
    assert [node.text for node in root.iter(SPACE + "DigitalSourceType")] == [meaning]


@pytest.mark.parametrize("wanted", FORMATS)
async def test_marked_pictures_still_open_with_their_colours(wanted: str) -> None:
    with Image.open(io.BytesIO(await written(wanted, "generated", picture(24, 16, "GIF", mode="RGB")))) as opened:
        opened.load()
        red, *_ = opened.convert("RGB").getpixel((3, 3))
        assert (opened.size, red) == ((24, 16), 9)


async def test_what_others_wrote_into_a_picture_does_not_survive_rewriting() -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", xmp=b"<x:xmpmeta>secret prompt</x:xmpmeta>", comment=b"secret prompt")
    assert b"secret" not in await written("png", "generated", out.getvalue())


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("compression", [None, 40])
async def test_signed_bytes_are_never_touched(kind: str, wanted: str, compression: int | None) -> None:
    data = SIGNED[kind]
    assert await to_format(data, f"image/{kind}", wanted, compression) == (data, f"image/{kind}")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_signature_is_seen_and_nothing_else_is_taken_for_one(kind: str) -> None:
    data = SIGNED[kind]
    assert is_signed(data)
    assert not is_signed(picture(kind=kind.upper()))
    assert not is_signed(picture(kind=kind.upper()) + b"caBX C2PA jumb c2pa")


@pytest.mark.parametrize("kind", FORMATS)
def test_broken_bytes_are_looked_through_to_their_end(kind: str) -> None:
    data = SIGNED[kind]
    for end in [*range(0, 200), *range(200, len(data), 997)]:
        is_signed(data[:end])
    for place in range(2, 120):
        is_signed(data[:place] + b"\xff\xff\xff\xff" + data[place + 4 :])
        is_signed(data[:place] + b"\0\0\0\0" + data[place + 4 :])


@pytest.mark.parametrize("origin", [(), (ImageInput(picture(), "image/png"),)])
async def test_an_answer_names_the_format_that_a_signed_picture_kept(origin: tuple[ImageInput, ...]) -> None:
    asked = ImageRequest(model="m", prompt="p", output_format="webp", images=origin)
    made = await finish(GeneratedImage(data=SIGNED["jpeg"], mime="image/jpeg"), asked, "png")
    assert (made.content, described(made, asked)["output_format"]) == (SIGNED["jpeg"], "jpeg")
    assert delivery_warnings([made], asked) == ("output_format=webp became jpeg: signed pictures are not rewritten",)
    plain = await finish(GeneratedImage(data=picture(), mime="image/png"), asked, "png")
    meaning = MEANINGS[1 if origin else 0][1]
    assert meaning.encode() in packet(plain.content)
