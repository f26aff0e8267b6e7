"""Manifests that C2PA's own reader calls valid: on what models made, and on what was rewritten from signed pictures."""

import gzip
import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from pictures import picture
from signing import write_identity

from providers.types import GeneratedImage, ImageInput, ImageRequest
from router.api.image_answer import Finished, delivery_warnings, finish
from router.errors import SettingsError
from router.pictures.provenance import is_signed
from router.pictures.signing import Signer
from router.settings.values import SigningSettings

c2pa = pytest.importorskip("c2pa", reason="c2pa-python is not to be had here")

SIGNED = {path.stem: gzip.decompress(path.read_bytes()) for path in (Path(__file__).parent / "signed").glob("*.gz")}
FORMATS = ["png", "jpeg", "webp"]
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    chain, key = write_identity(tmp_path_factory.mktemp("identity"))
    return Signer(SigningSettings(certificate=str(chain), private_key=str(key)))


def read(data: bytes, mime: str) -> tuple[dict[str, Any], str]:
    """The active manifest as c2pa's reader sees it, and its verdict."""
    with c2pa.Reader(mime, io.BytesIO(data)) as reader:
        found = json.loads(reader.json())
    return found["manifests"][found["active_manifest"]], found["validation_state"]


def actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found = next(each for each in manifest["assertions"] if each["label"].startswith("c2pa.actions"))
    return list(found["data"]["actions"])


async def finished(signer: Signer, data: bytes, mime: str, wanted: str, *, edit: bool = False) -> Finished:
    images = (ImageInput(data=picture(8, 8, "PNG"), mime="image/png"),) if edit else ()
    request = ImageRequest(model="image", prompt="x", output_format=wanted, images=images)
    return await finish(GeneratedImage(data=data, mime=mime), request, "png", "some-model", signer)


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize("given", ["PNG", "JPEG"])
async def test_what_a_model_made_is_signed_as_such(signer: Signer, given: str, wanted: str) -> None:
    made = await finished(signer, picture(24, 16, given), f"image/{given.lower()}", wanted)
    assert (made.mime, made.size, made.unsigned) == (f"image/{wanted}", "24x16", False)
    assert is_signed(made.content)
    manifest, verdict = read(made.content, made.mime)
    assert verdict in ("Valid", "Trusted")
    (action,) = actions(manifest)
    assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", TERM + "trainedAlgorithmicMedia")
    assert action["softwareAgent"]["name"] == "some-model"
    assert manifest["claim_generator_info"][0]["name"] == "turnout"


async def test_an_edit_is_signed_as_a_composite(signer: Signer) -> None:
    made = await finished(signer, picture(24, 16, "PNG"), "image/png", "png", edit=True)
    (action,) = actions(read(made.content, made.mime)[0])
    assert action["digitalSourceType"] == TERM + "compositeWithTrainedAlgorithmicMedia"


@pytest.mark.parametrize("given", FORMATS)
async def test_a_signed_picture_that_fits_is_byte_identical(signer: Signer, given: str) -> None:
    made = await finished(signer, SIGNED[given], f"image/{given}", given)
    assert made.content == SIGNED[given]


@pytest.mark.parametrize(("given", "wanted"), [*itertools.permutations(FORMATS, 2)])
async def test_a_signed_picture_that_is_rewritten_carries_the_one_it_was(
    signer: Signer, given: str, wanted: str
) -> None:
    made = await finished(signer, SIGNED[given], f"image/{given}", wanted)
    assert made.mime == f"image/{wanted}"
    manifest, verdict = read(made.content, made.mime)
    assert verdict in ("Valid", "Trusted")
    assert [each["action"] for each in actions(manifest)] == ["c2pa.opened", "c2pa.converted"]
    (ingredient,) = manifest["ingredients"]
    assert ingredient["relationship"] == "parentOf"
    assert ingredient["active_manifest"]  # the original's own manifest travels along


async def test_a_change_after_signing_is_seen_by_the_reader(signer: Signer) -> None:
    made = await finished(signer, picture(24, 16, "PNG"), "image/png", "png")
    place = made.content.index(b"IDAT") + 6
    spoilt = made.content[:place] + bytes([made.content[place] ^ 0xFF]) + made.content[place + 1 :]
    assert read(spoilt, made.mime)[1] == "Invalid"


async def test_what_cannot_be_signed_is_delivered_with_a_warning(signer: Signer) -> None:
    request = ImageRequest(model="image", prompt="x")
    made = Finished(b"<svg/>", "image/svg+xml", "")
    assert await signer.sign(made.content, made.mime, "generated", "m") is None
    assert delivery_warnings([Finished(b"", "image/png", "1x1", unsigned=True)], request) == ("c2pa=not signed",)


def test_a_key_that_cannot_sign_is_refused_at_start(tmp_path: Path) -> None:
    chain, key = write_identity(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, foreign = write_identity(other)
    bad = tmp_path / "bad.pem"
    bad.write_text("no key")
    for certificate, private_key in [(chain, tmp_path / "none.pem"), (chain, bad), (bad, key), (chain, foreign)]:
        with pytest.raises(SettingsError) as caught:
            Signer(SigningSettings(certificate=str(certificate), private_key=str(private_key), file="t.yaml", line=7))
        assert "t.yaml:7" in str(caught.value.problems[0])
        assert "images.c2pa" in str(caught.value.problems[0])
