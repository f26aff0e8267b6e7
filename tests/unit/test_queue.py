"""Waiting for an upstream that has as many requests as it takes: who comes first, who leaves, who is turned away."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from builders import candidate, most, plan
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from providers.errors import QuotaExhaustedError, RateLimitedError, UnavailableError
from router.routing.dispatch import AllAttemptsFailedError, dispatch
from router.routing.health import Health
from router.routing.limits import Fixed, Gate
from router.routing.plan import Attempt, Candidate, Patience, Plan
from router.routing.queue import SaturatedError
from router.settings.values import QueueSettings
from router.simulate.virtual import VirtualLoop, run_virtual

A, B = candidate("a/m"), candidate("b/m")


class World:
    """Targets `a/m` and `b/m` of providers that take so many at a time, in virtual time."""

    def __init__(self, queue: QueueSettings | None = None, **limits: int) -> None:
        self.loop = VirtualLoop()
        gates = {name: Gate(Fixed(limit)) for name, limit in limits.items()}
        self.health = Health(self.loop.time, most, gates=gates, queue=queue)
        self.under_way = 0
        self.peak = 0
        self.begun: list[object] = []
        self.asked: list[str] = []

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        return run_virtual(main, self.loop)

    def call(self, name: object, seconds: float) -> Callable[[Candidate], Awaitable[object]]:
        async def answer(who: Candidate) -> object:
            self.begun.append(name)
            self.asked.append(who.name)
            self.under_way += 1
            self.peak = max(self.peak, self.under_way)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.under_way -= 1
            return name

        return answer

    async def ask(self, name: object, seconds: float = 1.0, asked: Plan | None = None) -> object:
        attempts: list[Attempt] = []
        return (await dispatch(asked or plan(A), self.call(name, seconds), self.health, attempts)).value

    def held(self, provider: str = "a") -> int:
        return self.health._gates[provider].held

    def is_idle(self) -> bool:
        counts = [each.under_way for each in self.health.targets().values()]
        return not (any(counts) or len(self.health.queue) or self.health.queue.lengths or self.held())


def why(error: BaseException) -> str:
    assert isinstance(error, AllAttemptsFailedError)
    assert isinstance(error.last, SaturatedError)
    return error.last.why


# (seconds after the one before, seconds its answer takes, seconds after which its client leaves)
crowds = st.lists(
    st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 3.0), st.one_of(st.none(), st.floats(0.0, 4.0))), max_size=25
)


@given(crowds, st.integers(1, 4))
def test_whoever_comes_and_leaves_all_others_are_served_in_order_and_never_too_many_at_once(
    crowd: list[tuple[float, float, float | None]], limit: int
) -> None:
    world = World(QueueSettings(max_wait_s=100.0), a=limit)
    roomy = plan(A, deadline_s=1000.0)

    async def client(name: int, seconds: float, patience_s: float | None) -> object:
        try:
            async with asyncio.timeout(patience_s):
                return await world.ask(name, seconds, roomy)
        except TimeoutError:
            return "left"

    async def main() -> list[object]:
        clients = []
        for name, (later_s, seconds, patience_s) in enumerate(crowd):
            await asyncio.sleep(later_s)
            clients.append(asyncio.create_task(client(name, seconds, patience_s)))
        return [await each for each in clients]

    found = world.run(main())
    assert world.peak <= limit
    for name, (value, (_, _, patience_s)) in enumerate(zip(found, crowd, strict=True)):
        assert value == name or (value == "left" and patience_s is not None)
    assert world.begun == sorted(world.begun)  # type: ignore[type-var]
    assert world.is_idle()


def test_a_place_that_was_just_handed_to_a_client_that_leaves_goes_to_the_next() -> None:
    world = World(a=1)

    async def main() -> object:
        assert world.health.admit(A)
        leaving, next_one = asyncio.create_task(world.ask("leaving")), asyncio.create_task(world.ask("next"))
        await asyncio.sleep(0.0)
        world.health.give_back(A)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        return await next_one

    assert world.run(main()) == "next"
    assert world.begun == ["next"]
    assert world.is_idle()


def test_a_full_target_is_passed_over_for_one_that_has_room() -> None:
    world = World(a=1)

    async def main() -> None:
        both = plan(A, B)
        await asyncio.gather(*(world.ask(name, asked=both) for name in range(3)))

    world.run(main())
    assert world.asked == ["a/m", "b/m", "b/m"]


def test_passing_over_costs_no_retry() -> None:
    world = World(a=1, b=1)
    attempts: list[Attempt] = []

    async def main() -> None:
        first = asyncio.create_task(world.ask("first"))
        await asyncio.sleep(0.5)
        await dispatch(plan(A, B), world.call("second", 1.0), world.health, attempts)
        await first

    world.run(main())
    assert [(each.candidate.name, each.outcome, each.queued_s) for each in attempts] == [("b/m", "ok", 0.0)]


def test_when_all_are_full_the_first_that_has_room_is_asked_and_the_wait_is_noted_beside_the_attempt() -> None:
    world = World(a=1, b=1)
    attempts: list[Attempt] = []

    async def main() -> None:
        long, short = asyncio.create_task(world.ask("long", 3.0)), asyncio.create_task(world.ask("short", 2.0, plan(B)))
        await asyncio.sleep(0.5)
        await dispatch(plan(A, B), world.call("third", 1.0), world.health, attempts)
        await asyncio.gather(long, short)

    world.run(main())
    assert [each.candidate.name for each in attempts] == ["b/m"]
    assert attempts[0].queued_s == pytest.approx(1.5)
    assert attempts[0].duration_s == pytest.approx(1.0)


def test_a_stream_keeps_its_place_until_its_end() -> None:
    world = World(a=1)
    stream = replace(plan(A), patience=Patience(60.0, first_s=60.0))

    async def main() -> float:
        await world.ask("stream", 0.5, stream)
        assert world.held() == 1
        asyncio.get_running_loop().call_later(2.0, world.health.written, A)
        await world.ask("next", 1.0)
        return world.loop.time()

    assert world.run(main()) == pytest.approx(3.5)
    assert world.is_idle()


def test_a_full_queue_turns_away_at_once() -> None:
    world = World(QueueSettings(size=1), a=1)

    async def main() -> None:
        tasks = [asyncio.create_task(world.ask(name)) for name in range(2)]
        await asyncio.sleep(0.0)
        with pytest.raises(AllAttemptsFailedError) as caught:
            await world.ask("third")
        assert why(caught.value) == "queue_full"
        assert caught.value.attempts == ()
        assert (caught.value.retry_after_s or 0) >= 1.0
        assert world.loop.time() == 0.0
        await asyncio.gather(*tasks)

    world.run(main())
    assert world.is_idle()


def test_a_wait_that_would_be_too_long_is_refused_at_once_and_one_that_is_ends_in_time() -> None:
    world = World(QueueSettings(size=100, max_wait_s=2.5), a=1)

    async def main() -> list[str]:
        tasks = [asyncio.create_task(world.ask(name, 5.0)) for name in range(4)]  # each is expected to take a second
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert world.loop.time() == pytest.approx(5.0)
        return [why(each) if isinstance(each, BaseException) else "served" for each in found]

    assert world.run(main()) == ["served", "timed_out", "timed_out", "too_long"]


def test_waiting_ends_with_the_deadline() -> None:
    world = World(a=1)

    async def main() -> float:
        first = asyncio.create_task(world.ask("first", 9.0))
        await asyncio.sleep(0.0)
        with pytest.raises(AllAttemptsFailedError):
            await world.ask("second", 1.0, plan(A, deadline_s=1.5))
        ended = world.loop.time()
        await first
        return ended

    assert world.run(main()) == pytest.approx(1.5)


def test_the_queues_of_two_models_are_bounded_apart() -> None:
    world = World(QueueSettings(size=1), a=1)
    other = replace(plan(A), model="other")

    async def main() -> list[object]:
        asks = [world.ask(0), world.ask(1), world.ask(2, asked=other)]
        return list(await asyncio.gather(*asks, return_exceptions=True))

    assert world.run(main()) == [0, 1, 2]


def test_those_who_wait_outlast_a_block_that_is_short_and_not_one_that_is_long() -> None:
    for block_s, expected in ((2.0, "served"), (30.0, "timed_out")):
        world = World(a=1)
        refusals = [RateLimitedError("x", retry_after_s=block_s)]

        async def refused(who: Candidate, refusals: list[RateLimitedError] = refusals) -> str:
            await asyncio.sleep(1.0)
            raise refusals.pop()

        async def main(world: World = world, refused: Any = refused) -> tuple[str, float]:
            first = asyncio.create_task(dispatch(plan(A), refused, world.health, []))
            await asyncio.sleep(0.0)
            try:
                await world.ask("second")
                outcome = "served"
            except AllAttemptsFailedError as exc:
                outcome = why(exc)
            with pytest.raises(AllAttemptsFailedError):
                await first
            return outcome, world.loop.time()

        outcome, ended = world.run(main())
        assert outcome == expected
        assert ended < (4.2 if expected == "served" else 1.2)


def test_a_refusal_that_names_no_time_limits_what_is_under_way_and_blocks_nobody() -> None:
    world = World()

    async def quota(who: Candidate) -> str:
        if world.under_way >= 3:
            raise RateLimitedError("too many at once")
        await world.call("x", 1.0)(who)
        return "served"

    async def main() -> list[object]:
        again = plan(A, candidate("a/m", retry=True), deadline_s=30.0)
        asks = [dispatch(again, quota, world.health, []) for _ in range(8)]
        return list(await asyncio.gather(*asks, return_exceptions=True))

    found = world.run(main())
    assert [isinstance(each, BaseException) for each in found] == [False] * 8
    state = world.health.target("a", "m", A.info)
    assert state.blocked_until < 0
    assert 2 <= (state.limit(world.loop.time()) or 0) <= 4


@pytest.mark.parametrize("error", [QuotaExhaustedError("x"), UnavailableError("x")], ids=lambda e: type(e).__name__)
def test_only_too_many_requests_are_taken_as_too_many(error: Any) -> None:
    health = Health(lambda: 0.0, most)
    for _ in range(5):
        health.admit(A)
    health.record(Attempt(candidate=A, duration_s=0.0, error=error))
    assert not health.limited
    health.record(Attempt(candidate=A, duration_s=0.0, error=RateLimitedError("x", retry_after_s=1.0)))
    assert health.target("a", "m", A.info).limit(0.0) == pytest.approx(0.7 * 4)


def test_what_is_turned_away_is_held_against_nobody() -> None:
    world = World(QueueSettings(size=0), a=1)

    async def main() -> None:
        first = asyncio.create_task(world.ask("first"))
        await asyncio.sleep(0.0)
        for _ in range(20):
            with pytest.raises(AllAttemptsFailedError):
                await world.ask("more")
        await first

    world.run(main())
    state = world.health.target("a", "m", A.info)
    assert (state.consecutive, state.failures, state.successes) == (0, 0.0, 1.0)
