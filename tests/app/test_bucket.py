"""Pictures by URL in a bucket: obstore against moto, a server that speaks S3, on a loopback port."""

import asyncio
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from clients import prepare
from harness import Turnout
from pictures import picture

from providers.pictures import sniff_mime
from router.pictures.bucket import BucketStore
from router.pictures.store import StoreError
from router.settings.values import BucketSettings

pytest.importorskip("obstore", reason="obstore is not installed: pip install 'turnout[s3]'")

KEYS = {"access_key_id": "key", "secret_access_key": "secret", "region": "us-east-1"}
CONFIG = """
providers:
  p: {{type: openai, api_key: k}}
models:
  m: {{targets: [p/gpt-image-2]}}
images:
  s3: {{bucket: {bucket}, endpoint: "{endpoint}", access_key_id: key, secret_access_key: secret, region: us-east-1}}
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an S3 service with the bucket `pictures`."""
    moto = prepare.python_of("s3").parent / "moto_server"
    if not moto.exists():
        pytest.skip("no environment for moto: run tests/clients/prepare.py first (`make test` does)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    silent = subprocess.DEVNULL
    server = subprocess.Popen([str(moto), "-H", "127.0.0.1", "-p", str(port)], stdout=silent, stderr=silent)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert httpx.put(f"{address}/pictures", trust_env=False).status_code == 200
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "moto did not start"
                time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


def store(endpoint: str, prefix: str, ttl_s: float = 60.0, quota_bytes: int = 10**6, **more: Any) -> BucketStore:
    place = BucketSettings(bucket=more.pop("bucket", "pictures"), prefix=prefix, endpoint=endpoint, **KEYS, **more)
    return BucketStore(place, ttl_s, quota_bytes)


def fetched(link: str) -> httpx.Response:
    return httpx.get(link, trust_env=False)


def listed(endpoint: str, prefix: str) -> int:
    return httpx.get(f"{endpoint}/pictures", params={"list-type": 2, "prefix": prefix}, trust_env=False).text.count(
        "<Key>"
    )


async def test_a_link_is_absolute_signed_and_leads_to_the_picture(endpoint: str) -> None:
    data = picture()
    link = await store(endpoint, "one").put(data, "image/png", "http://router.example")
    url = urllib.parse.urlsplit(link)
    query = urllib.parse.parse_qs(url.query)
    assert f"{url.scheme}://{url.netloc}" == endpoint
    assert Path(url.path).parent == Path("/pictures/one")
    assert (query["X-Amz-Expires"], len(Path(url.path).stem)) == (["60"], 32)
    answer = fetched(link)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, data, "image/png")
    assert answer.headers["content-disposition"].startswith("inline; filename=")
    assert answer.headers["cache-control"].startswith("private")


async def test_links_may_name_another_address(endpoint: str) -> None:
    outside = endpoint.replace("127.0.0.1", "localhost")
    link = await store(endpoint, "public", public_endpoint=outside).put(picture(), "image/webp")
    assert link.startswith(f"{outside}/pictures/public/")
    assert ".webp?" in link


async def test_what_has_expired_is_swept_and_nothing_of_others(endpoint: str) -> None:
    kept = store(endpoint, "old", ttl_s=1.0)
    await kept.put(b"x" * 10, "image/png")
    httpx.put(f"{endpoint}/pictures/old/holiday.png", content=b"mine", trust_env=False)
    await kept.sweep()
    assert listed(endpoint, "old/") == 2
    await asyncio.sleep(2.1)  # the service knows whole seconds
    await kept.sweep()
    assert listed(endpoint, "old/") == 1


async def test_above_the_quota_pictures_go(endpoint: str) -> None:
    kept = store(endpoint, "full", quota_bytes=25)
    for _ in range(4):
        await kept.put(b"x" * 10, "image/png")
    await kept.sweep()
    assert listed(endpoint, "full/") == 2


async def test_a_bucket_that_is_not_there_is_a_store_error(endpoint: str) -> None:
    with pytest.raises(StoreError) as caught:
        await store(endpoint, "x", bucket="nowhere").put(b"x", "image/png")
    assert endpoint not in caught.value.message
    with pytest.raises(StoreError):
        await store(endpoint, "x", bucket="nowhere").sweep()


def test_the_router_stores_in_the_bucket(turnout: Callable[..., Turnout], endpoint: str) -> None:
    router = turnout(CONFIG.format(bucket="pictures", endpoint=endpoint))
    asked = {"model": "m", "prompt": "a barn", "response_format": "url"}
    answer = router.http.post("/v1/images/generations", json=asked)
    assert answer.status_code == 200, answer.text
    link = answer.json()["data"][0]["url"]
    assert link.startswith(f"{endpoint}/pictures/turnout/")
    assert sniff_mime(fetched(link).content) == "image/png"
    assert router.http.get("/v1/images/files/" + "0" * 32 + ".png?exp=9&sig=0").status_code == 404


def test_a_picture_that_cannot_be_kept_is_not_bought_again(turnout: Callable[..., Turnout], endpoint: str) -> None:
    router = turnout(CONFIG.format(bucket="nowhere", endpoint=endpoint))
    asked = {"model": "m", "prompt": "a barn", "response_format": "url"}
    answer = router.http.post("/v1/images/generations", json=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "picture_store_failed")
    assert answer.headers["x-should-retry"] == "false"
