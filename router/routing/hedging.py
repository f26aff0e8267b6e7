"""Two attempts at once: a second candidate is started beside the first when that one is late, and whoever answers wins.

A hedge is an attempt like any other: admitted by health, inside the one deadline, noted once. Only requests that may be
hedged pay for the tasks this takes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

from providers.errors import ProviderError
from router.routing.plan import Candidate

T = TypeVar("T")


class Run(Struct, eq=False):
    """One attempt under way. `beside` is the one it was started next to; `ended` is set with its end.

    `outrun` is set on one that is given up because the other has answered. `queued_s`: see `Attempt`.
    """

    candidate: Candidate
    started: float
    budget_s: float
    beside: "Run | None" = None
    ended: float | None = None
    outrun: bool = False
    queued_s: float = 0.0

    def beside_s(self, now: float) -> float:
        """For how long the other was under way as well, by `now`."""
        if self.beside is None:
            return 0.0
        until = now if self.beside.ended is None else min(now, self.beside.ended)
        return until - self.started


class Race(Generic[T]):
    """Runs `ask`, and a second time beside it when that is late; gives who decided, and its answer.

    `rival` names a second attempt when it is wanted, or None. `outrun` is told of every one that lost, with its answer
    if it had one by then. `goes_on` says of a failure whether another attempt may still decide.
    """

    def __init__(
        self,
        ask: Callable[[Run], Awaitable[T | ProviderError]],
        rival: Callable[[Run], Run | None],
        outrun: Callable[[Run, T | None], Awaitable[None]],
        goes_on: Callable[[ProviderError], bool],
    ) -> None:
        self._ask = ask
        self._rival = rival
        self._outrun = outrun
        self._goes_on = goes_on
        self._under_way: dict[Run, asyncio.Task[T | ProviderError]] = {}

    async def run(self, lead: Run, after_s: float) -> tuple[Run, T | ProviderError]:
        """Ask `lead`, after `after_s` its rival too. A failure decides only when nobody else is under way.

        Raises what `ask` raises. Whatever its end, nothing is under way any more when this returns.
        """
        try:
            self._start(lead)
            await asyncio.wait(self._under_way.values(), timeout=after_s)
            rival = None if self._under_way[lead].done() else self._rival(lead)
            if rival is not None:
                self._start(rival)
            while True:
                await asyncio.wait(self._under_way.values(), return_when=asyncio.FIRST_COMPLETED)
                for run, task in [*self._under_way.items()]:
                    if not task.done():
                        continue
                    answer = task.result()
                    if isinstance(answer, ProviderError) and self._goes_on(answer) and len(self._under_way) > 1:
                        del self._under_way[run]
                        continue
                    del self._under_way[run]
                    await self._give_up(outrun=True)
                    return run, answer
        finally:
            await self._give_up(outrun=False)

    def _start(self, run: Run) -> None:
        self._under_way[run] = asyncio.ensure_future(self._ask(run))

    async def _give_up(self, *, outrun: bool) -> None:
        """End all that is under way, and wait until it has ended."""
        under_way, self._under_way = self._under_way, {}
        for run, task in under_way.items():
            run.outrun = outrun
            task.cancel()
        for run, task in under_way.items():
            await asyncio.wait([task])
            answer = None if task.cancelled() or task.exception() is not None else task.result()
            if not isinstance(answer, ProviderError):
                await self._outrun(run, answer)
