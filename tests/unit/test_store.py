"""Pictures by URL: links that expire, cannot be forged, and lead nowhere else."""

import asyncio
import os
import stat
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from router.pictures.store import PictureStore, StoreError, kept_swept


def parts(link: str) -> tuple[str, str, str, str]:
    url = urlsplit(link)
    name, _, extension = Path(url.path).name.partition(".")
    query = parse_qs(url.query)
    return name, extension, query["exp"][0], query["sig"][0]


def store(folder: Path, ttl_s: float = 60.0, quota_bytes: int = 1000) -> PictureStore:
    return PictureStore(folder / "store", ttl_s, quota_bytes)


@pytest.mark.parametrize(("mime", "extension"), [("image/png", "png"), ("image/jpeg", "jpg"), ("image/webp", "webp")])
async def test_a_link_leads_to_its_picture(tmp_path: Path, mime: str, extension: str) -> None:
    kept = store(tmp_path)
    link = await kept.put(b"bytes", mime)
    assert link.startswith("/v1/images/files/")
    assert parts(link)[1] == extension
    assert await kept.get(*parts(link)) == b"bytes"


async def test_names_are_random_and_files_are_the_owners_alone(tmp_path: Path) -> None:
    kept = store(tmp_path)
    names = {parts(await kept.put(b"same", "image/png"))[0] for _ in range(20)}
    assert len(names) == 20
    assert {len(name) for name in names} == {32}
    folder = tmp_path / "store"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


async def test_an_expired_link_is_dead(tmp_path: Path) -> None:
    kept = store(tmp_path, ttl_s=-2.0)
    assert await kept.get(*parts(await kept.put(b"bytes", "image/png"))) is None


async def test_every_part_of_a_link_is_signed(tmp_path: Path) -> None:
    kept = store(tmp_path)
    name, extension, expires, signature = parts(await kept.put(b"bytes", "image/png"))
    other = parts(await kept.put(b"other", "image/png"))
    later = str(int(expires) + 1000)
    flipped = ("0" if signature[0] != "0" else "1") + signature[1:]
    for forged in (
        (other[0], extension, expires, signature),
        (name, "jpg", expires, signature),
        (name, extension, later, signature),
        (name, extension, expires, flipped),
        (name, extension, expires, ""),
        (name, extension, expires, "\u00e9" * 64),
        (name, extension, expires, signature + "0"),
        (name, extension, expires, signature[:-1]),
    ):
        assert await kept.get(*forged) is None
    assert await kept.get(name, extension, expires, signature) == b"bytes"


async def test_another_stores_signature_does_not_count(tmp_path: Path) -> None:
    link = parts(await store(tmp_path).put(b"bytes", "image/png"))
    assert await store(tmp_path).get(*link) is None


TRICKS = [
    "../../etc/passwd",
    "..",
    "",
    "/etc/passwd",
    "a" * 31,
    "A" * 32,
    "a" * 32 + "\n",
    "..%2f" + "a" * 27,
    "CON",
    "\x00",
]


@pytest.mark.parametrize("name", TRICKS)
async def test_only_names_of_ours_are_looked_up(tmp_path: Path, name: str) -> None:
    kept = store(tmp_path)
    expires = int(time.time()) + 60
    assert await kept.get(name, "png", str(expires), kept._sign(name, "png", expires)) is None


@pytest.mark.parametrize("expires", ["", "-1", "1e9", "9" * 13, "\u00b2", "\u0661\u0662", "nan", "1.5"])
async def test_odd_expiries_are_dead_links(tmp_path: Path, expires: str) -> None:
    kept = store(tmp_path)
    name, extension, _, signature = parts(await kept.put(b"bytes", "image/png"))
    assert await kept.get(name, extension, expires, signature) is None


@pytest.mark.parametrize("extension", ["", "exe", "png.exe", "../png", "svg"])
async def test_only_picture_extensions_exist(tmp_path: Path, extension: str) -> None:
    kept = store(tmp_path)
    name, _, expires, _ = parts(await kept.put(b"bytes", "image/png"))
    assert await kept.get(name, extension, expires, kept._sign(name, extension, int(expires))) is None


async def test_links_on_the_disk_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    kept = store(tmp_path)
    name, extension, expires, signature = parts(await kept.put(b"bytes", "image/png"))
    path = tmp_path / "store" / f"{name}.{extension}"
    path.unlink()
    path.symlink_to(secret)
    assert await kept.get(name, extension, expires, signature) is None


async def test_a_file_that_is_gone_is_a_dead_link(tmp_path: Path) -> None:
    kept = store(tmp_path)
    link = parts(await kept.put(b"bytes", "image/png"))
    (tmp_path / "store" / f"{link[0]}.{link[1]}").unlink()
    assert await kept.get(*link) is None


async def test_above_the_quota_the_oldest_go(tmp_path: Path) -> None:
    kept = store(tmp_path, quota_bytes=300)
    links = []
    for age in (30, 20, 10):
        links.append(parts(await kept.put(b"x" * 100, "image/png")))
        then = time.time() - age
        os.utime(tmp_path / "store" / f"{links[-1][0]}.png", (then, then))
    links.append(parts(await kept.put(b"y" * 200, "image/png")))
    assert [await kept.get(*link) is not None for link in links] == [False, False, True, True]


async def test_what_has_expired_is_swept(tmp_path: Path) -> None:
    kept = store(tmp_path, ttl_s=60.0)
    old = parts(await kept.put(b"old", "image/png"))
    then = time.time() - 61
    os.utime(tmp_path / "store" / f"{old[0]}.png", (then, then))
    await kept.put(b"new", "image/png")
    assert len(list((tmp_path / "store").iterdir())) == 1


async def test_files_of_others_are_never_swept(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    (folder / "album").mkdir(parents=True)
    (folder / "holiday.png").write_bytes(b"x" * 5000)
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    kept = store(tmp_path)
    link = parts(await kept.put(b"bytes", "image/png"))
    assert (folder / "holiday.png").exists()
    assert (folder / "album").is_dir()
    assert await kept.get(*link) == b"bytes"


async def test_sweeping_needs_no_new_picture(tmp_path: Path) -> None:
    kept = store(tmp_path, ttl_s=60.0)
    await kept.sweep()  # no folder yet
    old = parts(await kept.put(b"old", "image/png"))
    then = time.time() - 61
    os.utime(tmp_path / "store" / f"{old[0]}.png", (then, then))
    await kept.sweep()
    assert list((tmp_path / "store").iterdir()) == []


async def test_the_sweeper_goes_on_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.pictures.store._SWEEP_S", 0.01)
    folder = tmp_path / "store"
    folder.mkdir(mode=0o000)
    kept = store(tmp_path, ttl_s=-2.0)
    async with kept_swept(kept):
        await asyncio.sleep(0.05)
        folder.chmod(0o700)
        (folder / ("0" * 32 + ".png")).write_bytes(b"old")
        for _ in range(200):
            if not list(folder.iterdir()):
                break
            await asyncio.sleep(0.01)
    assert list(folder.iterdir()) == []


async def test_a_link_begins_where_the_server_is(tmp_path: Path) -> None:
    link = await store(tmp_path).put(b"bytes", "image/png", "https://pictures.example")
    assert link.startswith("https://pictures.example/v1/images/files/")


async def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"a file")
    with pytest.raises(StoreError):
        await store(tmp_path).put(b"bytes", "image/png")
