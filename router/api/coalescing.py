"""`Idempotency-Key`: requests of one client with the same key and the same content are made once.

While the first is under way the others wait for its answer; for a while afterwards they get it again. It is worth most
where it costs most: an SDK that gave up waiting for a picture asks for it twice more.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import msgspec
from starlette.types import Scope

from router.api.body import header
from router.api.detached import Answer
from router.errors import InvalidRequestError, OverloadedError

_KEEP_S = 600.0  # SDKs come back within a minute, people who press a button twice within ten
_MAX_UNDER_WAY = 64  # of one client
_MAX_KEPT = 256  # of one client
_MAX_BYTES = 64 * 1024 * 1024  # of all kept answers together
_PASSING = frozenset({408, 409, 429})  # refusals that another try may not meet
_encode = msgspec.msgpack.Encoder(order="deterministic").encode

Name = tuple[str, str]


class KeyReusedError(InvalidRequestError):
    """The key stands for another request. 422 and not 409, which SDKs would repeat."""

    status = 422
    code = "idempotency_key_reused"
    param = "Idempotency-Key"


class Shared:
    """One request that several clients may wait for."""

    __slots__ = ("_answer", "fingerprint")

    def __init__(self, fingerprint: bytes, answer: asyncio.Future[Answer]) -> None:
        self.fingerprint = fingerprint
        self._answer = answer

    async def wait(self) -> Answer:
        """The answer. Whoever stops waiting does not stop the work."""
        return await asyncio.shield(self._answer)


class Coalescer:
    """The requests with a key, under way and lately answered, each client's apart."""

    def __init__(self, keep_s: float = _KEEP_S, max_bytes: int = _MAX_BYTES) -> None:
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._under_way: dict[Name, Shared] = {}
        self._kept: OrderedDict[Name, tuple[Shared, int]] = OrderedDict()  # with the size, in the order they ended
        self._kept_bytes = 0

    def find(self, owner: str, key: str, fingerprint: bytes) -> Shared | None:
        """The same request, if it was made lately. Raises KeyReusedError when the key was used for another."""
        name = (owner, key)
        found = self._under_way.get(name) or (self._kept[name][0] if name in self._kept else None)
        if found is not None and found.fingerprint != fingerprint:
            raise KeyReusedError("this Idempotency-Key was used for another request; take a new one")
        return found

    def start(self, owner: str, key: str, fingerprint: bytes, begin: Callable[[], asyncio.Future[Answer]]) -> Shared:
        """Begin a request that `find` did not know. Raises OverloadedError when the client has too many under way."""
        if sum(name[0] == owner for name in self._under_way) >= _MAX_UNDER_WAY:
            raise OverloadedError(f"at most {_MAX_UNDER_WAY} requests with an Idempotency-Key may be under way")
        name = (owner, key)
        answer = begin()
        shared = self._under_way[name] = Shared(fingerprint, answer)
        answer.add_done_callback(partial(self._ended, name, shared))
        return shared

    def _ended(self, name: Name, shared: Shared, answer: asyncio.Future[Answer]) -> None:
        del self._under_way[name]
        if answer.cancelled() or not _final(answer.result().status):
            return
        size = len(answer.result().body)
        if size > self._max_bytes:
            return
        self._kept[name] = (shared, size)
        self._kept_bytes += size
        asyncio.get_running_loop().call_later(self._keep_s, self._forget, name, shared)
        mine = [kept for kept in self._kept if kept[0] == name[0]]
        if len(mine) > _MAX_KEPT:
            self._forget(mine[0], self._kept[mine[0]][0])
        while self._kept_bytes > self._max_bytes:
            oldest, (old, _) = next(iter(self._kept.items()))
            self._forget(oldest, old)

    def _forget(self, name: Name, shared: Shared) -> None:
        kept = self._kept.get(name)
        if kept is not None and kept[0] is shared:
            del self._kept[name]
            self._kept_bytes -= kept[1]


def key_of(scope: Scope) -> str | None:
    """The request's `Idempotency-Key`, or None. Raises 400 for one that is empty, long or not printable."""
    key = header(scope, b"idempotency-key")
    if key is not None and not (0 < len(key) <= 255 and key.isprintable()):
        raise InvalidRequestError("'Idempotency-Key' must be 1 to 255 printable characters", param="Idempotency-Key")
    return key


async def fingerprint_of(*content: object) -> bytes:
    """A digest of what a request means. Not of its bytes: a form has another boundary every time it is sent."""
    return await asyncio.to_thread(lambda: hashlib.sha256(_encode(content)).digest())


def _final(status: int) -> bool:
    """Whether the same request would only get the same answer, and pay for it again."""
    return status < 500 and status not in _PASSING
