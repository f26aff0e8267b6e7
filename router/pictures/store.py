"""Pictures asked for by URL: what a store is, and the local folder behind signed, expiring links.

Names are 128 random bits; a link is an HMAC over name, extension and expiry. Files are written whole or not at all,
readable by this user only, and swept when they expire or the quota is reached.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import math
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Protocol

from router.errors import RouterError

log = logging.getLogger(__name__)

_NAME = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"\.?[0-9a-f]{32}\.(?:png|jpg|webp|gif)")  # what is ours in the folder; the rest is left alone
_EXPIRES = re.compile(r"[0-9]{1,12}")
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
MIME_TYPES = {extension: mime for mime, extension in EXTENSIONS.items()}
_SWEEP_S = 300.0  # a link that has expired is dead at once; its bytes may lie a little longer

Entry = tuple[float, int, str]
"""When a picture was stored (Unix time), its size in bytes, and its name."""


class StoreError(RouterError):
    """A picture was made and could not be kept."""

    code = "picture_store_failed"


class Store(Protocol):
    """Keeps pictures for a while behind links that expire."""

    async def put(self, data: bytes, mime: str, base_url: str = "") -> str:
        """Store one picture; gives its link, which `base_url` begins where the store has no host of its own. Raises
        StoreError.
        """
        ...

    async def sweep(self) -> None:
        """Remove what has expired, then the oldest above the quota. Raises StoreError."""
        ...


@contextlib.asynccontextmanager
async def kept_swept(store: Store) -> AsyncIterator[None]:
    """Sweeps now and then until the block ends."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                await store.sweep()
            except StoreError as exc:
                log.warning("%s", exc.message, exc_info=exc)

    sweeper = asyncio.create_task(sweep())
    try:
        yield
    finally:
        sweeper.cancel()
        await asyncio.wait([sweeper])


def file_name(mime: str) -> str:
    """A new name that nobody can guess."""
    return f"{secrets.token_hex(16)}.{EXTENSIONS[mime]}"


def is_ours(name: str) -> bool:
    return _FILE.fullmatch(name) is not None


def too_many(entries: Iterable[Entry], ttl_s: float, quota_bytes: int) -> list[str]:
    """The names to remove: what is older than `ttl_s`, then the oldest until the rest fits into `quota_bytes`."""
    ordered = sorted(entries)
    total = sum(size for _, size, _ in ordered)
    oldest_kept = time.time() - ttl_s
    names: list[str] = []
    for stored, size, name in ordered:
        if stored >= oldest_kept and total <= quota_bytes:
            break
        names.append(name)
        total -= size
    return names


class PictureStore:
    """Keeps pictures for `ttl_s` seconds, at most `quota_bytes` of them, in `folder`.

    The signing key lives as long as the process: links do not outlast it, nor do they need to.
    """

    def __init__(self, folder: Path, ttl_s: float, quota_bytes: int) -> None:
        self._folder = folder
        self._ttl_s = ttl_s
        self._quota_bytes = quota_bytes
        self._key = secrets.token_bytes(32)

    async def put(self, data: bytes, mime: str, base_url: str = "") -> str:
        """Store one picture; gives its link. Raises StoreError."""
        filename = file_name(mime)
        name, _, extension = filename.partition(".")
        try:
            await asyncio.to_thread(self._write, filename, data)
        except OSError as exc:
            raise StoreError("the picture could not be stored") from exc
        expires = math.ceil(time.time() + self._ttl_s)  # a link lives no shorter than it was promised
        return f"{base_url}/v1/images/files/{name}.{extension}?exp={expires}&sig={self._sign(name, extension, expires)}"

    async def get(self, name: str, extension: str, expires: str, signature: str) -> bytes | None:
        """The picture behind a link, or None: unknown, expired and forged links look alike."""
        if not _NAME.fullmatch(name) or extension not in MIME_TYPES or not _EXPIRES.fullmatch(expires):
            return None
        if not hmac.compare_digest(signature.encode(), self._sign(name, extension, int(expires)).encode()):
            return None
        if int(expires) < time.time():
            return None
        return await asyncio.to_thread(self._read, f"{name}.{extension}")

    async def sweep(self) -> None:
        """Remove what has expired, then the oldest above the quota. Raises StoreError."""
        try:
            await asyncio.to_thread(self._sweep, 0)
        except OSError as exc:
            raise StoreError("the folder of pictures could not be swept") from exc

    def _sign(self, name: str, extension: str, expires: int) -> str:
        return hmac.new(self._key, f"{name}|{expires}|{extension}".encode(), hashlib.sha256).hexdigest()

    def _write(self, filename: str, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep(len(data))
        part = self._folder / f".{filename}"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        part.rename(self._folder / filename)

    def _read(self, filename: str) -> bytes | None:
        try:
            handle = os.open(self._folder / filename, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None
        with os.fdopen(handle, "rb") as file:
            return file.read()

    def _sweep(self, incoming: int) -> None:
        """Remove what has expired, then the oldest until `incoming` bytes fit."""
        entries: list[Entry] = []
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if not is_ours(path.name):
                continue
            with contextlib.suppress(FileNotFoundError):
                status = path.stat(follow_symlinks=False)
                entries.append((status.st_mtime, status.st_size, path.name))
        for name in too_many(entries, self._ttl_s, self._quota_bytes - incoming):
            (self._folder / name).unlink(missing_ok=True)
