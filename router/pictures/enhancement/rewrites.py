"""Rewrites that were made lately: the same prompt of the same client is not sent to be rewritten twice."""

from collections import OrderedDict
from collections.abc import Callable

from router.pictures.enhancement.rewriting import TEMPLATE, Rewrite

_KEEP_S = 24 * 3600.0
_MOST = 1000  # of all clients together; each is a kilobyte or two

_Name = tuple[str, str, int, bool, str]


class Rewrites:
    """Remembered by client key, model asked for, version of the template, and prompt. One client's are never shown to
    another. In the memory of one process, the least lately used forgotten first."""

    def __init__(self, clock: Callable[[], float], most: int = _MOST, keep_s: float = _KEEP_S) -> None:
        self._clock = clock
        self._most = most
        self._keep_s = keep_s
        self._made: OrderedDict[_Name, tuple[float, Rewrite, str]] = OrderedDict()

    def find(self, owner: str, model: str, digest: str, *, edit: bool) -> tuple[Rewrite, str] | None:
        """The rewrite and the upstream model that made it. `digest` stands for the prompt."""
        name = (owner, model, TEMPLATE, edit, digest)
        found = self._made.get(name)
        if found is None:
            return None
        since, rewrite, served = found
        if self._clock() - since > self._keep_s:
            del self._made[name]
            return None
        self._made.move_to_end(name)
        return rewrite, served

    def keep(self, owner: str, model: str, digest: str, rewrite: Rewrite, served: str, *, edit: bool) -> None:
        self._made[owner, model, TEMPLATE, edit, digest] = (self._clock(), rewrite, served)
        if len(self._made) > self._most:
            self._made.popitem(last=False)
