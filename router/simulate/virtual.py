"""An event loop whose seconds pass at once: coroutines run as they are, and nobody waits.

Real asyncio, so that the production attempt loop with its limits and pauses is driven and not imitated.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class _Leaper(selectors.SelectSelector):
    """Where a loop would sleep until its next timer, this puts the clock there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits and no timer is set: virtual time cannot go on")
        if timeout > 0:
            self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and leaps from timer to timer."""

    def __init__(self) -> None:
        self._leaper = _Leaper()
        super().__init__(self._leaper)

    def time(self) -> float:
        return self._leaper.now


def run_virtual(main: Coroutine[object, object, T], loop: VirtualLoop) -> T:
    """Run `main` to its end on `loop`, and close that."""
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
