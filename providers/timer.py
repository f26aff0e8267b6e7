"""Time limits for the hot path: what `asyncio.timeout` does, at a tenth of its cost.

Nearly every limit is lifted long before it is due, so long ones share one timer of the event loop, which looks for
those that are due ten times a second. A short one has a timer of its own.
"""

import asyncio
from types import TracebackType
from typing import Protocol

_LOOK_S = 0.1
_LONG_S = 2.0  # from here on, up to `_LOOK_S` more does not matter


class Alarm(Protocol):
    """What a lookout waits for: `strike` is called once the loop's time has reached `due`."""

    due: float

    def strike(self) -> None: ...


class Lookout:
    """Strikes the `alarms` of one event loop, each at most a tenth of a second late."""

    __slots__ = ("alarms", "looking", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.alarms: set[Alarm] = set()
        self.looking = False

    def look_soon(self) -> None:
        self.looking = True
        self.loop.call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        for alarm in [alarm for alarm in self.alarms if alarm.due <= now]:
            self.alarms.discard(alarm)
            alarm.strike()
        if self.alarms:
            self.look_soon()
        else:
            self.looking = False


_latest: Lookout | None = None


def alarms_of(loop: asyncio.AbstractEventLoop) -> set[Alarm]:
    """The alarms of this loop, to put one in at once, and to take it out when it is not wanted any more.

    A bare set, because every request does so several times. A process has one loop; where it has several, one may get
    a second set.
    """
    global _latest
    found = _latest
    if found is None or found.loop is not loop:
        found = _latest = Lookout(loop)
    if not found.looking:
        found.look_soon()
    return found.alarms


class Limit:
    """`with Limit(seconds):` cancels the block's awaits when the time is up and raises TimeoutError instead.

    For one task, not re-entrant, not reschedulable. A cancellation from outside passes through as it came.
    """

    __slots__ = ("_alarms", "_cancelling", "_seconds", "_struck", "_task", "_timer", "due")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._struck = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "a limit needs a task to cancel"
        self._task = task
        self._cancelling = task.cancelling()
        loop = task.get_loop()
        if self._seconds < _LONG_S:
            self._alarms: set[Alarm] | None = None
            self._timer = loop.call_later(self._seconds, self.strike)
        else:
            self.due = loop.time() + self._seconds
            self._alarms = alarms_of(loop)
            self._alarms.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alarms is None:
            self._timer.cancel()
        else:
            self._alarms.discard(self)
        # our cancellation is taken back in any case; another one that came meanwhile is not ours to swallow
        if self._struck and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from exc

    def strike(self) -> None:
        """The time is up. Called by the timer alone."""
        self._struck = True
        self._task.cancel()
