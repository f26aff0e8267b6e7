"""Pictures asked for by URL: a local folder behind signed, expiring links.

Names are 128 random bits; a link is an HMAC over name, extension and expiry. Files are written whole or not at all,
readable by this user only, and swept when they expire or the quota is reached.
"""

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import time
from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"\.?[0-9a-f]{32}\.(?:png|jpg|webp|gif)")  # what is ours in the folder; the rest is left alone
_EXPIRES = re.compile(r"[0-9]{1,12}")
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
MIME_TYPES = {extension: mime for mime, extension in EXTENSIONS.items()}


class PictureStore:
    """Keeps pictures for `ttl_s` seconds, at most `quota_bytes` of them, in `folder`.

    The signing key lives as long as the process: links do not outlast it, nor do they need to.
    """

    def __init__(self, folder: Path, ttl_s: float, quota_bytes: int) -> None:
        self._folder = folder
        self._ttl_s = ttl_s
        self._quota_bytes = quota_bytes
        self._key = secrets.token_bytes(32)

    async def put(self, data: bytes, mime: str) -> str:
        """Store one picture; gives the path and query of its link, below the server's base URL."""
        name = secrets.token_hex(16)
        extension = EXTENSIONS[mime]
        await asyncio.to_thread(self._write, f"{name}.{extension}", data)
        expires = int(time.time() + self._ttl_s)
        return f"/v1/images/files/{name}.{extension}?exp={expires}&sig={self._sign(name, extension, expires)}"

    async def get(self, name: str, extension: str, expires: str, signature: str) -> bytes | None:
        """The picture behind a link, or None: unknown, expired and forged links look alike."""
        if not _NAME.fullmatch(name) or extension not in MIME_TYPES or not _EXPIRES.fullmatch(expires):
            return None
        if not hmac.compare_digest(signature.encode(), self._sign(name, extension, int(expires)).encode()):
            return None
        if int(expires) < time.time():
            return None
        return await asyncio.to_thread(self._read, f"{name}.{extension}")

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
        entries = []
        for path in self._folder.iterdir():
            if not _FILE.fullmatch(path.name):
                continue
            try:
                status = path.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            entries.append((status.st_mtime, status.st_size, path))
        entries.sort()
        total = sum(size for _, size, _ in entries) + incoming
        oldest_kept = time.time() - self._ttl_s
        for modified, size, path in entries:
            if modified >= oldest_kept and total <= self._quota_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
