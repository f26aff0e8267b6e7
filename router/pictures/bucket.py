"""Pictures asked for by URL in a bucket of any S3-compatible service, behind its own signed links.

obstore is an optional dependency (`pip install 'turnout[s3]'`) and imported when the first picture is stored.
"""

import importlib
from datetime import timedelta
from functools import cached_property
from types import ModuleType

from router.pictures.store import Entry, StoreError, file_name, is_ours, too_many
from router.settings.values import BucketSettings

_LONGEST_LINK_S = 7 * 24 * 3600.0  # what the signature allows


class BucketStore:
    """Keeps pictures for `ttl_s` seconds, at most `quota_bytes` of them, below the bucket's prefix.

    What lies there is removed by `sweep()`, by every router that shares the bucket; a lifecycle rule of the bucket does
    as well. Without keys in the settings the service's usual ones are used (`AWS_*`, the machine's role).
    """

    def __init__(self, bucket: BucketSettings, ttl_s: float, quota_bytes: int) -> None:
        self._bucket = bucket
        self._ttl_s = ttl_s
        self._quota_bytes = quota_bytes

    async def put(self, data: bytes, mime: str, base_url: str = "") -> str:
        """Store one picture; gives its absolute link. Raises StoreError."""
        name = file_name(mime)
        attributes = {
            "Content-Type": mime,
            "Content-Disposition": f'inline; filename="{name}"',
            "Cache-Control": "private, max-age=3600",
        }
        expires = timedelta(seconds=min(self._ttl_s, _LONGEST_LINK_S))
        try:
            obstore = self._obstore
            await obstore.put_async(self._inside, name, data, attributes=attributes)
            link: str = await obstore.sign_async(self._outside, "GET", name, expires)
        except Exception as exc:  # obstore raises classes of its own, and built-in ones for what they resemble
            raise StoreError("the picture could not be stored in the bucket") from exc
        return link

    async def sweep(self) -> None:
        """Remove what has expired, then the oldest above the quota. What is not ours is left alone."""
        found: list[Entry] = []
        try:
            obstore = self._obstore
            async for batch in obstore.list(self._inside):
                found += [
                    (meta["last_modified"].timestamp(), meta["size"], meta["path"])
                    for meta in batch
                    if is_ours(meta["path"])
                ]
            names = too_many(found, self._ttl_s, self._quota_bytes)
            if names:
                await obstore.delete_async(self._inside, names)
        except Exception as exc:  # as in `put`
            raise StoreError("the bucket could not be swept") from exc

    @cached_property
    def _obstore(self) -> ModuleType:
        return importlib.import_module("obstore")  # 16 MB of native code, for those alone who configure a bucket

    @cached_property
    def _inside(self) -> object:
        """The bucket as we reach it."""
        return self._opened(self._bucket.endpoint)

    @cached_property
    def _outside(self) -> object:
        """The bucket as links name it: a link is signed for one host."""
        public = self._bucket.public_endpoint
        return self._opened(public) if public else self._inside

    def _opened(self, endpoint: str | None) -> object:
        stores = importlib.import_module("obstore.store")
        bucket = self._bucket
        options: dict[str, object] = {
            "prefix": bucket.prefix or None,
            "endpoint": endpoint,
            "region": bucket.region,
            "access_key_id": bucket.access_key_id,
            "secret_access_key": bucket.secret_access_key,
            # Amazon's own wants the bucket in the host, services at an address of their own in the path
            "virtual_hosted_style_request": endpoint is None,
            "client_options": {"allow_http": bool(endpoint and endpoint.startswith("http://")), "timeout": "30s"},
        }
        return stores.S3Store(bucket.bucket, **{name: value for name, value in options.items() if value is not None})
